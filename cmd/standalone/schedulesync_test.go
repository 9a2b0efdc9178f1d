package main

import (
	"errors"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/testsuite"

	"github.com/matih/pipeline-service/activities/schedule"
	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/contract"
	"github.com/matih/pipeline-service/models/store"
)

// syncing compares the schedules of a tenant with those of a real Temporal server.
type syncing struct {
	*store.Tenant
	t        *testing.T
	temporal client.Client
	sync     *schedule.Sync
	env      *testsuite.TestActivityEnvironment
	now      time.Time
	n        int
}

func newSyncing(t *testing.T) *syncing {
	t.Helper()
	c, s := startBackends(t)
	y := &syncing{Tenant: s.ForTenant("11111111-2222-4333-8444-555555555555"), t: t, temporal: c, now: time.Now().Truncate(time.Minute)}
	y.sync = &schedule.Sync{Store: s, Client: c, Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return y.now }}
	y.env = new(testsuite.WorkflowTestSuite).NewTestActivityEnvironment()
	y.env.RegisterActivity(y.sync.Run)
	return y
}

// schedule makes a pipeline with a schedule that Temporal knows and whose next due time was so long ago. In Temporal it
// is due on New Year's Day only, so that nothing happens by itself.
func (y *syncing) schedule(late time.Duration, edit func(*models.Schedule)) models.Schedule {
	y.t.Helper()
	y.n++
	p, err := y.CreatePipeline(y.t.Context(), models.Pipeline{
		ID: models.NewID(models.PrefixPipeline), Name: "p" + string(rune('a'+y.n)), Definition: []byte(`{}`)})
	require.NoError(y.t, err)
	s := models.Schedule{
		ID: models.NewID(models.PrefixSchedule), PipelineID: p.ID, Cron: "0 0 1 1 *", Timezone: "UTC", Enabled: true,
		Overlap: models.OverlapSkip, CatchupWindow: time.Hour, CreatedBy: "ada",
	}
	if edit != nil {
		edit(&s)
	}
	s, err = y.CreateSchedule(y.t.Context(), s, y.now.Add(-late))
	require.NoError(y.t, err)
	require.NoError(y.t, contract.ApplySchedule(y.t.Context(), y.temporal.ScheduleClient(), s))
	require.NoError(y.t, y.ScheduleSynced(y.t.Context(), s.ID, s.Revision))
	return s
}

func (y *syncing) run() contract.SyncSchedulesResult {
	y.t.Helper()
	encoded, err := y.env.ExecuteActivity(y.sync.Run)
	require.NoError(y.t, err)
	var result contract.SyncSchedulesResult
	require.NoError(y.t, encoded.Get(&result))
	return result
}

func (y *syncing) describe(id string) (*client.ScheduleDescription, error) {
	return y.temporal.ScheduleClient().GetHandle(y.t.Context(), id).Describe(y.t.Context())
}

// told requires what a schedule says of its late due time, and whether there is an alert.
func (y *syncing) told(s models.Schedule, outcome models.DueOutcome, reason string, alerts int) {
	y.t.Helper()
	s, err := y.Schedule(y.t.Context(), s.ID)
	require.NoError(y.t, err)
	require.NotEmpty(y.t, s.Recent)
	assert.Equal(y.t, outcome, s.Recent[0].Outcome)
	assert.Contains(y.t, s.Recent[0].Reason, reason)
	open, err := y.UnresolvedAlerts(y.t.Context(), s.PipelineID)
	require.NoError(y.t, err)
	assert.Len(y.t, open, alerts)
	for _, a := range open {
		assert.Equal(y.t, models.AlertScheduleMissed, a.Rule)
		assert.Contains(y.t, a.Message, reason)
	}
}

