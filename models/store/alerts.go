package store

import (
	"context"
	"time"

	"github.com/uptrace/bun"

	"github.com/matih/pipeline-service/models"
)

// OpenAlert tells that a.Rule of a.PipelineID was broken by a.Occurrence at a.LastSeen (zero is now). Where
// the pipeline has an unresolved alert of the rule, that one counts up and takes over severity and
// message; the occurrence it saw last changes nothing, so that a sweep or a retry may tell of it again.
// Only PipelineID, Rule, Severity, Message, Occurrence and LastSeen of a count. Error: CodeNotFound where there is no
// such pipeline.
func (t *Tenant) OpenAlert(ctx context.Context, a models.Alert) error {
	return t.write(ctx, func(ctx context.Context, tx bun.Tx) error {
		if err := t.checkPipeline(ctx, tx, a.PipelineID); err != nil {
			return err
		}
		changes, err := t.openAlert(ctx, tx, a)
		if err != nil {
			return err
		}
		return t.add(ctx, tx, changes)
	})
}

// openAlert is OpenAlert within a transaction, for a pipeline that exists.
func (t *Tenant) openAlert(ctx context.Context, tx bun.Tx, a models.Alert) (tally, error) {
	changes := tally{}
	if a.LastSeen.IsZero() {
		a.LastSeen = time.Now()
	}
	row := &alertRow{
		TenantID: t.id, ID: models.NewID(models.PrefixAlert), PipelineID: a.PipelineID, Rule: a.Rule, Severity: a.Severity,
		Status: models.AlertOpen, Message: a.Message, Occurrence: a.Occurrence, N: 1,
		FirstSeen: at(a.LastSeen), LastSeen: at(a.LastSeen),
	}
	inserted, err := affected(tx.NewInsert().Model(row).On("CONFLICT DO NOTHING").Exec(ctx))
	if err != nil {
		return nil, err
	}
	if inserted == 1 {
		changes.alert(row, 1)
		return changes, nil
	}
	open, err := t.lockAlerts(ctx, tx, a.PipelineID, a.Rule)
	if err != nil || len(open) == 0 { // none: it was resolved just now, and what is told now belongs to that
		return changes, err
	}
	old := &open[0]
	if old.Occurrence == row.Occurrence || row.LastSeen.Before(old.LastSeen.Time) {
		return changes, nil
	}
	changes.alert(old, -1)
	old.N++
	old.Severity, old.Message, old.Occurrence, old.LastSeen = row.Severity, row.Message, row.Occurrence, row.LastSeen
	changes.alert(old, 1)
	return changes, t.saveAlert(ctx, tx, old, "n", "severity", "message", "occurrence", "last_seen")
}

// ResolveAlert resolves a pipeline's alert of a rule, if it has one that was last seen no later than now,
// the time of the good news: what broke after that stays open. Error: CodeNotFound.
func (t *Tenant) ResolveAlert(ctx context.Context, pipelineID string, rule models.AlertRule, now time.Time) error {
	return t.write(ctx, func(ctx context.Context, tx bun.Tx) error {
		if err := t.checkPipeline(ctx, tx, pipelineID); err != nil {
			return err
		}
		changes, err := t.resolveAlert(ctx, tx, pipelineID, rule, now)
		if err != nil {
			return err
		}
		return t.add(ctx, tx, changes)
	})
}

// resolveAlert is ResolveAlert within a transaction.
func (t *Tenant) resolveAlert(ctx context.Context, tx bun.Tx, pipelineID string, rule models.AlertRule, now time.Time) (tally, error) {
	open, err := t.lockAlerts(ctx, tx, pipelineID, rule)
	if err != nil {
		return nil, err
	}
	return t.resolveAlerts(ctx, tx, open, now)
}

// resolveAlerts resolves alerts that are locked, but for those that were seen after now.
func (t *Tenant) resolveAlerts(ctx context.Context, tx bun.Tx, open []alertRow, now time.Time) (tally, error) {
	changes := tally{}
	for i := range open {
		row := &open[i]
		if row.LastSeen.After(at(now).Time) {
			continue
		}
		changes.alert(row, -1)
		row.Status, row.ResolvedAt = models.AlertResolved, at(now)
		changes.alert(row, 1)
		if err := t.saveAlert(ctx, tx, row, "status", "resolved_at"); err != nil {
			return nil, err
		}
	}
	return changes, nil
}

// lockAlerts reads the unresolved alerts of a pipeline of some rules, in the order of the rules' names, and keeps
// others from changing them until the transaction ends.
func (t *Tenant) lockAlerts(ctx context.Context, tx bun.Tx, pipelineID string, rules ...models.AlertRule) (rows []alertRow, err error) {
	q := tx.NewSelect().Model(&rows).
		Where("tenant_id = ? AND pipeline_id = ? AND status <> 'RESOLVED'", t.id, pipelineID).
		Where("rule IN (?)", bun.List(rules)).OrderExpr("rule")
	return rows, locking(tx, q).Scan(ctx)
}

