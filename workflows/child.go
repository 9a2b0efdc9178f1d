package workflows

import (
	"errors"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/contract"
)

// The pauses before an execution that could not be made is asked for again grow from the first to the last, which is
// also the longest between two looks at an execution that somebody else has started.
const (
	firstPause = 2 * time.Second
	lastPause  = time.Minute
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
	var started *temporal.ChildWorkflowExecutionAlreadyStartedError
	switch {
	case ended && errors.As(err, &started): // by maintenance, which found it waiting
		status, err := awaitEnd(ctx, e.Tenant, e.ID, 0, lastPause)
		if temporal.IsCanceledError(err) {
			return cancelExecution(own, e)
		}
		return status, err
	case ended && err != nil: // it was terminated: its row says how it ended, once maintenance has seen that
		return awaitEnd(ctx, e.Tenant, e.ID, 0, lastPause)
	case ended:
		return result.Status, nil
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
		return awaitEnd(ctx, e.Tenant, e.ID, 0, lastPause)
	}
	return result.Status, nil
}

// pauseBefore waits before something is tried for the nth time, from 0.
func pauseBefore(ctx workflow.Context, n int, summary string) error {
	pause := min(firstPause<<min(n, 10), lastPause)
	return workflow.NewTimerWithOptions(ctx, pause, workflow.TimerOptions{Summary: summary}).Get(ctx, nil)
}
