package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/matih/pipeline-service/api/auth"
	"github.com/matih/pipeline-service/models"
)

// registerAirflow adds the operations on Airflow. This release drives none, so each says that none is configured; it does
// so after the checks of every operation, as it will where one is.
func (s *service) registerAirflow() {
	const dag, run = "/v1/airflow/dags/{dagId}", "/v1/airflow/dags/{dagId}/runs/{runId}"
	for _, o := range []struct {
		id, method, path, summary string
		scope                     auth.Scope
	}{
		{"listDags", http.MethodGet, "/v1/airflow/dags", "List DAGs", auth.ScopeRead},
		{"listDagRuns", http.MethodGet, dag + "/runs", "Get DAG runs", auth.ScopeRead},
		{"listDagTasks", http.MethodGet, run + "/tasks", "Get task instances", auth.ScopeRead},
		{"getDagTaskLogs", http.MethodGet, run + "/tasks/{taskId}/logs", "Get task logs", auth.ScopeRead},
		{"triggerDag", http.MethodPost, dag + "/trigger", "Trigger a DAG", auth.ScopeAirflow},
		{"pauseDag", http.MethodPost, dag + "/pause", "Pause a DAG", auth.ScopeAirflow},
		{"unpauseDag", http.MethodPost, dag + "/unpause", "Unpause a DAG", auth.ScopeAirflow},
	} {
		op := operation{
			Operation: huma.Operation{
				OperationID: o.id, Method: o.method, Path: o.path, Tags: []string{"Airflow"}, Summary: o.summary,
				Description: "Answered with 503 `airflow_not_configured` where the service has no Airflow, as in this release.",
			},
			Scope: o.scope, Codes: []models.Code{models.CodeAirflowNotConfigured, models.CodeNotFound},
		}
		switch o.id {
		case "listDags":
			register(s, op, func(context.Context, *struct{}) (*struct{}, error) { return nil, noAirflow() })
		case "listDagRuns":
			register(s, op, func(context.Context, *dagRunsInput) (*struct{}, error) { return nil, noAirflow() })
		case "listDagTasks":
			register(s, op, func(context.Context, *dagRunInput) (*struct{}, error) { return nil, noAirflow() })
		case "getDagTaskLogs":
			register(s, op, func(context.Context, *dagTaskInput) (*struct{}, error) { return nil, noAirflow() })
		case "triggerDag":
			op.Example = exampleTriggerDag
			register(s, op, func(context.Context, *triggerDagInput) (*struct{}, error) { return nil, noAirflow() })
		default:
			register(s, op, func(context.Context, *dagInput) (*struct{}, error) { return nil, noAirflow() })
		}
	}
}

type dagInput struct {
	DagID string `path:"dagId" doc:"The DAG's id."`
}

type dagRunsInput struct {
	DagID string `path:"dagId" doc:"The DAG's id."`
	Limit int    `query:"limit" minimum:"1" maximum:"100" default:"25" doc:"How many runs, newest first."`
}

type dagRunInput struct {
	DagID string `path:"dagId" doc:"The DAG's id."`
	RunID string `path:"runId" doc:"The run's id."`
}

type dagTaskInput struct {
	DagID  string `path:"dagId" doc:"The DAG's id."`
	RunID  string `path:"runId" doc:"The run's id."`
	TaskID string `path:"taskId" doc:"The task's id."`
}

// TriggerDagBody asks for a run of a DAG.
type TriggerDagBody struct {
	Conf Object `json:"conf,omitempty" doc:"The run's configuration; of a pipeline's DAG, its parameters."`
}

type triggerDagInput struct {
	DagID string `path:"dagId" doc:"The DAG's id."`
	Body  *TriggerDagBody
}

func noAirflow() error {
	return models.Errorf(models.CodeAirflowNotConfigured, "this service has no Airflow")
}
