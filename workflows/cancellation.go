package workflows

import (
	"errors"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/contract"
)

// The pauses between two looks at an execution that is to end grow from the first to the last.
const (
	firstLook = 100 * time.Millisecond
	lastLook  = 5 * time.Second
)

// Cancellation asks an execution to end, waits for that, and ends it by force where it has not within
// the grace time, be its worker hung or gone.
func Cancellation(ctx workflow.Context, in contract.CancellationInput) (contract.CancellationResult, error) {
	if in.Grace <= 0 {
		in.Grace = contract.DefaultCancelGrace
	}
	err := workflow.RequestCancelExternalWorkflow(ctx, in.ExecutionID, "").Get(ctx, nil)
	var unknown *temporal.UnknownExternalWorkflowExecutionError
	if err != nil && !errors.As(err, &unknown) {
		return contract.CancellationResult{}, err
	}
	if unknown == nil {
		status, err := awaitEnd(ctx, in.Tenant, in.ExecutionID, in.Grace, lastLook)
		if err != nil || status != "" {
			return contract.CancellationResult{Status: status}, err
		}
	}
	// A workflow that does not run may have ended just now and said so; then this finds that.
	var closed contract.ExecutionClosedResult
	err = workflow.ExecuteActivity(withControlPolicy(ctx, "end "+in.ExecutionID), contract.ForceCancelActivity,
		contract.ForceCancelInput(in)).Get(ctx, &closed)
	return contract.CancellationResult{Status: closed.Status, Forced: true}, err
}

// awaitEnd looks at an execution's row until it has ended, or returns nothing when it has not within a time; 0 is no
// limit. The pauses between two looks grow quickly up to long.
func awaitEnd(ctx workflow.Context, tenant models.TenantID, execution string, within, long time.Duration) (models.ExecutionStatus, error) {
	deadline := workflow.Now(ctx).Add(within)
	for pause := firstLook; ; pause = longer(pause, long) {
		var found contract.ExecutionClosedResult
		err := workflow.ExecuteLocalActivity(withRecordPolicy(ctx, "has it ended?"), contract.ExecutionClosedActivity,
			contract.ExecutionClosedInput{Tenant: tenant, ExecutionID: execution}).Get(ctx, &found)
		left := pause
		if within > 0 {
			left = deadline.Sub(workflow.Now(ctx))
		}
		if err != nil || found.Status != "" || left <= 0 {
			return found.Status, err
		}
		timer := workflow.NewTimerWithOptions(ctx, min(pause, left), workflow.TimerOptions{Summary: "wait for its end"})
		if err := timer.Get(ctx, nil); err != nil {
			return "", err
		}
	}
}
