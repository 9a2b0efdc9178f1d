package gateway

import (
	"context"

	"go.temporal.io/sdk/client"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/contract"
)

// ApplySchedule makes Temporal's Schedule what a schedule says. Repeating it is harmless.
func (g *Gateway) ApplySchedule(ctx context.Context, s models.Schedule) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return explain("apply the schedule", contract.ApplySchedule(ctx, g.temporal.ScheduleClient(), s))
}

// StartBackfill starts the workflow of a backfill's attempt. Starting it again while it runs is a success and changes
// nothing.
func (g *Gateway) StartBackfill(ctx context.Context, b models.Backfill) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	_, err := g.temporal.ExecuteWorkflow(ctx, contract.BackfillOptions(b), contract.BackfillWorkflow,
		contract.BackfillInput{Tenant: b.Tenant, BackfillID: b.ID, Attempt: b.Attempt})
	return explain("start the backfill", err)
}

// ControlBackfill pauses, resumes or cancels a backfill and tells the status it led to. The error has CodeBackfillClosed
// where the backfill is about to end, and CodeNotFound where it has ended. The same updateID again gives the first
// outcome again.
func (g *Gateway) ControlBackfill(ctx context.Context, id, updateID string, c contract.BackfillControl) (models.BackfillStatus, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	var controlled contract.BackfillControlled
	handle, err := g.temporal.UpdateWorkflow(ctx, client.UpdateWorkflowOptions{
		WorkflowID: id, UpdateID: updateID, UpdateName: contract.ControlBackfillUpdate,
		Args: []any{c}, WaitForStage: client.WorkflowUpdateStageCompleted,
	})
	if err == nil {
		err = handle.Get(ctx, &controlled)
	}
	return controlled.Status, refusal(err)
}
