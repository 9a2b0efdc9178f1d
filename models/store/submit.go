package store

import (
	"context"
	"slices"
	"time"

	"github.com/uptrace/bun"

	"github.com/matih/pipeline-service/models"
)

// estimateRuns is how many past executions an estimate is the median of.
const estimateRuns = 20

// runSlot is a place an open execution takes among its pipeline's max_active_runs. A unique index lets
// each number be taken once, so that of any number of simultaneous submissions only as many
// get in as there are places.
type runSlot struct {
	ID      string
	RunSlot int
}

// SubmitExecution stores e, whose ID the caller has made, as QUEUED, and fills in PipelineName, LastRun,
// EstimatedDuration and EstimatedCostMicros (where the pipeline has COMPLETED executions on that engine) and, where it is 0, Version.
// An execution with that ID already is returned as it is, so that a request may be repeated. A
// pipeline that is CREATED becomes ACTIVE.
//
// Errors: CodeNotFound (archived pipelines, too), CodePipelinePaused, CodeBudgetExceeded, CodePipelineRunning with the IDs of
// the open executions where e.MaxActiveRuns are open, CodeQuotaExceeded.
func (t *Tenant) SubmitExecution(ctx context.Context, e models.Execution) (models.Execution, error) {
	return t.submit(ctx, e, func(context.Context, bun.Tx, *executionRow) error { return nil })
}

// submit is SubmitExecution with a plan: that writes what belongs to the execution besides its row, whose
// columns it may change.
func (t *Tenant) submit(ctx context.Context, e models.Execution, plan func(context.Context, bun.Tx, *executionRow) error) (models.Execution, error) {
	e.Tenant, e.Status, e.MaxActiveRuns = t.id, models.ExecutionQueued, max(e.MaxActiveRuns, 1)
	if e.SubmittedAt.IsZero() {
		e.SubmittedAt = time.Now()
	}
	var submitted models.Execution
	err := t.write(ctx, func(ctx context.Context, tx bun.Tx) error {
		var err error
		submitted, err = t.execution(ctx, tx, e.ID)
		if models.CodeOf(err) != models.CodeNotFound {
			return err
		}
		changes := tally{}
		row := newExecutionRow(e)
		if err := t.claimPipeline(ctx, tx, row, changes); err != nil {
			return err
		}
		if err := t.estimate(ctx, tx, row); err != nil {
			return err
		}
		if err := t.takeSlot(ctx, tx, row); err != nil {
			return err
		}
		if err := plan(ctx, tx, row); err != nil {
			return err
		}
		changes.execution(row.PipelineID, row.Status, 1)
		if err := t.add(ctx, tx, changes); err != nil {
			return err
		}
		submitted = row.model()
		return t.checkOpenQuota(ctx, tx)
	})
	return submitted, err
}

// claimPipeline locks the execution's pipeline, sees that it may be executed and makes it ACTIVE.
func (t *Tenant) claimPipeline(ctx context.Context, tx bun.Tx, row *executionRow, changes tally) error {
	p, err := t.lockPipeline(ctx, tx, row.PipelineID)
	if err != nil {
		return err
	}
	if err := t.checkBudgets(ctx, tx, p, row.SubmittedAt.Time); err != nil {
		return err
	}
	row.PipelineName = p.Name
	if row.Version == 0 {
		row.Version = p.Version
	}
	switch p.Status {
	case models.PipelinePaused:
		return pipelinePaused()
	case models.PipelineCreated:
		changes.pipeline(p.Status, -1)
		changes.pipeline(models.PipelineActive, 1)
		p.activate(row.SubmittedAt)
		p.Revision++
		p.UpdatedAt = row.SubmittedAt
		return t.savePipeline(ctx, tx, p)
	}
	return nil
}

