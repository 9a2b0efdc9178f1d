package workflows

import (
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/contract"
)

// The pauses before an execution that could not be made is asked for again, and between two looks at one that somebody
// else has started, grow quickly from the first to the long one; see longer.
const (
	firstPause = 2 * time.Second
	longPause  = time.Minute
)

// runExecution starts the workflow of an execution that was submitted and waits for its end. Where ctx is cancelled the
// execution is, too, and ends in any case. The answer is nothing where the end cannot be known.
func runExecution(ctx workflow.Context, e models.Execution) (models.ExecutionStatus, error) {
	own, release := workflow.NewDisconnectedContext(ctx)
	defer release()
	child := workflow.ExecuteChildWorkflow(withExecutionPolicy(own, e), contract.ExecutionWorkflow,
		contract.ExecutionInput{Tenant: e.Tenant, ExecutionID: e.ID})
	var (
		result contract.ExecutionResult
		err    error
		ended  bool
	)
	selector := workflow.NewSelector(own)
	selector.AddFuture(child, func(f workflow.Future) { ended, err = true, f.Get(own, &result) })
	selector.AddReceive(ctx.Done(), func(workflow.ReceiveChannel, bool) {})
	selector.Select(own)
	switch {
	case ended && err == nil:
		return result.Status, nil
	case ended: // maintenance had started it, or it was terminated: its row says how it ends
		status, err := awaitEnd(ctx, e.Tenant, e.ID, 0, longPause)
		if temporal.IsCanceledError(err) {
			return cancelExecution(own, e)
		}
		return status, err
	default:
		return cancelExecution(own, e)
	}
}

// cancelExecution cancels an execution and waits until it has ended.
func cancelExecution(ctx workflow.Context, e models.Execution) (models.ExecutionStatus, error) {
	err := workflow.ExecuteLocalActivity(withRecordPolicy(ctx, "cancel "+e.ID), contract.RequestCancelActivity,
		contract.RequestCancelInput{Tenant: e.Tenant, ExecutionID: e.ID}).Get(ctx, nil)
	if err != nil {
		return "", err
	}
	var result contract.CancellationResult
	err = workflow.ExecuteChildWorkflow(withCancellationPolicy(ctx, e), contract.CancellationWorkflow,
		contract.CancellationInput{Tenant: e.Tenant, ExecutionID: e.ID}).Get(ctx, &result)
	if err != nil { // somebody else cancels it, or has stopped this
		return awaitEnd(ctx, e.Tenant, e.ID, 0, longPause)
	}
	return result.Status, nil
}

// pauseBefore waits before something is tried for the nth time, from 0.
func pauseBefore(ctx workflow.Context, n int, summary string) error {
	pause := firstPause
	for range n {
		pause = longer(pause, longPause)
	}
	return workflow.NewTimerWithOptions(ctx, pause, workflow.TimerOptions{Summary: summary}).Get(ctx, nil)
}

// longer is the pause after a pause: twice as long up to the long one, from then on a fiftieth more, so that what has
// waited for months has tried some hundred times and its history is still short.
func longer(pause, long time.Duration) time.Duration {
	if pause < long {
		return min(2*pause, long)
	}
	return pause + pause/50
}
