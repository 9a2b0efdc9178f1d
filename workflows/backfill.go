package workflows

import (
	"fmt"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/contract"
)

// Backfill executes a pipeline for every due time of a range that has no COMPLETED execution, some at once, in
// their order. It pauses on request, or where the pipeline cannot be executed, until somebody resumes it.
func Backfill(ctx workflow.Context, in contract.BackfillInput) (contract.BackfillResult, error) {
	b := &backfill{in: in, status: models.BackfillRunning}
	if err := b.setup(ctx); err != nil {
		return contract.BackfillResult{}, err
	}
	return b.run(ctx)
}

// backfill is the state of a run of the workflow.
type backfill struct {
	in     contract.BackfillInput
	plan   contract.BackfillPlan
	status models.BackfillStatus
	reason string
	counts contract.BackfillCounts
	after  time.Time // the last due time that was begun
	// begun are the due times that have not ended, running those of them whose execution has been made.
	begun, running int
	// stop cancels every execution.
	stop workflow.CancelFunc
	// changed says that what is written down is not how things stand; recorded that nothing more will be.
	changed, recorded bool
}

func (b *backfill) setup(ctx workflow.Context) error {
	if r := b.in.Resume; r != nil && r.Paused {
		b.status, b.reason = models.BackfillPaused, r.Reason
	}
	// Before anything that waits, for whoever controls it at once.
	err := workflow.SetUpdateHandlerWithOptions(ctx, contract.ControlBackfillUpdate, b.control, workflow.UpdateHandlerOptions{
		Description: "pause, resume or cancel this backfill",
		Validator:   func(c contract.BackfillControl) error { return b.validate(c) },
	})
	if err != nil {
		return err
	}
	own, release := workflow.NewDisconnectedContext(ctx)
	defer release()
	err = workflow.ExecuteLocalActivity(withRecordPolicy(own, "load "+b.in.BackfillID), contract.LoadBackfillActivity,
		contract.LoadBackfillInput{Tenant: b.in.Tenant, BackfillID: b.in.BackfillID}).Get(own, &b.plan)
	if err != nil {
		return err
	}
	b.counts.Completed = b.plan.Completed
	if r := b.in.Resume; r != nil {
		b.after, b.counts = r.After, r.Counts
	}
	return nil
}

func (b *backfill) run(ctx workflow.Context) (contract.BackfillResult, error) {
	if b.plan.Status.Terminal() { // an attempt that was started twice
		b.recorded = true
		return contract.BackfillResult{Status: b.plan.Status, Counts: b.counts}, nil
	}
	own, release := workflow.NewDisconnectedContext(ctx)
	defer release()
	executions, stop := workflow.WithCancel(own)
	if b.stop = stop; b.status == models.BackfillCancelling {
		stop()
	}
	workflow.Go(own, func(own workflow.Context) {
		selector := workflow.NewSelector(own)
		selector.AddReceive(ctx.Done(), func(workflow.ReceiveChannel, bool) { b.cancel("cancelled on request") })
		selector.Select(own)
	})
	workflow.Go(own, b.record)
	b.show(own)
	rest, err := b.execute(executions)
	if err != nil && !temporal.IsCanceledError(err) {
		return contract.BackfillResult{}, err
	}
	if err := workflow.Await(own, func() bool { return b.begun == 0 }); err != nil {
		return contract.BackfillResult{}, err
	}
	if rest && b.status != models.BackfillCancelling {
		return contract.BackfillResult{}, b.renew(own)
	}
	return b.finish(own)
}

// execute begins one due time after the other, as many at once as may be. It answers whether some are left because
// the history is long enough to be continued as new.
func (b *backfill) execute(ctx workflow.Context) (rest bool, err error) {
	for {
		var next contract.NextDueTimesResult
		err := workflow.ExecuteLocalActivity(withRecordPolicy(ctx, "next due times"), contract.NextDueTimesActivity,
			contract.NextDueTimesInput{Tenant: b.in.Tenant, BackfillID: b.in.BackfillID, After: b.after}).Get(ctx, &next)
		if err != nil || len(next.DueTimes) == 0 {
			return false, err
		}
		for _, due := range next.DueTimes {
			err := workflow.Await(ctx, func() bool { return b.status == models.BackfillRunning && b.begun < b.plan.MaxParallel })
			if err != nil {
				return false, err
			}
			if workflow.GetInfo(ctx).GetContinueAsNewSuggested() {
				return true, nil
			}
			b.after = due
			b.begun++
			workflow.Go(ctx, func(ctx workflow.Context) {
				b.one(ctx, due)
				b.begun--
			})
		}
	}
}

// one executes a due time. Where that cannot be done the backfill pauses, and this waits with it.
func (b *backfill) one(ctx workflow.Context, due time.Time) {
	for try := 0; ; try++ {
		if workflow.Await(ctx, func() bool { return b.status == models.BackfillRunning }) != nil {
			return // cancelled before it was made
		}
		var submitted contract.Submitted
		err := workflow.ExecuteLocalActivity(withRecordPolicy(ctx, "submit "+due.Format(time.RFC3339)), contract.SubmitBackfilledActivity,
			contract.SubmitBackfilledInput{Tenant: b.in.Tenant, BackfillID: b.in.BackfillID, Attempt: b.in.Attempt, DueAt: due}).Get(ctx, &submitted)
		switch {
		case temporal.IsCanceledError(err):
			return
		case err != nil:
			b.pause(ctx, "the service failed; its log has the details")
		case submitted.Refused != "":
			b.pause(ctx, submitted.Refused)
		case submitted.Busy != "":
			if pauseBefore(ctx, try, "until it can be executed") != nil {
				return
			}
		default:
			b.await(ctx, *submitted.Execution)
			return
		}
	}
}

