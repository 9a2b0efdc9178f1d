package e2e

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"

	"github.com/matih/pipeline-service/cmd/internal/harness"
	"github.com/matih/pipeline-service/models/contract"
)

// alertView is an alert as /monitoring/alerts shows it.
type alertView struct {
	AlertID, PipelineID, ExecutionID, Rule, Severity, Status, Message, AcknowledgedBy, Comment string
	Count                                                                                      int
}

// alerts lists a pipeline's alerts in a status, by rule.
func (w *world) alerts(pipeline, status string) map[string]alertView {
	w.t.Helper()
	var list struct{ Alerts []alertView }
	require.NoError(w.t, w.JSON(w.ctx, http.MethodGet,
		"/v1/pipelines/monitoring/alerts?pipelineId="+pipeline+"&status="+status, nil, http.StatusOK, &list))
	byRule := map[string]alertView{}
	for _, a := range list.Alerts {
		byRule[a.Rule] = a
	}
	return byRule
}

// hook is a webhook that keeps what it is told; it is away for the first attempts.
type hook struct {
	*httptest.Server
	mu   sync.Mutex
	away int
	told []delivery
}

type delivery struct {
	path   string
	header http.Header
	body   []byte
}

func newHook(t *testing.T, away int) *hook {
	h := &hook{away: away}
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		h.mu.Lock()
		defer h.mu.Unlock()
		h.told = append(h.told, delivery{r.URL.Path, r.Header.Clone(), body})
		if h.away > 0 {
			h.away--
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	t.Cleanup(h.Close)
	return h
}

// await waits until the webhook was asked so many times and returns what it was told.
func (h *hook) await(ctx context.Context, t *testing.T, n int) []delivery {
	t.Helper()
	var told []delivery
	require.NoError(t, harness.Until(ctx, func() (bool, error) {
		h.mu.Lock()
		defer h.mu.Unlock()
		told = h.told
		return len(told) >= n, nil
	}))
	return told
}

// temporal returns a client of standalone's Temporal server.
func (w *world) temporal() client.Client {
	w.t.Helper()
	c, err := client.Dial(client.Options{HostPort: w.Temporal, Logger: log.NewStructuredLogger(slog.New(slog.DiscardHandler))})
	require.NoError(w.t, err)
	w.t.Cleanup(c.Close)
	return c
}

// maintain has maintenance run once from now on.
func (w *world) maintain() {
	w.t.Helper()
	c := w.temporal()
	schedule := c.ScheduleClient().GetHandle(w.ctx, contract.MaintenanceScheduleID)
	before, err := schedule.Describe(w.ctx)
	require.NoError(w.t, err)
	require.NoError(w.t, schedule.Trigger(w.ctx, client.ScheduleTriggerOptions{}))
	require.NoError(w.t, harness.Until(w.ctx, func() (bool, error) {
		now, err := schedule.Describe(w.ctx)
		return err == nil && now.Info.NumActions > before.Info.NumActions && len(now.Info.RunningWorkflows) == 0, err
	}))
}

// TestAlertsMetricsAndWebhooks shows a pipeline that fails, and is mended, to those who watch it.
func TestAlertsMetricsAndWebhooks(t *testing.T) {
	w := newWorld(t)
	h := newHook(t, 1)
	w.secret(tenantA, "webhook-signing", map[string]string{"secret": "canary-of-the-signature\n"})
	definition := m{
		"parameters": []m{{"name": "hook_token", "type": "string", "default": "canary-of-the-address"}},
		"sources":    m{"raw": m{"type": "cloud_storage", "connection": "files", "prefix": "in/", "format": "csv"}},
		"quality_checks": []m{
			{"name": "positive", "type": "range", "input": "raw", "column": "x", "min": 0, "on_failure": "warn"},
		},
		"sinks": m{"out": m{"type": "cloud_storage", "connection": "files", "prefix": "out/", "format": "csv", "mode": "overwrite"}},
		"orchestration": m{"retry_policy": m{"max_attempts": 1},
			"notifications": []m{{"on": []string{"failed", "quality_check_failed"}, "webhook": h.URL + "/${hook_token}"}}},
	}
	pipeline := w.pipeline("watched", definition)

	failed, err := w.Run(w.ctx, pipeline, nil) // there is no file
	require.NoError(t, err)
	require.Equal(t, "FAILED", failed.Status)
	a := w.alerts(pipeline, "OPEN")["EXECUTION_FAILED"]
	assert.Equal(t, []any{"CRITICAL", 1, failed.ExecutionID}, []any{a.Severity, a.Count, a.ExecutionID})
	assert.Contains(t, a.Message, "raw")

	told := h.await(w.ctx, t, 2)
	assert.Equal(t, told[0].body, told[1].body, "the second attempt after the 503 says the same")
	last := told[1]
	assert.Equal(t, "/canary-of-the-address", last.path)
	assert.Equal(t, "notify-"+failed.ExecutionID+"-failed-0", last.header.Get("X-Pipeline-Delivery"))
	signature := last.header.Get("X-Pipeline-Signature")
	seconds, _, _ := strings.Cut(strings.TrimPrefix(signature, "t="), ",")
	mac := hmac.New(sha256.New, []byte("canary-of-the-signature"))
	mac.Write([]byte(seconds + "." + string(last.body)))
	assert.Equal(t, "t="+seconds+",v1="+hex.EncodeToString(mac.Sum(nil)), signature)
	var said struct{ Text, Event, ExecutionID, PipelineName, Status string }
	require.NoError(t, json.Unmarshal(last.body, &said))
	assert.Equal(t, []string{"failed", failed.ExecutionID, "watched", "FAILED"}, []string{said.Event, said.ExecutionID, said.PipelineName, said.Status})
	assert.Contains(t, said.Text, "*watched*: execution "+failed.ExecutionID+" is FAILED")

	acknowledge := "/v1/pipelines/monitoring/alerts/" + a.AlertID + "/acknowledge"
	var acknowledged alertView
	require.NoError(t, w.JSON(w.ctx, http.MethodPost, acknowledge, m{"comment": "no file yet"}, http.StatusOK, &acknowledged))
	assert.Equal(t, []string{"ACKNOWLEDGED", "ada@example.com", "no file yet"},
		[]string{acknowledged.Status, acknowledged.AcknowledgedBy, acknowledged.Comment})

	w.file("in/a.csv", "x\n1\n-2\n3\n")
	good := w.completed(pipeline, nil)
	assert.Contains(t, w.alerts(pipeline, "RESOLVED"), "EXECUTION_FAILED")
	quality := w.alerts(pipeline, "OPEN")["QUALITY_CHECK_FAILED"]
	assert.Equal(t, "INFO", quality.Severity)
	assert.Contains(t, quality.Message, "positive: 1 of 3 rows")
	w.problem(http.MethodPost, acknowledge, nil, http.StatusConflict, "alert_resolved")
	assert.Contains(t, string(h.await(w.ctx, t, 3)[2].body), `"failedChecks":["positive"]`)

	var metrics struct {
		Metrics struct {
			ExecutionCount, AvgDurationMs, TotalRowsProcessed, TotalBytesProcessed int64
			SuccessRate                                                            float64
		}
		History []struct {
			Status                       string
			DurationMs, Rows, Executions int64
		}
	}
	require.NoError(t, w.JSON(w.ctx, http.MethodGet, "/v1/pipelines/monitoring/metrics?pipelineId="+pipeline+"&period=24h", nil, http.StatusOK, &metrics))
	assert.Equal(t, int64(2), metrics.Metrics.ExecutionCount)
	assert.InDelta(t, 0.5, metrics.Metrics.SuccessRate, 1e-9)
	assert.Equal(t, good.Metrics.RowsProcessed, metrics.Metrics.TotalRowsProcessed)
	assert.Equal(t, good.Metrics.BytesProcessed, metrics.Metrics.TotalBytesProcessed)
	assert.InDelta(t, (good.Metrics.ElapsedMs+failed.Metrics.ElapsedMs)/2, metrics.Metrics.AvgDurationMs, 2)
	require.NotEmpty(t, metrics.History)
	assert.Equal(t, "COMPLETED", metrics.History[len(metrics.History)-1].Status)

	// Neither secret is anywhere but in the secret store and, as its author put it there, the definition.
	require.NoError(t, w.Stop())
	assert.NotContains(t, w.Output(), "canary-of-the")
	require.NoError(t, filepath.WalkDir(w.DataDir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() || strings.Contains(path, "/secrets/") || strings.HasPrefix(entry.Name(), "pipeline") {
			return err
		}
		content, err := os.ReadFile(path)
		assert.NotContains(t, string(content), "canary-of-the", path)
		return err
	}))
}

