package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/matih/pipeline-service/models"
)

func TestPipelineLife(t *testing.T) {
	e := newEnv(t)
	e.landing()

	created := e.do("POST", "/v1/pipelines", body(pipelineJSON("daily-flights"))).is(http.StatusCreated)
	doc := created.json()
	id := doc["pipelineId"].(string)
	assert.True(t, models.IsID(models.PrefixPipeline, id))
	assert.Equal(t, "/v1/pipelines/"+id, created.header.Get("Location"))
	assert.Equal(t, `"1"`, created.header.Get("ETag"))
	for field, want := range map[string]any{
		"name": "daily-flights", "version": "1.0.0", "status": "CREATED", "definitionVersion": 1.0, "createdBy": "engineer@acme.com",
	} {
		assert.Equal(t, want, doc[field], field)
	}
	assert.Regexp(t, `^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$`, doc["createdAt"])
	assert.NotContains(t, doc, "definition")

	got := e.do("GET", created.header.Get("Location")).is(http.StatusOK)
	assert.Equal(t, `"1"`, got.header.Get("ETag"))
	assert.JSONEq(t, definitionJSON, jsonOf(t, got.json()["definition"]))
	assert.Equal(t, []any{"flights", "daily"}, got.json()["tags"])
	assert.Equal(t, doc["createdAt"], got.json()["createdAt"])

	list := e.do("GET", "/v1/pipelines?tags=flights&page=0&size=20").is(http.StatusOK).json()
	assert.Equal(t, 1.0, list["total"])
	assert.NotContains(t, list["pipelines"].([]any)[0], "definition")

	e.do("GET", "/v1/pipelines/"+id, header("If-None-Match", `W/"1"`)).is(http.StatusNotModified)
	e.do("PUT", "/v1/pipelines/"+id, body(pipelineJSON("x")), header("If-Match", `"7"`)).
		problem(http.StatusPreconditionFailed, models.CodePreconditionFailed)
	e.do("PUT", "/v1/pipelines/"+id, body(pipelineJSON("x")), header("If-Match", `W/"1"`)).is(http.StatusPreconditionFailed)

	paused := strings.Replace(strings.Replace(pipelineJSON("renamed"), `"version": "1.0.0", `, "", 1), "{", `{"status": "PAUSED", `, 1)
	updated := e.do("PUT", "/v1/pipelines/"+id, body(paused), header("If-Match", `"7", "1"`)).is(http.StatusOK)
	assert.Equal(t, `"2"`, updated.header.Get("ETag"))
	assert.Equal(t, "PAUSED", updated.json()["status"])
	assert.Equal(t, "1.0.0", updated.json()["version"], "the label is kept")
	assert.Equal(t, 2.0, updated.json()["definitionVersion"])
	e.do("POST", "/v1/pipelines/"+id+"/execute").problem(http.StatusConflict, models.CodePipelinePaused)

	e.do("DELETE", "/v1/pipelines/"+id, header("If-Match", `"1"`)).is(http.StatusPreconditionFailed)
	gone := e.do("DELETE", "/v1/pipelines/"+id, header("If-Match", `*`)).is(http.StatusNoContent)
	assert.Empty(t, gone.body)
	assert.Equal(t, "ARCHIVED", e.do("GET", "/v1/pipelines/"+id).is(http.StatusOK).json()["status"])
	e.do("DELETE", "/v1/pipelines/"+id).is(http.StatusNotFound)
	assert.Equal(t, 0.0, e.do("GET", "/v1/pipelines").json()["total"])
	assert.Equal(t, 1.0, e.do("GET", "/v1/pipelines?status=ARCHIVED").json()["total"])
	e.do("POST", "/v1/pipelines", body(pipelineJSON("renamed"))).is(http.StatusCreated)
}

func TestPipelineNamesAreUnique(t *testing.T) {
	e := newEnv(t)
	e.pipeline("flights")
	e.do("POST", "/v1/pipelines", body(pipelineJSON("flights"))).problem(http.StatusConflict, models.CodeNameTaken)
	another := e.other()
	another.pipeline("flights")
}

