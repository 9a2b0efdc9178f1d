package store

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/matih/pipeline-service/models"
)

// staged makes an execution that has ended, whose source "a" has staged rows and whose sink "c" failed.
func staged(t *testing.T, tenant *Tenant, p models.Pipeline, ended time.Time) models.Execution {
	t.Helper()
	e := submit(t, tenant, p)
	plan(t, tenant, e.ID, "a", "b", "c")
	ran := models.TaskRun{
		Name: "a", State: models.TaskSucceeded, Attempts: 1, RowsIn: 5, RowsOut: 4, BytesIn: 50, BytesOut: 40,
		Output: string(tenant.id) + "/" + e.ID + "/a/1", StartedAt: ended, EndedAt: ended,
	}
	require.NoError(t, tenant.StartTask(t.Context(), e.ID, ran))
	require.NoError(t, tenant.FinishTask(t.Context(), e.ID, ran, nil))
	closed, err := tenant.FinishExecution(t.Context(), e.ID, ExecutionEnd{Status: models.ExecutionFailed, At: ended})
	require.NoError(t, err)
	return closed
}

// rerun submits a re-run that takes over the source "a" of an execution.
func rerun(t *testing.T, tenant *Tenant, old models.Execution) (models.Execution, error) {
	t.Helper()
	runs, err := tenant.TaskRuns(t.Context(), old.ID)
	require.NoError(t, err)
	for i := range runs {
		runs[i].State = models.TaskPending
	}
	runs[0].State = models.TaskReused
	return tenant.SubmitRerun(t.Context(), execution(models.Pipeline{ID: old.PipelineID, Version: old.Version}, func(e *models.Execution) {
		e.RerunOf, e.Trigger, e.LastRun = old.ID, models.TriggerRerun, old.LastRun
	}), runs, []string{"a"})
}

func TestSubmitRerunTakesOverWhatIsReused(t *testing.T) {
	forEachDatabase(t, func(t *testing.T, s *Store) {
		ctx, tenant := t.Context(), s.newTenant()
		p := newPipeline(t, tenant)
		old := staged(t, tenant, p, time.Now())
		finish(t, tenant, submit(t, tenant, p).ID, models.ExecutionCompleted)

		again, err := rerun(t, tenant, old)
		require.NoError(t, err)
		assert.Equal(t, old.ID, again.RerunOf)
		assert.Equal(t, 3, again.TotalTasks)
		assert.Equal(t, 1, again.CompletedTasks)
		assert.Zero(t, again.RowsProcessed, "a source that is reused has read nothing")
		assert.Equal(t, old.LastRun, again.LastRun, "it stands for the same time")
		read, err := tenant.Execution(ctx, again.ID)
		require.NoError(t, err)
		assert.Equal(t, again, read)

		runs, err := tenant.TaskRuns(ctx, again.ID)
		require.NoError(t, err)
		assert.Equal(t, models.TaskRun{
			Name: "a", Kind: models.TaskSource, State: models.TaskReused, RowsIn: 5, RowsOut: 4, BytesIn: 50, BytesOut: 40,
			Output: string(tenant.id) + "/" + old.ID + "/a/1",
		}, runs[0], "the counts and the output are the original's, with no attempts and no times")
		assert.Equal(t, models.TaskPending, runs[1].State)
		outputs, err := tenant.TaskOutputs(ctx, again.ID, []string{"a", "b"})
		require.NoError(t, err)
		assert.Equal(t, map[string]string{"a": runs[0].Output}, outputs)

		require.NoError(t, tenant.PlanExecution(ctx, again.ID, []models.TaskRun{{Name: "a"}, {Name: "b"}, {Name: "c"}}))
		assert.Equal(t, models.TaskReused, task(t, tenant, again.ID, "a").State, "planning changes nothing")

		second, err := rerun(t, tenant, old)
		require.NoError(t, err)
		finish(t, tenant, second.ID, models.ExecutionFailed)
		assert.Equal(t, models.TaskReused, task(t, tenant, second.ID, "a").State, "it stays so when the execution ends")
		assert.Equal(t, models.TaskSkipped, task(t, tenant, second.ID, "b").State)
	})
}

