package store

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/matih/pipeline-service/models"
)

// openAlerts returns a pipeline's unresolved alerts by rule.
func openAlerts(tb testing.TB, t *Tenant, pipeline string) map[models.AlertRule]models.Alert {
	tb.Helper()
	alerts, err := t.UnresolvedAlerts(tb.Context(), pipeline)
	require.NoError(tb, err)
	byRule := map[models.AlertRule]models.Alert{}
	for _, a := range alerts {
		byRule[a.Rule] = a
	}
	return byRule
}

func TestAFailureOpensAnAlertAndAGoodRunResolvesIt(t *testing.T) {
	forEachDatabase(t, func(t *testing.T, s *Store) {
		ctx, tenant := t.Context(), s.newTenant()
		p, other := newPipeline(t, tenant), newPipeline(t, tenant)
		fail := func() models.Execution {
			t.Helper()
			e, err := tenant.FinishExecution(ctx, submit(t, tenant, p).ID, ExecutionEnd{Status: models.ExecutionFailed,
				Error: &models.ExecutionError{Task: "raw", Class: models.ClassSource, Message: "the file is empty"}})
			require.NoError(t, err)
			return e
		}
		first := fail()
		second := fail()
		a := openAlerts(t, tenant, p.ID)[models.AlertExecutionFailed]
		assert.Equal(t, models.SeverityCritical, a.Severity)
		assert.EqualValues(t, 2, a.Count)
		assert.Equal(t, second.ID, a.Occurrence)
		assert.Equal(t, first.EndedAt, a.FirstSeen)
		assert.Contains(t, a.Message, "task raw")
		assert.Contains(t, a.Message, "the file is empty")

		finish(t, tenant, submit(t, tenant, p).ID, models.ExecutionCancelled)
		finish(t, tenant, submit(t, tenant, other).ID, models.ExecutionCompleted)
		assert.Len(t, openAlerts(t, tenant, p.ID), 1, "neither a cancelled run nor another pipeline's is a good run")
		good := finish(t, tenant, submit(t, tenant, p).ID, models.ExecutionCompleted)
		assert.Empty(t, openAlerts(t, tenant, p.ID))
		resolved, err := tenant.Alert(ctx, a.ID)
		require.NoError(t, err)
		assert.Equal(t, good.EndedAt, resolved.ResolvedAt)
	})
}

func TestFailedChecksOpenAnAlertAsUrgentAsTheWorst(t *testing.T) {
	forEachDatabase(t, func(t *testing.T, s *Store) {
		ctx, tenant := t.Context(), s.newTenant()
		p := newPipeline(t, tenant)
		end := func(checks ...FailedCheck) models.Execution {
			t.Helper()
			e, err := tenant.FinishExecution(ctx, submit(t, tenant, p).ID, ExecutionEnd{Status: models.ExecutionCompleted, Checks: checks})
			require.NoError(t, err)
			return e
		}
		end(FailedCheck{Name: "a", Severity: models.SeverityInfo, Message: "1 of 3"}, FailedCheck{Name: "b", Severity: models.SeverityWarning, Message: "2 of 3"})
		a := openAlerts(t, tenant, p.ID)[models.AlertQualityCheckFailed]
		assert.Equal(t, models.SeverityWarning, a.Severity)
		assert.Equal(t, "a: 1 of 3; b: 2 of 3", a.Message)
		e := end(FailedCheck{Name: "a", Severity: models.SeverityInfo, Message: "1 of 3"})
		a = openAlerts(t, tenant, p.ID)[models.AlertQualityCheckFailed]
		assert.Equal(t, []any{models.SeverityInfo, int64(2), e.ID}, []any{a.Severity, a.Count, a.Occurrence}, "it completed, but breaks the rule itself")
		end()
		assert.Empty(t, openAlerts(t, tenant, p.ID))
	})
}

