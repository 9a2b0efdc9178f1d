package openlineage_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/matih/pipeline-service/activities/openlineage"
	"github.com/matih/pipeline-service/activities/openlineage/openlineagetest"
	"github.com/matih/pipeline-service/activities/plan"
	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/lineage"
	"github.com/matih/pipeline-service/models/store"
	"github.com/matih/pipeline-service/models/task"
)

const tenant = models.TenantID("11111111-2222-4333-8444-555555555555")

const definition = `{
	"sources": {"orders": {"type": "jdbc", "connection": "db", "table": "orders"}},
	"transformations": [{"name": "paid", "type": "sql_transform", "input": "orders", "sql": "select amount from orders where paid"}],
	"quality_checks": [{"name": "known", "type": "not_null", "input": "orders", "column": "amount", "on_failure": "warn"},
		{"name": "enough", "type": "row_count", "input": "paid", "min": 1, "on_failure": "fail"}],
	"sinks": {"report": {"type": "cloud_storage", "connection": "files", "prefix": "out/", "format": "csv", "mode": "append"}}}`

// world is a store with an execution that waits.
type world struct {
	*testing.T
	store *store.Store
	own   *store.Tenant
	plans *plan.Loader
	log   bytes.Buffer
}

func newWorld(t *testing.T) *world {
	t.Helper()
	s, err := store.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "pipeline.db"))
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, s.Close()) })
	_, err = s.Migrate(t.Context())
	require.NoError(t, err)
	plans, err := plan.NewLoader(s)
	require.NoError(t, err)
	w := &world{T: t, store: s, own: s.ForTenant(tenant), plans: plans}
	for _, c := range []models.Connection{
		{Name: "db", Type: models.ConnectionJDBC, Host: "db.internal", Port: 5432, Database: "sales"},
		{Name: "files", Type: models.ConnectionLocal, Properties: json.RawMessage(`{"path": "/srv/data"}`)},
	} {
		c.ID = models.NewID(models.PrefixConnection)
		_, err := w.own.CreateConnection(t.Context(), c)
		require.NoError(t, err)
	}
	_, err = w.own.CreatePipeline(t.Context(), models.Pipeline{ID: models.NewID(models.PrefixPipeline), Name: "revenue", Label: "1",
		Definition: json.RawMessage(definition)})
	require.NoError(t, err)
	return w
}

func (w *world) submit(edit ...func(*models.Execution)) models.Execution {
	w.Helper()
	page, err := w.own.Pipelines(w.Context(), store.PipelineFilter{}, models.Page{})
	require.NoError(w, err)
	e := models.Execution{ID: models.NewID(models.PrefixExecution), PipelineID: page.Items[0].ID, Version: 1, Engine: models.EngineTemporal,
		Priority: models.PriorityNormal, Trigger: models.TriggerManual, MaxActiveRuns: 10, ExecutionDate: time.Now()}
	for _, change := range edit {
		change(&e)
	}
	e, err = w.own.SubmitExecution(w.Context(), e)
	require.NoError(w, err)
	runs := []models.TaskRun{{Name: "orders", Kind: models.TaskSource}, {Name: "paid", Kind: models.TaskTransformation},
		{Name: "known", Kind: models.TaskCheck}, {Name: "enough", Kind: models.TaskCheck}, {Name: "report", Kind: models.TaskSink}}
	require.NoError(w, w.own.PlanExecution(w.Context(), e.ID, runs))
	return e
}

func (w *world) emitter(o openlineage.Options) *openlineage.Emitter {
	w.Helper()
	e, err := openlineage.NewEmitter(o, w.store, w.plans, slog.New(slog.NewTextHandler(&w.log, nil)))
	require.NoError(w, err)
	w.Cleanup(e.Close)
	return e
}

// run records an attempt of a task and tells of it.
func (w *world) run(e models.Execution, events *openlineage.Emitter, run models.TaskRun) {
	w.Helper()
	run.Attempts, run.StartedAt, run.EndedAt = 1, time.Now(), time.Now()
	require.NoError(w, w.own.StartTask(w.Context(), e.ID, run))
	events.TaskStarted(tenant, e.ID, run)
	require.NoError(w, w.own.FinishTask(w.Context(), e.ID, run, nil))
	events.TaskEnded(tenant, e.ID, run)
}

func jsonOf(t *testing.T, v any) json.RawMessage {
	t.Helper()
	text, err := json.Marshal(v)
	require.NoError(t, err)
	return text
}

