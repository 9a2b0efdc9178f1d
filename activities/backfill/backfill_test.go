package backfill_test

import (
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"

	"github.com/matih/pipeline-service/activities/backfill"
	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/contract"
	"github.com/matih/pipeline-service/models/store"
	"github.com/matih/pipeline-service/models/submission"
)

const tenantID = models.TenantID("11111111-2222-4333-8444-555555555555")

var from = time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC)

// newBackfill opens an empty database and makes a backfill in it: every hour of so many, two executions at once.
func newBackfill(t *testing.T, hours int) (*backfill.Backfills, *store.Tenant, models.Backfill) {
	t.Helper()
	s, err := store.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "pipeline.db"))
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, s.Close()) })
	_, err = s.Migrate(t.Context())
	require.NoError(t, err)
	tenant := s.ForTenant(tenantID)
	_, err = tenant.CreateConnection(t.Context(), models.Connection{
		ID: models.NewID(models.PrefixConnection), Name: "files", Type: models.ConnectionLocal, Properties: []byte(`{"path": "/data"}`)})
	require.NoError(t, err)
	p, err := tenant.CreatePipeline(t.Context(), models.Pipeline{ID: models.NewID(models.PrefixPipeline), Name: "p", Definition: []byte(`{
		"sources": {"in": {"type": "cloud_storage", "connection": "files", "format": "csv"}},
		"sinks": {"out": {"type": "cloud_storage", "connection": "files", "prefix": "out/", "format": "csv", "mode": "append"}}}`)})
	require.NoError(t, err)
	b, err := tenant.CreateBackfill(t.Context(), models.Backfill{
		ID: models.NewID(models.PrefixBackfill), PipelineID: p.ID, Cron: "0 * * * *", Timezone: "UTC", From: from,
		To: from.Add(time.Duration(hours) * time.Hour), Version: 1, Parameters: []byte(`{}`), Priority: models.PriorityNormal, MaxParallel: 2,
		Total: hours, SubmittedBy: "ada",
	})
	require.NoError(t, err)
	return &backfill.Backfills{Store: s, Log: slog.New(slog.DiscardHandler), Defaults: submission.Defaults{
		Engine: models.EngineTemporal, Estimate: time.Minute,
	}}, tenant, b
}

func submit(b models.Backfill, due time.Time) contract.SubmitBackfilledInput {
	return contract.SubmitBackfilledInput{Tenant: tenantID, BackfillID: b.ID, Attempt: b.Attempt, DueAt: due}
}

// end makes the execution of a due time and ends it.
func end(t *testing.T, a *backfill.Backfills, tenant *store.Tenant, b models.Backfill, due time.Time, status models.ExecutionStatus) {
	t.Helper()
	made, err := a.Submit(t.Context(), submit(b, due))
	require.NoError(t, err)
	require.NotNil(t, made.Execution)
	_, err = tenant.FinishExecution(t.Context(), made.Execution.ID, store.ExecutionEnd{Status: status, At: time.Now()})
	require.NoError(t, err)
}

func TestNextDueTimesAreThoseNotCompleted(t *testing.T) {
	a, tenant, b := newBackfill(t, 250)
	next := func(after time.Time) []time.Time {
		found, err := a.Next(t.Context(), contract.NextDueTimesInput{Tenant: tenantID, BackfillID: b.ID, After: after})
		require.NoError(t, err)
		return found.DueTimes
	}
	first := next(time.Time{})
	require.Len(t, first, 100)
	assert.Equal(t, from, first[0])
	end(t, a, tenant, b, first[0], models.ExecutionCompleted)
	end(t, a, tenant, b, first[1], models.ExecutionFailed)
	assert.Equal(t, first[1:], next(time.Time{})[:99])
	assert.Equal(t, first[2], next(first[1])[0])
	assert.Len(t, next(first[99].Add(100*time.Hour)), 50)
	assert.Empty(t, next(b.To.Add(-time.Hour)), "the end is not in it")
}

