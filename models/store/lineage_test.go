package store

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/lineage"
)

// reading is a pipeline that copies files: from a directory, to another.
func reading(from, to string) func(*models.Pipeline) {
	return func(p *models.Pipeline) {
		p.Definition = json.RawMessage(fmt.Sprintf(`{
			"sources": {"in": {"type": "cloud_storage", "connection": "files", "prefix": %q, "pattern": "*.csv", "format": "csv"}},
			"sinks": {"out": {"type": "cloud_storage", "connection": "files", "prefix": %q, "format": "csv", "mode": "append"}}}`, from, to))
	}
}

func files(tb testing.TB, t *Tenant) {
	tb.Helper()
	_, err := t.CreateConnection(tb.Context(), models.Connection{ID: models.NewID(models.PrefixConnection), Name: "files",
		Type: models.ConnectionLocal, Properties: json.RawMessage(`{"path": "/srv"}`)})
	require.NoError(tb, err)
}

func names(sets []lineage.Dataset) []string {
	found := make([]string, len(sets))
	for i, set := range sets {
		found[i] = set.FQN
	}
	return found
}

func TestDatasetsFollowTheirPipeline(t *testing.T) {
	forEachDatabase(t, func(t *testing.T, s *Store) {
		ctx, tenant := t.Context(), s.newTenant()
		files(t, tenant)
		p := newPipeline(t, tenant, reading("a/", "b/"))
		readers := func(dir string) []string {
			found, complete, err := tenant.Neighbours(ctx, lineage.Reads, []string{"file:" + dir})
			require.NoError(t, err)
			assert.True(t, complete)
			var ids []string
			for _, n := range found {
				assert.Equal(t, "in", n.Dataset.Step)
				ids = append(ids, n.PipelineID+" "+n.PipelineName)
			}
			return ids
		}
		sets, err := tenant.PipelineDatasets(ctx, p.ID)
		require.NoError(t, err)
		assert.Equal(t, []string{"file:///srv/a/*.csv", "file:///srv/b/"}, names(sets[p.ID]))
		assert.Equal(t, []string{p.ID + " " + p.Name}, readers("/srv/a"))

		updated, err := tenant.UpdatePipeline(ctx, p.ID, PipelineUpdate{Name: "moved", Definition: pipelineDefinition(reading("c/", "b/"))})
		require.NoError(t, err)
		assert.Empty(t, readers("/srv/a"))
		assert.Equal(t, []string{p.ID + " moved"}, readers("/srv/c"))

		_, err = tenant.UpdatePipeline(ctx, p.ID, PipelineUpdate{Status: models.PipelineActive})
		require.NoError(t, err)
		assert.Len(t, readers("/srv/c"), 1, "the same definition again")

		seen := sets[p.ID]
		seen[0].Path, seen[0].FQN = "/srv/d/*.csv", "file:///srv/d/*.csv"
		require.NoError(t, tenant.SetDatasets(ctx, p.ID, updated.Version, seen))
		assert.Empty(t, readers("/srv/d"), "an execution of an older version says nothing of the current one")
		require.NoError(t, tenant.SetDatasets(ctx, p.ID, updated.Version+1, seen))
		assert.Len(t, readers("/srv/d"), 1)

		above, _, err := tenant.Neighbours(ctx, lineage.Writes, []string{"file:/srv", "file:/srv/b"})
		require.NoError(t, err)
		assert.Len(t, above, 2, "a sink is found by each directory above its files")

		require.NoError(t, tenant.ArchivePipeline(ctx, p.ID, 0))
		assert.Empty(t, readers("/srv/d"))
		require.NoError(t, tenant.SetDatasets(ctx, p.ID, updated.Version+1, seen))
		assert.Zero(t, rowsOf(t, tenant, "pipeline_datasets"))
	})
}

func pipelineDefinition(edit func(*models.Pipeline)) json.RawMessage {
	var p models.Pipeline
	edit(&p)
	return p.Definition
}

// TestManyDatasets makes more of them, and longer names, than an index takes.
func TestManyDatasets(t *testing.T) {
	forEachDatabase(t, func(t *testing.T, s *Store) {
		tenant := s.newTenant()
		p := newPipeline(t, tenant)
		sets := make([]lineage.Dataset, maxDatasetKeys+10)
		for i := range sets {
			name := fmt.Sprintf("/%s/%d", strings.Repeat("x", 3000), i)
			sets[i] = lineage.Dataset{Step: fmt.Sprint("s", i), Direction: lineage.Reads, Type: lineage.File, Name: name, Path: name + "/*"}
		}
		require.NoError(t, tenant.SetDatasets(t.Context(), p.ID, 1, sets))
		got, err := tenant.PipelineDatasets(t.Context(), p.ID)
		require.NoError(t, err)
		assert.Equal(t, sets, got[p.ID])
		found, _, err := tenant.Neighbours(t.Context(), lineage.Reads, sets[7].Keys())
		require.NoError(t, err)
		assert.Len(t, found, 1)
		found, _, err = tenant.Neighbours(t.Context(), lineage.Reads, []string{""})
		require.NoError(t, err)
		assert.Len(t, found, 10)
	})
}

func TestColumnLineageIsKeptOncePerVersion(t *testing.T) {
	forEachDatabase(t, func(t *testing.T, s *Store) {
		ctx, tenant := t.Context(), s.newTenant()
		p := newPipeline(t, tenant)
		none, err := tenant.ColumnLineage(ctx, p.ID, 1)
		require.NoError(t, err)
		assert.Empty(t, none)
		started, err := tenant.LastStarted(ctx, p.ID)
		require.NoError(t, err)
		assert.True(t, started.IsZero())

		run := func(columns ...string) models.Execution {
			e := submit(t, tenant, p)
			plan(t, tenant, e.ID, "raw", "made")
			step := lineage.Step{}
			for _, name := range columns {
				step.Columns = append(step.Columns, lineage.Column{Name: name, Type: "BIGINT"})
			}
			text, err := json.Marshal(step)
			require.NoError(t, err)
			require.NoError(t, tenant.StartTask(ctx, e.ID, models.TaskRun{Name: "raw", Attempts: 1, StartedAt: time.Now()}))
			require.NoError(t, tenant.FinishTask(ctx, e.ID, models.TaskRun{Name: "raw", Attempts: 1, State: models.TaskSucceeded, Lineage: text}, nil))
			return e
		}
		run("a")
		last := run("a")
		assert.Equal(t, 1, rowsOf(t, tenant, "column_lineage"))
		run("a", "b")
		steps, err := tenant.ColumnLineage(ctx, p.ID, 1)
		require.NoError(t, err)
		require.Contains(t, steps, "raw")
		assert.Len(t, steps["raw"].Columns, 2, "a source has got a column")
		assert.Len(t, steps, 1)

		submit(t, tenant, p) // has not begun
		started, err = tenant.LastStarted(ctx, p.ID)
		require.NoError(t, err)
		e, err := tenant.Execution(ctx, last.ID)
		require.NoError(t, err)
		assert.False(t, started.Before(e.StartedAt))
	})
}
