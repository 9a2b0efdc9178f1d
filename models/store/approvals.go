package store

import (
	"context"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"github.com/matih/pipeline-service/models"
)

// ApprovalFilter narrows a list of approvals; its zero value is all of them.
type ApprovalFilter struct {
	Status      models.ApprovalStatus
	ExecutionID string
}

// Approval returns an approval with its decisions. Error: CodeNotFound.
func (t *Tenant) Approval(ctx context.Context, id string) (models.Approval, error) {
	var found []models.Approval
	err := t.read(ctx, func(db bun.IDB) error {
		var row approvalRow
		if err := db.NewSelect().Model(&row).Where("tenant_id = ? AND id = ?", t.id, id).Scan(ctx); err != nil {
			return notFound("approval", err)
		}
		var err error
		found, err = t.withDecisions(ctx, db, []approvalRow{row})
		return err
	})
	if err != nil {
		return models.Approval{}, err
	}
	return found[0], nil
}

// Approvals returns a page of the approvals that pass the filter, newest first, and their exact number.
// A filter by an execution the tenant does not have is CodeNotFound.
func (t *Tenant) Approvals(ctx context.Context, f ApprovalFilter, p models.Page) (models.Paged[models.Approval], error) {
	var paged models.Paged[models.Approval]
	err := t.read(ctx, func(db bun.IDB) error {
		if f.ExecutionID != "" {
			if err := t.checkExecution(ctx, db, f.ExecutionID); err != nil {
				return err
			}
		}
		var rows []approvalRow
		limit, offset := window(p)
		err := t.filterApprovals(db.NewSelect().Model(&rows), f).OrderExpr("requested_at DESC, id DESC").
			Limit(limit).Offset(offset).Scan(ctx)
		if err != nil {
			return err
		}
		if paged.Items, err = t.withDecisions(ctx, db, rows); err != nil {
			return err
		}
		paged.Total, err = t.totalApprovals(ctx, db, f)
		return err
	})
	return paged, err
}

func (t *Tenant) filterApprovals(q *bun.SelectQuery, f ApprovalFilter) *bun.SelectQuery {
	q.Where("a.tenant_id = ?", t.id)
	if f.ExecutionID != "" {
		q.Where("a.execution_id = ?", f.ExecutionID)
	}
	if f.Status != "" {
		q.Where("a.status = ?", f.Status)
	}
	return q
}

// totalApprovals reads a counter, or counts the few approvals of one execution.
func (t *Tenant) totalApprovals(ctx context.Context, db bun.IDB, f ApprovalFilter) (int64, error) {
	if f.ExecutionID != "" {
		n, err := t.filterApprovals(db.NewSelect().Model((*approvalRow)(nil)), f).Count(ctx)
		return n, err
	}
	var statuses []string
	if f.Status != "" {
		statuses = []string{string(f.Status)}
	}
	return t.total(ctx, db, countApprovals, everything, statuses...)
}

// withDecisions adds to approvals what people have decided.
func (t *Tenant) withDecisions(ctx context.Context, db bun.IDB, rows []approvalRow) ([]models.Approval, error) {
	approvals := make([]models.Approval, len(rows))
	index := make(map[string]int, len(rows))
	ids := make([]string, len(rows))
	for i := range rows {
		approvals[i] = rows[i].model()
		index[rows[i].ID], ids[i] = i, rows[i].ID
	}
	if len(ids) == 0 {
		return approvals, nil
	}
	var decisions []decisionRow
	err := db.NewSelect().Model(&decisions).
		Where("tenant_id = ? AND approval_id IN (?) AND decided_by <> ''", t.id, bun.List(ids)).
		OrderExpr("decided_at, decided_by").Scan(ctx)
	for i := range decisions {
		a := &approvals[index[decisions[i].ApprovalID]]
		a.Decisions = append(a.Decisions, decisions[i].model())
	}
	return approvals, err
}

// ApprovalTrail returns every audit row of an approval, those of the service itself too, in the order
// of their times. Error: CodeNotFound.
func (t *Tenant) ApprovalTrail(ctx context.Context, id string) ([]models.ApprovalDecision, error) {
	var trail []models.ApprovalDecision
	err := t.read(ctx, func(db bun.IDB) error {
		exists, err := db.NewSelect().Model((*approvalRow)(nil)).Where("tenant_id = ? AND id = ?", t.id, id).Exists(ctx)
		if err == nil && !exists {
			return models.NotFound("approval")
		}
		if err != nil {
			return err
		}
		var rows []decisionRow
		err = db.NewSelect().Model(&rows).Where("tenant_id = ? AND approval_id = ?", t.id, id).OrderExpr("decided_at, action").Scan(ctx)
		trail = make([]models.ApprovalDecision, len(rows))
		for i := range rows {
			trail[i] = rows[i].model()
		}
		return err
	})
	return trail, err
}

