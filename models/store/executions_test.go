package store

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/matih/pipeline-service/models"
)

func TestSubmitExecution(t *testing.T) {
	forEachDatabase(t, func(t *testing.T, s *Store) {
		ctx, tenant := t.Context(), s.newTenant()
		p := newPipeline(t, tenant)
		want := execution(p, func(e *models.Execution) { e.Version = 0 })
		got, err := tenant.SubmitExecution(ctx, want)
		require.NoError(t, err)
		want.Tenant, want.PipelineName, want.Version, want.Status = tenant.id, p.Name, 1, models.ExecutionQueued
		want.SubmittedAt = at(want.SubmittedAt).Time
		assert.Equal(t, want, got)
		read, err := tenant.Execution(ctx, want.ID)
		require.NoError(t, err)
		assert.Equal(t, want, read)

		active, err := tenant.Pipeline(ctx, p.ID)
		require.NoError(t, err)
		assert.Equal(t, models.PipelineActive, active.Status, "the first execution makes it ACTIVE")
		assert.Equal(t, int64(2), active.Revision)

		again, err := tenant.SubmitExecution(ctx, execution(p, func(e *models.Execution) { e.ID, e.Version = want.ID, 7 }))
		require.NoError(t, err)
		assert.Equal(t, want, again, "the same id is the same request")

		_, err = tenant.UpdatePipeline(ctx, p.ID, PipelineUpdate{Status: models.PipelinePaused})
		require.NoError(t, err)
		_, err = tenant.SubmitExecution(ctx, execution(p))
		assertCode(t, models.CodePipelinePaused, err)
		again, err = tenant.SubmitExecution(ctx, execution(p, func(e *models.Execution) { e.ID = want.ID }))
		require.NoError(t, err, "a repeated request succeeds whatever has happened since")
		assert.Equal(t, want.ID, again.ID)

		_, err = tenant.SubmitExecution(ctx, execution(models.Pipeline{ID: "pipeline-none"}))
		assertCode(t, models.CodeNotFound, err)
		other := s.newTenant()
		_, err = other.SubmitExecution(ctx, execution(newPipeline(t, other), func(e *models.Execution) { e.ID = want.ID }))
		assertCode(t, models.CodeConflict, err, "an id in use elsewhere")
	})
}

func TestMaxActiveRunsUnderSimultaneousSubmissions(t *testing.T) {
	forEachDatabase(t, func(t *testing.T, s *Store) {
		tenant := s.newTenant()
		for _, limit := range []int{0, 1, 3} {
			p := newPipeline(t, tenant)
			const clients = 50
			errs := make([]error, clients)
			ids := make([]string, clients)
			var group sync.WaitGroup
			for i := range clients {
				group.Go(func() {
					e, err := tenant.SubmitExecution(t.Context(), execution(p, func(e *models.Execution) { e.MaxActiveRuns = limit }))
					ids[i], errs[i] = e.ID, err
				})
			}
			group.Wait()

			var won []string
			for i, err := range errs {
				if err == nil {
					won = append(won, ids[i])
				}
			}
			require.Len(t, won, max(limit, 1))
			for _, err := range errs {
				if err == nil {
					continue
				}
				assertCode(t, models.CodePipelineRunning, err)
				var e *models.Error
				require.ErrorAs(t, err, &e)
				assert.ElementsMatch(t, won, e.IDs)
			}

			finish(t, tenant, won[0], models.ExecutionFailed)
			submit(t, tenant, p, func(e *models.Execution) { e.MaxActiveRuns = limit })
		}
	})
}

// The index, not the pipeline's lock, is what keeps a slot from being given twice: two programs of
// different releases need not lock alike.
func TestRunSlotIndexForbidsTheSameSlotTwice(t *testing.T) {
	forEachDatabase(t, func(t *testing.T, s *Store) {
		tenant := s.newTenant()
		p := newPipeline(t, tenant)
		submit(t, tenant, p)
		row := newExecutionRow(execution(p))
		row.TenantID, row.RunSlot = tenant.id, new(int)
		_, err := s.writer.NewInsert().Model(row).Exec(t.Context())
		require.Error(t, err)
		assert.Equal(t, failureDuplicate, failureOf(err))
	})
}

