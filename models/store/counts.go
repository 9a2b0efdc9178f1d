package store

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"github.com/uptrace/bun"

	"github.com/matih/pipeline-service/models"
)

// Kinds of things that are counted.
const (
	countPipelines   = "pipeline"
	countConnections = "connection"
	countExecutions  = "execution"
	countApprovals   = "approval"
	countAlerts      = "alert"
	countSchedules   = "schedule"
	countBackfills   = "backfill"
	countAudit       = "audit"

	// The audit log is counted by who and by what, too.
	countAuditSubject  = "audit_subject"
	countAuditResource = "audit_resource"
)

// everything is the scope of the counts over all of a tenant's things.
const everything = ""

// countKey names one counter of a tenant.
type countKey struct{ kind, scope, status string }

// countRow holds a counter.
type countRow struct {
	bun.BaseModel `bun:"table:counts,alias:c"`

	TenantID models.TenantID
	Kind     string
	Scope    string
	Status   string
	N        int64
}

// tally collects changes of counters in a transaction, to be added at its end.
type tally map[countKey]int64

func (c tally) pipeline(status models.PipelineStatus, n int64) {
	c[countKey{countPipelines, everything, string(status)}] += n
}

func (c tally) connection(n int64) { c[countKey{countConnections, everything, ""}] += n }

func (c tally) execution(pipelineID string, status models.ExecutionStatus, n int64) {
	c[countKey{countExecutions, everything, string(status)}] += n
	c[countKey{countExecutions, pipelineID, string(status)}] += n
}

func (c tally) approval(status models.ApprovalStatus, n int64) {
	c[countKey{countApprovals, everything, string(status)}] += n
}

func (c tally) alert(a *alertRow, n int64) {
	status := alertCount(a.Status, a.Severity)
	c[countKey{countAlerts, everything, status}] += n
	c[countKey{countAlerts, a.PipelineID, status}] += n
}

// alertCount is under which status alerts are counted, for their lists can be narrowed by both.
func alertCount(status models.AlertStatus, severity models.Severity) string {
	return string(status) + "/" + string(severity)
}

func (c tally) schedule(pipelineID string, n int64) {
	c[countKey{countSchedules, everything, ""}] += n
	c[countKey{countSchedules, pipelineID, ""}] += n
}

func (c tally) backfill(pipelineID string, status models.BackfillStatus, n int64) {
	c[countKey{countBackfills, everything, string(status)}] += n
	c[countKey{countBackfills, pipelineID, string(status)}] += n
}

func (c tally) audit(subject, resource string) {
	c[countKey{countAudit, everything, ""}]++
	c[countKey{countAuditSubject, subject, ""}]++
	if resource != "" {
		c[countKey{countAuditResource, resource, ""}]++
	}
}

// merge takes over other changes.
func (c tally) merge(other tally) {
	for key, n := range other {
		c[key] += n
	}
}

// add writes the changes, as the last thing of a transaction, for it locks counters that all of a
// tenant's transactions share. They are written in the order of their keys, so that two transactions never wait
// for each other.
func (t *Tenant) add(ctx context.Context, tx bun.Tx, changes tally) error {
	maps.DeleteFunc(changes, func(_ countKey, n int64) bool { return n == 0 })
	if len(changes) == 0 {
		return nil
	}
	keys := slices.SortedFunc(maps.Keys(changes), func(a, b countKey) int {
		return cmp.Or(cmp.Compare(a.kind, b.kind), cmp.Compare(a.scope, b.scope), cmp.Compare(a.status, b.status))
	})
	rows := make([]countRow, len(keys))
	for i, k := range keys {
		rows[i] = countRow{TenantID: t.id, Kind: k.kind, Scope: k.scope, Status: k.status, N: changes[k]}
	}
	_, err := tx.NewInsert().Model(&rows).
		On("CONFLICT (tenant_id, kind, scope, status) DO UPDATE").Set("n = c.n + EXCLUDED.n").Exec(ctx)
	return err
}

// total sums counters: those of the statuses, or all where there are none.
func (t *Tenant) total(ctx context.Context, db bun.IDB, kind, scope string, statuses ...string) (n int64, err error) {
	q := db.NewSelect().Model((*countRow)(nil)).ColumnExpr("CAST(COALESCE(SUM(n), 0) AS BIGINT)").
		Where("tenant_id = ? AND kind = ? AND scope = ?", t.id, kind, scope)
	if len(statuses) > 0 {
		q.Where("status IN (?)", bun.List(statuses))
	}
	return n, q.Scan(ctx, &n)
}
