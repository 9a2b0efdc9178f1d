package api_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/matih/pipeline-service/api"
	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/cost"
	"github.com/matih/pipeline-service/models/store"
)

// spend has an execution of a pipeline end at a time whose task failed once, and returns its id.
func (e *env) spend(pipeline string, at time.Time, cpu time.Duration) string {
	e.Helper()
	t, ctx := e.store.ForTenant(e.tenant), e.Context()
	id := models.NewID(models.PrefixExecution)
	_, err := t.SubmitExecution(ctx, models.Execution{ID: id, PipelineID: pipeline, MaxActiveRuns: 10, Engine: models.EngineTemporal, SubmittedAt: at})
	require.NoError(e, err)
	require.NoError(e, t.PlanExecution(ctx, id, []models.TaskRun{{Name: "flights", Kind: models.TaskSource}}))
	for attempt, state := range []models.TaskState{models.TaskFailed, models.TaskSucceeded} {
		run := models.TaskRun{Name: "flights", Attempts: attempt + 1, StartedAt: at.Add(-time.Minute)}
		require.NoError(e, t.StartTask(ctx, id, run))
		run.State, run.EndedAt = state, at
		run.Usage = &models.Usage{CPUMicros: cpu.Microseconds() / 2, PeakMemoryBytes: 1 << 20, NetworkBytes: 1_000_000_000}
		require.NoError(e, t.FinishTask(ctx, id, run, nil))
	}
	_, err = t.FinishExecution(ctx, id, store.ExecutionEnd{Status: models.ExecutionCompleted, At: at})
	require.NoError(e, err)
	return id
}

// costEnv is an API whose prices are round: a CPU second costs a tenth of a cent, a GB of traffic one.
func costEnv(t *testing.T, now time.Time) *env {
	e := newEnv(t, func(c *api.Config) { c.Now = func() time.Time { return now } })
	var err error
	e.store.Pricing.Rates, err = cost.ParseRates([]byte(`versions: [{version: "2026-01", valid_from: 2026-01-01,
		cpu_second: 0.001, memory_gb_second: 0, storage_gb_hour: 0, network_gb: 0.01}]`))
	require.NoError(t, err)
	return e
}

func TestCostsAsInTheReference(t *testing.T) {
	now := time.Date(2026, 2, 12, 12, 0, 0, 0, time.UTC)
	e := costEnv(t, now)
	id := e.pipeline("flights")
	path := "/v1/pipelines/" + id + "/cost"
	assert.JSONEq(t, `{"pipelineId": "`+id+`", "period": "30d", "totalCostUsd": 0, "breakdown": {"compute": 0, "storage": 0, "network": 0},
		"costPerExecution": 0, "executions": 0, "trend": "stable", "byTask": []}`, string(e.do("GET", path).is(http.StatusOK).body))

	execution := e.spend(id, now.Add(-20*24*time.Hour), 100*time.Second)
	byTask := func(total, compute, network, attempts, cpu, bytes string) string {
		return `[{"task": "flights", "totalCostUsd": ` + total + `, "breakdown": {"compute": ` + compute + `, "storage": 0, "network": ` + network + `},
			"attempts": ` + attempts + `, "cpuSeconds": ` + cpu + `, "memoryGbSeconds": 0, "peakMemoryBytes": 1048576, "storageGbHours": 0, "networkBytes": ` + bytes + `}]`
	}
	assert.JSONEq(t, `{"executionId": "`+execution+`", "pipelineId": "`+id+`", "totalCostUsd": 0.12,
		"breakdown": {"compute": 0.1, "storage": 0, "network": 0.02}, "rateVersion": "2026-01", "final": true,
		"byTask": `+byTask("0.12", "0.1", "0.02", "2", "100", "2000000000")+`}`,
		string(e.do("GET", "/v1/pipelines/executions/"+execution+"/cost").is(http.StatusOK).body))

	e.spend(id, now.Add(-2*24*time.Hour), 110*time.Second)
	e.spend(id, now.Add(-2*24*time.Hour), 3*time.Millisecond)
	assert.JSONEq(t, `{"pipelineId": "`+id+`", "period": "30d", "totalCostUsd": 0.270003,
		"breakdown": {"compute": 0.210003, "storage": 0, "network": 0.06}, "costPerExecution": 0.090001, "executions": 3, "trend": "rising",
		"byTask": `+byTask("0.270003", "0.210003", "0.06", "6", "210.003", "6000000000")+`}`, string(e.do("GET", path).is(http.StatusOK).body))
	week := e.do("GET", path+"?period=7d").is(http.StatusOK).json()
	assert.InDelta(t, 0.150003, week["totalCostUsd"], 0)
	assert.Equal(t, "rising", week["trend"])
	assert.Zero(t, e.do("GET", path+"?period=24h").is(http.StatusOK).json()["totalCostUsd"])
	metrics := e.do("GET", "/v1/pipelines/monitoring/metrics?period=30d&pipelineId="+id).is(http.StatusOK).json()["metrics"].(map[string]any)
	assert.InDelta(t, 0.270003, metrics["totalCostUsd"], 0)
	e.do("GET", path+"?period=1y").problem(http.StatusBadRequest, models.CodeInvalidRequest)
}

func TestExecuteTellsTheEstimatedCost(t *testing.T) {
	now := time.Date(2026, 2, 12, 12, 0, 0, 0, time.UTC)
	e := costEnv(t, now)
	id := e.pipeline("flights")
	first := e.do("POST", "/v1/pipelines/"+id+"/execute").is(http.StatusAccepted).json()
	assert.NotContains(t, first, "estimatedCostUsd", "nothing is known yet")
	_, err := e.store.ForTenant(e.tenant).FinishExecution(t.Context(), first["executionId"].(string), store.ExecutionEnd{Status: models.ExecutionFailed})
	require.NoError(t, err)
	e.spend(id, now.Add(-time.Hour), 100*time.Second)
	second := e.do("POST", "/v1/pipelines/"+id+"/execute").is(http.StatusAccepted).json()
	assert.InDelta(t, 0.12, second["estimatedCostUsd"], 0)
	assert.InDelta(t, 0.12, e.do("GET", "/v1/pipelines/executions/"+second["executionId"].(string)).json()["estimatedCostUsd"], 0)
}

func TestUsedUpBudgetRefusesExecutions(t *testing.T) {
	now := time.Date(2026, 2, 12, 12, 0, 0, 0, time.UTC)
	e := costEnv(t, now)
	id := e.pipeline("flights")
	e.spend(id, now.Add(-time.Hour), 100*time.Second)
	e.store.Budgets = map[models.TenantID]models.Budget{e.tenant: {MonthlyMicros: 100_000, OnExceed: models.ExceedBlock}}
	refused := e.do("POST", "/v1/pipelines/"+id+"/execute").problem(http.StatusConflict, models.CodeBudgetExceeded)
	assert.Equal(t, "the tenant's budget of 0.10 USD for February 2026 is used up: 0.12 USD are spent", refused.Detail)
	assert.Zero(t, e.gateway.starts())
}
