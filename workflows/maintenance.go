package workflows

import (
	"errors"

	"go.temporal.io/sdk/workflow"

	"github.com/matih/pipeline-service/models/contract"
)

// Maintenance makes rows and workflows agree again after crashes, sees that promises are kept, and removes
// what is no longer needed. A Temporal Schedule runs it. A step that fails does not keep the others from being
// done; the next run does it again.
func Maintenance(ctx workflow.Context) (contract.MaintenanceResult, error) {
	var result contract.MaintenanceResult
	var failed error
	for _, step := range []struct {
		summary, activity string
		result            any
	}{
		{"reconcile executions", contract.ReconcileActivity, &result.Reconciled},
		{"reconcile backfills", contract.ReconcileBackfillsActivity, &result.Backfills},
		{"compare schedules", contract.SyncSchedulesActivity, &result.Schedules},
		{"check promises", contract.CheckPromisesActivity, &result.Promises},
		{"send notifications", contract.SendNotificationsActivity, &result.Notifications},
		{"remove expired data", contract.CleanUpActivity, &result.Removed},
	} {
		err := workflow.ExecuteActivity(withSweepPolicy(ctx, step.summary), step.activity).Get(ctx, step.result)
		failed = errors.Join(failed, err)
	}
	return result, failed
}
