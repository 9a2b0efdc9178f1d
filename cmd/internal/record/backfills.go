package main

import (
	"context"
	"net/http"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
)

// firstDue is the first due time of every backfill.
var firstDue = time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC)

// backfill begins a backfill of three days, unless more says otherwise.
func (w *world) backfill(pipeline string, more m) string {
	var made struct{ BackfillID string }
	w.call(http.MethodPost, "/"+pipeline+"/backfills",
		with(m{"from": firstDue, "to": firstDue.AddDate(0, 0, 3), "cron": "30 6 * * *"}, more), http.StatusAccepted, &made)
	return made.BackfillID
}

func (w *world) control(backfill, action string) {
	w.call(http.MethodPost, "/backfills/"+backfill+"/"+action, nil, http.StatusAccepted, nil)
}

func (w *world) awaitBackfill(id, status string) {
	w.until(id+" to be "+status, func(ctx context.Context) (bool, error) {
		var b struct{ Status string }
		err := w.ada.JSON(ctx, http.MethodGet, "/v1/pipelines/backfills/"+id, nil, http.StatusOK, &b)
		return b.Status == status, err
	})
}

// backfills are BackfillWorkflows.
func backfills(w *world) {
	const updated, begun = enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_COMPLETED, enumspb.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_STARTED

	// Executions that wait at a gate keep backfills where they are.
	gates := w.pipeline("filled-gates", with(gate(m{}), nil))
	id := w.backfill(gates, nil)
	w.save("BackfillWorkflow-running", id, "", waiting(begun, 1))
	w.control(id, "pause")
	w.save("BackfillWorkflow-paused", id, "", waiting(updated, 1))
	w.control(id, "resume")
	w.save("BackfillWorkflow-resumed", id, "", waiting(updated, 2))
	w.control(id, "cancel")
	w.awaitBackfill(id, "CANCELLED")
	w.save("BackfillWorkflow-cancelled", id, "", closed)

	occupant := w.execute(gates)
	w.awaitStatus(occupant, "AWAITING_APPROVAL")
	id = w.backfill(gates, m{"maxParallel": 2})
	w.save("BackfillWorkflow-busy", id, "", waiting(enumspb.EVENT_TYPE_TIMER_STARTED, 2))
	w.do("cancel "+id, func() error { return w.temporal.CancelWorkflow(w.ctx, id, "") })
	w.save("BackfillWorkflow-cancelled-by-temporal", id, "", closed)
	w.cancel(occupant)

	fine := w.pipeline("filled", m{
		"quality_checks": []m{{"name": "positive", "type": "range", "input": "raw", "column": "amount", "min": 0, "on_failure": "fail"}},
		"orchestration":  m{"max_active_runs": 2, "retry_policy": m{"max_attempts": 1}},
	})
	id = w.backfill(fine, m{"maxParallel": 2})
	w.awaitBackfill(id, "FAILED")
	w.save("BackfillWorkflow-failed", id, "", closed)
	w.file("filled/in/rows.csv", "id,amount\n1,10\n")
	w.control(id, "retry")
	w.awaitBackfill(id, "COMPLETED")
	w.save("BackfillWorkflow-completed-by-retry", id, "", closed)

	// A pipeline that cannot be executed pauses it. The first execution is under way by then.
	halted := w.pipeline("filled-halted", gate(m{}))
	id = w.backfill(halted, m{"to": firstDue.AddDate(0, 0, 2)})
	w.save("BackfillWorkflow-first-running", id, "", waiting(begun, 1))
	w.setStatus(halted, "PAUSED")
	w.decideAll(true)
	w.awaitBackfill(id, "PAUSED")
	w.save("BackfillWorkflow-paused-by-refusal", id, "", waiting(enumspb.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_COMPLETED, 1))
	w.setStatus(halted, "ACTIVE")
	w.control(id, "resume")
	w.save("BackfillWorkflow-running-after-refusal", id, "", waiting(begun, 2))
	w.decideAll(true)
	w.awaitBackfill(id, "COMPLETED")
	w.save("BackfillWorkflow-completed", id, "", closed)
}

// decideAll waits until approvals are pending and decides about them.
func (w *world) decideAll(approved bool) {
	var list struct {
		Approvals []struct{ ExecutionID string }
	}
	w.until("pending approvals", func(ctx context.Context) (bool, error) {
		err := w.ada.JSON(ctx, http.MethodGet, "/v1/pipelines/approvals?status=PENDING", nil, http.StatusOK, &list)
		return len(list.Approvals) > 0, err
	})
	for _, a := range list.Approvals {
		w.decide(w.sam, a.ExecutionID, approved)
	}
}
