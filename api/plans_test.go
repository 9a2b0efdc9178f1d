package api_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/store"
)

// lookAt has the workers find these steps of every plan.
func (e *env) lookAt(steps ...models.PlannedStep) {
	e.gateway.planned = func(p models.Plan) {
		for _, step := range steps {
			require.NoError(e, e.store.ForTenant(p.Tenant).RecordStep(e.Context(), p.ID, step))
		}
	}
}

// wellFlights is what workers find about definitionJSON where all is well.
func wellFlights() []models.PlannedStep {
	columns := []models.Column{{Name: "carrier", Type: "VARCHAR"}, {Name: "delay", Type: "BIGINT"}}
	carrier := "AA"
	return []models.PlannedStep{
		{Name: "flights", Output: "t/p/flights/1", Finding: models.Finding{Columns: columns, Rows: []map[string]*string{{"carrier": &carrier, "delay": nil}}}},
		{Name: "late", Output: "t/p/late/1", Finding: models.Finding{Columns: columns}},
		{Name: "out", Finding: models.Finding{Columns: columns, Sink: &models.SinkFinding{Exists: true, Compatible: true, Changes: []models.ColumnChange{
			{Column: "delay", Change: models.ColumnTypeChanged, From: "DOUBLE", To: "BIGINT"}}}}},
	}
}

func planJSON(more string) string { return `{"definition": ` + definitionJSON + more + `}` }

// nothingKept makes sure that a plan's rows are gone.
func (e *env) nothingKept() {
	e.Helper()
	for _, p := range e.gateway.plans {
		_, err := e.store.ForTenant(p.Tenant).Plan(e.Context(), p.ID)
		assert.Equal(e, models.CodeNotFound, models.CodeOf(err))
		steps, err := e.store.ForTenant(p.Tenant).PlannedSteps(e.Context(), p.ID)
		require.NoError(e, err)
		assert.Empty(e, steps)
	}
}

func TestPlanTellsWhatWasFound(t *testing.T) {
	e := newEnv(t)
	e.landing()
	e.lookAt(wellFlights()...)
	a := e.do("POST", "/v1/pipelines/plan", body(planJSON(`, "name": "flights", "parameters": {"day": "2026-02-01"}, "sample": 2`))).is(http.StatusOK)
	assert.JSONEq(t, `{
		"valid": true,
		"steps": [
			{"name": "flights", "kind": "source", "columns": [{"name": "carrier", "type": "VARCHAR"}, {"name": "delay", "type": "BIGINT"}],
				"rows": [{"carrier": "AA", "delay": null}]},
			{"name": "late", "kind": "transformation", "columns": [{"name": "carrier", "type": "VARCHAR"}, {"name": "delay", "type": "BIGINT"}]},
			{"name": "out", "kind": "sink", "columns": [{"name": "carrier", "type": "VARCHAR"}, {"name": "delay", "type": "BIGINT"}]}],
		"sinks": [{"name": "out", "exists": true, "compatible": true,
			"changes": [{"column": "delay", "change": "type_changed", "from": "DOUBLE", "to": "BIGINT"}]}],
		"schedules": [], "downstream": [], "estimate": {"durationMs": 300000}}`, string(a.body))
	require.Len(t, e.gateway.plans, 1)
	p := e.gateway.plans[0]
	assert.Equal(t, e.tenant, p.Tenant)
	assert.JSONEq(t, definitionJSON, string(p.Definition))
	assert.JSONEq(t, `{"day": "2026-02-01"}`, string(p.Parameters))
	assert.Equal(t, 2, p.Sample)
	assert.Empty(t, a.header.Get("Location"))
	e.nothingKept()
	assert.Equal(t, 0.0, e.do("GET", "/v1/pipelines").json()["total"])

	e.lookAt(wellFlights()[1:]...)
	doc := e.do("POST", "/v1/pipelines/plan", body(planJSON(""))).is(http.StatusOK).json()
	assert.Equal(t, false, doc["valid"], "one step had no turn")
	first := doc["steps"].([]any)[0].(map[string]any)
	assert.Equal(t, map[string]any{"task": "flights", "class": "timeout", "message": "there was no time left to look at it"}, first["error"])
	assert.Empty(t, first["columns"])
}

