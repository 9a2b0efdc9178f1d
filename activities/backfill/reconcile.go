package backfill

import (
	"context"
	"errors"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/contract"
)

const (
	// startGrace is how long a backfill may be without a workflow before its start counts as lost.
	startGrace = 30 * time.Second
	page       = 200
)

// Reconciler starts the workflows of backfills that lack one.
type Reconciler struct {
	*Backfills
	Client client.Client
}

// Run starts the workflows whose start was lost, and returns how many.
func (a *Reconciler) Run(ctx context.Context) (started int, err error) {
	before, after := time.Now().Add(-startGrace), ""
	for {
		open, err := a.Store.OpenBackfills(ctx, before, after, page)
		if err != nil || len(open) == 0 {
			return started, err
		}
		for _, b := range open {
			after = b.ID
			activity.RecordHeartbeat(ctx, after)
			restarted, err := a.reconcile(ctx, b)
			if err != nil {
				a.Log.WarnContext(ctx, "backfill not reconciled", "tenant", b.Tenant, "backfill", b.ID, "error", err)
			}
			if restarted {
				started++
			}
		}
	}
}

func (a *Reconciler) reconcile(ctx context.Context, b models.Backfill) (bool, error) {
	described, err := a.Client.DescribeWorkflow(ctx, b.ID, "")
	var missing *serviceerror.NotFound
	switch {
	case err != nil && !errors.As(err, &missing):
		return false, err
	case err == nil && described.Status == contract.WorkflowRunning:
		return false, nil
	}
	_, err = a.Client.ExecuteWorkflow(ctx, contract.BackfillOptions(b), contract.BackfillWorkflow,
		contract.BackfillInput{Tenant: b.Tenant, BackfillID: b.ID, Attempt: b.Attempt})
	return err == nil, err
}