// OpenApproval stores a PENDING approval, whose ID the caller has made, and makes its execution
// AWAITING_APPROVAL, unless that is CANCELLING. The same again changes nothing. Errors: CodeNotFound,
// CodeExecutionClosed.
func (t *Tenant) OpenApproval(ctx context.Context, a models.Approval) error {
	a.Tenant = t.id
	return t.write(ctx, func(ctx context.Context, tx bun.Tx) error {
		e, err := t.lockOpenExecution(ctx, tx, a.ExecutionID)
		if err != nil {
			return err
		}
		exists, err := tx.NewSelect().Model((*approvalRow)(nil)).Where("tenant_id = ? AND id = ?", t.id, a.ID).Exists(ctx)
		if err != nil || exists {
			return err
		}
		a.PipelineID = e.PipelineID
		row, err := newApprovalRow(a)
		if err != nil {
			return err
		}
		if _, err := tx.NewInsert().Model(row).Exec(ctx); err != nil {
			return err
		}
		changes := tally{}
		changes.approval(row.Status, 1)
		var more []string
		if e.Status == models.ExecutionQueued || e.Status == models.ExecutionRunning {
			changes.merge(e.move(models.ExecutionAwaitingApproval))
			more = []string{"status"}
		}
		line := fmt.Sprintf("gate %s waits for %d approval(s) until %s", row.Gate, row.Required, row.Deadline.Format(time.RFC3339))
		if err := t.insertLogs(ctx, tx, e, []models.LogLine{{Time: a.RequestedAt, Level: "WARN", Message: line}}); err != nil {
			return err
		}
		if err := t.saveExecution(ctx, tx, e, more...); err != nil {
			return err
		}
		if err := t.notify(ctx, tx, e, models.EventApprovalRequested, a.Gate, a.RequestedAt); err != nil {
			return err
		}
		return t.add(ctx, tx, changes)
	})
}

// ApprovalStep is something that happens to a PENDING approval.
type ApprovalStep struct {
	ID     string
	Action models.ApprovalAction
	By     string // empty where the service itself acts
	Reason string
	At     time.Time
	// Status is what the approval becomes, PENDING where it stays open; Closing says why it closes, in
	// words.
	Status  models.ApprovalStatus
	Closing string
}

// StepApproval writes a step down as an audit row and a line of the execution's log, and closes the
// approval where the step says so. When no other approval of the execution is PENDING, that is RUNNING
// again. A step that has been taken already, and any step of a closed approval, changes nothing. Error: CodeNotFound.
func (t *Tenant) StepApproval(ctx context.Context, step ApprovalStep) error {
	if step.At.IsZero() {
		step.At = time.Now()
	}
	return t.write(ctx, func(ctx context.Context, tx bun.Tx) error {
		var row approvalRow
		find := func() error {
			return notFound("approval", tx.NewSelect().Model(&row).Where("tenant_id = ? AND id = ?", t.id, step.ID).Scan(ctx))
		}
		if err := find(); err != nil {
			return err
		}
		e, err := t.lockExecution(ctx, tx, row.ExecutionID)
		if err != nil {
			return err
		}
		if err := find(); err != nil { // again, as others have left it: the execution's lock is the approval's
			return err
		}
		taken, err := t.stepTaken(ctx, tx, step)
		if err != nil || taken || row.Status != models.ApprovalPending {
			return err
		}
		if err := t.audit(ctx, tx, &row, step); err != nil {
			return err
		}
		changes, more, err := t.applyStep(ctx, tx, e, &row, step)
		if err != nil {
			return err
		}
		if err := t.insertLogs(ctx, tx, e, stepLines(&row, step)); err != nil {
			return err
		}
		if err := t.saveExecution(ctx, tx, e, more...); err != nil {
			return err
		}
		return t.add(ctx, tx, changes)
	})
}

