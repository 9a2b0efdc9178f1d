// Package contract holds the names and messages that the API, the workers and other Temporal
// clients share: queues, workflows, activities, search attributes, and their inputs and results.
package contract

import (
	"time"

	"go.temporal.io/sdk/temporal"

	"github.com/matih/pipeline-service/models"
)

// Task queues. Workflows and short activities share one; tasks, which hold a slot for as long as
// data moves, wait in another, so that a long task never delays a decision.
const (
	QueueControl = "pipeline-control"
	QueueTasks   = "pipeline-tasks"
)

// Workflow types.
const (
	ExecutionWorkflow      = "ExecutionWorkflow"
	ConnectionTestWorkflow = "ConnectionTestWorkflow"
	MaintenanceWorkflow    = "MaintenanceWorkflow"
)

// Activity types.
const (
	PrepareActivity        = "Prepare"
	RunTaskActivity        = "RunTask"
	FinishActivity         = "Finish"
	TestConnectionActivity = "TestConnection"
	ReconcileActivity      = "Reconcile"
	CheckPromisesActivity  = "CheckPromises"
	CleanUpActivity        = "CleanUp"
)

// ProgressQuery asks an ExecutionWorkflow for its Progress.
const ProgressQuery = "progress"

// Search attributes; all are keywords.
var (
	SearchTenantID       = temporal.NewSearchAttributeKeyKeyword("TenantId")
	SearchPipelineID     = temporal.NewSearchAttributeKeyKeyword("PipelineId")
	SearchPipelineStatus = temporal.NewSearchAttributeKeyKeyword("PipelineStatus")
	SearchEngine         = temporal.NewSearchAttributeKeyKeyword("Engine")
	SearchTriggerType    = temporal.NewSearchAttributeKeyKeyword("TriggerType")
)

// SearchAttributes lists the names a Temporal namespace must know, all of type Keyword.
var SearchAttributes = []string{
	SearchTenantID.GetName(), SearchPipelineID.GetName(), SearchPipelineStatus.GetName(),
	SearchEngine.GetName(), SearchTriggerType.GetName(),
}

// MemoTenant is the memo field with the tenant's id.
const MemoTenant = "tenantId"

// ConnectionTestPrefix begins the id of every ConnectionTestWorkflow.
const ConnectionTestPrefix = "conntest-"

// MaintenanceScheduleID is the Temporal Schedule that runs the MaintenanceWorkflow.
const MaintenanceScheduleID = "maintenance"

// PriorityKey is the Temporal priority of a priority: 1 is the most urgent of 5, 3 the default.
func PriorityKey(p models.Priority) int {
	switch p {
	case models.PriorityCritical:
		return 1
	case models.PriorityHigh:
		return 2
	case models.PriorityLow:
		return 4
	default:
		return 3
	}
}

// ExecutionInput starts an ExecutionWorkflow, whose workflow id is the execution's id.
type ExecutionInput struct {
	Tenant      models.TenantID
	ExecutionID string
	// Resume is set by the workflow itself when it continues as new.
	Resume *ExecutionResume
}

// ExecutionResume is what a run of an ExecutionWorkflow hands to the next one.
type ExecutionResume struct {
	StartedAt time.Time
	// Done holds the names of the tasks that have succeeded.
	Done []string
	// Approved holds the names of the sinks that may be published, of those that need an approval.
	Approved []string `json:",omitempty"`
	// Waited is how long the execution has waited for approvals.
	Waited time.Duration `json:",omitempty"`
}

// ExecutionResult is how an execution ended.
type ExecutionResult struct {
	Status models.ExecutionStatus
	Reason string                 `json:",omitempty"`
	Error  *models.ExecutionError `json:",omitempty"`
}

// Progress is the answer of ProgressQuery.
type Progress struct {
	TotalTasks     int
	CompletedTasks int
	RunningTasks   []string
}

// PrepareInput asks for an execution's plan.
type PrepareInput struct {
	Tenant      models.TenantID
	ExecutionID string
}

// Plan is what an ExecutionWorkflow needs to know of an execution.
type Plan struct {
	// Closed is set where the execution has ended already; nothing else is set then.
	Closed           models.ExecutionStatus `json:",omitempty"`
	Pipeline         string
	PipelineID       string
	Engine           models.Engine
	Priority         models.Priority
	Tasks            []PlannedTask
	Retry            RetryPolicy
	Timeout          time.Duration // of the execution, without its waits for approvals
	TaskTimeout      time.Duration // of one attempt of a task
	MaxParallelTasks int
	SubmittedBy      string
	Approval         ApprovalPolicy // of every gate
}

// PlannedTask is a node of the task graph.
type PlannedTask struct {
	Name string
	Kind models.TaskKind
	// Gate says that the task, a sink, needs an approval before it runs.
	Gate bool `json:",omitempty"`
	// Reused says that an earlier execution's result stands for the task's, which does not run.
	Reused bool `json:",omitempty"`
	// After are the indexes in Plan.Tasks of the tasks that must have succeeded before.
	After []int `json:",omitempty"`
}

// RetryPolicy says how often and when a task that failed is tried again.
type RetryPolicy struct {
	MaxAttempts        int
	InitialInterval    time.Duration
	BackoffCoefficient float64
	MaxInterval        time.Duration
}

// RunTaskInput asks for one task of an execution.
type RunTaskInput struct {
	Tenant      models.TenantID
	ExecutionID string
	Task        string
	// Round counts how often the workflow scheduled the task: 0, then one more each time the
	// worker was lost. With the activity's attempt it makes the attempt's number.
	Round int
}

// RunTaskResult is what a task that succeeded reports; rows and bytes are in the store.
type RunTaskResult struct {
	Rows    int64
	Warning string `json:",omitempty"` // what a check that failed and did not end the execution found
	// NeedsApproval is set where a check with on_failure: approve failed.
	NeedsApproval bool `json:",omitempty"`
}

// FinishInput records an execution's end.
type FinishInput struct {
	Tenant      models.TenantID
	ExecutionID string
	Result      ExecutionResult
}

// TestConnectionInput asks for a test of a connection.
type TestConnectionInput struct {
	Tenant       models.TenantID
	ConnectionID string
}

// TestConnectionResult is what the test found.
type TestConnectionResult struct {
	Test models.ConnectionTest
}

// MaintenanceResult counts what a MaintenanceWorkflow did.
type MaintenanceResult struct {
	Reconciled    ReconcileResult
	Backfills     int // workflows started for backfills whose start had been lost
	Schedules     SyncSchedulesResult
	Promises      PromisesResult
	Notifications SendNotificationsResult
	Removed       CleanUpResult
}

// ReconcileResult counts what a reconciliation did.
type ReconcileResult struct {
	Started   int // workflows started for executions whose start had been lost
	Cancelled int // executions whose cancellation was started again
	Closed    int // executions closed because their workflow had ended without saying so
	Ended     int // workflows that were told to end because their execution was over or gone
}

// PromisesResult counts the promises that were found broken.
type PromisesResult struct {
	Overdue int // executions that take longer
	Stale   int // pipelines whose last good run is older
}

// CleanUpResult counts what was removed because nobody needs it any more.
type CleanUpResult struct {
	Staging         int // executions whose staged data were removed
	Quarantine      int // executions whose quarantined rows were
	Orphans         int // directories that no execution answered for
	IdempotencyKeys int64
	Plans           int // rows and directories of plans that nobody waits for
}