func TestLateSchedulesAreExplained(t *testing.T) {
	y := newSyncing(t)
	outage := y.schedule(3*time.Hour, nil)
	lost := y.schedule(20*time.Minute, nil)
	recent := y.schedule(5*time.Minute, nil)
	paused := y.schedule(5*time.Minute, nil)
	require.NoError(t, y.temporal.ScheduleClient().GetHandle(t.Context(), paused.ID).Pause(t.Context(), client.SchedulePauseOptions{Note: "not tonight"}))

	// One whose execution of an earlier due time still runs.
	skipped := y.schedule(2*time.Hour, nil)
	_, err := y.SubmitScheduled(t.Context(), models.Execution{
		ID: models.NewID(models.PrefixExecution), PipelineID: skipped.PipelineID, ScheduleID: skipped.ID, ExecutionDate: y.now.Add(-2 * time.Hour),
		MaxActiveRuns: 1,
	}, y.now.Add(-90*time.Minute))
	require.NoError(t, err)

	assert.Equal(t, contract.SyncSchedulesResult{Skipped: 1, Missed: 3}, y.run())
	y.told(outage, models.DueMissed, "the service was away for longer than the catch-up window of 1h0m0s", 1)
	y.told(lost, models.DueMissed, "Temporal has not started it", 1)
	y.told(paused, models.DueMissed, "its Temporal Schedule is paused there: not tonight", 1)
	y.told(skipped, models.DueSkipped, "the execution of an earlier due time had not ended", 0)
	now, err := y.Schedule(t.Context(), recent.ID)
	require.NoError(t, err)
	assert.Empty(t, now.Recent, "it may still come")
	assert.Equal(t, contract.SyncSchedulesResult{}, y.run(), "each is told of once")
}

// TestARemovedTemporalScheduleIsMadeAgain and makes up for what was missed meanwhile.
func TestARemovedTemporalScheduleIsMadeAgain(t *testing.T) {
	y := newSyncing(t)
	s := y.schedule(5*time.Minute, func(s *models.Schedule) { s.Cron, s.Overlap = "* * * * *", models.OverlapAllowAll })
	require.NoError(t, y.temporal.ScheduleClient().GetHandle(t.Context(), s.ID).Delete(t.Context()))
	var missing *serviceerror.NotFound
	require.Eventually(t, func() bool {
		_, err := y.describe(s.ID)
		return errors.As(err, &missing)
	}, 10*time.Second, 20*time.Millisecond)
	assert.Equal(t, contract.SyncSchedulesResult{}, y.run())
	require.Eventually(t, func() bool {
		described, err := y.describe(s.ID)
		require.NoError(t, err)
		var started []string
		for _, a := range described.Info.RecentActions {
			started = append(started, a.StartWorkflowResult.WorkflowID)
		}
		for ago := range 6 {
			if !slices.Contains(started, s.ID+"-"+y.now.Add(-time.Duration(ago)*time.Minute).UTC().Format(time.RFC3339)) {
				return false
			}
		}
		return true
	}, 30*time.Second, 50*time.Millisecond, "every due time since, the late one included")
}

func TestChangesThatTemporalDoesNotKnowAreApplied(t *testing.T) {
	y := newSyncing(t)
	s := y.schedule(-time.Hour, nil)
	s.Enabled, s.Note = false, "not yet"
	s, err := y.UpdateSchedule(t.Context(), s, 0, time.Time{})
	require.NoError(t, err)
	assert.Zero(t, y.run().Applied, "the API may be at it")
	y.now = y.now.Add(2 * time.Minute)
	assert.Equal(t, contract.SyncSchedulesResult{Applied: 1}, y.run())
	described, err := y.describe(s.ID)
	require.NoError(t, err)
	assert.True(t, described.Schedule.State.Paused)
	assert.Equal(t, "not yet", described.Schedule.State.Note)
	assert.Zero(t, y.run().Applied)

	_, err = y.DeleteSchedule(t.Context(), s.ID, 0)
	require.NoError(t, err)
	assert.Equal(t, contract.SyncSchedulesResult{Applied: 1}, y.run())
	var missing *serviceerror.NotFound
	require.Eventually(t, func() bool {
		_, err := y.describe(s.ID)
		return errors.As(err, &missing)
	}, 10*time.Second, 20*time.Millisecond)
	assert.Zero(t, y.run().Applied)
}
