// Package backfill makes the executions of backfills and keeps their rows in step with their workflows.
package backfill

import (
	"context"
	"log/slog"
	"time"

	"github.com/matih/pipeline-service/activities/failure"
	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/contract"
	"github.com/matih/pipeline-service/models/cron"
	"github.com/matih/pipeline-service/models/store"
	"github.com/matih/pipeline-service/models/submission"
)

// batch is how many due times are handed to a workflow at once.
const batch = 100

// Backfills does what workflows ask for.
type Backfills struct {
	Store    *store.Store
	Defaults submission.Defaults
	Log      *slog.Logger
}

// Load tells what a workflow needs to know of its backfill.
func (a *Backfills) Load(ctx context.Context, in contract.LoadBackfillInput) (contract.BackfillPlan, error) {
	t := a.Store.ForTenant(in.Tenant)
	b, err := t.Backfill(ctx, in.BackfillID)
	if err != nil {
		return contract.BackfillPlan{}, notThere(err)
	}
	// The row may not have heard of the last ones where a workflow was terminated.
	completed, err := t.CompletedDueTimes(ctx, b.ID, b.From, b.To)
	return contract.BackfillPlan{
		Status: b.Status, Reason: b.StatusReason, Total: b.Total, Completed: len(completed), MaxParallel: b.MaxParallel,
	}, err
}

// Next returns the next due times that have no COMPLETED execution.
func (a *Backfills) Next(ctx context.Context, in contract.NextDueTimesInput) (contract.NextDueTimesResult, error) {
	t := a.Store.ForTenant(in.Tenant)
	b, err := t.Backfill(ctx, in.BackfillID)
	if err != nil {
		return contract.NextDueTimesResult{}, notThere(err)
	}
	times, err := cron.NewTimes(b.Cron, b.Timezone, b.SkipDates)
	if err != nil {
		return contract.NextDueTimesResult{}, err
	}
	from := b.From
	if !in.After.IsZero() {
		from = in.After.Add(time.Nanosecond)
	}
	for {
		due := times.Between(from, b.To, batch)
		if len(due) == 0 {
			return contract.NextDueTimesResult{}, nil
		}
		last := due[len(due)-1]
		completed, err := t.CompletedDueTimes(ctx, b.ID, due[0], last)
		if err != nil {
			return contract.NextDueTimesResult{}, err
		}
		var open []time.Time
		for _, at := range due {
			if !completed[at] {
				open = append(open, at)
			}
		}
		if len(open) > 0 {
			return contract.NextDueTimesResult{DueTimes: open}, nil
		}
		from = last.Add(time.Nanosecond)
	}
}

// Submit makes the execution of a due time, or says why there is none. Repeating it finds the one it has made.
func (a *Backfills) Submit(ctx context.Context, in contract.SubmitBackfilledInput) (contract.Submitted, error) {
	t := a.Store.ForTenant(in.Tenant)
	b, err := t.Backfill(ctx, in.BackfillID)
	if err != nil {
		return contract.Submitted{}, notThere(err)
	}
	e, err := a.Defaults.Prepare(ctx, t, submission.Request{
		ID: models.NewID(models.PrefixExecution), PipelineID: b.PipelineID, Version: b.Version, Parameters: b.Parameters,
		Priority: b.Priority, Trigger: models.TriggerBackfill, ExecutionDate: in.DueAt.UTC(), SubmittedAt: time.Now().UTC(),
		SubmittedBy: b.SubmittedBy, ScheduleID: b.ScheduleID, BackfillID: b.ID, BackfillAttempt: in.Attempt,
	})
	if err == nil {
		e, err = t.SubmitBackfilled(ctx, e)
	}
	switch code := models.CodeOf(err); {
	case err == nil:
		e.Parameters = nil
		return contract.Submitted{Execution: &e}, nil
	case code == models.CodePipelineRunning, code == models.CodeQuotaExceeded:
		return contract.Submitted{Busy: submission.Reason(err)}, nil
	case !submission.Final(code):
		return contract.Submitted{}, err
	default:
		a.Log.WarnContext(ctx, "backfill refused", "tenant", in.Tenant, "backfill", b.ID, "due", in.DueAt, "error", err)
		return contract.Submitted{Refused: submission.Reason(err)}, nil
	}
}

// Step writes down where a backfill stands.
func (a *Backfills) Step(ctx context.Context, in contract.StepBackfillInput) error {
	err := a.Store.ForTenant(in.Tenant).StepBackfill(ctx, in.BackfillID, store.BackfillStep{
		Attempt: in.Attempt, Status: in.Status, Reason: in.Reason, Completed: in.Counts.Completed, Failed: in.Counts.Failed,
		Cancelled: in.Counts.Cancelled, Running: in.Running, At: in.At,
	})
	return notThere(err)
}

// notThere makes a missing backfill final: no retry brings a row back.
func notThere(err error) error {
	if models.CodeOf(err) == models.CodeNotFound || models.CodeOf(err) == models.CodeInvalidTenant {
		return failure.Final(&models.ExecutionError{Class: models.ClassInternal, Message: "the backfill is not in the database"})
	}
	return err
}
