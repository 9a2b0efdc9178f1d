package store

import (
	"context"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"github.com/matih/pipeline-service/models"
)

// PlanExecution stores the tasks of an execution, PENDING and in this order. Planning again changes
// nothing. Errors: CodeNotFound, CodeExecutionClosed.
func (t *Tenant) PlanExecution(ctx context.Context, id string, tasks []models.TaskRun) error {
	rows := make([]taskRow, len(tasks))
	for i, task := range tasks {
		rows[i] = taskRow{
			TenantID: t.id, ExecutionID: id, Name: task.Name, Position: i, Kind: task.Kind, State: models.TaskPending,
		}
	}
	return t.write(ctx, func(ctx context.Context, tx bun.Tx) error {
		e, err := t.lockOpenExecution(ctx, tx, id)
		if err != nil || e.TotalTasks > 0 || len(rows) == 0 {
			return err
		}
		if _, err := tx.NewInsert().Model(&rows).Exec(ctx); err != nil {
			return err
		}
		e.TotalTasks = len(rows)
		return t.saveExecution(ctx, tx, e)
	})
}

// StartTask records that attempt run.Attempts of the task run.Name runs since run.StartedAt (zero is now). The first task makes a
// QUEUED execution RUNNING. Recording the same attempt again changes nothing; an attempt older than the last
// one is CodeConflict. Other errors: CodeNotFound, CodeExecutionClosed.
func (t *Tenant) StartTask(ctx context.Context, id string, run models.TaskRun) error {
	// An attempt that starts has neither counts nor an end yet.
	run = models.TaskRun{Name: run.Name, State: models.TaskRunning, Attempts: run.Attempts, StartedAt: run.StartedAt}
	if run.StartedAt.IsZero() {
		run.StartedAt = time.Now()
	}
	return t.write(ctx, func(ctx context.Context, tx bun.Tx) error {
		e, err := t.lockOpenExecution(ctx, tx, id)
		if err != nil {
			return err
		}
		old, err := t.task(ctx, tx, id, run.Name)
		if err != nil {
			return err
		}
		switch {
		case run.Attempts < old.Attempts:
			return outdated(run, old)
		case run.Attempts == old.Attempts && old.State != models.TaskPending:
			return nil
		}
		var changes tally
		var more []string
		if e.Status == models.ExecutionQueued {
			changes = e.move(models.ExecutionRunning)
			more = []string{"status"}
		}
		if e.StartedAt.IsZero() {
			e.begin(at(run.StartedAt))
			if e.SLAMicros > 0 {
				more = append(more, "sla_due")
			}
			if err := t.notify(ctx, tx, e, models.EventStarted, "", run.StartedAt); err != nil {
				return err
			}
		}
		if err := t.changeTask(ctx, tx, e, old, run); err != nil {
			return err
		}
		e.CurrentTask = run.Name
		if err := t.saveExecution(ctx, tx, e, more...); err != nil {
			return err
		}
		return t.add(ctx, tx, changes)
	})
}

// FinishTask records how attempt run.Attempts of a task ended, with its log lines and what it read of an incremental source. The execution's completed
// tasks and its rows and bytes processed (what its sources read: RowsIn and BytesIn) follow. Recording the same end again
// changes nothing; an attempt older than the last one is CodeConflict. Other errors: CodeNotFound,
// CodeExecutionClosed. What the attempt used (run.Usage) counts even where its end does not.
func (t *Tenant) FinishTask(ctx context.Context, id string, run models.TaskRun, lines []models.LogLine) error {
	if !ended(run.State) {
		return fmt.Errorf("store: %s is not the end of a task", run.State)
	}
	var late error
	err := t.write(ctx, func(ctx context.Context, tx bun.Tx) error {
		late = nil
		e, err := t.lockExecution(ctx, tx, id)
		if err != nil {
			return err
		}
		if err := t.meter(ctx, tx, e, run); err != nil {
			return err
		}
		if e.Status.Terminal() {
			late = executionClosed(e.Status)
			return nil
		}
		old, err := t.task(ctx, tx, id, run.Name)
		if err != nil {
			return err
		}
		switch {
		case run.Attempts < old.Attempts:
			late = outdated(run, old)
			return nil
		case run.Attempts == old.Attempts && ended(old.State):
			return nil
		}
		if err := t.changeTask(ctx, tx, e, old, run); err != nil {
			return err
		}
		if err := t.keepBatch(ctx, tx, id, run); err != nil {
			return err
		}
		if e.CurrentTask == run.Name {
			if e.CurrentTask, err = t.runningTask(ctx, tx, id, run.Name); err != nil {
				return err
			}
		}
		if err := t.insertLogs(ctx, tx, e, lines); err != nil {
			return err
		}
		if err := t.saveLineage(ctx, tx, e, run); err != nil {
			return err
		}
		return t.saveExecution(ctx, tx, e)
	})
	if err == nil {
		err = late
	}
	return err
}

