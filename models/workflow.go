package models

import "time"

// Workflow is what is known of a workflow of the service.
type Workflow struct {
	ID     string
	RunID  string
	Type   string
	Status string // RUNNING, COMPLETED, FAILED, CANCELED, TERMINATED, TIMED_OUT or CONTINUED_AS_NEW
	// Tenant is whose it is; empty for the service's own.
	Tenant     TenantID
	StartedAt  time.Time
	ClosedAt   time.Time // zero while it runs
	Activities []PendingActivity
}

// Running reports whether the workflow has not ended.
func (w Workflow) Running() bool { return w.Status == WorkflowRunning }

// WorkflowRunning is the status of a workflow that has not ended.
const WorkflowRunning = "RUNNING"

// PendingActivity is work that a workflow waits for.
type PendingActivity struct {
	// Name is the task's where the activity runs one, else the activity's type.
	Name        string
	State       string // SCHEDULED, STARTED, CANCEL_REQUESTED, PAUSED or PAUSE_REQUESTED
	Attempt     int
	StartedAt   time.Time // of the attempt; zero while it waits for a worker
	LastFailure string    // why the attempt before failed, for users; empty where there was none
}