// complete runs an execution to its end.
func (w *world) complete(e models.Execution, events *openlineage.Emitter, end store.ExecutionEnd) {
	w.Helper()
	events.ExecutionStarted(tenant, e.ID)
	w.run(e, events, models.TaskRun{Name: "orders", State: models.TaskSucceeded, RowsIn: 10, BytesIn: 100,
		Lineage: jsonOf(w.T, lineage.Step{Columns: []lineage.Column{{Name: "amount", Type: "BIGINT"}, {Name: "paid", Type: "BOOLEAN"}}})})
	w.run(e, events, models.TaskRun{Name: "paid", State: models.TaskSucceeded, Lineage: jsonOf(w.T, lineage.Step{
		Columns: []lineage.Column{{Name: "amount", Type: "BIGINT", Inputs: []lineage.Input{{Step: "orders", Column: "amount", Kind: lineage.Identity}}}},
		Rows:    []lineage.Input{{Step: "orders", Column: "paid", Kind: lineage.Filter}}})})
	w.run(e, events, models.TaskRun{Name: "known", State: models.TaskSucceeded, Detail: jsonOf(w.T, task.CheckResult{Rows: 10, Failing: 3,
		Message: "3 of 10", Sample: []map[string]*string{{"amount": new(string)}}})})
	state := models.TaskSucceeded
	if end.Status != models.ExecutionCompleted {
		state = models.TaskFailed
	}
	w.run(e, events, models.TaskRun{Name: "enough", State: state, Error: end.Error,
		Detail: jsonOf(w.T, task.CheckResult{Passed: state == models.TaskSucceeded, Rows: 7})})
	if state == models.TaskSucceeded {
		w.run(e, events, models.TaskRun{Name: "report", State: state, RowsOut: 7, BytesOut: 70})
	}
	ended, err := w.own.FinishExecution(w.Context(), e.ID, end)
	require.NoError(w, err)
	events.ExecutionEnded(ended)
}

func lines(t *testing.T, path string) (events []openlineagetest.Event) {
	t.Helper()
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	for line := range bytes.Lines(content) {
		events = append(events, openlineagetest.Check(t, line))
	}
	return events
}

// of are the transitions of a run, in order.
func of(events []openlineagetest.Event, e models.Execution, task ...string) (kinds []openlineage.EventType) {
	for _, event := range events {
		if event.Run.RunID == openlineage.RunID(e.ID, task...) {
			kinds = append(kinds, event.EventType)
		}
	}
	return kinds
}

func TestEventsOfACompletedExecution(t *testing.T) {
	w := newWorld(t)
	path := filepath.Join(t.TempDir(), "events.jsonl")
	events := w.emitter(openlineage.Options{File: path})
	first := w.submit()
	again := w.submit(func(e *models.Execution) { e.RerunOf, e.Trigger = first.ID, models.TriggerRerun })
	w.complete(again, events, store.ExecutionEnd{Status: models.ExecutionCompleted})
	events.Close()
	events.Close()

	got := lines(t, path)
	assert.Equal(t, []openlineage.EventType{"START", "RUNNING", "RUNNING", "RUNNING", "RUNNING", "RUNNING", "COMPLETE"}, of(got, again))
	for _, task := range []string{"orders", "paid", "known", "enough", "report"} {
		assert.Equal(t, []openlineage.EventType{"START", "COMPLETE"}, of(got, again, task, "1"), task)
	}
	last := got[len(got)-1]
	assert.Equal(t, "pipeline-service/"+string(tenant), last.Job.Namespace)
	assert.Equal(t, "revenue", last.Job.Name)
	parent := last.Run.Facets["parent"].(map[string]any)
	assert.Equal(t, openlineage.RunID(first.ID).String(), parent["run"].(map[string]any)["runId"], "a re-run comes from what it repeats")
	require.Len(t, last.Inputs, 1)
	assert.Equal(t, "postgres://db.internal:5432", last.Inputs[0].Namespace)
	assert.Equal(t, "sales.public.orders", last.Inputs[0].Name)
	assert.JSONEq(t, `[{"assertion": "not_null", "success": false, "column": "amount", "severity": "warn", "name": "known"}]`,
		string(jsonOf(t, last.Inputs[0].InputFacets["dataQualityAssertions"].(map[string]any)["assertions"])), "and no value of the data")
	assert.EqualValues(t, 10, last.Inputs[0].InputFacets["inputStatistics"].(map[string]any)["rowCount"])
	require.Len(t, last.Outputs, 1)
	assert.Equal(t, "file", last.Outputs[0].Namespace)
	assert.Equal(t, "/srv/data/out/", last.Outputs[0].Name)
	assert.JSONEq(t, `[{"name": "amount", "type": "BIGINT"}]`, string(jsonOf(t, last.Outputs[0].Facets["schema"].(map[string]any)["fields"])))
	columns := last.Outputs[0].Facets["columnLineage"].(map[string]any)
	assert.JSONEq(t, `{"amount": {"inputFields": [{"namespace": "postgres://db.internal:5432", "name": "sales.public.orders", "field": "amount",
		"transformations": [{"type": "DIRECT", "subtype": "IDENTITY"}]}]}}`, string(jsonOf(t, columns["fields"])))
	assert.JSONEq(t, `[{"namespace": "postgres://db.internal:5432", "name": "sales.public.orders", "field": "paid",
		"transformations": [{"type": "INDIRECT", "subtype": "FILTER"}]}]`, string(jsonOf(t, columns["dataset"])))

	for _, event := range got {
		if event.Job.Name != "revenue" {
			assert.Equal(t, openlineage.RunID(again.ID).String(), event.Run.Facets["parent"].(map[string]any)["run"].(map[string]any)["runId"])
		}
		if event.Job.Name == "revenue.enough" && event.EventType == openlineage.Complete {
			assert.Equal(t, "revenue.paid", event.Inputs[0].Name)
			assert.Contains(t, event.Inputs[0].InputFacets, "dataQualityAssertions")
		}
	}
}

