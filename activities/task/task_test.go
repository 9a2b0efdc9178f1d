package task_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
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
	"github.com/matih/pipeline-service/models/definition"
	"github.com/matih/pipeline-service/models/store"
	protocol "github.com/matih/pipeline-service/models/task"
)

const tenant = models.TenantID("11111111-2222-4333-8444-555555555555")

// taskRunner is the built program that the tests run tasks with.
var taskRunner string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "task-runner-")
	if err != nil {
		panic(err)
	}
	taskRunner = filepath.Join(dir, "task-runner")
	out, err := exec.Command("go", "build", "-o", taskRunner, "github.com/matih/pipeline-service/cmd/task-runner").CombinedOutput()
	code := 1
	if err != nil {
		fmt.Fprintf(os.Stderr, "build task-runner: %v\n%s", err, out)
	} else {
		code = m.Run()
	}
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

func transform(t *testing.T, sql string) protocol.Spec {
	t.Helper()
	dir := t.TempDir()
	return protocol.Spec{
		Tenant: tenant, Execution: models.NewID(models.PrefixExecution), Task: "step", Kind: models.TaskTransformation, Attempt: 1,
		Transformation: &definition.Transformation{Name: "step", Type: definition.TransformSQL, SQL: &definition.SQLTransform{SQL: sql}},
		Output:         filepath.Join(dir, "out"), Scratch: dir,
		Limits: protocol.Limits{MemoryBytes: 1 << 30, ScratchBytes: 1 << 30, Threads: 2},
	}
}

func ignore(protocol.Message) {}

func newPool(t *testing.T, size int) *task.Pool {
	t.Helper()
	p := task.NewPool(taskRunner, size, nil, slog.New(slog.DiscardHandler))
	t.Cleanup(p.Close)
	return p
}

func TestPoolRunsTasks(t *testing.T) {
	for _, size := range []int{0, 2} {
		t.Run(fmt.Sprintf("%d waiting", size), func(t *testing.T) {
			p := newPool(t, size)
			for range 4 {
				result, fail := p.Run(t.Context(), transform(t, "select 1 as x union all select 2"), ignore)
				require.Nil(t, fail)
				assert.EqualValues(t, 2, result.RowsOut)
			}
		})
	}
}

// TestPoolKeepsAProcessForItsExecution shows who may share a process, and that nothing is left of the
// task before.
func TestPoolKeepsAProcessForItsExecution(t *testing.T) {
	p := newPool(t, 2)
	enclosure := t.TempDir()
	enclosed := func(sql string, inputs ...protocol.Input) protocol.Spec {
		spec := transform(t, sql)
		spec.Execution, spec.Enclosure, spec.Inputs = "exec-1", enclosure, inputs
		spec.Output = filepath.Join(enclosure, models.NewID("out-"), "1")
		return spec
	}
	// Each task's first log line comes from the process that does it.
	run := func(spec protocol.Spec) (*protocol.Failure, []int) {
		var pids []int
		_, fail := p.Run(t.Context(), spec, func(protocol.Message) { pids = children(t) })
		return fail, pids
	}
	first := enclosed("select 1 as x")
	fail, before := run(first)
	require.Nil(t, fail)

	fail, after := run(enclosed("select x + 1 as x from one", protocol.Input{Name: "one", Dir: first.Output}))
	require.Nil(t, fail)
	assert.Subset(t, after, before, "the process goes on")

	fail, _ = run(enclosed("select x from one"))
	require.NotNil(t, fail)
	assert.Equal(t, models.ClassSQL, fail.Class, "the input of the task before is not there any more")

	other := enclosed("select 1 as x")
	other.Enclosure = t.TempDir()
	other.Output = filepath.Join(other.Enclosure, "out", "1")
	fail, _ = run(other)
	assert.Nil(t, fail, "another execution gets another process")
}

func TestPoolReportsFailures(t *testing.T) {
	_, fail := newPool(t, 1).Run(t.Context(), transform(t, "select nothing"), ignore)
	require.NotNil(t, fail)
	assert.Equal(t, models.ClassSQL, fail.Class)
	assert.False(t, fail.Retry)
}

const endless = "select count(*) as n from range(10000000) a, range(10000000) b"

func TestPoolEndsTheProcessOfACancelledTask(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	p := newPool(t, 0)
	_, fail := p.Run(ctx, transform(t, endless), func(m protocol.Message) {
		if m.Log != nil {
			cancel()
		}
	})
	require.NotNil(t, fail)
	assert.Empty(t, children(t), "no process is left")
}

