package store

import (
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/matih/pipeline-service/models"
)

// newExecution submits an execution of a new pipeline with planned tasks.
func newExecution(tb testing.TB, t *Tenant, tasks ...string) models.Execution {
	tb.Helper()
	e := submit(tb, t, newPipeline(tb, t))
	plan(tb, t, e.ID, tasks...)
	return e
}

func TestATaskFromPlanToEnd(t *testing.T) {
	forEachDatabase(t, func(t *testing.T, s *Store) {
		ctx, tenant := t.Context(), s.newTenant()
		e := newExecution(t, tenant, "raw", "clean")
		start := at(time.Now()).Time
		progress := func() models.Execution {
			got, err := tenant.Execution(ctx, e.ID)
			require.NoError(t, err)
			return got
		}
		got := progress()
		assert.Equal(t, models.ExecutionQueued, got.Status)
		assert.Equal(t, 2, got.TotalTasks)

		plan(t, tenant, e.ID, "raw", "clean") // again: changes nothing
		runs, err := tenant.TaskRuns(ctx, e.ID)
		require.NoError(t, err)
		assert.Equal(t, []models.TaskRun{
			{Name: "raw", Kind: models.TaskSource, State: models.TaskPending},
			{Name: "clean", Kind: models.TaskTransformation, State: models.TaskPending},
		}, runs)

		started := models.TaskRun{Name: "raw", Attempts: 1, StartedAt: start}
		require.NoError(t, tenant.StartTask(ctx, e.ID, started))
		got = progress()
		assert.Equal(t, models.ExecutionRunning, got.Status)
		assert.Equal(t, start, got.StartedAt)
		assert.Equal(t, "raw", got.CurrentTask)
		require.NoError(t, tenant.StartTask(ctx, e.ID, models.TaskRun{Name: "clean", Attempts: 1, StartedAt: start.Add(time.Second)}))
		got = progress()
		assert.Equal(t, start, got.StartedAt, "the first task's")
		assert.Equal(t, "clean", got.CurrentTask)

		ended := models.TaskRun{
			Name: "clean", Attempts: 1, State: models.TaskSucceeded, RowsIn: 5, RowsOut: 4, BytesIn: 50, BytesOut: 40,
			EndedAt: start.Add(2 * time.Second), Output: "tenant/exec/clean", Detail: json.RawMessage(`{"passed":true}`),
		}
		lines := []models.LogLine{{Time: start, Level: "INFO", Task: "clean", Message: "done"}}
		for range 2 { // again: changes nothing
			require.NoError(t, tenant.FinishTask(ctx, e.ID, ended, lines))
			got = progress()
			assert.Equal(t, 1, got.CompletedTasks)
			assert.Zero(t, got.RowsProcessed, "only what sources read is counted")
			assert.Equal(t, "raw", got.CurrentTask, "the one that still runs")
		}
		assert.Equal(t, 1, rowsOf(t, tenant, "execution_logs"))
		ended.Kind, ended.StartedAt = models.TaskTransformation, start.Add(time.Second)
		assert.Equal(t, ended, task(t, tenant, e.ID, "clean"))
		outputs, err := tenant.TaskOutputs(ctx, e.ID, []string{"raw", "clean", "none"})
		require.NoError(t, err)
		assert.Equal(t, map[string]string{"clean": "tenant/exec/clean"}, outputs)

		require.NoError(t, tenant.FinishTask(ctx, e.ID, models.TaskRun{
			Name: "raw", Attempts: 1, State: models.TaskSucceeded, RowsIn: 100, BytesIn: 1000, EndedAt: start.Add(3 * time.Second),
		}, nil))
		got = progress()
		assert.Equal(t, 2, got.CompletedTasks)
		assert.EqualValues(t, 100, got.RowsProcessed)
		assert.EqualValues(t, 1000, got.BytesProcessed)
		assert.Equal(t, "raw", got.CurrentTask, "none runs: the last one")
		assert.Equal(t, models.ExecutionRunning, got.Status, "the end is FinishExecution's to say")
	})
}

