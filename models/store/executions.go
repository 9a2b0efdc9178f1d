package store

import (
	"context"
	"time"

	"github.com/uptrace/bun"

	"github.com/matih/pipeline-service/models"
)

// ExecutionFilter narrows a list of executions; its zero value is all of them.
type ExecutionFilter struct {
	PipelineID string
	Status     models.ExecutionStatus
	BackfillID string
}

// ExecutionRef is what reconciliation needs to know of an execution that has not ended.
type ExecutionRef struct {
	Tenant      models.TenantID
	ID          string
	PipelineID  string
	Status      models.ExecutionStatus
	Engine      models.Engine
	Priority    models.Priority
	Trigger     models.Trigger
	SubmittedAt time.Time
	EndedAt     time.Time // zero until terminal
}

// Execution returns an execution.
func (t *Tenant) Execution(ctx context.Context, id string) (e models.Execution, err error) {
	err = t.read(ctx, func(db bun.IDB) error {
		e, err = t.execution(ctx, db, id)
		return err
	})
	return e, err
}

func (t *Tenant) execution(ctx context.Context, db bun.IDB, id string) (models.Execution, error) {
	var row executionRow
	err := db.NewSelect().Model(&row).Where("tenant_id = ? AND id = ?", t.id, id).Scan(ctx)
	return row.model(), notFound("execution", err)
}

// Executions returns a page of the executions that pass the filter, newest first, and their exact
// number. A page costs the same whatever the number of executions, but grows with its own offset (see window); those
// of a backfill, which is bounded, are counted. A filter by a pipeline or a backfill the tenant does not have is
// CodeNotFound.
func (t *Tenant) Executions(ctx context.Context, f ExecutionFilter, p models.Page) (models.Paged[models.Execution], error) {
	var paged models.Paged[models.Execution]
	err := t.read(ctx, func(db bun.IDB) error {
		if f.PipelineID != "" {
			if err := t.checkPipeline(ctx, db, f.PipelineID); err != nil {
				return err
			}
		}
		if f.BackfillID != "" {
			if _, err := t.backfill(ctx, db, f.BackfillID); err != nil {
				return err
			}
		}
		rows, err := t.executionPage(ctx, db, f, p)
		if err != nil {
			return err
		}
		paged.Items = make([]models.Execution, len(rows))
		for i := range rows {
			paged.Items[i] = rows[i].model()
		}
		paged.Total, err = t.countExecutions(ctx, db, f)
		return err
	})
	return paged, err
}

func (t *Tenant) countExecutions(ctx context.Context, db bun.IDB, f ExecutionFilter) (int64, error) {
	if f.BackfillID != "" {
		return t.filterExecutions(db, f).Count(ctx)
	}
	var statuses []string
	if f.Status != "" {
		statuses = []string{string(f.Status)}
	}
	return t.total(ctx, db, countExecutions, f.PipelineID, statuses...)
}

// executionPage finds the ids of a page in an index alone and only then reads their rows, so that
// those before the page are never read. It is IN and not a join, which SQLite would begin at the wrong end.
func (t *Tenant) executionPage(ctx context.Context, db bun.IDB, f ExecutionFilter, p models.Page) (rows []executionRow, err error) {
	limit, offset := window(p)
	page := t.filterExecutions(db, f).Column("id").OrderExpr("e.id DESC").Limit(limit).Offset(offset)
	err = db.NewSelect().Model(&rows).Where("e.tenant_id = ? AND e.id IN (?)", t.id, page).OrderExpr("e.id DESC").Scan(ctx)
	return rows, err
}

func (t *Tenant) filterExecutions(db bun.IDB, f ExecutionFilter) *bun.SelectQuery {
	q := db.NewSelect().Model((*executionRow)(nil)).Where("e.tenant_id = ?", t.id)
	if f.PipelineID != "" {
		q.Where("e.pipeline_id = ?", f.PipelineID)
	}
	if f.Status != "" {
		q.Where("e.status = ?", f.Status)
	}
	if f.BackfillID != "" {
		q.Where("e.backfill_id = ? AND e.backfill_id <> ''", f.BackfillID) // the latter so that the index counts
	}
	return q
}

func (t *Tenant) checkPipeline(ctx context.Context, db bun.IDB, id string) error {
	exists, err := db.NewSelect().Model((*pipelineRow)(nil)).Where("tenant_id = ? AND id = ?", t.id, id).Exists(ctx)
	if err == nil && !exists {
		return models.NotFound("pipeline")
	}
	return err
}

