package api_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/matih/pipeline-service/api"
	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/store"
	"github.com/matih/pipeline-service/models/store/pgtest"
)

var away = &models.Error{Code: models.CodeUnavailable, Message: "the workflow service does not answer", RetryAfter: 7 * time.Second}

func TestExecute(t *testing.T) {
	e := newEnv(t)
	id := e.pipeline("flights")

	accepted := e.do("POST", "/v1/pipelines/"+id+"/execute", body(
		`{"parameters": {"day": "2026-02-01"}, "engine_override": null, "priority": "HIGH"}`)).is(http.StatusAccepted)
	doc := accepted.json()
	execution := doc["executionId"].(string)
	assert.True(t, models.IsID(models.PrefixExecution, execution))
	assert.Equal(t, "/v1/pipelines/executions/"+execution, accepted.header.Get("Location"))
	for field, want := range map[string]any{
		"pipelineId": id, "status": "QUEUED", "engine": "temporal", "estimatedDurationMs": 300000.0, "priority": "HIGH",
	} {
		assert.Equal(t, want, doc[field], field)
	}
	assert.NotEmpty(t, doc["submittedAt"])

	require.Len(t, e.gateway.started, 1)
	started := e.gateway.started[0]
	assert.Equal(t, execution, started.ID)
	assert.Equal(t, e.tenant, started.Tenant)
	assert.Equal(t, "flights", started.PipelineName)
	assert.Equal(t, 1, started.Version)
	assert.JSONEq(t, `{"day": "2026-02-01"}`, string(started.Parameters))

	got := e.do("GET", "/v1/pipelines/executions/"+execution).is(http.StatusOK).json()
	assert.Equal(t, map[string]any{"totalTasks": 0.0, "completedTasks": 0.0, "percentage": 0.0}, got["progress"], "until it is planned")
	assert.Equal(t, map[string]any{"rowsProcessed": 0.0, "bytesProcessed": 0.0, "elapsedMs": 0.0}, got["metrics"])
	assert.Equal(t, map[string]any{"day": "2026-02-01"}, got["parameters"])
	assert.NotContains(t, got, "startedAt")
	assert.NotContains(t, got, "endedAt")
	assert.NotContains(t, got, "error")
	assert.Equal(t, "ACTIVE", e.do("GET", "/v1/pipelines/"+id).json()["status"])

	running := e.do("POST", "/v1/pipelines/"+id+"/execute").problem(http.StatusConflict, models.CodePipelineRunning)
	assert.Equal(t, []string{execution}, running.ExecutionIDs)
	conflict := e.do("DELETE", "/v1/pipelines/"+id).problem(http.StatusConflict, models.CodePipelineRunning)
	assert.Equal(t, []string{execution}, conflict.ExecutionIDs)
}

func TestExecuteBadInput(t *testing.T) {
	e := newEnv(t)
	id := e.pipeline("flights")
	for name, c := range map[string]struct {
		body, location string
		code           models.Code
	}{
		"wrong type":        {`{"parameters": {"day": "yesterday"}}`, "body.parameters.day", models.CodeInvalidParameters},
		"undeclared":        {`{"parameters": {"other": 1}}`, "body.parameters.other", models.CodeInvalidParameters},
		"parameters a list": {`{"parameters": []}`, "body.parameters", models.CodeInvalidParameters},
		"engine":            {`{"engine_override": "spark"}`, "body.engine_override", models.CodeInvalidRequest},
		"priority":          {`{"priority": "URGENT"}`, "body.priority", models.CodeInvalidRequest},
		"unknown field":     {`{"tenant": "x"}`, "body.tenant", models.CodeInvalidRequest},
		"wrong case":        {`{"Priority": "LOW"}`, "body.Priority", models.CodeInvalidRequest},
		"null":              {`null`, "body", models.CodeInvalidRequest},
		"a list":            {`[]`, "body", models.CodeInvalidRequest},
	} {
		t.Run(name, func(t *testing.T) {
			answer := e.on(t).do("POST", "/v1/pipelines/"+id+"/execute", body(c.body))
			answer.problem(http.StatusBadRequest, c.code)
			assert.Contains(t, answer.mistakes(), c.location)
		})
	}
	both := e.do("POST", "/v1/pipelines/"+id+"/execute", body(`{"parameters": {"day": 7}, "priority": 1, "x": 1}`)).mistakes()
	assert.Len(t, both, 3)
	assert.Zero(t, e.gateway.starts())
	for _, empty := range []string{``, `{}`, `{"parameters": null, "engine_override": null}`} {
		accepted := e.do("POST", "/v1/pipelines/"+id+"/execute", body(empty)).is(http.StatusAccepted).json()
		assert.Equal(t, "NORMAL", accepted["priority"])
		_, err := e.store.ForTenant(e.tenant).FinishExecution(t.Context(), accepted["executionId"].(string),
			store.ExecutionEnd{Status: models.ExecutionCompleted, At: time.Now()})
		require.NoError(t, err)
	}
}

