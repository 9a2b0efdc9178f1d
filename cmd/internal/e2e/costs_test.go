package e2e

import (
	"math"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/matih/pipeline-service/cmd/internal/harness"
)

// costView is a cost as the API shows it, of an execution or a pipeline.
type costView struct {
	TotalCostUsd float64
	Breakdown    struct{ Compute, Storage, Network float64 }
	ByTask       []struct {
		Task                       string
		TotalCostUsd               float64
		Attempts                   int
		CPUSeconds, StorageGbHours float64
		NetworkBytes               int64
	}
	RateVersion string
	Final       bool
	Executions  int
	Trend       string
}

// micros are dollars as the whole millionths that they must be.
func micros(t *testing.T, dollars float64) int64 {
	t.Helper()
	n := math.Round(dollars * 1e6)
	require.InDelta(t, n/1e6, dollars, 0)
	return int64(n)
}

// cost reads a cost, which must add up.
func (w *world) cost(path string) costView {
	w.t.Helper()
	var c costView
	require.NoError(w.t, w.JSON(w.ctx, http.MethodGet, "/v1/pipelines/"+path+"/cost", nil, http.StatusOK, &c))
	total := micros(w.t, c.TotalCostUsd)
	assert.Equal(w.t, total, micros(w.t, c.Breakdown.Compute)+micros(w.t, c.Breakdown.Storage)+micros(w.t, c.Breakdown.Network))
	var byTask int64
	for _, task := range c.ByTask {
		byTask += micros(w.t, task.TotalCostUsd)
	}
	assert.Equal(w.t, total, byTask)
	return c
}

// Whatever an execution does costs something, attempts that fail, too; a budget that is used up refuses further ones.
func TestCosts(t *testing.T) {
	rates := filepath.Join(t.TempDir(), "rates.yaml")
	require.NoError(t, os.WriteFile(rates, []byte(`versions: [
		{version: dear, valid_from: 2020-01-01, cpu_second: 1, memory_gb_second: 0.5, storage_gb_hour: 1000, network_gb: 1000}]`), 0o600))
	w := newWorld(t, "--rates", rates)
	w.file("in/rows.csv", "id,amount\n1,10\n2,20\n")
	pipeline := w.pipeline("spending", m{
		"sources": m{"raw": m{"type": "cloud_storage", "connection": "files", "prefix": "in/", "format": "csv"}},
		"transformations": []m{{"name": "work", "type": "sql_transform", "input": "raw",
			"sql": "select id, (select sum(hash(a.i, b.j)) from range(${size}) as a(i), range(10000) as b(j)) as n from {{ input }}"}},
		"sinks":         m{"out": m{"type": "cloud_storage", "connection": "files", "prefix": "out/", "format": "csv", "mode": "append"}},
		"orchestration": m{"retry_policy": m{"max_attempts": 3, "initial_interval": "100ms"}},
	})
	cheap := w.completed(pipeline, m{"parameters": m{"size": 10}})
	first := w.cost("executions/" + cheap.ExecutionID)
	assert.True(t, first.Final)
	assert.Equal(t, "dear", first.RateVersion)
	require.Len(t, first.ByTask, 3)
	assert.Positive(t, first.Breakdown.Compute)
	assert.Positive(t, first.Breakdown.Storage)
	assert.Positive(t, first.Breakdown.Network)

	id, err := w.Execute(w.ctx, pipeline, m{"parameters": m{"size": 40_000}})
	require.NoError(t, err)
	w.awaitTask(id, "work")
	for _, pid := range w.taskProcesses() {
		require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
	}
	e, err := w.Await(w.ctx, id)
	require.NoError(t, err)
	require.Equal(t, "COMPLETED", e.Status, "%+v", e.Error)
	hit := w.cost("executions/" + id)
	require.Equal(t, "work", hit.ByTask[1].Task)
	assert.Equal(t, 2, hit.ByTask[1].Attempts, "the attempt that was killed, and the one after it")
	assert.Greater(t, hit.TotalCostUsd, first.TotalCostUsd)

	sum := w.cost(pipeline)
	assert.Equal(t, micros(t, first.TotalCostUsd)+micros(t, hit.TotalCostUsd), micros(t, sum.TotalCostUsd))
	assert.Equal(t, 2, sum.Executions)
	assert.Equal(t, "rising", sum.Trend)
	var submitted struct {
		harness.Execution
		EstimatedCostUsd *float64
	}
	require.NoError(t, w.JSON(w.ctx, http.MethodPost, "/v1/pipelines/"+pipeline+"/execute", m{"parameters": m{"size": 10}}, http.StatusAccepted, &submitted))
	require.NotNil(t, submitted.EstimatedCostUsd)
	assert.Equal(t, (micros(t, first.TotalCostUsd)+micros(t, hit.TotalCostUsd))/2, micros(t, *submitted.EstimatedCostUsd))
	w.awaitStatus(submitted.ExecutionID, "COMPLETED")

	w.setOrchestration(pipeline, m{"budget": m{"monthly_usd": 0.01, "on_exceed": "block"}})
	said := w.problem(http.MethodPost, "/v1/pipelines/"+pipeline+"/execute", m{"parameters": m{"size": 10}}, http.StatusConflict, "budget_exceeded")
	assert.Contains(t, said, "the pipeline's budget of 0.01 USD")
	schedule := w.createSchedule(pipeline, m{"parameters": m{"size": 10}})
	w.problem(http.MethodPost, "/v1/pipelines/schedules/"+schedule+"/trigger", nil, http.StatusConflict, "budget_exceeded")
	refused := w.awaitDue(schedule, func(outcome, _ string) bool { return outcome == "REFUSED" })
	assert.Contains(t, refused.RecentDueTimes[0].Reason, "is used up")

	w.setOrchestration(pipeline, m{"budget": m{"monthly_usd": 0.01, "on_exceed": "alert"}})
	w.completed(pipeline, m{"parameters": m{"size": 10}})
	assert.Contains(t, w.alerts(pipeline, "OPEN")["BUDGET_EXCEEDED"].Message, "is used up")
}
