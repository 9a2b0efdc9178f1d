// Package gateway is the API's way to Temporal: it starts and cancels executions, hands decisions to
// approvals, describes workflows, tests connections, has definitions planned and says whether Temporal answers. Nothing else in the API holds a Temporal client.
package gateway

import (
	"context"
	"errors"
	"fmt"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/contract"
)

const (
	// callTimeout bounds one call to Temporal.
	callTimeout = 10 * time.Second
	// testTimeout bounds a connection test, its wait for a worker included.
	testTimeout = 30 * time.Second
	// retryAfter is what a client is told to wait when Temporal does not answer.
	retryAfter = 5 * time.Second
)

// Temporal is the part of client.Client that the gateway uses.
type Temporal interface {
	ExecuteWorkflow(ctx context.Context, options client.StartWorkflowOptions, workflow any, args ...any) (client.WorkflowRun, error)
	CancelWorkflow(ctx context.Context, workflowID, runID string) error
	DescribeWorkflowExecution(ctx context.Context, workflowID, runID string) (*workflowservice.DescribeWorkflowExecutionResponse, error)
	UpdateWorkflow(ctx context.Context, options client.UpdateWorkflowOptions) (client.WorkflowUpdateHandle, error)
	CheckHealth(ctx context.Context, request *client.CheckHealthRequest) (*client.CheckHealthResponse, error)
	WorkflowService() workflowservice.WorkflowServiceClient
	ScheduleClient() client.ScheduleClient
}

var _ Temporal = (client.Client)(nil)

// Gateway speaks to one Temporal namespace. It is safe for concurrent use.
type Gateway struct {
	temporal  Temporal
	namespace string
}

// New makes a Gateway to a namespace, which is the client's.
func New(temporal Temporal, namespace string) *Gateway {
	return &Gateway{temporal: temporal, namespace: namespace}
}

// StartExecution starts the workflow of an execution. Starting it again, even after it has ended, is a success
// and changes nothing. The error has CodeUnavailable where Temporal did not answer, and the workflow may
// have started nevertheless.
func (g *Gateway) StartExecution(ctx context.Context, e models.Execution) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	_, err := g.temporal.ExecuteWorkflow(ctx, contract.ExecutionOptions(e), contract.ExecutionWorkflow,
		contract.ExecutionInput{Tenant: e.Tenant, ExecutionID: e.ID})
	var started *serviceerror.WorkflowExecutionAlreadyStarted
	if errors.As(err, &started) {
		return nil
	}
	return explain("start the execution", err)
}

// CancelExecution starts the workflow that sees to it that an execution ends. Starting it again while
// it runs is a success and changes nothing.
func (g *Gateway) CancelExecution(ctx context.Context, tenant models.TenantID, executionID string) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	_, err := g.temporal.ExecuteWorkflow(ctx, contract.CancellationOptions(tenant, executionID), contract.CancellationWorkflow,
		contract.CancellationInput{Tenant: tenant, ExecutionID: executionID})
	return explain("cancel the execution", err)
}

// TestConnection tests a connection on a worker and waits up to 30 seconds for what it found.
func (g *Gateway) TestConnection(ctx context.Context, tenant models.TenantID, connectionID string) (models.ConnectionTest, error) {
	ctx, cancel := context.WithTimeout(ctx, testTimeout)
	defer cancel()
	run, err := g.temporal.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID:                       models.NewID(contract.ConnectionTestPrefix),
		TaskQueue:                contract.QueueControl,
		WorkflowExecutionTimeout: testTimeout,
		WorkflowIDReusePolicy:    enumspb.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE,
		TypedSearchAttributes:    temporal.NewSearchAttributes(contract.SearchTenantID.ValueSet(string(tenant))),
		Memo:                     map[string]any{contract.MemoTenant: string(tenant)},
		StaticSummary:            "Test of connection " + connectionID,
		StaticDetails:            fmt.Sprintf("Tenant %s", tenant),
		Priority:                 temporal.Priority{PriorityKey: contract.PriorityKey(models.PriorityHigh), FairnessKey: string(tenant)},
	}, contract.ConnectionTestWorkflow, contract.TestConnectionInput{Tenant: tenant, ConnectionID: connectionID})
	if err != nil {
		return models.ConnectionTest{}, explain("test the connection", err)
	}
	var result contract.TestConnectionResult
	if err := run.Get(ctx, &result); err != nil {
		return models.ConnectionTest{}, explain("test the connection", err)
	}
	return result.Test, nil
}

// Plan has the steps of a plan, which is in the store, looked at on workers, and waits up to a minute.
func (g *Gateway) Plan(ctx context.Context, p models.Plan, name string) error {
	ctx, cancel := context.WithTimeout(ctx, contract.PlanTimeout+callTimeout)
	defer cancel()
	run, err := g.temporal.ExecuteWorkflow(ctx, contract.PlanOptions(p, name), contract.PlanWorkflow,
		contract.PlanInput{Tenant: p.Tenant, PlanID: p.ID})
	if err != nil {
		return explain("plan the pipeline", err)
	}
	return explain("plan the pipeline", run.Get(ctx, nil))
}

// Ping reports whether Temporal answers.
func (g *Gateway) Ping(ctx context.Context) error {
	_, err := g.temporal.CheckHealth(ctx, &client.CheckHealthRequest{})
	return explain("reach the workflow service", err)
}

// explain gives an error of Temporal the code its user sees.
func explain(doing string, err error) error {
	var (
		notFound    *serviceerror.NotFound
		unavailable *serviceerror.Unavailable
		exhausted   *serviceerror.ResourceExhausted
		deadline    *serviceerror.DeadlineExceeded
		timeout     *temporal.TimeoutError
	)
	switch {
	case err == nil:
		return nil
	case errors.As(err, &notFound):
		return &models.Error{Code: models.CodeNotFound, Message: "no such workflow runs", Cause: err}
	case errors.As(err, &timeout):
		return &models.Error{
			Code: models.CodeUnavailable, Message: "no worker answered in time", RetryAfter: retryAfter, Cause: err,
		}
	case errors.As(err, &unavailable), errors.As(err, &exhausted), errors.As(err, &deadline),
		errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return &models.Error{
			Code: models.CodeUnavailable, Message: "the workflow service does not answer", RetryAfter: retryAfter, Cause: err,
		}
	default:
		return fmt.Errorf("gateway: %s: %w", doing, err)
	}
}
