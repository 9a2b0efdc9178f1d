package record

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"

	"github.com/matih/pipeline-service/activities/openlineage"
	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/contract"
	"github.com/matih/pipeline-service/models/store"
)

// Terminator is the part of Temporal's client that ends workflows by force.
type Terminator interface {
	TerminateWorkflow(ctx context.Context, workflowID, runID, reason string, details ...any) error
}

var _ Terminator = (client.Client)(nil)

// Cancellations ends executions that were cancelled.
type Cancellations struct {
	Store  *store.Store
	Client Terminator
	Log    *slog.Logger
	// Events is told when executions end; nil where nobody wants to know.
	Events *openlineage.Emitter
}

// Closed tells whether an execution has ended, and how. One that is not there has ended.
func (a *Cancellations) Closed(ctx context.Context, in contract.ExecutionClosedInput) (contract.ExecutionClosedResult, error) {
	e, err := a.Store.ForTenant(in.Tenant).Execution(ctx, in.ExecutionID)
	if err != nil {
		return contract.ExecutionClosedResult{}, notThere(err)
	}
	if !e.Status.Terminal() {
		return contract.ExecutionClosedResult{}, nil
	}
	return contract.ExecutionClosedResult{Status: e.Status}, nil
}

// Request makes an execution CANCELLING; one that has ended stays as it is.
func (a *Cancellations) Request(ctx context.Context, in contract.RequestCancelInput) error {
	_, err := a.Store.ForTenant(in.Tenant).RequestCancel(ctx, in.ExecutionID)
	if models.CodeOf(err) == models.CodeExecutionClosed {
		return nil
	}
	return notThere(err)
}

// Force terminates the workflow of an execution, and those of its approvals, and records that it was
// cancelled. Where the execution has ended meanwhile, its end stays as it is. From then on tasks that still run are
// refused when they report.
func (a *Cancellations) Force(ctx context.Context, in contract.ForceCancelInput) (contract.ExecutionClosedResult, error) {
	t := a.Store.ForTenant(in.Tenant)
	e, err := t.Execution(ctx, in.ExecutionID)
	if err != nil {
		return contract.ExecutionClosedResult{}, notThere(err)
	}
	if e.Status.Terminal() {
		return contract.ExecutionClosedResult{Status: e.Status}, nil
	}
	waiting, err := t.Approvals(ctx, store.ApprovalFilter{ExecutionID: e.ID, Status: models.ApprovalPending}, models.Page{Size: 200})
	if err != nil {
		return contract.ExecutionClosedResult{}, err
	}
	terminated, err := a.terminate(ctx, e.ID)
	if err != nil {
		return contract.ExecutionClosedResult{}, err
	}
	for _, approval := range waiting.Items {
		if _, err := a.terminate(ctx, approval.ID); err != nil {
			return contract.ExecutionClosedResult{}, err
		}
	}
	e, err = t.FinishExecution(ctx, e.ID, store.ExecutionEnd{
		Status: models.ExecutionCancelled, Reason: forcedReason(e, terminated, in.Grace), At: time.Now(),
		Lines: []models.LogLine{{Time: time.Now(), Level: "WARN", Message: "execution CANCELLED: " + forcedReason(e, terminated, in.Grace)}},
	})
	if err != nil {
		return contract.ExecutionClosedResult{}, notThere(err)
	}
	a.Events.ExecutionEnded(e)
	a.Log.WarnContext(ctx, "execution ended by force", "tenant", in.Tenant, "execution", e.ID, "status", e.Status, "terminated", terminated)
	return contract.ExecutionClosedResult{Status: e.Status}, nil
}

// forcedReason says how an execution came to its end.
func forcedReason(e models.Execution, terminated bool, grace time.Duration) string {
	switch {
	case terminated:
		return fmt.Sprintf("cancelled by force: it did not end within %s, because its worker hangs or is gone", grace)
	case e.StartedAt.IsZero():
		return "cancelled before it started"
	default:
		return "cancelled; its workflow was gone"
	}
}

// terminate ends a workflow at once; false says that none ran.
func (a *Cancellations) terminate(ctx context.Context, id string) (bool, error) {
	err := a.Client.TerminateWorkflow(ctx, id, "", "the execution was cancelled and did not end in time")
	var missing *serviceerror.NotFound
	if errors.As(err, &missing) {
		return false, nil
	}
	return err == nil, err
}
