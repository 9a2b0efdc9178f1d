package store

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/cost"
)

// prices are round: a CPU second costs a cent.
func prices(tb testing.TB, s *Store) {
	tb.Helper()
	var err error
	s.Pricing.Rates, err = cost.ParseRates([]byte(`versions: [
		{version: old, valid_from: 2020-01-01, cpu_second: 0.001, memory_gb_second: 0, storage_gb_hour: 0, network_gb: 0},
		{version: new, valid_from: 2026-03-01, cpu_second: 0.01, memory_gb_second: 0.001, storage_gb_hour: 0.002, network_gb: 0.09}]`))
	require.NoError(tb, err)
	s.Pricing.Retention = cost.Retention{Staging: 24 * time.Hour, Quarantine: 48 * time.Hour}
}

// attempted has an attempt of a task start and end.
func attempted(tb testing.TB, t *Tenant, id, name string, attempt int, state models.TaskState, end time.Time, used *models.Usage) {
	tb.Helper()
	run := models.TaskRun{Name: name, Attempts: attempt, StartedAt: end.Add(-time.Minute)}
	require.NoError(tb, t.StartTask(tb.Context(), id, run))
	run.State, run.EndedAt, run.Usage = state, end, used
	require.NoError(tb, t.FinishTask(tb.Context(), id, run, nil))
}

// cpu is a usage of processor time alone.
func cpu(d time.Duration) *models.Usage { return &models.Usage{CPUMicros: d.Microseconds()} }

// spending has an execution of a pipeline end that used processor time.
func spending(tb testing.TB, t *Tenant, p models.Pipeline, end time.Time, used time.Duration) models.Execution {
	tb.Helper()
	e := submit(tb, t, p, func(e *models.Execution) { e.SubmittedAt = end.Add(-time.Hour) })
	plan(tb, t, e.ID, "raw")
	attempted(tb, t, e.ID, "raw", 1, models.TaskSucceeded, end, cpu(used))
	e, err := t.FinishExecution(tb.Context(), e.ID, ExecutionEnd{Status: models.ExecutionCompleted, At: end})
	require.NoError(tb, err)
	return e
}

func TestCostOfAnExecution(t *testing.T) {
	forEachDatabase(t, func(t *testing.T, s *Store) {
		prices(t, s)
		ctx, tenant := t.Context(), s.newTenant()
		end := time.Date(2026, 3, 2, 10, 30, 0, 0, time.UTC)
		e := submit(t, tenant, newPipeline(t, tenant))
		none, err := tenant.ExecutionCost(ctx, e.ID, end)
		require.NoError(t, err)
		assert.Zero(t, none.Charge)
		assert.False(t, none.Final)

		plan(t, tenant, e.ID, "raw", "step")
		attempted(t, tenant, e.ID, "raw", 1, models.TaskFailed, end.Add(-time.Hour), cpu(3*time.Second))
		attempted(t, tenant, e.ID, "raw", 2, models.TaskSucceeded, end.Add(-time.Hour), &models.Usage{
			CPUMicros: 1_000_000, WallMicros: 2_000_000, MeanMemoryBytes: 1e9, PeakMemoryBytes: 2e9, NetworkBytes: 1e9, StagedBytes: 1e9})
		attempted(t, tenant, e.ID, "step", 1, models.TaskSucceeded, end, nil)
		sofar, err := tenant.ExecutionCost(ctx, e.ID, end)
		require.NoError(t, err)
		assert.Equal(t, cost.Parts{ComputeMicros: 42_000, StorageMicros: 2_000, NetworkMicros: 90_000}, sofar.Parts, "kept for an hour so far")

		_, err = tenant.FinishExecution(ctx, e.ID, ExecutionEnd{Status: models.ExecutionFailed, At: end})
		require.NoError(t, err)
		final, err := tenant.ExecutionCost(ctx, e.ID, end.AddDate(1, 0, 0))
		require.NoError(t, err)
		assert.Equal(t, cost.Execution{RateVersion: "new", Final: true, Charge: cost.Charge{
			Parts: cost.Parts{ComputeMicros: 42_000, StorageMicros: 50_000, NetworkMicros: 90_000},
			Tasks: []cost.Task{{Name: "raw", Parts: cost.Parts{ComputeMicros: 42_000, StorageMicros: 50_000, NetworkMicros: 90_000}, Attempts: 2,
				CPUMicros: 4_000_000, MemoryByteSeconds: 2e9, StorageByteHours: 25e9, NetworkBytes: 1e9, PeakMemoryBytes: 2e9}},
		}}, final, "a task of which nothing is known costs nothing")
		_, err = tenant.ExecutionCost(ctx, models.NewID(models.PrefixExecution), end)
		assertCode(t, models.CodeNotFound, err)
	})
}

