package api_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/matih/pipeline-service/api"
	"github.com/matih/pipeline-service/models"
)

func TestBadBodies(t *testing.T) {
	e := newEnv(t)
	e.landing()
	good := pipelineJSON("x")
	deep := strings.Repeat(`{"a":`, 100_000) + "1" + strings.Repeat("}", 100_000)
	for name, c := range map[string]struct{ body, location string }{
		"no body":           {"", "body"},
		"no JSON":           {"name", "body"},
		"half":              {`{"name": "x"`, "body"},
		"a text":            {`"x"`, "body"},
		"null":              {`null`, "body"},
		"two documents":     {good + good, "body"},
		"trailing data":     {good + "x", "body"},
		"byte order mark":   {"\ufeff" + good, "body"},
		"comment":           {"/* */" + good, "body"},
		"NaN":               {`{"name": NaN}`, "body"},
		"invalid UTF-8":     {"{\"name\": \"\xff\"}", "body"},
		"lone surrogate":    {`{"name": "\ud800"}`, "body.name"},
		"NUL in a name":     {`{"name": "a\u0000b"}`, "body.name"},
		"escape in a name":  {`{"name": "a\u001b[31mb"}`, "body.name"},
		"line break":        {`{"name": "a\r\nb"}`, "body.name"},
		"1e400":             {`{"name": 1e400}`, "body.name"},
		"duplicate key":     {`{"name": "a", "name": "b"}`, "body.name"},
		"deep":              {`{"definition": ` + deep + `}`, "body"},
		"definition a text": {`{"definition": "sources: {}"}`, "body.definition"},
		"tenant":            {`{"tenantId": "x"}`, "body.tenantId"},
		"owner":             {`{"owner": "x"}`, "body.owner"},
		"status at create":  {`{"status": "ACTIVE"}`, "body.status"},
		"another case":      {`{"Name": "x"}`, "body.Name"},
		"empty tag":         {`{"tags": [""]}`, "body.tags[0]"},
		"tag with comma":    {`{"tags": ["a,b"]}`, "body.tags[0]"},
		"tags a text":       {`{"tags": "a"}`, "body.tags"},
	} {
		t.Run(name, func(t *testing.T) {
			answer := e.on(t).do("POST", "/v1/pipelines", body(c.body))
			found := answer.mistakes()
			if !assert.Condition(t, func() bool {
				for location := range found {
					if strings.HasPrefix(location, c.location) {
						return true
					}
				}
				return false
			}) {
				t.Log(found)
			}
			assert.NotContains(t, string(answer.body), "Go struct")
			assert.Less(t, len(answer.body), 4096)
		})
	}
}

func TestBadQueries(t *testing.T) {
	e := newEnv(t)
	for path, location := range map[string]string{
		"/v1/pipelines?page=-1":                            "query.page",
		"/v1/pipelines?page=2147483648":                    "query.page",
		"/v1/pipelines?page=99999999999999999999":          "query.page",
		"/v1/pipelines?page=x":                             "query.page",
		"/v1/pipelines?page=1&page=2":                      "query.page",
		"/v1/pipelines?page=":                              "query.page",
		"/v1/pipelines?page":                               "query.page",
		"/v1/pipelines?size=0":                             "query.size",
		"/v1/pipelines?size=201":                           "query.size",
		"/v1/pipelines?size=1e2":                           "query.size",
		"/v1/pipelines?status=active":                      "query.status",
		"/v1/pipelines?status=RUNNING":                     "query.status",
		"/v1/pipelines?tags=":                              "query.tags",
		"/v1/pipelines?tags=a,,b":                          "query.tags",
		"/v1/pipelines?sort=secret":                        "query.sort",
		"/v1/pipelines?Page=1":                             "query.Page",
		"/v1/pipelines?%zz":                                "query",
		"/v1/pipelines/executions?status=DONE":             "query.status",
		"/v1/pipelines/executions?tenantId=x":              "query.tenantId",
		"/v1/pipelines/executions?pipelineId=":             "query.pipelineId",
		"/v1/pipelines/connections?size=1000":              "query.size",
		"/v1/pipelines/connections?type=jdbc":              "query.type",
		"/v1/pipelines/executions?status=QUEUED,COMPLETED": "query.status",
	} {
		t.Run(path, func(t *testing.T) {
			assert.Contains(t, e.on(t).do("GET", path).mistakes(), location)
		})
	}
	assert.Len(t, e.do("GET", "/v1/pipelines?page=-1&size=0&status=x&nope=1").mistakes(), 4, "all at once")
}

