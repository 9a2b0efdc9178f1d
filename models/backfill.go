package models

import (
	"encoding/json"
	"time"
)

// BackfillStatus is where a backfill stands.
type BackfillStatus string

// A backfill runs until all of its due times have been executed; it pauses on request or where the pipeline cannot be
// executed. One that has ended FAILED or CANCELLED can be retried.
const (
	BackfillRunning    BackfillStatus = "RUNNING"
	BackfillPaused     BackfillStatus = "PAUSED"
	BackfillCancelling BackfillStatus = "CANCELLING"
	BackfillCompleted  BackfillStatus = "COMPLETED"
	BackfillFailed     BackfillStatus = "FAILED" // executions of it did not complete
	BackfillCancelled  BackfillStatus = "CANCELLED"
)

// BackfillStatuses lists every status, open ones first.
var BackfillStatuses = []BackfillStatus{
	BackfillRunning, BackfillPaused, BackfillCancelling, BackfillCompleted, BackfillFailed, BackfillCancelled,
}

// Terminal reports whether the status is an end.
func (s BackfillStatus) Terminal() bool {
	return s == BackfillCompleted || s == BackfillFailed || s == BackfillCancelled
}

// MaxBackfillRuns is how many due times a backfill may have.
const MaxBackfillRuns = 10_000

// Backfill executes a pipeline for the due times of a range. The row that holds it is a projection of the workflow
// with the same id.
type Backfill struct {
	ID         string
	Tenant     TenantID
	PipelineID string
	// ScheduleID is the schedule whose due times they are, "" where only Cron says them.
	ScheduleID string
	Cron       string
	Timezone   string
	SkipDates  []string
	From       time.Time // inclusive
	To         time.Time // exclusive
	// Version of the definition that is executed.
	Version     int
	Parameters  json.RawMessage
	Priority    Priority
	MaxParallel int
	Status      BackfillStatus
	// StatusReason says why it is paused or ended, "" where nothing needs saying.
	StatusReason string
	Total        int // due times
	Completed    int
	Failed       int
	Cancelled    int
	Running      int
	// Attempt counts how often it was begun: 1, and one more for each retry after its end.
	Attempt     int
	SubmittedBy string
	SubmittedAt time.Time
	EndedAt     time.Time // zero until terminal
}
