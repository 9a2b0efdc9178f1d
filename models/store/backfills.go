package store

import (
	"context"
	"time"

	"github.com/uptrace/bun"

	"github.com/matih/pipeline-service/models"
)

// CreateBackfill stores b, whose ID the caller has made, as RUNNING at its first attempt. One with that ID already is
// returned as it is, so that a request may be repeated. Errors: CodeNotFound (archived pipelines, too),
// CodePipelinePaused.
func (t *Tenant) CreateBackfill(ctx context.Context, b models.Backfill) (models.Backfill, error) {
	if b.SubmittedAt.IsZero() {
		b.SubmittedAt = time.Now()
	}
	b.Tenant, b.Status, b.Attempt = t.id, models.BackfillRunning, 1
	row, err := newBackfillRow(b)
	if err != nil {
		return models.Backfill{}, err
	}
	var created models.Backfill
	err = t.write(ctx, func(ctx context.Context, tx bun.Tx) error {
		p, err := t.lockPipeline(ctx, tx, b.PipelineID)
		if err != nil {
			return err
		}
		if p.Status == models.PipelinePaused {
			return pipelinePaused()
		}
		inserted, err := affected(tx.NewInsert().Model(row).On("CONFLICT DO NOTHING").Exec(ctx))
		if err != nil {
			return err
		}
		if inserted == 0 {
			created, err = t.backfill(ctx, tx, b.ID)
			return err
		}
		created = row.model()
		changes := tally{}
		changes.backfill(b.PipelineID, b.Status, 1)
		return t.add(ctx, tx, changes)
	})
	return created, err
}

// Backfill returns a backfill.
func (t *Tenant) Backfill(ctx context.Context, id string) (b models.Backfill, err error) {
	err = t.read(ctx, func(db bun.IDB) error {
		b, err = t.backfill(ctx, db, id)
		return err
	})
	return b, err
}

func (t *Tenant) backfill(ctx context.Context, db bun.IDB, id string) (models.Backfill, error) {
	var row backfillRow
	err := db.NewSelect().Model(&row).Where("tenant_id = ? AND id = ?", t.id, id).Scan(ctx)
	return row.model(), notFound("backfill", err)
}

// BackfillFilter narrows a list of backfills; its zero value is all of them.
type BackfillFilter struct {
	PipelineID string
	Status     models.BackfillStatus
}

// Backfills returns a page of the backfills that pass the filter, newest first. A pipeline the tenant does not have is
// CodeNotFound.
func (t *Tenant) Backfills(ctx context.Context, f BackfillFilter, p models.Page) (models.Paged[models.Backfill], error) {
	var paged models.Paged[models.Backfill]
	err := t.read(ctx, func(db bun.IDB) error {
		limit, offset := window(p)
		page := db.NewSelect().Model((*backfillRow)(nil)).Column("id").Where("bf.tenant_id = ?", t.id)
		if f.PipelineID != "" {
			if err := t.checkPipeline(ctx, db, f.PipelineID); err != nil {
				return err
			}
			page.Where("bf.pipeline_id = ?", f.PipelineID)
		}
		var statuses []string
		if f.Status != "" {
			page.Where("bf.status = ?", f.Status)
			statuses = []string{string(f.Status)}
		}
		page.OrderExpr("bf.id DESC").Limit(limit).Offset(offset)
		var rows []backfillRow
		if err := db.NewSelect().Model(&rows).Where("bf.tenant_id = ? AND bf.id IN (?)", t.id, page).OrderExpr("bf.id DESC").Scan(ctx); err != nil {
			return err
		}
		paged.Items = make([]models.Backfill, len(rows))
		for i := range rows {
			paged.Items[i] = rows[i].model()
		}
		var err error
		paged.Total, err = t.total(ctx, db, countBackfills, f.PipelineID, statuses...)
		return err
	})
	return paged, err
}

func (t *Tenant) lockBackfill(ctx context.Context, tx bun.Tx, id string) (*backfillRow, error) {
	row := new(backfillRow)
	err := locking(tx, tx.NewSelect().Model(row).Where("tenant_id = ? AND id = ?", t.id, id)).Scan(ctx)
	return row, notFound("backfill", err)
}

// BackfillStep is where a backfill stands.
type BackfillStep struct {
	Attempt                               int // that says so; an earlier one is not heard any more
	Status                                models.BackfillStatus
	Reason                                string
	Completed, Failed, Cancelled, Running int
	At                                    time.Time
}

