package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/lineage"
)

type lineageRow struct {
	bun.BaseModel `bun:"table:column_lineage,alias:cl"`

	TenantID   models.TenantID
	PipelineID string
	Version    int
	Step       string
	Lineage    string
}

// saveLineage keeps what a task reports of its columns. Most executions report what is known already.
func (t *Tenant) saveLineage(ctx context.Context, tx bun.Tx, e *executionRow, run models.TaskRun) error {
	if len(run.Lineage) == 0 {
		return nil
	}
	row := lineageRow{TenantID: t.id, PipelineID: e.PipelineID, Version: e.Version, Step: run.Name, Lineage: string(run.Lineage)}
	_, err := tx.NewInsert().Model(&row).
		On("CONFLICT (tenant_id, pipeline_id, version, step) DO UPDATE").Set("lineage = EXCLUDED.lineage").
		Where("cl.lineage <> EXCLUDED.lineage").Exec(ctx)
	return err
}

// ColumnLineage returns what is known of the columns of a version's steps, by their names: of those that have run.
func (t *Tenant) ColumnLineage(ctx context.Context, pipelineID string, version int) (map[string]lineage.Step, error) {
	steps := map[string]lineage.Step{}
	err := t.read(ctx, func(db bun.IDB) error {
		var rows []lineageRow
		err := db.NewSelect().Model(&rows).
			Where("tenant_id = ? AND pipeline_id = ? AND version = ?", t.id, pipelineID, version).Scan(ctx)
		if err != nil {
			return err
		}
		for _, row := range rows {
			var step lineage.Step
			if err := json.Unmarshal([]byte(row.Lineage), &step); err != nil {
				return fmt.Errorf("store: lineage of %s: %w", row.Step, err)
			}
			steps[row.Step] = step
		}
		return nil
	})
	return steps, err
}

// LastStarted returns when the latest execution of a pipeline began that has begun; zero where none has.
func (t *Tenant) LastStarted(ctx context.Context, pipelineID string) (time.Time, error) {
	var rows []executionRow
	err := t.read(ctx, func(db bun.IDB) error {
		return db.NewSelect().Model(&rows).Column("started_at").
			Where("tenant_id = ? AND pipeline_id = ? AND started_at IS NOT NULL", t.id, pipelineID).
			OrderExpr("id DESC").Limit(1).Scan(ctx)
	})
	if err != nil || len(rows) == 0 {
		return time.Time{}, err
	}
	return rows[0].StartedAt.Time, nil
}
