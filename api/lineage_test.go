package api_test

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/matih/pipeline-service/api"
	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/lineage"
)

// copying is a pipeline that reads files below one directory and writes them below another.
func (e *env) copying(name, from, to string) string {
	e.Helper()
	doc := fmt.Sprintf(`{"name": %q, "definition": {
		"sources": {"in": {"type": "cloud_storage", "connection": "landing", "prefix": %q, "pattern": "**/*.csv", "format": "csv"}},
		"transformations": [{"name": "kept", "type": "filter", "input": "in", "condition": "x > 0"}],
		"sinks": {"out": {"type": "cloud_storage", "connection": "landing", "prefix": %q, "format": "csv", "mode": "append"}}}}`, name, from, to)
	return e.do("POST", "/v1/pipelines", body(doc)).is(http.StatusCreated).json()["pipelineId"].(string)
}

func (e *env) lineage(id, query string) api.LineageView {
	e.Helper()
	var view api.LineageView
	answer := e.do("GET", "/v1/pipelines/"+id+"/lineage"+query).is(http.StatusOK)
	require.Equal(e, "application/json", answer.header.Get("Content-Type"))
	require.NoError(e, json.Unmarshal(answer.body, &view), "%s", answer.body)
	return view
}

func TestLineageOfADefinition(t *testing.T) {
	e := newEnv(t)
	e.landing()
	e.do("POST", "/v1/pipelines/connections", body(`{"name": "db", "type": "jdbc", "host": "DB.internal", "port": 5432, "database": "sales_db"}`)).is(http.StatusCreated)
	id := e.do("POST", "/v1/pipelines", body(`{"name": "p", "definition": {
		"sources": {
			"raw_transactions": {"type": "jdbc", "connection": "db", "table": "public.raw_transactions"},
			"plain": {"type": "jdbc", "connection": "db", "table": "plain"},
			"asked": {"type": "jdbc", "connection": "db", "query": "select 1 as x"},
			"daily": {"type": "cloud_storage", "connection": "landing", "prefix": "in/${day}/", "pattern": "*.csv", "format": "csv"}},
		"transformations": [{"name": "clean", "type": "sql_transform", "inputs": ["raw_transactions", "plain"], "sql": "select 1 as x"}],
		"sinks": {"out": {"type": "jdbc", "connection": "db", "input": "clean", "table": "sales.daily_transactions", "mode": "append"}}}}`)).
		is(http.StatusCreated).json()["pipelineId"].(string)
	got := e.do("GET", "/v1/pipelines/"+id+"/lineage").is(http.StatusOK).json()
	assert.Equal(t, map[string]any{
		"pipelineId": id, "definitionVersion": 1.0,
		"sources": []any{
			map[string]any{"type": "TABLE", "fqn": "sales_db.public.raw_transactions", "step": "raw_transactions"},
			map[string]any{"type": "TABLE", "fqn": "sales_db.public.plain", "step": "plain"},
			map[string]any{"type": "QUERY", "fqn": "sales_db.asked", "step": "asked"},
			map[string]any{"type": "FILE", "fqn": "file:///srv/landing/in/${day}/*.csv", "step": "daily"},
		},
		"sinks":           []any{map[string]any{"type": "TABLE", "fqn": "sales_db.sales.daily_transactions", "step": "out"}},
		"transformations": []any{map[string]any{"name": "clean", "type": "sql_transform"}},
	}, got)
	e.do("DELETE", "/v1/pipelines/"+id).is(http.StatusNoContent)
	archived := e.lineage(id, "?depth=3")
	assert.Len(t, archived.Sources, 4, "its history stays")
}

