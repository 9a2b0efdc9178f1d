package store

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/uptrace/bun"

	"github.com/matih/pipeline-service/models"
)

// SubmitRerun submits e, which runs e.RerunOf again, with its plan: tasks in their order, of which those that are
// REUSED keep what the earlier execution says of them and those that are PENDING run. read names the
// REUSED tasks whose staged output a PENDING one reads; the data stay as long as e may need them. e keeps its
// LastRun. Otherwise it is as SubmitExecution; more errors: CodeStagedDataExpired with the names of the
// tasks in IDs where retention has taken data away that are read, or what they have read of an incremental source is stale.
func (t *Tenant) SubmitRerun(ctx context.Context, e models.Execution, tasks []models.TaskRun, read []string) (models.Execution, error) {
	return t.submit(ctx, e, func(ctx context.Context, tx bun.Tx, row *executionRow) error {
		if err := t.keepStaged(ctx, tx, row.ID, tasks, read); err != nil {
			return err
		}
		if err := t.insertPlan(ctx, tx, row, tasks); err != nil {
			return err
		}
		return t.reuseBatches(ctx, tx, row, tasks)
	})
}

// insertPlan writes the tasks of a re-run. Its rows and bytes processed stay 0: its sources that are REUSED
// have read nothing.
func (t *Tenant) insertPlan(ctx context.Context, tx bun.Tx, row *executionRow, tasks []models.TaskRun) error {
	if len(tasks) == 0 {
		return nil
	}
	rows := make([]taskRow, len(tasks))
	for i, task := range tasks {
		rows[i] = taskRow{
			TenantID: t.id, ExecutionID: row.ID, Name: task.Name, Position: i, Kind: task.Kind, State: models.TaskPending,
		}
		if task.State == models.TaskReused {
			rows[i].State = models.TaskReused
			rows[i].RowsIn, rows[i].RowsOut, rows[i].BytesIn, rows[i].BytesOut = task.RowsIn, task.RowsOut, task.BytesIn, task.BytesOut
			rows[i].Output, rows[i].Detail = task.Output, string(task.Detail)
			row.CompletedTasks++
		}
	}
	row.TotalTasks = len(rows)
	if _, err := tx.NewInsert().Model(&rows).Exec(ctx); err != nil {
		return err
	}
	return t.saveExecution(ctx, tx, row)
}

// keepStaged notes whose staged data the execution uses, so that retention leaves them, and sees that those
// it reads are still there. The locks keep retention from claiming them meanwhile.
func (t *Tenant) keepStaged(ctx context.Context, tx bun.Tx, id string, tasks []models.TaskRun, read []string) error {
	used := map[string][]string{} // by owner, the tasks whose output it staged
	for _, task := range tasks {
		if owner := models.StagedBy(task.Output); task.State == models.TaskReused && owner != "" {
			used[owner] = append(used[owner], task.Name)
		}
	}
	if len(used) == 0 {
		return nil
	}
	owners := slices.Sorted(maps.Keys(used))
	var kept []string
	q := tx.NewSelect().Model((*retainedRow)(nil)).Column("execution_id").
		Where("tenant_id = ? AND execution_id IN (?) AND state = ?", t.id, bun.List(owners), stagingKept).OrderExpr("execution_id")
	if err := locking(tx, q).Scan(ctx, &kept); err != nil {
		return err
	}
	var expired []string
	var uses []stagingUse
	for _, owner := range owners {
		if slices.Contains(kept, owner) {
			uses = append(uses, stagingUse{TenantID: t.id, OwnerID: owner, ExecutionID: id})
			continue
		}
		for _, name := range used[owner] {
			if slices.Contains(read, name) {
				expired = append(expired, name)
			}
		}
	}
	if len(expired) > 0 {
		return StagedDataExpired(expired)
	}
	if len(uses) == 0 {
		return nil
	}
	_, err := tx.NewInsert().Model(&uses).Exec(ctx)
	return err
}

// StagedDataExpired is the error for tasks whose staged output is gone.
func StagedDataExpired(tasks []string) error {
	e := models.Errorf(models.CodeStagedDataExpired,
		"the staged data of %s are no longer kept: run it again from an earlier task or from the start", strings.Join(tasks, ", "))
	e.IDs = tasks
	return e
}
