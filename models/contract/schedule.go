package contract

import (
	"context"
	"errors"
	"fmt"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/cron"
)

// ScheduledExecutionWorkflow makes the execution of one due time. Temporal Schedules start it with the schedule's
// id and the due time as its id, and their overlap policy looks at it.
const ScheduledExecutionWorkflow = "ScheduledExecutionWorkflow"

// Activity types of schedules.
const (
	SubmitScheduledActivity = "SubmitScheduled"
	RequestCancelActivity   = "RequestCancel"
	SyncSchedulesActivity   = "SyncSchedules"
)

// SearchScheduledStartTime is the due time that Temporal notes on workflows that its Schedules start.
var SearchScheduledStartTime = temporal.NewSearchAttributeKeyTime("TemporalScheduledStartTime")

// ScheduledExecutionInput starts a ScheduledExecutionWorkflow.
type ScheduledExecutionInput struct {
	Tenant     models.TenantID
	ScheduleID string
}

// SubmitScheduledInput asks for the execution of a due time.
type SubmitScheduledInput struct {
	Tenant     models.TenantID
	ScheduleID string
	WorkflowID string // which the execution's id is derived from
	DueAt      time.Time
	StartedAt  time.Time // of the workflow
	// Withdrawn says that nobody wants the execution any more, which could not be made so far.
	Withdrawn bool `json:",omitempty"`
}

// Submitted is what became of an execution that was asked for: exactly one of its fields is set.
type Submitted struct {
	// Execution is what a workflow is to be started for, without its parameters.
	Execution *models.Execution `json:",omitempty"`
	// Busy says why it cannot be made now: the pipeline runs as often as it may, or the tenant has as many
	// executions as it may.
	Busy string `json:",omitempty"`
	// Refused says why it cannot be made at all.
	Refused string `json:",omitempty"`
}

// ScheduledExecutionResult is what became of a due time.
type ScheduledExecutionResult struct {
	ExecutionID string                 `json:",omitempty"`
	Status      models.ExecutionStatus `json:",omitempty"`
	Reason      string                 `json:",omitempty"`
}

// RequestCancelInput asks for an execution to be CANCELLING.
type RequestCancelInput struct {
	Tenant      models.TenantID
	ExecutionID string
}

// SyncSchedulesResult counts what a comparison of schedules with Temporal's did.
type SyncSchedulesResult struct {
	Applied int // schedules made, changed or removed in Temporal
	Skipped int // due times found to have been left out by the overlap policy
	Missed  int // due times found to have been missed
}

var overlaps = map[models.OverlapPolicy]enumspb.ScheduleOverlapPolicy{
	models.OverlapSkip:        enumspb.SCHEDULE_OVERLAP_POLICY_SKIP,
	models.OverlapBufferOne:   enumspb.SCHEDULE_OVERLAP_POLICY_BUFFER_ONE,
	models.OverlapBufferAll:   enumspb.SCHEDULE_OVERLAP_POLICY_BUFFER_ALL,
	models.OverlapAllowAll:    enumspb.SCHEDULE_OVERLAP_POLICY_ALLOW_ALL,
	models.OverlapCancelOther: enumspb.SCHEDULE_OVERLAP_POLICY_CANCEL_OTHER,
}

// ApplySchedule makes Temporal's Schedule with a schedule's id what the schedule says: makes it, changes it, or
// removes it where the schedule is deleted. Repeating it is harmless.
func ApplySchedule(ctx context.Context, schedules client.ScheduleClient, s models.Schedule) error {
	var missing *serviceerror.NotFound
	if s.Deleted {
		if err := schedules.GetHandle(ctx, s.ID).Delete(ctx); err != nil && !errors.As(err, &missing) {
			return err
		}
		return nil
	}
	want, err := scheduleOptions(s)
	if err != nil {
		return err
	}
	if s.Revision > 1 {
		if err := updateSchedule(ctx, schedules, want); !errors.As(err, &missing) {
			return err
		}
	}
	_, err = schedules.Create(ctx, want)
	if errors.Is(err, temporal.ErrScheduleAlreadyRunning) {
		return updateSchedule(ctx, schedules, want)
	}
	return err
}

