package task_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/testsuite"

	"github.com/matih/pipeline-service/activities/task"
	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/contract"
	protocol "github.com/matih/pipeline-service/models/task"
)

// watchedRunner keeps what processes were told.
type watchedRunner struct {
	task.Runner
	specs map[string]protocol.Spec
}

func (r *watchedRunner) Run(ctx context.Context, spec protocol.Spec, on func(protocol.Message)) (*protocol.Result, *protocol.Failure) {
	r.specs[spec.Task] = spec
	return r.Runner.Run(ctx, spec, on)
}

// inspectAll looks at every step of a plan, in order, and returns what was found.
func inspectAll(t *testing.T, a *task.Tasks, in contract.PlanInput) map[string]models.PlannedStep {
	t.Helper()
	env := (&testsuite.WorkflowTestSuite{}).NewTestActivityEnvironment()
	env.RegisterActivityWithOptions(a.LoadPlan, activity.RegisterOptions{Name: contract.LoadPlanActivity})
	env.RegisterActivityWithOptions(a.InspectStep, activity.RegisterOptions{Name: contract.InspectStepActivity})
	value, err := env.ExecuteActivity(contract.LoadPlanActivity, in)
	require.NoError(t, err)
	var steps contract.PlanSteps
	require.NoError(t, value.Get(&steps))
	for _, step := range steps.Steps {
		_, err := env.ExecuteActivity(contract.InspectStepActivity, contract.InspectStepInput{PlanInput: in, Step: step.Name})
		require.NoError(t, err, step.Name)
	}
	found, err := a.Store.ForTenant(in.Tenant).PlannedSteps(t.Context(), in.PlanID)
	require.NoError(t, err)
	byName := map[string]models.PlannedStep{}
	for _, step := range found {
		byName[step.Name] = step
	}
	return byName
}

func TestInspectKeepsSecretsFromSQLAndPublishesNothing(t *testing.T) {
	a, own, e := setup(t, "select a.x as mine, b.x as yours from raw a, raw b")
	a.Specs.Secrets = protocol.Secrets{Dir: t.TempDir()}
	runner := &watchedRunner{a.Runner, map[string]protocol.Spec{}}
	a.Runner = runner
	p, err := own.Pipeline(t.Context(), e.PipelineID)
	require.NoError(t, err)
	var doc map[string]any
	require.NoError(t, json.Unmarshal(p.Definition, &doc))
	doc["quality_checks"] = []any{map[string]any{"name": "many", "type": "row_count", "input": "step", "min": 1_000_000, "on_failure": "fail"}}
	doc["orchestration"] = map[string]any{"approval": map[string]any{"mask": []string{"yours"}}}
	definition, err := json.Marshal(doc)
	require.NoError(t, err)
	draft := models.Plan{ID: models.NewID(models.PrefixPlan), Definition: definition, Sample: 4, CreatedAt: time.Now()}
	require.NoError(t, own.CreatePlan(t.Context(), draft))

	in := contract.PlanInput{Tenant: tenant, PlanID: draft.ID}
	found := inspectAll(t, a, in)
	require.Len(t, found, 4)
	for name, step := range found {
		require.Nil(t, step.Error, "%s: %+v", name, step.Error)
	}
	joined := []models.Column{{Name: "mine", Type: "BIGINT"}, {Name: "yours", Type: "BIGINT"}}
	assert.Equal(t, joined, found["step"].Columns)
	assert.Equal(t, joined, found["many"].Columns, "its verdict on a sample says nothing")
	assert.Equal(t, joined, found["out"].Columns)
	assert.Len(t, found["raw"].Rows, 3)
	require.Len(t, found["step"].Rows, 4)
	assert.Equal(t, "***", *found["step"].Rows[0]["yours"])
	require.NotNil(t, found["out"].Sink)
	assert.False(t, found["out"].Sink.Exists)

	for name, spec := range runner.specs {
		require.NotNil(t, spec.Preview, name)
		talks := spec.Source != nil || spec.Sink != nil
		assert.Equal(t, talks, spec.Secrets != protocol.Secrets{}, name)
		assert.Equal(t, talks, spec.Connection != nil, name)
		assert.Equal(t, talks, len(spec.Access.LocalRoots) > 0, name)
		assert.Equal(t, !talks, spec.Enclosure != "", name)
	}
	var files struct{ Path string }
	require.NoError(t, json.Unmarshal(runner.specs["raw"].Connection.Properties, &files))
	entries, err := os.ReadDir(files.Path)
	require.NoError(t, err)
	assert.Len(t, entries, 1, "only what was there")

	staged := filepath.Join(a.Specs.StagingDir, string(tenant), draft.ID)
	assert.DirExists(t, staged)
	require.NoError(t, a.EndPlan(t.Context(), in))
	assert.NoDirExists(t, staged)
	require.Error(t, a.EndPlan(t.Context(), contract.PlanInput{Tenant: tenant, PlanID: e.ID}), "that is an execution")
	runs, err := own.TaskRuns(t.Context(), e.ID)
	require.NoError(t, err)
	for _, run := range runs {
		assert.Equal(t, models.TaskPending, run.State, "executions have no part in it")
	}
}

func TestInspectSaysWhyAStepCannotBeKnown(t *testing.T) {
	a, own, e := setup(t, "select y from raw")
	p, err := own.Pipeline(t.Context(), e.PipelineID)
	require.NoError(t, err)
	draft := models.Plan{ID: models.NewID(models.PrefixPlan), Definition: p.Definition, CreatedAt: time.Now()}
	require.NoError(t, own.CreatePlan(t.Context(), draft))
	in := contract.PlanInput{Tenant: tenant, PlanID: draft.ID}
	found := inspectAll(t, a, in)
	assert.Equal(t, []models.Column{{Name: "x", Type: "BIGINT"}}, found["raw"].Columns)
	assert.Empty(t, found["raw"].Rows)
	require.NotNil(t, found["step"].Error)
	assert.Equal(t, models.ClassSQL, found["step"].Error.Class)
	assert.Contains(t, found["step"].Error.Message, `"y"`)
	assert.Equal(t, &models.ExecutionError{Task: "out", Class: models.ClassInvalidDefinition,
		Message: "nothing can be said without the columns of step"}, found["out"].Error)

	require.NoError(t, own.DeletePlan(t.Context(), draft.ID))
	env := (&testsuite.WorkflowTestSuite{}).NewTestActivityEnvironment()
	env.RegisterActivity(a.InspectStep)
	_, err = env.ExecuteActivity(a.InspectStep, contract.InspectStepInput{PlanInput: in, Step: "raw"})
	require.ErrorContains(t, err, "nobody waits for the plan any more")
}