func TestLoweredMaxActiveRunsCountsWhatIsOpen(t *testing.T) {
	forEachDatabase(t, func(t *testing.T, s *Store) {
		tenant := s.newTenant()
		p := newPipeline(t, tenant)
		first := submit(t, tenant, p)
		submit(t, tenant, p)
		finish(t, tenant, first.ID, models.ExecutionCompleted)
		// Slot 0 is free, but one is open in slot 1.
		_, err := tenant.SubmitExecution(t.Context(), execution(p, func(e *models.Execution) { e.MaxActiveRuns = 1 }))
		assertCode(t, models.CodePipelineRunning, err)
		submit(t, tenant, p, func(e *models.Execution) { e.MaxActiveRuns = 2 })
	})
}

func TestOpenExecutionsQuota(t *testing.T) {
	forEachDatabase(t, func(t *testing.T, s *Store) {
		s.Quotas.OpenExecutions = 5
		tenant := s.newTenant()
		pipelines := []models.Pipeline{newPipeline(t, tenant), newPipeline(t, tenant), newPipeline(t, tenant)}
		errs := make([]error, 30)
		var group sync.WaitGroup
		for i := range errs {
			group.Go(func() { _, errs[i] = tenant.SubmitExecution(t.Context(), execution(pipelines[i%len(pipelines)])) })
		}
		group.Wait()
		for _, err := range errs {
			if err != nil {
				assertCode(t, models.CodeQuotaExceeded, err)
			}
		}
		assert.Equal(t, 5, rowsOf(t, tenant, "executions"))
		other := s.newTenant()
		submit(t, other, newPipeline(t, other))

		s.Quotas.OpenExecutions = 0
		submit(t, tenant, pipelines[0])
	})
}

func TestEstimateAndLastRun(t *testing.T) {
	forEachDatabase(t, func(t *testing.T, s *Store) {
		ctx, tenant := t.Context(), s.newTenant()
		p := newPipeline(t, tenant)
		start := time.Date(2026, 3, 1, 6, 0, 0, 0, time.UTC)
		run := func(engine models.Engine, status models.ExecutionStatus, minutes int) time.Time {
			start = start.Add(time.Hour)
			e := submit(t, tenant, p, func(e *models.Execution) { e.Engine = engine })
			plan(t, tenant, e.ID, "raw")
			require.NoError(t, tenant.StartTask(ctx, e.ID, models.TaskRun{Name: "raw", Attempts: 1, StartedAt: start}))
			_, err := tenant.FinishExecution(ctx, e.ID, ExecutionEnd{Status: status, At: start.Add(time.Duration(minutes) * time.Minute)})
			require.NoError(t, err)
			return start
		}
		for minutes := range 30 { // the first ten are forgotten
			run(models.EngineTemporal, models.ExecutionCompleted, minutes)
		}
		run(models.EngineTemporal, models.ExecutionFailed, 1000)
		last := run(models.EngineAirflow, models.ExecutionCompleted, 500)
		run(models.EngineTemporal, models.ExecutionCancelled, 1000)

		e := submit(t, tenant, p)
		assert.Equal(t, last, e.LastRun)
		assert.Equal(t, 19*time.Minute+30*time.Second, e.EstimatedDuration, "the median of 10 to 29")
		e = submit(t, tenant, p, func(e *models.Execution) { e.Engine = models.EngineAirflow })
		assert.Equal(t, 500*time.Minute, e.EstimatedDuration)

		fresh := submit(t, tenant, newPipeline(t, tenant))
		assert.Zero(t, fresh.LastRun)
		assert.Equal(t, 5*time.Minute, fresh.EstimatedDuration, "what the caller expects, where there is no history")
	})
}

