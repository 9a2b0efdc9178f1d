package api_test

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/matih/pipeline-service/api"
	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/store"
)

var logStart = time.Date(2026, 2, 12, 10, 30, 0, 0, time.UTC)

func (e *env) appendLog(id, task, message string, second int) {
	e.Helper()
	require.NoError(e, e.store.ForTenant(e.tenant).AppendLogs(e.Context(), id, []models.LogLine{{
		Time: logStart.Add(time.Duration(second) * time.Second), Level: "INFO", Task: task, Message: message,
	}}))
}

func (e *env) finish(id string) {
	e.Helper()
	_, err := e.store.ForTenant(e.tenant).FinishExecution(e.Context(), id, store.ExecutionEnd{
		Status: models.ExecutionCompleted, At: logStart.Add(time.Hour),
		Lines: []models.LogLine{{Time: logStart.Add(time.Hour), Level: "INFO", Message: "completed"}},
	})
	require.NoError(e, err)
}

func TestLogs(t *testing.T) {
	e := newEnv(t)
	id := e.execution()
	path := "/v1/pipelines/executions/" + id + "/logs"
	empty := e.do("GET", path).is(http.StatusOK).json()
	assert.Equal(t, map[string]any{"executionId": id, "task": "", "lines": []any{}}, empty)

	for i := range 150 {
		e.appendLog(id, []string{"flights", "late"}[i%2], fmt.Sprintf("line %d", i), i)
	}
	all := e.do("GET", path).is(http.StatusOK)
	assert.Equal(t, "application/json", all.header.Get("Content-Type"))
	lines := all.json()["lines"].([]any)
	require.Len(t, lines, 100, "the last hundred")
	assert.Equal(t, map[string]any{
		"timestamp": "2026-02-12T10:32:29Z", "level": "INFO", "task": "late", "message": "line 149",
	}, lines[99])

	task := e.do("GET", path+"?task=flights&lines=2").is(http.StatusOK).json()
	assert.Equal(t, "flights", task["task"])
	assert.Equal(t, "line 146", task["lines"].([]any)[0].(map[string]any)["message"])

	e.appendLog(id, "late", "tricky \x1b[31mred\r\nnext", 200)
	text := e.do("GET", path+"?lines=2", header("Accept", "text/plain")).is(http.StatusOK)
	assert.Equal(t, "text/plain; charset=utf-8", text.header.Get("Content-Type"))
	assert.Equal(t, "2026-02-12T10:32:29.000Z INFO  late line 149\n"+
		`2026-02-12T10:33:20.000Z INFO  late tricky \x1b[31mred\r\nnext`+"\n", string(text.body))
	e.do("GET", path, header("Accept", "text/plain;q=0.5, application/json")).is(http.StatusOK).json()

	e.do("GET", path+"?task=nobody").problem(http.StatusNotFound, models.CodeNotFound)
	for _, query := range []string{"?lines=0", "?lines=10001", "?lines=x", "?follow=maybe", "?level=INFO", "?task="} {
		assert.Len(t, e.do("GET", path+query).mistakes(), 1, query)
	}
	e.do("GET", path+"?lines=10000").is(http.StatusOK)
}

// events reads a stream of server-sent events until it ends.
type events struct {
	*testing.T
	scan *bufio.Scanner
	resp *http.Response
}

func (e *env) follow(ctx context.Context, path string, options ...option) *events {
	e.Helper()
	c := call{header: http.Header{"Authorization": {"Bearer " + e.token("VIEWER")}, "X-Tenant-Id": {string(e.tenant)}}}
	for _, o := range options {
		o(&c)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, e.server.URL+path, http.NoBody)
	require.NoError(e, err)
	req.Header = c.header
	resp, err := http.DefaultClient.Do(req)
	require.NoError(e, err)
	e.Cleanup(func() { _ = resp.Body.Close() })
	return &events{T: e.T, scan: bufio.NewScanner(resp.Body), resp: resp}
}

// next is the next event, without comments; empty at the end.
func (ev *events) next() string {
	var lines []string
	for ev.scan.Scan() {
		switch line := ev.scan.Text(); {
		case line == "" && len(lines) > 0:
			return strings.Join(lines, "\n")
		case line != "" && !strings.HasPrefix(line, ":"):
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n")
}

func TestFollow(t *testing.T) {
	e := newEnv(t)
	id := e.execution()
	path := "/v1/pipelines/executions/" + id + "/logs?follow=true"
	e.appendLog(id, "flights", "first", 0)
	e.appendLog(id, "flights", "second\n\nevent: end", 1)

	stream := e.follow(t.Context(), path+"&lines=1")
	assert.Equal(t, "text/event-stream", stream.resp.Header.Get("Content-Type"))
	second := stream.next()
	assert.Contains(t, second, `"message":"second\n\nevent: end"`, "only the last line, and it cannot forge an event")
	e.appendLog(id, "late", "third", 2)
	third := stream.next()
	assert.Regexp(t, `^id: \d+\nevent: line\ndata: \{"timestamp":"2026-02-12T10:30:02Z","level":"INFO","task":"late","message":"third"\}$`, third)
	e.finish(id)
	assert.Contains(t, stream.next(), "completed")
	assert.Equal(t, "event: end\ndata: {\"executionId\":\""+id+"\",\"status\":\"COMPLETED\"}", stream.next())
	assert.Empty(t, stream.next(), "the stream ends with the execution")

	again := e.follow(t.Context(), path, header("Last-Event-ID", strings.TrimPrefix(strings.SplitN(second, "\n", 2)[0], "id: ")))
	assert.Equal(t, third, again.next(), "taken up after the event named")
	task := e.follow(t.Context(), path+"&task=late")
	assert.Equal(t, third, task.next())
	assert.Contains(t, task.next(), "event: end")
	e.do("GET", path, header("Last-Event-ID", "x")).problem(http.StatusBadRequest, models.CodeInvalidRequest)
}

func TestFollowersAreBounded(t *testing.T) {
	e := newEnv(t, func(c *api.Config) { c.MaxFollowers = 1 })
	id := e.execution()
	path := "/v1/pipelines/executions/" + id + "/logs?follow=true"
	e.appendLog(id, "", "hello", 0)
	ctx, cancel := context.WithCancel(t.Context())
	require.NotEmpty(t, e.follow(ctx, path).next())
	refused := e.do("GET", path)
	refused.problem(http.StatusTooManyRequests, models.CodeRateLimited)
	assert.NotEmpty(t, refused.header.Get("Retry-After"))
	e.do("HEAD", path).is(http.StatusOK)
	cancel()
	require.Eventually(t, func() bool {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		return e.follow(ctx, path).resp.StatusCode == http.StatusOK
	}, 5*time.Second, 20*time.Millisecond, "a client that leaves makes room")
}

func TestFollowEndsWithTheServiceAndTheToken(t *testing.T) {
	stopping := make(chan struct{})
	e := newEnv(t, func(c *api.Config) { c.Stopping = stopping })
	path := "/v1/pipelines/executions/" + e.execution() + "/logs?follow=true"
	short := e.sign(func() jwt.MapClaims {
		c := e.claims("VIEWER")
		c["exp"] = time.Now().Add(-28 * time.Second).Unix() // within the leeway, but over
		return c
	}())
	assert.Empty(t, e.follow(t.Context(), path, bearer(short)).next(), "the stream ends with the token")
	stream := e.follow(t.Context(), path)
	close(stopping)
	assert.Empty(t, stream.next(), "the stream ends with the service")
}