// TestLineageOfColumns composes what tasks have reported.
func TestLineageOfColumns(t *testing.T) {
	e := newEnv(t)
	id := e.pipeline("flights")
	execution := e.do("POST", "/v1/pipelines/"+id+"/execute").is(http.StatusAccepted).json()["executionId"].(string)
	own := e.store.ForTenant(e.tenant)
	before := e.lineage(id, "")
	assert.Empty(t, before.Columns)
	assert.Nil(t, before.LastExecuted)

	steps := map[string]lineage.Step{
		"flights": {Columns: []lineage.Column{{Name: "id"}, {Name: "delay"}}},
		"late": {Columns: []lineage.Column{{Name: "id", Inputs: []lineage.Input{{Step: "flights", Column: "id", Kind: lineage.Identity}}}},
			Rows: []lineage.Input{{Step: "flights", Column: "delay", Kind: lineage.Filter}}},
	}
	require.NoError(t, own.PlanExecution(t.Context(), execution, []models.TaskRun{{Name: "flights", Kind: models.TaskSource}, {Name: "late"}}))
	for name, step := range steps {
		run := models.TaskRun{Name: name, Attempts: 1, State: models.TaskSucceeded, StartedAt: time.Now(), Lineage: json.RawMessage(jsonOf(t, step))}
		require.NoError(t, own.StartTask(t.Context(), execution, run))
		require.NoError(t, own.FinishTask(t.Context(), execution, run, nil))
	}
	got := e.lineage(id, "")
	source, sink := "file:///srv/landing/*.csv", "file:///srv/landing/out/"
	assert.Equal(t, []api.ColumnView{{Sink: sink, Column: "id", Inputs: []api.InputView{{Source: source, Column: "id", Kind: lineage.Identity}}}}, got.Columns)
	assert.Equal(t, []api.RowsView{{Sink: sink, Inputs: []api.InputView{{Source: source, Column: "delay", Kind: lineage.Filter}}}}, got.Rows)
	require.NotNil(t, got.LastExecuted)
	assert.WithinDuration(t, time.Now(), *got.LastExecuted, time.Minute)

	e.do("PUT", "/v1/pipelines/"+id, body(pipelineJSON("flights"))).is(http.StatusOK)
	assert.Empty(t, e.lineage(id, "").Columns, "the new version has not been executed")
}

// TestLineageAcrossPipelines follows data through a chain with a circle, and stays in the tenant.
func TestLineageAcrossPipelines(t *testing.T) {
	e := newEnv(t)
	e.landing()
	other := e.other()
	other.landing()
	a, b, c := e.copying("a", "raw/", "a/"), e.copying("b", "a/", "b/out-"), e.copying("c", "b/", "raw/c/")
	other.copying("stranger", "a/", "raw/")
	e.copying("unrelated", "z/", "zz/")

	short := func(related []api.RelatedView) (found []string) {
		for _, r := range related {
			found = append(found, fmt.Sprint(r.Name, r.Depth))
		}
		return found
	}
	none := e.lineage(a, "")
	assert.Empty(t, none.Upstream)
	assert.Empty(t, none.Downstream)
	one := e.lineage(a, "?depth=1")
	assert.Equal(t, []string{"b1"}, short(one.Downstream))
	assert.Equal(t, []string{"c1"}, short(one.Upstream))
	assert.Equal(t, []api.LinkView{{From: a, To: b, Writes: "file:///srv/landing/a/", Reads: "file:///srv/landing/a/**/*.csv"}}, one.Downstream[0].Links)
	assert.Equal(t, []api.LinkView{{From: c, To: a, Writes: "file:///srv/landing/raw/c/", Reads: "file:///srv/landing/raw/**/*.csv"}}, one.Upstream[0].Links)
	all := e.lineage(a, "?depth=10")
	assert.Equal(t, []string{"b1", "c2"}, short(all.Downstream))
	assert.Equal(t, []string{"c1", "b2"}, short(all.Upstream))
	assert.False(t, all.Truncated)

	e.do("DELETE", "/v1/pipelines/"+b).is(http.StatusNoContent)
	assert.Empty(t, e.lineage(a, "?depth=10").Downstream)
}

func TestLineageDrawn(t *testing.T) {
	e := newEnv(t)
	e.landing()
	a := e.copying("a", "raw/", "a/")
	e.copying("b<i>\\\"", "a/", "b/")
	dot := e.do("GET", "/v1/pipelines/"+a+"/lineage?format=dot&depth=1").is(http.StatusOK)
	assert.Equal(t, "text/vnd.graphviz; charset=utf-8", dot.header.Get("Content-Type"))
	assert.Contains(t, string(dot.body), `label="kept\nfilter"`)
	assert.Contains(t, string(dot.body), `label="b<i>\\\""`)
	svg := e.do("GET", "/v1/pipelines/"+a+"/lineage?format=svg&depth=1").is(http.StatusOK)
	assert.Equal(t, "image/svg+xml", svg.header.Get("Content-Type"))
	assert.NotContains(t, string(svg.body), "<i>")
	var doc struct {
		XMLName xml.Name
	}
	require.NoError(t, xml.Unmarshal(svg.body, &doc))
	assert.Equal(t, "svg", doc.XMLName.Local)
	assert.Equal(t, 5, strings.Count(string(svg.body), "<rect"), "raw, the filter, a/, its pattern, b")
}

func TestLineageBadQuestions(t *testing.T) {
	e := newEnv(t)
	id := e.pipeline("flights")
	found := e.do("GET", "/v1/pipelines/"+id+"/lineage?depth=11&format=pdf&x=1").mistakes()
	assert.Contains(t, found, "query.depth")
	assert.Contains(t, found, "query.format")
	assert.Contains(t, found, "query.x")
}
