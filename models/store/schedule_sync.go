package store

import (
	"context"
	"time"

	"github.com/uptrace/bun"

	"github.com/matih/pipeline-service/models"
)

// ScheduleSynced notes that Temporal has a schedule as it was at a revision. A deleted one goes for good if that was
// its last.
func (t *Tenant) ScheduleSynced(ctx context.Context, id string, revision int64) error {
	return t.write(ctx, func(ctx context.Context, tx bun.Tx) error {
		_, err := tx.NewDelete().Model((*scheduleRow)(nil)).
			Where("tenant_id = ? AND id = ? AND deleted AND revision = ?", t.id, id, revision).Exec(ctx)
		if err != nil {
			return err
		}
		_, err = tx.NewUpdate().Model((*scheduleRow)(nil)).Set("synced = ?", revision).
			Where("tenant_id = ? AND id = ? AND synced < ?", t.id, id, revision).Exec(ctx)
		return err
	})
}

// UnsyncedSchedules returns up to limit schedules of all tenants that changed before a time and that Temporal does not
// know as they are, deleted ones among them, those that changed first before others.
func (s *Store) UnsyncedSchedules(ctx context.Context, changedBefore time.Time, limit int) ([]models.Schedule, error) {
	return s.schedules(ctx, func(q *bun.SelectQuery) *bun.SelectQuery {
		return q.Where("synced <> revision AND updated_at < ?", at(changedBefore)).OrderExpr("updated_at").Limit(int64(limit))
	})
}

// LateSchedule is a schedule with a due time that has passed and of which nothing is known.
type LateSchedule struct {
	models.Schedule
	Due time.Time
}

// LateSchedules returns up to limit schedules of all tenants with a due time before one time and not before
// another of which nothing is known, the earliest first.
func (s *Store) LateSchedules(ctx context.Context, from, before time.Time, limit int) ([]LateSchedule, error) {
	var rows []scheduleRow
	err := s.read(ctx, func(db bun.IDB) error {
		rows = nil
		return db.NewSelect().Model(&rows).Where("next_due >= ? AND next_due < ?", from.UnixMicro(), at(before)).
			OrderExpr("next_due").Limit(int64(limit)).Scan(ctx)
	})
	late := make([]LateSchedule, len(rows))
	for i := range rows {
		late[i] = LateSchedule{Schedule: rows[i].model(), Due: rows[i].NextDue.Time}
	}
	return late, err
}

func (s *Store) schedules(ctx context.Context, narrow func(*bun.SelectQuery) *bun.SelectQuery) ([]models.Schedule, error) {
	var rows []scheduleRow
	err := s.read(ctx, func(db bun.IDB) error {
		rows = nil
		return narrow(db.NewSelect().Model(&rows)).Scan(ctx)
	})
	found := make([]models.Schedule, len(rows))
	for i := range rows {
		found[i] = rows[i].model()
	}
	return found, err
}

// SubmitScheduled is SubmitExecution for a due time of e.ScheduleID, which is e.ExecutionDate; next is the due time
// after it. More error: CodeNotFound where the schedule is deleted.
func (t *Tenant) SubmitScheduled(ctx context.Context, e models.Execution, next time.Time) (models.Execution, error) {
	return t.submit(ctx, e, func(ctx context.Context, tx bun.Tx, row *executionRow) error {
		return t.recordDue(ctx, tx, row.ScheduleID, models.DueTime{
			DueAt: e.ExecutionDate, Outcome: models.DueStarted, ExecutionID: row.ID,
		}, next)
	})
}

// RecordDue notes what became of a due time that made no execution; next is the due time after it. Telling of it
// again changes nothing. Error: CodeNotFound where the schedule is deleted.
func (t *Tenant) RecordDue(ctx context.Context, scheduleID string, due models.DueTime, next time.Time) error {
	return t.write(ctx, func(ctx context.Context, tx bun.Tx) error {
		return t.recordDue(ctx, tx, scheduleID, due, next)
	})
}

func (t *Tenant) recordDue(ctx context.Context, tx bun.Tx, scheduleID string, due models.DueTime, next time.Time) error {
	row, err := t.lockSchedule(ctx, tx, scheduleID)
	if err != nil {
		return err
	}
	if err := row.remember(due); err != nil {
		return err
	}
	if !row.NextDue.IsZero() && !row.NextDue.After(due.DueAt) {
		row.NextDue = at(next)
	}
	return t.saveSchedule(ctx, tx, row)
}