func TestPlanOfANextVersion(t *testing.T) {
	e := newEnv(t)
	id := e.pipeline("flights")
	fits := e.do("POST", "/v1/pipelines/schedules", body(`{"pipelineId": "`+id+`", "cronExpression": "0 6 * * *", "parameters": {"day": "2026-02-01"}}`)).
		is(http.StatusCreated).json()["scheduleId"].(string)
	reader := strings.ReplaceAll(pipelineJSON("reader"), `"pattern": "*.csv", "format": "csv"`, `"prefix": "out/", "pattern": "*", "format": "parquet"`)
	reader = strings.Replace(reader, `"prefix": "out/", "format": "parquet", "mode"`, `"prefix": "further/", "format": "parquet", "mode"`, 1)
	downstream := e.do("POST", "/v1/pipelines", body(reader)).is(http.StatusCreated).json()["pipelineId"].(string)

	e.lookAt(wellFlights()...)
	next := strings.ReplaceAll(planJSON(`, "pipelineId": "`+id+`"`), "delay > 60", "delay > 90")
	doc := e.do("POST", "/v1/pipelines/plan", body(next)).is(http.StatusOK).json()
	assert.Equal(t, map[string]any{"against": 1.0, "added": []any{}, "removed": []any{}, "changed": []any{
		map[string]any{"path": "transformations.late.condition", "before": "delay > 60", "after": "delay > 90"}}}, doc["diff"])
	assert.Equal(t, []any{map[string]any{"scheduleId": fits, "enabled": true}}, doc["schedules"])
	assert.Equal(t, true, doc["valid"])
	related := doc["downstream"].([]any)
	require.Len(t, related, 1)
	assert.Equal(t, downstream, related[0].(map[string]any)["pipelineId"])
	assert.Equal(t, id, e.gateway.plans[0].PipelineID)

	doc = e.do("POST", "/v1/pipelines/plan", body(strings.ReplaceAll(next, `{"name": "day", "type": "date"}`, `{"name": "since", "type": "date"}`))).
		is(http.StatusOK).json()
	assert.Equal(t, false, doc["valid"])
	assert.Contains(t, doc["schedules"].([]any)[0].(map[string]any)["problem"], "parameters.day")
	e.nothingKept()
}

func TestPlanBadInput(t *testing.T) {
	e := newEnv(t)
	id := e.pipeline("flights")
	for name, broken := range map[string]string{
		"unknown connection": strings.ReplaceAll(definitionJSON, "landing", "nowhere"),
		"no definition":      `{"sources": 7, "sinks": {}}`,
		"not an object":      `7`,
	} {
		created := e.do("POST", "/v1/pipelines", body(`{"name": "x", "definition": `+broken+`}`)).mistakes()
		assert.Equal(t, created, e.do("POST", "/v1/pipelines/plan", body(`{"definition": `+broken+`}`)).mistakes(), name)
	}
	for location, more := range map[string]string{
		"body.sample": `, "sample": 101`, "body.parameters.day": `, "parameters": {"day": "soon"}`,
		"body.parameters.other": `, "parameters": {"other": 1}`, "body.parameters": `, "parameters": []`,
		"body.tenantId": `, "tenantId": "x"`, "body.name": `, "name": "a\u0000b"`,
	} {
		assert.Contains(t, e.do("POST", "/v1/pipelines/plan", body(planJSON(more))).mistakes(), location)
	}
	e.do("POST", "/v1/pipelines/plan", body(planJSON(`, "pipelineId": "`+models.NewID("pipeline-")+`"`))).problem(http.StatusNotFound, models.CodeNotFound)
	stranger := e.other()
	stranger.landing()
	stranger.do("POST", "/v1/pipelines/plan", body(planJSON(`, "pipelineId": "`+id+`"`))).problem(http.StatusNotFound, models.CodeNotFound)
	e.do("DELETE", "/v1/pipelines/"+id).is(http.StatusNoContent)
	e.do("POST", "/v1/pipelines/plan", body(planJSON(`, "pipelineId": "`+id+`"`))).problem(http.StatusNotFound, models.CodeNotFound)
	assert.Empty(t, e.gateway.plans, "nobody was asked")
}