func TestAnExecutionThatTakesLongIsToldOfOnce(t *testing.T) {
	forEachDatabase(t, func(t *testing.T, s *Store) {
		ctx, tenant := t.Context(), s.newTenant()
		p := newPipeline(t, tenant)
		now := time.Now()
		begin := func(most, ago time.Duration) models.Execution {
			t.Helper()
			e := submit(t, tenant, p)
			plan(t, tenant, e.ID, "raw")
			require.NoError(t, tenant.Watch(ctx, e.ID, Watch{MaxDuration: most}))
			require.NoError(t, tenant.StartTask(ctx, e.ID, models.TaskRun{Name: "raw", Attempts: 1, StartedAt: now.Add(-ago)}))
			require.NoError(t, tenant.Watch(ctx, e.ID, Watch{MaxDuration: most}), "again is harmless")
			return e
		}
		tell := func() (ids []string) {
			t.Helper()
			told, err := s.TellOverdue(ctx, now, 100)
			require.NoError(t, err)
			for _, ref := range told {
				ids = append(ids, ref.ID)
			}
			return ids
		}
		waits := submit(t, tenant, p)
		require.NoError(t, tenant.Watch(ctx, waits.ID, Watch{MaxDuration: time.Microsecond}))
		quick := begin(time.Hour, 30*time.Minute)
		assert.Empty(t, tell(), "one that has not started takes no time")
		late := begin(time.Hour, 61*time.Minute)
		assert.Equal(t, []string{late.ID}, tell())
		assert.Empty(t, tell())
		a := openAlerts(t, tenant, p.ID)[models.AlertSLAMissed]
		assert.Equal(t, []any{models.SeverityWarning, int64(1), late.ID}, []any{a.Severity, a.Count, a.Occurrence})
		assert.Contains(t, a.Message, "1h")

		done := func(e models.Execution, after time.Duration) {
			t.Helper()
			_, err := tenant.FinishExecution(ctx, e.ID, ExecutionEnd{Status: models.ExecutionCompleted, At: now.Add(after)})
			require.NoError(t, err)
		}
		done(late, time.Minute)
		assert.Equal(t, a, openAlerts(t, tenant, p.ID)[models.AlertSLAMissed], "its end neither counts again nor is good")
		done(quick, 31*time.Minute)
		assert.EqualValues(t, 2, openAlerts(t, tenant, p.ID)[models.AlertSLAMissed].Count, "one that no sweep has seen")
		done(begin(2*time.Hour, 59*time.Minute), 32*time.Minute)
		assert.Empty(t, openAlerts(t, tenant, p.ID))
	})
}

func TestAPipelineWithoutAGoodRunForLongIsStale(t *testing.T) {
	forEachDatabase(t, func(t *testing.T, s *Store) {
		ctx, tenant := t.Context(), s.newTenant()
		const day = 24 * time.Hour
		p := newPipeline(t, tenant, func(p *models.Pipeline) {
			p.Definition = []byte(`{"orchestration":{"sla":{"freshness":"1d"}}}`)
		})
		now := time.Now()
		tell := func(after time.Duration) int {
			t.Helper()
			n, err := s.TellStale(ctx, now.Add(after), 100)
			require.NoError(t, err)
			return n
		}
		update := func(u PipelineUpdate) {
			t.Helper()
			_, err := tenant.UpdatePipeline(ctx, p.ID, u)
			require.NoError(t, err)
		}
		assert.Zero(t, tell(100*day), "it is not ACTIVE yet")
		e := submit(t, tenant, p, func(e *models.Execution) { e.SubmittedAt = now })
		assert.Zero(t, tell(23*time.Hour), "it counts from when it became ACTIVE")
		assert.Equal(t, 1, tell(25*time.Hour))
		assert.Zero(t, tell(26*time.Hour), "it is told of once")
		a := openAlerts(t, tenant, p.ID)[models.AlertFreshness]
		assert.Equal(t, []any{models.SeverityCritical, int64(1)}, []any{a.Severity, a.Count})
		assert.Contains(t, a.Message, "24h")

		update(PipelineUpdate{})
		assert.Equal(t, 1, tell(26*time.Hour))
		assert.EqualValues(t, 1, openAlerts(t, tenant, p.ID)[models.AlertFreshness].Count, "a new version alone makes nothing worse")

		_, err := tenant.FinishExecution(ctx, e.ID, ExecutionEnd{Status: models.ExecutionCompleted, At: now.Add(27 * time.Hour)})
		require.NoError(t, err)
		assert.Empty(t, openAlerts(t, tenant, p.ID))
		assert.Zero(t, tell(50*time.Hour))
		assert.Equal(t, 1, tell(52*time.Hour))

		update(PipelineUpdate{Definition: []byte(`{"orchestration":{"sla":{"freshness":"3d"}}}`), Status: models.PipelinePaused})
		assert.Zero(t, tell(200*day), "one that is PAUSED promises nothing")
		update(PipelineUpdate{Status: models.PipelineActive})
		assert.Zero(t, tell(98*time.Hour))
		assert.Equal(t, 1, tell(100*time.Hour), "its last good run is as old as it is")
		assert.EqualValues(t, 2, openAlerts(t, tenant, p.ID)[models.AlertFreshness].Count)
		update(PipelineUpdate{Definition: []byte(`{}`)})
		assert.Zero(t, tell(200*day), "the promise was withdrawn")
		update(PipelineUpdate{Definition: []byte(`{"orchestration":{"sla":{"freshness":"1d"}}}`)})
		require.NoError(t, tenant.ArchivePipeline(ctx, p.ID, 0))
		assert.Zero(t, tell(200*day))
	})
}

