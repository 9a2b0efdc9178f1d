package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/matih/pipeline-service/cmd/internal/harness"
)

// scheduleView is a schedule as the API shows it.
type scheduleView struct {
	ScheduleID     string
	NextDueTimes   []time.Time
	RecentDueTimes []struct {
		DueAt                                time.Time
		Outcome, ExecutionID, Status, Reason string
	}
}

func (w *world) createSchedule(pipeline string, more m) string {
	w.t.Helper()
	body := m{"pipelineId": pipeline, "cronExpression": "* * * * *"}
	for k, v := range more {
		body[k] = v
	}
	var s scheduleView
	require.NoError(w.t, w.JSON(w.ctx, http.MethodPost, "/v1/pipelines/schedules", body, http.StatusCreated, &s))
	return s.ScheduleID
}

func (w *world) getSchedule(id string) scheduleView {
	w.t.Helper()
	var s scheduleView
	require.NoError(w.t, w.JSON(w.ctx, http.MethodGet, "/v1/pipelines/schedules/"+id, nil, http.StatusOK, &s))
	return s
}

// awaitDue waits until a schedule has a due time that passes.
func (w *world) awaitDue(id string, passes func(outcome, status string) bool) scheduleView {
	w.t.Helper()
	var s scheduleView
	require.NoError(w.t, harness.Until(w.ctx, func() (bool, error) {
		s = w.getSchedule(id)
		for _, d := range s.RecentDueTimes {
			if passes(d.Outcome, d.Status) {
				return true, nil
			}
		}
		return false, nil
	}))
	return s
}

// stamped publishes, below its name, the time that each of its executions stands for.
func (w *world) stamped(name string, orchestration m) string {
	w.t.Helper()
	w.file("stamped/rows.csv", "id,amount\n1,10\n")
	return w.pipeline(name, m{
		"sources": m{"raw": m{"type": "cloud_storage", "connection": "files", "prefix": "stamped/", "format": "csv"}},
		"transformations": []m{{"name": "stamp", "type": "sql_transform", "input": "raw",
			"sql": "select strftime(${execution_date}, '%Y-%m-%dT%H:%M:%SZ') as stamp, id from {{ input }}"}},
		"sinks":         m{"out": m{"type": "cloud_storage", "connection": "files", "prefix": name + "/", "format": "csv", "mode": "append"}},
		"orchestration": orchestration,
	})
}

// stamps are the times that a stamped pipeline has published, one a file.
func (w *world) stamps(name string) []string {
	w.t.Helper()
	var all []string
	for _, file := range w.published(name) {
		lines := strings.Split(strings.TrimSpace(w.readFile(name+"/"+file)), "\n")
		for _, line := range lines[1:] {
			stamp, _, _ := strings.Cut(line, ",")
			all = append(all, stamp)
		}
	}
	return all
}

