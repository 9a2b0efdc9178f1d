package store

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/matih/pipeline-service/models"
)

// readOn submits an execution whose source has read a batch; begin starts its sink.
func readOn(t *testing.T, tenant *Tenant, p models.Pipeline, b models.Batch, begin bool) models.Execution {
	t.Helper()
	ctx := t.Context()
	e := submit(t, tenant, p)
	require.NoError(t, tenant.PlanExecution(ctx, e.ID, []models.TaskRun{
		{Name: "raw", Kind: models.TaskSource}, {Name: "out", Kind: models.TaskSink},
	}))
	if b.Name == "" {
		b.Name = e.ID
	}
	ran := models.TaskRun{Name: "raw", State: models.TaskSucceeded, Attempts: 1, Output: string(tenant.id) + "/" + e.ID + "/raw/1", Batch: &b}
	require.NoError(t, tenant.StartTask(ctx, e.ID, ran))
	require.NoError(t, tenant.FinishTask(ctx, e.ID, ran, nil))
	if begin {
		require.NoError(t, tenant.StartTask(ctx, e.ID, models.TaskRun{Name: "out", Attempts: 1}))
	}
	return e
}

func cursor(t *testing.T, tenant *Tenant, p models.Pipeline) models.Cursor {
	t.Helper()
	c, err := tenant.Cursor(t.Context(), p.ID, "raw")
	require.NoError(t, err)
	return c
}

func TestCursorMovesWhenEverythingIsPublished(t *testing.T) {
	forEachDatabase(t, func(t *testing.T, s *Store) {
		tenant := s.newTenant()
		p, other := newPipeline(t, tenant), newPipeline(t, tenant)
		assert.Zero(t, cursor(t, tenant, p))

		e := readOn(t, tenant, p, models.Batch{End: "one"}, true)
		assert.Zero(t, cursor(t, tenant, p), "nothing is published")
		finish(t, tenant, e.ID, models.ExecutionCompleted)
		assert.Equal(t, models.Cursor{Seq: 1, Value: "one"}, cursor(t, tenant, p))

		finish(t, tenant, readOn(t, tenant, p, models.Batch{Base: 1, End: "two"}, true).ID, models.ExecutionCompleted)
		assert.Equal(t, models.Cursor{Seq: 2, Value: "two"}, cursor(t, tenant, p))
		assert.Zero(t, cursor(t, tenant, other), "another pipeline's source of that name has its own")
	})
}

func TestOnlyTheLastAttemptsBatchCounts(t *testing.T) {
	forEachDatabase(t, func(t *testing.T, s *Store) {
		tenant := s.newTenant()
		p := newPipeline(t, tenant)
		e := readOn(t, tenant, p, models.Batch{End: "one"}, false)
		again := models.TaskRun{Name: "raw", State: models.TaskSucceeded, Attempts: 2, Batch: &models.Batch{Name: e.ID, End: "more"}}
		require.NoError(t, tenant.StartTask(t.Context(), e.ID, again))
		require.NoError(t, tenant.FinishTask(t.Context(), e.ID, again, nil))
		finish(t, tenant, e.ID, models.ExecutionCompleted)
		assert.Equal(t, "more", cursor(t, tenant, p).Value)
	})
}

func TestBatchStaysPendingOnceASinkHasBegun(t *testing.T) {
	for _, end := range []models.ExecutionStatus{models.ExecutionFailed, models.ExecutionCancelled} {
		forEachDatabase(t, func(t *testing.T, s *Store) {
			tenant := s.newTenant()
			p := newPipeline(t, tenant)
			finish(t, tenant, readOn(t, tenant, p, models.Batch{End: "one"}, true).ID, models.ExecutionCompleted)

			finish(t, tenant, readOn(t, tenant, p, models.Batch{Base: 1, End: "never begun"}, false).ID, end)
			assert.Equal(t, models.Cursor{Seq: 1, Value: "one"}, cursor(t, tenant, p), "nothing can be published")

			first := readOn(t, tenant, p, models.Batch{Base: 1, End: "two"}, true)
			finish(t, tenant, first.ID, end)
			pending := models.Cursor{Seq: 1, Value: "one", Batch: first.ID, Pending: "two"}
			assert.Equal(t, pending, cursor(t, tenant, p))

			finish(t, tenant, readOn(t, tenant, p, models.Batch{Name: first.ID, Base: 1, End: "two"}, false).ID, end)
			assert.Equal(t, pending, cursor(t, tenant, p), "what is pending stays so until it is published")

			finish(t, tenant, readOn(t, tenant, p, models.Batch{Name: first.ID, Base: 1, End: "two"}, true).ID, models.ExecutionCompleted)
			assert.Equal(t, models.Cursor{Seq: 2, Value: "two"}, cursor(t, tenant, p))
		})
	}
}

