package api_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/contract"
)

// has requires that an answer has the fields that the reference shows, of the kinds it shows.
func (a *answer) has(fields map[string]any) map[string]any {
	a.Helper()
	doc := a.json()
	for name, like := range fields {
		require.Contains(a, doc, name, "%s", a.body)
		assert.IsType(a, like, doc[name], name)
	}
	return doc
}

// text, number, object and list are what fields of the reference look like.
var (
	text   = ""
	number = 0.0
	object = map[string]any{}
	list   = []any{}
)

// TestReference walks the service's reference: its requests to the letter but for ids, its statuses, its fields. What it
// leaves out of a definition with dots is filled in.
func TestReference(t *testing.T) {
	e := newEnv(t)
	for _, name := range []string{"sales-database", "analytics"} {
		e.do("POST", "/v1/pipelines/connections", body(strings.Replace(referenceConnection, "sales-database", name, 1))).is(http.StatusCreated)
	}
	connection := e.do("GET", "/v1/pipelines/connections").is(http.StatusOK).json()["connections"].([]any)[0].(map[string]any)["connectionId"].(string)
	e.gateway.test = models.ConnectionTest{Connected: true, LatencyMs: 15, Version: "PostgreSQL 16.2", Details: map[string]any{"tables": 45}}
	e.do("POST", "/v1/pipelines/connections/"+connection+"/test").is(http.StatusOK).
		has(map[string]any{"connected": true, "latencyMs": number, "version": text, "details": object})

	created := e.do("POST", "/v1/pipelines", body(`{
"name": "daily-sales-etl",
"version": "1.0.0",
"description": "Daily sales data extraction and loading",
"definition": {
"sources": {"raw_transactions": {"type": "jdbc", "connection": "sales-database", "query": "select * from t where day between ${start_date} and ${end_date}"}},
"transformations": [{"name": "clean_transactions", "type": "sql_transform", "input": "raw_transactions", "sql": "select * from {{ input }}"}],
"sinks": {"warehouse": {"type": "jdbc", "connection": "analytics", "table": "sales.daily_transactions", "mode": "append"}},
"quality_checks": [{"name": "some", "type": "row_count", "input": "clean_transactions", "min": 1}],
"orchestration": {"max_active_runs": 3}
},
"tags": ["sales", "daily", "etl"]
}`)).is(http.StatusCreated).has(map[string]any{"pipelineId": text, "name": text, "version": "1.0.0", "status": "CREATED", "createdAt": text})
	pipeline := created["pipelineId"].(string)
	assert.Equal(t, "CREATED", created["status"])

	submitted := e.do("POST", "/v1/pipelines/"+pipeline+"/execute", body(`{
"parameters": {
"start_date": "2026-02-01",
"end_date": "2026-02-12"
},
"engine_override": null,
"priority": "NORMAL"
}`)).is(http.StatusAccepted).has(map[string]any{
		"executionId": text, "pipelineId": text, "status": "QUEUED", "engine": text, "estimatedDurationMs": number, "submittedAt": text,
	})
	execution := submitted["executionId"].(string)
	e.do("GET", "/v1/pipelines?tags=sales&status=ACTIVE&page=0&size=20").is(http.StatusOK).
		has(map[string]any{"pipelines": list, "page": number, "size": number, "total": number})
	running := e.do("GET", "/v1/pipelines/executions/"+execution).is(http.StatusOK).
		has(map[string]any{"executionId": text, "pipelineId": text, "status": text, "engine": text, "progress": object, "metrics": object})
	assert.Subset(t, keys(running["progress"]), []string{"totalTasks", "completedTasks", "percentage"})
	assert.Subset(t, keys(running["metrics"]), []string{"rowsProcessed", "bytesProcessed", "elapsedMs"})
	e.do("GET", "/v1/pipelines/executions?pipelineId="+pipeline+"&status=RUNNING&page=0&size=20").is(http.StatusOK).has(map[string]any{"executions": list})
	e.do("GET", "/v1/pipelines/executions/"+execution+"/logs?task=clean_transactions&lines=100").is(http.StatusOK).has(map[string]any{"lines": list})

	schedule := e.do("POST", "/v1/pipelines/schedules", body(`{
"pipelineId": "`+pipeline+`",
"cronExpression": "0 6 * * *",
"timezone": "America/New_York",
"parameters": {
"start_date": "2026-02-01", "end_date": "2026-02-12", "lookback_days": 1
},
"enabled": true
}`)).is(http.StatusCreated).has(map[string]any{"scheduleId": text})["scheduleId"].(string)
	e.do("GET", "/v1/pipelines/schedules?pipelineId="+pipeline).is(http.StatusOK).has(map[string]any{"schedules": list})
	e.do("POST", "/v1/pipelines/schedules/"+schedule+"/trigger").is(http.StatusAccepted).has(map[string]any{"executionId": text})
	e.do("DELETE", "/v1/pipelines/schedules/"+schedule).is(http.StatusNoContent)

	e.do("GET", "/v1/pipelines/monitoring/metrics?pipelineId="+pipeline+"&period=7d").is(http.StatusOK).
		has(map[string]any{"pipelineId": text, "period": "7d", "metrics": object, "history": list})
	e.do("GET", "/v1/pipelines/monitoring/alerts?severity=CRITICAL&status=OPEN").is(http.StatusOK).has(map[string]any{"alerts": list})
	e.do("GET", "/v1/pipelines/"+pipeline+"/lineage").is(http.StatusOK).
		has(map[string]any{"pipelineId": text, "sources": list, "sinks": list, "transformations": list})
	e.do("GET", "/v1/pipelines/"+pipeline+"/cost?period=30d").is(http.StatusOK).has(map[string]any{
		"pipelineId": text, "period": "30d", "totalCostUsd": number, "breakdown": object, "costPerExecution": number, "trend": text,
	})
	e.do("GET", "/v1/pipelines/executions/"+execution+"/cost").is(http.StatusOK).has(map[string]any{"executionId": text, "totalCostUsd": number})

	templates := e.do("GET", "/v1/pipelines/templates?industry=fintech").is(http.StatusOK).has(map[string]any{"templates": list})
	var payments map[string]any
	for _, item := range templates["templates"].([]any) {
		if found := item.(map[string]any); found["id"] == "fintech/payment_processing" {
			payments = found
		}
	}
	require.NotNil(t, payments)
	assert.Equal(t, "Payment Processing Pipeline", payments["name"])
	assert.Contains(t, payments["parameters"].([]any)[0], "required")
	e.do("GET", "/v1/pipelines/templates/fintech/payment_processing").is(http.StatusOK)

	e.gateway.workflows = map[string]models.Workflow{execution: {ID: execution, Type: contract.ExecutionWorkflow, Status: models.WorkflowRunning, StartedAt: time.Now()}}
	e.do("GET", "/v1/pipelines/workflows/"+execution+"/status").is(http.StatusOK).has(map[string]any{"workflowId": text, "status": text})
	e.gate(execution, "some")
	steward := e.claims("DATA_STEWARD")
	steward["sub"] = "data-steward@acme.com"
	e.gateway.decided = contract.Decided{Status: models.ApprovalApproved, Approvals: 1, Required: 1}
	e.do("POST", "/v1/pipelines/workflows/"+execution+"/signal", bearer(e.sign(steward)), body(`{
"signalName": "approval",
"data": {
"approved": true,
"approvedBy": "data-steward@acme.com",
"reason": "Quality check review completed"
}
}`)).is(http.StatusAccepted)
	e.do("POST", "/v1/pipelines/executions/"+execution+"/cancel").is(http.StatusAccepted).has(map[string]any{"executionId": text, "status": text})
	e.do("POST", "/v1/pipelines/workflows/"+execution+"/cancel").is(http.StatusAccepted)

	for _, path := range []string{"dags", "dags/d/runs?limit=25", "dags/d/runs/r/tasks", "dags/d/runs/r/tasks/t/logs"} {
		e.do("GET", "/v1/airflow/"+path).problem(http.StatusServiceUnavailable, models.CodeAirflowNotConfigured)
	}
	e.do("POST", "/v1/airflow/dags/d/trigger", body(`{
"conf": {
"start_date": "2026-02-01",
"end_date": "2026-02-12"
}
}`)).problem(http.StatusServiceUnavailable, models.CodeAirflowNotConfigured)
	for _, action := range []string{"pause", "unpause"} {
		e.do("POST", "/v1/airflow/dags/d/"+action).problem(http.StatusServiceUnavailable, models.CodeAirflowNotConfigured)
	}
	e.do("DELETE", "/v1/pipelines/connections/"+connection).is(http.StatusNoContent)
}

// keys are an object's.
func keys(v any) []string {
	var names []string
	for name := range v.(map[string]any) {
		names = append(names, name)
	}
	return names
}
