package store

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/uptrace/bun"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/cost"
)

// Pricing is what costs are computed with.
type Pricing struct {
	Rates     cost.Rates
	Retention cost.Retention
}

// meter writes down what an attempt used, once. Where its execution has ended meanwhile, that costs more now.
func (t *Tenant) meter(ctx context.Context, tx bun.Tx, e *executionRow, run models.TaskRun) error {
	if run.Usage == nil {
		return nil
	}
	if run.EndedAt.IsZero() {
		run.EndedAt = time.Now()
	}
	inserted, err := affected(tx.NewInsert().Model(newUsageRow(t.id, e.ID, run)).On("CONFLICT DO NOTHING").Exec(ctx))
	if err != nil || inserted == 0 || !e.Status.Terminal() {
		return err
	}
	more, err := t.charge(ctx, tx, e)
	if err != nil || more == 0 {
		return err
	}
	return t.addCost(ctx, tx, e.PipelineID, e.EndedAt.Time, more)
}

// charge computes what an execution that has ended cost, writes it down and returns how much more that is than what was
// written down before, in millionths of a dollar.
func (t *Tenant) charge(ctx context.Context, tx bun.Tx, e *executionRow) (int64, error) {
	now, err := t.chargeAt(ctx, tx, e, e.EndedAt.Time, t.store.Pricing.Retention)
	if err != nil || len(now.Tasks) == 0 {
		return 0, err // nothing has run
	}
	before, _, err := t.charged(ctx, tx, e.ID)
	if err != nil {
		return 0, err
	}
	row, err := newCostRow(t.id, e.ID, now.RateVersion, now.Charge)
	if err != nil {
		return 0, err
	}
	_, err = tx.NewInsert().Model(row).On("CONFLICT (tenant_id, execution_id) DO UPDATE").
		Set("rate_version = EXCLUDED.rate_version, compute_micros = EXCLUDED.compute_micros").
		Set("storage_micros = EXCLUDED.storage_micros, network_micros = EXCLUDED.network_micros, tasks = EXCLUDED.tasks").Exec(ctx)
	if err != nil {
		return 0, err
	}
	return now.Total() - before.Total(), t.addTasks(ctx, tx, e, now.Tasks, before.Tasks)
}

// chargeAt is what an execution has cost at a time, with what is kept for a while after that.
func (t *Tenant) chargeAt(ctx context.Context, db bun.IDB, e *executionRow, end time.Time, keep cost.Retention) (cost.Execution, error) {
	var rows []usageRow
	err := db.NewSelect().Model(&rows).Where("tenant_id = ? AND execution_id = ?", t.id, e.ID).
		OrderExpr("ended_at, task, attempt").Scan(ctx)
	attempts := make([]models.AttemptUsage, len(rows))
	for i := range rows {
		attempts[i] = rows[i].model()
	}
	start := e.StartedAt.Time
	if start.IsZero() {
		start = end
	}
	rate := t.store.Pricing.Rates.At(start)
	return cost.Execution{
		Charge: cost.Of(rate, attempts, keep, end), RateVersion: rate.Version, Final: e.Status.Terminal(),
	}, err
}

// charged is what was written down of an execution's cost, if anything was.
func (t *Tenant) charged(ctx context.Context, db bun.IDB, id string) (charged cost.Execution, found bool, err error) {
	var rows []costRow
	err = db.NewSelect().Model(&rows).Where("tenant_id = ? AND execution_id = ?", t.id, id).Scan(ctx)
	if err != nil || len(rows) == 0 {
		return cost.Execution{}, false, err
	}
	charged, err = rows[0].model()
	return charged, true, err
}

const hoursOfDay = 24

// addTasks adds what tasks of an execution cost, beyond what they did before, to the sums of its pipeline. The rows are in
// one order, so that executions that end at once do not wait for each other.
func (t *Tenant) addTasks(ctx context.Context, tx bun.Tx, e *executionRow, tasks, before []cost.Task) error {
	old := make(map[string]cost.Task, len(before))
	for _, task := range before {
		old[task.Name] = task
	}
	hour := hourOf(e.EndedAt.Time)
	var rows []taskCostRow
	for _, hours := range []int{1, hoursOfDay} {
		for _, task := range slices.SortedFunc(slices.Values(tasks), func(a, b cost.Task) int { return cmp.Compare(a.Name, b.Name) }) {
			row := newTaskCostRow(task, old[task.Name])
			row.TenantID, row.PipelineID, row.Hours, row.Hour = t.id, e.PipelineID, hours, hour-hour%int64(hours)
			rows = append(rows, row)
		}
	}
	q := tx.NewInsert().Model(&rows).On("CONFLICT (tenant_id, pipeline_id, hours, hour, task) DO UPDATE").
		Set("peak_memory_bytes = CASE WHEN EXCLUDED.peak_memory_bytes > tc.peak_memory_bytes THEN EXCLUDED.peak_memory_bytes ELSE tc.peak_memory_bytes END")
	for _, column := range taskSums {
		q.Set("?0 = tc.?0 + EXCLUDED.?0", bun.Ident(column))
	}
	_, err := q.Exec(ctx)
	return err
}

