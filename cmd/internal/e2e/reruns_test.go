package e2e

import (
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/taskqueue/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"

	"github.com/matih/pipeline-service/cmd/internal/harness"
	"github.com/matih/pipeline-service/models/contract"
)

// taskRow is a task as …/tasks shows it.
type taskRow struct {
	Name, Kind, State                  string
	Attempts                           int
	RowsIn, RowsOut, BytesIn, BytesOut int64
	StartedAt, EndedAt                 *time.Time
	Error                              *struct{ Task, Class, Message string }
}

func (w *world) tasks(execution string) map[string]taskRow {
	w.t.Helper()
	var list struct{ Tasks []taskRow }
	require.NoError(w.t, w.JSON(w.ctx, http.MethodGet, "/v1/pipelines/executions/"+execution+"/tasks", nil, http.StatusOK, &list))
	byName := map[string]taskRow{}
	for _, row := range list.Tasks {
		byName[row.Name] = row
	}
	return byName
}

// rerun runs an execution again and returns the new one's id.
func (w *world) rerun(execution string, body m) string {
	w.t.Helper()
	var out struct{ ExecutionID, RerunOf, Status string }
	require.NoError(w.t, w.JSON(w.ctx, http.MethodPost, "/v1/pipelines/executions/"+execution+"/rerun", body, http.StatusAccepted, &out))
	require.Equal(w.t, execution, out.RerunOf)
	return out.ExecutionID
}

// await waits for an execution's end in a status.
func (w *world) await(execution, status string) harness.Execution {
	w.t.Helper()
	e, err := w.Await(w.ctx, execution)
	require.NoError(w.t, err)
	require.Equal(w.t, status, e.Status, "%+v", e.Error)
	return e
}

// problem requires a failure with a status and a code.
func (w *world) problem(method, path string, body any, status int, code string) string {
	w.t.Helper()
	a, err := w.Do(w.ctx, method, path, body)
	require.NoError(w.t, err)
	require.Equal(w.t, status, a.Status, "%s", a.Body)
	require.Contains(w.t, string(a.Body), `"`+code+`"`)
	return string(a.Body)
}

// TestRerunFromFailedReusesWhatSucceeded mends what made a sink fail and runs only that again: the sink that had
// published does not publish twice, and the source is not read again.
func TestRerunFromFailedReusesWhatSucceeded(t *testing.T) {
	w := newWorld(t)
	w.withDatabase()
	w.file("in/a.csv", "x\n1\n2\n3\n")
	w.secret(tenantA, "db", map[string]string{"password": "wrong"})
	pipeline := w.pipeline("mend", m{
		"parameters":      []m{{"name": "least", "type": "integer"}},
		"sources":         m{"raw": m{"type": "cloud_storage", "connection": "files", "prefix": "in/", "format": "csv"}},
		"transformations": []m{{"name": "twice", "type": "sql_transform", "input": "raw", "sql": "select x * 2 as x from raw where x >= ${least}"}},
		"sinks": m{
			"files": m{"type": "cloud_storage", "connection": "files", "prefix": "out/", "format": "csv", "mode": "append"},
			"table": m{"type": "jdbc", "connection": "db", "table": "public.out", "mode": "append"},
		},
		"orchestration": m{"retry_policy": m{"max_attempts": 1}, "max_parallel_tasks": 1},
	})
	id, err := w.Execute(w.ctx, pipeline, m{"parameters": m{"least": 2}})
	require.NoError(t, err)
	old := w.await(id, "FAILED")
	require.Equal(t, "table", old.Error.Task)
	first := w.tasks(id)
	require.Equal(t, "SUCCEEDED", first["files"].State, "the other sink had published")
	require.Equal(t, "FAILED", first["table"].State)
	require.NotNil(t, first["table"].Error)

	// A newer version and other files must not matter to a re-run.
	w.file("in/a.csv", "x\n100\n")
	w.secret(tenantA, "db", map[string]string{"password": postgres.Password})
	again := w.rerun(id, m{"from": "failed"})
	e := w.await(again, "COMPLETED")
	assert.Equal(t, 4, e.Progress.CompletedTasks)
	assert.Zero(t, e.Metrics.RowsProcessed, "no source has read anything")
	second := w.tasks(again)
	for _, name := range []string{"raw", "twice", "files"} {
		assert.Equal(t, "REUSED", second[name].State, name)
		assert.Zero(t, second[name].Attempts, name)
		assert.Equal(t, first[name].RowsOut, second[name].RowsOut, name)
		assert.Equal(t, first[name].BytesIn, second[name].BytesIn, name)
		assert.Nil(t, second[name].StartedAt, name)
	}
	assert.Equal(t, "SUCCEEDED", second["table"].State)
	assert.Equal(t, 1, second["table"].Attempts)
	assert.Equal(t, "x\n4\n6\n", w.read("out"), "published once")
	assert.Equal(t, 10, value[int](w, "select sum(x)::int from out"))

	var view struct {
		Trigger, RerunOf string
		Parameters       map[string]any
	}
	require.NoError(t, w.JSON(w.ctx, http.MethodGet, "/v1/pipelines/executions/"+again, nil, http.StatusOK, &view))
	assert.Equal(t, "RERUN", view.Trigger)
	assert.Equal(t, id, view.RerunOf)
	assert.EqualValues(t, 2, view.Parameters["least"])

	third := w.rerun(again, m{"from": "task", "task": "twice"})
	w.await(third, "COMPLETED")
	states := w.tasks(third)
	assert.Equal(t, "REUSED", states["raw"].State, "reused from an execution that reused it itself")
	assert.Equal(t, "SUCCEEDED", states["twice"].State)
	assert.Equal(t, "SUCCEEDED", states["files"].State, "what is downstream runs again")
	assert.Equal(t, 20, value[int](w, "select sum(x)::int from out"))

	fourth := w.rerun(third, m{"from": "start"})
	w.await(fourth, "COMPLETED")
	assert.Equal(t, 220, value[int](w, "select sum(x)::int from out"), "from the start the source is read again")

	body := w.problem(http.MethodPost, "/v1/pipelines/executions/"+id+"/rerun", m{"from": "task", "task": "nothing"}, http.StatusBadRequest, "invalid_request")
	assert.Contains(t, body, "body.task")
	w.problem(http.MethodPost, "/v1/pipelines/executions/"+id+"/rerun", m{"from": "task"}, http.StatusBadRequest, "body.task")
	w.problem(http.MethodPost, "/v1/pipelines/executions/"+id+"/rerun", m{"from": "failed", "task": "raw"}, http.StatusBadRequest, "body.task")
	w.problem(http.MethodPost, "/v1/pipelines/executions/"+id+"/rerun", m{"from": "middle"}, http.StatusBadRequest, "body.from")

	require.NoError(t, os.RemoveAll(filepath.Join(w.DataDir, "staging", tenantA, id)))
	body = w.problem(http.MethodPost, "/v1/pipelines/executions/"+id+"/rerun", m{"from": "failed"}, http.StatusConflict, "staged_data_expired")
	assert.Contains(t, body, "twice")
	assert.NotContains(t, body, "raw", "nobody reads it any more")

	stranger, err := w.Standalone.Client(w.ctx, tenantB, "eve@example.com", "ADMIN")
	require.NoError(t, err)
	a, err := stranger.Do(w.ctx, http.MethodPost, "/v1/pipelines/executions/"+id+"/rerun", m{"from": "start"})
	require.NoError(t, err)
	assert.Equal(t, http.StatusNotFound, a.Status)
}