func TestAttemptsFenceEachOther(t *testing.T) {
	forEachDatabase(t, func(t *testing.T, s *Store) {
		ctx, tenant := t.Context(), s.newTenant()
		e := newExecution(t, tenant, "raw")
		run := func(attempt int, state models.TaskState, rows int64) models.TaskRun {
			return models.TaskRun{Name: "raw", Attempts: attempt, State: state, RowsIn: rows, StartedAt: time.Now(), EndedAt: time.Now()}
		}
		rows := func() int64 {
			got, err := tenant.Execution(ctx, e.ID)
			require.NoError(t, err)
			return got.RowsProcessed
		}
		require.NoError(t, tenant.StartTask(ctx, e.ID, run(1, "", 0)))
		failed := run(1, models.TaskFailed, 70)
		failed.Error = &models.ExecutionError{Task: "raw", Class: models.ClassSource, Message: "broke off"}
		require.NoError(t, tenant.FinishTask(ctx, e.ID, failed, nil))
		assert.EqualValues(t, 70, rows())

		require.NoError(t, tenant.StartTask(ctx, e.ID, run(3, "", 0)))
		assert.Zero(t, rows(), "a new attempt starts from nothing")
		got := task(t, tenant, e.ID, "raw")
		assert.Equal(t, models.TaskRunning, got.State)
		assert.Nil(t, got.Error)
		assert.Zero(t, got.EndedAt)

		// Attempt 2 was given up before it reported anything.
		assertCode(t, models.CodeConflict, tenant.StartTask(ctx, e.ID, run(2, "", 0)))
		assertCode(t, models.CodeConflict, tenant.FinishTask(ctx, e.ID, run(2, models.TaskSucceeded, 99),
			[]models.LogLine{{Message: "from the grave"}}))
		assert.Equal(t, got, task(t, tenant, e.ID, "raw"))
		assert.Zero(t, rowsOf(t, tenant, "execution_logs"))

		require.NoError(t, tenant.FinishTask(ctx, e.ID, run(3, models.TaskSucceeded, 100), nil))
		require.NoError(t, tenant.StartTask(ctx, e.ID, run(3, "", 0)), "a late repetition of the start")
		assert.Equal(t, models.TaskSucceeded, task(t, tenant, e.ID, "raw").State, "changes nothing")
		require.NoError(t, tenant.FinishTask(ctx, e.ID, run(3, models.TaskFailed, 1), nil))
		assert.EqualValues(t, 100, rows(), "the first end of an attempt counts")
		assertCode(t, models.CodeNotFound, tenant.StartTask(ctx, e.ID, models.TaskRun{Name: "none", Attempts: 1}))
		require.Error(t, tenant.FinishTask(ctx, e.ID, run(4, models.TaskRunning, 0), nil), "that is no end")
	})
}

func TestTasksOfACancellingExecution(t *testing.T) {
	forEachDatabase(t, func(t *testing.T, s *Store) {
		ctx, tenant := t.Context(), s.newTenant()
		e := newExecution(t, tenant, "raw")
		_, err := tenant.RequestCancel(ctx, e.ID)
		require.NoError(t, err)
		run := models.TaskRun{Name: "raw", Attempts: 1, StartedAt: time.Now()}
		require.NoError(t, tenant.StartTask(ctx, e.ID, run))
		got, err := tenant.Execution(ctx, e.ID)
		require.NoError(t, err)
		assert.Equal(t, models.ExecutionCancelling, got.Status, "a task that starts late leaves it alone")
		run.State = models.TaskCancelled
		require.NoError(t, tenant.FinishTask(ctx, e.ID, run, nil))
		finish(t, tenant, e.ID, models.ExecutionCancelled)

		assertCode(t, models.CodeExecutionClosed, tenant.StartTask(ctx, e.ID, models.TaskRun{Name: "raw", Attempts: 2}))
		run.Attempts, run.State = 2, models.TaskSucceeded
		assertCode(t, models.CodeExecutionClosed, tenant.FinishTask(ctx, e.ID, run, nil))
		assertCode(t, models.CodeExecutionClosed, tenant.PlanExecution(ctx, e.ID, nil))
	})
}

func TestTasksInParallelAddUp(t *testing.T) {
	forEachDatabase(t, func(t *testing.T, s *Store) {
		ctx, tenant := t.Context(), s.newTenant()
		e := submit(t, tenant, newPipeline(t, tenant))
		const tasks = 20
		planned := make([]models.TaskRun, tasks)
		for i := range planned {
			planned[i] = models.TaskRun{Name: fmt.Sprintf("source_%d", i), Kind: models.TaskSource}
		}
		require.NoError(t, tenant.PlanExecution(ctx, e.ID, planned))
		var group sync.WaitGroup
		for _, p := range planned {
			for range 2 { // each reported twice, at once
				group.Go(func() {
					run := models.TaskRun{Name: p.Name, Attempts: 1, StartedAt: time.Now()}
					assert.NoError(t, tenant.StartTask(ctx, e.ID, run))
					run.State, run.RowsIn, run.EndedAt = models.TaskSucceeded, 10, time.Now()
					assert.NoError(t, tenant.FinishTask(ctx, e.ID, run, []models.LogLine{{Task: p.Name, Message: "done"}}))
				})
			}
		}
		group.Wait()
		got, err := tenant.Execution(ctx, e.ID)
		require.NoError(t, err)
		assert.Equal(t, tasks, got.CompletedTasks)
		assert.EqualValues(t, 10*tasks, got.RowsProcessed)
		assert.Equal(t, tasks, rowsOf(t, tenant, "execution_logs"))
	})
}

func TestPlanOfTwoThousandTasks(t *testing.T) {
	forEachDatabase(t, func(t *testing.T, s *Store) {
		ctx, tenant := t.Context(), s.newTenant()
		names := make([]string, 2000)
		for i := range names {
			names[i] = fmt.Sprintf("task_%04d", (i*7)%len(names)) // plan order is not name order
		}
		e := newExecution(t, tenant, names...)
		runs, err := tenant.TaskRuns(ctx, e.ID)
		require.NoError(t, err)
		require.Len(t, runs, len(names))
		for i, run := range runs {
			require.Equal(t, names[i], run.Name)
		}
		for _, name := range names[:200] {
			run := models.TaskRun{Name: name, Attempts: 1, StartedAt: time.Now()}
			require.NoError(t, tenant.StartTask(ctx, e.ID, run))
			run.State = models.TaskSucceeded
			require.NoError(t, tenant.FinishTask(ctx, e.ID, run, nil))
		}
		done := finish(t, tenant, e.ID, models.ExecutionCancelled)
		assert.Equal(t, 2000, done.TotalTasks)
		assert.Equal(t, 200, done.CompletedTasks)
	})
}
