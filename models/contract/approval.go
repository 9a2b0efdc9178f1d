package contract

import (
	"strings"
	"time"

	"github.com/matih/pipeline-service/models"
)

// ApprovalWorkflow waits for the decision about one gate of an execution.
const ApprovalWorkflow = "ApprovalWorkflow"

// ApprovalSignal carries a Decision to an ApprovalWorkflow, or to an ExecutionWorkflow, which hands it to
// the gate that waits. Who sends it plainly learns nothing; the same rules hold. The service itself
// sends DecideUpdate, so that ApprovedBy and Groups are the token's; a plain signal's are what its
// sender says, who has access to the Temporal namespace.
const ApprovalSignal = "approval"

// DecideUpdate carries a Decision to an ApprovalWorkflow and answers with what became of it. One that
// does not count is refused with an application error whose type is a models.Code.
const DecideUpdate = "decide"

// Activity types of approvals.
const (
	OpenApprovalActivity   = "OpenApproval"
	RecordDecisionActivity = "RecordDecision"
	RemindApprovalActivity = "RemindApproval"
	CloseApprovalActivity  = "CloseApproval"
)

const approvalPrefix = "approval-"

// MaxReason is how long a decision's reason may be, in characters.
const MaxReason = 2000

// executionIDLength is the length of every execution's id.
var executionIDLength = len(models.NewID(models.PrefixExecution))

// ApprovalID is the id of the workflow that waits for a gate of an execution.
func ApprovalID(execution, gate string) string { return approvalPrefix + execution + "-" + gate }

// SplitApprovalID is the inverse of ApprovalID.
func SplitApprovalID(id string) (execution, gate string, ok bool) {
	rest, ok := strings.CutPrefix(id, approvalPrefix)
	if !ok || len(rest) < executionIDLength+2 || rest[executionIDLength] != '-' {
		return "", "", false
	}
	execution, gate = rest[:executionIDLength], rest[executionIDLength+1:]
	return execution, gate, models.IsID(models.PrefixExecution, execution)
}

// ApprovalPolicy says who decides about a gate and by when.
type ApprovalPolicy struct {
	Timeout           time.Duration
	ApproveOnTimeout  bool     `json:",omitempty"`
	Required          int      // approvals
	Groups            []string `json:",omitempty"`
	AllowSelfApproval bool     `json:",omitempty"`
}

// ApprovalInput starts an ApprovalWorkflow.
type ApprovalInput struct {
	Tenant      models.TenantID
	ExecutionID string
	PipelineID  string
	// Gate is the check that failed, or the sink that waits to be published.
	Gate string
	// Finding says in words what the check found, or is empty.
	Finding     string `json:",omitempty"`
	SubmittedBy string // who started the execution and so may not approve it
	Policy      ApprovalPolicy
}

// ID is the id of the workflow.
func (in ApprovalInput) ID() string { return ApprovalID(in.ExecutionID, in.Gate) }

// Decision is what one person says about a gate.
type Decision struct {
	// Approved must be given: nothing is decided by leaving it out.
	Approved   *bool    `json:"approved"`
	ApprovedBy string   `json:"approvedBy,omitempty"`
	Reason     string   `json:"reason,omitempty"`
	Gate       string   `json:"gate,omitempty"`
	Groups     []string `json:"groups,omitempty"` // of the person
}

// Decided is what became of a Decision that counted.
type Decided struct {
	Status    models.ApprovalStatus
	Approvals int
	Required  int
}

// ApprovalResult is how a gate was decided: APPROVED, REJECTED or CANCELLED.
type ApprovalResult struct {
	Status models.ApprovalStatus
	// Reason says in words by whom and why, or that time ran out.
	Reason string
}

// OpenApprovalInput writes down that a gate waits.
type OpenApprovalInput struct {
	ApprovalInput
	At       time.Time
	Deadline time.Time
}

// RecordDecisionInput writes a decision down, and what it made of the approval.
type RecordDecisionInput struct {
	Tenant   models.TenantID
	ID       string
	By       string
	Approved bool
	Reason   string `json:",omitempty"`
	At       time.Time
	// Status is PENDING, or where the decision was the last one needed, how it closed the approval, in Closing's
	// words.
	Status  models.ApprovalStatus
	Closing string `json:",omitempty"`
}

// RemindApprovalInput writes down that a gate still waits.
type RemindApprovalInput struct {
	Tenant models.TenantID
	ID     string
	At     time.Time
}

// CloseApprovalInput writes down that a gate was closed without a person's decision.
type CloseApprovalInput struct {
	Tenant models.TenantID
	ID     string
	Status models.ApprovalStatus
	Action models.ApprovalAction
	Reason string
	At     time.Time
}