// StepBackfill notes where a backfill stands. What an attempt says after its end, or after a later one has begun,
// changes nothing. Error: CodeNotFound.
func (t *Tenant) StepBackfill(ctx context.Context, id string, step BackfillStep) error {
	return t.write(ctx, func(ctx context.Context, tx bun.Tx) error {
		row, err := t.lockBackfill(ctx, tx, id)
		if err != nil || row.Status.Terminal() || row.Attempt != step.Attempt {
			return err
		}
		changes := row.move(step.Status)
		row.StatusReason = step.Reason
		row.Completed, row.Failed, row.Cancelled, row.Running = step.Completed, step.Failed, step.Cancelled, step.Running
		if step.Status.Terminal() {
			row.EndedAt = at(step.At)
		}
		if err := t.saveBackfill(ctx, tx, row); err != nil {
			return err
		}
		return t.add(ctx, tx, changes)
	})
}

func (t *Tenant) saveBackfill(ctx context.Context, tx bun.Tx, row *backfillRow) error {
	_, err := tx.NewUpdate().Model(row).
		Column("status", "status_reason", "completed", "failed", "cancelled", "running", "attempt", "ended_at").
		Where("tenant_id = ? AND id = ?", t.id, row.ID).Exec(ctx)
	return err
}

// RetryBackfill begins another attempt of a backfill that has ended without completing. Errors: CodeNotFound,
// CodeBackfillOpen, CodeBackfillClosed where there is nothing to retry.
func (t *Tenant) RetryBackfill(ctx context.Context, id string) (models.Backfill, error) {
	var retried models.Backfill
	err := t.write(ctx, func(ctx context.Context, tx bun.Tx) error {
		row, err := t.lockBackfill(ctx, tx, id)
		switch {
		case err != nil:
			return err
		case !row.Status.Terminal():
			return models.Errorf(models.CodeBackfillOpen, "the backfill has not ended: it is %s", row.Status)
		case row.Status == models.BackfillCompleted:
			return models.Errorf(models.CodeBackfillClosed, "every execution of the backfill is COMPLETED: there is nothing to retry")
		}
		changes := row.move(models.BackfillRunning)
		row.Attempt++
		row.StatusReason, row.Failed, row.Cancelled, row.EndedAt = "", 0, 0, instant{}
		if err := t.saveBackfill(ctx, tx, row); err != nil {
			return err
		}
		retried = row.model()
		return t.add(ctx, tx, changes)
	})
	return retried, err
}

// CompletedDueTimes returns the due times of a backfill from a time to another, both inclusive, whose execution is
// COMPLETED.
func (t *Tenant) CompletedDueTimes(ctx context.Context, backfillID string, from, to time.Time) (map[time.Time]bool, error) {
	completed := map[time.Time]bool{}
	err := t.read(ctx, func(db bun.IDB) error {
		var rows []executionRow
		err := db.NewSelect().Model(&rows).Column("execution_date").
			Where("tenant_id = ? AND backfill_id = ? AND backfill_id <> ''", t.id, backfillID).
			Where("execution_date BETWEEN ? AND ? AND status = 'COMPLETED'", at(from), at(to)).Scan(ctx)
		for _, row := range rows {
			completed[row.ExecutionDate.UTC()] = true
		}
		return err
	})
	return completed, err
}

// SubmitBackfilled is SubmitExecution for a due time of e.BackfillID, which is e.ExecutionDate, in an attempt. The
// execution that the attempt has made of it before is returned as it is.
func (t *Tenant) SubmitBackfilled(ctx context.Context, e models.Execution) (models.Execution, error) {
	var made []executionRow
	err := t.read(ctx, func(db bun.IDB) error {
		made = nil
		return db.NewSelect().Model(&made).
			Where("tenant_id = ? AND backfill_id = ? AND backfill_id <> ''", t.id, e.BackfillID).
			Where("execution_date = ? AND backfill_attempt = ?", at(e.ExecutionDate), e.BackfillAttempt).Scan(ctx)
	})
	if err != nil {
		return models.Execution{}, err
	}
	if len(made) == 1 {
		return made[0].model(), nil
	}
	return t.SubmitExecution(ctx, e)
}

// OpenBackfills returns up to limit backfills of all tenants that have not ended and were submitted before a time, the
// oldest first, from the one after an id on.
func (s *Store) OpenBackfills(ctx context.Context, submittedBefore time.Time, after string, limit int) ([]models.Backfill, error) {
	var rows []backfillRow
	err := s.read(ctx, func(db bun.IDB) error {
		rows = nil
		return db.NewSelect().Model(&rows).Where("ended_at IS NULL AND submitted_at < ? AND id > ?", at(submittedBefore), after).
			OrderExpr("id").Limit(int64(limit)).Scan(ctx)
	})
	found := make([]models.Backfill, len(rows))
	for i := range rows {
		found[i] = rows[i].model()
	}
	return found, err
}

func pipelinePaused() error {
	return models.Errorf(models.CodePipelinePaused, "the pipeline is paused: set its status to ACTIVE first")
}