func TestAReminderOpensAnAlertUntilTheGateCloses(t *testing.T) {
	forEachDatabase(t, func(t *testing.T, s *Store) {
		ctx, tenant := t.Context(), s.newTenant()
		p := newPipeline(t, tenant)
		e := submit(t, tenant, p)
		first, second, third := waiting(t, tenant, e, "first"), waiting(t, tenant, e, "second"), waiting(t, tenant, submit(t, tenant, p), "third")
		remind := func(a models.Approval) {
			t.Helper()
			require.NoError(t, tenant.StepApproval(ctx, ApprovalStep{ID: a.ID, Action: models.ActionReminded, Status: models.ApprovalPending}))
		}
		open := func() int64 { return openAlerts(t, tenant, p.ID)[models.AlertApprovalPending].Count }
		assert.Zero(t, open(), "a gate that waits is nothing unusual")
		remind(first)
		remind(first)
		assert.EqualValues(t, 1, open())
		remind(third)
		assert.EqualValues(t, 2, open())
		require.NoError(t, tenant.StepApproval(ctx, approved(second, "eve", models.ApprovalApproved)))
		require.NoError(t, tenant.StepApproval(ctx, approved(third, "eve", models.ApprovalApproved)))
		assert.EqualValues(t, 2, open(), "one still waits")
		finish(t, tenant, e.ID, models.ExecutionCancelled)
		assert.Zero(t, open(), "its execution's end closes a gate, too")
	})
}

func TestAnomaly(t *testing.T) {
	runs := func(n int, durations ...time.Duration) []time.Duration { return slices.Repeat(durations, n) }
	steady := runs(10, 60*time.Second)
	noisy := runs(5, 50*time.Second, 55*time.Second, 60*time.Second, 65*time.Second, 70*time.Second) // MAD 5 s
	for _, c := range []struct {
		name   string
		took   time.Duration
		before []time.Duration
		odd    bool
		slow   bool
	}{
		{"too few are known", time.Hour, steady[:9], false, false},
		{"as always", 60 * time.Second, steady, false, false},
		{"a little off what never varies", 70 * time.Second, steady, false, false},
		{"much slower than what never varies", 71 * time.Second, steady, true, true},
		{"much faster", 49 * time.Second, steady, true, false},
		{"within what varies", 85 * time.Second, noisy, false, false},
		{"beyond what varies", 87 * time.Second, noisy, true, true},
		{"an outlier before moves nothing", 71 * time.Second, append(runs(1, time.Hour, time.Second), steady...), true, true},
		{"nobody notices", 900 * time.Millisecond, runs(10, 10*time.Millisecond), false, false},
		{"from nothing", 1100 * time.Millisecond, runs(10, time.Duration(0)), true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			message, slow := anomaly(c.took, c.before)
			assert.Equal(t, c.odd, message != "", message)
			assert.Equal(t, c.slow, slow)
		})
	}
}

