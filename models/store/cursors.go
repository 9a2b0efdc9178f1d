package store

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/uptrace/bun"

	"github.com/matih/pipeline-service/models"
)

type cursorRow struct {
	bun.BaseModel `bun:"table:cursors,alias:c"`

	TenantID    models.TenantID
	PipelineID  string
	Source      string
	Seq         int64
	Value       string
	Batch       string
	Pending     string
	ExecutionID string
	ChangedAt   instant
}

type batchRow struct {
	bun.BaseModel `bun:"table:batches,alias:b"`

	TenantID    models.TenantID
	ExecutionID string
	Source      string
	Batch       string
	Base        int64
	Ending      string
}

// Cursor returns how far a pipeline's source is published: the zero Cursor where nothing is.
func (t *Tenant) Cursor(ctx context.Context, pipelineID, source string) (models.Cursor, error) {
	var row cursorRow
	err := t.read(ctx, func(db bun.IDB) error {
		err := db.NewSelect().Model(&row).Where("tenant_id = ? AND pipeline_id = ? AND source = ?", t.id, pipelineID, source).Scan(ctx)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		return err
	})
	return models.Cursor{Seq: row.Seq, Value: row.Value, Batch: row.Batch, Pending: row.Pending}, err
}

// Batches returns what an execution has read of its incremental sources, those among the given ones, in the
// order of their names and without their ends.
func (t *Tenant) Batches(ctx context.Context, id string, sources []string) ([]models.Batch, error) {
	var batches []models.Batch
	err := t.read(ctx, func(db bun.IDB) error {
		batches = nil
		if len(sources) == 0 {
			return nil
		}
		var err error
		batches, err = t.batches(ctx, db, id, sources)
		return err
	})
	return batches, err
}

func (t *Tenant) batches(ctx context.Context, db bun.IDB, id string, sources []string) ([]models.Batch, error) {
	var rows []struct {
		Source, Batch string
		Base, Seq     int64
		Pending       string
	}
	err := db.NewSelect().Model((*batchRow)(nil)).Column("b.source", "b.batch", "b.base").
		ColumnExpr("COALESCE(c.seq, 0) AS seq, COALESCE(c.batch, '') AS pending").
		Join("JOIN executions AS e ON e.tenant_id = b.tenant_id AND e.id = b.execution_id").
		Join("LEFT JOIN cursors AS c ON c.tenant_id = b.tenant_id AND c.pipeline_id = e.pipeline_id AND c.source = b.source").
		Where("b.tenant_id = ? AND b.execution_id = ? AND b.source IN (?)", t.id, id, bun.List(sources)).
		OrderExpr("b.source").Scan(ctx, &rows)
	batches := make([]models.Batch, len(rows))
	for i, r := range rows {
		batches[i] = models.Batch{Source: r.Source, Name: r.Batch, Base: r.Base,
			Stale: r.Seq != r.Base || r.Pending != "" && r.Pending != r.Batch}
	}
	return batches, err
}

// keepBatch writes down what a source has read, in place of what an attempt before it had.
func (t *Tenant) keepBatch(ctx context.Context, tx bun.Tx, id string, run models.TaskRun) error {
	b := run.Batch
	if b == nil || run.State != models.TaskSucceeded {
		return nil
	}
	_, err := tx.NewInsert().
		Model(&batchRow{TenantID: t.id, ExecutionID: id, Source: run.Name, Batch: b.Name, Base: b.Base, Ending: b.End}).
		On("CONFLICT (tenant_id, execution_id, source) DO UPDATE").
		Set("batch = EXCLUDED.batch, base = EXCLUDED.base, ending = EXCLUDED.ending").Exec(ctx)
	return err
}

// settleBatches moves the cursors of an execution that is COMPLETED. Of another the batches stay pending if one of
// its sinks has begun: it may have published, or be about to.
func (t *Tenant) settleBatches(ctx context.Context, tx bun.Tx, e *executionRow, ended time.Time) error {
	var rows []batchRow
	err := tx.NewSelect().Model(&rows).Where("tenant_id = ? AND execution_id = ?", t.id, e.ID).OrderExpr("source").Scan(ctx)
	if err != nil || len(rows) == 0 {
		return err
	}
	completed := e.Status == models.ExecutionCompleted
	if !completed {
		begun, err := tx.NewSelect().Model((*taskRow)(nil)).
			Where("tenant_id = ? AND execution_id = ? AND kind = ? AND attempts > 0", t.id, e.ID, models.TaskSink).Exists(ctx)
		if err != nil || !begun {
			return err
		}
	}
	for _, row := range rows {
		c := &cursorRow{TenantID: t.id, PipelineID: e.PipelineID, Source: row.Source, Seq: row.Base, Batch: row.Batch,
			Pending: row.Ending, ExecutionID: e.ID, ChangedAt: at(ended)}
		columns := []string{"seq", "batch", "pending", "execution_id", "changed_at"}
		if completed {
			c.Seq, c.Value, c.Batch, c.Pending = row.Base+1, row.Ending, "", ""
			columns = append(columns, "value")
		}
		q := tx.NewInsert().Model(c).On("CONFLICT (tenant_id, pipeline_id, source) DO UPDATE")
		for _, column := range columns {
			q = q.Set("? = EXCLUDED.?", bun.Ident(column), bun.Ident(column))
		}
		// A batch that is stale changes nothing.
		if _, err := q.Where("c.seq = ? AND c.batch IN ('', ?)", row.Base, row.Batch).Exec(ctx); err != nil {
			return err
		}
	}
	return nil
}

// reuseBatches takes over what the sources that a re-run reuses have read. None may be stale where something is
// yet to be published.
func (t *Tenant) reuseBatches(ctx context.Context, tx bun.Tx, row *executionRow, tasks []models.TaskRun) error {
	var sources []string
	publishes := false
	for _, task := range tasks {
		if task.Kind == models.TaskSource && task.State == models.TaskReused {
			sources = append(sources, task.Name)
		}
		publishes = publishes || task.Kind == models.TaskSink && task.State != models.TaskReused
	}
	if len(sources) == 0 {
		return nil
	}
	_, err := tx.NewRaw(`INSERT INTO batches (tenant_id, execution_id, source, batch, base, ending)
 SELECT b.tenant_id, ?, b.source, b.batch, b.base, b.ending FROM batches AS b
 WHERE b.tenant_id = ? AND b.execution_id = ? AND b.source IN (?)`, row.ID, t.id, row.RerunOf, bun.List(sources)).Exec(ctx)
	if err != nil || !publishes {
		return err
	}
	batches, err := t.batches(ctx, tx, row.ID, sources)
	if err != nil {
		return err
	}
	batches = slices.DeleteFunc(batches, func(b models.Batch) bool { return !b.Stale })
	if len(batches) == 0 {
		return nil
	}
	stale := make([]string, len(batches))
	for i, b := range batches {
		stale[i] = b.Source
	}
	e := models.Errorf(models.CodeStagedDataExpired,
		"what %s had read has been published or read anew since: run it again from the start", strings.Join(stale, ", "))
	e.IDs = stale
	return e
}