// An attempt that was given up, or whose execution has ended, has used what it has used. Telling of it twice counts once.
func TestLateAttemptsCount(t *testing.T) {
	forEachDatabase(t, func(t *testing.T, s *Store) {
		prices(t, s)
		ctx, tenant := t.Context(), s.newTenant()
		end := time.Date(2026, 3, 2, 10, 30, 0, 0, time.UTC)
		p := newPipeline(t, tenant)
		e := submit(t, tenant, p)
		plan(t, tenant, e.ID, "raw", "step")
		attempted(t, tenant, e.ID, "raw", 2, models.TaskSucceeded, end, cpu(time.Second))
		late := models.TaskRun{Name: "raw", Attempts: 1, State: models.TaskFailed, EndedAt: end, Usage: cpu(5 * time.Second)}
		for range 2 {
			assertCode(t, models.CodeConflict, tenant.FinishTask(ctx, e.ID, late, nil))
		}
		assert.Equal(t, models.TaskSucceeded, task(t, tenant, e.ID, "raw").State)
		_, err := tenant.FinishExecution(ctx, e.ID, ExecutionEnd{Status: models.ExecutionCancelled, At: end})
		require.NoError(t, err)
		later := models.TaskRun{Name: "step", Attempts: 1, State: models.TaskCancelled, EndedAt: end.Add(time.Minute), Usage: cpu(2 * time.Second)}
		for range 2 {
			assertCode(t, models.CodeExecutionClosed, tenant.FinishTask(ctx, e.ID, later, nil))
		}
		got, err := tenant.ExecutionCost(ctx, e.ID, end)
		require.NoError(t, err)
		assert.EqualValues(t, 80_000, got.Total())
		sum, err := tenant.CostSummary(ctx, p.ID, end, 24*time.Hour)
		require.NoError(t, err)
		assert.EqualValues(t, 80_000, sum.Total())
		assert.EqualValues(t, 1, sum.Executions)
		require.Len(t, sum.Tasks, 2)
		assert.EqualValues(t, 2, sum.Tasks[0].Attempts)
		metrics, err := tenant.Metrics(ctx, "", end)
		require.NoError(t, err)
		assert.EqualValues(t, 80_000, metrics.CostMicros)
	})
}

