package record

import (
	"context"
	"time"

	"go.temporal.io/sdk/activity"

	"github.com/matih/pipeline-service/models/contract"
)

// CheckPromises tells of executions that run longer than their definition promises, and of pipelines whose
// last good run is older. Each is told of once.
func (a *Maintenance) CheckPromises(ctx context.Context) (contract.PromisesResult, error) {
	var result contract.PromisesResult
	now := time.Now()
	for {
		overdue, err := a.Store.TellOverdue(ctx, now, sweepPage)
		if err != nil {
			return result, err
		}
		for _, e := range overdue {
			a.Notifications.Send(ctx, e.Tenant, e.ID)
		}
		result.Overdue += len(overdue)
		activity.RecordHeartbeat(ctx, result.Overdue)
		if len(overdue) < sweepPage {
			break
		}
	}
	for {
		stale, err := a.Store.TellStale(ctx, now, sweepPage)
		if err != nil {
			return result, err
		}
		result.Stale += stale
		activity.RecordHeartbeat(ctx, result.Stale)
		if stale < sweepPage {
			return result, nil
		}
	}
}
