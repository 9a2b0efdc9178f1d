package api_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/matih/pipeline-service/api"
	"github.com/matih/pipeline-service/models"
)

func TestIdempotentCreate(t *testing.T) {
	e := newEnv(t)
	e.landing()
	first := e.do("POST", "/v1/pipelines", body(pipelineJSON("p")), key("k-1")).is(http.StatusCreated)
	assert.Empty(t, first.header.Get("Idempotency-Replayed"))
	again := e.do("POST", "/v1/pipelines", body(pipelineJSON("p")), key("k-1")).is(http.StatusCreated)
	assert.Equal(t, "true", again.header.Get("Idempotency-Replayed"))
	assert.Equal(t, first.body, again.body)
	for _, name := range []string{"Location", "ETag", "Content-Type"} {
		assert.Equal(t, first.header.Get(name), again.header.Get(name), name)
	}
	assert.NotEqual(t, first.header.Get("X-Request-ID"), again.header.Get("X-Request-ID"))
	assert.Equal(t, 1.0, e.do("GET", "/v1/pipelines").json()["total"])

	e.do("POST", "/v1/pipelines", body(pipelineJSON("other")), key("k-1")).
		problem(http.StatusConflict, models.CodeIdempotencyKeyReused)
	e.do("POST", "/v1/pipelines/connections", body(pipelineJSON("p")), key("k-1")).
		problem(http.StatusConflict, models.CodeIdempotencyKeyReused)

	another := e.other()
	another.landing()
	theirs := another.do("POST", "/v1/pipelines", body(pipelineJSON("p")), key("k-1")).is(http.StatusCreated)
	assert.NotEqual(t, first.json()["pipelineId"], theirs.json()["pipelineId"], "keys belong to their tenant")
}

func TestIdempotencyKeys(t *testing.T) {
	e := newEnv(t)
	for name, o := range map[string]option{
		"blank":     key("a b"),
		"too long":  key(strings.Repeat("k", 256)),
		"not ASCII": key("schlüssel"),
		"empty":     key(""),
		"two":       func(c *call) { c.header["Idempotency-Key"] = []string{"a", "b"} },
	} {
		t.Run(name, func(t *testing.T) {
			assert.Contains(t, e.on(t).do("POST", "/v1/pipelines", body(pipelineJSON("p")), o).mistakes(), "header.Idempotency-Key")
		})
	}
	e.landing()
	e.do("POST", "/v1/pipelines", body(pipelineJSON("p")), key(strings.Repeat("~", 255))).is(http.StatusCreated)
}

func TestMistakesAreReplayedAndFaultsAreNot(t *testing.T) {
	e := newEnv(t)
	id := e.pipeline("flights")
	path := "/v1/pipelines/" + id + "/execute"
	for range 2 {
		e.do("POST", path, body(`{"priority": "x"}`), key("bad")).problemAny(http.StatusBadRequest)
	}
	e.gateway.fail(away)
	e.do("POST", path, key("k")).is(http.StatusServiceUnavailable)
	e.gateway.fail(nil)
	accepted := e.do("POST", path, key("k")).is(http.StatusAccepted)
	assert.Empty(t, accepted.header.Get("Idempotency-Replayed"))
	replayed := e.do("POST", path, key("k")).is(http.StatusAccepted)
	assert.Equal(t, accepted.body, replayed.body)
	assert.Equal(t, 1, e.gateway.starts())
	assert.Equal(t, accepted.header.Get("Location"), replayed.header.Get("Location"))
	e.do("POST", path, key("busy")).is(http.StatusConflict)
}

// TestSameKeyAtOnce sends one request many times at once, on both databases: one execution starts, and whoever
// does not get its answer is told that it is at work.
func TestSameKeyAtOnce(t *testing.T) {
	for name, env := range map[string]func(*testing.T) *env{
		"sqlite":   func(t *testing.T) *env { return newEnv(t) },
		"postgres": func(t *testing.T) *env { return newEnvOn(t, postgres.NewDatabase(t)) },
	} {
		t.Run(name, func(t *testing.T) {
			e := env(t)
			path := "/v1/pipelines/" + e.pipeline("flights") + "/execute"
			var (
				wg      sync.WaitGroup
				mu      sync.Mutex
				started = map[string]bool{}
			)
			for range 12 {
				wg.Go(func() {
					answer := e.do("POST", path, key("k"))
					mu.Lock()
					defer mu.Unlock()
					switch answer.status {
					case http.StatusAccepted:
						started[answer.header.Get("Location")] = true
					default:
						assert.Equal(t, http.StatusConflict, answer.status)
						assert.Contains(t, string(answer.body), "idempotency_in_progress")
						assert.NotEmpty(t, answer.header.Get("Retry-After"))
					}
				})
			}
			wg.Wait()
			assert.Len(t, started, 1)
			assert.Equal(t, 1, e.gateway.starts())
		})
	}
}

// TestRetryAfterACrash has a request die between its work and its answer: the retry, once the claim is
// abandoned, finds the same execution.
func TestRetryAfterACrash(t *testing.T) {
	clock := newClock()
	e := newEnv(t, func(c *api.Config) { c.Now = clock.Now })
	id := e.pipeline("flights")
	path := "/v1/pipelines/" + id + "/execute"

	e.gateway.onStart(func() { panic(http.ErrAbortHandler) })
	// The panic releases the key, as a 500 does, so the claim of a process that died is put back by hand.
	tenant := e.store.ForTenant(e.tenant)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, e.server.URL+path, http.NoBody)
	require.NoError(t, err)
	req.Header = http.Header{"Authorization": {"Bearer " + e.token("ADMIN")}, "X-Tenant-Id": {string(e.tenant)}}
	resp, err := http.DefaultClient.Do(req)
	if err == nil {
		_ = resp.Body.Close()
	}
	require.Error(t, err, "the connection broke")
	e.gateway.onStart(nil)
	list := e.do("GET", "/v1/pipelines/executions").json()["executions"].([]any)
	require.Len(t, list, 1, "submitted and never started")
	lost := list[0].(map[string]any)["executionId"].(string)
	fingerprint := fingerprintOf(http.MethodPost, path, "", "", "")
	_, err = tenant.ClaimKey(t.Context(), "k", fingerprint, strings.TrimPrefix(lost, "exec-"), clock.Now())
	require.NoError(t, err)

	e.do("POST", path, key("k")).problem(http.StatusConflict, models.CodeIdempotencyInProgress)
	clock.pass(2 * time.Minute)
	retried := e.do("POST", path, key("k")).is(http.StatusAccepted).json()
	assert.Equal(t, lost, retried["executionId"])
	assert.Equal(t, 1, e.gateway.starts())
	assert.Equal(t, 1.0, e.do("GET", "/v1/pipelines/executions").json()["total"])
}