// A pipeline's cost is the sum of its executions', whatever they used and in whatever hours of the period they ended.
func TestCostSummaryIsTheSumOfExecutions(t *testing.T) {
	forEachDatabase(t, func(t *testing.T, s *Store) {
		ctx, tenant := t.Context(), s.newTenant()
		p, other := newPipeline(t, tenant), newPipeline(t, tenant)
		now := time.Date(2026, 3, 31, 15, 20, 0, 0, time.UTC)
		empty, err := tenant.CostSummary(ctx, p.ID, now, 30*24*time.Hour)
		require.NoError(t, err)
		assert.Zero(t, empty)

		r := rand.New(rand.NewPCG(1, 2))
		type ended struct {
			at time.Time
			id string
		}
		var all []ended
		for i := range 30 {
			end := now.Add(-time.Duration(r.Int64N(int64(40 * 24 * time.Hour))))
			e := submit(t, tenant, p, func(e *models.Execution) { e.SubmittedAt = end.Add(-time.Hour) })
			plan(t, tenant, e.ID, "raw", "a", "b")
			for j, name := range []string{"raw", "a", "b"}[:1+i%3] {
				attempted(t, tenant, e.ID, name, 1, models.TaskSucceeded, end.Add(-time.Minute), &models.Usage{
					CPUMicros: r.Int64N(1e8), WallMicros: r.Int64N(1e8), MeanMemoryBytes: r.Int64N(1e9), StagedBytes: r.Int64N(1e9),
					NetworkBytes: r.Int64N(1e9), PeakMemoryBytes: int64(i*10 + j)})
			}
			_, err := tenant.FinishExecution(ctx, e.ID, ExecutionEnd{Status: models.ExecutionCompleted, At: end})
			require.NoError(t, err)
			all = append(all, ended{end, e.ID})
		}
		spending(t, tenant, other, now, time.Hour)

		for _, period := range []time.Duration{24 * time.Hour, 7 * 24 * time.Hour, 30 * 24 * time.Hour, 90 * 24 * time.Hour} {
			since, half := now.Add(-period).Truncate(time.Hour), now.Add(-period/2).Truncate(time.Hour)
			var want cost.Summary
			tasks := map[string]cost.Parts{}
			for _, e := range all {
				if e.at.Before(since) {
					continue
				}
				c, err := tenant.ExecutionCost(ctx, e.id, now)
				require.NoError(t, err)
				want.Add(c.Parts)
				want.Executions++
				if e.at.Before(half) {
					want.FirstMicros += c.Total()
				} else {
					want.SecondMicros += c.Total()
				}
				for _, task := range c.Tasks {
					sum := tasks[task.Name]
					sum.Add(task.Parts)
					tasks[task.Name] = sum
				}
			}
			got, err := tenant.CostSummary(ctx, p.ID, now, period)
			require.NoError(t, err)
			assert.Equal(t, want.Parts, got.Parts, period)
			assert.Equal(t, []int64{want.Executions, want.FirstMicros, want.SecondMicros}, []int64{got.Executions, got.FirstMicros, got.SecondMicros}, period)
			assert.Equal(t, got.Total(), got.FirstMicros+got.SecondMicros)
			require.Len(t, got.Tasks, len(tasks))
			for _, task := range got.Tasks {
				assert.Equal(t, tasks[task.Name], task.Parts, task.Name)
			}
		}
		_, err = tenant.CostSummary(ctx, models.NewID(models.PrefixPipeline), now, time.Hour)
		assertCode(t, models.CodeNotFound, err)
	})
}

func TestRatesByTheStartOfAnExecution(t *testing.T) {
	forEachDatabase(t, func(t *testing.T, s *Store) {
		prices(t, s)
		tenant := s.newTenant()
		p := newPipeline(t, tenant)
		change := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
		for want, end := range map[string]time.Time{
			"default-1": time.Date(2019, 1, 1, 0, 0, 0, 0, time.UTC), "old": change.Add(30 * time.Second), "new": change.Add(time.Minute),
		} {
			c, err := tenant.ExecutionCost(t.Context(), spending(t, tenant, p, end, time.Second).ID, end)
			require.NoError(t, err)
			assert.Equal(t, want, c.RateVersion, "it began a minute before %s", end)
		}
	})
}

func TestEstimatedCostIsTheMedian(t *testing.T) {
	forEachDatabase(t, func(t *testing.T, s *Store) {
		prices(t, s)
		tenant := s.newTenant()
		p := newPipeline(t, tenant)
		end := time.Date(2026, 3, 2, 10, 30, 0, 0, time.UTC)
		assert.Nil(t, submit(t, tenant, p).EstimatedCostMicros, "nothing is known yet")
		for _, seconds := range []time.Duration{1, 9, 2} {
			spending(t, tenant, p, end, seconds*time.Second)
		}
		e := submit(t, tenant, p)
		require.NotNil(t, e.EstimatedCostMicros)
		assert.EqualValues(t, 20_000, *e.EstimatedCostMicros)
		again, err := tenant.Execution(t.Context(), e.ID)
		require.NoError(t, err)
		assert.Equal(t, e.EstimatedCostMicros, again.EstimatedCostMicros)
	})
}

