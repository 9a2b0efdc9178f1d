package store

import (
	"context"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"github.com/matih/pipeline-service/models"
)

// ExecutionEnd is how an execution ends.
type ExecutionEnd struct {
	Status models.ExecutionStatus // a terminal one
	Reason string
	Error  *models.ExecutionError
	At     time.Time // zero is now
	Lines  []models.LogLine
	// Checks are the quality checks that failed on the way.
	Checks []FailedCheck
}

// FinishExecution ends an execution, once: one that has ended stays as it is and is returned. Tasks
// that never ran become SKIPPED; those that still run become CANCELLED, but for the one that end.Error
// names, which becomes FAILED. Approvals it waits for become CANCELLED. The cursors of its incremental sources move, or
// their batches stay pending. The run slot is free from then on. Alerts are opened and resolved as the end gives reason
// to. What its tasks used is charged. Error: CodeNotFound.
func (t *Tenant) FinishExecution(ctx context.Context, id string, end ExecutionEnd) (models.Execution, error) {
	if !end.Status.Terminal() {
		return models.Execution{}, fmt.Errorf("store: %s is not the end of an execution", end.Status)
	}
	if end.At.IsZero() {
		end.At = time.Now()
	}
	failure, err := marshalError(end.Error)
	if err != nil {
		return models.Execution{}, err
	}
	var finished models.Execution
	err = t.write(ctx, func(ctx context.Context, tx bun.Tx) error {
		row, err := t.lockExecution(ctx, tx, id)
		if err != nil {
			return err
		}
		if row.Status.Terminal() {
			finished, err = t.execution(ctx, tx, id)
			return err
		}
		changes := row.move(end.Status)
		cancelled, err := t.cancelApprovals(ctx, tx, row, end.At)
		if err != nil {
			return err
		}
		changes.merge(cancelled)
		row.StatusReason, row.Error, row.EndedAt, row.RunSlot = end.Reason, failure, at(end.At), nil
		if err := t.endTasks(ctx, tx, id, end, failure); err != nil {
			return err
		}
		if err := t.settleBatches(ctx, tx, row, end.At); err != nil {
			return err
		}
		if err := t.insertLogs(ctx, tx, row, end.Lines); err != nil {
			return err
		}
		if err := t.saveExecution(ctx, tx, row, "status", "status_reason", "error", "ended_at", "run_slot"); err != nil {
			return err
		}
		if err := t.retain(ctx, tx, id, end.At); err != nil {
			return err
		}
		if row.Status == models.ExecutionCompleted {
			if err := t.refresh(ctx, tx, row); err != nil {
				return err
			}
		}
		verdict, err := t.judge(ctx, tx, row, end)
		if err != nil {
			return err
		}
		changes.merge(verdict)
		if err := t.notifyEnd(ctx, tx, row, end); err != nil {
			return err
		}
		if err := t.settle(ctx, tx, row, changes); err != nil {
			return err
		}
		if finished, err = t.execution(ctx, tx, id); err != nil {
			return err
		}
		return t.add(ctx, tx, changes)
	})
	return finished, err
}

// settle adds an execution that has ended to its hour, with what it cost, and compares that with budgets. The hours'
// locks come late, because other executions wait for them.
func (t *Tenant) settle(ctx context.Context, tx bun.Tx, row *executionRow, changes tally) error {
	micros, err := t.charge(ctx, tx, row)
	if err != nil {
		return err
	}
	if err := t.sumUp(ctx, tx, row); err != nil {
		return err
	}
	if micros != 0 {
		if err := t.addCost(ctx, tx, row.PipelineID, row.EndedAt.Time, micros); err != nil {
			return err
		}
	}
	judged, err := t.judgeBudgets(ctx, tx, row)
	changes.merge(judged)
	return err
}

// endTasks gives every task of an execution that ends an end of its own.
func (t *Tenant) endTasks(ctx context.Context, tx bun.Tx, id string, end ExecutionEnd, failure string) error {
	var culprit string
	if end.Error != nil {
		culprit = end.Error.Task
	}
	_, err := tx.NewUpdate().Model((*taskRow)(nil)).
		Set("state = CASE WHEN name = ? THEN 'FAILED' WHEN state = 'RUNNING' THEN 'CANCELLED' ELSE 'SKIPPED' END", culprit).
		Set("error = CASE WHEN name = ? THEN ? ELSE error END", culprit, failure).
		Set("ended_at = CASE WHEN state = 'RUNNING' THEN ? ELSE ended_at END", at(end.At).UnixMicro()).
		Where("tenant_id = ? AND execution_id = ? AND state IN ('PENDING', 'RUNNING')", t.id, id).Exec(ctx)
	return err
}
