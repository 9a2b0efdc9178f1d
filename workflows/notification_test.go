package workflows_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/contract"
	"github.com/matih/pipeline-service/workflows"
)

// notified runs a NotificationWorkflow whose attempts end as deliver says; it returns how many there were and how
// long they took.
func notified(t *testing.T, deliver func(attempt int) error) (attempts int, took time.Duration, err error) {
	t.Helper()
	env := (&testsuite.WorkflowTestSuite{}).NewTestWorkflowEnvironment()
	env.RegisterWorkflowWithOptions(workflows.Notification, workflow.RegisterOptions{Name: contract.NotificationWorkflow})
	env.RegisterActivityWithOptions(func(context.Context, contract.NotificationInput) (contract.NotificationResult, error) {
		attempts++
		return contract.NotificationResult{Status: 200}, deliver(attempts)
	}, activity.RegisterOptions{Name: contract.DeliverActivity})
	began := env.Now()
	env.ExecuteWorkflow(contract.NotificationWorkflow, contract.NotificationInput{Notification: models.Notification{ID: "notify-1", Tenant: tenant, Event: models.EventFailed}})
	require.True(t, env.IsWorkflowCompleted())
	return attempts, env.Now().Sub(began), env.GetWorkflowError()
}

func TestNotificationIsTriedEverMoreSlowly(t *testing.T) {
	attempts, took, err := notified(t, func(attempt int) error {
		if attempt < 8 {
			return temporal.NewApplicationError("the webhook answered 503", models.ClassConnection)
		}
		return nil
	})
	require.NoError(t, err)
	assert.Equal(t, 8, attempts)
	assert.Equal(t, (2+4+8+16+32+64+128)*time.Second, took.Round(time.Second))
}

func TestNotificationGivesUpWhereItIsRefused(t *testing.T) {
	attempts, _, err := notified(t, func(int) error {
		return temporal.NewNonRetryableApplicationError("the webhook answered 410", models.ClassConnection, nil)
	})
	require.ErrorContains(t, err, "410")
	assert.Equal(t, 1, attempts)
}

// TestMaintenanceDoesEveryStep has one step fail: the others are done all the same.
func TestMaintenanceDoesEveryStep(t *testing.T) {
	env := (&testsuite.WorkflowTestSuite{}).NewTestWorkflowEnvironment()
	env.RegisterWorkflowWithOptions(workflows.Maintenance, workflow.RegisterOptions{Name: contract.MaintenanceWorkflow})
	var done []string
	step := func(name string, err error) {
		env.RegisterActivityWithOptions(func(context.Context) error {
			done = append(done, name)
			return err
		}, activity.RegisterOptions{Name: name})
	}
	step(contract.ReconcileActivity, temporal.NewNonRetryableApplicationError("no", "x", nil))
	steps := []string{
		contract.ReconcileActivity, contract.ReconcileBackfillsActivity, contract.SyncSchedulesActivity,
		contract.CheckPromisesActivity, contract.SendNotificationsActivity, contract.CleanUpActivity,
	}
	for _, name := range steps[1:] {
		step(name, nil)
	}
	env.ExecuteWorkflow(contract.MaintenanceWorkflow)
	require.True(t, env.IsWorkflowCompleted())
	require.ErrorContains(t, env.GetWorkflowError(), "no", "and it is told")
	assert.Equal(t, steps, done)
}
