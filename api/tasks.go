package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/matih/pipeline-service/api/auth"
	"github.com/matih/pipeline-service/models"
)

// TaskView is one task of an execution.
type TaskView struct {
	Name      string                 `json:"name" doc:"As in the definition."`
	Kind      models.TaskKind        `json:"kind" enum:"source,transformation,quality_check,sink"`
	State     models.TaskState       `json:"state" enum:"PENDING,RUNNING,SUCCEEDED,FAILED,CANCELLED,SKIPPED,REUSED"`
	Attempts  int                    `json:"attempts"`
	RowsIn    int64                  `json:"rowsIn"`
	RowsOut   int64                  `json:"rowsOut"`
	BytesIn   int64                  `json:"bytesIn"`
	BytesOut  int64                  `json:"bytesOut"`
	StartedAt *time.Time             `json:"startedAt,omitempty"`
	EndedAt   *time.Time             `json:"endedAt,omitempty"`
	Error     *models.ExecutionError `json:"error,omitempty"`
	Detail    Object                 `json:"detail,omitempty" doc:"What a quality check counted."`
}

// TaskList are the tasks of an execution, in the order of the plan.
type TaskList struct {
	Tasks []TaskView `json:"tasks"`
}

func (s *service) registerTasks() {
	register(s, operation{
		Operation: huma.Operation{
			OperationID: "listTasks", Method: http.MethodGet, Path: "/v1/pipelines/executions/{executionId}/tasks",
			Tags: []string{"Executions"}, Summary: "List an execution's tasks",
			Description: "Every source, transformation, quality check and sink with its state and counts. Empty until the execution is planned.",
		},
		Scope: auth.ScopeRead, Load: loadExecution,
	}, s.listTasks)
}

type listTasksOutput struct{ Body TaskList }

func (s *service) listTasks(ctx context.Context, _ *executionInput) (*listTasksOutput, error) {
	runs, err := requestOf(ctx).store.TaskRuns(ctx, loaded[models.Execution](ctx).ID)
	if err != nil {
		return nil, err
	}
	list := TaskList{Tasks: make([]TaskView, 0, len(runs))}
	for _, run := range runs {
		v := TaskView{
			Name: run.Name, Kind: run.Kind, State: run.State, Attempts: run.Attempts,
			RowsIn: run.RowsIn, RowsOut: run.RowsOut, BytesIn: run.BytesIn, BytesOut: run.BytesOut,
			StartedAt: known(run.StartedAt), EndedAt: known(run.EndedAt), Error: run.Error,
		}
		if detail := Object(run.Detail); detail.given() {
			v.Detail = detail
		}
		list.Tasks = append(list.Tasks, v)
	}
	return &listTasksOutput{Body: list}, nil
}
