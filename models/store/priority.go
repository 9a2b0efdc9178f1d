package store

import (
	"context"

	"github.com/uptrace/bun"

	"github.com/matih/pipeline-service/models"
)

// SetPriority changes the priority of an open execution. Errors: CodeNotFound, CodeExecutionClosed.
func (t *Tenant) SetPriority(ctx context.Context, id string, p models.Priority) (e models.Execution, err error) {
	err = t.write(ctx, func(ctx context.Context, tx bun.Tx) error {
		row, err := t.lockOpenExecution(ctx, tx, id)
		if err != nil {
			return err
		}
		row.Priority = p
		if err := t.saveExecution(ctx, tx, row, "priority"); err != nil {
			return err
		}
		e, err = t.execution(ctx, tx, id)
		return err
	})
	return e, err
}
