package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"slices"
	"time"

	"github.com/uptrace/bun"

	"github.com/matih/pipeline-service/models"
)

// PipelineFilter narrows a list of pipelines; its zero value is all that are not archived.
type PipelineFilter struct {
	Tags   []string // all of them
	Status models.PipelineStatus
	Name   string
}

// PipelineUpdate is what a pipeline shall be from now on.
type PipelineUpdate struct {
	Name        string // "" keeps it
	Label       string
	Description string
	Tags        []string
	Definition  json.RawMessage       // nil repeats the current one
	Status      models.PipelineStatus // ACTIVE or PAUSED; "" keeps it
	By          string
	// IfRevision is the revision the caller has seen; 0 is any.
	IfRevision int64
}

// CreatePipeline stores p, whose ID the caller has made, as CREATED with version 1 and revision 1. A
// pipeline with that ID already is returned as it is, so that a request may be repeated.
// Errors: CodeNameTaken, CodeQuotaExceeded.
func (t *Tenant) CreatePipeline(ctx context.Context, p models.Pipeline) (models.Pipeline, error) {
	if p.CreatedAt.IsZero() {
		p.CreatedAt = time.Now()
	}
	p.Tenant, p.Status, p.Version, p.Revision, p.UpdatedAt = t.id, models.PipelineCreated, 1, 1, p.CreatedAt
	row, err := newPipelineRow(p)
	if err != nil {
		return models.Pipeline{}, err
	}
	row.promise()
	d := parsed(p.Definition)
	var created models.Pipeline
	err = t.write(ctx, func(ctx context.Context, tx bun.Tx) error {
		inserted, err := affected(tx.NewInsert().Model(row).On("CONFLICT DO NOTHING").Exec(ctx))
		if err != nil {
			return err
		}
		if inserted == 0 {
			created, err = t.pipeline(ctx, tx, p.ID)
			if models.CodeOf(err) == models.CodeNotFound {
				return nameTaken("pipeline", p.Name)
			}
			return err
		}
		if err := t.addVersion(ctx, tx, row, p.CreatedBy, p.CreatedAt); err != nil {
			return err
		}
		if err := t.setTags(ctx, tx, row.ID, p.Tags); err != nil {
			return err
		}
		if err := t.findDatasets(ctx, tx, row.ID, d); err != nil {
			return err
		}
		changes := tally{}
		changes.pipeline(p.Status, 1)
		if err := t.add(ctx, tx, changes); err != nil {
			return err
		}
		created = row.model()
		return t.checkPipelineQuota(ctx, tx)
	})
	return created, err
}

// checkPipelineQuota runs after the counters have been changed, so that its transaction holds their
// lock: of two that want the last place one sees the other's.
func (t *Tenant) checkPipelineQuota(ctx context.Context, tx bun.Tx) error {
	quota := t.store.quotasOf(t.id).Pipelines
	if quota == 0 {
		return nil
	}
	n, err := t.total(ctx, tx, countPipelines, everything, livePipelines...)
	if err == nil && n > quota {
		return models.Errorf(models.CodeQuotaExceeded, "the tenant has its %d pipelines: delete one that is not needed", quota)
	}
	return err
}

// Pipeline returns a pipeline with its current definition; archived ones are found, too.
func (t *Tenant) Pipeline(ctx context.Context, id string) (p models.Pipeline, err error) {
	err = t.read(ctx, func(db bun.IDB) error {
		p, err = t.pipeline(ctx, db, id)
		return err
	})
	return p, err
}

func (t *Tenant) pipeline(ctx context.Context, db bun.IDB, id string) (models.Pipeline, error) {
	var row pipelineRow
	err := db.NewSelect().Model(&row).ColumnExpr("p.*").ColumnExpr("v.definition").
		Join("JOIN pipeline_versions AS v ON v.tenant_id = p.tenant_id AND v.pipeline_id = p.id AND v.number = p.version").
		Where("p.tenant_id = ? AND p.id = ?", t.id, id).Scan(ctx)
	if err != nil {
		return models.Pipeline{}, notFound("pipeline", err)
	}
	return row.model(), nil
}

// lockPipeline reads a pipeline that is not archived, without its definition, and keeps others from
// changing it or executing it until the transaction ends.
func (t *Tenant) lockPipeline(ctx context.Context, tx bun.Tx, id string) (*pipelineRow, error) {
	row := new(pipelineRow)
	err := locking(tx, tx.NewSelect().Model(row).Where("tenant_id = ? AND id = ?", t.id, id)).Scan(ctx)
	if err != nil {
		return nil, notFound("pipeline", err)
	}
	if row.Status == models.PipelineArchived {
		return nil, models.NotFound("pipeline")
	}
	return row, nil
}

