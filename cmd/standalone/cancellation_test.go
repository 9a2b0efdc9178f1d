package main

import (
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/matih/pipeline-service/activities/record"
	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/contract"
	"github.com/matih/pipeline-service/models/store"
	"github.com/matih/pipeline-service/workflows"
)

// hung is an execution, or an approval, whose worker never lets it end.
func hung(ctx workflow.Context, _ contract.ExecutionInput) error {
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	return workflow.Await(ctx, func() bool { return false })
}

// TestCancellationEndsWhatHangs runs cancellations on a real server against executions that do not listen, that
// are not there, and that end meanwhile.
func TestCancellationEndsWhatHangs(t *testing.T) {
	ctx := t.Context()
	c, s := startBackends(t)
	log := slog.New(slog.DiscardHandler)
	w := worker.New(c, contract.QueueControl, worker.Options{})
	w.RegisterWorkflowWithOptions(hung, workflow.RegisterOptions{Name: contract.ExecutionWorkflow})
	w.RegisterWorkflowWithOptions(hung, workflow.RegisterOptions{Name: contract.ApprovalWorkflow})
	w.RegisterWorkflowWithOptions(workflows.Cancellation, workflow.RegisterOptions{Name: contract.CancellationWorkflow})
	cancels := &record.Cancellations{Store: s, Client: c, Log: log}
	w.RegisterActivityWithOptions(cancels.Closed, activity.RegisterOptions{Name: contract.ExecutionClosedActivity})
	w.RegisterActivityWithOptions(cancels.Force, activity.RegisterOptions{Name: contract.ForceCancelActivity})
	require.NoError(t, w.Start())
	t.Cleanup(w.Stop)

	tenant := s.ForTenant("11111111-2222-4333-8444-555555555555")
	p, err := tenant.CreatePipeline(ctx, models.Pipeline{ID: models.NewID(models.PrefixPipeline), Name: "p", Definition: []byte(`{}`)})
	require.NoError(t, err)
	submit := func() models.Execution {
		e, err := tenant.SubmitExecution(ctx, models.Execution{ID: models.NewID(models.PrefixExecution), PipelineID: p.ID, MaxActiveRuns: 10})
		require.NoError(t, err)
		return e
	}
	start := func(e models.Execution, name, id string) {
		options := contract.ExecutionOptions(e)
		options.ID = id
		_, err := c.ExecuteWorkflow(ctx, options, name, contract.ExecutionInput{Tenant: e.Tenant, ExecutionID: e.ID})
		require.NoError(t, err)
	}
	cancel := func(e models.Execution) contract.CancellationResult {
		_, err := tenant.RequestCancel(ctx, e.ID)
		require.NoError(t, err)
		var ids [2]string
		var run client.WorkflowRun
		for i := range ids { // twice is once
			run, err = c.ExecuteWorkflow(ctx, contract.CancellationOptions(e.Tenant, e.ID), contract.CancellationWorkflow,
				contract.CancellationInput{Tenant: e.Tenant, ExecutionID: e.ID, Grace: time.Second})
			require.NoError(t, err)
			ids[i] = run.GetRunID()
		}
		assert.Equal(t, ids[0], ids[1])
		var result contract.CancellationResult
		require.NoError(t, run.Get(ctx, &result))
		return result
	}
	reason := func(e models.Execution) string {
		e, err := tenant.Execution(ctx, e.ID)
		require.NoError(t, err)
		assert.Equal(t, models.ExecutionCancelled, e.Status)
		return e.StatusReason
	}

	waits := submit()
	approval := contract.ApprovalID(waits.ID, "gate")
	require.NoError(t, tenant.OpenApproval(ctx, models.Approval{
		ID: approval, ExecutionID: waits.ID, Gate: "gate", Required: 1, RequestedAt: time.Now(), Deadline: time.Now().Add(time.Hour),
	}))
	start(waits, contract.ExecutionWorkflow, waits.ID)
	start(waits, contract.ApprovalWorkflow, approval)
	assert.Equal(t, contract.CancellationResult{Status: models.ExecutionCancelled, Forced: true}, cancel(waits))
	assert.Equal(t, "cancelled by force: it did not end within 1s, because its worker hangs or is gone", reason(waits))
	for _, id := range []string{waits.ID, approval} {
		described, err := c.DescribeWorkflow(ctx, id, "")
		require.NoError(t, err)
		assert.Equal(t, enumspb.WORKFLOW_EXECUTION_STATUS_TERMINATED, described.Status, id)
	}
	closed, err := tenant.Approval(ctx, approval)
	require.NoError(t, err)
	assert.Equal(t, models.ApprovalCancelled, closed.Status)

	absent := submit()
	assert.True(t, cancel(absent).Forced)
	assert.Equal(t, "cancelled before it started", reason(absent))

	done := submit()
	_, err = tenant.RequestCancel(ctx, done.ID)
	require.NoError(t, err)
	_, err = tenant.FinishExecution(ctx, done.ID, store.ExecutionEnd{Status: models.ExecutionCompleted})
	require.NoError(t, err)
	result, err := cancels.Force(ctx, contract.ForceCancelInput{Tenant: done.Tenant, ExecutionID: done.ID, Grace: time.Second})
	require.NoError(t, err)
	assert.Equal(t, models.ExecutionCompleted, result.Status, "what has ended stays as it is")
}
