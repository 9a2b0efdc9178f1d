package main

import (
	"fmt"
	"net/http"
	"time"

	enumspb "go.temporal.io/api/enums/v1"

	"github.com/matih/pipeline-service/cmd/internal/harness"
	"github.com/matih/pipeline-service/models/contract"
)

// endless is a transformation that never ends by itself.
var endless = m{"transformations": []m{{"name": "forever", "type": "sql_transform", "input": "raw",
	"sql": "select count(*) as n from range(10000000) a, range(10000000) b, raw"}}}

// gate is a check whose failure, or with a finding in the rows of pipeline, somebody decides about.
func gate(approval m) m {
	return m{
		"quality_checks": []m{{"name": "positive", "type": "range", "input": "raw", "column": "amount", "min": 0, "on_failure": "approve"}},
		"orchestration":  m{"approval": approval},
	}
}

// endlessly executes a pipeline that does not end and waits until it is at that.
func (w *world) endlessly(name string, more m) (execution string) {
	execution = w.execute(w.pipeline(name, with(endless, more)))
	w.awaitExecution(execution, "at its task", func(e harness.Execution) bool { return e.Progress.CurrentTask == "forever" })
	return execution
}

func (w *world) cancel(execution string) {
	w.call(http.MethodPost, "/executions/"+execution+"/cancel", nil, http.StatusAccepted, nil)
}

// executions are ExecutionWorkflows without gates.
func executions(w *world) {
	fine := w.execute(w.pipeline("fine", m{
		"transformations": []m{{"name": "twice", "type": "sql_transform", "input": "raw", "sql": "select id, amount * 2 as amount from raw"}},
		"quality_checks":  []m{{"name": "some", "type": "row_count", "input": "twice", "min": 1}},
	}))
	w.awaitStatus(fine, "COMPLETED")
	w.save("ExecutionWorkflow-completed", fine, "", closed)

	var again struct{ ExecutionID string }
	w.call(http.MethodPost, "/executions/"+fine+"/rerun", m{"from": "task", "task": "out"}, http.StatusAccepted, &again)
	w.awaitStatus(again.ExecutionID, "COMPLETED")
	w.save("ExecutionWorkflow-completed-with-reused-tasks", again.ExecutionID, "", closed)

	broken := w.execute(w.pipeline("broken", m{
		"transformations": []m{{"name": "wrong", "type": "sql_transform", "input": "raw", "sql": "select error('broken') as x from raw"}},
		"orchestration":   m{"retry_policy": m{"max_attempts": 2, "initial_interval": "100ms"}},
	}))
	w.awaitStatus(broken, "FAILED")
	w.save("ExecutionWorkflow-failed", broken, "", closed)

	late := w.execute(w.pipeline("late", with(endless, m{"orchestration": m{"timeout": "3s"}})))
	w.awaitStatus(late, "FAILED")
	w.save("ExecutionWorkflow-timed-out", late, "", closed)
}

// cancellations are CancellationWorkflows, and what becomes of the executions.
func cancellations(w *world) {
	execution := w.endlessly("endless", nil)
	w.save("ExecutionWorkflow-running", execution, "", waiting(enumspb.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED, 2))
	w.cancel(execution)
	w.save("CancellationWorkflow-waiting", contract.CancellationPrefix+execution, "", waiting(enumspb.EVENT_TYPE_TIMER_STARTED, 1))
	w.awaitStatus(execution, "CANCELLED")
	w.save("ExecutionWorkflow-cancelled", execution, "", closed)
	w.save("CancellationWorkflow-ended", contract.CancellationPrefix+execution, "", closed)

	// One whose grace is over at once.
	hasty := w.endlessly("hasty", nil)
	w.do("cancel "+hasty, func() error {
		_, err := w.temporal.ExecuteWorkflow(w.ctx, contract.CancellationOptions(tenant, hasty), contract.CancellationWorkflow,
			contract.CancellationInput{Tenant: tenant, ExecutionID: hasty, Grace: time.Millisecond})
		return err
	})
	w.awaitStatus(hasty, "CANCELLED")
	w.save("CancellationWorkflow-forced", contract.CancellationPrefix+hasty, "", closed)

	// One whose execution has no workflow any more, which takes the whole grace to find out.
	gone := w.endlessly("gone", nil)
	w.do("terminate "+gone, func() error { return w.temporal.TerminateWorkflow(w.ctx, gone, "", "to be cancelled without") })
	w.cancel(gone)
	w.awaitStatus(gone, "CANCELLED")
	w.save("CancellationWorkflow-forced-after-grace", contract.CancellationPrefix+gone, "", closed)
}

// longTasks is how many tasks fill the history of an execution until it continues as new: about six events each.
const longTasks = 750

// longs are workflows that take long: an execution and a backfill that continue as new.
type longs struct{ execution, executionRun, backfill, backfillRun string }

func (w *world) beginLong() longs {
	checks := make([]m, longTasks)
	for i := range checks {
		checks[i] = m{"name": fmt.Sprintf("c%03d", i), "type": "row_count", "input": "raw", "min": 1}
	}
	var l longs
	l.execution = w.execute(w.pipeline("long", m{"quality_checks": checks, "orchestration": m{"max_parallel_tasks": 2}}))
	l.executionRun = w.run(l.execution)
	l.backfill = w.backfill(w.pipeline("longer", m{"orchestration": m{"max_active_runs": 2}}), m{
		"cron": "*/10 * * * *", "to": firstDue.Add(400 * 10 * time.Minute), "maxParallel": 2,
	})
	l.backfillRun = w.run(l.backfill)
	return l
}

func (w *world) endLong(l longs) {
	w.ended(l.execution, l.executionRun)
	w.save("ExecutionWorkflow-continued-as-new", l.execution, l.executionRun, closed)
	w.ended(l.backfill, l.backfillRun)
	w.save("BackfillWorkflow-continued-as-new", l.backfill, l.backfillRun, closed)
	w.control(l.backfill, "cancel")
	w.ended(l.backfill, "")
	w.save("BackfillWorkflow-cancelled-after-continuing", l.backfill, "", closed)
	w.ended(l.execution, "")
	w.save("ExecutionWorkflow-completed-after-continuing", l.execution, "", closed)
}