// await waits for the end of an execution.
func (b *backfill) await(ctx workflow.Context, e models.Execution) {
	b.running++
	b.changed = true
	status, err := runExecution(ctx, e)
	b.running--
	switch {
	case err == nil && status == models.ExecutionCompleted:
		b.counts.Completed++
	case err == nil && status == models.ExecutionCancelled:
		b.counts.Cancelled++
	default:
		b.counts.Failed++
	}
	b.show(ctx)
}

// validate refuses what a backfill that is about to end cannot do, before it enters the history.
func (b *backfill) validate(c contract.BackfillControl) error {
	switch {
	case c.Action != contract.ActionPause && c.Action != contract.ActionResume && c.Action != contract.ActionCancel:
		return temporal.NewNonRetryableApplicationError("a backfill can be paused, resumed and cancelled", string(models.CodeInvalidRequest), nil)
	case b.recorded, b.status == models.BackfillCancelling && c.Action != contract.ActionCancel:
		return temporal.NewNonRetryableApplicationError("the backfill is about to end", string(models.CodeBackfillClosed), nil)
	default:
		return nil
	}
}

// control does what a person asks for. Asking again changes nothing.
func (b *backfill) control(ctx workflow.Context, c contract.BackfillControl) (contract.BackfillControlled, error) {
	switch c.Action {
	case contract.ActionPause:
		if b.status == models.BackfillRunning {
			b.pause(ctx, "paused by "+c.By)
		}
	case contract.ActionResume:
		if b.status == models.BackfillPaused {
			b.status, b.reason = models.BackfillRunning, ""
			b.show(ctx)
		}
	default:
		b.cancel("cancelled by " + c.By)
		b.show(ctx)
	}
	// The answer comes once the database says the same.
	err := workflow.Await(ctx, func() bool { return !b.changed || b.recorded })
	return contract.BackfillControlled{Status: b.status}, err
}

func (b *backfill) pause(ctx workflow.Context, reason string) {
	if b.status == models.BackfillRunning {
		b.status, b.reason = models.BackfillPaused, reason
		b.show(ctx)
	}
}

func (b *backfill) cancel(reason string) {
	if b.status != models.BackfillCancelling {
		b.status, b.reason, b.changed = models.BackfillCancelling, reason, true
		if b.stop != nil {
			b.stop()
		}
	}
}

// show tells the Web UI how things stand, and has it written down.
func (b *backfill) show(ctx workflow.Context) {
	b.changed = true
	text := fmt.Sprintf("%s: %d of %d completed, %d failed, %d cancelled", b.status, b.counts.Completed, b.plan.Total, b.counts.Failed, b.counts.Cancelled)
	workflow.SetCurrentDetails(ctx, worded(text, b.reason))
}

// record writes down how things stand whenever that has changed: one write at a time, so that a later one never
// gives way to an earlier one, and one for all that changed meanwhile.
func (b *backfill) record(ctx workflow.Context) {
	for {
		if workflow.Await(ctx, func() bool { return b.changed || b.recorded }) != nil || b.recorded {
			return
		}
		b.changed = false
		if err := b.step(ctx, b.status, b.reason); err != nil {
			workflow.GetLogger(ctx).Error("the backfill's progress was not recorded", "error", err)
		}
	}
}

func (b *backfill) step(ctx workflow.Context, status models.BackfillStatus, reason string) error {
	return workflow.ExecuteLocalActivity(withRecordPolicy(ctx, "record "+string(status)), contract.StepBackfillActivity,
		contract.StepBackfillInput{
			Tenant: b.in.Tenant, BackfillID: b.in.BackfillID, Attempt: b.in.Attempt, Status: status, Reason: reason,
			Counts: b.counts, Running: b.running, At: workflow.Now(ctx),
		}).Get(ctx, nil)
}

// renew goes on in a new run with a short history.
func (b *backfill) renew(ctx workflow.Context) error {
	if err := workflow.Await(ctx, func() bool { return !b.changed && workflow.AllHandlersFinished(ctx) }); err != nil {
		return err
	}
	return workflow.NewContinueAsNewError(ctx, contract.BackfillWorkflow, contract.BackfillInput{
		Tenant: b.in.Tenant, BackfillID: b.in.BackfillID, Attempt: b.in.Attempt,
		Resume: &contract.BackfillResume{
			After: b.after, Counts: b.counts, Paused: b.status == models.BackfillPaused, Reason: b.reason,
		},
	})
}

// finish records the end.
func (b *backfill) finish(ctx workflow.Context) (contract.BackfillResult, error) {
	status, reason := models.BackfillCompleted, ""
	switch {
	case b.status == models.BackfillCancelling:
		status, reason = models.BackfillCancelled, b.reason
	case b.counts.Failed+b.counts.Cancelled > 0:
		status, reason = models.BackfillFailed, fmt.Sprintf("%d of %d executions did not complete", b.counts.Failed+b.counts.Cancelled, b.plan.Total)
	}
	b.recorded = true
	if err := b.step(ctx, status, reason); err != nil {
		return contract.BackfillResult{}, err
	}
	if err := workflow.Await(ctx, func() bool { return workflow.AllHandlersFinished(ctx) }); err != nil {
		return contract.BackfillResult{}, err
	}
	b.status = status
	workflow.SetCurrentDetails(ctx, worded(string(status), reason))
	err := workflow.UpsertTypedSearchAttributes(ctx, contract.SearchPipelineStatus.ValueSet(string(status)))
	return contract.BackfillResult{Status: status, Counts: b.counts}, err
}
