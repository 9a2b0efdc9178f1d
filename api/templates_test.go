package api_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/store"
)

const dailySales = "/v1/pipelines/templates/retail/daily_sales"

// connections makes connections of type local.
func (e *env) connections(names ...string) {
	e.Helper()
	for _, name := range names {
		e.do("POST", "/v1/pipelines/connections", body(
			`{"name": "`+name+`", "type": "local", "properties": {"path": "/srv/`+name+`"}}`)).is(http.StatusCreated)
	}
}

func TestListTemplates(t *testing.T) {
	e := newEnv(t)
	all := e.do("GET", "/v1/pipelines/templates").is(http.StatusOK).json()["templates"].([]any)
	assert.GreaterOrEqual(t, len(all), 12)
	industries := map[string]bool{}
	for _, one := range all {
		one := one.(map[string]any)
		industries[one["industry"].(string)] = true
		for _, field := range []string{"id", "name", "version", "description", "compliance", "parameters"} {
			assert.NotEmpty(t, one[field], "%v: %s", one["id"], field)
		}
		assert.NotContains(t, one, "definition")
		assert.NotContains(t, one, "example")
	}
	assert.GreaterOrEqual(t, len(industries), 6)

	retail := e.do("GET", "/v1/pipelines/templates?industry=retail", bearer(e.token("VIEWER"))).is(http.StatusOK).json()["templates"].([]any)
	require.NotEmpty(t, retail)
	for _, one := range retail {
		assert.Equal(t, "retail", one.(map[string]any)["industry"])
		assert.True(t, strings.HasPrefix(one.(map[string]any)["id"].(string), "retail/"))
	}
	found := e.do("GET", "/v1/pipelines/templates?industry=alchemy").mistakes()
	assert.Contains(t, found["query.industry"], "logistics")
}

func TestGetTemplate(t *testing.T) {
	e := newEnv(t)
	doc := e.do("GET", dailySales).is(http.StatusOK)
	assert.Equal(t, doc.body, e.do("GET", "/v1/pipelines/templates/retail%2Fdaily_sales").is(http.StatusOK).body)
	assert.Equal(t, doc.body, e.do("GET", "/v1/pipelines/templates/retail%2fdaily_sales").is(http.StatusOK).body)
	one := doc.json()
	assert.Equal(t, "retail/daily_sales", one["id"])
	assert.Equal(t, "tills", one["example"].(map[string]any)["parameters"].(map[string]any)["source_connection"])
	sources := one["definition"].(map[string]any)["sources"].(map[string]any)
	assert.Equal(t, map[string]any{"$parameter": "source_connection"}, sources["sales"].(map[string]any)["connection"])
	highest := one["parameters"].([]any)[2].(map[string]any)
	assert.Equal(t, "highest_day", highest["name"])
	assert.Equal(t, "number", highest["type"])
	assert.Equal(t, false, highest["required"])
	assert.Equal(t, 250000.0, highest["default"])

	for _, path := range []string{
		"retail", "retail/nothing", "retail%2F", "%2Fdaily_sales", "..%2Fretail", "retail%2Fdaily_sales%2Fcreate", "create",
	} {
		answer := e.do("GET", "/v1/pipelines/templates/"+path)
		assert.Contains(t, []int{http.StatusNotFound, http.StatusBadRequest}, answer.status, "%s: %s", path, answer.body)
	}
	assert.Equal(t, "GET", strings.Split(e.do("DELETE", dailySales).is(http.StatusMethodNotAllowed).header.Get("Allow"), ",")[0])
	e.do("GET", dailySales+"/create").is(http.StatusMethodNotAllowed)
	e.do("PUT", "/v1/pipelines/templates").is(http.StatusMethodNotAllowed)
}

