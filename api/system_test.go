package api_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/matih/pipeline-service/api"
	"github.com/matih/pipeline-service/models"
)

//go:generate go test -run TestOpenAPIIsCurrent -update .

var update = flag.Bool("update", false, "write openapi.json anew")

func TestOpenAPIIsCurrent(t *testing.T) {
	doc, err := api.OpenAPI()
	require.NoError(t, err)
	if *update {
		require.NoError(t, os.WriteFile("openapi.json", doc, 0o644))
	}
	committed, err := os.ReadFile("openapi.json")
	require.NoError(t, err)
	assert.Equal(t, string(committed), string(doc), "run go generate ./api")
}

func TestPublicPaths(t *testing.T) {
	e := newEnv(t)
	for path, media := range map[string]string{
		"/openapi.json": "application/openapi+json", "/openapi.yaml": "application/openapi+yaml",
		"/docs": "text/html; charset=utf-8", "/healthz": "application/json", "/readyz": "application/json",
		"/v1/schemas/definition.json": "application/schema+json",
	} {
		answer := e.do("GET", path, without("Authorization"), without("X-Tenant-ID")).is(http.StatusOK)
		assert.Equal(t, media, answer.header.Get("Content-Type"), path)
		assert.NotEmpty(t, answer.body, path)
	}
	doc := e.do("GET", "/openapi.json").json()
	assert.True(t, strings.HasPrefix(doc["openapi"].(string), "3.1"))
	page := e.do("GET", "/docs")
	assert.Contains(t, page.header.Get("Content-Security-Policy"), "default-src 'none'")
	style := regexp.MustCompile(`(?s)<style>(.*)</style>`).FindSubmatch(page.body)[1]
	hash := sha256.Sum256(style)
	assert.Contains(t, page.header.Get("Content-Security-Policy"), base64.StdEncoding.EncodeToString(hash[:]), "the style may be used")
	assert.NotContains(t, string(page.body), "://", "nothing is loaded from elsewhere")
	for _, op := range endpoints(t) {
		assert.Contains(t, string(page.body), `id="`+op.id+`"`)
	}

	schema, err := jsonschema.UnmarshalJSON(strings.NewReader(string(e.do("GET", "/v1/schemas/definition.json").body)))
	require.NoError(t, err)
	compiler := jsonschema.NewCompiler()
	require.NoError(t, compiler.AddResource("definition.json", schema))
	compiled, err := compiler.Compile("definition.json")
	require.NoError(t, err)
	example, err := jsonschema.UnmarshalJSON(strings.NewReader(definitionJSON))
	require.NoError(t, err)
	assert.NoError(t, compiled.Validate(example))
}

// TestDocumentedExamples holds the examples of the document against its own schemas.
func TestDocumentedExamples(t *testing.T) {
	raw, err := api.OpenAPI()
	require.NoError(t, err)
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(string(raw)))
	require.NoError(t, err)
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft2020)
	require.NoError(t, compiler.AddResource("openapi.json", doc))
	checked := 0
	for path, item := range doc.(map[string]any)["paths"].(map[string]any) {
		for method, op := range item.(map[string]any) {
			op := op.(map[string]any)
			at := "openapi.json#/paths/" + strings.NewReplacer("~", "~0", "/", "~1", "{", "%7B", "}", "%7D").Replace(path) + "/" + method
			check := func(where string, holder any) {
				content, _ := holder.(map[string]any)["content"].(map[string]any)
				media, _ := content["application/json"].(map[string]any)
				if media["example"] == nil {
					return
				}
				schema, err := compiler.Compile(at + where + "/content/application~1json/schema")
				require.NoError(t, err, at)
				assert.NoError(t, schema.Validate(media["example"]), at+where)
				checked++
			}
			if op["requestBody"] != nil {
				check("/requestBody", op["requestBody"])
			}
			for status, response := range op["responses"].(map[string]any) {
				check("/responses/"+status, response)
			}
			assert.NotEmpty(t, op["summary"], at)
			assert.NotEmpty(t, op["operationId"], at)
		}
	}
	assert.Greater(t, checked, 10)
}

