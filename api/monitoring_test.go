package api_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/matih/pipeline-service/api"
	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/store"
)

// alert opens an alert of a pipeline and returns its id.
func (e *env) alert(pipeline string, rule models.AlertRule, change ...func(*models.Alert)) string {
	e.Helper()
	a := models.Alert{PipelineID: pipeline, Rule: rule, Severity: models.SeverityWarning, Message: "is broken", Occurrence: "1", LastSeen: time.Now()}
	for _, f := range change {
		f(&a)
	}
	t := e.store.ForTenant(e.tenant)
	require.NoError(e, t.OpenAlert(e.Context(), a))
	open, err := t.UnresolvedAlerts(e.Context(), pipeline)
	require.NoError(e, err)
	for _, found := range open {
		if found.Rule == rule {
			return found.ID
		}
	}
	e.Fatal("the alert is not open")
	return ""
}

// ended has an execution of a pipeline end at a time.
func (e *env) ended(pipeline string, status models.ExecutionStatus, at time.Time, took time.Duration, rows int64) {
	e.Helper()
	t, ctx := e.store.ForTenant(e.tenant), e.Context()
	id := models.NewID(models.PrefixExecution)
	_, err := t.SubmitExecution(ctx, models.Execution{ID: id, PipelineID: pipeline, MaxActiveRuns: 10, SubmittedAt: at.Add(-took)})
	require.NoError(e, err)
	require.NoError(e, t.PlanExecution(ctx, id, []models.TaskRun{{Name: "flights", Kind: models.TaskSource}}))
	run := models.TaskRun{Name: "flights", Attempts: 1, StartedAt: at.Add(-took)}
	require.NoError(e, t.StartTask(ctx, id, run))
	run.State, run.RowsIn, run.BytesIn = models.TaskSucceeded, rows, 10*rows
	require.NoError(e, t.FinishTask(ctx, id, run, nil))
	_, err = t.FinishExecution(ctx, id, store.ExecutionEnd{Status: status, At: at})
	require.NoError(e, err)
}

func TestMetricsAsInTheReference(t *testing.T) {
	now := time.Date(2026, 2, 12, 12, 0, 0, 0, time.UTC)
	e := newEnv(t, func(c *api.Config) { c.Now = func() time.Time { return now } })
	id := e.pipeline("flights")
	path := "/v1/pipelines/monitoring/metrics?pipelineId=" + id
	assert.JSONEq(t, `{"pipelineId": "`+id+`", "period": "24h", "metrics": {"executionCount": 0, "successRate": 0, "avgDurationMs": 0,
		"totalRowsProcessed": 0, "totalBytesProcessed": 0, "totalCostUsd": 0}, "history": []}`,
		string(e.do("GET", path+"&period=24h").is(http.StatusOK).body), "an empty period is zeros")

	e.ended(id, models.ExecutionCompleted, now.Add(-40*24*time.Hour), time.Hour, 1_000_000)
	e.ended(id, models.ExecutionCompleted, now.Add(-47*time.Hour), 290*time.Second, 1_250_000)
	e.ended(id, models.ExecutionCompleted, now.Add(-26*time.Hour), 310*time.Second, 250_000)
	e.ended(id, models.ExecutionCompleted, now.Add(-3*time.Hour), 270*time.Second, 1_000_000)
	e.ended(id, models.ExecutionFailed, now.Add(-2*time.Hour), 270*time.Second, 234_567)
	assert.JSONEq(t, `{"pipelineId": "`+id+`", "period": "7d", "metrics": {"executionCount": 4, "successRate": 0.75, "avgDurationMs": 285000,
		"totalRowsProcessed": 2734567, "totalBytesProcessed": 27345670, "totalCostUsd": 0}, "history": [
		{"date": "2026-02-10", "status": "COMPLETED", "durationMs": 290000, "rows": 1250000, "executions": 1},
		{"date": "2026-02-11", "status": "COMPLETED", "durationMs": 310000, "rows": 250000, "executions": 1},
		{"date": "2026-02-12", "status": "FAILED", "durationMs": 270000, "rows": 1234567, "executions": 2}]}`,
		string(e.do("GET", path).is(http.StatusOK).body))

	count := func(query string) any {
		t.Helper()
		return e.do("GET", "/v1/pipelines/monitoring/metrics?"+query).is(http.StatusOK).json()["metrics"].(map[string]any)["executionCount"]
	}
	assert.EqualValues(t, 2, count("period=24h&pipelineId="+id))
	assert.EqualValues(t, 4, count("period=30d&pipelineId="+id))
	assert.EqualValues(t, 5, count("period=90d&pipelineId="+id))

	other := e.do("POST", "/v1/pipelines", body(pipelineJSON("more"))).is(http.StatusCreated).json()["pipelineId"].(string)
	e.ended(other, models.ExecutionCancelled, now, time.Second, 0)
	assert.EqualValues(t, 5, count("period=7d"), "without a pipeline those of all of them")
	total := e.do("GET", "/v1/pipelines/monitoring/metrics?period=7d").is(http.StatusOK).json()
	assert.NotContains(t, total, "pipelineId")
	assert.Equal(t, "CANCELLED", total["history"].([]any)[2].(map[string]any)["status"])
	assert.EqualValues(t, 0, count("period=24h&pipelineId="+e.do("POST", "/v1/pipelines", body(pipelineJSON("new"))).json()["pipelineId"].(string)))
}

