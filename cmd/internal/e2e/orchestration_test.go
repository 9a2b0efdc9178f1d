package e2e

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/matih/pipeline-service/cmd/internal/harness"
)

// endless is a pipeline whose transformation never ends by itself.
func (w *world) endless(name string) string {
	w.t.Helper()
	w.file("in/one.csv", "x\n1\n")
	return w.pipeline(name, m{
		"sources": m{"one": m{"type": "cloud_storage", "connection": "files", "prefix": "in/", "format": "csv"}},
		"transformations": []m{{"name": "forever", "type": "sql_transform", "input": "one",
			"sql": "select count(*) as n from range(10000000) a, range(10000000) b, one"}},
		"sinks": m{"out": m{"type": "cloud_storage", "connection": "files", "prefix": name + "/", "format": "csv", "mode": "append"}},
	})
}

// awaitTask waits until an execution's current task is the named one.
func (w *world) awaitTask(execution, task string) {
	w.t.Helper()
	require.NoError(w.t, harness.Until(w.ctx, func() (bool, error) {
		e, err := w.Execution(w.ctx, execution)
		if err == nil && e.Terminal() {
			return false, fmt.Errorf("ended as %s before %s ran: %+v", e.Status, task, e.Error)
		}
		return e.Progress.CurrentTask == task, err
	}))
}

// busyTaskProcesses lists the children of standalone that have a task.
func (w *world) taskProcesses() []int {
	w.t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	require.NoError(w.t, err)
	var pids []int
	for _, path := range stats {
		content, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended meanwhile
		}
		_, rest, ok := strings.Cut(string(content), "(task-runner) ")
		if !ok {
			continue
		}
		fields := strings.Fields(rest)
		if fields[1] == strconv.Itoa(w.Pid()) {
			pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			require.NoError(w.t, err)
			pids = append(pids, pid)
		}
	}
	return pids
}

func TestCancelEndsTheTaskProcess(t *testing.T) {
	w := newWorld(t, "--warm-processes", "0")
	id, err := w.Execute(w.ctx, w.endless("endless"), nil)
	require.NoError(t, err)
	w.awaitTask(id, "forever")
	require.NoError(t, harness.Until(w.ctx, func() (bool, error) { return len(w.taskProcesses()) == 1, nil }))

	var answer struct{ ExecutionID, Status string }
	require.NoError(t, w.JSON(w.ctx, http.MethodPost, "/v1/pipelines/executions/"+id+"/cancel", nil, http.StatusAccepted, &answer))
	assert.Equal(t, "CANCELLING", answer.Status)
	e, err := w.Await(w.ctx, id)
	require.NoError(t, err)
	assert.Equal(t, "CANCELLED", e.Status)
	assert.Empty(t, w.taskProcesses(), "the task process has ended")
	assert.Empty(t, w.published("endless"))
	a, err := w.Do(w.ctx, http.MethodPost, "/v1/pipelines/executions/"+id+"/cancel", nil)
	require.NoError(t, err)
	assert.Equal(t, http.StatusConflict, a.Status)
	assert.Contains(t, string(a.Body), "execution_closed")
}

func TestOneOfManySimultaneousRequestsWins(t *testing.T) {
	w := newWorld(t)
	pipeline := w.endless("busy")
	var mu sync.Mutex
	statuses := map[int]int{}
	var winner string
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			a, err := w.Do(w.ctx, http.MethodPost, "/v1/pipelines/"+pipeline+"/execute", m{})
			mu.Lock()
			defer mu.Unlock()
			if assert.NoError(t, err) {
				statuses[a.Status]++
				if a.Status == http.StatusAccepted {
					winner = filepath.Base(a.Header.Get("Location"))
				}
			}
		})
	}
	wg.Wait()
	assert.Equal(t, map[int]int{http.StatusAccepted: 1, http.StatusConflict: 19}, statuses)
	a, err := w.Do(w.ctx, http.MethodPost, "/v1/pipelines/"+pipeline+"/execute", m{})
	require.NoError(t, err)
	assert.Contains(t, string(a.Body), "pipeline_already_running")
	assert.Contains(t, string(a.Body), winner, "the answer names what runs")
	require.NoError(t, w.JSON(w.ctx, http.MethodPost, "/v1/pipelines/executions/"+winner+"/cancel", nil, http.StatusAccepted, nil))
	_, err = w.Await(w.ctx, winner)
	require.NoError(t, err)
}

// TestTwoThousandTasks shows that a definition may be larger than one workflow history.
func TestTwoThousandTasks(t *testing.T) {
	const width, depth = 40, 50
	w := newWorld(t, "--warm-processes", "2")
	w.file("in/one.csv", "x\n1\n")
	var steps []m
	for row := range depth {
		for column := range width {
			input := "one"
			if row > 0 {
				input = fmt.Sprintf("s%d_%d", row-1, column)
			}
			steps = append(steps, m{"name": fmt.Sprintf("s%d_%d", row, column), "type": "select", "input": input, "columns": []string{"x"}})
		}
	}
	pipeline := w.pipeline("large", m{
		"sources":         m{"one": m{"type": "cloud_storage", "connection": "files", "prefix": "in/", "format": "csv"}},
		"transformations": steps,
		"sinks":           m{"out": m{"type": "cloud_storage", "connection": "files", "prefix": "out/", "format": "csv", "mode": "append"}},
		"orchestration":   m{"max_parallel_tasks": 4},
	})
	e := w.completed(pipeline, nil)
	assert.Equal(t, width*depth+2, e.Progress.CompletedTasks)
	assert.Equal(t, "x\n1\n", w.read("out"))
}

// TestTimeoutEndsATask shows that task_timeout ends the process and says so.
func TestTimeoutEndsATask(t *testing.T) {
	w := newWorld(t, "--warm-processes", "0")
	pipeline := w.endless("slow")
	var p struct{ Definition map[string]any }
	require.NoError(t, w.JSON(w.ctx, http.MethodGet, "/v1/pipelines/"+pipeline, nil, http.StatusOK, &p))
	p.Definition["orchestration"] = m{"task_timeout": "2s", "retry_policy": m{"max_attempts": 1}}
	require.NoError(t, w.JSON(w.ctx, http.MethodPut, "/v1/pipelines/"+pipeline,
		m{"name": "slow", "version": "1.0.1", "definition": p.Definition}, http.StatusOK, nil))
	e, err := w.Run(w.ctx, pipeline, nil)
	require.NoError(t, err)
	assert.Equal(t, "FAILED", e.Status)
	require.NotNil(t, e.Error)
	assert.Equal(t, "timeout", e.Error.Class)
	assert.Equal(t, "forever", e.Error.Task)
	ctx, cancel := context.WithTimeout(w.ctx, 10*time.Second)
	defer cancel()
	assert.NoError(t, harness.Until(ctx, func() (bool, error) { return len(w.taskProcesses()) == 0, nil }))
}
