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
	b := &backfill{in: in}
	if err := b.setup(ctx); err != nil {
		return contract.BackfillResult{}, err
	}
	return b.run(ctx)
}

// backfill is the state of a run of the workflow.
type backfill struct {
	in     contract.BackfillInput
	plan   contract.BackfillPlan
	loaded bool // the plan
	status models.BackfillStatus
	reason string
	counts contract.BackfillCounts
	after  time.Time // the last due time whose execution was made
	// running is how many executions have not ended.
	running int
	// stop cancels every execution.
	stop workflow.CancelFunc
	// changes counts what has changed of what is written down, written how many of these changes have been.
	changes, written int
	// writing says that a write is under way, closing that nobody can change anything any more.
	writing, closing bool
}

func (b *backfill) setup(ctx workflow.Context) error {
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
	if r := b.in.Resume; r != nil {
		b.after, b.counts, b.status, b.reason = r.After, r.Counts, r.Status, r.Reason
	} else {
		// An earlier run may have been terminated while it was paused or about to end.
		b.counts.Completed, b.status, b.reason = b.plan.Completed, b.plan.Status, b.plan.Reason
	}
	b.closing = b.plan.Status.Terminal() // an attempt that was started twice
	b.loaded = true
	return nil
}

func (b *backfill) run(ctx workflow.Context) (contract.BackfillResult, error) {
	own, release := workflow.NewDisconnectedContext(ctx)
	defer release()
	if b.closing {
		err := workflow.Await(own, func() bool { return workflow.AllHandlersFinished(own) })
		return contract.BackfillResult{Status: b.plan.Status, Counts: b.counts}, err
	}
	executions, stop := workflow.WithCancel(own)
	if b.stop = stop; b.status == models.BackfillCancelling {
		stop()
	}
	workflow.Go(own, func(own workflow.Context) {
		ctx.Done().Receive(own, nil)
		b.cancel(own, "cancelled on request")
	})
	workflow.Go(own, b.record)
	b.show(own)
	rest, err := b.execute(executions)
	if err != nil && !temporal.IsCanceledError(err) {
		return contract.BackfillResult{}, err
	}
	if err := workflow.Await(own, func() bool { return b.running == 0 }); err != nil {
		return contract.BackfillResult{}, err
	}
	if rest && b.status != models.BackfillCancelling {
		return contract.BackfillResult{}, b.renew(own)
	}
	return b.finish(own)
}

// execute makes the execution of one due time after the other, in their order, and has as many run at once as may. It
// answers whether some are left because the history is long enough to be continued as new.
func (b *backfill) execute(ctx workflow.Context) (rest bool, err error) {
	for {
		var next contract.NextDueTimesResult
		err := workflow.ExecuteLocalActivity(withRecordPolicy(ctx, "next due times"), contract.NextDueTimesActivity,
			contract.NextDueTimesInput{Tenant: b.in.Tenant, BackfillID: b.in.BackfillID, After: b.after}).Get(ctx, &next)
		if err != nil || len(next.DueTimes) == 0 {
			return false, err
		}
		for _, due := range next.DueTimes {
			execution, err := b.submit(ctx, due)
			if err != nil || execution == nil {
				return execution == nil, err
			}
			b.after = due
			b.running++
			b.changes++
			workflow.Go(ctx, func(ctx workflow.Context) { b.await(ctx, *execution) })
		}
	}
}

// submit makes the execution of a due time. Where that cannot be done the backfill pauses, and this waits with it. The
// answer is nothing where the history is long enough to be continued as new.
func (b *backfill) submit(ctx workflow.Context, due time.Time) (*models.Execution, error) {
	// An execution that was made must be known, even where everything is cancelled meanwhile.
	own, release := workflow.NewDisconnectedContext(ctx)
	defer release()
	for busy := 0; ; {
		err := workflow.Await(ctx, func() bool { return b.status == models.BackfillRunning && b.running < b.plan.MaxParallel })
		if err != nil {
			return nil, err
		}
		if workflow.GetInfo(ctx).GetContinueAsNewSuggested() {
			return nil, nil
		}
		var submitted contract.Submitted
		err = workflow.ExecuteLocalActivity(withRecordPolicy(own, "submit "+due.Format(time.RFC3339)), contract.SubmitBackfilledActivity,
			contract.SubmitBackfilledInput{Tenant: b.in.Tenant, BackfillID: b.in.BackfillID, Attempt: b.in.Attempt, DueAt: due}).Get(own, &submitted)
		switch {
		case err != nil:
			b.pause(own, "the service failed; its log has the details")
		case submitted.Refused != "":
			b.pause(own, submitted.Refused)
		case submitted.Busy != "":
			if err := pauseBefore(ctx, busy, "until it can be executed"); err != nil {
				return nil, err
			}
			busy++
		default:
			return submitted.Execution, nil
		}
	}
}

// await waits for the end of an execution.
func (b *backfill) await(ctx workflow.Context, e models.Execution) {
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
	case b.closing, b.status == models.BackfillCancelling && c.Action != contract.ActionCancel:
		return temporal.NewNonRetryableApplicationError("the backfill is about to end", string(models.CodeBackfillClosed), nil)
	default:
		return nil
	}
}

