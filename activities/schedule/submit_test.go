package schedule_test

import (
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/matih/pipeline-service/activities/schedule"
	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/contract"
	"github.com/matih/pipeline-service/models/store"
	"github.com/matih/pipeline-service/models/submission"
)

const tenantID = models.TenantID("11111111-2222-4333-8444-555555555555")

var due = time.Date(2026, 2, 12, 6, 0, 0, 0, time.UTC)

// newSubmissions opens an empty database and makes a pipeline in it.
func newSubmissions(t *testing.T) (*schedule.Submissions, *store.Tenant, models.Pipeline) {
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
	return &schedule.Submissions{Store: s, Log: slog.New(slog.DiscardHandler), Defaults: submission.Defaults{
		Engine: models.EngineTemporal, Estimate: time.Minute,
	}}, tenant, p
}

func newSchedule(t *testing.T, tenant *store.Tenant, p models.Pipeline, overlap models.OverlapPolicy) models.Schedule {
	t.Helper()
	s, err := tenant.CreateSchedule(t.Context(), models.Schedule{
		ID: models.NewID(models.PrefixSchedule), PipelineID: p.ID, Cron: "0 * * * *", Timezone: "UTC", Enabled: true, Overlap: overlap,
		CatchupWindow: time.Hour, CreatedBy: "ada",
	}, due)
	require.NoError(t, err)
	return s
}

// at is a due time some hours after the first.
func at(s models.Schedule, hours int) contract.SubmitScheduledInput {
	time := due.Add(time.Duration(hours) * time.Hour)
	return contract.SubmitScheduledInput{
		Tenant: tenantID, ScheduleID: s.ID, WorkflowID: s.ID + time.String(), DueAt: time, StartedAt: time.Add(1),
	}
}

func TestADueTimeMakesOneExecution(t *testing.T) {
	a, tenant, p := newSubmissions(t)
	s := newSchedule(t, tenant, p, models.OverlapBufferAll)
	first, err := a.Submit(t.Context(), at(s, 0))
	require.NoError(t, err)
	require.NotNil(t, first.Execution)
	assert.Equal(t, due, first.Execution.ExecutionDate.UTC())
	assert.Equal(t, models.TriggerSchedule, first.Execution.Trigger)
	assert.Equal(t, "ada", first.Execution.SubmittedBy)
	again, err := a.Submit(t.Context(), at(s, 0))
	require.NoError(t, err)
	assert.Equal(t, first.Execution.ID, again.Execution.ID)

	busy, err := a.Submit(t.Context(), at(s, 1))
	require.NoError(t, err)
	assert.Contains(t, busy.Busy, first.Execution.ID)
	now, err := tenant.Schedule(t.Context(), s.ID)
	require.NoError(t, err)
	assert.Len(t, now.Recent, 1, "nothing is known of what waits")

	withdrawn := at(s, 1)
	withdrawn.Withdrawn = true
	answer, err := a.Submit(t.Context(), withdrawn)
	require.NoError(t, err)
	assert.Equal(t, contract.Submitted{Refused: "cancelled before it could be executed"}, answer)
	now, err = tenant.Schedule(t.Context(), s.ID)
	require.NoError(t, err)
	assert.Equal(t, models.DueTime{DueAt: due.Add(time.Hour), Outcome: models.DueSkipped, Reason: answer.Refused}, now.Recent[0])
}

func TestOverlapSkipLeavesOut(t *testing.T) {
	a, tenant, p := newSubmissions(t)
	s := newSchedule(t, tenant, p, models.OverlapSkip)
	_, err := a.Submit(t.Context(), at(s, 0))
	require.NoError(t, err)
	answer, err := a.Submit(t.Context(), at(s, 1))
	require.NoError(t, err)
	assert.NotEmpty(t, answer.Refused)
	now, err := tenant.Schedule(t.Context(), s.ID)
	require.NoError(t, err)
	assert.Equal(t, models.DueSkipped, now.Recent[0].Outcome)
	alerts, err := tenant.UnresolvedAlerts(t.Context(), p.ID)
	require.NoError(t, err)
	assert.Empty(t, alerts)
}

// TestARefusalOpensAnAlert that the next execution resolves.
func TestARefusalOpensAnAlert(t *testing.T) {
	a, tenant, p := newSubmissions(t)
	s := newSchedule(t, tenant, p, models.OverlapSkip)
	set := func(status models.PipelineStatus) {
		_, err := tenant.UpdatePipeline(t.Context(), p.ID, store.PipelineUpdate{Status: status})
		require.NoError(t, err)
	}
	set(models.PipelinePaused)
	for range 2 {
		answer, err := a.Submit(t.Context(), at(s, 0))
		require.NoError(t, err)
		assert.Contains(t, answer.Refused, "paused")
	}
	now, err := tenant.Schedule(t.Context(), s.ID)
	require.NoError(t, err)
	require.Len(t, now.Recent, 1)
	assert.Equal(t, models.DueRefused, now.Recent[0].Outcome)
	alerts, err := tenant.UnresolvedAlerts(t.Context(), p.ID)
	require.NoError(t, err)
	require.Len(t, alerts, 1)
	assert.Equal(t, models.AlertScheduleMissed, alerts[0].Rule)
	set(models.PipelineActive)
	answer, err := a.Submit(t.Context(), at(s, 1))
	require.NoError(t, err)
	require.NotNil(t, answer.Execution)
	alerts, err = tenant.UnresolvedAlerts(t.Context(), p.ID)
	require.NoError(t, err)
	assert.Empty(t, alerts)
}

func TestADeletedScheduleMakesNothing(t *testing.T) {
	a, tenant, p := newSubmissions(t)
	s := newSchedule(t, tenant, p, models.OverlapSkip)
	_, err := tenant.DeleteSchedule(t.Context(), s.ID, 0)
	require.NoError(t, err)
	answer, err := a.Submit(t.Context(), at(s, 0))
	require.NoError(t, err)
	assert.Equal(t, contract.Submitted{Refused: "the schedule is deleted"}, answer)
	foreign := at(s, 0)
	foreign.Tenant = "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"
	answer, err = a.Submit(t.Context(), foreign)
	require.NoError(t, err)
	assert.Equal(t, "the schedule is deleted", answer.Refused, "another tenant learns nothing")
}
