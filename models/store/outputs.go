package store

import (
	"context"

	"github.com/uptrace/bun"

	"github.com/matih/pipeline-service/models"
)

// TaskOutputs returns where tasks of an execution left their rows, by name: those of the given names
// that have succeeded and left any.
func (t *Tenant) TaskOutputs(ctx context.Context, id string, names []string) (map[string]string, error) {
	outputs := make(map[string]string, len(names))
	err := t.read(ctx, func(db bun.IDB) error {
		if len(names) == 0 {
			return nil
		}
		var rows []taskRow
		err := db.NewSelect().Model(&rows).Column("name", "output").
			Where("tenant_id = ? AND execution_id = ? AND name IN (?)", t.id, id, bun.List(names)).
			Where("state IN (?, ?) AND output <> ''", models.TaskSucceeded, models.TaskReused).Scan(ctx)
		for _, row := range rows {
			outputs[row.Name] = row.Output
		}
		return err
	})
	return outputs, err
}