func TestMetricsRefuse(t *testing.T) {
	e := newEnv(t)
	id := e.pipeline("flights")
	assert.Contains(t, e.do("GET", "/v1/pipelines/monitoring/metrics?period=8d&x=1").mistakes(), "query.period")
	unknown := e.do("GET", "/v1/pipelines/monitoring/metrics?pipelineId="+models.NewID("pipeline-")).problem(http.StatusNotFound, models.CodeNotFound)
	for _, path := range []string{"metrics", "alerts"} {
		foreign := e.other().do("GET", "/v1/pipelines/monitoring/"+path+"?pipelineId="+id).problem(http.StatusNotFound, models.CodeNotFound)
		nonsense := e.do("GET", "/v1/pipelines/monitoring/"+path+"?pipelineId=x").problem(http.StatusNotFound, models.CodeNotFound)
		assert.Equal(t, unknown.Detail, foreign.Detail)
		assert.Equal(t, unknown.Detail, nonsense.Detail)
	}
	mistakes := e.do("GET", "/v1/pipelines/monitoring/alerts?severity=critical&status=NEW&size=201").mistakes()
	assert.Len(t, mistakes, 3)
}

func TestAlertsAreListedAndAcknowledged(t *testing.T) {
	e := newEnv(t)
	id := e.pipeline("flights")
	execution := models.NewID("exec-")
	failed := e.alert(id, models.AlertExecutionFailed, func(a *models.Alert) { a.Severity, a.Occurrence = models.SeverityCritical, execution })
	stale := e.alert(id, models.AlertFreshness)

	list := func(query string) (ids []string) {
		t.Helper()
		doc := e.do("GET", "/v1/pipelines/monitoring/alerts?"+query).is(http.StatusOK).json()
		for _, a := range doc["alerts"].([]any) {
			ids = append(ids, a.(map[string]any)["alertId"].(string))
		}
		assert.EqualValues(t, len(ids), doc["total"], query)
		return ids
	}
	assert.Equal(t, []string{stale, failed}, list("page=0&size=20"))
	assert.Equal(t, []string{failed}, list("severity=CRITICAL&status=OPEN"))
	assert.Equal(t, []string{failed}, list("severity=CRITICAL&pipelineId="+id))
	assert.Empty(t, list("status=RESOLVED"))
	mine, other := e, e.other()
	e = other
	assert.Empty(t, list(""), "another tenant has none")
	e = mine

	path := "/v1/pipelines/monitoring/alerts/" + failed + "/acknowledge"
	assert.Contains(t, e.do("POST", path, body(`{"comment": "\u0007", "by": "eve"}`)).mistakes(), "body.by")
	first := e.do("POST", path, body(`{"comment": "looking"}`)).is(http.StatusOK)
	doc := first.json()
	assert.Equal(t, "ACKNOWLEDGED", doc["status"])
	assert.Equal(t, "engineer@acme.com", doc["acknowledgedBy"], "who it was says the token")
	assert.NotEmpty(t, doc["acknowledgedAt"])
	assert.Equal(t, "looking", doc["comment"])
	assert.Equal(t, execution, doc["executionId"])
	claims := e.claims("OPERATOR")
	claims["sub"] = "somebody else"
	again := e.do("POST", path, bearer(e.sign(claims))).is(http.StatusOK)
	assert.Equal(t, string(first.body), string(again.body))
	assert.Equal(t, []string{failed}, list("status=ACKNOWLEDGED"))

	e.do("POST", "/v1/pipelines/monitoring/alerts/"+stale+"/acknowledge").is(http.StatusOK)
	require.NoError(t, e.store.ForTenant(e.tenant).ResolveAlert(t.Context(), id, models.AlertFreshness, time.Now()))
	e.do("POST", "/v1/pipelines/monitoring/alerts/"+stale+"/acknowledge").problem(http.StatusConflict, models.CodeAlertResolved)
	assert.Equal(t, []string{stale}, list("status=RESOLVED&pipelineId="+id))
}