func TestPoolReportsATaskThatTookTooLong(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, fail := newPool(t, 0).Run(ctx, transform(t, endless), ignore)
	require.NotNil(t, fail)
	assert.Equal(t, models.ClassTimeout, fail.Class)
	require.NotNil(t, fail.Usage)
	assert.Greater(t, fail.Usage.CPUMicros, int64(50_000))
}

func TestPoolReportsAProcessThatWasKilled(t *testing.T) {
	_, fail := newPool(t, 0).Run(t.Context(), transform(t, endless), func(m protocol.Message) {
		if m.Log != nil {
			for _, pid := range children(t) {
				assert.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
			}
		}
	})
	require.NotNil(t, fail)
	assert.Equal(t, models.ClassProcessDied, fail.Class)
	assert.True(t, fail.Retry)
	assert.Contains(t, fail.Message, "killed")
	require.NotNil(t, fail.Usage)
	assert.Positive(t, fail.Usage.CPUMicros, "the kernel knows, although the process told nothing")
	assert.Positive(t, fail.Usage.WallMicros)
}

func TestPoolReportsAMissingProgram(t *testing.T) {
	p := task.NewPool(filepath.Join(t.TempDir(), "none"), 1, nil, slog.New(slog.DiscardHandler))
	defer p.Close()
	_, fail := p.Run(t.Context(), transform(t, "select 1"), ignore)
	require.NotNil(t, fail)
	assert.Equal(t, models.ClassInternal, fail.Class)
}

// children lists the task processes of this test.
func children(t *testing.T) []int {
	t.Helper()
	paths, err := filepath.Glob("/proc/self/task/*/children")
	require.NoError(t, err)
	var pids []int
	for _, path := range paths {
		content, err := os.ReadFile(path)
		if err != nil {
			continue // the thread has ended
		}
		for _, field := range strings.Fields(string(content)) {
			pid, err := strconv.Atoi(field)
			require.NoError(t, err)
			pids = append(pids, pid)
		}
	}
	return pids
}

// setup makes a store with one execution of a pipeline that reads a CSV file, and the activities.
func setup(t *testing.T, sql string) (*task.Tasks, *store.Tenant, models.Execution) {
	t.Helper()
	ctx := t.Context()
	s, err := store.Open(ctx, "sqlite:"+filepath.Join(t.TempDir(), "pipeline.db"))
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, s.Close()) })
	_, err = s.Migrate(ctx)
	require.NoError(t, err)
	files := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(files, "in.csv"), []byte("x\n1\n2\n3\n"), 0o600))
	properties, err := json.Marshal(map[string]string{"path": files})
	require.NoError(t, err)
	own := s.ForTenant(tenant)
	_, err = own.CreateConnection(ctx, models.Connection{ID: models.NewID(models.PrefixConnection), Tenant: tenant, Name: "files",
		Type: models.ConnectionLocal, Properties: properties, CreatedAt: time.Now()})
	require.NoError(t, err)
	doc, err := json.Marshal(map[string]any{
		"sources":         map[string]any{"raw": map[string]any{"type": "cloud_storage", "connection": "files", "format": "csv"}},
		"transformations": []any{map[string]any{"name": "step", "type": "sql_transform", "input": "raw", "sql": sql}},
		"sinks":           map[string]any{"out": map[string]any{"type": "cloud_storage", "connection": "files", "prefix": "out/", "format": "csv", "mode": "append"}},
	})
	require.NoError(t, err)
	p, err := own.CreatePipeline(ctx, models.Pipeline{ID: models.NewID(models.PrefixPipeline), Tenant: tenant, Name: "p", Label: "1", Definition: doc, CreatedAt: time.Now()})
	require.NoError(t, err)
	e, err := own.SubmitExecution(ctx, models.Execution{ID: models.NewID(models.PrefixExecution), Tenant: tenant, PipelineID: p.ID, Version: 1,
		Status: models.ExecutionQueued, Engine: models.EngineTemporal, Priority: models.PriorityNormal, Trigger: models.TriggerManual,
		MaxActiveRuns: 1, SubmittedAt: time.Now(), ExecutionDate: time.Now()})
	require.NoError(t, err)
	plans, err := plan.NewLoader(s)
	require.NoError(t, err)
	loaded, err := plans.Load(ctx, tenant, e.ID)
	require.NoError(t, err)
	runs := make([]models.TaskRun, len(loaded.Nodes))
	for i, n := range loaded.Nodes {
		runs[i] = models.TaskRun{Name: n.Name, Kind: n.Kind, State: models.TaskPending}
	}
	require.NoError(t, own.PlanExecution(ctx, e.ID, runs))
	return &task.Tasks{Store: s, Plans: plans, Runner: newPool(t, 1), Log: slog.New(slog.DiscardHandler), Specs: &task.Specs{
		Store: s, StagingDir: t.TempDir(), Limits: protocol.Limits{MemoryBytes: 1 << 30, ScratchBytes: 1 << 30, Threads: 2},
		Access: func(models.TenantID) protocol.Access { return protocol.Access{LocalRoots: []string{files}} },
	}}, own, e
}

