package gateway_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	failurepb "go.temporal.io/api/failure/v1"
	"go.temporal.io/api/serviceerror"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/matih/pipeline-service/api/gateway"
	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/contract"
)

func (f *fakeTemporal) DescribeWorkflowExecution(context.Context, string, string) (*workflowservice.DescribeWorkflowExecutionResponse, error) {
	return f.described, f.err
}

func (f *fakeTemporal) UpdateWorkflow(_ context.Context, o client.UpdateWorkflowOptions) (client.WorkflowUpdateHandle, error) {
	f.updated = o
	return update{f}, f.err
}

type update struct{ *fakeTemporal }

func (u update) WorkflowID() string { return u.updated.WorkflowID }
func (u update) RunID() string      { return "" }
func (u update) UpdateID() string   { return u.updated.UpdateID }

func (u update) Get(_ context.Context, into any) error {
	*into.(*contract.Decided) = u.decided
	return u.getErr
}

func payload(t *testing.T, v any) *commonpb.Payload {
	t.Helper()
	p, err := converter.GetDefaultDataConverter().ToPayload(v)
	require.NoError(t, err)
	return p
}

func TestDescribe(t *testing.T) {
	started := time.Date(2026, 2, 12, 10, 30, 0, 0, time.UTC)
	application := func(class, message string) *failurepb.Failure {
		return &failurepb.Failure{Message: message, FailureInfo: &failurepb.Failure_ApplicationFailureInfo{
			ApplicationFailureInfo: &failurepb.ApplicationFailureInfo{Type: class},
		}}
	}
	timeout := func(kind enumspb.TimeoutType) *failurepb.Failure {
		return &failurepb.Failure{Message: "activity timeout", FailureInfo: &failurepb.Failure_TimeoutFailureInfo{
			TimeoutFailureInfo: &failurepb.TimeoutFailureInfo{TimeoutType: kind},
		}}
	}
	pending := func(kind, id string, why *failurepb.Failure) *workflowpb.PendingActivityInfo {
		return &workflowpb.PendingActivityInfo{
			ActivityId: id, ActivityType: &commonpb.ActivityType{Name: kind}, Attempt: 2, LastFailure: why,
			State: enumspb.PENDING_ACTIVITY_STATE_CANCEL_REQUESTED, LastStartedTime: timestamppb.New(started),
		}
	}
	f := &fakeTemporal{described: &workflowservice.DescribeWorkflowExecutionResponse{
		WorkflowExecutionInfo: &workflowpb.WorkflowExecutionInfo{
			Execution: &commonpb.WorkflowExecution{WorkflowId: "exec-1", RunId: "run"}, Type: &commonpb.WorkflowType{Name: "ExecutionWorkflow"},
			Status: enumspb.WORKFLOW_EXECUTION_STATUS_TIMED_OUT, StartTime: timestamppb.New(started),
			Memo: &commonpb.Memo{Fields: map[string]*commonpb.Payload{contract.MemoTenant: payload(t, string(execution.Tenant))}},
		},
		PendingActivities: []*workflowpb.PendingActivityInfo{
			pending(contract.RunTaskActivity, "clean", application(models.ClassSQL, "column x does not exist")),
			pending(contract.ForceCancelActivity, "7", application("*errors.errorString", "dial tcp 10.0.0.1: secret")),
			pending(contract.RunTaskActivity, "load", timeout(enumspb.TIMEOUT_TYPE_HEARTBEAT)),
			pending(contract.RunTaskActivity, "wait", timeout(enumspb.TIMEOUT_TYPE_START_TO_CLOSE)),
			pending(contract.RunTaskActivity, "first", nil),
		},
	}}
	w, err := gateway.New(f, "default").Describe(t.Context(), "exec-1")
	require.NoError(t, err)
	assert.Equal(t, "TIMED_OUT", w.Status)
	assert.Equal(t, execution.Tenant, w.Tenant)
	assert.Equal(t, started, w.StartedAt)
	assert.Zero(t, w.ClosedAt)
	for i, want := range []models.PendingActivity{
		{Name: "clean", LastFailure: "column x does not exist"},
		{Name: "ForceCancel", LastFailure: "the service failed; its log has the details"},
		{Name: "load", LastFailure: "the worker was lost"},
		{Name: "wait", LastFailure: "it took too long"},
		{Name: "first"},
	} {
		want.State, want.Attempt, want.StartedAt = "CANCEL_REQUESTED", 2, started
		assert.Equal(t, want, w.Activities[i])
	}

	info := f.described.GetWorkflowExecutionInfo()
	info.Memo = nil
	w, err = gateway.New(f, "default").Describe(t.Context(), "exec-1")
	require.NoError(t, err)
	assert.Empty(t, w.Tenant, "nobody's")
	info.SearchAttributes = &commonpb.SearchAttributes{IndexedFields: map[string]*commonpb.Payload{"TenantId": payload(t, string(execution.Tenant))}}
	w, err = gateway.New(f, "default").Describe(t.Context(), "exec-1")
	require.NoError(t, err)
	assert.Equal(t, execution.Tenant, w.Tenant, "schedules set the search attribute alone")

	f.err = serviceerror.NewNotFound("x")
	_, err = gateway.New(f, "default").Describe(t.Context(), "exec-1")
	assert.Equal(t, models.CodeNotFound, models.CodeOf(err))
}