func TestPipelineFromYAML(t *testing.T) {
	e := newEnv(t)
	e.landing()
	const doc = `
name: from-yaml
definition:
  sources:
    flights: {type: cloud_storage, connection: landing, format: csv}
  sinks:
    out: {type: cloud_storage, connection: landing, prefix: out/, format: parquet, mode: overwrite}
`
	for i, media := range []string{"application/yaml", "text/yaml; charset=utf-8", "application/x-yaml"} {
		text := strings.Replace(doc, "from-yaml", fmt.Sprintf("from-yaml-%d", i), 1)
		created := e.do("POST", "/v1/pipelines", header("Content-Type", media), body(text)).is(http.StatusCreated)
		got := e.do("GET", created.header.Get("Location")).is(http.StatusOK).json()
		assert.Equal(t, "1.0.0", got["version"])
		assert.Contains(t, got["definition"].(map[string]any)["sources"], "flights")
	}
	bad := strings.Replace(doc, "mode: overwrite", "mode: sideways", 1)
	assert.Contains(t, e.do("POST", "/v1/pipelines", header("Content-Type", "application/yaml"), body(bad)).mistakes(),
		"body.definition.sinks.out.mode")
	e.do("POST", "/v1/pipelines", header("Content-Type", "application/yaml"), body("a: [")).is(http.StatusBadRequest)
	e.do("POST", "/v1/pipelines/connections", header("Content-Type", "application/yaml"), body("a: 1")).
		problem(http.StatusUnsupportedMediaType, models.CodeUnsupportedMediaType)
}

// TestAllMistakesAtOnce sends one body with mistakes of every kind.
func TestAllMistakesAtOnce(t *testing.T) {
	e := newEnv(t)
	e.landing()
	e.do("POST", "/v1/pipelines/connections", body(
		`{"name": "db", "type": "jdbc", "host": "db.test", "database": "x"}`)).is(http.StatusCreated)
	foreign := e.other()
	foreignID := foreign.landing()

	answer := e.do("POST", "/v1/pipelines?dry=1", body(`{
		"version": 7, "status": "ACTIVE", "tenantId": "x", "description": "a\u001bb", "tags": ["ok", "ok", " "],
		"definition": {
			"sources": {
				"a": {"type": "cloud_storage", "connection": "nowhere", "format": "csv"},
				"b": {"type": "cloud_storage", "connection": "`+foreignID+`", "format": "csv", "colour": "red"}
			},
			"sinks": {"out": {"type": "cloud_storage", "connection": "landing", "input": "a", "format": "parquet", "mode": "merge_on_key"}}
		}
	}`))
	found := answer.mistakes()
	for _, location := range []string{
		"query.dry", "body.name", "body.version", "body.status", "body.tenantId", "body.description", "body.tags", "body.tags[2]",
		"body.definition.sources.b.colour", "body.definition.sinks.out.mode",
		"body.definition.sources.a.connection", "body.definition.sources.b.connection",
	} {
		assert.Contains(t, found, location)
	}
	assert.Equal(t, `there is no connection "nowhere"`, found["body.definition.sources.a.connection"])
	assert.Equal(t, `there is no connection "`+foreignID+`"`, found["body.definition.sources.b.connection"], "the same words")
	answer.problem(http.StatusBadRequest, models.CodeInvalidRequest)

	wrongType := strings.Replace(pipelineJSON("x"), `"connection": "landing", "pattern"`, `"connection": "db", "pattern"`, 1)
	p := e.do("POST", "/v1/pipelines", body(wrongType)).problem(http.StatusBadRequest, models.CodeInvalidDefinition)
	require.Len(t, p.Errors, 1)
	assert.Equal(t, "body.definition.sources.flights.connection", p.Errors[0].Location)
	assert.Equal(t, `connection "db" has type jdbc; this needs local`, p.Errors[0].Message)
}

func TestListPages(t *testing.T) {
	e := newEnv(t)
	e.landing()
	for i := range 5 {
		e.do("POST", "/v1/pipelines", body(pipelineJSON(fmt.Sprintf("p%d", i)))).is(http.StatusCreated)
	}
	names := func(query string) []string {
		var names []string
		for _, p := range e.do("GET", "/v1/pipelines"+query).is(http.StatusOK).json()["pipelines"].([]any) {
			names = append(names, p.(map[string]any)["name"].(string))
		}
		return names
	}
	assert.Equal(t, []string{"p4", "p3", "p2", "p1", "p0"}, names(""))
	assert.Equal(t, []string{"p2", "p1"}, names("?page=1&size=2"))
	assert.Empty(t, names("?page=2147483647&size=200"))
	assert.Equal(t, []string{"p3"}, names("?name=p3"))
	assert.Equal(t, []string{"p4"}, names("?tags=daily,flights&size=1"))
	assert.Empty(t, names("?tags=daily,none"))
	doc := e.do("GET", "/v1/pipelines?page=9").json()
	assert.Equal(t, map[string]any{"pipelines": []any{}, "page": 9.0, "size": 20.0, "total": 5.0}, doc)
}