func TestCreatePipelineFromTemplate(t *testing.T) {
	e := newEnv(t)
	e.connections("tills", "warehouse")
	const parameters = `"parameters": {"source_connection": "tills", "target_connection": "warehouse", "highest_day": 99.5}`
	created := e.do("POST", dailySales+"/create", body(`{"pipelineName": "acme-sales", `+parameters+`,
		"customizations": {"sources.sales.prefix": "exports/", "quality_checks.day_plausible.on_failure": "warn", "transformations[0].order_by[0]": "sold_at"}}`)).
		is(http.StatusCreated)
	doc := created.json()
	id := doc["pipelineId"].(string)
	assert.Equal(t, "/v1/pipelines/"+id, created.header.Get("Location"))
	assert.Equal(t, `"1"`, created.header.Get("ETag"))
	assert.Equal(t, "acme-sales", doc["name"])
	assert.Equal(t, "CREATED", doc["status"])
	assert.Equal(t, "1.0.0", doc["version"])
	assert.Equal(t, []any{"retail", "daily_sales"}, doc["tags"])

	made := e.do("GET", "/v1/pipelines/"+id).is(http.StatusOK).json()["definition"].(map[string]any)
	sales := made["sources"].(map[string]any)["sales"].(map[string]any)
	assert.Equal(t, "tills", sales["connection"])
	assert.Equal(t, "exports/", sales["prefix"])
	assert.Equal(t, 99.5, made["parameters"].([]any)[1].(map[string]any)["default"])
	assert.Equal(t, []any{"sold_at"}, made["transformations"].([]any)[0].(map[string]any)["order_by"])
	check := slices.IndexFunc(made["quality_checks"].([]any), func(c any) bool { return c.(map[string]any)["name"] == "day_plausible" })
	assert.Equal(t, "warn", made["quality_checks"].([]any)[check].(map[string]any)["on_failure"])
	e.do("POST", "/v1/pipelines/"+id+"/execute", body(`{"parameters": {"business_date": "2026-02-11"}}`)).is(http.StatusAccepted)

	e.do("POST", "/v1/pipelines/templates/retail%2Fdaily_sales/create", body(`{"pipelineName": "acme-sales", `+parameters+`}`)).
		problem(http.StatusConflict, models.CodeNameTaken)
	once := e.do("POST", "/v1/pipelines/templates/retail%2Fdaily_sales/create", key("k"), body(`{"pipelineName": "other", `+parameters+`}`)).is(http.StatusCreated)
	again := e.do("POST", dailySales+"/create", key("k"), body(`{"pipelineName": "other", `+parameters+`}`)).is(http.StatusCreated)
	assert.Equal(t, once.body, again.body, "both forms of the path are one")
}

func TestTemplateMistakes(t *testing.T) {
	e := newEnv(t)
	e.connections("tills")
	foreign := e.other()
	foreign.connections("warehouse")
	e.do("POST", "/v1/pipelines/connections", body(`{"name": "db", "type": "jdbc", "host": "db.test", "database": "x"}`)).is(http.StatusCreated)

	found := e.do("POST", dailySales+"/create", body(`{
		"pipelineName": " sales ", "tags": ["x"],
		"parameters": {"source_connection": "db", "target_connection": "warehouse", "highest_day": "much", "highest": 1},
		"customizations": {"sources.nowhere.prefix": "x/", "sinks.store_days.mode": "sideways", "transformations.unique_lines.keys[0]": 7, "sources.sales.partitions": 128}
	}`)).mistakes()
	for location, message := range map[string]string{
		"body.pipelineName":                                           "must not begin or end with a blank",
		"body.tags":                                                   "unexpected property",
		"body.parameters.target_connection":                           `there is no connection "warehouse"`,
		"body.parameters.highest_day":                                 "must be a number",
		"body.parameters.highest":                                     "is not a parameter of this template",
		`body.customizations["sources.nowhere.prefix"]`:               "there is no sources.nowhere",
		`body.customizations["sinks.store_days.mode"]`:                `"sideways" is not allowed`,
		`body.customizations["transformations.unique_lines.keys[0]"]`: "must be text, not a number",
		`body.customizations["sources.sales.partitions"]`:             "is not known here",
	} {
		assert.Contains(t, found[location], message, location)
	}

	wrongType := e.do("POST", dailySales+"/create", body(`{"pipelineName": "x", "parameters": {"source_connection": "db", "target_connection": "tills"}}`))
	wrongType.problem(http.StatusBadRequest, models.CodeInvalidParameters)
	assert.Equal(t, map[string]string{"body.parameters.source_connection": `connection "db" has type jdbc; this needs local`}, wrongType.mistakes())

	empty := e.do("POST", dailySales+"/create", body(`{}`)).mistakes()
	for _, location := range []string{"body.pipelineName", "body.parameters.source_connection", "body.parameters.target_connection"} {
		assert.Contains(t, empty, location)
	}
	for _, wrong := range []string{`[]`, `null`, `"x"`, `1`} {
		assert.NotEmpty(t, e.do("POST", dailySales+"/create", body(`{"pipelineName": "x", "parameters": `+wrong+`, "customizations": `+wrong+`}`)).mistakes(), wrong)
	}
	dangling := e.do("POST", dailySales+"/create", body(`{"pipelineName": "x", "parameters": {"source_connection": "tills", "target_connection": "tills"},
		"customizations": {"transformations.lines_of_day": null}}`)).mistakes()
	assert.Contains(t, dangling["definition.transformations[1].input"], "lines_of_day")

	e.do("POST", dailySales+"/create").problemAny(http.StatusBadRequest)
	e.do("POST", "/v1/pipelines/templates/retail/nothing/create", body(`{`)).problem(http.StatusNotFound, models.CodeNotFound)
	assert.Zero(t, e.do("GET", "/v1/pipelines").json()["total"], "nothing was made")
}

func TestTemplatesCountForTheQuota(t *testing.T) {
	e := newEnv(t)
	e.store.Quotas = store.Quotas{Pipelines: 1}
	e.pipeline("flights")
	e.do("POST", dailySales+"/create", body(`{"pipelineName": "x", "parameters": {"source_connection": "landing", "target_connection": "landing"}}`)).
		problem(http.StatusTooManyRequests, models.CodeQuotaExceeded)
}
