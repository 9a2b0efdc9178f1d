package store

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/uptrace/bun"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/definition"
	"github.com/matih/pipeline-service/models/lineage"
)

const (
	// maxDatasetKeys bounds the rows of one pipeline. Data sets beyond it are shown, but found by no other pipeline.
	maxDatasetKeys = 5000
	// datasetBatch is how many rows or keys one statement holds.
	datasetBatch = 500
	// maxNeighbours bounds the data sets that one question finds.
	maxNeighbours = 5000
)

type datasetRow struct {
	bun.BaseModel `bun:"table:pipeline_datasets,alias:d"`

	TenantID   models.TenantID
	PipelineID string
	Position   int
	Key        string
	Direction  lineage.Direction
	Dataset    string
}

// Neighbour is a data set of a pipeline that others may share.
type Neighbour struct {
	PipelineID   string
	PipelineName string
	Dataset      lineage.Dataset
}

// parsed is a definition, nil for a text that is none: it reads and writes nothing.
func parsed(doc json.RawMessage) *definition.Definition {
	d, err := definition.Parse(doc, "definition")
	if err != nil {
		return nil
	}
	return d
}

// findDatasets keeps what a definition reads and writes, as far as that can be told before it is executed.
func (t *Tenant) findDatasets(ctx context.Context, tx bun.Tx, pipelineID string, d *definition.Definition) error {
	if d == nil {
		return t.saveDatasets(ctx, tx, pipelineID, nil)
	}
	connections, err := t.connectionsByRef(ctx, tx, lineage.Refs(d))
	if err != nil {
		return err
	}
	return t.saveDatasets(ctx, tx, pipelineID, lineage.Datasets(d, connections))
}

// saveDatasets replaces the data sets of a pipeline that is not archived.
func (t *Tenant) saveDatasets(ctx context.Context, tx bun.Tx, pipelineID string, sets []lineage.Dataset) error {
	_, err := tx.NewDelete().Model((*datasetRow)(nil)).Where("tenant_id = ? AND pipeline_id = ?", t.id, pipelineID).Exec(ctx)
	if err != nil {
		return err
	}
	var rows []datasetRow
	for i, set := range sets {
		text, err := json.Marshal(set)
		if err != nil {
			return fmt.Errorf("store: data set: %w", err)
		}
		keys := set.Keys()
		if len(keys) == 0 || len(rows)+len(keys) > maxDatasetKeys {
			keys = []string{""}
		}
		for _, key := range keys {
			rows = append(rows, datasetRow{TenantID: t.id, PipelineID: pipelineID, Position: i, Key: key,
				Direction: set.Direction, Dataset: string(text)})
		}
	}
	for batch := range slices.Chunk(rows, datasetBatch) {
		if _, err := tx.NewInsert().Model(&batch).Exec(ctx); err != nil {
			return err
		}
	}
	return nil
}

// PipelineDatasets returns what the current versions of pipelines read and then what they write, by the pipelines' ids and in the
// definitions' order: with the names of the last execution, before the first as they are written. Of an archived pipeline nothing
// is kept.
func (t *Tenant) PipelineDatasets(ctx context.Context, ids ...string) (map[string][]lineage.Dataset, error) {
	sets := map[string][]lineage.Dataset{}
	err := t.read(ctx, func(db bun.IDB) error {
		clear(sets)
		for batch := range slices.Chunk(ids, datasetBatch) {
			var rows []datasetRow
			err := db.NewSelect().Model(&rows).Where("tenant_id = ? AND pipeline_id IN (?)", t.id, bun.List(batch)).
				OrderExpr("pipeline_id, position, key").Scan(ctx)
			if err != nil {
				return err
			}
			for i, row := range rows {
				if i > 0 && rows[i-1].Position == row.Position && rows[i-1].PipelineID == row.PipelineID {
					continue // the same one by another key
				}
				set, err := row.model()
				if err != nil {
					return err
				}
				sets[row.PipelineID] = append(sets[row.PipelineID], set)
			}
		}
		return nil
	})
	return sets, err
}

func (r *datasetRow) model() (set lineage.Dataset, err error) {
	if err := json.Unmarshal([]byte(r.Dataset), &set); err != nil {
		return set, fmt.Errorf("store: data set of %s: %w", r.PipelineID, err)
	}
	return set, nil
}

// SetDatasets notes what an execution of a version reads and writes, by the names its parameters gave. It changes nothing where
// that is known, the pipeline has a newer version or is archived.
func (t *Tenant) SetDatasets(ctx context.Context, pipelineID string, version int, sets []lineage.Dataset) error {
	known, err := t.PipelineDatasets(ctx, pipelineID)
	if err != nil || slices.Equal(known[pipelineID], sets) {
		return err
	}
	return t.write(ctx, func(ctx context.Context, tx bun.Tx) error {
		row, err := t.lockPipeline(ctx, tx, pipelineID)
		switch {
		case models.CodeOf(err) == models.CodeNotFound, err == nil && row.Version != version:
			return nil
		case err != nil:
			return err
		}
		return t.saveDatasets(ctx, tx, pipelineID, sets)
	})
}

// Neighbours returns the data sets of one direction that have any of the keys, of pipelines that are not archived, in no
// order. There are at most maxNeighbours; complete tells whether these are all.
func (t *Tenant) Neighbours(ctx context.Context, direction lineage.Direction, keys []string) (found []Neighbour, complete bool, err error) {
	err = t.read(ctx, func(db bun.IDB) error {
		found, complete = nil, true
		for batch := range slices.Chunk(keys, datasetBatch) {
			var rows []struct {
				datasetRow `bun:",extend"`
				Name       string
			}
			err := db.NewSelect().Model((*datasetRow)(nil)).ColumnExpr("d.*, p.name").
				Join("JOIN pipelines AS p ON p.tenant_id = d.tenant_id AND p.id = d.pipeline_id").
				Where("d.tenant_id = ? AND d.direction = ? AND d.key IN (?)", t.id, direction, bun.List(batch)).
				Limit(maxNeighbours+1).Scan(ctx, &rows)
			if err != nil {
				return err
			}
			for _, row := range rows {
				set, err := row.model()
				if err != nil {
					return err
				}
				found = append(found, Neighbour{PipelineID: row.PipelineID, PipelineName: row.Name, Dataset: set})
			}
		}
		if len(found) > maxNeighbours {
			found, complete = found[:maxNeighbours], false
		}
		return nil
	})
	return found, complete, err
}
