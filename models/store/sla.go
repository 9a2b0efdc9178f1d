package store

import (
	"context"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"github.com/matih/pipeline-service/models"
)

// begin notes when an execution started and so when it will have taken longer than it may.
func (r *executionRow) begin(start instant) {
	r.StartedAt = start
	if r.SLAMicros > 0 && !start.IsZero() {
		r.SLADue = at(start.Add(r.promised()))
	}
}

func (r *executionRow) promised() time.Duration { return time.Duration(r.SLAMicros) * time.Microsecond }

// overdue reports whether an execution has taken longer than it may.
func (r *executionRow) overdue(now time.Time) bool {
	return r.SLAMicros > 0 && !r.StartedAt.IsZero() && now.Sub(r.StartedAt.Time) > r.promised()
}

// slaMissed is the alert for an execution that is overdue.
func (r *executionRow) slaMissed(now time.Time) models.Alert {
	return models.Alert{
		PipelineID: r.PipelineID, Rule: models.AlertSLAMissed, Severity: models.SeverityWarning, Occurrence: r.ID, LastSeen: now,
		Message: fmt.Sprintf("the execution takes longer than the promised %s", r.promised()),
	}
}

// TellOverdue opens an alert for up to limit open executions of all tenants that run longer now than they may, and
// returns them. Each is told of once.
func (s *Store) TellOverdue(ctx context.Context, now time.Time, limit int) ([]ExecutionRef, error) {
	var rows []executionRow
	err := s.read(ctx, func(db bun.IDB) error {
		rows = nil
		return db.NewSelect().Model(&rows).Column("tenant_id", "id", "pipeline_id").
			Where("run_slot IS NOT NULL AND sla_due IS NOT NULL AND sla_due < ?", at(now)).
			OrderExpr("sla_due").Limit(int64(limit)).Scan(ctx)
	})
	if err != nil {
		return nil, err
	}
	told := make([]ExecutionRef, len(rows))
	for i, r := range rows {
		told[i] = ExecutionRef{Tenant: r.TenantID, ID: r.ID, PipelineID: r.PipelineID}
		if err := s.ForTenant(r.TenantID).tellOverdue(ctx, r.ID, now); err != nil {
			return nil, err
		}
	}
	return told, nil
}

func (t *Tenant) tellOverdue(ctx context.Context, id string, now time.Time) error {
	return t.write(ctx, func(ctx context.Context, tx bun.Tx) error {
		row, err := t.lockExecution(ctx, tx, id)
		if err != nil || row.Status.Terminal() || !row.overdue(now) {
			return err // its end has told it
		}
		changes, err := t.openAlert(ctx, tx, row.slaMissed(now))
		if err != nil {
			return err
		}
		row.SLADue = instant{}
		if err := t.saveExecution(ctx, tx, row, "sla_due"); err != nil {
			return err
		}
		if err := t.notify(ctx, tx, row, models.EventSLAMissed, "", now); err != nil {
			return err
		}
		return t.add(ctx, tx, changes)
	})
}