func TestUnusualDurationsOpenAnAlert(t *testing.T) {
	forEachDatabase(t, func(t *testing.T, s *Store) {
		tenant := s.newTenant()
		p := newPipeline(t, tenant)
		now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
		run := func(status models.ExecutionStatus, took time.Duration) {
			t.Helper()
			now = now.Add(24 * time.Hour)
			ran(t, tenant, p, status, now, took)
		}
		for i := range 10 {
			run(models.ExecutionCompleted, time.Minute+time.Duration(i)*time.Second)
			run(models.ExecutionFailed, time.Hour) // says nothing of good runs
			assert.NotContains(t, openAlerts(t, tenant, p.ID), models.AlertDurationAnomaly)
		}
		run(models.ExecutionFailed, time.Second)
		assert.NotContains(t, openAlerts(t, tenant, p.ID), models.AlertDurationAnomaly, "that it failed is the news")
		run(models.ExecutionCompleted, 10*time.Minute)
		a := openAlerts(t, tenant, p.ID)[models.AlertDurationAnomaly]
		assert.Equal(t, models.SeverityWarning, a.Severity)
		assert.Contains(t, a.Message, "10m0s, much longer than usual: the last 10 good runs took 1m4.5s")
		run(models.ExecutionCompleted, 5*time.Second)
		a = openAlerts(t, tenant, p.ID)[models.AlertDurationAnomaly]
		assert.Equal(t, []any{models.SeverityInfo, int64(2)}, []any{a.Severity, a.Count})
		run(models.ExecutionCompleted, time.Minute)
		assert.Empty(t, openAlerts(t, tenant, p.ID))

		// A re-run does a part of the work, an execution that waited for people took their time.
		again := ran(t, tenant, p, models.ExecutionCompleted, now.Add(time.Hour), time.Minute)
		e, err := rerunThatTook(t, tenant, again, 2*time.Hour)
		require.NoError(t, err)
		assert.Empty(t, openAlerts(t, tenant, p.ID), e.ID)
		gated := submit(t, tenant, p)
		plan(t, tenant, gated.ID, "raw")
		require.NoError(t, tenant.StartTask(t.Context(), gated.ID, models.TaskRun{Name: "raw", Attempts: 1, StartedAt: now}))
		require.NoError(t, tenant.StepApproval(t.Context(), approved(waiting(t, tenant, gated, "gate"), "eve", models.ApprovalApproved)))
		_, err = tenant.FinishExecution(t.Context(), gated.ID, ExecutionEnd{Status: models.ExecutionCompleted, At: now.Add(5 * time.Hour)})
		require.NoError(t, err)
		assert.Empty(t, openAlerts(t, tenant, p.ID), "it waited for people")
	})
}

func rerunThatTook(t *testing.T, tenant *Tenant, old models.Execution, took time.Duration) (models.Execution, error) {
	t.Helper()
	e, err := tenant.SubmitRerun(t.Context(), execution(models.Pipeline{ID: old.PipelineID, Version: old.Version}, func(e *models.Execution) {
		e.RerunOf, e.Trigger = old.ID, models.TriggerRerun
	}), []models.TaskRun{{Name: "raw", Kind: models.TaskSource, State: models.TaskPending}}, nil)
	require.NoError(t, err)
	require.NoError(t, tenant.StartTask(t.Context(), e.ID, models.TaskRun{Name: "raw", Attempts: 1, StartedAt: old.EndedAt}))
	return tenant.FinishExecution(t.Context(), e.ID, ExecutionEnd{Status: models.ExecutionCompleted, At: old.EndedAt.Add(took)})
}

// Executions of one pipeline that end at once do not wait for each other for ever, whatever they break and mend.
func TestVerdictsAtOnce(t *testing.T) {
	forEachDatabase(t, func(t *testing.T, s *Store) {
		ctx, tenant := t.Context(), s.newTenant()
		p := newPipeline(t, tenant)
		ends := make(chan error)
		ids := make([]string, 24)
		for i := range ids {
			ids[i] = submit(t, tenant, p).ID
		}
		for i, id := range ids {
			go func() {
				end := ExecutionEnd{Status: []models.ExecutionStatus{models.ExecutionCompleted, models.ExecutionFailed}[i%2]}
				if i%3 == 0 {
					end.Checks = []FailedCheck{{Name: fmt.Sprint("check", i), Severity: models.SeverityWarning}}
				}
				_, err := tenant.FinishExecution(ctx, id, end)
				ends <- err
			}()
		}
		for range ids {
			assert.NoError(t, <-ends)
		}
		finish(t, tenant, submit(t, tenant, p).ID, models.ExecutionCompleted)
		assert.Empty(t, openAlerts(t, tenant, p.ID))
	})
}