// OpenExecutions returns the executions of all tenants that have not ended and were submitted
// before a time, in the order of their ids, from the first one after the id after; at most limit.
func (s *Store) OpenExecutions(ctx context.Context, submittedBefore time.Time, after string, limit int) ([]ExecutionRef, error) {
	var rows []executionRow
	err := s.read(ctx, func(db bun.IDB) error {
		rows = nil
		return db.NewSelect().Model(&rows).
			Column("tenant_id", "id", "pipeline_id", "status", "engine", "priority", "trigger_type", "submitted_at").
			Where("run_slot IS NOT NULL AND id > ? AND submitted_at < ?", after, at(submittedBefore)).
			OrderExpr("id").Limit(int64(limit)).Scan(ctx)
	})
	refs := make([]ExecutionRef, len(rows))
	for i, r := range rows {
		refs[i] = ExecutionRef{
			Tenant: r.TenantID, ID: r.ID, PipelineID: r.PipelineID, Status: r.Status,
			Engine: r.Engine, Priority: r.Priority, Trigger: r.TriggerType, SubmittedAt: r.SubmittedAt.Time,
		}
	}
	return refs, err
}

// ExecutionRefs returns those of the executions that exist, by id, with Tenant, ID, Status and EndedAt.
func (t *Tenant) ExecutionRefs(ctx context.Context, ids []string) (map[string]ExecutionRef, error) {
	refs := make(map[string]ExecutionRef, len(ids))
	err := t.read(ctx, func(db bun.IDB) error {
		var rows []executionRow
		err := db.NewSelect().Model(&rows).Column("id", "status", "ended_at").
			Where("tenant_id = ? AND id IN (?)", t.id, bun.List(ids)).Scan(ctx)
		for _, r := range rows {
			refs[r.ID] = ExecutionRef{Tenant: t.id, ID: r.ID, Status: r.Status, EndedAt: r.EndedAt.Time}
		}
		return err
	})
	return refs, err
}

// mutable are the columns of an execution that change in its life, without those that are indexed:
// SQLite writes every index of a column it sets, changed or not.
var mutable = []string{
	"total_tasks", "completed_tasks", "current_task", "rows_processed", "bytes_processed", "log_seq", "started_at",
}

// lockExecution reads what changes of an execution and keeps others from changing it, its tasks or
// its log until the transaction ends. The statements after it see all that those before it did.
func (t *Tenant) lockExecution(ctx context.Context, tx bun.Tx, id string) (*executionRow, error) {
	row := new(executionRow)
	q := tx.NewSelect().Model(row).
		Column("id", "pipeline_id", "version", "status", "engine", "rerun_of", "sla_micros", "sla_due", "notify", "ended_at").Column(mutable...).
		Where("tenant_id = ? AND id = ?", t.id, id)
	if err := locking(tx, q).Scan(ctx); err != nil {
		return nil, notFound("execution", err)
	}
	return row, nil
}

// lockOpenExecution is lockExecution for what only an execution that has not ended can do.
func (t *Tenant) lockOpenExecution(ctx context.Context, tx bun.Tx, id string) (*executionRow, error) {
	row, err := t.lockExecution(ctx, tx, id)
	if err == nil && row.Status.Terminal() {
		return nil, executionClosed(row.Status)
	}
	return row, err
}

// saveExecution writes the mutable columns, and others that are named.
func (t *Tenant) saveExecution(ctx context.Context, tx bun.Tx, row *executionRow, more ...string) error {
	_, err := tx.NewUpdate().Model(row).Column(mutable...).Column(more...).
		Where("tenant_id = ? AND id = ?", t.id, row.ID).Exec(ctx)
	return err
}

// RequestCancel makes an open execution CANCELLING; one that is already stays so. Errors: CodeNotFound,
// CodeExecutionClosed.
func (t *Tenant) RequestCancel(ctx context.Context, id string) (models.Execution, error) {
	var cancelling models.Execution
	err := t.write(ctx, func(ctx context.Context, tx bun.Tx) error {
		row, err := t.lockOpenExecution(ctx, tx, id)
		if err != nil {
			return err
		}
		changes := row.move(models.ExecutionCancelling)
		if err := t.saveExecution(ctx, tx, row, "status"); err != nil {
			return err
		}
		if cancelling, err = t.execution(ctx, tx, id); err != nil {
			return err
		}
		return t.add(ctx, tx, changes)
	})
	return cancelling, err
}

// move changes an execution's status and returns what that changes in the counters.
func (r *executionRow) move(to models.ExecutionStatus) tally {
	changes := tally{}
	changes.execution(r.PipelineID, r.Status, -1)
	changes.execution(r.PipelineID, to, 1)
	r.Status = to
	return changes
}

func executionClosed(status models.ExecutionStatus) error {
	return models.Errorf(models.CodeExecutionClosed, "the execution has ended: it is %s", status)
}