// TestSLAIsMissedWhileItRuns has an execution wait at a gate for longer than it may take.
func TestSLAIsMissedWhileItRuns(t *testing.T) {
	w := newWorld(t)
	h := newHook(t, 0)
	w.file("in/a.csv", "x\n1\n")
	pipeline := w.pipeline("late", m{
		"sources": m{"raw": m{"type": "cloud_storage", "connection": "files", "prefix": "in/", "format": "csv"}},
		"sinks":   m{"out": m{"type": "cloud_storage", "connection": "files", "prefix": "out/", "format": "csv", "mode": "overwrite"}},
		"orchestration": m{
			"approval": m{"before": []string{"out"}}, "sla": m{"max_duration": "1ms", "freshness": "1ms"},
			"notifications": []m{{"on": []string{"started", "approval_requested", "sla_missed", "cancelled"}, "webhook": h.URL}},
		},
	})
	id, err := w.Execute(w.ctx, pipeline, nil)
	require.NoError(t, err)
	require.NoError(t, harness.Until(w.ctx, func() (bool, error) {
		e, err := w.Execution(w.ctx, id)
		return e.Status == "AWAITING_APPROVAL", err
	}))
	w.maintain()
	open := w.alerts(pipeline, "OPEN")
	assert.Equal(t, []any{1, id}, []any{open["SLA_MISSED"].Count, open["SLA_MISSED"].ExecutionID})
	assert.Equal(t, "CRITICAL", open["FRESHNESS"].Severity, "it has never had a good run")
	require.NoError(t, w.JSON(w.ctx, http.MethodPost, "/v1/pipelines/executions/"+id+"/cancel", nil, http.StatusAccepted, nil))
	w.await(id, "CANCELLED")
	var events []string
	for _, d := range h.await(w.ctx, t, 4) {
		events = append(events, d.header.Get("X-Pipeline-Event"))
		assert.Empty(t, d.header.Get("X-Pipeline-Signature"), "there is no secret to sign with")
	}
	assert.ElementsMatch(t, []string{"started", "approval_requested", "sla_missed", "cancelled"}, events)
	assert.Equal(t, 1, w.alerts(pipeline, "OPEN")["SLA_MISSED"].Count)
}

