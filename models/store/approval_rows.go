package store

import (
	"encoding/json"

	"github.com/uptrace/bun"

	"github.com/matih/pipeline-service/models"
)

type approvalRow struct {
	bun.BaseModel `bun:"table:approvals,alias:a"`

	TenantID          models.TenantID
	ID                string
	ExecutionID       string
	PipelineID        string
	Gate              string
	Status            models.ApprovalStatus
	Reason            string
	Required          int
	Approvals         int
	StewardGroups     string
	AllowSelfApproval bool
	SubmittedBy       string
	RequestedAt       instant
	Deadline          instant
	RemindedAt        instant
	ClosedAt          instant
	Evidence          string
	EvidenceHash      string
}

func newApprovalRow(a models.Approval) (*approvalRow, error) {
	groups, err := json.Marshal(append([]string{}, a.Groups...))
	return &approvalRow{
		TenantID: a.Tenant, ID: a.ID, ExecutionID: a.ExecutionID, PipelineID: a.PipelineID, Gate: a.Gate,
		Status: models.ApprovalPending, Required: a.Required, StewardGroups: string(groups),
		AllowSelfApproval: a.AllowSelfApproval, SubmittedBy: a.SubmittedBy, RequestedAt: at(a.RequestedAt), Deadline: at(a.Deadline),
		Evidence: string(a.Evidence), EvidenceHash: a.EvidenceHash,
	}, err
}

func (r *approvalRow) model() models.Approval {
	var groups []string
	_ = json.Unmarshal([]byte(r.StewardGroups), &groups) // only newApprovalRow writes the column
	return models.Approval{
		ID: r.ID, Tenant: r.TenantID, ExecutionID: r.ExecutionID, PipelineID: r.PipelineID, Gate: r.Gate,
		Status: r.Status, Reason: r.Reason, Required: r.Required, Approvals: r.Approvals, Groups: groups,
		AllowSelfApproval: r.AllowSelfApproval, SubmittedBy: r.SubmittedBy,
		RequestedAt: r.RequestedAt.Time, Deadline: r.Deadline.Time, RemindedAt: r.RemindedAt.Time, ClosedAt: r.ClosedAt.Time,
		Evidence: rawJSON(r.Evidence), EvidenceHash: r.EvidenceHash,
	}
}

type decisionRow struct {
	bun.BaseModel `bun:"table:approval_decisions,alias:d"`

	TenantID     models.TenantID
	ApprovalID   string
	Action       models.ApprovalAction
	DecidedBy    string
	Reason       string
	DecidedAt    instant
	EvidenceHash string
}

func (r *decisionRow) model() models.ApprovalDecision {
	return models.ApprovalDecision{Action: r.Action, By: r.DecidedBy, Reason: r.Reason, At: r.DecidedAt.Time, EvidenceHash: r.EvidenceHash}
}