// Schedules execute at their due times, which their executions stand for, tell when they could not, and outlive a kill.
func TestSchedules(t *testing.T) {
	w := newWorld(t)
	due := w.createSchedule(w.stamped("due", m{}), nil)
	paused := w.stamped("paused", m{})
	refused := w.createSchedule(paused, nil)
	w.setStatus(paused, "PAUSED")
	off := w.createSchedule(w.stamped("off", m{}), m{"enabled": false, "note": "not yet"})
	gone := w.stamped("gone", m{})
	goneSchedule := w.createSchedule(gone, nil)
	require.NoError(t, w.JSON(w.ctx, http.MethodDelete, "/v1/pipelines/"+gone, nil, http.StatusNoContent, nil))
	replaced := w.gated("replaced", m{"timeout": "1h"})
	w.setOrchestration(replaced, m{"max_active_runs": 2, "approval": m{"timeout": "1h"}})
	replacing := w.createSchedule(replaced, m{"overlapPolicy": "cancel_other"})

	w.Kill()
	w.restart()

	got := w.awaitDue(due, func(_, status string) bool { return status == "COMPLETED" })
	assert.Len(t, got.NextDueTimes, 5)
	first := got.RecentDueTimes[len(got.RecentDueTimes)-1]
	assert.Contains(t, w.stamps("due"), first.DueAt.UTC().Format("2006-01-02T15:04:05Z"))
	execution, err := w.Execution(w.ctx, first.ExecutionID)
	require.NoError(t, err)
	assert.Equal(t, "COMPLETED", execution.Status)

	said := w.awaitDue(refused, func(outcome, _ string) bool { return outcome == "REFUSED" })
	assert.Contains(t, said.RecentDueTimes[0].Reason, "paused")

	// The execution of one due time waits for an approval; that of the next takes its place.
	w.awaitDue(replacing, func(_, status string) bool { return status == "AWAITING_APPROVAL" })
	w.awaitDue(replacing, func(_, status string) bool { return status == "CANCELLED" })
	w.awaitDue(replacing, func(_, status string) bool { return status == "AWAITING_APPROVAL" })

	assert.Empty(t, w.getSchedule(off).RecentDueTimes)
	assert.Empty(t, w.published("off"))
	assert.Empty(t, w.published("gone"))
	answer, err := w.Do(w.ctx, http.MethodGet, "/v1/pipelines/schedules/"+goneSchedule, nil)
	require.NoError(t, err)
	assert.Equal(t, http.StatusNotFound, answer.Status)

	var triggered harness.Execution
	require.NoError(t, w.JSON(w.ctx, http.MethodPost, "/v1/pipelines/schedules/"+off+"/trigger", nil, http.StatusAccepted, &triggered))
	w.awaitStatus(triggered.ExecutionID, "COMPLETED")
	for _, stamps := range [][]string{w.stamps("due"), w.stamps("off")} {
		seen := map[string]bool{}
		for _, s := range stamps {
			assert.False(t, seen[s], "%s was published twice", s)
			seen[s] = true
		}
	}
}

// setStatus pauses a pipeline or makes it active again.
func (w *world) setStatus(pipeline, status string) {
	w.t.Helper()
	w.change(pipeline, func(doc m) { doc["status"] = status })
}

// setOrchestration replaces a pipeline's orchestration.
func (w *world) setOrchestration(pipeline string, orchestration m) {
	w.t.Helper()
	w.change(pipeline, func(doc m) { doc["definition"].(m)["orchestration"] = orchestration })
}

func (w *world) change(pipeline string, edit func(doc m)) {
	w.t.Helper()
	var now m
	require.NoError(w.t, w.JSON(w.ctx, http.MethodGet, "/v1/pipelines/"+pipeline, nil, http.StatusOK, &now))
	doc := m{"name": now["name"], "definition": now["definition"]}
	edit(doc)
	require.NoError(w.t, w.JSON(w.ctx, http.MethodPut, "/v1/pipelines/"+pipeline, doc, http.StatusOK, nil))
}

// backfillView is a backfill as the API shows it.
type backfillView struct {
	BackfillID, Status, StatusReason string
	Attempt, TotalDueTimes           int
	Progress                         struct{ Completed, Failed, Cancelled, Running, Waiting int }
}

func (w *world) createBackfill(pipeline string, days int, more m) string {
	w.t.Helper()
	from := time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC)
	body := m{"from": from, "to": from.AddDate(0, 0, days), "cron": "30 6 * * *"}
	for k, v := range more {
		body[k] = v
	}
	var b backfillView
	require.NoError(w.t, w.JSON(w.ctx, http.MethodPost, "/v1/pipelines/"+pipeline+"/backfills", body, http.StatusAccepted, &b))
	return b.BackfillID
}

func (w *world) awaitBackfill(id string, passes func(backfillView) bool) backfillView {
	w.t.Helper()
	var b backfillView
	require.NoError(w.t, harness.Until(w.ctx, func() (bool, error) {
		err := w.JSON(w.ctx, http.MethodGet, "/v1/pipelines/backfills/"+id, nil, http.StatusOK, &b)
		return err == nil && passes(b), err
	}))
	return b
}

func (w *world) controlBackfill(id, action string) backfillView {
	w.t.Helper()
	var b backfillView
	require.NoError(w.t, w.JSON(w.ctx, http.MethodPost, "/v1/pipelines/backfills/"+id+"/"+action, nil, http.StatusAccepted, &b))
	return b
}

