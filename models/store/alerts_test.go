package store

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/matih/pipeline-service/models"
)

func TestAlertsCountUpAndAreResolvedByGoodNews(t *testing.T) {
	forEachDatabase(t, func(t *testing.T, s *Store) {
		ctx, tenant := t.Context(), s.newTenant()
		p := newPipeline(t, tenant)
		start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
		tell := func(occurrence string, after time.Duration) {
			t.Helper()
			require.NoError(t, tenant.OpenAlert(ctx, models.Alert{
				PipelineID: p.ID, Rule: models.AlertSLAMissed, Severity: models.SeverityWarning,
				Message: occurrence + " is late", Occurrence: occurrence, LastSeen: start.Add(after),
			}))
		}
		only := func() models.Alert {
			t.Helper()
			alerts, err := tenant.UnresolvedAlerts(ctx, p.ID)
			require.NoError(t, err)
			require.Len(t, alerts, 1)
			return alerts[0]
		}

		tell("exec-1", 0)
		first := only()
		assert.True(t, models.IsID(models.PrefixAlert, first.ID))
		assert.Equal(t, models.AlertOpen, first.Status)
		assert.Equal(t, start, first.FirstSeen)

		tell("exec-1", time.Minute)
		assert.Equal(t, first, only(), "the same occurrence told again changes nothing")

		tell("exec-2", 2*time.Minute)
		second := only()
		assert.Equal(t, first.ID, second.ID)
		assert.EqualValues(t, 2, second.Count)
		assert.Equal(t, "exec-2 is late", second.Message)
		assert.Equal(t, start, second.FirstSeen)
		assert.Equal(t, start.Add(2*time.Minute), second.LastSeen)

		tell("exec-1", time.Minute)
		assert.Equal(t, second, only(), "what comes late changes nothing")

		require.NoError(t, tenant.ResolveAlert(ctx, p.ID, models.AlertSLAMissed, start.Add(time.Minute)))
		assert.Equal(t, second, only(), "old good news resolve nothing")
		require.NoError(t, tenant.ResolveAlert(ctx, p.ID, models.AlertFreshness, start.Add(time.Hour)))
		assert.Equal(t, second, only(), "nor do those of another rule")
		require.NoError(t, tenant.ResolveAlert(ctx, p.ID, models.AlertSLAMissed, start.Add(3*time.Minute)))
		alerts, err := tenant.UnresolvedAlerts(ctx, p.ID)
		require.NoError(t, err)
		assert.Empty(t, alerts)

		tell("exec-3", 4*time.Minute)
		third := only()
		assert.NotEqual(t, first.ID, third.ID, "a resolved alert stays so; the next one is new")
		assert.EqualValues(t, 1, third.Count)
	})
}

func TestAlertsBelongToTheirTenant(t *testing.T) {
	forEachDatabase(t, func(t *testing.T, s *Store) {
		ctx, own, other := t.Context(), s.newTenant(), s.newTenant()
		p := newPipeline(t, own)
		a := models.Alert{PipelineID: p.ID, Rule: models.AlertFreshness, Severity: models.SeverityWarning, Message: "old"}
		assertCode(t, models.CodeNotFound, other.OpenAlert(ctx, a))
		require.NoError(t, own.OpenAlert(ctx, a))
		assertCode(t, models.CodeNotFound, other.ResolveAlert(ctx, p.ID, models.AlertFreshness, time.Now().Add(time.Hour)))
		alerts, err := own.UnresolvedAlerts(ctx, p.ID)
		require.NoError(t, err)
		assert.Len(t, alerts, 1)
		_, err = other.UnresolvedAlerts(ctx, p.ID)
		assertCode(t, models.CodeNotFound, err)
	})
}
