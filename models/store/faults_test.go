package store

import (
	"context"
	"database/sql"
	"errors"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/uptrace/bun"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/store/pgtest"
)

// Any sequence of operations, failing ones included, leaves counters and sums right; see checkInvariants.
func TestCountersAfterRandomOperations(t *testing.T) {
	forEachDatabase(t, func(t *testing.T, s *Store) {
		seed := rand.Uint64()
		t.Logf("seed %d", seed)
		tenants := []*Tenant{s.newTenant(), s.newTenant()}
		var group sync.WaitGroup
		for worker := range uint64(6) {
			random := rand.New(rand.NewPCG(seed, worker))
			group.Go(func() { operate(t, tenants[worker%2], random, 80) })
		}
		group.Wait()
		for _, tenant := range tenants {
			page, err := tenant.Executions(t.Context(), ExecutionFilter{}, models.Page{})
			require.NoError(t, err)
			assert.EqualValues(t, rowsOf(t, tenant, "executions"), page.Total)
		}
	})
}

func operate(t *testing.T, tenant *Tenant, random *rand.Rand, operations int) {
	ctx := t.Context()
	var pipelines []models.Pipeline
	var executions []string
	tasks := []models.TaskRun{{Name: "a", Kind: models.TaskSource}, {Name: "b", Kind: models.TaskSink}}
	for range operations {
		var err error
		p := models.Pipeline{ID: models.NewID(models.PrefixPipeline), Name: string(rune('a' + random.IntN(20)))}
		if len(pipelines) > 0 {
			p = pipelines[random.IntN(len(pipelines))]
		}
		id := "exec-none"
		if len(executions) > 0 {
			id = executions[random.IntN(len(executions))]
		}
		run := tasks[random.IntN(2)]
		run.Attempts, run.RowsIn, run.BytesIn, run.StartedAt = 1+random.IntN(3), random.Int64N(100), random.Int64N(100), time.Now()
		switch random.IntN(10) {
		case 0:
			p.ID = models.NewID(models.PrefixPipeline)
			p.Name = string(rune('a' + random.IntN(20)))
			if p, err = tenant.CreatePipeline(ctx, p); err == nil {
				pipelines = append(pipelines, p)
			}
		case 1:
			_, err = tenant.UpdatePipeline(ctx, p.ID, PipelineUpdate{
				Status: []models.PipelineStatus{"", models.PipelineActive, models.PipelinePaused}[random.IntN(3)],
			})
		case 2:
			if random.IntN(5) == 0 {
				err = tenant.ArchivePipeline(ctx, p.ID, 0)
			}
		case 3, 4:
			e := execution(p, func(e *models.Execution) { e.MaxActiveRuns = 3 })
			if e, err = tenant.SubmitExecution(ctx, e); err == nil {
				executions = append(executions, e.ID)
				err = tenant.PlanExecution(ctx, e.ID, tasks)
			}
		case 5, 6:
			err = tenant.StartTask(ctx, id, run)
		case 7:
			run.State = []models.TaskState{models.TaskSucceeded, models.TaskFailed, models.TaskReused}[random.IntN(3)]
			err = tenant.FinishTask(ctx, id, run, []models.LogLine{{Message: "x"}})
		case 8:
			_, err = tenant.RequestCancel(ctx, id)
		case 9:
			ends := []models.ExecutionStatus{models.ExecutionCompleted, models.ExecutionFailed, models.ExecutionCancelled}
			_, err = tenant.FinishExecution(ctx, id, ExecutionEnd{Status: ends[random.IntN(3)]})
		}
		switch models.CodeOf(err) {
		case models.CodeInternal, models.CodeUnavailable, models.CodeInvalidTenant:
			assert.NoError(t, err)
		}
	}
}

