package store

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/matih/pipeline-service/models"
)

// ran has an execution of a pipeline run and end at a time.
func ran(tb testing.TB, t *Tenant, p models.Pipeline, status models.ExecutionStatus, end time.Time, took time.Duration) models.Execution {
	tb.Helper()
	ctx := tb.Context()
	e := submit(tb, t, p)
	plan(tb, t, e.ID, "raw")
	run := models.TaskRun{Name: "raw", Attempts: 1, StartedAt: end.Add(-took)}
	require.NoError(tb, t.StartTask(ctx, e.ID, run))
	run.State, run.RowsIn, run.BytesIn = models.TaskSucceeded, 100, 1000
	require.NoError(tb, t.FinishTask(ctx, e.ID, run, nil))
	e, err := t.FinishExecution(ctx, e.ID, ExecutionEnd{Status: status, At: end})
	require.NoError(tb, err)
	return e
}

func TestMetricsSumUpWhatEnded(t *testing.T) {
	forEachDatabase(t, func(t *testing.T, s *Store) {
		ctx, tenant := t.Context(), s.newTenant()
		p, other := newPipeline(t, tenant), newPipeline(t, tenant)
		midnight := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
		e := ran(t, tenant, p, models.ExecutionFailed, midnight.Add(-time.Microsecond), 4*time.Second)
		ran(t, tenant, p, models.ExecutionCompleted, midnight, 2*time.Second)
		ran(t, tenant, p, models.ExecutionCancelled, midnight.Add(10*time.Minute), 3*time.Second)
		late := submit(t, tenant, p) // it never ran
		_, err := tenant.FinishExecution(ctx, late.ID, ExecutionEnd{Status: models.ExecutionFailed, At: midnight.Add(5 * time.Minute)})
		require.NoError(t, err)
		ran(t, tenant, other, models.ExecutionCompleted, midnight.Add(time.Hour), time.Second)
		submit(t, tenant, p) // it has not ended
		finish(t, tenant, e.ID, models.ExecutionCompleted)

		got, err := tenant.Metrics(ctx, p.ID, midnight.Add(-time.Hour))
		require.NoError(t, err)
		assert.Equal(t, models.MetricsSum{Executions: 4, Completed: 1, Timed: 3, Duration: 9 * time.Second, Rows: 300, Bytes: 3000}, got.MetricsSum)
		require.Len(t, got.Days, 2)
		assert.Equal(t, models.MetricsDay{Date: midnight.AddDate(0, 0, -1), Status: models.ExecutionFailed, MetricsSum: models.MetricsSum{
			Executions: 1, Timed: 1, Duration: 4 * time.Second, Rows: 100, Bytes: 1000}}, got.Days[0], "an end is recorded once")
		assert.Equal(t, models.ExecutionCancelled, got.Days[1].Status, "of the one that ended last, whenever that was told")
		assert.Equal(t, 2500*time.Millisecond, got.Days[1].MeanDuration())
		assert.InDelta(t, 1./3, got.Days[1].SuccessRate(), 1e-9)

		got, err = tenant.Metrics(ctx, p.ID, midnight.Add(59*time.Minute))
		require.NoError(t, err)
		assert.EqualValues(t, 3, got.Executions, "a period begins with a full hour")
		got, err = tenant.Metrics(ctx, "", midnight)
		require.NoError(t, err)
		assert.EqualValues(t, 4, got.Executions, "those of all pipelines")
		assert.Equal(t, models.ExecutionCompleted, got.Days[0].Status)
		got, err = tenant.Metrics(ctx, p.ID, midnight.Add(24*time.Hour))
		require.NoError(t, err)
		assert.Empty(t, got)
		assert.Zero(t, got.SuccessRate())
		assert.Zero(t, got.MeanDuration())
	})
}

// A database that was in use before metrics were kept has them of its old executions, too.
func TestMetricsOfExecutionsBeforeTheMigration(t *testing.T) {
	forEachDatabase(t, func(t *testing.T, s *Store) {
		ctx, tenant := t.Context(), s.newTenant()
		p := newPipeline(t, tenant)
		end := time.Date(2026, 3, 2, 10, 30, 0, 0, time.UTC)
		ran(t, tenant, p, models.ExecutionFailed, end, time.Second)
		ran(t, tenant, p, models.ExecutionCompleted, end.Add(time.Minute), 2*time.Second)
		finish(t, tenant, submit(t, tenant, newPipeline(t, tenant)).ID, models.ExecutionCancelled)
		require.NoError(t, tenant.OpenAlert(ctx, models.Alert{PipelineID: p.ID, Rule: models.AlertFreshness, Severity: models.SeverityInfo}))
		before, err := tenant.Metrics(ctx, p.ID, end)
		require.NoError(t, err)
		require.EqualValues(t, 2, before.Executions)

		for _, statement := range []string{"DELETE FROM pipeline_hours", "DELETE FROM counts WHERE kind = 'alert'", "DELETE FROM schema_migrations"} {
			_, err = s.writer.ExecContext(ctx, statement)
			require.NoError(t, err)
		}
		_, err = s.Migrate(ctx)
		require.NoError(t, err)
		after, err := tenant.Metrics(ctx, p.ID, end)
		require.NoError(t, err)
		assert.Equal(t, before, after)
	})
}
