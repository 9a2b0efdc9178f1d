package store

import (
	"context"
	"time"

	"github.com/uptrace/bun"

	"github.com/matih/pipeline-service/models"
)

// CreateSchedule stores s, whose ID the caller has made, at revision 1, and makes a pipeline that is CREATED ACTIVE if
// s is enabled. next is the first due time, zero for none. A schedule with that ID already is returned as it is, so
// that a request may be repeated. Error: CodeNotFound where there is no such pipeline.
func (t *Tenant) CreateSchedule(ctx context.Context, s models.Schedule, next time.Time) (models.Schedule, error) {
	if s.CreatedAt.IsZero() {
		s.CreatedAt = time.Now()
	}
	row := &scheduleRow{
		TenantID: t.id, ID: s.ID, PipelineID: s.PipelineID, Revision: 1, NextDue: at(next),
		CreatedBy: s.CreatedBy, CreatedAt: at(s.CreatedAt), UpdatedAt: at(s.CreatedAt),
	}
	if err := row.set(s); err != nil {
		return models.Schedule{}, err
	}
	var created models.Schedule
	err := t.write(ctx, func(ctx context.Context, tx bun.Tx) error {
		changes := tally{}
		if err := t.activate(ctx, tx, s, changes); err != nil {
			return err
		}
		inserted, err := affected(tx.NewInsert().Model(row).On("CONFLICT DO NOTHING").Exec(ctx))
		if err != nil {
			return err
		}
		if inserted == 0 {
			created, err = t.schedule(ctx, tx, s.ID)
			return err
		}
		created = row.model()
		changes.schedule(s.PipelineID, 1)
		return t.add(ctx, tx, changes)
	})
	return created, err
}

// activate sees that a schedule's pipeline is there, and makes it ACTIVE for an enabled one.
func (t *Tenant) activate(ctx context.Context, tx bun.Tx, s models.Schedule, changes tally) error {
	p, err := t.lockPipeline(ctx, tx, s.PipelineID)
	if err != nil || !s.Enabled || p.Status != models.PipelineCreated {
		return err
	}
	changes.pipeline(p.Status, -1)
	changes.pipeline(models.PipelineActive, 1)
	now := at(time.Now())
	p.activate(now)
	p.Revision++
	p.UpdatedAt = now
	return t.savePipeline(ctx, tx, p)
}

// Schedule returns a schedule that is not deleted.
func (t *Tenant) Schedule(ctx context.Context, id string) (s models.Schedule, err error) {
	err = t.read(ctx, func(db bun.IDB) error {
		if s, err = t.schedule(ctx, db, id); err != nil {
			return err
		}
		all := []models.Schedule{s}
		err = t.fillStatuses(ctx, db, all)
		s = all[0]
		return err
	})
	return s, err
}

func (t *Tenant) schedule(ctx context.Context, db bun.IDB, id string) (models.Schedule, error) {
	var row scheduleRow
	err := db.NewSelect().Model(&row).Where("tenant_id = ? AND id = ? AND NOT deleted", t.id, id).Scan(ctx)
	return row.model(), notFound("schedule", err)
}

// Schedules returns a page of the schedules, newest first: a pipeline's, or all where none is named. A pipeline
// the tenant does not have is CodeNotFound.
func (t *Tenant) Schedules(ctx context.Context, pipelineID string, p models.Page) (models.Paged[models.Schedule], error) {
	var paged models.Paged[models.Schedule]
	err := t.read(ctx, func(db bun.IDB) error {
		limit, offset := window(p)
		page := db.NewSelect().Model((*scheduleRow)(nil)).Column("id").Where("sc.tenant_id = ? AND NOT sc.deleted", t.id)
		if pipelineID != "" {
			if err := t.checkPipeline(ctx, db, pipelineID); err != nil {
				return err
			}
			page.Where("sc.pipeline_id = ?", pipelineID)
		}
		page.OrderExpr("sc.id DESC").Limit(limit).Offset(offset)
		var rows []scheduleRow
		if err := db.NewSelect().Model(&rows).Where("sc.tenant_id = ? AND sc.id IN (?)", t.id, page).OrderExpr("sc.id DESC").Scan(ctx); err != nil {
			return err
		}
		paged.Items = make([]models.Schedule, len(rows))
		for i := range rows {
			paged.Items[i] = rows[i].model()
		}
		if err := t.fillStatuses(ctx, db, paged.Items); err != nil {
			return err
		}
		var err error
		paged.Total, err = t.total(ctx, db, countSchedules, pipelineID)
		return err
	})
	return paged, err
}

