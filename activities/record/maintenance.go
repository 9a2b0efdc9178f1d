package record

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"

	"github.com/matih/pipeline-service/activities/openlineage"
	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/contract"
	"github.com/matih/pipeline-service/models/store"
)

// startGrace is how long an execution may be QUEUED before its workflow's start counts as lost.
// The API gives up on a start long before.
const startGrace = 30 * time.Second

// sweepPage is how many rows one query of a sweep reads.
const sweepPage = 200

// Maintenance makes rows and workflows agree and removes what nobody needs.
type Maintenance struct {
	Store  *store.Store
	Client client.Client
	Log    *slog.Logger
	// Events is told when executions end; nil where nobody wants to know.
	Events *openlineage.Emitter
	// StagingDir is the root of <tenant>/<execution>/ directories.
	StagingDir string
	// StagingRetention is how long staged data outlive their execution.
	StagingRetention time.Duration
	// QuarantineRetention is how long quarantined rows do; they stay at least as long.
	QuarantineRetention time.Duration
}

// Reconcile starts the workflows whose start was lost between the row and Temporal, repeats
// cancellations that were lost likewise, and closes executions whose workflow has ended without
// recording so (terminated by an operator, or removed).
func (a *Maintenance) Reconcile(ctx context.Context) (contract.ReconcileResult, error) {
	var result contract.ReconcileResult
	before, after := time.Now().Add(-startGrace), ""
	for {
		refs, err := a.Store.OpenExecutions(ctx, before, after, sweepPage)
		if err != nil || len(refs) == 0 {
			return result, err
		}
		for _, ref := range refs {
			after = ref.ID
			if err := a.reconcile(ctx, ref, &result); err != nil {
				a.Log.WarnContext(ctx, "execution not reconciled", "execution", ref.ID, "error", err)
			}
		}
		activity.RecordHeartbeat(ctx, after)
	}
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

// CleanUp removes the staged data of executions that ended long enough ago, and expired
// idempotency keys.
func (a *Maintenance) CleanUp(ctx context.Context) (contract.CleanUpResult, error) {
	var result contract.CleanUpResult
	keys, err := a.Store.PurgeExpired(ctx, time.Now())
	if err != nil {
		return result, err
	}
	result.IdempotencyKeys = keys
	tenants, err := os.ReadDir(a.StagingDir)
	if errors.Is(err, os.ErrNotExist) {
		return result, nil
	}
	if err != nil {
		return result, err
	}
	for _, entry := range tenants {
		tenant, err := models.ParseTenantID(entry.Name())
		if err != nil {
			continue // not a tenant's directory
		}
		removed, err := a.cleanTenant(ctx, tenant)
		result.Staging += removed
		if err != nil {
			return result, err
		}
	}
	return result, nil
}

func (a *Maintenance) cleanTenant(ctx context.Context, tenant models.TenantID) (int, error) {
	dir := filepath.Join(a.StagingDir, string(tenant))
	entries, err := os.ReadDir(dir)
	if err != nil {
		return 0, err
	}
	removed := 0
	for _, entry := range entries {
		activity.RecordHeartbeat(ctx, entry.Name())
		if !models.IsID(models.PrefixExecution, entry.Name()) {
			continue
		}
		e, err := a.Store.ForTenant(tenant).Execution(ctx, entry.Name())
		switch {
		case models.CodeOf(err) == models.CodeNotFound:
		case err != nil:
			return removed, err
		case !e.Status.Terminal() || time.Since(e.EndedAt) < a.StagingRetention:
			continue
		}
		if err := os.RemoveAll(filepath.Join(dir, entry.Name())); err != nil {
			return removed, err
		}
		removed++
	}
	return removed, nil
}
