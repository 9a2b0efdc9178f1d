package store

import (
	"context"
	"time"

	"github.com/uptrace/bun"

	"github.com/matih/pipeline-service/models"
)

// PipelineVersions returns a page of a pipeline's versions, newest first, without their definitions. Archived
// pipelines keep theirs. Numbers have no gaps, so every page costs the same. Errors: CodeNotFound.
func (t *Tenant) PipelineVersions(ctx context.Context, pipelineID string, p models.Page) (models.Paged[models.PipelineVersion], error) {
	var paged models.Paged[models.PipelineVersion]
	err := t.read(ctx, func(db bun.IDB) error {
		err := db.NewSelect().Model((*pipelineRow)(nil)).Column("version").
			Where("tenant_id = ? AND id = ?", t.id, pipelineID).Scan(ctx, &paged.Total)
		if err != nil {
			return notFound("pipeline", err)
		}
		limit, offset := window(p)
		var rows []versionRow
		err = db.NewSelect().Model(&rows).ExcludeColumn("definition").
			Where("tenant_id = ? AND pipeline_id = ? AND number <= ?", t.id, pipelineID, paged.Total-offset).
			OrderExpr("number DESC").Limit(limit).Scan(ctx)
		if err != nil {
			return err
		}
		paged.Items = make([]models.PipelineVersion, len(rows))
		for i := range rows {
			paged.Items[i] = rows[i].model()
		}
		return nil
	})
	return paged, err
}

// PipelineVersion returns one of a pipeline's versions, counted from 1.
func (t *Tenant) PipelineVersion(ctx context.Context, pipelineID string, number int) (v models.PipelineVersion, err error) {
	err = t.read(ctx, func(db bun.IDB) error {
		v, err = t.version(ctx, db, pipelineID, number)
		return err
	})
	return v, err
}

func (t *Tenant) version(ctx context.Context, db bun.IDB, pipelineID string, number int) (models.PipelineVersion, error) {
	var row versionRow
	err := db.NewSelect().Model(&row).
		Where("tenant_id = ? AND pipeline_id = ? AND number = ?", t.id, pipelineID, number).Scan(ctx)
	return row.model(), notFound("version of the pipeline", err)
}

// Activation says which version of a pipeline shall be the current one again.
type Activation struct {
	Number int
	By     string
	// IfRevision is the revision the caller has seen; 0 is any.
	IfRevision int64
}

// ActivateVersion gives a pipeline that is not archived a new version with the label and definition of an earlier
// one; everything else of the pipeline stays. Errors: CodeNotFound, CodePreconditionFailed.
func (t *Tenant) ActivateVersion(ctx context.Context, pipelineID string, a Activation) (models.Pipeline, error) {
	now := time.Now()
	var updated models.Pipeline
	err := t.write(ctx, func(ctx context.Context, tx bun.Tx) error {
		row, err := t.lockPipeline(ctx, tx, pipelineID)
		if err != nil {
			return err
		}
		if err := row.checkRevision(a.IfRevision); err != nil {
			return err
		}
		v, err := t.version(ctx, tx, pipelineID, a.Number)
		if err != nil {
			return err
		}
		row.Label, row.Definition = v.Label, string(v.Definition)
		row.promise()
		if err := t.promiseFreshness(ctx, tx, row); err != nil {
			return err
		}
		row.Version++
		row.Revision++
		row.UpdatedAt = at(now)
		if err := t.addVersion(ctx, tx, row, a.By, now); err != nil {
			return err
		}
		if err := t.savePipeline(ctx, tx, row); err != nil {
			return err
		}
		updated = row.model()
		return nil
	})
	return updated, err
}

func (t *Tenant) addVersion(ctx context.Context, tx bun.Tx, p *pipelineRow, by string, now time.Time) error {
	_, err := tx.NewInsert().Model(&versionRow{
		TenantID: t.id, PipelineID: p.ID, Number: p.Version, Label: p.Label, Definition: p.Definition,
		CreatedBy: by, CreatedAt: at(now),
	}).Exec(ctx)
	return err
}