func TestBodySize(t *testing.T) {
	e := newEnv(t)
	e.landing()
	pad := func(n int) string {
		doc := strings.TrimSuffix(pipelineJSON("big"), "}")
		return doc + strings.Repeat(" ", n-len(doc)-1) + "}"
	}
	e.do("POST", "/v1/pipelines", body(pad(1<<20))).is(http.StatusCreated)
	e.do("POST", "/v1/pipelines", body(pad(1<<20+1))).problem(http.StatusRequestEntityTooLarge, models.CodeBodyTooLarge)
	chunked := func(c *call) {
		body("")(c)
		c.body = io.MultiReader(strings.NewReader(pad(1<<20)), bytes.NewReader(make([]byte, 1<<20)))
	}
	e.do("POST", "/v1/pipelines", chunked).problem(http.StatusRequestEntityTooLarge, models.CodeBodyTooLarge)
	e.do("POST", "/v1/pipelines/"+models.NewID("pipeline-")+"/execute", chunked).problem(http.StatusNotFound, models.CodeNotFound)
}

// TestSlowBody sends a byte and then nothing.
func TestSlowBody(t *testing.T) {
	e := newEnv(t, func(c *api.Config) { c.BodyTimeout = 20 * time.Millisecond })
	conn := e.dial(100)
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	defer func() { _ = answer.Body.Close() }()
	assert.Equal(t, http.StatusRequestTimeout, answer.StatusCode)
	assert.True(t, answer.Close)
}

// dial sends the head of a request with a body of so many bytes, and the first of them.
func (e *env) dial(length int64) net.Conn {
	e.Helper()
	address, err := url.Parse(e.server.URL)
	require.NoError(e, err)
	conn, err := net.Dial("tcp", address.Host)
	require.NoError(e, err)
	e.Cleanup(func() { _ = conn.Close() })
	_, err = fmt.Fprintf(conn, "POST /v1/pipelines HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nX-Tenant-ID: %s\r\n"+
		"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n{", e.token("ADMIN"), e.tenant, length)
	require.NoError(e, err)
	return conn
}

// TestHugeBodyIsNotRead announces ten gigabytes and gets its answer before it has sent any.
func TestHugeBodyIsNotRead(t *testing.T) {
	conn := newEnv(t).dial(10_000_000_000)
	answer := make([]byte, 12)
	_, err := io.ReadFull(conn, answer)
	require.NoError(t, err)
	assert.Equal(t, "HTTP/1.1 413", string(answer))
}

func TestMediaTypes(t *testing.T) {
	e := newEnv(t)
	e.landing()
	for _, media := range []string{"text/plain", "application/xml", "multipart/form-data", "application/json-patch+json", "x"} {
		e.do("POST", "/v1/pipelines", header("Content-Type", media), body(pipelineJSON("x"))).
			problem(http.StatusUnsupportedMediaType, models.CodeUnsupportedMediaType)
	}
	e.do("POST", "/v1/pipelines", body(pipelineJSON("x")), without("Content-Type")).is(http.StatusUnsupportedMediaType)
	e.do("POST", "/v1/pipelines", header("Content-Type", "application/json; charset=utf-8"), body(pipelineJSON("x"))).is(http.StatusCreated)
}

func TestOperationsWithoutABody(t *testing.T) {
	e := newEnv(t)
	path := "/v1/pipelines/executions/" + e.execution() + "/cancel"
	e.do("POST", path, body(`{"force": true}`)).problem(http.StatusBadRequest, models.CodeInvalidRequest)
	e.do("POST", path, body(` {} `)).is(http.StatusAccepted)
}

func TestMethods(t *testing.T) {
	e := newEnv(t)
	for path, c := range map[string]struct {
		method string
		allow  []string
	}{
		"/v1/pipelines":                                           {"PUT", []string{"GET", "HEAD", "POST"}},
		"/v1/pipelines/executions":                                {"DELETE", []string{"GET", "HEAD"}},
		"/v1/pipelines/connections":                               {"PUT", []string{"GET", "HEAD", "POST"}},
		"/v1/pipelines/" + models.NewID("pipeline-"):              {"PATCH", []string{"GET", "HEAD", "PUT", "DELETE"}},
		"/v1/pipelines/" + models.NewID("pipeline-") + "/execute": {"GET", []string{"POST"}},
		"/healthz":      {"POST", []string{"GET", "HEAD"}},
		"/openapi.json": {"DELETE", []string{"GET", "HEAD"}},
	} {
		answer := e.do(c.method, path)
		answer.problem(http.StatusMethodNotAllowed, models.CodeMethodNotAllowed)
		assert.Equal(t, c.allow, answer.header.Values("Allow"), path)
	}
	for _, path := range []string{"/", "/v1", "/v1/pipelines/", "/v2/pipelines", "/v1/pipelines/a/b/c", "/v1//pipelines", "/schemas/Problem.json"} {
		e.do("GET", path).problem(http.StatusNotFound, models.CodeNotFound)
	}
	head := e.do("HEAD", "/v1/pipelines").is(http.StatusOK)
	assert.Empty(t, head.body)
}