func TestExecutionFiltersAndPages(t *testing.T) {
	forEachDatabase(t, func(t *testing.T, s *Store) {
		ctx, tenant := t.Context(), s.newTenant()
		a, b := newPipeline(t, tenant), newPipeline(t, tenant)
		var all []models.Execution // newest first
		for i := range 12 {
			p := a
			if i%3 == 0 {
				p = b
			}
			e := submit(t, tenant, p)
			switch i % 4 {
			case 0:
				e = finish(t, tenant, e.ID, models.ExecutionCompleted)
			case 1:
				e = finish(t, tenant, e.ID, models.ExecutionFailed)
			}
			all = append([]models.Execution{e}, all...)
		}
		newWorld(t, s.newTenant())

		for _, f := range []ExecutionFilter{
			{}, {PipelineID: a.ID}, {PipelineID: b.ID}, {Status: models.ExecutionQueued}, {Status: models.ExecutionCompleted},
			{Status: models.ExecutionCancelled}, {PipelineID: a.ID, Status: models.ExecutionFailed},
			{PipelineID: b.ID, Status: models.ExecutionCompleted},
		} {
			var want []models.Execution
			for _, e := range all {
				if (f.PipelineID == "" || f.PipelineID == e.PipelineID) && (f.Status == "" || f.Status == e.Status) {
					want = append(want, e)
				}
			}
			var got []models.Execution
			for number := 0; ; number++ {
				page, err := tenant.Executions(ctx, f, models.Page{Number: number, Size: 2})
				require.NoError(t, err)
				assert.EqualValues(t, len(want), page.Total, "%+v", f)
				if len(page.Items) == 0 {
					break
				}
				got = append(got, page.Items...)
			}
			assert.Equal(t, want, got, "%+v", f)
		}
		_, err := tenant.Executions(ctx, ExecutionFilter{PipelineID: "pipeline-none"}, models.Page{})
		assertCode(t, models.CodeNotFound, err)
	})
}

func TestRequestCancelInEveryState(t *testing.T) {
	forEachDatabase(t, func(t *testing.T, s *Store) {
		ctx, tenant := t.Context(), s.newTenant()
		p := newPipeline(t, tenant)
		in := map[models.ExecutionStatus]func(id string){
			models.ExecutionQueued: func(string) {},
			models.ExecutionRunning: func(id string) {
				plan(t, tenant, id, "raw")
				require.NoError(t, tenant.StartTask(ctx, id, models.TaskRun{Name: "raw", Attempts: 1, StartedAt: time.Now()}))
			},
			models.ExecutionAwaitingApproval: func(id string) { setStatus(t, tenant, id, models.ExecutionAwaitingApproval) },
			models.ExecutionCancelling: func(id string) {
				_, err := tenant.RequestCancel(ctx, id)
				require.NoError(t, err)
			},
			models.ExecutionCompleted: func(id string) { finish(t, tenant, id, models.ExecutionCompleted) },
			models.ExecutionFailed:    func(id string) { finish(t, tenant, id, models.ExecutionFailed) },
			models.ExecutionCancelled: func(id string) { finish(t, tenant, id, models.ExecutionCancelled) },
		}
		for _, status := range models.ExecutionStatuses {
			e := submit(t, tenant, p)
			in[status](e.ID)
			before, err := tenant.Execution(ctx, e.ID)
			require.NoError(t, err)
			require.Equal(t, status, before.Status)

			got, err := tenant.RequestCancel(ctx, e.ID)
			if status.Terminal() {
				assertCode(t, models.CodeExecutionClosed, err)
				after, err := tenant.Execution(ctx, e.ID)
				require.NoError(t, err)
				assert.Equal(t, before, after)
				continue
			}
			require.NoError(t, err)
			before.Status = models.ExecutionCancelling
			assert.Equal(t, before, got)
		}
	})
}

