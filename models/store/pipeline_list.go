package store

import (
	"context"
	"slices"

	"github.com/uptrace/bun"

	"github.com/matih/pipeline-service/models"
)

// Pipelines returns a page of the pipelines that pass the filter, newest first, without their
// definitions. Archived ones are in it only where the filter asks for their status.
//
// The total is read from counters, but for filters by tag or name: those count the entries of an index. By tag that
// is, in the worst case, about 1 ms for every thousand pipelines of the tenant.
func (t *Tenant) Pipelines(ctx context.Context, f PipelineFilter, p models.Page) (models.Paged[models.Pipeline], error) {
	var paged models.Paged[models.Pipeline]
	err := t.read(ctx, func(db bun.IDB) error {
		limit, offset := window(p)
		page := t.filterPipelines(db, f).Column("id").OrderExpr("id DESC").Limit(limit).Offset(offset)
		var rows []pipelineRow
		err := db.NewSelect().Model(&rows).Where("p.tenant_id = ? AND p.id IN (?)", t.id, page).OrderExpr("p.id DESC").Scan(ctx)
		if err != nil {
			return err
		}
		paged.Items = make([]models.Pipeline, len(rows))
		for i := range rows {
			paged.Items[i] = rows[i].model()
		}
		paged.Total, err = t.countPipelines(ctx, db, f)
		return err
	})
	return paged, err
}

func (t *Tenant) countPipelines(ctx context.Context, db bun.IDB, f PipelineFilter) (int64, error) {
	switch {
	case len(f.Tags) > 0 || f.Name != "":
		return t.filterPipelines(db, f).Count(ctx)
	case f.Status != "":
		return t.total(ctx, db, countPipelines, everything, string(f.Status))
	default:
		return t.total(ctx, db, countPipelines, everything, livePipelines...)
	}
}

func (t *Tenant) filterPipelines(db bun.IDB, f PipelineFilter) *bun.SelectQuery {
	q := db.NewSelect().Model((*pipelineRow)(nil)).Where("p.tenant_id = ?", t.id)
	if f.Status != "" {
		q.Where("p.status = ?", f.Status)
	} else {
		q.Where("p.status <> 'ARCHIVED'")
	}
	if f.Name != "" {
		q.Where("p.name = ?", f.Name)
	}
	for _, tag := range slices.Compact(slices.Sorted(slices.Values(f.Tags))) {
		q.Where("p.id IN (?)", db.NewSelect().Model((*tagRow)(nil)).Column("pipeline_id").
			Where("pt.tenant_id = ? AND pt.tag = ?", t.id, tag))
	}
	return q
}
