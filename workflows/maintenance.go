package workflows

import (
	"go.temporal.io/sdk/workflow"

	"github.com/matih/pipeline-service/models/contract"
)

// Maintenance makes rows and workflows agree again after crashes and removes what is no longer
// needed. A Temporal Schedule runs it.
func Maintenance(ctx workflow.Context) (contract.MaintenanceResult, error) {
	var result contract.MaintenanceResult
	if err := workflow.ExecuteActivity(withSweepPolicy(ctx, "reconcile executions"),
		contract.ReconcileActivity).Get(ctx, &result.Reconciled); err != nil {
		return result, err
	}
	if err := workflow.ExecuteActivity(withSweepPolicy(ctx, "reconcile backfills"),
		contract.ReconcileBackfillsActivity).Get(ctx, &result.Backfills); err != nil {
		return result, err
	}
	if err := workflow.ExecuteActivity(withSweepPolicy(ctx, "compare schedules"),
		contract.SyncSchedulesActivity).Get(ctx, &result.Schedules); err != nil {
		return result, err
	}
	err := workflow.ExecuteActivity(withSweepPolicy(ctx, "remove expired data"),
		contract.CleanUpActivity).Get(ctx, &result.Removed)
	return result, err
}