// fillStatuses adds to the due times of schedules where the executions stand that they made.
func (t *Tenant) fillStatuses(ctx context.Context, db bun.IDB, schedules []models.Schedule) error {
	byID := map[string]*models.DueTime{}
	var ids []string
	for _, s := range schedules {
		for i := range s.Recent {
			if id := s.Recent[i].ExecutionID; id != "" {
				byID[id] = &s.Recent[i]
				ids = append(ids, id)
			}
		}
	}
	if len(ids) == 0 {
		return nil
	}
	var rows []executionRow
	err := db.NewSelect().Model(&rows).Column("id", "status").Where("tenant_id = ? AND id IN (?)", t.id, bun.List(ids)).Scan(ctx)
	for _, row := range rows {
		byID[row.ID].Status = row.Status
	}
	return err
}

// lockSchedule reads a schedule that is not deleted and keeps others from changing it until the transaction ends.
func (t *Tenant) lockSchedule(ctx context.Context, tx bun.Tx, id string) (*scheduleRow, error) {
	row := new(scheduleRow)
	err := locking(tx, tx.NewSelect().Model(row).Where("tenant_id = ? AND id = ? AND NOT deleted", t.id, id)).Scan(ctx)
	return row, notFound("schedule", err)
}

// UpdateSchedule replaces what a user says of a schedule; s.ID names it, s.PipelineID cannot change. ifRevision is the
// revision the caller has seen, 0 any, and next the first due time, zero for none. Errors: CodeNotFound,
// CodePreconditionFailed.
func (t *Tenant) UpdateSchedule(ctx context.Context, s models.Schedule, ifRevision int64, next time.Time) (models.Schedule, error) {
	var updated models.Schedule
	err := t.write(ctx, func(ctx context.Context, tx bun.Tx) error {
		changes := tally{}
		if err := t.activate(ctx, tx, s, changes); err != nil {
			return err
		}
		row, err := t.lockSchedule(ctx, tx, s.ID)
		if err != nil {
			return err
		}
		if err := row.checkRevision(ifRevision); err != nil {
			return err
		}
		if err := row.set(s); err != nil {
			return err
		}
		row.Revision++
		row.NextDue, row.UpdatedAt = at(next), at(time.Now())
		if err := t.saveSchedule(ctx, tx, row); err != nil {
			return err
		}
		updated = row.model()
		return t.add(ctx, tx, changes)
	})
	return updated, err
}

func (t *Tenant) saveSchedule(ctx context.Context, tx bun.Tx, row *scheduleRow) error {
	_, err := tx.NewUpdate().Model(row).
		Column("cron", "timezone", "parameters", "enabled", "note", "overlap", "catchup_micros", "jitter_micros", "skip_dates").
		Column("revision", "deleted", "next_due", "recent", "updated_at").
		Where("tenant_id = ? AND id = ?", t.id, row.ID).Exec(ctx)
	return err
}

// DeleteSchedule makes a schedule gone for its users; its row stays until Temporal's is gone too (ScheduleSynced).
// Errors: CodeNotFound, CodePreconditionFailed.
func (t *Tenant) DeleteSchedule(ctx context.Context, id string, ifRevision int64) (models.Schedule, error) {
	var deleted models.Schedule
	err := t.write(ctx, func(ctx context.Context, tx bun.Tx) error {
		row, err := t.lockSchedule(ctx, tx, id)
		if err != nil {
			return err
		}
		if err := row.checkRevision(ifRevision); err != nil {
			return err
		}
		if err := t.entomb(ctx, tx, row); err != nil {
			return err
		}
		deleted = row.model()
		changes := tally{}
		changes.schedule(row.PipelineID, -1)
		return t.add(ctx, tx, changes)
	})
	return deleted, err
}

// entomb leaves of a schedule what is needed to remove it from Temporal.
func (t *Tenant) entomb(ctx context.Context, tx bun.Tx, row *scheduleRow) error {
	row.Deleted, row.NextDue, row.UpdatedAt = true, instant{}, at(time.Now())
	row.Revision++
	return t.saveSchedule(ctx, tx, row)
}

// entombAll deletes every schedule of a pipeline.
func (t *Tenant) entombAll(ctx context.Context, tx bun.Tx, pipelineID string, changes tally) error {
	var rows []scheduleRow
	err := locking(tx, tx.NewSelect().Model(&rows).
		Where("tenant_id = ? AND pipeline_id = ? AND NOT deleted", t.id, pipelineID).OrderExpr("id")).Scan(ctx)
	if err != nil {
		return err
	}
	for i := range rows {
		if err := t.entomb(ctx, tx, &rows[i]); err != nil {
			return err
		}
	}
	changes.schedule(pipelineID, -int64(len(rows)))
	return nil
}
