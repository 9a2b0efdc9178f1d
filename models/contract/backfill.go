package contract

import (
	"fmt"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/matih/pipeline-service/models"
)

// BackfillWorkflow executes a pipeline for the due times of a range; its id is the backfill's.
const BackfillWorkflow = "BackfillWorkflow"

// ControlBackfillUpdate carries a BackfillControl to a BackfillWorkflow and answers with the status it led to. One
// that does not fit is refused with an application error whose type is a models.Code.
const ControlBackfillUpdate = "control"

// Activity types of backfills.
const (
	LoadBackfillActivity       = "LoadBackfill"
	NextDueTimesActivity       = "NextDueTimes"
	SubmitBackfilledActivity   = "SubmitBackfilled"
	StepBackfillActivity       = "StepBackfill"
	ReconcileBackfillsActivity = "ReconcileBackfills"
)

// BackfillInput starts a BackfillWorkflow.
type BackfillInput struct {
	Tenant     models.TenantID
	BackfillID string
	Attempt    int
	// Resume is set by the workflow itself when it continues as new.
	Resume *BackfillResume `json:",omitempty"`
}

// BackfillResume is what a run of a BackfillWorkflow hands to the next one.
type BackfillResume struct {
	// After is the last due time whose execution was made.
	After  time.Time
	Counts BackfillCounts
	// Status is RUNNING, PAUSED or CANCELLING, and Reason says why.
	Status models.BackfillStatus
	Reason string `json:",omitempty"`
}

// BackfillCounts are what became of due times.
type BackfillCounts struct{ Completed, Failed, Cancelled int }

// LoadBackfillInput asks for what a BackfillWorkflow needs to know.
type LoadBackfillInput struct {
	Tenant     models.TenantID
	BackfillID string
}

// BackfillPlan is what a BackfillWorkflow needs to know.
type BackfillPlan struct {
	Status      models.BackfillStatus
	Reason      string `json:",omitempty"` // for the status
	Total       int
	Completed   int // so far
	MaxParallel int
}

// NextDueTimesInput asks for the next due times of a backfill whose execution is not COMPLETED.
type NextDueTimesInput struct {
	Tenant     models.TenantID
	BackfillID string
	// After is the last due time that is known; zero for none.
	After time.Time
}

// NextDueTimesResult holds some due times, and none at the end.
type NextDueTimesResult struct{ DueTimes []time.Time }

// SubmitBackfilledInput asks for the execution of a due time.
type SubmitBackfilledInput struct {
	Tenant     models.TenantID
	BackfillID string
	Attempt    int
	DueAt      time.Time
}

// StepBackfillInput writes down where a backfill stands.
type StepBackfillInput struct {
	Tenant     models.TenantID
	BackfillID string
	Attempt    int
	Status     models.BackfillStatus
	Reason     string `json:",omitempty"`
	Counts     BackfillCounts
	Running    int
	At         time.Time
}

// BackfillAction is what a person may do to a backfill that has not ended.
type BackfillAction string

// The actions.
const (
	ActionPause  BackfillAction = "pause"
	ActionResume BackfillAction = "resume"
	ActionCancel BackfillAction = "cancel"
)

// BackfillControl asks for an action.
type BackfillControl struct {
	Action BackfillAction
	By     string
}

// BackfillControlled is what became of it.
type BackfillControlled struct{ Status models.BackfillStatus }

// BackfillResult is how a backfill ended.
type BackfillResult struct {
	Status models.BackfillStatus
	Counts BackfillCounts
}

// BackfillOptions are the options every starter of a BackfillWorkflow uses. Starting an attempt again finds the running
// one.
func BackfillOptions(b models.Backfill) client.StartWorkflowOptions {
	return client.StartWorkflowOptions{
		ID:                       b.ID,
		TaskQueue:                QueueControl,
		WorkflowIDReusePolicy:    enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
		WorkflowIDConflictPolicy: enumspb.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING,
		TypedSearchAttributes: temporal.NewSearchAttributes(
			SearchTenantID.ValueSet(string(b.Tenant)), SearchPipelineID.ValueSet(b.PipelineID),
			SearchPipelineStatus.ValueSet(string(b.Status)), SearchTriggerType.ValueSet(string(models.TriggerBackfill)),
		),
		Memo:          map[string]any{MemoTenant: string(b.Tenant)},
		StaticSummary: Summary(fmt.Sprintf("Backfill of %s: %d due times", b.PipelineID, b.Total)),
		StaticDetails: fmt.Sprintf("Due times of %s %s from %s until before %s\n\nTenant %s, pipeline %s version %d, at most %d at once, by %s",
			b.Cron, b.Timezone, b.From.Format(time.RFC3339), b.To.Format(time.RFC3339), b.Tenant, b.PipelineID, b.Version, b.MaxParallel, b.SubmittedBy),
		Priority: temporal.Priority{PriorityKey: PriorityKey(models.PriorityNormal), FairnessKey: string(b.Tenant)},
	}
}
