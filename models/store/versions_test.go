package store

import (
	"encoding/json"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/matih/pipeline-service/models"
)

func TestPipelineVersions(t *testing.T) {
	forEachDatabase(t, func(t *testing.T, s *Store) {
		tenant := s.newTenant()
		p := newPipeline(t, tenant)
		newPipeline(t, tenant)
		for i := 2; i <= 5; i++ {
			_, err := tenant.UpdatePipeline(t.Context(), p.ID, PipelineUpdate{
				Label: fmt.Sprint(i), Definition: json.RawMessage(fmt.Sprintf(`{"v":%d}`, i)), By: "bob",
			})
			require.NoError(t, err)
		}
		numbers := func(page models.Page) (numbers []int) {
			found, err := tenant.PipelineVersions(t.Context(), p.ID, page)
			require.NoError(t, err)
			assert.EqualValues(t, 5, found.Total)
			for _, v := range found.Items {
				assert.Equal(t, p.ID, v.PipelineID)
				assert.Nil(t, v.Definition, "lists are without definitions")
				numbers = append(numbers, v.Number)
			}
			return numbers
		}
		assert.Equal(t, []int{5, 4, 3, 2, 1}, numbers(models.Page{}))
		assert.Equal(t, []int{3, 2}, numbers(models.Page{Number: 1, Size: 2}))
		assert.Equal(t, []int{1}, numbers(models.Page{Number: 2, Size: 2}))
		assert.Empty(t, numbers(models.Page{Number: 1 << 31, Size: 200}))

		found, err := tenant.PipelineVersions(t.Context(), p.ID, models.Page{Size: 1})
		require.NoError(t, err)
		assert.Equal(t, "5", found.Items[0].Label)
		assert.Equal(t, "bob", found.Items[0].CreatedBy)
		require.NoError(t, tenant.ArchivePipeline(t.Context(), p.ID, 0))
		assert.Len(t, numbers(models.Page{}), 5, "history stays")
	})
}

func TestActivateVersion(t *testing.T) {
	forEachDatabase(t, func(t *testing.T, s *Store) {
		tenant := s.newTenant()
		p := newPipeline(t, tenant)
		_, err := tenant.UpdatePipeline(t.Context(), p.ID, PipelineUpdate{
			Name: "new", Label: "2.0.0", Description: "better", Tags: []string{"x"}, Definition: json.RawMessage(`{"v":2}`),
			Status: models.PipelinePaused, By: "bob",
		})
		require.NoError(t, err)

		active, err := tenant.ActivateVersion(t.Context(), p.ID, Activation{Number: 1, By: "eve", IfRevision: 2})
		require.NoError(t, err)
		assert.Equal(t, 3, active.Version)
		assert.EqualValues(t, 3, active.Revision)
		assert.Equal(t, p.Label, active.Label)
		assert.JSONEq(t, string(p.Definition), string(active.Definition))
		assert.Equal(t, "new", active.Name, "the rest stays")
		assert.Equal(t, "better", active.Description)
		assert.Equal(t, []string{"x"}, active.Tags)
		assert.Equal(t, models.PipelinePaused, active.Status)
		read, err := tenant.Pipeline(t.Context(), p.ID)
		require.NoError(t, err)
		assert.Equal(t, active, read)
		version, err := tenant.PipelineVersion(t.Context(), p.ID, 3)
		require.NoError(t, err)
		assert.Equal(t, "eve", version.CreatedBy)
		assertPipelines(t, tenant, PipelineFilter{Tags: []string{"x"}}, []string{p.ID})

		_, err = tenant.ActivateVersion(t.Context(), p.ID, Activation{Number: 2, By: "eve", IfRevision: 2})
		assertCode(t, models.CodePreconditionFailed, err)
		for _, number := range []int{0, 4, -1} {
			_, err = tenant.ActivateVersion(t.Context(), p.ID, Activation{Number: number, By: "eve", IfRevision: 0})
			assertCode(t, models.CodeNotFound, err)
		}
		require.NoError(t, tenant.ArchivePipeline(t.Context(), p.ID, 0))
		_, err = tenant.ActivateVersion(t.Context(), p.ID, Activation{Number: 1, By: "eve", IfRevision: 0})
		assertCode(t, models.CodeNotFound, err)
		assert.Equal(t, 3, rowsOf(t, tenant, "pipeline_versions"), "a refused activation leaves nothing")
	})
}

func TestSimultaneousActivationsMakeOneVersionEach(t *testing.T) {
	forEachDatabase(t, func(t *testing.T, s *Store) {
		tenant := s.newTenant()
		p := newPipeline(t, tenant)
		numbers := make([]int, 8)
		var group sync.WaitGroup
		for i := range numbers {
			group.Go(func() {
				active, err := tenant.ActivateVersion(t.Context(), p.ID, Activation{Number: 1, By: "eve", IfRevision: 0})
				assert.NoError(t, err)
				numbers[i] = active.Version
			})
		}
		group.Wait()
		assert.ElementsMatch(t, []int{2, 3, 4, 5, 6, 7, 8, 9}, numbers)
	})
}