func TestPostgresAwayAndBack(t *testing.T) {
	own, err := pgtest.Start()
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, own.Stop()) })
	ctx := t.Context()
	s := open(t, own.NewDatabase(t))
	tenant := s.newTenant()
	p := newPipeline(t, tenant)
	// Fill the pool, so that many dead connections wait in it.
	var group sync.WaitGroup
	for range postgresConns {
		group.Go(func() { assert.NoError(t, runToEnd(ctx, tenant, p)) })
	}
	group.Wait()

	require.NoError(t, own.Restart())
	require.NoError(t, runToEnd(ctx, tenant, p), "a crash between two requests is not noticed")
	_, err = tenant.Pipeline(ctx, p.ID)
	require.NoError(t, err)
	checkInvariants(t, s)

	require.NoError(t, own.Stop())
	_, err = tenant.Pipeline(ctx, p.ID)
	assertUnavailable(t, err)
	_, err = tenant.SubmitExecution(ctx, execution(p))
	assertUnavailable(t, err)
	assertUnavailable(t, s.Ping(ctx))
	assertUnavailable(t, s.CheckMigrated(ctx))
	_, err = Open(ctx, own.DSN("postgres"))
	assertUnavailable(t, err)
}

func assertUnavailable(tb testing.TB, err error) {
	tb.Helper()
	assertCode(tb, models.CodeUnavailable, err)
	var e *models.Error
	require.ErrorAs(tb, err, &e)
	assert.Positive(tb, e.RetryAfter)
	assert.NotContains(tb, e.Message, "127.0.0.1", "the cause is for the log")
}

func TestPostgresReadOnly(t *testing.T) {
	dsn := server.NewDatabase(t)
	writable := open(t, dsn)
	p := newPipeline(t, writable.newTenant())
	s, err := Open(t.Context(), dsn+"&default_transaction_read_only=on")
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, s.Close()) })
	tenant := s.ForTenant(p.Tenant)
	_, err = tenant.SubmitExecution(t.Context(), execution(p))
	assertUnavailable(t, err)
	_, err = tenant.Pipeline(t.Context(), p.ID)
	require.NoError(t, err, "what is there can be read")
}

func TestPostgresDeadlocksAreRepeated(t *testing.T) {
	s := open(t, server.NewDatabase(t))
	tenant := s.newTenant()
	ids := []string{newPipeline(t, tenant).ID, newPipeline(t, tenant).ID}
	var both sync.WaitGroup // each has locked its first row, once
	both.Add(2)
	var group sync.WaitGroup
	for i := range 2 {
		group.Go(func() {
			var once sync.Once
			err := s.write(t.Context(), func(ctx context.Context, tx bun.Tx) error {
				for j := range 2 {
					if _, err := tenant.lockPipeline(ctx, tx, ids[(i+j)%2]); err != nil {
						return err
					}
					once.Do(func() { both.Done(); both.Wait() })
				}
				return nil
			})
			assert.NoError(t, err)
		})
	}
	group.Wait()
}

func TestSQLiteIsBusyForLong(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	s := open(t, "sqlite:"+path)
	tenant := s.newTenant()
	p := newPipeline(t, tenant)

	other, err := sql.Open("sqlite", path)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, other.Close()) })
	other.SetMaxOpenConns(1)
	_, err = other.Exec("BEGIN EXCLUSIVE") // another process holds the lock
	require.NoError(t, err)
	_, err = tenant.Pipeline(t.Context(), p.ID)
	require.NoError(t, err, "readers do not wait for writers")
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, err = tenant.SubmitExecution(ctx, execution(p))
	require.ErrorIs(t, err, context.DeadlineExceeded)

	_, err = other.Exec("ROLLBACK")
	require.NoError(t, err)
	submit(t, tenant, p)
}

func TestErrorsOfCallersAreNotRetried(t *testing.T) {
	forEachDatabase(t, func(t *testing.T, s *Store) {
		calls := 0
		wrong := errors.New("wrong")
		err := s.write(t.Context(), func(context.Context, bun.Tx) error { calls++; return wrong })
		require.ErrorIs(t, err, wrong)
		assert.Equal(t, 1, calls)

		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err = s.newTenant().Pipeline(ctx, "pipeline-x")
		require.ErrorIs(t, err, context.Canceled)

		assert.Panics(t, func() {
			_ = s.write(t.Context(), func(context.Context, bun.Tx) error { panic("in a transaction") })
		})
		newPipeline(t, s.newTenant()) // the connection is not left in the transaction
	})
}
