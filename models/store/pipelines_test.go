package store

import (
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/matih/pipeline-service/models"
)

func TestPipelineIsReadAsItWasCreated(t *testing.T) {
	forEachDatabase(t, func(t *testing.T, s *Store) {
		tenant := s.newTenant()
		now := time.Date(2026, 2, 12, 10, 30, 0, 123456789, time.FixedZone("", 3600))
		want := models.Pipeline{
			ID: models.NewID(models.PrefixPipeline), Name: `it's "sales" ü ? \`, Label: "1.0.0", Description: "two\nlines",
			Tags: []string{"b", "a", "b"}, Definition: json.RawMessage(`{"sql":"\u0000 ? '' \\"}`), CreatedBy: "ada", CreatedAt: now,
		}
		created, err := tenant.CreatePipeline(t.Context(), want)
		require.NoError(t, err)

		want.Tenant, want.Status, want.Version, want.Revision = tenant.id, models.PipelineCreated, 1, 1
		want.CreatedAt = now.UTC().Truncate(time.Microsecond)
		want.UpdatedAt = want.CreatedAt
		assert.Equal(t, want, created)
		read, err := tenant.Pipeline(t.Context(), want.ID)
		require.NoError(t, err)
		assert.Equal(t, want, read)

		version, err := tenant.PipelineVersion(t.Context(), want.ID, 1)
		require.NoError(t, err)
		assert.Equal(t, models.PipelineVersion{
			PipelineID: want.ID, Number: 1, Label: "1.0.0", Definition: want.Definition, CreatedBy: "ada", CreatedAt: want.CreatedAt,
		}, version)
		_, err = tenant.PipelineVersion(t.Context(), want.ID, 2)
		assertCode(t, models.CodeNotFound, err)
	})
}

func TestCreatePipelineAgain(t *testing.T) {
	forEachDatabase(t, func(t *testing.T, s *Store) {
		tenant := s.newTenant()
		p := newPipeline(t, tenant)
		again, err := tenant.CreatePipeline(t.Context(), models.Pipeline{ID: p.ID, Name: "another"})
		require.NoError(t, err)
		assert.Equal(t, p, again, "the same id is the same request")

		_, err = tenant.CreatePipeline(t.Context(), models.Pipeline{ID: models.NewID(models.PrefixPipeline), Name: p.Name})
		assertCode(t, models.CodeNameTaken, err)
		newPipeline(t, s.newTenant(), func(other *models.Pipeline) { other.Name = p.Name })
	})
}

func TestNameIsFreeAfterArchive(t *testing.T) {
	forEachDatabase(t, func(t *testing.T, s *Store) {
		tenant := s.newTenant()
		named := func(p *models.Pipeline) { p.Name = "sales" }
		var archived []string
		for range 3 {
			p := newPipeline(t, tenant, named)
			require.NoError(t, tenant.ArchivePipeline(t.Context(), p.ID, 0))
			archived = append([]string{p.ID}, archived...)
		}
		live := newPipeline(t, tenant, named)

		old, err := tenant.Pipeline(t.Context(), archived[0])
		require.NoError(t, err, "history stays")
		assert.Equal(t, models.PipelineArchived, old.Status)
		assert.Equal(t, int64(2), old.Revision)
		assert.NotEmpty(t, old.Definition)

		for _, c := range []struct {
			filter PipelineFilter
			want   []string
		}{
			{PipelineFilter{}, []string{live.ID}},
			{PipelineFilter{Name: "sales"}, []string{live.ID}},
			{PipelineFilter{Name: "sales", Status: models.PipelineArchived}, archived},
			{PipelineFilter{Tags: []string{"daily"}, Status: models.PipelineArchived}, archived},
		} {
			assertPipelines(t, tenant, c.filter, c.want)
		}

		assertCode(t, models.CodeNotFound, tenant.ArchivePipeline(t.Context(), archived[0], 0))
		_, err = tenant.UpdatePipeline(t.Context(), archived[0], PipelineUpdate{Name: "x"})
		assertCode(t, models.CodeNotFound, err)
		_, err = tenant.SubmitExecution(t.Context(), execution(old))
		assertCode(t, models.CodeNotFound, err)
	})
}

func assertPipelines(tb testing.TB, t *Tenant, f PipelineFilter, want []string) {
	tb.Helper()
	found, err := t.Pipelines(tb.Context(), f, models.Page{Size: 200})
	require.NoError(tb, err, "%+v", f)
	got := []string{}
	for _, p := range found.Items {
		got = append(got, p.ID)
		assert.Nil(tb, p.Definition, "lists are without definitions")
	}
	assert.Equal(tb, want, got, "%+v", f)
	assert.EqualValues(tb, len(want), found.Total, "%+v", f)
}

func TestUpdatePipelineMakesVersions(t *testing.T) {
	forEachDatabase(t, func(t *testing.T, s *Store) {
		tenant := s.newTenant()
		p := newPipeline(t, tenant)
		updated, err := tenant.UpdatePipeline(t.Context(), p.ID, PipelineUpdate{
			Name: "new", Label: "2.0.0", Description: "better", Tags: []string{"x"}, Definition: json.RawMessage(`{"v":2}`),
			Status: models.PipelinePaused, By: "bob", IfRevision: 1,
		})
		require.NoError(t, err)
		assert.Equal(t, 2, updated.Version)
		assert.Equal(t, int64(2), updated.Revision)
		assert.Equal(t, models.PipelinePaused, updated.Status)
		assert.Equal(t, "ada", updated.CreatedBy)
		read, err := tenant.Pipeline(t.Context(), p.ID)
		require.NoError(t, err)
		assert.Equal(t, updated, read)

		kept, err := tenant.UpdatePipeline(t.Context(), p.ID, PipelineUpdate{By: "eve"})
		require.NoError(t, err)
		assert.Equal(t, 3, kept.Version, "every update makes a version")
		assert.Equal(t, "new", kept.Name)
		assert.Equal(t, models.PipelinePaused, kept.Status)
		assert.JSONEq(t, `{"v":2}`, string(kept.Definition))

		for number, want := range map[int]models.PipelineVersion{
			1: {Label: "1.0.0", Definition: p.Definition, CreatedBy: "ada"},
			2: {Label: "2.0.0", Definition: json.RawMessage(`{"v":2}`), CreatedBy: "bob"},
			3: {Label: "", Definition: json.RawMessage(`{"v":2}`), CreatedBy: "eve"},
		} {
			got, err := tenant.PipelineVersion(t.Context(), p.ID, number)
			require.NoError(t, err)
			want.PipelineID, want.Number, want.CreatedAt = p.ID, number, got.CreatedAt
			assert.Equal(t, want, got, "versions are immutable")
		}
		assertPipelines(t, tenant, PipelineFilter{Tags: []string{"sales"}}, []string{})

		_, err = tenant.UpdatePipeline(t.Context(), p.ID, PipelineUpdate{Status: models.PipelineArchived})
		assertCode(t, models.CodeInvalidRequest, err)
		other := newPipeline(t, tenant)
		_, err = tenant.UpdatePipeline(t.Context(), p.ID, PipelineUpdate{Name: other.Name})
		assertCode(t, models.CodeNameTaken, err)
		read, err = tenant.Pipeline(t.Context(), p.ID)
		require.NoError(t, err)
		assert.Equal(t, 3, read.Version, "a refused update leaves nothing")
	})
}

func TestRevisionGuardsUpdates(t *testing.T) {
	forEachDatabase(t, func(t *testing.T, s *Store) {
		tenant := s.newTenant()
		p := newPipeline(t, tenant)
		var group sync.WaitGroup
		errs := make([]error, 10)
		for i := range errs {
			group.Go(func() {
				_, errs[i] = tenant.UpdatePipeline(t.Context(), p.ID, PipelineUpdate{Label: fmt.Sprint(i), IfRevision: 1})
			})
		}
		group.Wait()
		won := 0
		for _, err := range errs {
			if err == nil {
				won++
				continue
			}
			assertCode(t, models.CodePreconditionFailed, err)
		}
		assert.Equal(t, 1, won)
		assertCode(t, models.CodePreconditionFailed, tenant.ArchivePipeline(t.Context(), p.ID, 1))
		require.NoError(t, tenant.ArchivePipeline(t.Context(), p.ID, 2))
	})
}

func TestArchiveAndSubmitExcludeEachOther(t *testing.T) {
	forEachDatabase(t, func(t *testing.T, s *Store) {
		tenant := s.newTenant()
		for range 10 {
			p := newPipeline(t, tenant)
			var group sync.WaitGroup
			var archive, submission error
			group.Go(func() { archive = tenant.ArchivePipeline(t.Context(), p.ID, 0) })
			group.Go(func() { _, submission = tenant.SubmitExecution(t.Context(), execution(p)) })
			group.Wait()
			if archive == nil {
				assertCode(t, models.CodeNotFound, submission)
			} else {
				require.NoError(t, submission)
				assertCode(t, models.CodePipelineRunning, archive)
			}
		}
	})
}

func TestArchiveWhileRunningNamesTheExecutions(t *testing.T) {
	forEachDatabase(t, func(t *testing.T, s *Store) {
		tenant := s.newTenant()
		p := newPipeline(t, tenant)
		first, second := submit(t, tenant, p), submit(t, tenant, p)
		err := tenant.ArchivePipeline(t.Context(), p.ID, 0)
		assertCode(t, models.CodePipelineRunning, err)
		var e *models.Error
		require.ErrorAs(t, err, &e)
		assert.Equal(t, []string{first.ID, second.ID}, e.IDs)
		finish(t, tenant, first.ID, models.ExecutionCompleted)
		finish(t, tenant, second.ID, models.ExecutionFailed)
		require.NoError(t, tenant.ArchivePipeline(t.Context(), p.ID, 0))
	})
}

func TestPipelineFiltersAndPages(t *testing.T) {
	forEachDatabase(t, func(t *testing.T, s *Store) {
		tenant := s.newTenant()
		var ids []string // newest first
		tags := map[string][]string{}
		for i := range 7 {
			p := newPipeline(t, tenant, func(p *models.Pipeline) {
				p.Tags = []string{"all"}
				if i%2 == 0 {
					p.Tags = append(p.Tags, "even")
				}
				if i%3 == 0 {
					p.Tags = append(p.Tags, "three")
				}
			})
			ids = append([]string{p.ID}, ids...)
			for _, tag := range p.Tags {
				tags[tag] = append([]string{p.ID}, tags[tag]...)
			}
		}
		newPipeline(t, s.newTenant(), func(p *models.Pipeline) { p.Tags = []string{"all", "even"} })

		assertPipelines(t, tenant, PipelineFilter{}, ids)
		assertPipelines(t, tenant, PipelineFilter{Tags: []string{"even"}}, tags["even"])
		assertPipelines(t, tenant, PipelineFilter{Tags: []string{"three", "even", "even"}}, []string{ids[0], ids[6]})
		assertPipelines(t, tenant, PipelineFilter{Tags: []string{"none"}}, []string{})
		assertPipelines(t, tenant, PipelineFilter{Status: models.PipelineCreated}, ids)
		assertPipelines(t, tenant, PipelineFilter{Status: models.PipelineActive}, []string{})

		page, err := tenant.Pipelines(t.Context(), PipelineFilter{}, models.Page{Number: 1, Size: 3})
		require.NoError(t, err)
		assert.EqualValues(t, 7, page.Total)
		assert.Len(t, page.Items, 3)
		assert.Equal(t, ids[3], page.Items[0].ID)
		page, err = tenant.Pipelines(t.Context(), PipelineFilter{}, models.Page{Number: 1 << 31, Size: 200})
		require.NoError(t, err)
		assert.Empty(t, page.Items, "beyond the end there is nothing")
		assert.EqualValues(t, 7, page.Total)
	})
}

func TestPipelineQuota(t *testing.T) {
	forEachDatabase(t, func(t *testing.T, s *Store) {
		s.Quotas.Pipelines = 3
		tenant := s.newTenant()
		errs := make([]error, 10)
		var group sync.WaitGroup
		for i := range errs {
			group.Go(func() {
				_, errs[i] = tenant.CreatePipeline(t.Context(), models.Pipeline{ID: models.NewID(models.PrefixPipeline), Name: fmt.Sprint(i)})
			})
		}
		group.Wait()
		for _, err := range errs {
			if err != nil {
				assertCode(t, models.CodeQuotaExceeded, err)
			}
		}
		assert.Equal(t, 3, rowsOf(t, tenant, "pipelines"), "a refused one leaves nothing")
		assert.Equal(t, 3, rowsOf(t, tenant, "pipeline_versions"))
		newPipeline(t, s.newTenant())
	})
}
