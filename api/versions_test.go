package api_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/matih/pipeline-service/models"
)

// versions makes a pipeline with three versions and returns its path.
func (e *env) versions() string {
	e.Helper()
	path := "/v1/pipelines/" + e.pipeline("flights")
	second := strings.Replace(pipelineJSON("flights"), "delay > 60", "delay > 90", 1)
	e.do("PUT", path, body(strings.Replace(second, "1.0.0", "2.0.0", 1))).is(http.StatusOK)
	third := strings.Replace(second, `"sinks"`, `"quality_checks": [{"name": "some", "type": "row_count", "input": "late", "min": 1}], "sinks"`, 1)
	third = strings.Replace(third, `"parameters": [{"name": "day", "type": "date"}],`, "", 1)
	e.do("PUT", path, body(strings.Replace(third, "1.0.0", "3.0.0", 1))).is(http.StatusOK)
	return path
}

func TestVersions(t *testing.T) {
	e := newEnv(t)
	path := e.versions()

	list := e.do("GET", path+"/versions").is(http.StatusOK).json()
	assert.Equal(t, 3.0, list["total"])
	var numbers, labels []any
	for _, v := range list["versions"].([]any) {
		v := v.(map[string]any)
		numbers, labels = append(numbers, v["definitionVersion"]), append(labels, v["version"])
		assert.NotContains(t, v, "definition")
		assert.Equal(t, "engineer@acme.com", v["createdBy"])
	}
	assert.Equal(t, []any{3.0, 2.0, 1.0}, numbers, "newest first")
	assert.Equal(t, []any{"3.0.0", "2.0.0", "1.0.0"}, labels)
	page := e.do("GET", path+"/versions?page=1&size=2").is(http.StatusOK).json()
	assert.Len(t, page["versions"], 1)
	assert.Equal(t, 3.0, page["total"])

	first := e.do("GET", path+"/versions/1").is(http.StatusOK).json()
	assert.JSONEq(t, definitionJSON, jsonOf(t, first["definition"]))
	e.do("GET", path+"/versions/4").problem(http.StatusNotFound, models.CodeNotFound)
	for _, bad := range []string{"0", "-1", "x", "99999999999"} {
		e.do("GET", path+"/versions/"+bad).problemAny(http.StatusBadRequest)
	}

	e.do("DELETE", path).is(http.StatusNoContent)
	e.do("GET", path+"/versions/2").is(http.StatusOK)
	e.do("GET", path+"/versions/3/diff?against=1").is(http.StatusOK)
	e.do("POST", path+"/versions/2/activate").problem(http.StatusNotFound, models.CodeNotFound)
}

func TestVersionDiff(t *testing.T) {
	e := newEnv(t)
	path := e.versions()
	diff := e.do("GET", path+"/versions/3/diff?against=1").is(http.StatusOK).json()
	assert.JSONEq(t, `{
		"pipelineId": "`+strings.TrimPrefix(path, "/v1/pipelines/")+`", "definitionVersion": 3, "against": 1,
		"added": [{"path": "quality_checks", "after": [{"name": "some", "type": "row_count", "input": "late", "min": 1}]}],
		"removed": [{"path": "parameters", "before": [{"name": "day", "type": "date"}]}],
		"changed": [{"path": "transformations.late.condition", "before": "delay > 60", "after": "delay > 90"}]
	}`, jsonOf(t, diff))
	back := e.do("GET", path+"/versions/1/diff?against=3").is(http.StatusOK).json()
	assert.Equal(t, "parameters", back["added"].([]any)[0].(map[string]any)["path"])
	same := e.do("GET", path+"/versions/2/diff?against=2").is(http.StatusOK).json()
	for _, kind := range []string{"added", "removed", "changed"} {
		assert.Equal(t, []any{}, same[kind], kind)
	}

	e.do("GET", path+"/versions/9/diff?against=1").problem(http.StatusNotFound, models.CodeNotFound)
	assert.Equal(t, map[string]string{"query.against": "there is no version 9 of the pipeline"},
		e.do("GET", path+"/versions/1/diff?against=9").mistakes())
	assert.Contains(t, e.do("GET", path+"/versions/1/diff").mistakes(), "query.against")
	assert.Contains(t, e.do("GET", path+"/versions/1/diff?against=0").mistakes(), "query.against")
}

func TestActivateVersion(t *testing.T) {
	e := newEnv(t)
	path := e.versions()
	stale := e.do("POST", path+"/versions/1/activate", header("If-Match", `"2"`))
	stale.problem(http.StatusPreconditionFailed, models.CodePreconditionFailed)

	rolled := e.do("POST", path+"/versions/1/activate", header("If-Match", `"3"`)).is(http.StatusOK)
	assert.Equal(t, `"4"`, rolled.header.Get("ETag"))
	assert.Equal(t, 4.0, rolled.json()["definitionVersion"])
	assert.Equal(t, "1.0.0", rolled.json()["version"], "the label goes with the definition")
	got := e.do("GET", path).is(http.StatusOK)
	assert.Equal(t, `"4"`, got.header.Get("ETag"))
	assert.JSONEq(t, definitionJSON, jsonOf(t, got.json()["definition"]))
	assert.Equal(t, "Late flights", got.json()["description"])
	assert.Equal(t, []any{"flights", "daily"}, got.json()["tags"])
	assert.Equal(t, []any{}, e.do("GET", path+"/versions/4/diff?against=1").json()["changed"])

	once := e.do("POST", path+"/versions/2/activate", key("k")).is(http.StatusOK)
	again := e.do("POST", path+"/versions/2/activate", key("k")).is(http.StatusOK)
	assert.Equal(t, once.body, again.body)
	assert.Equal(t, 5.0, e.do("GET", path).json()["definitionVersion"], "a repeated request makes no second version")
	e.do("POST", path+"/versions/9/activate").problem(http.StatusNotFound, models.CodeNotFound)

	connection := e.do("GET", "/v1/pipelines/connections").json()["connections"].([]any)[0].(map[string]any)["connectionId"].(string)
	e.do("DELETE", "/v1/pipelines/connections/"+connection).is(http.StatusNoContent)
	p := e.do("POST", path+"/versions/1/activate").problem(http.StatusBadRequest, models.CodeInvalidDefinition)
	require.Len(t, p.Errors, 2)
	assert.Equal(t, "definition.sources.flights.connection", p.Errors[0].Location)
}