// ExecutionCost returns what an execution cost, or of one that has not ended what its attempts that have cost until now. Error:
// CodeNotFound.
func (t *Tenant) ExecutionCost(ctx context.Context, id string, now time.Time) (c cost.Execution, err error) {
	err = t.read(ctx, func(db bun.IDB) error {
		var row executionRow
		err := db.NewSelect().Model(&row).Column("id", "status", "started_at", "ended_at").
			Where("tenant_id = ? AND id = ?", t.id, id).Scan(ctx)
		if err != nil {
			return notFound("execution", err)
		}
		var found bool
		if c, found, err = t.charged(ctx, db, id); err != nil || found {
			return err
		}
		if row.Status.Terminal() {
			now = row.EndedAt.Time // nothing ran, or nothing was metered then
		}
		c, err = t.chargeAt(ctx, db, &row, now, cost.Retention{})
		return err
	})
	return c, err
}

// CostSummary sums up what the executions of a pipeline cost that ended in the period before now, which begins with a full hour.
// It reads sums of hours and days, however many executions there were. Error: CodeNotFound.
func (t *Tenant) CostSummary(ctx context.Context, pipelineID string, now time.Time, period time.Duration) (cost.Summary, error) {
	var s cost.Summary
	since, half := hourOf(now.Add(-period)), hourOf(now.Add(-period/2))
	err := t.read(ctx, func(db bun.IDB) error {
		s = cost.Summary{}
		if err := t.checkPipeline(ctx, db, pipelineID); err != nil {
			return err
		}
		sum := func(expr string) string { return "CAST(COALESCE(SUM(" + expr + "), 0) AS BIGINT)" }
		err := db.NewSelect().Model((*hourRow)(nil)).ColumnExpr(sum("executions")).
			ColumnExpr(sum("CASE WHEN hour < ? THEN cost_micros ELSE 0 END"), half).
			ColumnExpr(sum("CASE WHEN hour >= ? THEN cost_micros ELSE 0 END"), half).
			Where("tenant_id = ? AND pipeline_id = ? AND hour >= ?", t.id, pipelineID, since).
			Scan(ctx, &s.Executions, &s.FirstMicros, &s.SecondMicros)
		if err != nil {
			return err
		}
		s.Tasks, err = t.taskCosts(ctx, db, pipelineID, since)
		for _, task := range s.Tasks {
			s.Add(task.Parts)
		}
		return err
	})
	return s, err
}

// taskCosts sums up the tasks of a pipeline since an hour: the hours of the first day, and the days after that.
func (t *Tenant) taskCosts(ctx context.Context, db bun.IDB, pipelineID string, since int64) ([]cost.Task, error) {
	midnight := (since + hoursOfDay - 1) / hoursOfDay * hoursOfDay
	sums := map[string]cost.Task{}
	for _, part := range []struct {
		hours    int
		from, to int64
	}{{1, since, midnight}, {hoursOfDay, midnight, maxHour}} {
		q := db.NewSelect().Model((*taskCostRow)(nil)).ColumnExpr("task, MAX(peak_memory_bytes) AS peak_memory_bytes").
			Where("tenant_id = ? AND pipeline_id = ? AND hours = ? AND hour >= ? AND hour < ?", t.id, pipelineID, part.hours, part.from, part.to).
			GroupExpr("task")
		for _, column := range taskSums {
			q.ColumnExpr("CAST(SUM(?0) AS BIGINT) AS ?0", bun.Ident(column))
		}
		var found []taskCostRow
		if err := q.Scan(ctx, &found); err != nil {
			return nil, err
		}
		for i := range found {
			sum := sums[found[i].Task]
			sum.Merge(found[i].model())
			sums[sum.Name] = sum
		}
	}
	return slices.SortedFunc(maps.Values(sums), func(a, b cost.Task) int {
		return cmp.Or(cmp.Compare(b.Total(), a.Total()), cmp.Compare(a.Name, b.Name))
	}), nil
}

// maxHour is after every hour.
const maxHour = int64(1) << 40

// estimateCost fills in what an execution will cost: the median of completed ones, nothing where no cost of any is known.
func (t *Tenant) estimateCost(ctx context.Context, db bun.IDB, row *executionRow, completed []string) error {
	if len(completed) == 0 {
		return nil
	}
	var costs []int64
	err := db.NewSelect().Model((*costRow)(nil)).ColumnExpr("compute_micros + storage_micros + network_micros").
		Where("tenant_id = ? AND execution_id IN (?)", t.id, bun.List(completed)).Scan(ctx, &costs)
	if err != nil || len(costs) == 0 {
		return err
	}
	estimate := median(costs)
	row.EstimatedCostMicros = &estimate
	return nil
}