func TestDecide(t *testing.T) {
	f := &fakeTemporal{decided: contract.Decided{Status: models.ApprovalPending, Approvals: 1, Required: 2}}
	d := contract.Decision{Approved: new(bool), ApprovedBy: "sam"}
	got, err := gateway.New(f, "default").Decide(t.Context(), "approval-1", "decision-1", d)
	require.NoError(t, err)
	assert.Equal(t, f.decided, got)
	assert.Equal(t, client.UpdateWorkflowOptions{
		WorkflowID: "approval-1", UpdateID: "decision-1", UpdateName: contract.DecideUpdate, Args: []any{d},
		WaitForStage: client.WorkflowUpdateStageCompleted,
	}, f.updated)

	for name, c := range map[string]struct {
		err  error
		code models.Code
	}{
		"refused":    {temporal.NewApplicationError("no", string(models.CodeSelfApproval)), models.CodeSelfApproval},
		"ended":      {serviceerror.NewNotFound("x"), models.CodeNotFound},
		"no worker":  {client.NewWorkflowUpdateServiceTimeoutOrCanceledError(context.DeadlineExceeded), models.CodeUnavailable},
		"not ready":  {serviceerror.NewWorkflowNotReady("x"), models.CodeUnavailable},
		"away":       {serviceerror.NewUnavailable("x"), models.CodeUnavailable},
		"unforeseen": {errors.New("x"), models.CodeInternal},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := gateway.New(&fakeTemporal{err: c.err}, "default").Decide(t.Context(), "approval-1", "decision-1", d)
			assert.Equal(t, c.code, models.CodeOf(err))
			_, err = gateway.New(&fakeTemporal{getErr: c.err}, "default").Decide(t.Context(), "approval-1", "decision-1", d)
			assert.Equal(t, c.code, models.CodeOf(err))
		})
	}
}

func TestCancelExecutionStartsItsCancellation(t *testing.T) {
	f := &fakeTemporal{}
	require.NoError(t, gateway.New(f, "default").CancelExecution(t.Context(), execution.Tenant, execution.ID))
	assert.Equal(t, contract.CancellationWorkflow, f.workflow)
	assert.Equal(t, []any{contract.CancellationInput{Tenant: execution.Tenant, ExecutionID: execution.ID}}, f.args)
	assert.Equal(t, "cancel-exec-1", f.options.ID)
	assert.Equal(t, enumspb.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING, f.options.WorkflowIDConflictPolicy)
	f.err = serviceerror.NewUnavailable("x")
	assert.Equal(t, models.CodeUnavailable, models.CodeOf(gateway.New(f, "default").CancelWorkflow(t.Context(), "conntest-1")))
}