// hog takes the only task slot with a task that never ends and returns how to end it.
func (w *world) hog() (release func()) {
	w.t.Helper()
	id, err := w.Execute(w.ctx, w.endless("hog"), nil)
	require.NoError(w.t, err)
	w.awaitTask(id, "forever")
	return func() {
		w.t.Helper()
		require.NoError(w.t, w.JSON(w.ctx, http.MethodPost, "/v1/pipelines/executions/"+id+"/cancel", nil, http.StatusAccepted, nil))
		w.await(id, "CANCELLED")
	}
}

// copier is a definition of two tasks, of which many may run at once.
func copier() m {
	return m{
		"sources":       m{"one": m{"type": "cloud_storage", "connection": "files", "prefix": "in/", "format": "csv"}},
		"sinks":         m{"out": m{"type": "cloud_storage", "connection": "files", "prefix": "copies/", "format": "csv", "mode": "append"}},
		"orchestration": m{"max_active_runs": 1000},
	}
}

// startOf is when an execution's first task started.
func startOf(t *testing.T, c *harness.Client, w *world, id string) time.Time {
	t.Helper()
	var view struct{ StartedAt time.Time }
	require.NoError(t, c.JSON(w.ctx, http.MethodGet, "/v1/pipelines/executions/"+id, nil, http.StatusOK, &view))
	require.False(t, view.StartedAt.IsZero())
	return view.StartedAt
}

