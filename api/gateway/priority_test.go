package gateway_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/grpc"

	"github.com/matih/pipeline-service/api/gateway"
	"github.com/matih/pipeline-service/models"
)

// service is a workflow with pending activities.
type service struct {
	workflowservice.WorkflowServiceClient
	pending    []*workflowpb.PendingActivityInfo
	workflow   int32
	activities map[string]int32
	err        error
	gone       string // an activity that has ended meanwhile
}

func (s *service) UpdateWorkflowExecutionOptions(_ context.Context, r *workflowservice.UpdateWorkflowExecutionOptionsRequest, _ ...grpc.CallOption) (*workflowservice.UpdateWorkflowExecutionOptionsResponse, error) {
	s.workflow = r.GetWorkflowExecutionOptions().GetPriority().GetPriorityKey()
	return &workflowservice.UpdateWorkflowExecutionOptionsResponse{}, s.err
}

func (s *service) DescribeWorkflowExecution(context.Context, *workflowservice.DescribeWorkflowExecutionRequest, ...grpc.CallOption) (*workflowservice.DescribeWorkflowExecutionResponse, error) {
	return &workflowservice.DescribeWorkflowExecutionResponse{PendingActivities: s.pending}, nil
}

func (s *service) UpdateActivityOptions(_ context.Context, r *workflowservice.UpdateActivityOptionsRequest, _ ...grpc.CallOption) (*workflowservice.UpdateActivityOptionsResponse, error) {
	if r.GetId() == s.gone {
		return nil, serviceerror.NewNotFound("")
	}
	s.activities[r.GetId()] = r.GetActivityOptions().GetPriority().GetPriorityKey()
	return &workflowservice.UpdateActivityOptionsResponse{}, nil
}

func TestSetPriority(t *testing.T) {
	pending := func(id string, state enumspb.PendingActivityState) *workflowpb.PendingActivityInfo {
		return &workflowpb.PendingActivityInfo{ActivityId: id, State: state}
	}
	s := &service{activities: map[string]int32{}, gone: "3", pending: []*workflowpb.PendingActivityInfo{
		pending("1", enumspb.PENDING_ACTIVITY_STATE_STARTED), pending("2", enumspb.PENDING_ACTIVITY_STATE_SCHEDULED),
		pending("3", enumspb.PENDING_ACTIVITY_STATE_SCHEDULED), pending("4", enumspb.PENDING_ACTIVITY_STATE_SCHEDULED),
	}}
	g := gateway.New(&fakeTemporal{service: s}, "default")
	require.NoError(t, g.SetPriority(t.Context(), execution))
	assert.EqualValues(t, 1, s.workflow)
	assert.Equal(t, map[string]int32{"2": 1, "4": 1}, s.activities, "what runs is left alone")

	s.err = serviceerror.NewNotFound("")
	assert.Equal(t, models.CodeNotFound, models.CodeOf(g.SetPriority(t.Context(), execution)))
	s.err = serviceerror.NewUnavailable("")
	assert.Equal(t, models.CodeUnavailable, models.CodeOf(g.SetPriority(t.Context(), execution)))
}