// estimate fills in LastRun, EstimatedMicros and EstimatedCostMicros from the pipeline's history. A re-run stands for the same
// time as what it runs again, so it keeps that one's LastRun.
func (t *Tenant) estimate(ctx context.Context, db bun.IDB, row *executionRow) error {
	completed := func(rows *[]executionRow) *bun.SelectQuery {
		return db.NewSelect().Model(rows).Column("id", "started_at", "ended_at").
			Where("tenant_id = ? AND pipeline_id = ? AND status = 'COMPLETED'", t.id, row.PipelineID).OrderExpr("id DESC")
	}
	var last, alike []executionRow
	if err := completed(&last).Limit(1).Scan(ctx); err != nil {
		return err
	}
	if len(last) == 1 && row.RerunOf == "" {
		row.LastRun = last[0].StartedAt
	}
	err := completed(&alike).Where("engine = ? AND started_at IS NOT NULL", row.Engine).Limit(estimateRuns).Scan(ctx)
	if err != nil || len(alike) == 0 {
		return err
	}
	micros, ids := make([]int64, len(alike)), make([]string, len(alike))
	for i, e := range alike {
		micros[i], ids[i] = e.EndedAt.Sub(e.StartedAt.Time).Microseconds(), e.ID
	}
	row.EstimatedMicros = median(micros)
	return t.estimateCost(ctx, db, row, ids)
}

// Estimate returns how long an execution of a pipeline on an engine is expected to take, 0 where none has COMPLETED, and
// what it will cost in millionths of a dollar, nil where no cost of any is known.
func (t *Tenant) Estimate(ctx context.Context, pipelineID string, engine models.Engine) (time.Duration, *int64, error) {
	row := &executionRow{PipelineID: pipelineID, Engine: engine}
	err := t.read(ctx, func(db bun.IDB) error {
		if err := t.checkPipeline(ctx, db, pipelineID); err != nil {
			return err
		}
		return t.estimate(ctx, db, row)
	})
	return time.Duration(row.EstimatedMicros) * time.Microsecond, row.EstimatedCostMicros, err
}

func median(values []int64) int64 {
	slices.Sort(values)
	middle := len(values) / 2
	if len(values)%2 == 1 {
		return values[middle]
	}
	return (values[middle-1] + values[middle]) / 2
}

// takeSlot inserts the execution at the lowest free slot. The pipeline's lock makes a collision
// impossible among programs of this release; it is the index that makes it harmless among all.
func (t *Tenant) takeSlot(ctx context.Context, tx bun.Tx, row *executionRow) error {
	for {
		taken, err := t.runSlots(ctx, tx, row.PipelineID)
		if err != nil {
			return err
		}
		if len(taken) >= row.MaxActiveRuns {
			return pipelineRunning("the pipeline is already running as often as its max_active_runs allows", taken)
		}
		slot := lowestFree(taken)
		row.RunSlot = &slot
		inserted, err := affected(tx.NewInsert().Model(row).On("CONFLICT DO NOTHING").Exec(ctx))
		if err != nil || inserted == 1 {
			return err
		}
		// Either the slot was taken meanwhile, or the id is in use where this tenant cannot see it.
		now, err := t.runSlots(ctx, tx, row.PipelineID)
		if err != nil {
			return err
		}
		if slices.Equal(now, taken) {
			return models.Errorf(models.CodeConflict, "the id of the execution is in use")
		}
	}
}

// runSlots returns the open executions of a pipeline in the order of their slots.
func (t *Tenant) runSlots(ctx context.Context, tx bun.Tx, pipelineID string) (slots []runSlot, err error) {
	err = tx.NewSelect().Model((*executionRow)(nil)).Column("id", "run_slot").
		Where("tenant_id = ? AND pipeline_id = ? AND run_slot IS NOT NULL", t.id, pipelineID).
		OrderExpr("run_slot").Scan(ctx, &slots)
	return slots, err
}

// lowestFree returns the first number that is missing in slots, which are in ascending order.
func lowestFree(slots []runSlot) int {
	for i, s := range slots {
		if s.RunSlot != i {
			return i
		}
	}
	return len(slots)
}

// checkOpenQuota runs after the counters have been changed; see checkPipelineQuota.
func (t *Tenant) checkOpenQuota(ctx context.Context, tx bun.Tx) error {
	quota := t.store.quotasOf(t.id).OpenExecutions
	if quota == 0 {
		return nil
	}
	var open []string
	for _, status := range models.ExecutionStatuses {
		if !status.Terminal() {
			open = append(open, string(status))
		}
	}
	n, err := t.total(ctx, tx, countExecutions, everything, open...)
	if err == nil && n > quota {
		return models.Errorf(models.CodeQuotaExceeded, "the tenant has %d executions that have not ended: wait until some have", quota)
	}
	return err
}

func pipelineRunning(message string, slots []runSlot) error {
	e := models.Errorf(models.CodePipelineRunning, "%s", message)
	for _, s := range slots {
		e.IDs = append(e.IDs, s.ID)
	}
	return e
}