func updateSchedule(ctx context.Context, schedules client.ScheduleClient, want client.ScheduleOptions) error {
	return schedules.GetHandle(ctx, want.ID).Update(ctx, client.ScheduleUpdateOptions{
		DoUpdate: func(client.ScheduleUpdateInput) (*client.ScheduleUpdate, error) {
			return &client.ScheduleUpdate{Schedule: &client.Schedule{
				Spec: &want.Spec, Action: want.Action,
				Policy: &client.SchedulePolicies{Overlap: want.Overlap, CatchupWindow: want.CatchupWindow},
				State:  &client.ScheduleState{Note: want.Note, Paused: want.Paused},
			}}, nil
		},
	})
}

func scheduleOptions(s models.Schedule) (client.ScheduleOptions, error) {
	expression, err := cron.Parse(s.Cron)
	if err != nil {
		return client.ScheduleOptions{}, err
	}
	spec := client.ScheduleSpec{TimeZoneName: s.Timezone, Jitter: s.Jitter}
	for _, c := range expression.Calendars() {
		spec.Calendars = append(spec.Calendars, client.ScheduleCalendarSpec{
			Minute: ranges(c.Minutes), Hour: ranges(c.Hours), DayOfMonth: ranges(c.DaysOfMonth), Month: ranges(c.Months),
			DayOfWeek: ranges(c.DaysOfWeek),
		})
	}
	for _, date := range s.SkipDates {
		day, err := time.Parse(time.DateOnly, date)
		if err != nil {
			return client.ScheduleOptions{}, err
		}
		spec.Skip = append(spec.Skip, client.ScheduleCalendarSpec{
			Minute: []client.ScheduleRange{{End: 59}}, Hour: []client.ScheduleRange{{End: 23}},
			DayOfMonth: ranges([]int{day.Day()}), Month: ranges([]int{int(day.Month())}), Year: ranges([]int{day.Year()}),
		})
	}
	attributes := temporal.NewSearchAttributes(
		SearchTenantID.ValueSet(string(s.Tenant)), SearchPipelineID.ValueSet(s.PipelineID),
		SearchTriggerType.ValueSet(string(models.TriggerSchedule)),
	)
	memo := map[string]any{MemoTenant: string(s.Tenant)}
	return client.ScheduleOptions{
		ID: s.ID, Spec: spec, Overlap: overlaps[s.Overlap], CatchupWindow: s.CatchupWindow, Note: s.Note, Paused: !s.Enabled,
		TypedSearchAttributes: attributes, Memo: memo,
		Action: &client.ScheduleWorkflowAction{
			ID: s.ID, Workflow: ScheduledExecutionWorkflow, TaskQueue: QueueControl,
			Args:                  []any{ScheduledExecutionInput{Tenant: s.Tenant, ScheduleID: s.ID}},
			TypedSearchAttributes: attributes, Memo: memo,
			StaticSummary: Summary(fmt.Sprintf("Due time of %s: %s %s", s.ID, s.Cron, s.Timezone)),
			StaticDetails: fmt.Sprintf("Schedule %s of pipeline %s\n\nTenant %s", s.ID, s.PipelineID, s.Tenant),
			Priority:      temporal.Priority{PriorityKey: PriorityKey(models.PriorityNormal), FairnessKey: string(s.Tenant)},
		},
	}, nil
}

// ranges joins ascending values.
func ranges(values []int) []client.ScheduleRange {
	var all []client.ScheduleRange
	for _, v := range values {
		if last := len(all) - 1; last >= 0 && all[last].End == v-1 {
			all[last].End = v
		} else {
			all = append(all, client.ScheduleRange{Start: v, End: v})
		}
	}
	return all
}