// control does what a person asks for. Asking again changes nothing. The answer comes once the database says the same.
func (b *backfill) control(ctx workflow.Context, c contract.BackfillControl) (contract.BackfillControlled, error) {
	ctx, release := workflow.NewDisconnectedContext(ctx)
	defer release()
	if err := workflow.Await(ctx, func() bool { return b.loaded }); err != nil {
		return contract.BackfillControlled{}, err
	}
	if err := b.validate(c); err != nil { // now that it is known how things stand
		return contract.BackfillControlled{}, err
	}
	switch c.Action {
	case contract.ActionPause:
		b.pause(ctx, "paused by "+c.By)
	case contract.ActionResume:
		if b.status == models.BackfillPaused {
			b.status, b.reason = models.BackfillRunning, ""
			b.show(ctx)
		}
	default:
		b.cancel(ctx, "cancelled by "+c.By)
	}
	asked := b.changes
	err := workflow.Await(ctx, func() bool { return b.written >= asked })
	return contract.BackfillControlled{Status: b.status}, err
}

func (b *backfill) pause(ctx workflow.Context, reason string) {
	if b.status == models.BackfillRunning {
		b.status, b.reason = models.BackfillPaused, reason
		b.show(ctx)
	}
}

func (b *backfill) cancel(ctx workflow.Context, reason string) {
	if b.closing || b.status == models.BackfillCancelling {
		return
	}
	b.status, b.reason = models.BackfillCancelling, reason
	if b.stop != nil {
		b.stop()
	}
	b.show(ctx)
}

// show tells the Web UI how things stand, and has it written down.
func (b *backfill) show(ctx workflow.Context) {
	b.changes++
	text := fmt.Sprintf("%s: %d of %d completed, %d failed, %d cancelled", b.status, b.counts.Completed, b.plan.Total, b.counts.Failed, b.counts.Cancelled)
	workflow.SetCurrentDetails(ctx, worded(text, b.reason))
}

// record writes down how things stand whenever that has changed: one write at a time, so that a later one never
// gives way to an earlier one, and one for all that changed meanwhile.
func (b *backfill) record(ctx workflow.Context) {
	for {
		if workflow.Await(ctx, func() bool { return b.written < b.changes || b.closing }) != nil || b.closing {
			return
		}
		changes := b.changes
		b.writing = true
		if err := b.step(ctx, b.status, b.reason); err != nil {
			workflow.GetLogger(ctx).Error("the backfill's progress was not recorded", "error", err)
		}
		b.writing, b.written = false, changes
	}
}

func (b *backfill) step(ctx workflow.Context, status models.BackfillStatus, reason string) error {
	return workflow.ExecuteLocalActivity(withRecordPolicy(ctx, "record "+string(status)), contract.StepBackfillActivity,
		contract.StepBackfillInput{
			Tenant: b.in.Tenant, BackfillID: b.in.BackfillID, Attempt: b.in.Attempt, Status: status, Reason: reason,
			Counts: b.counts, Running: b.running, At: workflow.Now(ctx),
		}).Get(ctx, nil)
}

// renew goes on in a new run with a short history. What anybody asks for until then is handed on, too.
func (b *backfill) renew(ctx workflow.Context) error {
	err := workflow.Await(ctx, func() bool { return b.written == b.changes && workflow.AllHandlersFinished(ctx) })
	if err != nil {
		return err
	}
	return workflow.NewContinueAsNewError(ctx, contract.BackfillWorkflow, contract.BackfillInput{
		Tenant: b.in.Tenant, BackfillID: b.in.BackfillID, Attempt: b.in.Attempt,
		Resume: &contract.BackfillResume{After: b.after, Counts: b.counts, Status: b.status, Reason: b.reason},
	})
}

// finish records the end. A cancellation that came when everything had completed changes nothing.
func (b *backfill) finish(ctx workflow.Context) (contract.BackfillResult, error) {
	status, reason := models.BackfillCompleted, ""
	switch {
	case b.counts.Completed == b.plan.Total:
	case b.status == models.BackfillCancelling:
		status, reason = models.BackfillCancelled, b.reason
	case b.counts.Failed+b.counts.Cancelled > 0:
		status, reason = models.BackfillFailed, fmt.Sprintf("%d of %d executions did not complete", b.counts.Failed+b.counts.Cancelled, b.plan.Total)
	}
	b.closing = true
	if err := workflow.Await(ctx, func() bool { return !b.writing }); err != nil {
		return contract.BackfillResult{}, err
	}
	if err := b.step(ctx, status, reason); err != nil {
		return contract.BackfillResult{}, err
	}
	b.status, b.written = status, b.changes
	if err := workflow.Await(ctx, func() bool { return workflow.AllHandlersFinished(ctx) }); err != nil {
		return contract.BackfillResult{}, err
	}
	workflow.SetCurrentDetails(ctx, worded(string(status), reason))
	err := workflow.UpsertTypedSearchAttributes(ctx, contract.SearchPipelineStatus.ValueSet(string(status)))
	return contract.BackfillResult{Status: status, Counts: b.counts}, err
}