func (t *Tenant) stepTaken(ctx context.Context, tx bun.Tx, step ApprovalStep) (bool, error) {
	q := tx.NewSelect().Model((*decisionRow)(nil)).
		Where("tenant_id = ? AND approval_id = ? AND decided_by = ?", t.id, step.ID, step.By)
	if step.By == "" {
		q.Where("action = ?", step.Action)
	}
	return q.Exists(ctx)
}

func (t *Tenant) audit(ctx context.Context, tx bun.Tx, row *approvalRow, step ApprovalStep) error {
	_, err := tx.NewInsert().Model(&decisionRow{
		TenantID: t.id, ApprovalID: row.ID, Action: step.Action, DecidedBy: step.By, Reason: step.Reason,
		DecidedAt: at(step.At), EvidenceHash: row.EvidenceHash,
	}).Exec(ctx)
	return err
}

// applyStep changes the approval, and the execution where that was the last thing it waited for.
func (t *Tenant) applyStep(ctx context.Context, tx bun.Tx, e *executionRow, row *approvalRow, step ApprovalStep) (tally, []string, error) {
	changes := tally{}
	switch step.Action {
	case models.ActionApproved:
		row.Approvals++
	case models.ActionReminded:
		row.RemindedAt = at(step.At)
	}
	if step.Status != models.ApprovalPending {
		changes.approval(row.Status, -1)
		changes.approval(step.Status, 1)
		row.Status, row.Reason, row.ClosedAt = step.Status, step.Closing, at(step.At)
	}
	_, err := tx.NewUpdate().Model(row).Column("status", "reason", "approvals", "reminded_at", "closed_at").
		Where("tenant_id = ? AND id = ?", t.id, row.ID).Exec(ctx)
	if err != nil {
		return changes, nil, err
	}
	alerts, err := t.tellOfApproval(ctx, tx, row, step)
	changes.merge(alerts)
	if err != nil || row.Status == models.ApprovalPending || e.Status != models.ExecutionAwaitingApproval {
		return changes, nil, err
	}
	waits, err := t.pendingApprovals(tx, e.ID).Exists(ctx)
	if err != nil || waits {
		return changes, nil, err
	}
	changes.merge(e.move(models.ExecutionRunning))
	return changes, []string{"status"}, nil
}

func (t *Tenant) pendingApprovals(db bun.IDB, execution string) *bun.SelectQuery {
	return db.NewSelect().Model((*approvalRow)(nil)).
		Where("tenant_id = ? AND execution_id = ? AND status = 'PENDING'", t.id, execution)
}

// stepLines are what an execution's log tells of a step.
func stepLines(row *approvalRow, step ApprovalStep) []models.LogLine {
	var lines []models.LogLine
	add := func(level, format string, args ...any) {
		lines = append(lines, models.LogLine{Time: step.At, Level: level, Message: fmt.Sprintf(format, args...)})
	}
	switch step.Action {
	case models.ActionApproved:
		add("INFO", "gate %s: %d of %d approvals, the last by %s%s", row.Gate, row.Approvals, row.Required, step.By, because(step.Reason))
	case models.ActionRejected:
		add("WARN", "gate %s: rejected by %s%s", row.Gate, step.By, because(step.Reason))
	case models.ActionReminded:
		add("WARN", "gate %s still waits: %d of %d approvals, until %s", row.Gate, row.Approvals, row.Required, row.Deadline.Format(time.RFC3339))
	}
	if row.Status != models.ApprovalPending {
		add("INFO", "gate %s is %s%s", row.Gate, row.Status, because(row.Reason))
	}
	return lines
}

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return ": " + reason
}

// cancelApprovals closes the approvals that an execution that ends still waits for.
func (t *Tenant) cancelApprovals(ctx context.Context, tx bun.Tx, e *executionRow, end time.Time) (tally, error) {
	changes := tally{}
	var rows []approvalRow
	err := tx.NewSelect().Model(&rows).Where("tenant_id = ? AND execution_id = ? AND status = 'PENDING'", t.id, e.ID).Scan(ctx)
	if err != nil {
		return changes, err
	}
	for i := range rows {
		step := ApprovalStep{
			ID: rows[i].ID, Action: models.ActionCancelled, At: end,
			Status: models.ApprovalCancelled, Closing: "its execution ended before it was decided",
		}
		if err := t.audit(ctx, tx, &rows[i], step); err != nil {
			return changes, err
		}
		change, _, err := t.applyStep(ctx, tx, e, &rows[i], step)
		if err != nil {
			return changes, err
		}
		changes.merge(change)
	}
	return changes, nil
}
