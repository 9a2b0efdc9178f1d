package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/matih/pipeline-service/api/auth"
	"github.com/matih/pipeline-service/models"
)

// PriorityBody changes an execution.
type PriorityBody struct {
	Priority models.Priority `json:"priority" enum:"LOW,NORMAL,HIGH,CRITICAL" doc:"Who goes first where executions wait."`
}

func (s *service) registerPriority() {
	register(s, operation{
		Operation: huma.Operation{
			OperationID: "updateExecution", Method: http.MethodPatch, Path: "/v1/pipelines/executions/{executionId}",
			Tags: []string{"Executions"}, Summary: "Change an execution's priority",
			Description: "Counts within about a second, for the tasks that wait and for those still to come; a task that runs goes on.",
		},
		Scope: auth.ScopeExecute, Load: loadExecution, Example: examplePriority, Answer: exampleExecution,
		Codes: []models.Code{models.CodeExecutionClosed},
	}, s.setPriority)
}

type priorityInput struct {
	ExecutionID string       `path:"executionId" doc:"The execution's id."`
	Body        PriorityBody `required:"true"`
}

// setPriority changes the row first: a workflow that starts later starts with what the row says, and asking
// again repeats what Temporal may have missed.
func (s *service) setPriority(ctx context.Context, in *priorityInput) (*executionOutput, error) {
	t, id := requestOf(ctx).store, loaded[models.Execution](ctx).ID
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitTimeout)
	defer cancel()
	e, err := t.SetPriority(ctx, id, in.Body.Priority)
	if err != nil {
		return nil, err
	}
	if err := s.Gateway.SetPriority(ctx, e); models.CodeOf(err) != models.CodeNotFound && err != nil {
		return nil, err
	}
	return &executionOutput{Body: s.viewExecution(e)}, nil
}