// setStatus puts an execution where no method of this release brings it.
func setStatus(tb testing.TB, t *Tenant, id string, to models.ExecutionStatus) {
	tb.Helper()
	_, err := t.store.writer.ExecContext(tb.Context(), `UPDATE counts SET n = n - 1
		WHERE kind = 'execution' AND status = 'QUEUED' AND tenant_id = ?`, t.id)
	require.NoError(tb, err)
	e, err := t.Execution(tb.Context(), id)
	require.NoError(tb, err)
	for _, scope := range []string{everything, e.PipelineID} {
		_, err = t.store.writer.ExecContext(tb.Context(), `INSERT INTO counts VALUES (?, 'execution', ?, ?, 1)
			ON CONFLICT (tenant_id, kind, scope, status) DO UPDATE SET n = counts.n + 1`, t.id, scope, to)
		require.NoError(tb, err)
	}
	_, err = t.store.writer.ExecContext(tb.Context(), "UPDATE executions SET status = ? WHERE id = ?", to, id)
	require.NoError(tb, err)
}

func TestOpenExecutionsOfAllTenants(t *testing.T) {
	forEachDatabase(t, func(t *testing.T, s *Store) {
		before := time.Now()
		var want []ExecutionRef
		for range 3 {
			tenant := s.newTenant()
			p := newPipeline(t, tenant)
			for i := range 4 {
				e := submit(t, tenant, p, func(e *models.Execution) {
					e.SubmittedAt = before.Add(-time.Minute)
					if i == 3 {
						e.SubmittedAt = before.Add(time.Minute)
					}
				})
				switch i {
				case 0:
					finish(t, tenant, e.ID, models.ExecutionCompleted)
				case 1, 2:
					want = append(want, ExecutionRef{
						Tenant: tenant.id, ID: e.ID, PipelineID: p.ID, Status: models.ExecutionQueued,
						Engine: e.Engine, Priority: e.Priority, Trigger: e.Trigger, SubmittedAt: e.SubmittedAt,
					})
				}
			}
		}
		var got []ExecutionRef
		for after := ""; ; after = got[len(got)-1].ID {
			refs, err := s.OpenExecutions(t.Context(), before, after, 4)
			require.NoError(t, err)
			if len(refs) == 0 {
				break
			}
			got = append(got, refs...)
		}
		assert.Equal(t, want, got)
	})
}

func TestManyWritersAtOnce(t *testing.T) {
	forEachDatabase(t, func(t *testing.T, s *Store) {
		tenant := s.newTenant()
		p := newPipeline(t, tenant)
		var group sync.WaitGroup
		for range 50 {
			group.Go(func() {
				assert.NoError(t, runToEnd(t.Context(), tenant, p), "nothing is locked, nothing deadlocks")
			})
		}
		group.Wait()
		page, err := tenant.Executions(t.Context(), ExecutionFilter{PipelineID: p.ID, Status: models.ExecutionCompleted}, models.Page{})
		require.NoError(t, err)
		assert.EqualValues(t, 50, page.Total)
	})
}

// runToEnd does what an execution of two tasks does to the store.
func runToEnd(ctx context.Context, t *Tenant, p models.Pipeline) error {
	e, err := t.SubmitExecution(ctx, execution(p))
	if err != nil {
		return err
	}
	names := []string{"raw", "clean"}
	if err := t.PlanExecution(ctx, e.ID, []models.TaskRun{{Name: names[0], Kind: models.TaskSource}, {Name: names[1], Kind: models.TaskSink}}); err != nil {
		return err
	}
	for _, name := range names {
		run := models.TaskRun{Name: name, Attempts: 1, StartedAt: time.Now()}
		if err := t.StartTask(ctx, e.ID, run); err != nil {
			return err
		}
		run.State, run.RowsIn, run.EndedAt = models.TaskSucceeded, 10, time.Now()
		if err := t.FinishTask(ctx, e.ID, run, []models.LogLine{{Time: time.Now(), Level: "INFO", Task: name, Message: "done"}}); err != nil {
			return err
		}
		if _, err := t.Execution(ctx, e.ID); err != nil {
			return err
		}
	}
	_, err = t.FinishExecution(ctx, e.ID, ExecutionEnd{Status: models.ExecutionCompleted})
	return err
}