func TestPriorityOfAWaitingExecution(t *testing.T) {
	w := newWorld(t, "--task-slots", "1")
	release := w.hog()
	pipeline := w.pipeline("copier", copier())
	submit := func(priority string) string {
		id, err := w.Execute(w.ctx, pipeline, m{"priority": priority})
		require.NoError(t, err)
		return id
	}
	normal, low, late, high := submit("NORMAL"), submit("LOW"), submit("LOW"), submit("HIGH")
	w.awaitWaiting(4)
	w.problem(http.MethodPost, "/v1/pipelines/executions/"+late+"/rerun", m{"from": "failed"}, http.StatusConflict, "execution_running")

	var view struct{ Priority, Status string }
	require.NoError(t, w.JSON(w.ctx, http.MethodPatch, "/v1/pipelines/executions/"+late, m{"priority": "CRITICAL"}, http.StatusOK, &view))
	assert.Equal(t, "CRITICAL", view.Priority)
	w.problem(http.MethodPatch, "/v1/pipelines/executions/"+late, m{"priority": "URGENT"}, http.StatusBadRequest, "body.priority")
	w.problem(http.MethodPatch, "/v1/pipelines/executions/"+late, m{"priority": "LOW", "status": "COMPLETED"}, http.StatusBadRequest, "body.status")
	w.problem(http.MethodPatch, "/v1/pipelines/executions/"+late, m{}, http.StatusBadRequest, "body.priority")
	w.awaitWaiting(5) // the task has been queued again; its old place is dropped when its turn comes
	release()
	order := []string{late, high, normal, low}
	var last time.Time
	for i, id := range order {
		w.await(id, "COMPLETED")
		at := startOf(t, w.Client, w, id)
		assert.True(t, at.After(last), "number %d starts after the one before", i)
		last = at
	}
	w.problem(http.MethodPatch, "/v1/pipelines/executions/"+late, m{"priority": "LOW"}, http.StatusConflict, "execution_closed")
	analyst, err := w.Standalone.Client(w.ctx, tenantA, "vic@example.com", "VIEWER")
	require.NoError(t, err)
	a, err := analyst.Do(w.ctx, http.MethodPatch, "/v1/pipelines/executions/"+late, m{"priority": "LOW"})
	require.NoError(t, err)
	assert.Equal(t, http.StatusForbidden, a.Status)
}

// TestOneTenantsBurstDoesNotStarveAnother has a tenant wait with one execution behind 60 of another's.
func TestOneTenantsBurstDoesNotStarveAnother(t *testing.T) {
	const burst = 60
	tenants := filepath.Join(t.TempDir(), "tenants.yaml")
	require.NoError(t, os.WriteFile(tenants, []byte(tenantB+": {max_open_executions: 1}\n"), 0o600))
	w := newWorld(t, "--task-slots", "1", "--tenants", tenants)
	release := w.hog()
	pipeline := w.pipeline("copier", copier())
	var mu sync.Mutex
	var ids []string
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for range burst / 4 {
				id, err := w.Execute(w.ctx, pipeline, nil)
				if !assert.NoError(t, err) {
					return
				}
				mu.Lock()
				ids = append(ids, id)
				mu.Unlock()
			}
		})
	}
	group.Wait()
	w.awaitWaiting(burst)

	other, err := w.Standalone.Client(w.ctx, tenantB, "bea@example.com", "DATA_ENGINEER")
	require.NoError(t, err)
	_, err = other.CreateConnection(w.ctx, m{"name": "files", "type": "local", "properties": m{"path": w.dir}})
	require.NoError(t, err)
	own, err := other.CreatePipeline(w.ctx, "copier", copier())
	require.NoError(t, err)
	id, err := other.Execute(w.ctx, own, nil)
	require.NoError(t, err)
	a, err := other.Do(w.ctx, http.MethodPost, "/v1/pipelines/"+own+"/execute", m{})
	require.NoError(t, err)
	assert.Equal(t, http.StatusTooManyRequests, a.Status, "its quota is 1")
	assert.Contains(t, string(a.Body), "quota_exceeded")
	assert.NotEmpty(t, a.Header.Get("Retry-After"))
	w.awaitWaiting(burst + 1)
	release()
	e, err := other.Await(w.ctx, id)
	require.NoError(t, err)
	require.Equal(t, "COMPLETED", e.Status)
	started, before := startOf(t, other, w, id), 0
	for _, id := range ids {
		w.await(id, "COMPLETED")
		if startOf(t, w.Client, w, id).Before(started) {
			before++
		}
	}
	assert.LessOrEqual(t, before, 5, "the other tenant takes its turn at once, not after the burst")
	t.Logf("%d of %d started before", before, burst)
}

// awaitWaiting waits until Temporal has n tasks that no worker has taken.
func (w *world) awaitWaiting(n int64) {
	w.t.Helper()
	c, err := client.DialContext(w.ctx, client.Options{HostPort: w.Temporal, Logger: log.NewStructuredLogger(slog.New(slog.DiscardHandler))})
	require.NoError(w.t, err)
	defer c.Close()
	require.NoError(w.t, harness.Until(w.ctx, func() (bool, error) {
		queue, err := c.WorkflowService().DescribeTaskQueue(w.ctx, &workflowservice.DescribeTaskQueueRequest{
			Namespace: client.DefaultNamespace, TaskQueue: &taskqueue.TaskQueue{Name: contract.QueueTasks},
			TaskQueueType: enums.TASK_QUEUE_TYPE_ACTIVITY, ReportStats: true,
		})
		return queue.GetStats().GetApproximateBacklogCount() >= n, err
	}))
}
