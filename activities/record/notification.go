package record

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/contract"
	"github.com/matih/pipeline-service/models/store"
)

// sendTimeout bounds the start of an execution's notifications by whoever caused them; what it does not get
// done maintenance does.
const sendTimeout = 5 * time.Second

// Starter is the part of Temporal's client that starts workflows.
type Starter interface {
	ExecuteWorkflow(ctx context.Context, options client.StartWorkflowOptions, workflow any, args ...any) (client.WorkflowRun, error)
}

var _ Starter = (client.Client)(nil)

// Notifications starts the workflows that tell webhooks.
type Notifications struct {
	Store  *store.Store
	Client Starter
	Log    *slog.Logger
}

// Send starts what an execution's webhooks are to be told now. Where that fails maintenance does it later, so
// that nobody need wait for it.
func (a *Notifications) Send(ctx context.Context, tenant models.TenantID, execution string) {
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	waiting, err := a.Store.ForTenant(tenant).Notifications(ctx, execution)
	for _, n := range waiting {
		err = errors.Join(err, a.start(ctx, n))
	}
	if err != nil {
		a.Log.WarnContext(ctx, "notifications were not started; maintenance will", "tenant", tenant, "execution", execution, "error", err)
	}
}

// SendLost starts what was not started when it happened.
func (a *Notifications) SendLost(ctx context.Context) (contract.SendNotificationsResult, error) {
	var result contract.SendNotificationsResult
	before := time.Now().Add(-startGrace)
	for {
		lost, err := a.Store.Notifications(ctx, before, sweepPage)
		if err != nil || len(lost) == 0 {
			return result, err
		}
		for _, n := range lost {
			if err := a.start(ctx, n); err != nil {
				return result, err
			}
			result.Sent++
		}
		activity.RecordHeartbeat(ctx, result.Sent)
	}
}

// start starts a notification's workflow and forgets that it was to be started. One that ran before is as good.
func (a *Notifications) start(ctx context.Context, n models.Notification) error {
	_, err := a.Client.ExecuteWorkflow(ctx, contract.NotificationOptions(n), contract.NotificationWorkflow, contract.NotificationInput{Notification: n})
	var already *serviceerror.WorkflowExecutionAlreadyStarted
	if err != nil && !errors.As(err, &already) {
		return err
	}
	return a.Store.ForTenant(n.Tenant).NotificationStarted(ctx, n.ID)
}
