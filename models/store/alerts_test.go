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

func TestAlertsAreAcknowledgedOnce(t *testing.T) {
	forEachDatabase(t, func(t *testing.T, s *Store) {
		ctx, tenant := t.Context(), s.newTenant()
		p := newPipeline(t, tenant)
		now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
		tell := func(occurrence string, severity models.Severity) models.Alert {
			t.Helper()
			require.NoError(t, tenant.OpenAlert(ctx, models.Alert{
				PipelineID: p.ID, Rule: models.AlertBudgetExceeded, Severity: severity, Occurrence: occurrence, LastSeen: now,
			}))
			open, err := tenant.UnresolvedAlerts(ctx, p.ID)
			require.NoError(t, err)
			return open[0]
		}
		a := tell("1", models.SeverityWarning)
		known, err := tenant.AcknowledgeAlert(ctx, a.ID, "ada", "looking", now.Add(time.Minute))
		require.NoError(t, err)
		assert.Equal(t, models.AlertAcknowledged, known.Status)
		assert.Equal(t, []any{"ada", "looking", now.Add(time.Minute)}, []any{known.AcknowledgedBy, known.Comment, known.AcknowledgedAt})
		again, err := tenant.AcknowledgeAlert(ctx, a.ID, "eve", "me, too", now.Add(time.Hour))
		require.NoError(t, err)
		assert.Equal(t, known, again)

		worse := tell("2", models.SeverityCritical)
		assert.Equal(t, models.AlertAcknowledged, worse.Status, "whoever knows of it still does")
		assert.EqualValues(t, 2, worse.Count)
		for f, want := range map[AlertFilter]int64{
			{}: 1, {Status: models.AlertOpen}: 0, {Status: models.AlertAcknowledged}: 1, {Severity: models.SeverityWarning}: 0,
			{Severity: models.SeverityCritical}: 1, {Status: models.AlertAcknowledged, Severity: models.SeverityCritical, PipelineID: p.ID}: 1,
		} {
			list, err := tenant.Alerts(ctx, f, models.Page{})
			require.NoError(t, err)
			assert.Equal(t, want, list.Total, "%+v", f)
			assert.Len(t, list.Items, int(want), "%+v", f)
		}

		require.NoError(t, tenant.ResolveAlert(ctx, p.ID, models.AlertBudgetExceeded, now))
		_, err = tenant.AcknowledgeAlert(ctx, a.ID, "ada", "", now)
		assertCode(t, models.CodeAlertResolved, err)
		resolved, err := tenant.Alert(ctx, a.ID)
		require.NoError(t, err)
		assert.Equal(t, "ada", resolved.AcknowledgedBy)
		assert.Equal(t, now, resolved.ResolvedAt)
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
