package record

import (
	"context"
	"errors"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/activity"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/contract"
	"github.com/matih/pipeline-service/models/store"
)

// Reconcile starts the workflows whose start was lost between the row and Temporal, repeats
// cancellations that were lost likewise, closes executions whose workflow has ended without
// recording so (terminated by an operator, or removed), and ends workflows whose execution is over or gone.
func (a *Maintenance) Reconcile(ctx context.Context) (contract.ReconcileResult, error) {
	var result contract.ReconcileResult
	running, err := a.running(ctx)
	if err != nil {
		// It is asked for each one then.
		a.Log.WarnContext(ctx, "running workflows could not be listed", "error", err)
	}
	before, after := time.Now().Add(-startGrace), ""
	for {
		refs, err := a.Store.OpenExecutions(ctx, before, after, sweepPage)
		if err != nil {
			return result, err
		}
		if len(refs) == 0 {
			return result, a.endOrphans(ctx, running, &result)
		}
		for _, ref := range refs {
			after = ref.ID
			if running.agrees(ref) {
				continue
			}
			if err := a.reconcile(ctx, ref, &result); err != nil {
				a.Log.WarnContext(ctx, "execution not reconciled", "execution", ref.ID, "error", err)
			}
		}
		activity.RecordHeartbeat(ctx, after)
	}
}

// agrees reports whether everything an open execution needs runs. Where it seems not to, the workflow itself is
// asked: lists of workflows may be a little behind.
func (w workflowSet) agrees(ref store.ExecutionRef) bool {
	_, runs := w[ref.ID]
	_, cancels := w[contract.CancellationPrefix+ref.ID]
	return runs && (cancels || ref.Status != models.ExecutionCancelling)
}

func (a *Maintenance) reconcile(ctx context.Context, ref store.ExecutionRef, result *contract.ReconcileResult) error {
	described, err := a.Client.DescribeWorkflow(ctx, ref.ID, "")
	var missing *serviceerror.NotFound
	switch {
	case errors.As(err, &missing) && ref.Status == models.ExecutionQueued:
		e, err := a.Store.ForTenant(ref.Tenant).Execution(ctx, ref.ID)
		if err != nil {
			return err
		}
		_, err = a.Client.ExecuteWorkflow(ctx, contract.ExecutionOptions(e), contract.ExecutionWorkflow,
			contract.ExecutionInput{Tenant: e.Tenant, ExecutionID: e.ID})
		if err == nil {
			result.Started++
		}
		return err
	case errors.As(err, &missing):
		return a.closeRow(ctx, ref, "its workflow is gone", result)
	case err != nil:
		return err
	case described.Status != contract.WorkflowRunning:
		return a.closeRow(ctx, ref, "its workflow ended as "+described.Status.String(), result)
	case ref.Status == models.ExecutionCancelling:
		_, err := a.Client.ExecuteWorkflow(ctx, contract.CancellationOptions(ref.Tenant, ref.ID), contract.CancellationWorkflow,
			contract.CancellationInput{Tenant: ref.Tenant, ExecutionID: ref.ID})
		if err == nil {
			result.Cancelled++
		}
		return err
	default:
		return nil
	}
}

func (a *Maintenance) closeRow(ctx context.Context, ref store.ExecutionRef, reason string, result *contract.ReconcileResult) error {
	status, why := models.ExecutionFailed, &models.ExecutionError{Class: models.ClassInternal,
		Message: "the execution did not record its end: " + reason}
	if ref.Status == models.ExecutionCancelling {
		status, why = models.ExecutionCancelled, nil
	}
	e, err := a.Store.ForTenant(ref.Tenant).FinishExecution(ctx, ref.ID,
		store.ExecutionEnd{Status: status, Reason: reason, Error: why, At: time.Now()})
	if err == nil {
		a.Events.ExecutionEnded(e)
		result.Closed++
	}
	return err
}