func budgeted(usd, onExceed string) func(*models.Pipeline) {
	return func(p *models.Pipeline) {
		p.Definition = fmt.Appendf(nil, `{"orchestration": {"budget": {"monthly_usd": %s, "on_exceed": %q}}}`, usd, onExceed)
	}
}

// alertOf is a pipeline's unresolved alert of its budget, if there is one.
func alertOf(tb testing.TB, t *Tenant, p models.Pipeline) *models.Alert {
	tb.Helper()
	open, err := t.UnresolvedAlerts(tb.Context(), p.ID)
	require.NoError(tb, err)
	for _, a := range open {
		if a.Rule == models.AlertBudgetExceeded {
			return &a
		}
	}
	return nil
}

func TestBudgetOfAPipeline(t *testing.T) {
	forEachDatabase(t, func(t *testing.T, s *Store) {
		prices(t, s)
		ctx, tenant := t.Context(), s.newTenant()
		p := newPipeline(t, tenant, budgeted("0.05", "block"))
		march := time.Date(2026, 3, 31, 23, 0, 0, 0, time.UTC)
		in := func(at time.Time) func(*models.Execution) {
			return func(e *models.Execution) { e.SubmittedAt = at }
		}
		spending(t, tenant, p, march, 4*time.Second)
		assert.Nil(t, alertOf(t, tenant, p))
		spending(t, tenant, p, march, 2*time.Second) // it was below when this one was submitted
		told := alertOf(t, tenant, p)
		require.NotNil(t, told)
		assert.Equal(t, "the pipeline's budget of 0.05 USD for March 2026 is used up: 0.06 USD are spent", told.Message)
		_, err := tenant.SubmitExecution(ctx, execution(p, in(march)))
		assertCode(t, models.CodeBudgetExceeded, err)
		assert.ErrorContains(t, err, "0.06 USD are spent")

		april := march.Add(2 * time.Hour)
		e := submit(t, tenant, p, in(april))
		_, err = tenant.FinishExecution(ctx, e.ID, ExecutionEnd{Status: models.ExecutionFailed, At: april})
		require.NoError(t, err)
		require.NotNil(t, alertOf(t, tenant, p), "that was no good run")
		spending(t, tenant, p, april.Add(time.Hour), time.Second)
		assert.Nil(t, alertOf(t, tenant, p))

		_, err = tenant.UpdatePipeline(ctx, p.ID, PipelineUpdate{Definition: []byte(`{"orchestration": {"budget": {"monthly_usd": 0.01}}}`)})
		require.NoError(t, err)
		for range 2 {
			spending(t, tenant, p, april.Add(time.Hour), time.Second)
		}
		told = alertOf(t, tenant, p)
		require.NotNil(t, told)
		assert.EqualValues(t, 1, told.Count, "it is told once a month")
	})
}

func TestBudgetOfATenant(t *testing.T) {
	forEachDatabase(t, func(t *testing.T, s *Store) {
		prices(t, s)
		ctx, tenant, neighbour := t.Context(), s.newTenant(), s.newTenant()
		s.Budgets = map[models.TenantID]models.Budget{tenant.id: {MonthlyMicros: 50_000, OnExceed: models.ExceedBlock}}
		p, q := newPipeline(t, tenant), newPipeline(t, tenant, budgeted("0.03", "alert"))
		now := time.Now()
		spending(t, tenant, q, now, 3*time.Second)
		assert.Contains(t, alertOf(t, tenant, q).Message, "the pipeline's budget of 0.03 USD")
		submit(t, tenant, q)
		spending(t, tenant, p, now, 2*time.Second)
		assert.Contains(t, alertOf(t, tenant, p).Message, "the tenant's budget of 0.05 USD")
		for _, pipeline := range []models.Pipeline{p, q} {
			_, err := tenant.SubmitExecution(ctx, execution(pipeline))
			assertCode(t, models.CodeBudgetExceeded, err)
		}
		spending(t, neighbour, newPipeline(t, neighbour), now, time.Hour)
		submit(t, neighbour, newPipeline(t, neighbour))
	})
}
