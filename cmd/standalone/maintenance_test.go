package main

import (
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/matih/pipeline-service/activities/record"
	"github.com/matih/pipeline-service/cmd/internal/harness"
	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/contract"
	"github.com/matih/pipeline-service/models/store"
)

// obedient is an execution, or an approval, that ends when it is told to.
func obedient(ctx workflow.Context, _ contract.ExecutionInput) error {
	return workflow.Await(ctx, func() bool { return false })
}

// TestReconcileBothWays has rows without a workflow and workflows without a row, on a real server.
func TestReconcileBothWays(t *testing.T) {
	ctx := t.Context()
	c, s := startBackends(t)
	log := slog.New(slog.DiscardHandler)
	w := worker.New(c, contract.QueueControl, worker.Options{})
	w.RegisterWorkflowWithOptions(obedient, workflow.RegisterOptions{Name: contract.ExecutionWorkflow})
	w.RegisterWorkflowWithOptions(hung, workflow.RegisterOptions{Name: contract.ApprovalWorkflow})
	require.NoError(t, w.Start())
	t.Cleanup(w.Stop)

	tenant := s.ForTenant("11111111-2222-4333-8444-555555555555")
	p, err := tenant.CreatePipeline(ctx, models.Pipeline{ID: models.NewID(models.PrefixPipeline), Name: "p", Definition: []byte(`{}`)})
	require.NoError(t, err)
	submit := func() models.Execution {
		e, err := tenant.SubmitExecution(ctx, models.Execution{ID: models.NewID(models.PrefixExecution), PipelineID: p.ID, MaxActiveRuns: 10,
			SubmittedAt: time.Now().Add(-time.Hour)})
		require.NoError(t, err)
		return e
	}
	start := func(e models.Execution, name, id string) {
		options := contract.ExecutionOptions(e)
		options.ID = id
		_, err := c.ExecuteWorkflow(ctx, options, name, contract.ExecutionInput{Tenant: e.Tenant, ExecutionID: e.ID})
		require.NoError(t, err)
	}
	end := func(e models.Execution, ago time.Duration) {
		_, err := tenant.FinishExecution(ctx, e.ID, store.ExecutionEnd{Status: models.ExecutionFailed, At: time.Now().Add(-ago)})
		require.NoError(t, err)
	}
	status := func(id string) enumspb.WorkflowExecutionStatus {
		described, err := c.DescribeWorkflow(ctx, id, "")
		require.NoError(t, err)
		return described.Status
	}
	const (
		running    = enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING
		cancelled  = enumspb.WORKFLOW_EXECUTION_STATUS_CANCELED
		terminated = enumspb.WORKFLOW_EXECUTION_STATUS_TERMINATED
	)

	fine, lost, gone := submit(), submit(), submit()
	over, justOver, longOver := submit(), submit(), submit()
	young := models.Execution{Tenant: fine.Tenant, ID: models.NewID(models.PrefixExecution), PipelineID: p.ID} // without a row
	for _, e := range []models.Execution{fine, gone, over, justOver, young} {
		start(e, contract.ExecutionWorkflow, e.ID)
	}
	stubborn := contract.ApprovalID(longOver.ID, "gate")
	start(longOver, contract.ApprovalWorkflow, stubborn)
	end(over, time.Minute)
	end(justOver, time.Second)
	end(longOver, time.Hour)
	require.NoError(t, c.TerminateWorkflow(ctx, gone.ID, "", "by an operator"))

	a := &record.Maintenance{Store: s, Client: c, Log: log}
	reconcile := func() contract.ReconcileResult {
		env := (&testsuite.WorkflowTestSuite{}).NewTestActivityEnvironment()
		env.RegisterActivityWithOptions(a.Reconcile, activity.RegisterOptions{Name: contract.ReconcileActivity})
		value, err := env.ExecuteActivity(contract.ReconcileActivity)
		require.NoError(t, err)
		var result contract.ReconcileResult
		require.NoError(t, value.Get(&result))
		return result
	}
	// Lists of workflows may be a little behind.
	var total contract.ReconcileResult
	require.NoError(t, harness.Until(ctx, func() (bool, error) {
		r := reconcile()
		total.Started += r.Started
		total.Closed += r.Closed
		total.Ended += r.Ended
		return status(over.ID) == cancelled && status(stubborn) == terminated, nil
	}))
	assert.Equal(t, 1, total.Started)
	assert.Equal(t, 1, total.Closed)
	assert.GreaterOrEqual(t, total.Ended, 2)
	for _, e := range []models.Execution{fine, lost, justOver, young} {
		assert.Equal(t, running, status(e.ID), "it may go on for now")
	}
	closed, err := tenant.Execution(ctx, gone.ID)
	require.NoError(t, err)
	assert.Equal(t, models.ExecutionFailed, closed.Status)
	assert.Contains(t, closed.StatusReason, "Terminated")

	_, err = tenant.RequestCancel(ctx, fine.ID)
	require.NoError(t, err)
	assert.Equal(t, 1, reconcile().Cancelled, "a cancellation that was lost is made up for")
	assert.Equal(t, running, status(contract.CancellationPrefix+fine.ID))
}
