package store

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"github.com/matih/pipeline-service/models"
)

type executionRow struct {
	bun.BaseModel `bun:"table:executions,alias:e"`

	TenantID        models.TenantID
	ID              string
	PipelineID      string
	PipelineName    string
	Version         int
	Status          models.ExecutionStatus
	StatusReason    string
	Engine          models.Engine
	Priority        models.Priority
	TriggerType     models.Trigger
	Parameters      string
	ExecutionDate   instant
	LastRun         instant
	EstimatedMicros int64
	MaxActiveRuns   int
	RunSlot         *int // see runSlot; nil when terminal
	RerunOf         string
	SLAMicros       int64   `bun:"sla_micros"` // how long it may take; 0 is as long as it likes
	SLADue          instant `bun:"sla_due"`    // when that will be over; zero before it starts and once that was told
	Notify          string  // JSON: the events that each of its webhooks is told of; "" is none
	ScheduleID      string
	BackfillID      string
	BackfillAttempt int

	// EstimatedCostMicros is nil where nothing is known.
	EstimatedCostMicros *int64

	TotalTasks     int
	CompletedTasks int
	CurrentTask    string
	RowsProcessed  int64
	BytesProcessed int64
	Error          string
	LogSeq         int64 // of the last log line

	SubmittedBy string
	SubmittedAt instant
	StartedAt   instant
	EndedAt     instant
}

func newExecutionRow(e models.Execution) *executionRow {
	return &executionRow{
		TenantID: e.Tenant, ID: e.ID, PipelineID: e.PipelineID, PipelineName: e.PipelineName, Version: e.Version,
		Status: e.Status, StatusReason: e.StatusReason, Engine: e.Engine, Priority: e.Priority, TriggerType: e.Trigger,
		Parameters: string(e.Parameters), ExecutionDate: at(e.ExecutionDate), LastRun: at(e.LastRun),
		EstimatedMicros: e.EstimatedDuration.Microseconds(), MaxActiveRuns: e.MaxActiveRuns, RerunOf: e.RerunOf,
		ScheduleID: e.ScheduleID, BackfillID: e.BackfillID, BackfillAttempt: e.BackfillAttempt,
		SubmittedBy: e.SubmittedBy, SubmittedAt: at(e.SubmittedAt),
	}
}

func (r *executionRow) model() models.Execution {
	return models.Execution{
		ID: r.ID, Tenant: r.TenantID, PipelineID: r.PipelineID, PipelineName: r.PipelineName, Version: r.Version,
		Status: r.Status, StatusReason: r.StatusReason, Engine: r.Engine, Priority: r.Priority, Trigger: r.TriggerType,
		Parameters: rawJSON(r.Parameters), ExecutionDate: r.ExecutionDate.Time, LastRun: r.LastRun.Time,
		EstimatedDuration: time.Duration(r.EstimatedMicros) * time.Microsecond, EstimatedCostMicros: r.EstimatedCostMicros, MaxActiveRuns: r.MaxActiveRuns, RerunOf: r.RerunOf,
		ScheduleID: r.ScheduleID, BackfillID: r.BackfillID, BackfillAttempt: r.BackfillAttempt,
		TotalTasks: r.TotalTasks, CompletedTasks: r.CompletedTasks, CurrentTask: r.CurrentTask,
		RowsProcessed: r.RowsProcessed, BytesProcessed: r.BytesProcessed, Error: unmarshalError(r.Error),
		SubmittedBy: r.SubmittedBy, SubmittedAt: r.SubmittedAt.Time, StartedAt: r.StartedAt.Time, EndedAt: r.EndedAt.Time,
	}
}

type taskRow struct {
	bun.BaseModel `bun:"table:task_runs,alias:tr"`

	TenantID    models.TenantID
	ExecutionID string
	Name        string
	Position    int // in the plan, from 0
	Kind        models.TaskKind
	State       models.TaskState
	Attempts    int
	RowsIn      int64
	RowsOut     int64
	BytesIn     int64
	BytesOut    int64
	StartedAt   instant
	EndedAt     instant
	Error       string
	Output      string
	Detail      string
}

// become takes over what an attempt says of the task; which task it is stays.
func (r taskRow) become(run models.TaskRun) (taskRow, error) {
	failure, err := marshalError(run.Error)
	r.State, r.Attempts = run.State, run.Attempts
	r.RowsIn, r.RowsOut, r.BytesIn, r.BytesOut = run.RowsIn, run.RowsOut, run.BytesIn, run.BytesOut
	if !run.StartedAt.IsZero() {
		r.StartedAt = at(run.StartedAt)
	}
	r.EndedAt, r.Error, r.Output, r.Detail = at(run.EndedAt), failure, run.Output, string(run.Detail)
	return r, err
}

func (r *taskRow) model() models.TaskRun {
	return models.TaskRun{
		Name: r.Name, Kind: r.Kind, State: r.State, Attempts: r.Attempts,
		RowsIn: r.RowsIn, RowsOut: r.RowsOut, BytesIn: r.BytesIn, BytesOut: r.BytesOut,
		StartedAt: r.StartedAt.Time, EndedAt: r.EndedAt.Time, Error: unmarshalError(r.Error),
		Output: r.Output, Detail: rawJSON(r.Detail),
	}
}

// completed is what a task adds to its execution's completed tasks.
func (r *taskRow) completed() int {
	if r.State == models.TaskSucceeded || r.State == models.TaskReused {
		return 1
	}
	return 0
}

// read is what a task adds to the rows and bytes that its execution's sources have read. One that is reused
// has read nothing this time.
func (r *taskRow) read() (rows, bytes int64) {
	if r.Kind != models.TaskSource || r.State == models.TaskReused {
		return 0, 0
	}
	return r.RowsIn, r.BytesIn
}

func marshalError(e *models.ExecutionError) (string, error) {
	if e == nil {
		return "", nil
	}
	text, err := json.Marshal(e)
	if err != nil {
		return "", fmt.Errorf("store: an execution's error: %w", err)
	}
	return string(text), nil
}

func unmarshalError(text string) *models.ExecutionError {
	e := new(models.ExecutionError)
	if text == "" || json.Unmarshal([]byte(text), e) != nil {
		return nil // only marshalError writes the columns
	}
	return e
}
