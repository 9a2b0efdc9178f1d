package store

import (
	"context"
	"time"

	"github.com/uptrace/bun"

	"github.com/matih/pipeline-service/models"
)

type alertRow struct {
	bun.BaseModel `bun:"table:alerts,alias:al"`

	TenantID   models.TenantID
	ID         string
	PipelineID string
	Rule       models.AlertRule
	Severity   models.Severity
	Status     models.AlertStatus
	Message    string
	Occurrence string
	N          int64
	FirstSeen  instant
	LastSeen   instant
	ResolvedAt instant
}

func (r *alertRow) model() models.Alert {
	return models.Alert{
		ID: r.ID, Tenant: r.TenantID, PipelineID: r.PipelineID, Rule: r.Rule, Severity: r.Severity, Status: r.Status,
		Message: r.Message, Occurrence: r.Occurrence, Count: r.N,
		FirstSeen: r.FirstSeen.Time, LastSeen: r.LastSeen.Time, ResolvedAt: r.ResolvedAt.Time,
	}
}

// OpenAlert tells that a.Rule of a.PipelineID was broken by a.Occurrence at a.LastSeen (zero is now). Where
// the pipeline has an unresolved alert of the rule, that one counts up and takes over severity and
// message; the occurrence it saw last changes nothing, so that a sweep or a retry may tell of it again.
// ID, Status, Count and FirstSeen of a are ignored. Error: CodeNotFound where there is no such pipeline.
func (t *Tenant) OpenAlert(ctx context.Context, a models.Alert) error {
	if a.LastSeen.IsZero() {
		a.LastSeen = time.Now()
	}
	row := &alertRow{
		TenantID: t.id, ID: models.NewID(models.PrefixAlert), PipelineID: a.PipelineID, Rule: a.Rule, Severity: a.Severity,
		Status: models.AlertOpen, Message: a.Message, Occurrence: a.Occurrence, N: 1,
		FirstSeen: at(a.LastSeen), LastSeen: at(a.LastSeen),
	}
	return t.write(ctx, func(ctx context.Context, tx bun.Tx) error {
		if err := t.checkPipeline(ctx, tx, a.PipelineID); err != nil {
			return err
		}
		_, err := tx.NewInsert().Model(row).
			On("CONFLICT (tenant_id, pipeline_id, rule) WHERE status <> 'RESOLVED' DO UPDATE").
			Set("n = al.n + 1, last_seen = EXCLUDED.last_seen, occurrence = EXCLUDED.occurrence").
			Set("severity = EXCLUDED.severity, message = EXCLUDED.message").
			Where("al.occurrence <> EXCLUDED.occurrence AND al.last_seen <= EXCLUDED.last_seen").Exec(ctx)
		return err
	})
}

// ResolveAlert resolves a pipeline's alert of a rule, if it has one that was last seen no later than now,
// the time of the good news: what broke after that stays open. Error: CodeNotFound.
func (t *Tenant) ResolveAlert(ctx context.Context, pipelineID string, rule models.AlertRule, now time.Time) error {
	return t.write(ctx, func(ctx context.Context, tx bun.Tx) error {
		if err := t.checkPipeline(ctx, tx, pipelineID); err != nil {
			return err
		}
		_, err := tx.NewUpdate().Model(&alertRow{Status: models.AlertResolved, ResolvedAt: at(now)}).
			Column("status", "resolved_at").
			Where("tenant_id = ? AND pipeline_id = ? AND rule = ? AND status <> 'RESOLVED'", t.id, pipelineID, rule).
			Where("last_seen <= ?", at(now)).Exec(ctx)
		return err
	})
}

// UnresolvedAlerts returns the alerts of a pipeline that are not resolved, at most one a rule, in the order they
// were opened. Error: CodeNotFound.
func (t *Tenant) UnresolvedAlerts(ctx context.Context, pipelineID string) (alerts []models.Alert, err error) {
	err = t.read(ctx, func(db bun.IDB) error {
		if err := t.checkPipeline(ctx, db, pipelineID); err != nil {
			return err
		}
		var rows []alertRow
		err := db.NewSelect().Model(&rows).
			Where("tenant_id = ? AND pipeline_id = ? AND status <> 'RESOLVED'", t.id, pipelineID).OrderExpr("id").Scan(ctx)
		alerts = make([]models.Alert, len(rows))
		for i := range rows {
			alerts[i] = rows[i].model()
		}
		return err
	})
	return alerts, err
}
