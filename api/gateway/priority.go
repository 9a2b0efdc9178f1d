package gateway

import (
	"context"
	"errors"

	activitypb "go.temporal.io/api/activity/v1"
	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/contract"
)

// SetPriority gives the workflow of an execution and the tasks of it that wait for a slot the execution's
// priority. Tasks take the workflow's when they are scheduled, so later ones follow; those that run are left
// alone. The error has CodeNotFound where no such workflow runs.
func (g *Gateway) SetPriority(ctx context.Context, e models.Execution) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return explain("change the priority", g.setPriority(ctx, e))
}

func (g *Gateway) setPriority(ctx context.Context, e models.Execution) error {
	service := g.temporal.WorkflowService()
	workflow := &commonpb.WorkflowExecution{WorkflowId: e.ID}
	priority := &commonpb.Priority{PriorityKey: int32(contract.PriorityKey(e.Priority))}
	_, err := service.UpdateWorkflowExecutionOptions(ctx, &workflowservice.UpdateWorkflowExecutionOptionsRequest{
		Namespace: g.namespace, WorkflowExecution: workflow,
		WorkflowExecutionOptions: &workflowpb.WorkflowExecutionOptions{Priority: priority},
		UpdateMask:               &fieldmaskpb.FieldMask{Paths: []string{"priority.priority_key"}},
	})
	if err != nil {
		return err
	}
	described, err := service.DescribeWorkflowExecution(ctx, &workflowservice.DescribeWorkflowExecutionRequest{
		Namespace: g.namespace, Execution: workflow,
	})
	if err != nil {
		return err
	}
	for _, waiting := range described.GetPendingActivities() {
		if waiting.GetState() != enumspb.PENDING_ACTIVITY_STATE_SCHEDULED {
			continue
		}
		// The server puts it into the queue again, at its new place.
		_, err := service.UpdateActivityOptions(ctx, &workflowservice.UpdateActivityOptionsRequest{
			Namespace: g.namespace, Execution: workflow,
			Activity:        &workflowservice.UpdateActivityOptionsRequest_Id{Id: waiting.GetActivityId()},
			ActivityOptions: &activitypb.ActivityOptions{Priority: priority},
			UpdateMask:      &fieldmaskpb.FieldMask{Paths: []string{"priority.priority_key"}},
		})
		var ended *serviceerror.NotFound
		if err != nil && !errors.As(err, &ended) {
			return err
		}
	}
	return nil
}