func TestExecuteOnAirflow(t *testing.T) {
	e := newEnv(t)
	id := e.pipeline("flights")
	p := e.do("POST", "/v1/pipelines/"+id+"/execute", body(`{"engine_override": "airflow"}`)).
		problem(http.StatusServiceUnavailable, models.CodeAirflowNotConfigured)
	assert.NotEmpty(t, p.Detail)

	with := newEnv(t, func(c *api.Config) { c.Submission.Airflow, c.Submission.Engine = true, models.EngineAirflow })
	id = with.pipeline("flights")
	assert.Equal(t, "airflow", with.do("POST", "/v1/pipelines/"+id+"/execute").is(http.StatusAccepted).json()["engine"])
}

func TestStartFails(t *testing.T) {
	e := newEnv(t)
	id := e.pipeline("flights")
	e.gateway.fail(away)
	answer := e.do("POST", "/v1/pipelines/"+id+"/execute")
	answer.problem(http.StatusServiceUnavailable, models.CodeUnavailable)
	assert.Equal(t, "7", answer.header.Get("Retry-After"))
	failed := e.do("GET", "/v1/pipelines/executions?status=FAILED").json()["executions"].([]any)
	require.Len(t, failed, 1, "it does not block the next one")
	assert.NotEmpty(t, failed[0].(map[string]any)["error"].(map[string]any)["message"])

	e.gateway.fail(errors.New("secret of the inside"))
	answer = e.do("POST", "/v1/pipelines/"+id+"/execute")
	answer.problem(http.StatusInternalServerError, models.CodeInternal)
	assert.NotContains(t, string(answer.body), "secret")
	assert.Contains(t, e.log.String(), "secret of the inside")

	e.gateway.fail(nil)
	e.do("POST", "/v1/pipelines/"+id+"/execute").is(http.StatusAccepted)
}

func TestExecuteSurvivesItsClient(t *testing.T) {
	e := newEnv(t)
	id := e.pipeline("flights")
	ctx, cancel := context.WithCancel(t.Context())
	e.gateway.onStart(cancel)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, e.server.URL+"/v1/pipelines/"+id+"/execute", http.NoBody)
	require.NoError(t, err)
	req.Header = http.Header{"Authorization": {"Bearer " + e.token("ADMIN")}, "X-Tenant-Id": {string(e.tenant)}}
	if resp, err := http.DefaultClient.Do(req); err == nil {
		_ = resp.Body.Close()
	}
	require.Eventually(t, func() bool { return e.gateway.starts() == 1 }, 5*time.Second, 5*time.Millisecond)
	assert.Equal(t, 1.0, e.do("GET", "/v1/pipelines/executions?status=QUEUED").json()["total"])
}

// TestOneOfManyWins submits at once on both databases: exactly one execution starts.
func TestOneOfManyWins(t *testing.T) {
	for name, env := range map[string]func(*testing.T) *env{
		"sqlite":   func(t *testing.T) *env { return newEnv(t) },
		"postgres": func(t *testing.T) *env { return newEnvOn(t, postgres.NewDatabase(t)) },
	} {
		t.Run(name, func(t *testing.T) {
			e := env(t)
			id := e.pipeline("flights")
			var (
				wg      sync.WaitGroup
				mu      sync.Mutex
				answers = map[int]int{}
			)
			for range 12 {
				wg.Go(func() {
					status := e.do("POST", "/v1/pipelines/"+id+"/execute").status
					mu.Lock()
					defer mu.Unlock()
					answers[status]++
				})
			}
			wg.Wait()
			assert.Equal(t, map[int]int{http.StatusAccepted: 1, http.StatusConflict: 11}, answers)
			assert.Equal(t, 1, e.gateway.starts())
		})
	}
}

