// Package schedule makes executions of the due times of schedules, and keeps Temporal's Schedules like ours.
package schedule

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/contract"
	"github.com/matih/pipeline-service/models/cron"
	"github.com/matih/pipeline-service/models/store"
	"github.com/matih/pipeline-service/models/submission"
)

// Submissions makes the executions of due times.
type Submissions struct {
	Store    *store.Store
	Defaults submission.Defaults
	Log      *slog.Logger
}

// Submit makes the execution of a due time, or says why there is none. A due time that makes none because the
// pipeline cannot be executed opens an alert. Repeating it finds the execution it has made.
func (a *Submissions) Submit(ctx context.Context, in contract.SubmitScheduledInput) (contract.Submitted, error) {
	t := a.Store.ForTenant(in.Tenant)
	s, err := t.Schedule(ctx, in.ScheduleID)
	if models.CodeOf(err) == models.CodeNotFound {
		return contract.Submitted{Refused: "the schedule is deleted"}, nil
	}
	if err != nil {
		return contract.Submitted{}, err
	}
	times, err := cron.NewTimes(s.Cron, s.Timezone, s.SkipDates)
	if err != nil {
		return contract.Submitted{}, err
	}
	next := times.Next(in.DueAt)
	if in.Withdrawn {
		due := models.DueTime{DueAt: in.DueAt, Outcome: models.DueSkipped, Reason: "cancelled before it could be executed"}
		return contract.Submitted{Refused: due.Reason}, gone(t.RecordDue(ctx, s.ID, due, next))
	}
	e, err := a.Defaults.Prepare(ctx, t, submission.Request{
		ID: models.DerivedID(models.PrefixExecution, in.StartedAt, in.WorkflowID), PipelineID: s.PipelineID,
		Parameters: s.Parameters, Trigger: models.TriggerSchedule, ExecutionDate: in.DueAt.UTC(), SubmittedAt: time.Now().UTC(),
		SubmittedBy: s.CreatedBy, ScheduleID: s.ID,
	})
	if err == nil {
		e, err = t.SubmitScheduled(ctx, e, next)
	}
	due := models.DueTime{DueAt: in.DueAt, Reason: submission.Reason(err)}
	switch code := models.CodeOf(err); {
	case err == nil:
		e.Parameters = nil
		a.Log.InfoContext(ctx, "due time submitted", "tenant", in.Tenant, "schedule", s.ID, "due", in.DueAt, "execution", e.ID)
		return contract.Submitted{Execution: &e}, t.ResolveAlert(ctx, s.PipelineID, models.AlertScheduleMissed, time.Now())
	case code == models.CodePipelineRunning && s.Overlap == models.OverlapSkip:
		due.Outcome = models.DueSkipped
		return contract.Submitted{Refused: due.Reason}, gone(t.RecordDue(ctx, s.ID, due, next))
	case code == models.CodePipelineRunning, code == models.CodeQuotaExceeded:
		return contract.Submitted{Busy: due.Reason}, nil
	case !submission.Final(code):
		return contract.Submitted{}, err
	default:
		due.Outcome = models.DueRefused
		a.Log.WarnContext(ctx, "due time refused", "tenant", in.Tenant, "schedule", s.ID, "due", in.DueAt, "error", err)
		return contract.Submitted{Refused: due.Reason}, missed(ctx, t, s, due, next)
	}
}

// missed records a due time that made no execution although it should have, and opens an alert.
func missed(ctx context.Context, t *store.Tenant, s models.Schedule, due models.DueTime, next time.Time) error {
	err := t.OpenAlert(ctx, models.Alert{
		PipelineID: s.PipelineID, Rule: models.AlertScheduleMissed, Severity: models.SeverityCritical,
		Message:    fmt.Sprintf("schedule %s made no execution of %s: %s", s.ID, due.DueAt.UTC().Format(time.RFC3339), due.Reason),
		Occurrence: s.ID + " " + due.DueAt.UTC().Format(time.RFC3339),
	})
	if err != nil && models.CodeOf(err) != models.CodeNotFound {
		return err
	}
	return gone(t.RecordDue(ctx, s.ID, due, next))
}

// gone makes nothing of a schedule that was deleted meanwhile.
func gone(err error) error {
	if models.CodeOf(err) == models.CodeNotFound {
		return nil
	}
	return err
}
