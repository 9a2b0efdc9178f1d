package gateway_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"github.com/matih/pipeline-service/api/gateway"
	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/contract"
)

// fakeTemporal answers as it is told and remembers what it was asked.
type fakeTemporal struct {
	options  client.StartWorkflowOptions
	workflow any
	args     []any
	result   contract.TestConnectionResult
	err      error
	getErr   error
	deadline time.Duration
	service  workflowservice.WorkflowServiceClient
	// described, updated and decided are for workflows_test.go.
	described *workflowservice.DescribeWorkflowExecutionResponse
	updated   client.UpdateWorkflowOptions
	decided   contract.Decided
}

func (f *fakeTemporal) ScheduleClient() client.ScheduleClient { return nil }

func (f *fakeTemporal) WorkflowService() workflowservice.WorkflowServiceClient { return f.service }

func (f *fakeTemporal) ExecuteWorkflow(ctx context.Context, o client.StartWorkflowOptions, workflow any, args ...any) (client.WorkflowRun, error) {
	f.note(ctx)
	f.options, f.workflow, f.args = o, workflow, args
	return run{f}, f.err
}

func (f *fakeTemporal) CancelWorkflow(ctx context.Context, _, _ string) error {
	f.note(ctx)
	return f.err
}

func (f *fakeTemporal) CheckHealth(context.Context, *client.CheckHealthRequest) (*client.CheckHealthResponse, error) {
	return &client.CheckHealthResponse{}, f.err
}

func (f *fakeTemporal) note(ctx context.Context) {
	if deadline, ok := ctx.Deadline(); ok {
		f.deadline = time.Until(deadline)
	}
}

type run struct{ *fakeTemporal }

func (r run) GetID() string    { return r.options.ID }
func (r run) GetRunID() string { return "" }

func (r run) Get(_ context.Context, into any) error {
	if result, ok := into.(*contract.TestConnectionResult); ok {
		*result = r.result
	}
	return r.getErr
}

func (r run) GetWithOptions(ctx context.Context, into any, _ client.WorkflowRunGetOptions) error {
	return r.Get(ctx, into)
}

var execution = models.Execution{
	ID: "exec-1", Tenant: "11111111-2222-4333-8444-555555555555", PipelineID: "pipeline-1", PipelineName: strings.Repeat("ö", 300),
	Version: 3, Status: models.ExecutionQueued, Engine: models.EngineTemporal, Priority: models.PriorityCritical,
	Trigger: models.TriggerManual, SubmittedBy: "engineer@acme.com",
}

func TestStartExecution(t *testing.T) {
	f := &fakeTemporal{}
	require.NoError(t, gateway.New(f, "default").StartExecution(t.Context(), execution))
	assert.Equal(t, contract.ExecutionWorkflow, f.workflow)
	assert.Equal(t, []any{contract.ExecutionInput{Tenant: execution.Tenant, ExecutionID: "exec-1"}}, f.args)
	assert.Equal(t, "exec-1", f.options.ID)
	assert.Equal(t, contract.QueueControl, f.options.TaskQueue)
	assert.Zero(t, f.options.WorkflowExecutionTimeout)
	assert.Equal(t, enumspb.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE, f.options.WorkflowIDReusePolicy)
	assert.Equal(t, enumspb.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING, f.options.WorkflowIDConflictPolicy)
	assert.Equal(t, 1, f.options.Priority.PriorityKey)
	assert.Equal(t, string(execution.Tenant), f.options.Priority.FairnessKey)
	tenant, ok := f.options.TypedSearchAttributes.GetKeyword(contract.SearchTenantID)
	assert.True(t, ok)
	assert.Equal(t, string(execution.Tenant), tenant)
	assert.LessOrEqual(t, len(f.options.StaticSummary), 400, "Temporal refuses longer ones")
	assert.True(t, utf8.ValidString(f.options.StaticSummary))
	assert.Positive(t, f.deadline)

	f.err = serviceerror.NewWorkflowExecutionAlreadyStarted("", "", "")
	assert.NoError(t, gateway.New(f, "default").StartExecution(t.Context(), execution), "again is a success")
}

func TestErrors(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		code models.Code
	}{
		"unavailable":       {serviceerror.NewUnavailable("x"), models.CodeUnavailable},
		"exhausted":         {serviceerror.NewResourceExhausted(0, "x"), models.CodeUnavailable},
		"deadline":          {serviceerror.NewDeadlineExceeded("x"), models.CodeUnavailable},
		"our deadline":      {context.DeadlineExceeded, models.CodeUnavailable},
		"not found":         {serviceerror.NewNotFound("x"), models.CodeNotFound},
		"anything else":     {errors.New("x"), models.CodeInternal},
		"permission denied": {serviceerror.NewPermissionDenied("x", ""), models.CodeInternal},
	} {
		t.Run(name, func(t *testing.T) {
			g := gateway.New(&fakeTemporal{err: c.err}, "default")
			_, testErr := g.TestConnection(t.Context(), execution.Tenant, "conn-1")
			waiting := gateway.New(&fakeTemporal{getErr: c.err}, "default")
			_, waitErr := waiting.TestConnection(t.Context(), execution.Tenant, "conn-1")
			for _, err := range []error{
				g.StartExecution(t.Context(), execution), g.CancelExecution(t.Context(), execution.Tenant, "exec-1"), g.Ping(t.Context()), testErr, waitErr,
				g.Plan(t.Context(), models.Plan{}, ""), waiting.Plan(t.Context(), models.Plan{}, ""),
			} {
				assert.Equal(t, c.code, models.CodeOf(err))
				assert.ErrorIs(t, err, c.err, "the log has the cause")
				var known *models.Error
				if errors.As(err, &known) && known.Code == models.CodeUnavailable {
					assert.Positive(t, known.RetryAfter)
				}
			}
		})
	}
}

func TestTestConnection(t *testing.T) {
	want := models.ConnectionTest{Connected: true, LatencyMs: 15, Version: "PostgreSQL 16.2"}
	f := &fakeTemporal{result: contract.TestConnectionResult{Test: want}}
	got, err := gateway.New(f, "default").TestConnection(t.Context(), execution.Tenant, "conn-1")
	require.NoError(t, err)
	assert.Equal(t, want, got)
	assert.Equal(t, contract.ConnectionTestWorkflow, f.workflow)
	assert.Equal(t, []any{contract.TestConnectionInput{Tenant: execution.Tenant, ConnectionID: "conn-1"}}, f.args)
	assert.True(t, strings.HasPrefix(f.options.ID, contract.ConnectionTestPrefix))
	assert.NotZero(t, f.options.WorkflowExecutionTimeout)
}

func TestPlanNamesThePlanAndNothingOfIt(t *testing.T) {
	f := &fakeTemporal{}
	p := models.Plan{ID: models.NewID(models.PrefixPlan), Tenant: execution.Tenant, PipelineID: "pipeline-1", Definition: []byte(`{"sources": {}}`)}
	require.NoError(t, gateway.New(f, "default").Plan(t.Context(), p, "sales"))
	assert.Equal(t, contract.PlanWorkflow, f.workflow)
	assert.Equal(t, []any{contract.PlanInput{Tenant: execution.Tenant, PlanID: p.ID}}, f.args)
	assert.Equal(t, p.ID, f.options.ID)
	assert.Equal(t, contract.PlanTimeout, f.options.WorkflowExecutionTimeout)
	assert.Equal(t, "Plan of sales", f.options.StaticSummary)
	assert.Equal(t, map[string]any{contract.MemoTenant: string(execution.Tenant)}, f.options.Memo)
}