func TestRerunPublishesTheBatchItReuses(t *testing.T) {
	forEachDatabase(t, func(t *testing.T, s *Store) {
		tenant := s.newTenant()
		p := newPipeline(t, tenant)
		old := readOn(t, tenant, p, models.Batch{End: "one"}, true)
		old = finish(t, tenant, old.ID, models.ExecutionFailed)
		again, err := rerunSource(t, tenant, old)
		require.NoError(t, err)
		batches, err := tenant.Batches(t.Context(), again.ID, []string{"raw"})
		require.NoError(t, err)
		assert.Equal(t, []models.Batch{{Source: "raw", Name: old.ID}}, batches)
		finish(t, tenant, again.ID, models.ExecutionCompleted)
		assert.Equal(t, models.Cursor{Seq: 1, Value: "one"}, cursor(t, tenant, p))
	})
}

func TestRerunRefusesAStaleBatch(t *testing.T) {
	for name, then := range map[string]func(t *testing.T, tenant *Tenant, p models.Pipeline){
		"published": func(t *testing.T, tenant *Tenant, p models.Pipeline) {
			finish(t, tenant, readOn(t, tenant, p, models.Batch{End: "more"}, true).ID, models.ExecutionCompleted)
		},
		"read anew": func(t *testing.T, tenant *Tenant, p models.Pipeline) {
			finish(t, tenant, readOn(t, tenant, p, models.Batch{End: "more"}, true).ID, models.ExecutionFailed)
		},
	} {
		t.Run(name, func(t *testing.T) {
			forEachDatabase(t, func(t *testing.T, s *Store) {
				tenant := s.newTenant()
				p := newPipeline(t, tenant)
				old := finish(t, tenant, readOn(t, tenant, p, models.Batch{End: "one"}, false).ID, models.ExecutionFailed)
				then(t, tenant, p)
				before := cursor(t, tenant, p)
				_, err := rerunSource(t, tenant, old)
				assertCode(t, models.CodeStagedDataExpired, err)
				assert.ErrorContains(t, err, "raw")
				assert.Equal(t, before, cursor(t, tenant, p))
			})
		})
	}
}

func TestBatchesGoWithTheStagedData(t *testing.T) {
	forEachDatabase(t, func(t *testing.T, s *Store) {
		tenant := s.newTenant()
		finish(t, tenant, readOn(t, tenant, newPipeline(t, tenant), models.Batch{End: "one"}, true).ID, models.ExecutionFailed)
		require.Equal(t, 1, rowsOf(t, tenant, "batches"))
		claimed, err := s.ClaimStaged(t.Context(), time.Now().Add(time.Hour), 10)
		require.NoError(t, err)
		require.NoError(t, s.StagedRemoved(t.Context(), claimed))
		assert.Zero(t, rowsOf(t, tenant, "batches"))
	})
}

// rerunSource submits a re-run that takes over the source of an execution.
func rerunSource(t *testing.T, tenant *Tenant, old models.Execution) (models.Execution, error) {
	t.Helper()
	runs, err := tenant.TaskRuns(t.Context(), old.ID)
	require.NoError(t, err)
	runs[0].State, runs[1].State = models.TaskReused, models.TaskPending
	return tenant.SubmitRerun(t.Context(), execution(models.Pipeline{ID: old.PipelineID, Version: old.Version}, func(e *models.Execution) {
		e.RerunOf, e.Trigger = old.ID, models.TriggerRerun
	}), runs, []string{"raw"})
}