// TaskRuns returns the tasks of an execution in the order of its plan; none before it is planned.
func (t *Tenant) TaskRuns(ctx context.Context, id string) ([]models.TaskRun, error) {
	var runs []models.TaskRun
	err := t.read(ctx, func(db bun.IDB) error {
		var rows []taskRow
		err := db.NewSelect().Model(&rows).Where("tenant_id = ? AND execution_id = ?", t.id, id).
			OrderExpr("position").Scan(ctx)
		if err != nil {
			return err
		}
		if len(rows) == 0 {
			return t.checkExecution(ctx, db, id)
		}
		runs = make([]models.TaskRun, len(rows))
		for i := range rows {
			runs[i] = rows[i].model()
		}
		return nil
	})
	return runs, err
}

func (t *Tenant) checkExecution(ctx context.Context, db bun.IDB, id string) error {
	exists, err := db.NewSelect().Model((*executionRow)(nil)).Where("tenant_id = ? AND id = ?", t.id, id).Exists(ctx)
	if err == nil && !exists {
		return models.NotFound("execution")
	}
	return err
}

// task reads a task's row; the execution's lock keeps it from changing.
func (t *Tenant) task(ctx context.Context, tx bun.Tx, id, name string) (row taskRow, err error) {
	err = tx.NewSelect().Model(&row).Where("tenant_id = ? AND execution_id = ? AND name = ?", t.id, id, name).Scan(ctx)
	return row, notFound("task", err)
}

// changeTask writes what an attempt says of a task, and carries the difference to what the
// row said before over to the execution. So its sums are right however often a task is tried or reported.
func (t *Tenant) changeTask(ctx context.Context, tx bun.Tx, e *executionRow, old taskRow, run models.TaskRun) error {
	changed, err := old.become(run)
	if err != nil {
		return err
	}
	_, err = tx.NewUpdate().Model(&changed).
		Column("state", "attempts", "rows_in", "rows_out", "bytes_in", "bytes_out", "started_at", "ended_at", "error", "output", "detail").
		Where("tenant_id = ? AND execution_id = ? AND name = ?", t.id, e.ID, old.Name).Exec(ctx)
	if err != nil {
		return err
	}
	e.CompletedTasks += changed.completed() - old.completed()
	rows, bytes := changed.read()
	rowsBefore, bytesBefore := old.read()
	e.RowsProcessed += rows - rowsBefore
	e.BytesProcessed += bytes - bytesBefore
	return nil
}

// runningTask returns the name of a task that runs, or otherwise where none does.
func (t *Tenant) runningTask(ctx context.Context, tx bun.Tx, id, otherwise string) (string, error) {
	var names []string
	err := tx.NewSelect().Model((*taskRow)(nil)).Column("name").
		Where("tenant_id = ? AND execution_id = ? AND state = 'RUNNING'", t.id, id).
		OrderExpr("position DESC").Limit(1).Scan(ctx, &names)
	if err != nil || len(names) == 0 {
		return otherwise, err
	}
	return names[0], nil
}

func ended(state models.TaskState) bool {
	return state != models.TaskPending && state != models.TaskRunning
}

func outdated(run models.TaskRun, row taskRow) error {
	return models.Errorf(models.CodeConflict, "attempt %d of task %s has been given up for attempt %d", run.Attempts, run.Name, row.Attempts)
}