func TestPlanWithoutWorkers(t *testing.T) {
	e := newEnv(t)
	e.landing()
	p := e.do("POST", "/v1/pipelines/plan", body(planJSON("")))
	p.problem(http.StatusServiceUnavailable, models.CodeUnavailable)
	assert.Equal(t, "5", p.header.Get("Retry-After"), "nothing was found out")
	e.gateway.fail(away)
	assert.Equal(t, "7", e.do("POST", "/v1/pipelines/plan", body(planJSON(""))).is(http.StatusServiceUnavailable).header.Get("Retry-After"))
	e.nothingKept()
}

func TestDryRunChecksAndChangesNothing(t *testing.T) {
	e := newEnv(t)
	id := e.pipeline("flights")
	e.lookAt(wellFlights()...)
	before := e.do("GET", "/v1/pipelines/"+id).is(http.StatusOK)

	created := e.do("POST", "/v1/pipelines?dryRun=true", body(pipelineJSON("other"))).is(http.StatusOK)
	assert.Equal(t, true, created.json()["valid"])
	assert.NotContains(t, created.json(), "pipelineId")
	assert.Empty(t, created.header.Get("Location")+created.header.Get("ETag"))
	updated := e.do("PUT", "/v1/pipelines/"+id+"?dryRun=true", header("If-Match", before.header.Get("ETag")),
		body(strings.ReplaceAll(pipelineJSON("renamed"), "delay > 60", "delay > 90"))).is(http.StatusOK).json()
	assert.Equal(t, 1.0, updated["diff"].(map[string]any)["against"])
	assert.Equal(t, string(before.body), string(e.do("GET", "/v1/pipelines/"+id).body))
	assert.Equal(t, 1.0, e.do("GET", "/v1/pipelines").json()["total"])
	for _, p := range e.gateway.plans {
		assert.Zero(t, p.Sample)
	}
	e.nothingKept()

	asked := len(e.gateway.plans)
	e.do("POST", "/v1/pipelines?dryRun=true", body(pipelineJSON("flights"))).problem(http.StatusConflict, models.CodeNameTaken)
	e.do("PUT", "/v1/pipelines/"+id+"?dryRun=true", header("If-Match", `"9"`), body(pipelineJSON("x"))).
		problem(http.StatusPreconditionFailed, models.CodePreconditionFailed)
	assert.Contains(t, e.do("POST", "/v1/pipelines?dryRun=maybe", body(pipelineJSON("y"))).mistakes(), "query.dryRun")
	assert.Contains(t, e.do("POST", "/v1/pipelines?dryRun=true", body(strings.ReplaceAll(pipelineJSON("y"), "landing", "nowhere"))).mistakes(),
		"body.definition.sources.flights.connection")
	assert.Len(t, e.gateway.plans, asked, "nobody was asked")

	required := strings.ReplaceAll(pipelineJSON("y"), `"type": "date"}`, `"type": "date", "required": true}`)
	doc := e.do("POST", "/v1/pipelines?dryRun=true", body(required)).is(http.StatusOK).json()
	assert.Equal(t, false, doc["valid"])
	step := doc["steps"].([]any)[0].(map[string]any)["error"].(map[string]any)
	assert.Contains(t, step["message"], "parameters.day is required")
	assert.Len(t, e.gateway.plans, asked, "without a value nothing can be tried")

	kept := e.do("POST", "/v1/pipelines", body(pipelineJSON("other"))).is(http.StatusCreated)
	assert.NotEmpty(t, kept.header.Get("ETag"))
	assert.NotContains(t, kept.json(), "valid")
	entries := e.do("GET", "/v1/audit").json()["entries"].([]any)
	paths := map[string]int{}
	for _, entry := range entries {
		paths[entry.(map[string]any)["path"].(string)]++
	}
	assert.Positive(t, paths["/v1/pipelines?dryRun=true"])
	assert.Positive(t, paths["/v1/pipelines/"+id+"?dryRun=true"])
	assert.Equal(t, 3, paths["/v1/pipelines"], "two that were made, and one whose dryRun was no boolean")
}

func TestDryRunKnowsTheQuota(t *testing.T) {
	e := newEnv(t)
	e.store.Quotas = store.Quotas{Pipelines: 1}
	e.pipeline("flights")
	e.do("POST", "/v1/pipelines?dryRun=true", body(pipelineJSON("other"))).problem(http.StatusTooManyRequests, models.CodeQuotaExceeded)
}