func TestReadiness(t *testing.T) {
	down := true
	e := newEnv(t, func(c *api.Config) {
		c.Checks = func(context.Context) error {
			if down {
				return errors.New("dial tcp 10.0.0.1: refused")
			}
			return nil
		}
	})
	answer := e.do("GET", "/readyz", without("Authorization"))
	answer.problem(http.StatusServiceUnavailable, models.CodeUnavailable)
	assert.NotContains(t, string(answer.body), "10.0.0.1")
	assert.NotEmpty(t, answer.header.Get("Retry-After"))
	down = false
	e.do("GET", "/readyz").is(http.StatusOK)
}

func TestMetrics(t *testing.T) {
	e := newEnv(t)
	e.do("GET", "/v1/pipelines").is(http.StatusOK)
	e.do("GET", "/v1/pipelines/x").is(http.StatusNotFound)
	e.do("GET", "/nowhere/"+strings.Repeat("a", 100)).is(http.StatusNotFound)
	text := string(e.do("GET", "/metrics", without("Authorization")).is(http.StatusOK).body)
	assert.Contains(t, text, `pipeline_http_requests_total{operation="listPipelines",status="2xx"} 1`)
	assert.Contains(t, text, `pipeline_http_requests_total{operation="getPipeline",status="4xx"} 1`)
	assert.Contains(t, text, `pipeline_http_requests_total{operation="none",status="4xx"} 1`)
	assert.Contains(t, text, `pipeline_http_request_duration_seconds_count{operation="listPipelines"} 1`)
	assert.NotContains(t, text, "nowhere")
}

func TestRequestIDsAndTheLog(t *testing.T) {
	e := newEnv(t)
	answer := e.do("GET", "/v1/pipelines/x", header("X-Request-ID", "abc-123"))
	assert.Equal(t, "abc-123", answer.problem(http.StatusNotFound, models.CodeNotFound).RequestID)
	for _, bad := range []string{"a b", strings.Repeat("a", 129), `a"b`} {
		assert.NotEqual(t, bad, e.do("GET", "/v1/pipelines", header("X-Request-ID", bad)).header.Get("X-Request-ID"))
	}
	log := e.log.String()
	assert.Contains(t, log, `requestId=abc-123 method=GET path=/v1/pipelines/x operation=getPipeline status=404`)
	assert.Contains(t, log, "tenant="+string(e.tenant)+" subject=engineer@acme.com")

	token := e.token("ADMIN")
	e.do("GET", "/v1/pipelines%0Aforged%1b?x=secret", bearer(token))
	log = e.log.String()
	assert.NotContains(t, log, "\nforged")
	assert.NotContains(t, log, "x=secret")
	assert.NotContains(t, log, token)
}

func TestPanics(t *testing.T) {
	handler, err := api.NewPanicking(newEnv(t).config)
	require.NoError(t, err)
	e := newEnv(t)
	e.server.Config.Handler = handler
	answer := e.do("GET", "/panic")
	answer.problem(http.StatusInternalServerError, models.CodeInternal)
	assert.NotContains(t, string(answer.body), "secret detail")
	var p api.Problem
	require.NoError(t, json.Unmarshal(answer.body, &p))
	assert.NotEmpty(t, p.RequestID)
}

// TestDocumentedRequestsWork sends the request bodies of the document, in the order a newcomer would.
func TestDocumentedRequestsWork(t *testing.T) {
	raw, err := api.OpenAPI()
	require.NoError(t, err)
	var doc struct {
		Paths map[string]map[string]struct {
			RequestBody struct {
				Content map[string]struct{ Example json.RawMessage }
			}
		}
	}
	require.NoError(t, json.Unmarshal(raw, &doc))
	example := func(path string) string {
		return string(doc.Paths[path]["post"].RequestBody.Content["application/json"].Example)
	}
	e := newEnv(t)
	connection := example("/v1/pipelines/connections")
	e.do("POST", "/v1/pipelines/connections", body(connection)).is(http.StatusCreated)
	e.do("POST", "/v1/pipelines/connections", body(strings.Replace(connection, "sales-database", "analytics", 1))).is(http.StatusCreated)
	id := e.do("POST", "/v1/pipelines", body(example("/v1/pipelines"))).is(http.StatusCreated).json()["pipelineId"].(string)
	e.do("POST", "/v1/pipelines/"+id+"/execute", body(example("/v1/pipelines/{pipelineId}/execute"))).is(http.StatusAccepted)
}