// A backfill executes every due time once, through a pause, a kill and executions that fail, which it retries alone.
func TestBackfill(t *testing.T) {
	const days = 12
	w := newWorld(t)
	pipeline := w.stamped("days", m{"max_active_runs": 3, "retry_policy": m{"max_attempts": 1}})
	w.change(pipeline, func(doc m) {
		// The fifth fails until the file of flaws is empty.
		doc["definition"].(m)["sources"].(m)["flaws"] = m{"type": "cloud_storage", "connection": "files", "prefix": "flaws/", "format": "csv", "schema": m{"day": "date"}}
		doc["definition"].(m)["quality_checks"] = []m{{"name": "flawless", "type": "custom_sql", "input": "stamp", "on_failure": "fail",
			"sql": "select * from stamp where false"}}
		doc["definition"].(m)["transformations"] = append(doc["definition"].(m)["transformations"].([]any), m{
			"name": "spoilt", "type": "sql_transform", "inputs": []string{"stamp", "flaws"},
			"sql": "select stamp.* from stamp where case when exists (select 1 from flaws where day = cast(${execution_date} as date)) then error('spoilt') else true end"})
		doc["definition"].(m)["sinks"].(m)["out"].(m)["input"] = "spoilt"
	})
	w.file("flaws/days.csv", "day\n2026-02-05\n")
	id := w.createBackfill(pipeline, days, m{"maxParallel": 3})

	assert.Equal(t, "PAUSED", w.controlBackfill(id, "pause").Status)
	paused := w.awaitBackfill(id, func(b backfillView) bool { return b.Progress.Running == 0 })
	assert.Positive(t, paused.Progress.Waiting)
	assert.Contains(t, paused.StatusReason, "paused by ada@example.com")
	assert.Equal(t, "RUNNING", w.controlBackfill(id, "resume").Status)
	w.awaitBackfill(id, func(b backfillView) bool { return b.Progress.Completed >= 5 })
	w.Kill()
	w.restart()

	ended := w.awaitBackfill(id, func(b backfillView) bool { return b.Status == "FAILED" })
	assert.Equal(t, days-1, ended.Progress.Completed, "%+v", ended)
	assert.Equal(t, 1, ended.Progress.Failed)
	w.file("flaws/days.csv", "day\n")
	assert.Equal(t, 2, w.controlBackfill(id, "retry").Attempt)
	ended = w.awaitBackfill(id, func(b backfillView) bool { return b.Status != "RUNNING" })
	assert.Equal(t, "COMPLETED", ended.Status, "%+v", ended)
	assert.Equal(t, days, ended.Progress.Completed)

	var want []string
	for day := 1; day <= days; day++ {
		want = append(want, fmt.Sprintf("2026-02-%02dT06:30:00Z", day))
	}
	assert.ElementsMatch(t, want, w.stamps("days"), "every due time once")
	var made struct{ Total int }
	require.NoError(t, w.JSON(w.ctx, http.MethodGet, "/v1/pipelines/executions?backfillId="+id, nil, http.StatusOK, &made))
	assert.Equal(t, days+1, made.Total, "and one that failed")
	answer, err := w.Do(w.ctx, http.MethodPost, "/v1/pipelines/backfills/"+id+"/cancel", nil)
	require.NoError(t, err)
	assert.Equal(t, http.StatusConflict, answer.Status)

	// A cancelled one cancels what runs, and a paused pipeline pauses it until somebody resumes it.
	gated := w.gated("gates", m{"timeout": "1h"})
	cancelled := w.createBackfill(gated, 3, nil)
	w.awaitBackfill(cancelled, func(b backfillView) bool { return b.Progress.Running == 1 })
	w.controlBackfill(cancelled, "cancel")
	ended = w.awaitBackfill(cancelled, func(b backfillView) bool { return b.Status == "CANCELLED" })
	assert.Equal(t, 1, ended.Progress.Cancelled)
	assert.Contains(t, ended.StatusReason, "cancelled by ada@example.com")
	halted := w.createBackfill(pipeline, 2, m{"parameters": m{}})
	w.setStatus(pipeline, "PAUSED")
	b := w.awaitBackfill(halted, func(b backfillView) bool { return b.Status == "PAUSED" || b.Status == "COMPLETED" })
	if b.Status == "PAUSED" {
		assert.Contains(t, b.StatusReason, "the pipeline is paused")
		w.setStatus(pipeline, "ACTIVE")
		w.controlBackfill(halted, "resume")
		w.awaitBackfill(halted, func(b backfillView) bool { return b.Status == "COMPLETED" })
	}
}