// TestStagedDataStayWhileARerunNeedsThem has maintenance remove staged data at once, but for those of an execution
// whose re-run waits at a gate.
func TestStagedDataStayWhileARerunNeedsThem(t *testing.T) {
	w := newWorld(t, "--staging-retention", "1ms", "--quarantine-retention", "1ms")
	w.file("in/a.csv", "x\n1\n")
	steward, err := w.Standalone.Client(w.ctx, tenantA, "sam@example.com", "DATA_STEWARD")
	require.NoError(t, err)
	pipeline := w.pipeline("gated", m{
		"sources":         m{"raw": m{"type": "cloud_storage", "connection": "files", "prefix": "in/", "format": "csv"}},
		"transformations": []m{{"name": "same", "type": "select", "input": "raw", "columns": []string{"x"}}},
		"sinks":           m{"out": m{"type": "cloud_storage", "connection": "files", "prefix": "out/", "format": "csv", "mode": "overwrite"}},
		"orchestration":   m{"approval": m{"before": []string{"out"}}},
	})
	waits := func(id string) {
		t.Helper()
		require.NoError(t, harness.Until(w.ctx, func() (bool, error) {
			e, err := w.Execution(w.ctx, id)
			return e.Status == "AWAITING_APPROVAL", err
		}))
	}
	decide := func(id string, approved bool) {
		t.Helper()
		require.NoError(t, steward.JSON(w.ctx, http.MethodPost, "/v1/pipelines/workflows/"+id+"/signal",
			m{"signalName": "approval", "data": m{"approved": approved}}, http.StatusAccepted, nil))
	}
	staged := func(id string) bool {
		_, err := os.Stat(filepath.Join(w.DataDir, "staging", tenantA, id))
		return err == nil
	}
	id, err := w.Execute(w.ctx, pipeline, nil)
	require.NoError(t, err)
	waits(id)
	decide(id, false)
	w.await(id, "CANCELLED")
	again := w.rerun(id, m{"from": "task", "task": "out"})
	waits(again)
	stray := filepath.Join(w.DataDir, "staging", tenantA, "exec-01khk2vq4e8w2n7r5z0y9p6k3m")
	require.NoError(t, os.MkdirAll(stray, 0o700))
	w.maintain()
	assert.True(t, staged(id), "the re-run reads them")
	assert.NoDirExists(t, stray, "no execution answers for it")
	decide(again, true)
	w.await(again, "COMPLETED")
	assert.Equal(t, "x\n1\n", w.read("out"))
	w.maintain()
	assert.False(t, staged(id), "nobody reads them any more")
	assert.False(t, staged(again))
}