func TestExecutionStatus(t *testing.T) {
	now := time.Date(2026, 2, 12, 10, 32, 5, 0, time.UTC)
	e := newEnv(t)
	id := e.execution()
	tenant := e.store.ForTenant(e.tenant)
	require.NoError(t, tenant.PlanExecution(t.Context(), id, []models.TaskRun{
		{Name: "flights", Kind: models.TaskSource}, {Name: "late", Kind: models.TaskTransformation}, {Name: "out", Kind: models.TaskSink},
	}))
	require.NoError(t, tenant.StartTask(t.Context(), id, models.TaskRun{Name: "flights", Attempts: 1, StartedAt: now}))
	require.NoError(t, tenant.FinishTask(t.Context(), id, models.TaskRun{
		Name: "flights", Kind: models.TaskSource, State: models.TaskSucceeded, Attempts: 1, RowsIn: 1234567, RowsOut: 1234567,
		BytesIn: 536870912, StartedAt: now, EndedAt: now.Add(time.Minute),
	}, nil))
	require.NoError(t, tenant.StartTask(t.Context(), id, models.TaskRun{Name: "late", Attempts: 2, StartedAt: now.Add(time.Minute)}))

	got := e.do("GET", "/v1/pipelines/executions/"+id).is(http.StatusOK).json()
	assert.Equal(t, "RUNNING", got["status"])
	assert.Equal(t, "2026-02-12T10:32:05Z", got["startedAt"])
	assert.Equal(t, map[string]any{"totalTasks": 3.0, "completedTasks": 1.0, "currentTask": "late", "percentage": 33.0}, got["progress"])
	assert.Equal(t, 1234567.0, got["metrics"].(map[string]any)["rowsProcessed"])
	assert.Equal(t, 536870912.0, got["metrics"].(map[string]any)["bytesProcessed"])

	_, err := tenant.FinishExecution(t.Context(), id, store.ExecutionEnd{
		Status: models.ExecutionFailed, At: now.Add(2 * time.Minute),
		Error: &models.ExecutionError{Task: "late", Class: models.ClassSQL, Message: "column delay does not exist"},
	})
	require.NoError(t, err)
	got = e.do("GET", "/v1/pipelines/executions/"+id).is(http.StatusOK).json()
	assert.Equal(t, "FAILED", got["status"])
	assert.Equal(t, map[string]any{"task": "late", "class": "sql_error", "message": "column delay does not exist"}, got["error"])
	assert.Equal(t, 120000.0, got["metrics"].(map[string]any)["elapsedMs"])
	assert.Equal(t, "2026-02-12T10:34:05Z", got["endedAt"])

	tasks := e.do("GET", "/v1/pipelines/executions/"+id+"/tasks").is(http.StatusOK).json()["tasks"].([]any)
	require.Len(t, tasks, 3)
	assert.Equal(t, "SUCCEEDED", tasks[0].(map[string]any)["state"])
	assert.Equal(t, 2.0, tasks[1].(map[string]any)["attempts"])
	assert.Equal(t, "SKIPPED", tasks[2].(map[string]any)["state"])
}

func TestListExecutions(t *testing.T) {
	e := newEnv(t)
	id := e.execution()
	pipeline := e.do("GET", "/v1/pipelines/executions/"+id).json()["pipelineId"].(string)
	for query, total := range map[string]float64{
		"": 1, "?status=QUEUED": 1, "?status=RUNNING": 0, "?pipelineId=" + pipeline: 1, "?pipelineId=" + pipeline + "&status=COMPLETED": 0,
	} {
		assert.Equal(t, total, e.do("GET", "/v1/pipelines/executions"+query).is(http.StatusOK).json()["total"], query)
	}
	assert.NotContains(t, e.do("GET", "/v1/pipelines/executions").json()["executions"].([]any)[0], "parameters")

	another := e.other()
	assert.Equal(t, 0.0, another.do("GET", "/v1/pipelines/executions").json()["total"])
	foreign := another.do("GET", "/v1/pipelines/executions?pipelineId="+pipeline).problem(http.StatusNotFound, models.CodeNotFound)
	unknown := e.do("GET", "/v1/pipelines/executions?pipelineId="+models.NewID("pipeline-")).problem(http.StatusNotFound, models.CodeNotFound)
	nonsense := e.do("GET", "/v1/pipelines/executions?pipelineId=x").problem(http.StatusNotFound, models.CodeNotFound)
	assert.Equal(t, unknown.Detail, foreign.Detail)
	assert.Equal(t, unknown.Detail, nonsense.Detail)
}

func TestCancel(t *testing.T) {
	e := newEnv(t)
	id := e.execution()
	for range 2 {
		doc := e.do("POST", "/v1/pipelines/executions/"+id+"/cancel").is(http.StatusAccepted).json()
		assert.Equal(t, map[string]any{"executionId": id, "status": "CANCELLING"}, doc)
	}
	assert.Equal(t, []string{id, id}, e.gateway.cancelled)

	e.gateway.fail(away)
	e.do("POST", "/v1/pipelines/executions/"+id+"/cancel").problem(http.StatusServiceUnavailable, models.CodeUnavailable)
	assert.Equal(t, "CANCELLING", e.do("GET", "/v1/pipelines/executions/"+id).json()["status"], "the wish is kept")

	e.gateway.fail(nil)
	e.finish(id)
	e.do("POST", "/v1/pipelines/executions/"+id+"/cancel").problem(http.StatusConflict, models.CodeExecutionClosed)
	assert.Len(t, e.gateway.cancelled, 3)
}

func TestDatabaseAway(t *testing.T) {
	server, err := pgtest.Start()
	require.NoError(t, err)
	e := newEnvOn(t, server.AdminDSN())
	id := e.pipeline("flights")
	require.NoError(t, server.Stop())
	answer := e.do("GET", "/v1/pipelines/"+id)
	answer.problem(http.StatusServiceUnavailable, models.CodeUnavailable)
	assert.NotEmpty(t, answer.header.Get("Retry-After"))
	assert.NotContains(t, strings.ToLower(string(answer.body)), "postgres")
}
