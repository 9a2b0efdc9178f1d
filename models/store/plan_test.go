package store

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/matih/pipeline-service/models"
)

// newPlan makes a plan of a tenant with a finding about its step "raw".
func newPlan(tb testing.TB, t *Tenant, edit ...func(*models.Plan)) models.Plan {
	tb.Helper()
	p := models.Plan{
		ID: models.NewID(models.PrefixPlan), Tenant: t.id, PipelineID: models.NewID(models.PrefixPipeline), Definition: json.RawMessage(`{"sources":{}}`),
		Parameters: json.RawMessage(`{"day":"2026-02-01"}`), Sample: 5, CreatedAt: time.Now().Truncate(time.Microsecond),
	}
	for _, e := range edit {
		e(&p)
	}
	require.NoError(tb, t.CreatePlan(tb.Context(), p))
	require.NoError(tb, t.RecordStep(tb.Context(), p.ID, models.PlannedStep{
		Name: "raw", Output: "x/plan/raw/1", Finding: models.Finding{Columns: []models.Column{{Name: "id", Type: "BIGINT"}}},
	}))
	return p
}

func TestPlansLiveUntilTheyAreDeleted(t *testing.T) {
	forEachDatabase(t, func(t *testing.T, s *Store) {
		tenant := s.newTenant()
		p := newPlan(t, tenant)
		got, err := tenant.Plan(t.Context(), p.ID)
		require.NoError(t, err)
		assert.True(t, got.CreatedAt.Equal(p.CreatedAt))
		got.CreatedAt = p.CreatedAt
		assert.Equal(t, p, got)

		one := "1"
		sink := models.PlannedStep{Name: "out", Finding: models.Finding{
			Rows: []map[string]*string{{"id": &one, "name": nil}},
			Sink: &models.SinkFinding{Exists: true, Changes: []models.ColumnChange{{Column: "id", Change: models.ColumnAdded, To: "bigint"}}},
		}}
		require.NoError(t, tenant.RecordStep(t.Context(), p.ID, sink))
		failed := models.PlannedStep{Name: "raw", Finding: models.Finding{Error: &models.ExecutionError{Task: "raw", Class: models.ClassSQL, Message: "no"}}}
		require.NoError(t, tenant.RecordStep(t.Context(), p.ID, failed), "another attempt found something else")
		all, err := tenant.PlannedSteps(t.Context(), p.ID)
		require.NoError(t, err)
		assert.ElementsMatch(t, []models.PlannedStep{sink, failed}, all)
		some, err := tenant.PlannedSteps(t.Context(), p.ID, "raw", "nothing")
		require.NoError(t, err)
		assert.Equal(t, []models.PlannedStep{failed}, some)

		require.NoError(t, tenant.DeletePlan(t.Context(), p.ID))
		require.NoError(t, tenant.DeletePlan(t.Context(), p.ID), "again")
		_, err = tenant.Plan(t.Context(), p.ID)
		assertCode(t, models.CodeNotFound, err)
		assertCode(t, models.CodeNotFound, tenant.RecordStep(t.Context(), p.ID, failed))
		assert.Zero(t, rowsOf(t, tenant, "plans"))
		assert.Zero(t, rowsOf(t, tenant, "plan_steps"))
	})
}

func TestForgottenPlansArePurged(t *testing.T) {
	forEachDatabase(t, func(t *testing.T, s *Store) {
		old := func(p *models.Plan) { p.CreatedAt = time.Now().Add(-2 * time.Hour) }
		a, b := s.newTenant(), s.newTenant()
		newPlan(t, a, old)
		newPlan(t, a, old)
		newPlan(t, b, old)
		kept := newPlan(t, a)
		purged := 0
		for range 2 {
			n, err := s.PurgePlans(t.Context(), time.Now().Add(-time.Hour), 2)
			require.NoError(t, err)
			purged += n
		}
		assert.Equal(t, 3, purged)
		_, err := a.Plan(t.Context(), kept.ID)
		require.NoError(t, err)
		for _, table := range []string{"plans", "plan_steps"} {
			assert.Equal(t, 1, rowsOf(t, a, table), table)
			assert.Zero(t, rowsOf(t, b, table), table)
		}
	})
}

// TestARehearsalChecksAndWritesNothing saves pipelines in a part of the store that only rehearses.
func TestARehearsalChecksAndWritesNothing(t *testing.T) {
	forEachDatabase(t, func(t *testing.T, s *Store) {
		s.Quotas.Pipelines = 2
		tenant := s.newTenant()
		there := newPipeline(t, tenant, func(p *models.Pipeline) { p.Name = "taken" })
		rehearsal := Rehearsal(tenant)
		fresh := func(name string) models.Pipeline {
			return models.Pipeline{ID: models.NewID(models.PrefixPipeline), Name: name, Definition: json.RawMessage(`{}`), Tags: []string{"x"}}
		}
		created, err := rehearsal.CreatePipeline(t.Context(), fresh("new"))
		require.NoError(t, err)
		assert.Equal(t, "new", created.Name)
		_, err = rehearsal.CreatePipeline(t.Context(), fresh("taken"))
		assertCode(t, models.CodeNameTaken, err)

		updated, err := rehearsal.UpdatePipeline(t.Context(), there.ID, PipelineUpdate{Name: "renamed", Definition: json.RawMessage(`{"a":1}`)})
		require.NoError(t, err)
		assert.Equal(t, 2, updated.Version)
		_, err = rehearsal.UpdatePipeline(t.Context(), there.ID, PipelineUpdate{IfRevision: 7})
		assertCode(t, models.CodePreconditionFailed, err)
		now, err := tenant.Pipeline(t.Context(), there.ID)
		require.NoError(t, err)
		assert.Equal(t, there.Revision, now.Revision)
		assert.Equal(t, "taken", now.Name)
		assert.Equal(t, 1, rowsOf(t, tenant, "pipelines"))

		newPipeline(t, tenant)
		_, err = rehearsal.CreatePipeline(t.Context(), fresh("one too many"))
		assertCode(t, models.CodeQuotaExceeded, err)
	})
}