// UpdatePipeline makes a new version of a pipeline that is not archived. Versions are immutable: executions
// keep the one they pinned. Errors: CodeNotFound, CodePreconditionFailed, CodeNameTaken.
func (t *Tenant) UpdatePipeline(ctx context.Context, id string, u PipelineUpdate) (models.Pipeline, error) {
	switch u.Status {
	case "", models.PipelineActive, models.PipelinePaused:
	default:
		return models.Pipeline{}, models.Errorf(models.CodeInvalidRequest, "a pipeline's status can be set to ACTIVE or PAUSED")
	}
	now, d := time.Now(), parsed(u.Definition)
	var updated models.Pipeline
	err := t.write(ctx, func(ctx context.Context, tx bun.Tx) error {
		row, err := t.lockPipeline(ctx, tx, id)
		if err != nil {
			return err
		}
		if err := row.checkRevision(u.IfRevision); err != nil {
			return err
		}
		if row.Definition = string(u.Definition); u.Definition == nil {
			if row.Definition, err = t.definition(ctx, tx, id, row.Version); err != nil {
				return err
			}
		}
		row.promise()
		changes := tally{}
		if u.Status != "" {
			changes.pipeline(row.Status, -1)
			changes.pipeline(u.Status, 1)
			if u.Status == models.PipelineActive {
				row.activate(at(now))
			}
			row.Status = u.Status
		}
		if err := t.promiseFreshness(ctx, tx, row); err != nil {
			return err
		}
		if u.Name != "" {
			row.Name = u.Name
		}
		row.Label, row.Description = u.Label, u.Description
		if row.Tags, err = marshalTags(u.Tags); err != nil {
			return err
		}
		row.Version++
		row.Revision++
		row.UpdatedAt = at(now)
		if err := t.addVersion(ctx, tx, row, u.By, now); err != nil {
			return err
		}
		if err := t.setTags(ctx, tx, id, u.Tags); err != nil {
			return err
		}
		if u.Definition != nil {
			if err := t.findDatasets(ctx, tx, id, d); err != nil {
				return err
			}
		}
		err = t.savePipeline(ctx, tx, row)
		if failureOf(err) == failureDuplicate {
			return nameTaken("pipeline", row.Name)
		}
		if err != nil {
			return err
		}
		updated = row.model()
		return t.add(ctx, tx, changes)
	})
	return updated, err
}

func (t *Tenant) savePipeline(ctx context.Context, tx bun.Tx, row *pipelineRow) error {
	_, err := tx.NewUpdate().Model(row).
		Column("name", "label", "description", "tags", "status", "version", "revision", "updated_at").
		Column("freshness_micros", "active_since", "fresh_until", "budget_micros", "budget_blocks").
		Where("tenant_id = ? AND id = ?", t.id, row.ID).Exec(ctx)
	return err
}

// ArchivePipeline ends a pipeline's life: it can be neither changed nor executed, its history stays,
// its schedules are deleted, its name is free. Errors: CodeNotFound, CodePreconditionFailed, and CodePipelineRunning with the IDs of the
// executions that are open.
func (t *Tenant) ArchivePipeline(ctx context.Context, id string, ifRevision int64) error {
	now := time.Now()
	return t.write(ctx, func(ctx context.Context, tx bun.Tx) error {
		row, err := t.lockPipeline(ctx, tx, id)
		if err != nil {
			return err
		}
		if err := row.checkRevision(ifRevision); err != nil {
			return err
		}
		slots, err := t.runSlots(ctx, tx, id)
		if err != nil {
			return err
		}
		if len(slots) > 0 {
			return pipelineRunning("the pipeline has executions that have not ended: cancel them first", slots)
		}
		changes := tally{}
		if err := t.entombAll(ctx, tx, id, changes); err != nil {
			return err
		}
		changes.pipeline(row.Status, -1)
		changes.pipeline(models.PipelineArchived, 1)
		row.Status, row.FreshUntil = models.PipelineArchived, instant{}
		row.Revision++
		row.UpdatedAt = at(now)
		if err := t.savePipeline(ctx, tx, row); err != nil {
			return err
		}
		if err := t.saveDatasets(ctx, tx, id, nil); err != nil {
			return err
		}
		return t.add(ctx, tx, changes)
	})
}

func (t *Tenant) definition(ctx context.Context, tx bun.Tx, pipelineID string, version int) (definition string, err error) {
	err = tx.NewSelect().Model((*versionRow)(nil)).Column("definition").
		Where("tenant_id = ? AND pipeline_id = ? AND number = ?", t.id, pipelineID, version).Scan(ctx, &definition)
	return definition, err
}

func (t *Tenant) setTags(ctx context.Context, tx bun.Tx, pipelineID string, tags []string) error {
	_, err := tx.NewDelete().Model((*tagRow)(nil)).Where("tenant_id = ? AND pipeline_id = ?", t.id, pipelineID).Exec(ctx)
	if err != nil || len(tags) == 0 {
		return err
	}
	var rows []tagRow
	for _, tag := range slices.Compact(slices.Sorted(slices.Values(tags))) {
		rows = append(rows, tagRow{TenantID: t.id, Tag: tag, PipelineID: pipelineID})
	}
	_, err = tx.NewInsert().Model(&rows).Exec(ctx)
	return err
}

func nameTaken(kind, name string) error {
	return models.Errorf(models.CodeNameTaken, "there is a %s named %q already", kind, name)
}

// affected returns how many rows a statement changed.
func affected(result sql.Result, err error) (int64, error) {
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}