func TestRetentionLeavesWhatAReRunUses(t *testing.T) {
	forEachDatabase(t, func(t *testing.T, s *Store) {
		ctx, tenant, now := t.Context(), s.newTenant(), time.Now()
		p := newPipeline(t, tenant)
		old := staged(t, tenant, p, now.Add(-48*time.Hour))
		unused := staged(t, tenant, p, now.Add(-47*time.Hour))
		fresh := staged(t, tenant, p, now)
		again, err := rerun(t, tenant, old)
		require.NoError(t, err)
		retained := func(es ...models.Execution) []Retained {
			var all []Retained
			for _, e := range es {
				all = append(all, Retained{TenantID: tenant.id, ExecutionID: e.ID})
			}
			return all
		}
		dayAgo := now.Add(-24 * time.Hour)

		claimed, err := s.ClaimStaged(ctx, dayAgo, 10)
		require.NoError(t, err)
		assert.Equal(t, retained(unused), claimed, "neither what is used nor what is recent")
		_, err = rerun(t, tenant, unused)
		assertCode(t, models.CodeStagedDataExpired, err)
		var expired *models.Error
		require.ErrorAs(t, err, &expired)
		assert.Equal(t, []string{"a"}, expired.IDs)

		claimed, err = s.ClaimStaged(ctx, dayAgo, 10)
		require.NoError(t, err)
		assert.Equal(t, retained(unused), claimed, "until it is told that they are gone")
		require.NoError(t, s.StagedRemoved(ctx, claimed))
		claimed, err = s.ClaimStaged(ctx, dayAgo, 10)
		require.NoError(t, err)
		assert.Empty(t, claimed)

		finish(t, tenant, again.ID, models.ExecutionCompleted)
		claimed, err = s.ClaimStaged(ctx, dayAgo, 10)
		require.NoError(t, err)
		assert.Empty(t, claimed, "the re-run itself may be run again for a while")
		third, err := rerun(t, tenant, again)
		require.NoError(t, err, "a re-run of a re-run uses the first one's data")
		finish(t, tenant, third.ID, models.ExecutionCompleted)

		later := now.Add(time.Hour)
		claimed, err = s.ClaimStaged(ctx, later, 2)
		require.NoError(t, err)
		assert.ElementsMatch(t, retained(old, fresh), claimed, "the oldest first, no more than asked for")
		claimed, err = s.ClaimStaged(ctx, later, 10)
		require.NoError(t, err)
		assert.ElementsMatch(t, retained(again, third, old, fresh), claimed)
		require.NoError(t, s.StagedRemoved(ctx, claimed))

		gone, err := s.QuarantineExpired(ctx, dayAgo, 10)
		require.NoError(t, err)
		assert.Equal(t, retained(old, unused), gone)
		require.NoError(t, s.QuarantineRemoved(ctx, gone))
		gone, err = s.QuarantineExpired(ctx, dayAgo, 10)
		require.NoError(t, err)
		assert.Empty(t, gone)
		_, err = rerun(t, tenant, old)
		assertCode(t, models.CodeStagedDataExpired, err, "what is gone altogether")
	})
}

func TestSetPriority(t *testing.T) {
	forEachDatabase(t, func(t *testing.T, s *Store) {
		ctx, tenant := t.Context(), s.newTenant()
		e := submit(t, tenant, newPipeline(t, tenant))
		changed, err := tenant.SetPriority(ctx, e.ID, models.PriorityCritical)
		require.NoError(t, err)
		e.Priority = models.PriorityCritical
		assert.Equal(t, e, changed)
		_, err = s.newTenant().SetPriority(ctx, e.ID, models.PriorityLow)
		assertCode(t, models.CodeNotFound, err)
		finish(t, tenant, e.ID, models.ExecutionFailed)
		_, err = tenant.SetPriority(ctx, e.ID, models.PriorityLow)
		assertCode(t, models.CodeExecutionClosed, err)
	})
}

func TestQuotasOfOneTenant(t *testing.T) {
	forEachDatabase(t, func(t *testing.T, s *Store) {
		large, usual := s.newTenant(), s.newTenant()
		s.Quotas = Quotas{OpenExecutions: 1, Pipelines: 1}
		s.TenantQuotas = map[models.TenantID]Quotas{large.id: {OpenExecutions: 2}}
		for tenant, executions := range map[*Tenant]int{large: 2, usual: 1} {
			p := newPipeline(t, tenant)
			for range executions {
				submit(t, tenant, p)
			}
			_, err := tenant.SubmitExecution(t.Context(), execution(p))
			assertCode(t, models.CodeQuotaExceeded, err)
		}
		newPipeline(t, large)
		_, err := usual.CreatePipeline(t.Context(), models.Pipeline{ID: models.NewID(models.PrefixPipeline), Name: "second"})
		assertCode(t, models.CodeQuotaExceeded, err)
	})
}
