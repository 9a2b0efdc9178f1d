package store

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/matih/pipeline-service/models"
)

// newBackfill makes a backfill of three hours.
func newBackfill(tb testing.TB, t *Tenant, p models.Pipeline) models.Backfill {
	tb.Helper()
	b, err := t.CreateBackfill(tb.Context(), models.Backfill{
		ID: models.NewID(models.PrefixBackfill), PipelineID: p.ID, Cron: "0 * * * *", Timezone: "UTC", From: six, To: six.Add(3 * time.Hour),
		Version: 1, Priority: models.PriorityLow, MaxParallel: 2, Total: 3, SubmittedBy: "ada",
	})
	require.NoError(tb, err)
	return b
}

func TestBackfills(t *testing.T) {
	forEachDatabase(t, func(t *testing.T, s *Store) {
		tenant := s.newTenant()
		p := newPipeline(t, tenant)
		b := newBackfill(t, tenant, p)
		got, err := tenant.Backfill(t.Context(), b.ID)
		require.NoError(t, err)
		assert.Equal(t, b, got)
		assert.Equal(t, models.BackfillRunning, got.Status)
		open, err := s.OpenBackfills(t.Context(), time.Now().Add(time.Minute), "", 10)
		require.NoError(t, err)
		require.Len(t, open, 1)

		step := BackfillStep{Attempt: 1, Status: models.BackfillPaused, Reason: "paused by ada", Completed: 1, Running: 1}
		require.NoError(t, tenant.StepBackfill(t.Context(), b.ID, step))
		_, err = tenant.RetryBackfill(t.Context(), b.ID)
		assertCode(t, models.CodeBackfillOpen, err)
		step = BackfillStep{Attempt: 1, Status: models.BackfillFailed, Completed: 2, Failed: 1, At: time.Now()}
		require.NoError(t, tenant.StepBackfill(t.Context(), b.ID, step))
		step.Status = models.BackfillRunning
		require.NoError(t, tenant.StepBackfill(t.Context(), b.ID, step), "news after the end change nothing")
		got, err = tenant.Backfill(t.Context(), b.ID)
		require.NoError(t, err)
		assert.Equal(t, models.BackfillFailed, got.Status)
		assert.False(t, got.EndedAt.IsZero())

		retried, err := tenant.RetryBackfill(t.Context(), b.ID)
		require.NoError(t, err)
		assert.Equal(t, 2, retried.Attempt)
		assert.Equal(t, 2, retried.Completed)
		assert.Zero(t, retried.Failed)
		assert.True(t, retried.EndedAt.IsZero())
		require.NoError(t, tenant.StepBackfill(t.Context(), b.ID, BackfillStep{Attempt: 1, Status: models.BackfillCancelled}))
		require.NoError(t, tenant.StepBackfill(t.Context(), b.ID, BackfillStep{Attempt: 2, Status: models.BackfillCompleted, Completed: 3}))
		_, err = tenant.RetryBackfill(t.Context(), b.ID)
		assertCode(t, models.CodeBackfillClosed, err)
		list, err := tenant.Backfills(t.Context(), BackfillFilter{PipelineID: p.ID, Status: models.BackfillCompleted}, models.Page{})
		require.NoError(t, err)
		assert.Equal(t, int64(1), list.Total)
		assert.Len(t, list.Items, 1)
	})
}

func TestADueTimeIsExecutedOnceAnAttempt(t *testing.T) {
	forEachDatabase(t, func(t *testing.T, s *Store) {
		tenant := s.newTenant()
		p := newPipeline(t, tenant)
		b := newBackfill(t, tenant, p)
		due := func(at time.Time, attempt int) models.Execution {
			e := execution(p)
			e.MaxActiveRuns, e.BackfillID, e.BackfillAttempt, e.ExecutionDate = 5, b.ID, attempt, at
			return e
		}
		first, err := tenant.SubmitBackfilled(t.Context(), due(six, 1))
		require.NoError(t, err)
		again, err := tenant.SubmitBackfilled(t.Context(), due(six, 1))
		require.NoError(t, err)
		assert.Equal(t, first.ID, again.ID)
		second, err := tenant.SubmitBackfilled(t.Context(), due(seven, 1))
		require.NoError(t, err)
		for id, status := range map[string]models.ExecutionStatus{first.ID: models.ExecutionFailed, second.ID: models.ExecutionCompleted} {
			_, err := tenant.FinishExecution(t.Context(), id, ExecutionEnd{Status: status})
			require.NoError(t, err)
		}
		completed, err := tenant.CompletedDueTimes(t.Context(), b.ID, six, eight)
		require.NoError(t, err)
		assert.Equal(t, map[time.Time]bool{seven: true}, completed)
		retried, err := tenant.SubmitBackfilled(t.Context(), due(six, 2))
		require.NoError(t, err)
		assert.NotEqual(t, first.ID, retried.ID)
		list, err := tenant.Executions(t.Context(), ExecutionFilter{BackfillID: b.ID, Status: models.ExecutionFailed}, models.Page{})
		require.NoError(t, err)
		assert.Equal(t, int64(1), list.Total)
		_, err = tenant.Executions(t.Context(), ExecutionFilter{BackfillID: "backfill-x"}, models.Page{})
		assertCode(t, models.CodeNotFound, err)
	})
}
