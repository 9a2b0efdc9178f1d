package store

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/matih/pipeline-service/models"
)

func TestWebhooksAreToldOfWhatTheyWantToKnow(t *testing.T) {
	forEachDatabase(t, func(t *testing.T, s *Store) {
		ctx, tenant := t.Context(), s.newTenant()
		p := newPipeline(t, tenant)
		now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
		begin := func(notify ...[]models.Event) models.Execution {
			t.Helper()
			e := submit(t, tenant, p)
			plan(t, tenant, e.ID, "raw")
			require.NoError(t, tenant.Watch(ctx, e.ID, Watch{MaxDuration: time.Hour, Notify: notify}))
			require.NoError(t, tenant.StartTask(ctx, e.ID, models.TaskRun{Name: "raw", Attempts: 1, StartedAt: now}))
			require.NoError(t, tenant.StartTask(ctx, e.ID, models.TaskRun{Name: "raw", Attempts: 2, StartedAt: now}))
			return e
		}
		told := func(e models.Execution) (ids []string) {
			t.Helper()
			found, err := tenant.Notifications(ctx, e.ID)
			require.NoError(t, err)
			for _, n := range found {
				assert.Equal(t, []string{e.ID, p.ID}, []string{n.ExecutionID, n.PipelineID})
				ids = append(ids, n.ID)
				require.NoError(t, tenant.NotificationStarted(ctx, n.ID))
			}
			return ids
		}
		end := func(e models.Execution, status models.ExecutionStatus, after time.Duration, checks ...FailedCheck) {
			t.Helper()
			_, err := tenant.FinishExecution(ctx, e.ID, ExecutionEnd{Status: status, At: now.Add(after), Checks: checks})
			require.NoError(t, err)
		}
		id := func(e models.Execution, rest string) string { return "notify-" + e.ID + "-" + rest }

		e := begin([]models.Event{models.EventStarted, models.EventFailed, models.EventApprovalRequested},
			[]models.Event{models.EventFailed, models.EventQualityCheckFailed, models.EventSLAMissed})
		all, err := s.Notifications(ctx, now.Add(time.Second), 10)
		require.NoError(t, err)
		assert.Equal(t, []models.Notification{{
			ID: id(e, "started-0"), Tenant: tenant.id, ExecutionID: e.ID, PipelineID: p.ID, Event: models.EventStarted, At: now,
		}}, all)
		assert.Equal(t, []string{id(e, "started-0")}, told(e))
		waiting(t, tenant, e, "gate")
		assert.Equal(t, []string{id(e, "approval_requested-0-gate")}, told(e))
		_, err = s.TellOverdue(ctx, now.Add(2*time.Hour), 10)
		require.NoError(t, err)
		assert.Equal(t, []string{id(e, "sla_missed-1")}, told(e))
		end(e, models.ExecutionFailed, 3*time.Hour, FailedCheck{Name: "check", Severity: models.SeverityCritical})
		end(e, models.ExecutionFailed, 3*time.Hour)
		assert.Equal(t, []string{id(e, "failed-0"), id(e, "failed-1"), id(e, "quality_check_failed-1")}, told(e), "that it is late was told")

		e = begin([]models.Event{models.EventCompleted, models.EventSLAMissed})
		end(e, models.ExecutionCompleted, 2*time.Hour)
		assert.Equal(t, []string{id(e, "completed-0"), id(e, "sla_missed-0")}, told(e), "no sweep has told it")
		e = begin([]models.Event{models.EventCompleted}, []models.Event{models.EventCancelled})
		end(e, models.ExecutionCancelled, time.Minute)
		assert.Equal(t, []string{id(e, "cancelled-1")}, told(e))
		e = begin()
		end(e, models.ExecutionFailed, time.Minute)
		assert.Empty(t, told(e))
	})
}
