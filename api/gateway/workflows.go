package gateway

import (
	"context"
	"errors"
	"strings"
	"time"

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

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/contract"
)

// Describe tells what Temporal knows of the latest run of a workflow. The error has CodeNotFound where there is none.
func (g *Gateway) Describe(ctx context.Context, workflowID string) (models.Workflow, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	d, err := g.temporal.DescribeWorkflowExecution(ctx, workflowID, "")
	if err != nil {
		return models.Workflow{}, explain("describe the workflow", err)
	}
	return toWorkflow(d), nil
}

func toWorkflow(d *workflowservice.DescribeWorkflowExecutionResponse) models.Workflow {
	info := d.GetWorkflowExecutionInfo()
	w := models.Workflow{
		ID: info.GetExecution().GetWorkflowId(), RunID: info.GetExecution().GetRunId(), Type: info.GetType().GetName(),
		Status: enumName(info.GetStatus().String()), Tenant: tenantOf(info),
		StartedAt: moment(info.GetStartTime()), ClosedAt: moment(info.GetCloseTime()),
	}
	for _, p := range d.GetPendingActivities() {
		name := p.GetActivityType().GetName()
		if name == contract.RunTaskActivity {
			name = p.GetActivityId() // which is the task's name
		}
		w.Activities = append(w.Activities, models.PendingActivity{
			Name: name, State: enumName(p.GetState().String()), Attempt: int(p.GetAttempt()),
			StartedAt: moment(p.GetLastStartedTime()), LastFailure: failureForUsers(p.GetLastFailure()),
		})
	}
	return w
}

// tenantOf is the tenant that the starter of a workflow noted: in the memo, or as a search attribute.
func tenantOf(info *workflowpb.WorkflowExecutionInfo) models.TenantID {
	for _, payload := range []*commonpb.Payload{
		info.GetMemo().GetFields()[contract.MemoTenant],
		info.GetSearchAttributes().GetIndexedFields()[contract.SearchTenantID.GetName()],
	} {
		var text string
		if payload == nil || converter.GetDefaultDataConverter().FromPayload(payload, &text) != nil {
			continue
		}
		if tenant, err := models.ParseTenantID(text); err == nil {
			return tenant
		}
	}
	return ""
}

// enumName writes an enum of Temporal's as the service writes its own: TimedOut becomes TIMED_OUT.
func enumName(name string) string {
	var out strings.Builder
	for i, c := range name {
		if i > 0 && c >= 'A' && c <= 'Z' {
			out.WriteByte('_')
		}
		out.WriteRune(c)
	}
	return strings.ToUpper(out.String())
}

func moment(t *timestamppb.Timestamp) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.AsTime()
}

// failureForUsers is a failure's message where our own activities made it for users; what anything else
// says stays inside.
func failureForUsers(f *failurepb.Failure) string {
	switch {
	case f == nil:
		return ""
	case f.GetTimeoutFailureInfo() != nil && f.GetTimeoutFailureInfo().GetTimeoutType() == enumspb.TIMEOUT_TYPE_HEARTBEAT:
		return "the worker was lost"
	case f.GetTimeoutFailureInfo() != nil:
		return "it took too long"
	case models.IsClass(f.GetApplicationFailureInfo().GetType()):
		return f.GetMessage()
	default:
		return "the service failed; its log has the details"
	}
}

// CancelWorkflow asks a workflow to cancel. The error has CodeNotFound where none runs.
func (g *Gateway) CancelWorkflow(ctx context.Context, workflowID string) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return explain("cancel the workflow", g.temporal.CancelWorkflow(ctx, workflowID, ""))
}

// Decide hands a decision to the approval's workflow and tells what became of it. A decision that does not
// count is an error with the code that says why; CodeNotFound says that the workflow has ended. The
// same updateID again gives the first outcome again.
func (g *Gateway) Decide(ctx context.Context, approvalID, updateID string, d contract.Decision) (contract.Decided, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	var decided contract.Decided
	handle, err := g.temporal.UpdateWorkflow(ctx, client.UpdateWorkflowOptions{
		WorkflowID: approvalID, UpdateID: updateID, UpdateName: contract.DecideUpdate,
		Args: []any{d}, WaitForStage: client.WorkflowUpdateStageCompleted,
	})
	if err == nil {
		err = handle.Get(ctx, &decided)
	}
	return decided, refusal(err)
}

// refusal gives an update's error the code with which the workflow refused it.
func refusal(err error) error {
	var (
		app     *temporal.ApplicationError
		waiting *client.WorkflowUpdateServiceTimeoutOrCanceledError
		failed  *serviceerror.WorkflowNotReady
	)
	switch {
	case errors.As(err, &app) && app.Type() != "":
		return &models.Error{Code: models.Code(app.Type()), Message: app.Message(), Cause: err}
	case errors.As(err, &waiting), errors.As(err, &failed):
		return &models.Error{Code: models.CodeUnavailable, Message: "no worker answered in time", RetryAfter: retryAfter, Cause: err}
	default:
		return explain("decide", err)
	}
}
