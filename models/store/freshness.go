package store

import (
	"context"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"github.com/matih/pipeline-service/models"
)

// activate makes a pipeline ACTIVE and has its promise count from now, unless it is ACTIVE already.
func (r *pipelineRow) activate(now instant) {
	if r.Status != models.PipelineActive {
		r.Status, r.ActiveSince = models.PipelineActive, now
		r.keepFresh(now)
	}
}

// promiseFreshness says until when the pipeline's promise is kept: counted from the
// end of its last good run, or where it has had none from when it became ACTIVE.
func (t *Tenant) promiseFreshness(ctx context.Context, tx bun.Tx, row *pipelineRow) error {
	row.FreshUntil = instant{}
	if row.FreshnessMicros == 0 || row.Status != models.PipelineActive {
		return nil
	}
	var last []executionRow
	err := tx.NewSelect().Model(&last).Column("ended_at").
		Where("tenant_id = ? AND pipeline_id = ? AND status = 'COMPLETED'", t.id, row.ID).OrderExpr("id DESC").Limit(1).Scan(ctx)
	if err != nil {
		return err
	}
	from := row.ActiveSince
	if len(last) == 1 {
		from = last[0].EndedAt
	}
	row.keepFresh(from)
	return nil
}

// keepFresh counts the promise anew.
func (r *pipelineRow) keepFresh(from instant) {
	if r.FreshnessMicros > 0 {
		r.FreshUntil = at(from.Add(time.Duration(r.FreshnessMicros) * time.Microsecond))
	}
}

// refresh counts the promise of an execution's pipeline, if that makes one, from the execution's good end.
func (t *Tenant) refresh(ctx context.Context, tx bun.Tx, e *executionRow) error {
	_, err := tx.NewUpdate().Model((*pipelineRow)(nil)).Set("fresh_until = ? + freshness_micros", e.EndedAt).
		Where("tenant_id = ? AND id = ? AND freshness_micros > 0 AND status = 'ACTIVE'", t.id, e.PipelineID).Exec(ctx)
	return err
}

// TellStale opens an alert for up to limit pipelines of all tenants whose last good run is older now than they
// promise, and returns how many there were. Each is told of once until it has had a good run.
func (s *Store) TellStale(ctx context.Context, now time.Time, limit int) (int, error) {
	var found []pipelineRow
	err := s.read(ctx, func(db bun.IDB) error {
		found = nil
		return db.NewSelect().Model(&found).Column("tenant_id", "id").Where("fresh_until < ?", at(now)).
			OrderExpr("fresh_until").Limit(int64(limit)).Scan(ctx)
	})
	if err != nil {
		return 0, err
	}
	for _, p := range found {
		if err := s.ForTenant(p.TenantID).tellStale(ctx, p.ID, now); err != nil {
			return 0, err
		}
	}
	return len(found), nil
}

func (t *Tenant) tellStale(ctx context.Context, pipelineID string, now time.Time) error {
	return t.write(ctx, func(ctx context.Context, tx bun.Tx) error {
		row := new(pipelineRow)
		q := tx.NewSelect().Model(row).Where("tenant_id = ? AND id = ?", t.id, pipelineID)
		if err := locking(tx, q).Scan(ctx); err != nil {
			return notFound("pipeline", err)
		}
		if row.FreshUntil.IsZero() || !row.FreshUntil.Before(now) {
			return nil // a good run has ended meanwhile, or the promise was withdrawn
		}
		promised := time.Duration(row.FreshnessMicros) * time.Microsecond
		changes, err := t.openAlert(ctx, tx, models.Alert{
			PipelineID: pipelineID, Rule: models.AlertFreshness, Severity: models.SeverityCritical, LastSeen: now,
			Occurrence: row.FreshUntil.Format(time.RFC3339Nano),
			Message: fmt.Sprintf("no execution has completed since %s, which is longer than the promised %s",
				row.FreshUntil.Add(-promised).Format(time.RFC3339), promised),
		})
		if err != nil {
			return err
		}
		_, err = tx.NewUpdate().Model((*pipelineRow)(nil)).Set("fresh_until = NULL").
			Where("tenant_id = ? AND id = ?", t.id, pipelineID).Exec(ctx)
		if err != nil {
			return err
		}
		return t.add(ctx, tx, changes)
	})
}
