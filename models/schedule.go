package models

import (
	"encoding/json"
	"time"
)

// OverlapPolicy says what happens at a due time while the schedule's execution of an earlier one has not ended.
type OverlapPolicy string

// The policies, which are those of Temporal Schedules.
const (
	OverlapSkip        OverlapPolicy = "skip"         // the due time is left out
	OverlapBufferOne   OverlapPolicy = "buffer_one"   // it waits, if none waits yet
	OverlapBufferAll   OverlapPolicy = "buffer_all"   // it waits
	OverlapAllowAll    OverlapPolicy = "allow_all"    // both run
	OverlapCancelOther OverlapPolicy = "cancel_other" // the earlier one is cancelled first
)

// Schedule executes a pipeline at the due times of a cron expression. The row that holds it is the truth; the
// Temporal Schedule with the same id is made after it.
type Schedule struct {
	ID         string
	Tenant     TenantID
	PipelineID string
	Cron       string // see package cron
	Timezone   string // IANA name
	// Parameters are the values of every execution, a JSON object.
	Parameters json.RawMessage
	Enabled    bool
	// Note says in a person's words why the schedule is as it is, such as why it is paused.
	Note    string
	Overlap OverlapPolicy
	// CatchupWindow is how late a due time may be made up for after an outage.
	CatchupWindow time.Duration
	// Jitter is the most by which an execution is delayed at random, so that not all start at once.
	Jitter time.Duration
	// SkipDates are days of the time zone that are left out, such as 2026-12-25.
	SkipDates []string
	Revision  int64 // counts every change; the ETag is made of it
	// Deleted says that the schedule is gone for its users, and that its Temporal Schedule is to go.
	Deleted   bool
	CreatedBy string
	CreatedAt time.Time
	UpdatedAt time.Time
	// Recent are the last five due times that have passed, the latest first.
	Recent []DueTime
}

// DueOutcome is what became of a due time.
type DueOutcome string

// The outcomes of a due time.
const (
	DueStarted DueOutcome = "STARTED"
	DueSkipped DueOutcome = "SKIPPED" // by the overlap policy
	DueRefused DueOutcome = "REFUSED" // the pipeline could not be executed
	DueMissed  DueOutcome = "MISSED"  // the service was away for longer than the catch-up window
)

// DueTime is a due time of a schedule that has passed.
type DueTime struct {
	DueAt   time.Time  `json:"dueAt"`
	Outcome DueOutcome `json:"outcome"`
	// ExecutionID is the execution it made, "" where it made none.
	ExecutionID string `json:"executionId,omitempty"`
	// Status is where the execution stands.
	Status ExecutionStatus `json:"-"`
	Reason string          `json:"reason,omitempty"` // why it made none
}
