package models

import (
	"encoding/json"
	"time"
)

// ExecutionStatus is where an execution stands.
type ExecutionStatus string

// A terminal status never changes.
const (
	ExecutionQueued           ExecutionStatus = "QUEUED"
	ExecutionRunning          ExecutionStatus = "RUNNING"
	ExecutionAwaitingApproval ExecutionStatus = "AWAITING_APPROVAL"
	ExecutionCancelling       ExecutionStatus = "CANCELLING"
	ExecutionCompleted        ExecutionStatus = "COMPLETED"
	ExecutionFailed           ExecutionStatus = "FAILED"
	ExecutionCancelled        ExecutionStatus = "CANCELLED"
)

// ExecutionStatuses lists every status, open ones first.
var ExecutionStatuses = []ExecutionStatus{
	ExecutionQueued, ExecutionRunning, ExecutionAwaitingApproval, ExecutionCancelling,
	ExecutionCompleted, ExecutionFailed, ExecutionCancelled,
}

// Terminal reports whether the status is an end.
func (s ExecutionStatus) Terminal() bool {
	return s == ExecutionCompleted || s == ExecutionFailed || s == ExecutionCancelled
}

// Engine runs an execution's tasks.
type Engine string

// The engines a definition or an execution may name.
const (
	EngineTemporal Engine = "temporal"
	EngineAirflow  Engine = "airflow"
)

// Priority orders executions that wait.
type Priority string

// From least to most urgent.
const (
	PriorityLow      Priority = "LOW"
	PriorityNormal   Priority = "NORMAL"
	PriorityHigh     Priority = "HIGH"
	PriorityCritical Priority = "CRITICAL"
)

// Trigger says what asked for an execution.
type Trigger string

// What may ask for an execution.
const (
	TriggerManual   Trigger = "MANUAL"
	TriggerSchedule Trigger = "SCHEDULE"
	TriggerBackfill Trigger = "BACKFILL"
	TriggerRerun    Trigger = "RERUN"
)

// Execution is one run of a pipeline's pinned version. The row that holds it is a projection of
// the workflow with the same id.
type Execution struct {
	ID           string
	Tenant       TenantID
	PipelineID   string
	PipelineName string
	Version      int
	Status       ExecutionStatus
	StatusReason string
	Engine       Engine
	Priority     Priority
	Trigger      Trigger
	// RerunOf is the execution this one runs again, "" for any other.
	RerunOf string
	// ScheduleID and BackfillID are what made it, "" where neither did.
	ScheduleID string
	BackfillID string
	// BackfillAttempt is the attempt of the backfill, from 1.
	BackfillAttempt int
	// Parameters are the values given at execute, a JSON object; declared defaults are not in it.
	Parameters json.RawMessage
	// ExecutionDate is the time the run stands for: the due time of a schedule, else the submission.
	ExecutionDate time.Time
	// LastRun is the start of the pipeline's last COMPLETED execution at submission; zero if none.
	LastRun time.Time
	// EstimatedDuration is the expected time from start to end.
	EstimatedDuration time.Duration
	// EstimatedCostMicros is what it is expected to cost, in millionths of a dollar, nil where nothing is known.
	EstimatedCostMicros *int64
	// MaxActiveRuns is the definition's limit; submission fails where that many are open.
	MaxActiveRuns int

	TotalTasks     int
	CompletedTasks int
	CurrentTask    string
	RowsProcessed  int64
	BytesProcessed int64
	Error          *ExecutionError

	SubmittedBy string
	SubmittedAt time.Time
	StartedAt   time.Time // zero until the first task starts
	EndedAt     time.Time // zero until terminal
}

// Failure classes say who can help: the author of the definition, the owner of a system it
// talks to, or the operator of this service.
const (
	ClassInvalidDefinition = "invalid_definition" // the definition asks for what cannot be done
	ClassSQL               = "sql_error"          // a statement of the definition fails
	ClassData              = "data_error"         // the data are not what the definition says
	ClassQuality           = "quality_check_failed"
	ClassSource            = "source_error"      // the source refused or broke off
	ClassSink              = "sink_error"        // the sink refused or broke off
	ClassConnection        = "connection_error"  // a system could not be reached
	ClassSecret            = "secret_error"      // credentials are missing or unreadable
	ClassForbidden         = "forbidden"         // the sandbox or the egress rules said no
	ClassResources         = "out_of_resources"  // memory, disk or another limit is used up
	ClassTimeout           = "timeout"           // it took longer than the definition allows
	ClassProcessDied       = "task_process_died" // the task process ended without a result
	ClassInternal          = "internal"          // a fault of this service
)

// IsClass reports whether s is a failure class.
func IsClass(s string) bool {
	switch s {
	case ClassInvalidDefinition, ClassSQL, ClassData, ClassQuality, ClassSource, ClassSink, ClassConnection, ClassSecret,
		ClassForbidden, ClassResources, ClassTimeout, ClassProcessDied, ClassInternal:
		return true
	default:
		return false
	}
}

// ExecutionError tells which task ended an execution and why, in words a person can act on.
type ExecutionError struct {
	Task    string `json:"task,omitempty"`
	Class   string `json:"class"`
	Message string `json:"message"`
}

// TaskKind is what a task does.
type TaskKind string

// The kinds of tasks. Connection tests and notifications are tasks too, so that secrets stay in their process.
const (
	TaskSource         TaskKind = "source"
	TaskTransformation TaskKind = "transformation"
	TaskCheck          TaskKind = "quality_check"
	TaskSink           TaskKind = "sink"
	TaskConnectionTest TaskKind = "connection_test"
	TaskNotification   TaskKind = "notification"
)

// TaskState is where one task of an execution stands.
type TaskState string

// The states of a task.
const (
	TaskPending   TaskState = "PENDING"
	TaskRunning   TaskState = "RUNNING"
	TaskSucceeded TaskState = "SUCCEEDED"
	TaskFailed    TaskState = "FAILED"
	TaskCancelled TaskState = "CANCELLED"
	TaskSkipped   TaskState = "SKIPPED"
	TaskReused    TaskState = "REUSED"
)

// TaskRun is what is known of one task of an execution.
type TaskRun struct {
	Name      string
	Kind      TaskKind
	State     TaskState
	Attempts  int
	RowsIn    int64
	RowsOut   int64
	BytesIn   int64
	BytesOut  int64
	StartedAt time.Time
	EndedAt   time.Time
	Error     *ExecutionError
	// Output is where the attempt that succeeded left its rows, relative to the staging root;
	// empty for tasks that leave none.
	Output string
	// Detail is the task's own result (a check's counts), as JSON.
	Detail json.RawMessage
	// Batch is what an incremental source has read. It is written with the task's success and never read back.
	Batch *Batch
	// Lineage is what the columns of its output are made of, a lineage.Step as JSON. It is kept once for all executions of a
	// version, and not read back with the task.
	Lineage json.RawMessage
	// Usage is what the attempt used, nil where nobody knows. It is only told, and not read back: see cost.
	Usage *Usage
}

// LogLine is one line of an execution's log.
type LogLine struct {
	Time    time.Time
	Level   string // DEBUG INFO WARN ERROR
	Task    string // empty for the execution's own lines
	Message string
}
