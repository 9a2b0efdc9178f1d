package store

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/matih/pipeline-service/models"
)

var (
	six   = time.Date(2026, 2, 12, 6, 0, 0, 0, time.UTC)
	seven = six.Add(time.Hour)
	eight = seven.Add(time.Hour)
)

// newSchedule makes a schedule that is next due at six.
func newSchedule(tb testing.TB, t *Tenant, p models.Pipeline, edit ...func(*models.Schedule)) models.Schedule {
	tb.Helper()
	s := models.Schedule{
		ID: models.NewID(models.PrefixSchedule), PipelineID: p.ID, Cron: "0 * * * *", Timezone: "UTC", Parameters: []byte(`{"a":1}`),
		Enabled: true, Note: "hourly", Overlap: models.OverlapSkip, CatchupWindow: time.Hour, Jitter: time.Minute,
		SkipDates: []string{"2026-12-25"}, CreatedBy: "ada",
	}
	for _, e := range edit {
		e(&s)
	}
	created, err := t.CreateSchedule(tb.Context(), s, six)
	require.NoError(tb, err)
	return created
}

func TestSchedulesKeepWhatTheyAreGiven(t *testing.T) {
	forEachDatabase(t, func(t *testing.T, s *Store) {
		tenant := s.newTenant()
		p := newPipeline(t, tenant)
		created := newSchedule(t, tenant, p)
		got, err := tenant.Schedule(t.Context(), created.ID)
		require.NoError(t, err)
		assert.Equal(t, created, got)
		assert.Equal(t, int64(1), got.Revision)
		now, err := tenant.Pipeline(t.Context(), p.ID)
		require.NoError(t, err)
		assert.Equal(t, models.PipelineActive, now.Status)
		again, err := tenant.CreateSchedule(t.Context(), created, eight)
		require.NoError(t, err)
		assert.Equal(t, created, again, "a repeated request finds it")

		created.Cron, created.Enabled, created.SkipDates = "0 0 * * *", false, nil
		_, err = tenant.UpdateSchedule(t.Context(), created, 7, time.Time{})
		assertCode(t, models.CodePreconditionFailed, err)
		updated, err := tenant.UpdateSchedule(t.Context(), created, 1, time.Time{})
		require.NoError(t, err)
		assert.Equal(t, int64(2), updated.Revision)
		assert.Empty(t, updated.SkipDates)
		late, err := s.LateSchedules(t.Context(), time.Time{}, eight, 10)
		require.NoError(t, err)
		assert.Empty(t, late, "a disabled one is never late")
	})
}

func TestAScheduleThatTemporalDoesNotKnow(t *testing.T) {
	forEachDatabase(t, func(t *testing.T, s *Store) {
		tenant := s.newTenant()
		p := newPipeline(t, tenant)
		created := newSchedule(t, tenant, p)
		unsynced := func() (ids []string) {
			found, err := s.UnsyncedSchedules(t.Context(), time.Now().Add(time.Minute), 10)
			require.NoError(t, err)
			for _, f := range found {
				ids = append(ids, f.ID)
			}
			return ids
		}
		assert.Equal(t, []string{created.ID}, unsynced())
		require.NoError(t, tenant.ScheduleSynced(t.Context(), created.ID, 1))
		assert.Empty(t, unsynced())
		_, err := tenant.UpdateSchedule(t.Context(), created, 0, seven)
		require.NoError(t, err)
		require.NoError(t, tenant.ScheduleSynced(t.Context(), created.ID, 1))
		assert.Equal(t, []string{created.ID}, unsynced(), "an earlier revision's news change nothing")

		deleted, err := tenant.DeleteSchedule(t.Context(), created.ID, 0)
		require.NoError(t, err)
		assert.True(t, deleted.Deleted)
		require.NoError(t, tenant.ScheduleSynced(t.Context(), created.ID, 2))
		assert.Equal(t, []string{created.ID}, unsynced())
		require.NoError(t, tenant.ScheduleSynced(t.Context(), created.ID, deleted.Revision))
		assert.Empty(t, unsynced())
		other := newSchedule(t, tenant, p)
		require.NoError(t, tenant.ArchivePipeline(t.Context(), p.ID, 0))
		_, err = tenant.Schedule(t.Context(), other.ID)
		assertCode(t, models.CodeNotFound, err)
		assert.Equal(t, []string{other.ID}, unsynced(), "archiving deletes them")
	})
}

func TestDueTimes(t *testing.T) {
	forEachDatabase(t, func(t *testing.T, s *Store) {
		tenant := s.newTenant()
		p := newPipeline(t, tenant)
		schedule := newSchedule(t, tenant, p)
		e := execution(p)
		e.ScheduleID, e.ExecutionDate = schedule.ID, six
		submitted, err := tenant.SubmitScheduled(t.Context(), e, seven)
		require.NoError(t, err)
		again, err := tenant.SubmitScheduled(t.Context(), e, seven)
		require.NoError(t, err)
		assert.Equal(t, submitted.ID, again.ID)
		late, err := s.LateSchedules(t.Context(), time.Time{}, eight, 10)
		require.NoError(t, err)
		require.Len(t, late, 1)
		assert.Equal(t, seven, late[0].Due)

		missed := models.DueTime{DueAt: seven, Outcome: models.DueMissed, Reason: "away"}
		require.NoError(t, tenant.RecordDue(t.Context(), schedule.ID, missed, eight))
		require.NoError(t, tenant.RecordDue(t.Context(), schedule.ID, missed, eight))
		got, err := tenant.Schedule(t.Context(), schedule.ID)
		require.NoError(t, err)
		assert.Equal(t, []models.DueTime{missed, {
			DueAt: six, Outcome: models.DueStarted, ExecutionID: submitted.ID, Status: models.ExecutionQueued,
		}}, got.Recent)
		for i := range 9 {
			require.NoError(t, tenant.RecordDue(t.Context(), schedule.ID,
				models.DueTime{DueAt: eight.Add(time.Duration(i) * time.Hour), Outcome: models.DueSkipped}, eight.Add(time.Duration(i+1)*time.Hour)))
		}
		list, err := tenant.Schedules(t.Context(), p.ID, models.Page{})
		require.NoError(t, err)
		require.Len(t, list.Items, 1)
		assert.Len(t, list.Items[0].Recent, 5)
		assert.Equal(t, eight.Add(8*time.Hour), list.Items[0].Recent[0].DueAt)
		assert.Equal(t, int64(1), list.Total)

		_, err = tenant.DeleteSchedule(t.Context(), schedule.ID, 0)
		require.NoError(t, err)
		assertCode(t, models.CodeNotFound, tenant.RecordDue(t.Context(), schedule.ID, missed, eight))
	})
}