func (t *Tenant) saveAlert(ctx context.Context, tx bun.Tx, row *alertRow, columns ...string) error {
	_, err := tx.NewUpdate().Model(row).Column(columns...).Where("tenant_id = ? AND id = ?", t.id, row.ID).Exec(ctx)
	return err
}

// AcknowledgeAlert notes who knows of an alert since when, with a comment or "". One that is ACKNOWLEDGED stays as it is
// and is returned. Errors: CodeNotFound, CodeAlertResolved.
func (t *Tenant) AcknowledgeAlert(ctx context.Context, id, by, comment string, now time.Time) (models.Alert, error) {
	var acknowledged models.Alert
	err := t.write(ctx, func(ctx context.Context, tx bun.Tx) error {
		var row alertRow
		q := tx.NewSelect().Model(&row).Where("tenant_id = ? AND id = ?", t.id, id)
		if err := notFound("alert", locking(tx, q).Scan(ctx)); err != nil {
			return err
		}
		switch row.Status {
		case models.AlertResolved:
			return models.Errorf(models.CodeAlertResolved, "the alert was resolved at %s", row.ResolvedAt.Format(time.RFC3339))
		case models.AlertAcknowledged:
			acknowledged = row.model()
			return nil
		}
		changes := tally{}
		changes.alert(&row, -1)
		row.Status, row.AcknowledgedBy, row.AcknowledgedAt, row.Comment = models.AlertAcknowledged, by, at(now), comment
		changes.alert(&row, 1)
		acknowledged = row.model()
		if err := t.saveAlert(ctx, tx, &row, "status", "acknowledged_by", "acknowledged_at", "comment"); err != nil {
			return err
		}
		return t.add(ctx, tx, changes)
	})
	return acknowledged, err
}

// Alert returns an alert. Error: CodeNotFound.
func (t *Tenant) Alert(ctx context.Context, id string) (a models.Alert, err error) {
	err = t.read(ctx, func(db bun.IDB) error {
		var row alertRow
		err := db.NewSelect().Model(&row).Where("tenant_id = ? AND id = ?", t.id, id).Scan(ctx)
		a = row.model()
		return notFound("alert", err)
	})
	return a, err
}

// AlertFilter narrows a list of alerts; its zero value is all of them.
type AlertFilter struct {
	PipelineID string
	Status     models.AlertStatus
	Severity   models.Severity
}

// Alerts returns a page of the alerts that pass the filter, those opened last first, and their exact number. A
// filter by a pipeline the tenant does not have is CodeNotFound.
func (t *Tenant) Alerts(ctx context.Context, f AlertFilter, p models.Page) (models.Paged[models.Alert], error) {
	var paged models.Paged[models.Alert]
	err := t.read(ctx, func(db bun.IDB) error {
		if f.PipelineID != "" {
			if err := t.checkPipeline(ctx, db, f.PipelineID); err != nil {
				return err
			}
		}
		rows, err := t.alertPage(ctx, db, f, p)
		if err != nil {
			return err
		}
		paged.Items = make([]models.Alert, len(rows))
		for i := range rows {
			paged.Items[i] = rows[i].model()
		}
		paged.Total, err = t.total(ctx, db, countAlerts, f.PipelineID, f.counted()...)
		return err
	})
	return paged, err
}

// alertPage finds the ids of a page in an index alone; see executionPage.
func (t *Tenant) alertPage(ctx context.Context, db bun.IDB, f AlertFilter, p models.Page) (rows []alertRow, err error) {
	limit, offset := window(p)
	page := db.NewSelect().Model((*alertRow)(nil)).Column("id").Where("al.tenant_id = ?", t.id)
	if f.PipelineID != "" {
		page.Where("al.pipeline_id = ?", f.PipelineID)
	}
	if f.Status != "" {
		page.Where("al.status = ?", f.Status)
	}
	if f.Severity != "" {
		page.Where("al.severity = ?", f.Severity)
	}
	page.OrderExpr("al.id DESC").Limit(limit).Offset(offset)
	err = db.NewSelect().Model(&rows).Where("al.tenant_id = ? AND al.id IN (?)", t.id, page).OrderExpr("al.id DESC").Scan(ctx)
	return rows, err
}

// counted names the counters of the alerts that pass; none is all.
func (f AlertFilter) counted() []string {
	if f.Status == "" && f.Severity == "" {
		return nil
	}
	statuses, severities := models.AlertStatuses, models.Severities
	if f.Status != "" {
		statuses = []models.AlertStatus{f.Status}
	}
	if f.Severity != "" {
		severities = []models.Severity{f.Severity}
	}
	var names []string
	for _, status := range statuses {
		for _, severity := range severities {
			names = append(names, alertCount(status, severity))
		}
	}
	return names
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