func runTask(t *testing.T, a *task.Tasks, e models.Execution, name string) (contract.RunTaskResult, error) {
	t.Helper()
	env := (&testsuite.WorkflowTestSuite{}).NewTestActivityEnvironment()
	env.RegisterActivityWithOptions(a.RunTask, activity.RegisterOptions{Name: contract.RunTaskActivity})
	value, err := env.ExecuteActivity(contract.RunTaskActivity, contract.RunTaskInput{Tenant: tenant, ExecutionID: e.ID, Task: name})
	var result contract.RunTaskResult
	if err == nil {
		require.NoError(t, value.Get(&result))
	}
	return result, err
}

func TestRunTaskHandsRowsOnAndRecordsThem(t *testing.T) {
	a, own, e := setup(t, "select x * 2 as x from raw where x > 1")
	for _, name := range []string{"raw", "step", "out"} {
		_, err := runTask(t, a, e, name)
		require.NoError(t, err, name)
	}
	runs, err := own.TaskRuns(t.Context(), e.ID)
	require.NoError(t, err)
	require.Len(t, runs, 3)
	for i, want := range []struct{ in, out int64 }{{3, 3}, {3, 2}, {2, 2}} {
		assert.Equal(t, models.TaskSucceeded, runs[i].State)
		assert.Equal(t, want.in, runs[i].RowsIn, runs[i].Name)
		assert.Equal(t, want.out, runs[i].RowsOut, runs[i].Name)
		assert.Equal(t, 1, runs[i].Attempts)
		assert.False(t, runs[i].EndedAt.Before(runs[i].StartedAt))
	}
	used, err := own.ExecutionCost(t.Context(), e.ID, time.Now())
	require.NoError(t, err)
	require.Len(t, used.Tasks, 3)
	for i, name := range []string{"raw", "step", "out"} {
		assert.Equal(t, name, used.Tasks[i].Name)
		assert.EqualValues(t, 1, used.Tasks[i].Attempts)
		assert.Positive(t, used.Tasks[i].CPUMicros)
		assert.Positive(t, used.Tasks[i].PeakMemoryBytes)
	}
	assert.EqualValues(t, len("x\n1\n2\n3\n"), used.Tasks[0].NetworkBytes, "what the source has read")
	assert.Zero(t, used.Tasks[1].NetworkBytes)
	assert.EqualValues(t, len("x\n4\n6\n"), used.Tasks[2].NetworkBytes, "what the sink has written")
	now, err := own.Execution(t.Context(), e.ID)
	require.NoError(t, err)
	assert.Equal(t, models.ExecutionRunning, now.Status)
	assert.Equal(t, 3, now.CompletedTasks)
	assert.EqualValues(t, 3, now.RowsProcessed)
	lines, err := own.Logs(t.Context(), e.ID, store.LogQuery{Task: "step", Last: 100})
	require.NoError(t, err)
	assert.NotEmpty(t, lines)
}

func TestRunTaskSaysWhyATaskFailed(t *testing.T) {
	a, own, e := setup(t, "select y from raw")
	_, err := runTask(t, a, e, "raw")
	require.NoError(t, err)
	_, err = runTask(t, a, e, "step")
	var app *temporal.ApplicationError
	require.ErrorAs(t, err, &app)
	assert.True(t, app.NonRetryable())
	var why models.ExecutionError
	require.NoError(t, app.Details(&why))
	assert.Equal(t, "step", why.Task)
	assert.Equal(t, models.ClassSQL, why.Class)
	runs, err := own.TaskRuns(t.Context(), e.ID)
	require.NoError(t, err)
	assert.Equal(t, models.TaskFailed, runs[1].State)
	used, err := own.ExecutionCost(t.Context(), e.ID, time.Now())
	require.NoError(t, err)
	require.Len(t, used.Tasks, 2, "an attempt that failed counts")
	assert.Positive(t, used.Tasks[1].CPUMicros)
	assert.Equal(t, &why, runs[1].Error)
}

func TestRunTaskLeavesAClosedExecutionAlone(t *testing.T) {
	a, own, e := setup(t, "select x from raw")
	_, err := own.FinishExecution(t.Context(), e.ID, store.ExecutionEnd{Status: models.ExecutionCancelled, At: time.Now()})
	require.NoError(t, err)
	_, err = runTask(t, a, e, "raw")
	var app *temporal.ApplicationError
	require.ErrorAs(t, err, &app)
	assert.True(t, app.NonRetryable())
}
