package store

import (
	"context"
	"time"

	"github.com/uptrace/bun"

	"github.com/matih/pipeline-service/models"
)

// retention is what is still kept of an execution that has ended. It only grows; at its end the row goes.
type retention int

const (
	stagingKept retention = iota
	// stagingClaimed: no re-run may use the staged data any more, whether they are gone already or not.
	stagingClaimed
	// quarantineKept: nothing is left but quarantined rows.
	quarantineKept
)

type retainedRow struct {
	bun.BaseModel `bun:"table:retained,alias:r"`

	TenantID    models.TenantID
	ExecutionID string
	EndedAt     instant
	State       retention
}

// stagingUse says that an execution reads what another, its owner, has staged.
type stagingUse struct {
	bun.BaseModel `bun:"table:staging_uses,alias:u"`

	TenantID    models.TenantID
	OwnerID     string
	ExecutionID string
}

// Retained names an execution of which something is kept outside the database.
type Retained struct {
	TenantID    models.TenantID
	ExecutionID string
}

// retain notes that an execution has ended, and with it the need for what it has staged.
func (t *Tenant) retain(ctx context.Context, tx bun.Tx, id string, ended time.Time) error {
	_, err := tx.NewInsert().Model(&retainedRow{TenantID: t.id, ExecutionID: id, EndedAt: at(ended), State: stagingKept}).
		On("CONFLICT DO NOTHING").Exec(ctx)
	return err
}

// ClaimStaged returns up to limit executions of all tenants whose staged data are to be removed: they ended
// before a time, as did every execution that uses their data. From now on no re-run can use them. Those that
// were claimed before and never reported by StagedRemoved are chosen last. They are in no order.
func (s *Store) ClaimStaged(ctx context.Context, endedBefore time.Time, limit int) ([]Retained, error) {
	var claimed []Retained
	err := s.write(ctx, func(ctx context.Context, tx bun.Tx) error {
		claimed = nil
		var found []Retained
		q := tx.NewSelect().Model((*retainedRow)(nil)).Column("tenant_id", "execution_id").
			Where("r.state IN (?, ?) AND r.ended_at < ?", stagingKept, stagingClaimed, at(endedBefore)).
			Where("NOT EXISTS (?)", laterUses(tx, endedBefore)).
			OrderExpr("r.state, r.ended_at, r.execution_id").Limit(int64(limit))
		if err := locking(tx, q).Scan(ctx, &found); err != nil {
			return err
		}
		// A re-run that began to use one of them before it was locked is seen only by a statement that
		// begins after.
		for tenant, ids := range byTenant(found) {
			var own []Retained
			err := tx.NewUpdate().Model((*retainedRow)(nil)).Set("state = ?", stagingClaimed).
				Where("r.tenant_id = ? AND r.execution_id IN (?)", tenant, bun.List(ids)).
				Where("NOT EXISTS (?)", laterUses(tx, endedBefore)).
				Returning("tenant_id, execution_id").Scan(ctx, &own)
			if err != nil {
				return err
			}
			claimed = append(claimed, own...)
		}
		return nil
	})
	return claimed, err
}

// laterUses selects the uses of what r staged by executions that are open or did not end before a time.
func laterUses(tx bun.Tx, ended time.Time) *bun.SelectQuery {
	return tx.NewSelect().Model((*stagingUse)(nil)).ColumnExpr("1").
		Join("JOIN executions AS e ON e.tenant_id = u.tenant_id AND e.id = u.execution_id").
		Where("u.tenant_id = r.tenant_id AND u.owner_id = r.execution_id").
		Where("(e.run_slot IS NOT NULL OR e.ended_at >= ?)", at(ended))
}

// StagedRemoved notes that the staged data of claimed executions are gone.
func (s *Store) StagedRemoved(ctx context.Context, executions []Retained) error {
	return s.write(ctx, func(ctx context.Context, tx bun.Tx) error {
		for tenant, ids := range byTenant(executions) {
			_, err := tx.NewUpdate().Model((*retainedRow)(nil)).Set("state = ?", quarantineKept).
				Where("tenant_id = ? AND execution_id IN (?) AND state = ?", tenant, bun.List(ids), stagingClaimed).Exec(ctx)
			if err != nil {
				return err
			}
			// No re-run can publish their batches any more.
			_, err = tx.NewDelete().Model((*batchRow)(nil)).Where("tenant_id = ? AND execution_id IN (?)", tenant, bun.List(ids)).Exec(ctx)
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// QuarantineExpired returns up to limit executions of all tenants that ended before a time, whose staged
// data are gone and of which quarantined rows may be kept.
func (s *Store) QuarantineExpired(ctx context.Context, endedBefore time.Time, limit int) (expired []Retained, err error) {
	err = s.read(ctx, func(db bun.IDB) error {
		expired = nil
		return db.NewSelect().Model((*retainedRow)(nil)).Column("tenant_id", "execution_id").
			Where("state = ? AND ended_at < ?", quarantineKept, at(endedBefore)).
			OrderExpr("ended_at, execution_id").Limit(int64(limit)).Scan(ctx, &expired)
	})
	return expired, err
}

// QuarantineRemoved notes that nothing is kept of executions any more.
func (s *Store) QuarantineRemoved(ctx context.Context, executions []Retained) error {
	return s.write(ctx, func(ctx context.Context, tx bun.Tx) error {
		for tenant, ids := range byTenant(executions) {
			_, err := tx.NewDelete().Model((*retainedRow)(nil)).
				Where("tenant_id = ? AND execution_id IN (?) AND state = ?", tenant, bun.List(ids), quarantineKept).Exec(ctx)
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// Retained tells of which of the executions something may be kept outside the database, and whether staged data are among that:
// all may be of one that has not ended.
func (t *Tenant) Retained(ctx context.Context, ids []string) (map[string]bool, error) {
	kept := make(map[string]bool, len(ids))
	err := t.read(ctx, func(db bun.IDB) error {
		var open []string
		err := db.NewSelect().Model((*executionRow)(nil)).Column("id").
			Where("tenant_id = ? AND id IN (?) AND run_slot IS NOT NULL", t.id, bun.List(ids)).Scan(ctx, &open)
		if err != nil {
			return err
		}
		var rows []retainedRow
		err = db.NewSelect().Model(&rows).Column("execution_id", "state").
			Where("tenant_id = ? AND execution_id IN (?)", t.id, bun.List(ids)).Scan(ctx)
		for _, id := range open {
			kept[id] = true
		}
		for _, r := range rows {
			kept[r.ExecutionID] = r.State != quarantineKept
		}
		return err
	})
	return kept, err
}

func byTenant(executions []Retained) map[models.TenantID][]string {
	ids := map[models.TenantID][]string{}
	for _, e := range executions {
		ids[e.TenantID] = append(ids[e.TenantID], e.ExecutionID)
	}
	return ids
}
