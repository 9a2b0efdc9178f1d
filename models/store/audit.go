package store

import (
	"context"

	"github.com/uptrace/bun"

	"github.com/matih/pipeline-service/models"
)

type auditRow struct {
	bun.BaseModel `bun:"table:audit,alias:au"`

	TenantID  models.TenantID
	ID        string
	At        instant
	Subject   string
	Operation string
	Method    string
	Path      string
	Resource  string
	Status    int
	RequestID string
}

func (r *auditRow) model() models.AuditEntry {
	return models.AuditEntry{
		ID: r.ID, Tenant: r.TenantID, At: r.At.Time, Subject: r.Subject, Operation: r.Operation, Method: r.Method, Path: r.Path,
		Resource: r.Resource, Status: r.Status, RequestID: r.RequestID,
	}
}

// BeginAudit notes that a request is about to act; e.ID is the caller's.
func (t *Tenant) BeginAudit(ctx context.Context, e models.AuditEntry) error {
	return t.write(ctx, func(ctx context.Context, tx bun.Tx) error {
		inserted, err := affected(tx.NewInsert().Model(&auditRow{
			TenantID: t.id, ID: e.ID, At: at(e.At), Subject: e.Subject, Operation: e.Operation, Method: e.Method, Path: e.Path,
			Resource: e.Resource, RequestID: e.RequestID,
		}).On("CONFLICT DO NOTHING").Exec(ctx))
		if err != nil || inserted == 0 {
			return err
		}
		changes := tally{}
		changes.audit(e.Subject, e.Resource)
		return t.add(ctx, tx, changes)
	})
}

// EndAudit notes how a request was answered, and what it made if nothing was named before.
func (t *Tenant) EndAudit(ctx context.Context, id string, status int, resource string) error {
	return t.write(ctx, func(ctx context.Context, tx bun.Tx) error {
		var row auditRow
		err := locking(tx, tx.NewSelect().Model(&row).Where("tenant_id = ? AND id = ?", t.id, id)).Scan(ctx)
		if err != nil {
			return notFound("audit entry", err)
		}
		changes := tally{}
		if row.Resource == "" && resource != "" {
			changes[countKey{countAuditResource, resource, ""}]++
			row.Resource = resource
		}
		row.Status = status
		if _, err := tx.NewUpdate().Model(&row).Column("status", "resource").Where("tenant_id = ? AND id = ?", t.id, id).Exec(ctx); err != nil {
			return err
		}
		return t.add(ctx, tx, changes)
	})
}

// AuditFilter narrows the audit log; its zero value is all of it. The fields exclude each other.
type AuditFilter struct {
	Subject  string
	Resource string
}

// Audit returns a page of the audit log, newest first.
func (t *Tenant) Audit(ctx context.Context, f AuditFilter, p models.Page) (models.Paged[models.AuditEntry], error) {
	var paged models.Paged[models.AuditEntry]
	err := t.read(ctx, func(db bun.IDB) error {
		limit, offset := window(p)
		page := db.NewSelect().Model((*auditRow)(nil)).Column("id").Where("au.tenant_id = ?", t.id)
		kind, scope := countAudit, everything
		switch {
		case f.Resource != "":
			page.Where("au.resource = ?", f.Resource)
			kind, scope = countAuditResource, f.Resource
		case f.Subject != "":
			page.Where("au.subject = ?", f.Subject)
			kind, scope = countAuditSubject, f.Subject
		}
		page.OrderExpr("au.id DESC").Limit(limit).Offset(offset)
		var rows []auditRow
		if err := db.NewSelect().Model(&rows).Where("au.tenant_id = ? AND au.id IN (?)", t.id, page).OrderExpr("au.id DESC").Scan(ctx); err != nil {
			return err
		}
		paged.Items = make([]models.AuditEntry, len(rows))
		for i := range rows {
			paged.Items[i] = rows[i].model()
		}
		var err error
		paged.Total, err = t.total(ctx, db, kind, scope)
		return err
	})
	return paged, err
}
