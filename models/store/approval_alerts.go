package store

import (
	"context"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"github.com/matih/pipeline-service/models"
)

// tellOfApproval opens an alert when people were reminded of an approval that still waits, and resolves it when
// the last such approval of the pipeline was closed.
func (t *Tenant) tellOfApproval(ctx context.Context, tx bun.Tx, row *approvalRow, step ApprovalStep) (tally, error) {
	switch {
	case step.Action == models.ActionReminded:
		return t.openAlert(ctx, tx, models.Alert{
			PipelineID: row.PipelineID, Rule: models.AlertApprovalPending, Severity: models.SeverityWarning, LastSeen: step.At, Occurrence: row.ID,
			Message: fmt.Sprintf("gate %s of %s still waits: it has %d of %d approvals and closes at %s",
				row.Gate, row.ExecutionID, row.Approvals, row.Required, row.Deadline.Format(time.RFC3339)),
		})
	case row.Status == models.ApprovalPending || row.RemindedAt.IsZero():
		return nil, nil
	}
	others, err := tx.NewSelect().Model((*approvalRow)(nil)).
		Where("tenant_id = ? AND pipeline_id = ? AND status = 'PENDING' AND reminded_at IS NOT NULL", t.id, row.PipelineID).Exists(ctx)
	if err != nil || others {
		return nil, err
	}
	return t.resolveAlert(ctx, tx, row.PipelineID, models.AlertApprovalPending, step.At)
}
