package task

import (
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"go.temporal.io/sdk/activity"

	"github.com/matih/pipeline-service/activities/failure"
	"github.com/matih/pipeline-service/activities/openlineage"
	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/contract"
	"github.com/matih/pipeline-service/models/lineage"
	"github.com/matih/pipeline-service/models/store"
	protocol "github.com/matih/pipeline-service/models/task"
)

// flushEvery is how often a running task's log lines reach the store.
const flushEvery = time.Second

// recordTimeout bounds writing down how a task ended when its own context is gone.
const recordTimeout = 20 * time.Second

// attemptRun is one attempt of a task while it runs.
type attemptRun struct {
	tenant    *store.Tenant
	id        models.TenantID
	execution string
	log       *slog.Logger
	events    *openlineage.Emitter
	run       models.TaskRun
	// mask names the columns whose values nobody may see in findings; approve says that the task is a
	// check whose failure people decide about.
	mask    []string
	approve bool

	mu       sync.Mutex
	progress protocol.Progress
	lines    []models.LogLine // not in the store yet
}

// receive takes a message of the task process.
func (t *attemptRun) receive(m protocol.Message) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case m.Progress != nil:
		t.progress = *m.Progress
	case m.Log != nil:
		t.lines = append(t.lines, models.LogLine{Time: m.Log.Time, Level: m.Log.Level, Task: t.run.Name, Message: m.Log.Message})
	}
}

// watch sends heartbeats and hands log lines to the store until the task has ended.
func (t *attemptRun) watch(ctx context.Context, ended <-chan struct{}) {
	beat, flush := time.NewTicker(heartbeatEvery), time.NewTicker(flushEvery)
	defer beat.Stop()
	defer flush.Stop()
	for {
		select {
		case <-ended:
			return
		case <-beat.C:
			t.mu.Lock()
			progress := t.progress
			t.mu.Unlock()
			activity.RecordHeartbeat(ctx, progress)
		case <-flush.C:
			lines := t.takeLines()
			if len(lines) == 0 {
				continue
			}
			if err := t.tenant.AppendLogs(ctx, t.execution, lines); err != nil {
				t.giveBack(lines)
			}
		}
	}
}

func (t *attemptRun) takeLines() []models.LogLine {
	t.mu.Lock()
	defer t.mu.Unlock()
	lines := t.lines
	t.lines = nil
	return lines
}

func (t *attemptRun) giveBack(lines []models.LogLine) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lines = append(lines, t.lines...)
}

// succeed writes a task's success down. Until that is done the task has not succeeded: a retry
// finds what was published and reports it again.
func (t *attemptRun) succeed(ctx context.Context, output string, result *protocol.Result) (contract.RunTaskResult, error) {
	t.run.State, t.run.Output = models.TaskSucceeded, output
	t.run.Lineage, t.run.Usage = lineageOf(t.run.Kind, result), result.Usage
	t.count(result.Progress)
	out := contract.RunTaskResult{Rows: result.RowsOut}
	if check := result.Check; check != nil {
		t.run.Detail = t.checkDetail(check)
		if !check.Passed {
			out.Warning, out.NeedsApproval = check.Message, t.approve
		}
	}
	if err := t.tenant.FinishTask(ctx, t.execution, t.run, t.takeLines()); err != nil {
		if models.CodeOf(err) == models.CodeConflict {
			return out, failure.Final(&models.ExecutionError{Task: t.run.Name, Class: models.ClassInternal,
				Message: "a later attempt of the task runs"})
		}
		return out, err
	}
	t.events.TaskEnded(t.id, t.execution, t.run)
	return out, nil
}

// fail writes a task's failure down and returns it for the workflow. It is written even when the
// task was cancelled or its time is up.
func (t *attemptRun) fail(ctx context.Context, f *protocol.Failure) error {
	cancelled := ctx.Err() != nil && f.Class != models.ClassTimeout
	why := &models.ExecutionError{Task: t.run.Name, Class: f.Class, Message: f.Message}
	t.run.State, t.run.Error, t.run.Usage = models.TaskFailed, why, f.Usage
	if cancelled {
		t.run.State, t.run.Error = models.TaskCancelled, nil
	}
	t.mu.Lock()
	t.count(t.progress)
	t.mu.Unlock()
	if f.Check != nil {
		t.run.Detail = t.checkDetail(f.Check)
	}
	if f.Detail != "" {
		t.log.ErrorContext(ctx, "task failed", "execution", t.execution, "task", t.run.Name, "class", f.Class, "detail", f.Detail)
	}
	lines := t.takeLines()
	if !cancelled {
		lines = append(lines, models.LogLine{Time: time.Now(), Level: "ERROR", Task: t.run.Name, Message: f.Class + ": " + f.Message})
	}
	record, done := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
	defer done()
	if err := t.tenant.FinishTask(record, t.execution, t.run, lines); err != nil {
		t.log.WarnContext(ctx, "a task's failure was not recorded", "execution", t.execution, "task", t.run.Name, "error", err)
	} else {
		t.events.TaskEnded(t.id, t.execution, t.run)
	}
	switch {
	case cancelled:
		return ctx.Err()
	case f.Retry:
		return failure.Retryable(why)
	default:
		return failure.Final(why)
	}
}

func (t *attemptRun) count(p protocol.Progress) {
	t.run.RowsIn, t.run.RowsOut, t.run.BytesIn, t.run.BytesOut = p.RowsIn, p.RowsOut, p.BytesIn, p.BytesOut
	t.run.EndedAt = time.Now()
}

// lineageOf is what is kept of the columns of a step: of a source which there are, of a transformation also what they are made of.
// Names always marshal.
func lineageOf(kind models.TaskKind, result *protocol.Result) json.RawMessage {
	step := result.Lineage
	if kind == models.TaskSource {
		step = &lineage.Step{Columns: make([]lineage.Column, len(result.Columns))}
		for i, c := range result.Columns {
			step.Columns[i] = lineage.Column{Name: c.Name, Type: c.Type}
		}
	}
	if step == nil {
		return nil
	}
	text, err := json.Marshal(step)
	if err != nil {
		return nil
	}
	return text
}

// checkDetail is a check's finding as it is kept with the task. Text always marshals.
func (t *attemptRun) checkDetail(c *protocol.CheckResult) json.RawMessage {
	shown := *c
	shown.Sample = masked(c.Sample, t.mask)
	detail, err := json.Marshal(shown)
	if err != nil {
		return nil
	}
	return detail
}

// hidden stands for the values of masked columns.
const hidden = "***"

// masked hides columns of sampled rows. Columns are the same in any case, as in SQL.
func masked(rows []map[string]*string, columns []string) []map[string]*string {
	out := make([]map[string]*string, len(rows))
	for i, row := range rows {
		out[i] = make(map[string]*string, len(row))
		for name, value := range row {
			if slices.ContainsFunc(columns, func(c string) bool { return strings.EqualFold(c, name) }) {
				value = new(string)
				*value = hidden
			}
			out[i][name] = value
		}
	}
	return out
}
