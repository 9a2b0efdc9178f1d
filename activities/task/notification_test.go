package task_test

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"

	"github.com/matih/pipeline-service/activities/plan"
	"github.com/matih/pipeline-service/activities/task"
	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/contract"
	"github.com/matih/pipeline-service/models/store"
	protocol "github.com/matih/pipeline-service/models/task"
)

// told is a store with an execution that failed, whose definition names webhooks, and what tells them.
type told struct {
	*testing.T
	execution models.Execution
	activity  *task.Notifications
}

func newTold(t *testing.T, access protocol.Access, webhooks ...string) *told {
	t.Helper()
	ctx := t.Context()
	s, err := store.Open(ctx, "sqlite:"+filepath.Join(t.TempDir(), "pipeline.db"))
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, s.Close()) })
	_, err = s.Migrate(ctx)
	require.NoError(t, err)
	own := s.ForTenant(tenant)
	var notifications []any
	for _, url := range webhooks {
		notifications = append(notifications, map[string]any{"on": []string{"failed", "sla_missed"}, "webhook": url})
	}
	doc, err := json.Marshal(map[string]any{
		"parameters":    []any{map[string]any{"name": "token", "type": "string", "default": "canary"}},
		"sources":       map[string]any{"raw": map[string]any{"type": "cloud_storage", "connection": "files", "format": "csv"}},
		"sinks":         map[string]any{"out": map[string]any{"type": "cloud_storage", "connection": "files", "prefix": "out/", "format": "csv", "mode": "append"}},
		"orchestration": map[string]any{"notifications": notifications, "sla": map[string]any{"max_duration": "30m"}},
	})
	require.NoError(t, err)
	p, err := own.CreatePipeline(ctx, models.Pipeline{ID: models.NewID(models.PrefixPipeline), Name: "a <b> & c", Definition: doc})
	require.NoError(t, err)
	e, err := own.SubmitExecution(ctx, models.Execution{ID: models.NewID(models.PrefixExecution), PipelineID: p.ID, MaxActiveRuns: 1})
	require.NoError(t, err)
	e, err = own.FinishExecution(ctx, e.ID, store.ExecutionEnd{Status: models.ExecutionFailed,
		Error: &models.ExecutionError{Task: "raw", Class: models.ClassSource, Message: "there is no <!channel>"}})
	require.NoError(t, err)
	plans, err := plan.NewLoader(s)
	require.NoError(t, err)
	secrets := filepath.Join(t.TempDir(), "secrets")
	dir := filepath.Join(secrets, string(tenant), "webhook-signing")
	require.NoError(t, os.MkdirAll(dir, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "secret"), []byte("key\n"), 0o600))
	specs := &task.Specs{
		Store: s, StagingDir: t.TempDir(), Limits: protocol.Limits{MemoryBytes: 1 << 30, ScratchBytes: 1 << 30, Threads: 2},
		Secrets: protocol.Secrets{Dir: secrets}, Access: func(models.TenantID) protocol.Access { return access },
	}
	return &told{T: t, execution: e, activity: task.NewNotifications(s, plans, newPool(t, 1), specs, slog.New(slog.DiscardHandler))}
}

// deliver makes one attempt.
func (d *told) deliver(webhook int, event models.Event) (contract.NotificationResult, error) {
	d.Helper()
	env := (&testsuite.WorkflowTestSuite{}).NewTestActivityEnvironment()
	env.RegisterActivityWithOptions(d.activity.Deliver, activity.RegisterOptions{Name: contract.DeliverActivity})
	value, err := env.ExecuteActivity(contract.DeliverActivity, contract.NotificationInput{Notification: models.Notification{
		ID: "notify-1", Tenant: tenant, ExecutionID: d.execution.ID, PipelineID: d.execution.PipelineID, Event: event, Webhook: webhook,
		At: time.Date(2026, 2, 12, 10, 30, 0, 0, time.UTC),
	}})
	var result contract.NotificationResult
	if err == nil {
		require.NoError(d, value.Get(&result))
	}
	return result, err
}

// final requires a failure and tells whether it is one that no other attempt can mend.
func final(t *testing.T, err error) bool {
	t.Helper()
	var app *temporal.ApplicationError
	require.ErrorAs(t, err, &app)
	assert.NotContains(t, err.Error(), "canary", "what fails gets into the history")
	return app.NonRetryable()
}

func TestDeliverTellsTheWebhookThatIsMeant(t *testing.T) {
	var path, signature string
	var body []byte
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path, signature = r.URL.Path, r.Header.Get("X-Pipeline-Signature")
		body, _ = io.ReadAll(r.Body)
		w.WriteHeader(http.StatusNoContent)
	}))
	defer server.Close()
	d := newTold(t, protocol.Access{EgressAllow: []string{"127.0.0.1"}}, "https://hooks.example/other", server.URL+"/${token}")
	result, err := d.deliver(1, models.EventFailed)
	require.NoError(t, err)
	assert.Equal(t, http.StatusNoContent, result.Status)
	assert.Equal(t, "/canary", path)
	assert.True(t, strings.HasPrefix(signature, "t="), signature)
	assert.JSONEq(t, `{"text": "*a &lt;b&gt; &amp; c*: execution `+d.execution.ID+` is FAILED: task raw: there is no &lt;!channel&gt;",
		"deliveryId": "notify-1", "event": "failed", "occurredAt": "2026-02-12T10:30:00Z", "tenantId": "`+string(tenant)+`",
		"pipelineId": "`+d.execution.PipelineID+`", "pipelineName": "a <b> & c", "executionId": "`+d.execution.ID+`", "status": "FAILED",
		"error": {"task": "raw", "class": "source_error", "message": "there is no <!channel>"}}`, string(body))

	_, err = d.deliver(1, models.EventSLAMissed)
	require.NoError(t, err)
	assert.Contains(t, string(body), "takes longer than the promised 30m")
	assert.NotContains(t, string(body), "FAILED", "what came after the event is not told with it")

	_, err = d.deliver(2, models.EventFailed)
	assert.True(t, final(t, err), "there is no such webhook")
}

func TestDeliverTellsWhatMayPassFromWhatDoesNot(t *testing.T) {
	status := http.StatusServiceUnavailable
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
	defer server.Close()
	d := newTold(t, protocol.Access{EgressAllow: []string{"127.0.0.1"}}, server.URL+"/${token}")
	_, err := d.deliver(0, models.EventFailed)
	assert.False(t, final(t, err))
	status = http.StatusGone
	_, err = d.deliver(0, models.EventFailed)
	assert.True(t, final(t, err))

	walled := newTold(t, protocol.Access{}, server.URL+"/${token}")
	_, err = walled.deliver(0, models.EventFailed)
	assert.True(t, final(t, err))
	assert.ErrorContains(t, err, "egress rules")
}