func TestEventsOfExecutionsThatDoNotComplete(t *testing.T) {
	w := newWorld(t)
	path := filepath.Join(t.TempDir(), "events.jsonl")
	events := w.emitter(openlineage.Options{File: path})
	failed := w.submit()
	why := &models.ExecutionError{Task: "enough", Class: models.ClassQuality, Message: "too few rows"}
	w.complete(failed, events, store.ExecutionEnd{Status: models.ExecutionFailed, Error: why})
	cancelled := w.submit()
	events.ExecutionStarted(tenant, cancelled.ID)
	ended, err := w.own.FinishExecution(t.Context(), cancelled.ID, store.ExecutionEnd{Status: models.ExecutionCancelled})
	require.NoError(t, err)
	events.ExecutionEnded(ended)
	events.Close()

	got := lines(t, path)
	assert.Equal(t, []openlineage.EventType{"START", "FAIL"}, of(got, failed, "enough", "1"))
	kinds := of(got, failed)
	assert.Equal(t, openlineage.Fail, kinds[len(kinds)-1])
	assert.Equal(t, []openlineage.EventType{"START", "ABORT"}, of(got, cancelled))
	for _, event := range got {
		if event.EventType == openlineage.Fail {
			assert.Equal(t, "quality_check_failed: too few rows", event.Run.Facets["errorMessage"].(map[string]any)["message"])
		}
	}
}

// TestEventsByHTTP has the receiver be away, refuse, and get what is left.
func TestEventsByHTTP(t *testing.T) {
	w := newWorld(t)
	token := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(token, []byte("secret\n"), 0o600))
	var mu sync.Mutex
	var bodies [][]byte
	calls := 0
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		assert.Equal(t, "Bearer secret", r.Header.Get("Authorization"))
		assert.Equal(t, "application/json", r.Header.Get("Content-Type"))
		body, err := io.ReadAll(r.Body)
		assert.NoError(t, err)
		switch calls++; calls {
		case 1:
			rw.WriteHeader(http.StatusServiceUnavailable) // and it is sent again
		case 3:
			rw.WriteHeader(http.StatusBadRequest) // and it is not
		default:
			bodies = append(bodies, body)
		}
	}))
	defer server.Close()
	events := w.emitter(openlineage.Options{URL: server.URL, TokenFile: token})
	e := w.submit()
	w.complete(e, events, store.ExecutionEnd{Status: models.ExecutionCompleted})
	events.Close()
	mu.Lock()
	defer mu.Unlock()
	assert.Len(t, bodies, 16, "17 events but the one that was refused")
	assert.Equal(t, openlineage.Start, openlineagetest.Check(t, bodies[0]).EventType)
	assert.Equal(t, openlineage.Complete, openlineagetest.Check(t, bodies[15]).EventType)
	assert.Contains(t, w.log.String(), "the event was refused")
	assert.NotContains(t, w.log.String(), "secret")
}

// TestEventsNeverHoldUp has a receiver that never answers.
func TestEventsNeverHoldUp(t *testing.T) {
	w := newWorld(t)
	hang := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-hang }))
	defer server.Close()
	defer close(hang)
	events := w.emitter(openlineage.Options{URL: server.URL})
	e := w.submit()
	started := time.Now()
	for range 20_000 {
		events.ExecutionStarted(tenant, e.ID)
	}
	assert.Less(t, time.Since(started), 2*time.Second)
	events.Close()
	assert.Less(t, time.Since(started), 20*time.Second)
}

func TestNobodyIsTold(t *testing.T) {
	w := newWorld(t)
	events := w.emitter(openlineage.Options{})
	assert.Nil(t, events)
	events.ExecutionStarted(tenant, "exec-x")
	for o, says := range map[openlineage.Options]string{
		{URL: "ftp://x"}: "is not an http or https URL",
		{TokenFile: "x"}: "without a URL",
		{File: filepath.Join(t.TempDir(), "no", "file")}: "no such file",
	} {
		_, err := openlineage.NewEmitter(o, w.store, w.plans, slog.New(slog.DiscardHandler))
		assert.ErrorContains(t, err, says, fmt.Sprint(o))
	}
}