func TestSubmittingAgainFindsTheExecution(t *testing.T) {
	a, tenant, b := newBackfill(t, 3)
	first, err := a.Submit(t.Context(), submit(b, from))
	require.NoError(t, err)
	require.NotNil(t, first.Execution)
	assert.Equal(t, models.TriggerBackfill, first.Execution.Trigger)
	again, err := a.Submit(t.Context(), submit(b, from))
	require.NoError(t, err)
	assert.Equal(t, first.Execution.ID, again.Execution.ID)
	busy, err := a.Submit(t.Context(), submit(b, from.Add(time.Hour)))
	require.NoError(t, err)
	assert.Contains(t, busy.Busy, first.Execution.ID)

	_, err = tenant.FinishExecution(t.Context(), first.Execution.ID, store.ExecutionEnd{Status: models.ExecutionFailed, At: time.Now()})
	require.NoError(t, err)
	retry := submit(b, from)
	retry.Attempt++
	second, err := a.Submit(t.Context(), retry)
	require.NoError(t, err)
	assert.NotEqual(t, first.Execution.ID, second.Execution.ID, "another attempt makes another one")

	_, err = tenant.UpdatePipeline(t.Context(), b.PipelineID, store.PipelineUpdate{Status: models.PipelinePaused})
	require.NoError(t, err)
	refused, err := a.Submit(t.Context(), submit(b, from.Add(time.Hour)))
	require.NoError(t, err)
	assert.Contains(t, refused.Refused, "paused")
}

// TestLoadCountsWhatHasCompleted although the row has not heard of it, and tells how the backfill stands.
func TestLoadCountsWhatHasCompleted(t *testing.T) {
	a, tenant, b := newBackfill(t, 3)
	end(t, a, tenant, b, from, models.ExecutionCompleted)
	require.NoError(t, a.Step(t.Context(), contract.StepBackfillInput{
		Tenant: tenantID, BackfillID: b.ID, Attempt: 1, Status: models.BackfillPaused, Reason: "paused by ada", At: time.Now(),
	}))
	plan, err := a.Load(t.Context(), contract.LoadBackfillInput{Tenant: tenantID, BackfillID: b.ID})
	require.NoError(t, err)
	assert.Equal(t, contract.BackfillPlan{
		Status: models.BackfillPaused, Reason: "paused by ada", Total: 3, Completed: 1, MaxParallel: 2,
	}, plan)
}

// TestAnEarlierAttemptIsNotHeard nor anything after the end.
func TestAnEarlierAttemptIsNotHeard(t *testing.T) {
	a, tenant, b := newBackfill(t, 3)
	step := func(attempt int, status models.BackfillStatus) models.Backfill {
		require.NoError(t, a.Step(t.Context(), contract.StepBackfillInput{
			Tenant: tenantID, BackfillID: b.ID, Attempt: attempt, Status: status, Counts: contract.BackfillCounts{Failed: 3}, At: time.Now(),
		}))
		now, err := tenant.Backfill(t.Context(), b.ID)
		require.NoError(t, err)
		return now
	}
	assert.Equal(t, models.BackfillFailed, step(1, models.BackfillFailed).Status)
	assert.Equal(t, models.BackfillFailed, step(1, models.BackfillRunning).Status)
	_, err := tenant.RetryBackfill(t.Context(), b.ID)
	require.NoError(t, err)
	assert.Zero(t, step(1, models.BackfillCancelled).Failed)
	assert.Equal(t, 3, step(2, models.BackfillPaused).Failed)
}

// TestABackfillThatIsNotThere, or is another tenant's, is final: no retry brings it.
func TestABackfillThatIsNotThere(t *testing.T) {
	a, _, b := newBackfill(t, 3)
	const other = models.TenantID("aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee")
	foreign := submit(b, from)
	foreign.Tenant = other
	_, loaded := a.Load(t.Context(), contract.LoadBackfillInput{Tenant: other, BackfillID: b.ID})
	_, next := a.Next(t.Context(), contract.NextDueTimesInput{Tenant: other, BackfillID: b.ID})
	_, submitted := a.Submit(t.Context(), foreign)
	stepped := a.Step(t.Context(), contract.StepBackfillInput{Tenant: other, BackfillID: b.ID, Attempt: 1, Status: models.BackfillPaused})
	for _, err := range []error{loaded, next, submitted, stepped} {
		var final *temporal.ApplicationError
		require.ErrorAs(t, err, &final)
		assert.True(t, final.NonRetryable())
	}
}
