package main

import (
	"net/http"

	enumspb "go.temporal.io/api/enums/v1"

	"github.com/matih/pipeline-service/cmd/internal/harness"
	"github.com/matih/pipeline-service/models/contract"
)

// gated executes a pipeline that waits at a gate and returns the execution and the id of the approval.
func (w *world) gated(name, at string, more m) (execution, approval string) {
	execution = w.execute(w.pipeline(name, more))
	w.awaitStatus(execution, "AWAITING_APPROVAL")
	return execution, contract.ApprovalID(execution, at)
}

func (w *world) decide(by *harness.Client, execution string, approved bool) {
	w.do("decide about "+execution, func() error {
		return by.JSON(w.ctx, http.MethodPost, "/v1/pipelines/workflows/"+execution+"/signal",
			m{"signalName": "approval", "data": m{"approved": approved, "reason": "looked at the rows"}}, http.StatusAccepted, nil)
	})
}

// approvals are ApprovalWorkflows, and the executions that wait for them.
func approvals(w *world) {
	pending := waiting(enumspb.EVENT_TYPE_TIMER_STARTED, 2)

	execution, approval := w.gated("approved", "positive", gate(m{"required": 2}))
	w.save("ExecutionWorkflow-awaiting-approval", execution, "", waiting(enumspb.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_STARTED, 1))
	w.save("ApprovalWorkflow-pending", approval, "", pending)
	w.decide(w.sam, execution, true)
	w.save("ApprovalWorkflow-approved-by-one-of-two", approval, "", waiting(enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_COMPLETED, 1))
	w.decide(w.rob, execution, true)
	w.awaitStatus(execution, "COMPLETED")
	w.save("ApprovalWorkflow-approved", approval, "", closed)
	w.save("ExecutionWorkflow-approved", execution, "", closed)

	execution, approval = w.gated("rejected", "positive", gate(m{}))
	w.decide(w.sam, execution, false)
	w.awaitStatus(execution, "CANCELLED")
	w.save("ApprovalWorkflow-rejected", approval, "", closed)
	w.save("ExecutionWorkflow-rejected", execution, "", closed)

	execution, approval = w.gated("expired", "positive", gate(m{"timeout": "4s"}))
	w.save("ApprovalWorkflow-reminded", approval, "", waiting(enumspb.EVENT_TYPE_TIMER_FIRED, 1))
	w.awaitStatus(execution, "CANCELLED")
	w.save("ApprovalWorkflow-expired", approval, "", closed)

	execution, approval = w.gated("given-up", "positive", gate(m{}))
	w.cancel(execution)
	w.awaitStatus(execution, "CANCELLED")
	w.save("ApprovalWorkflow-cancelled", approval, "", closed)
	w.save("ExecutionWorkflow-cancelled-awaiting-approval", execution, "", closed)

	// A sink that waits, and a plain signal to the execution, which hands it on.
	execution, approval = w.gated("published", "out", m{"orchestration": m{"approval": m{"before": []string{"out"}}}})
	w.save("ExecutionWorkflow-awaiting-publication", execution, "", waiting(enumspb.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_STARTED, 1))
	w.do("signal "+execution, func() error {
		yes := true
		return w.temporal.SignalWorkflow(w.ctx, execution, "", contract.ApprovalSignal, contract.Decision{Approved: &yes, ApprovedBy: "sam@example.com"})
	})
	w.awaitStatus(execution, "COMPLETED")
	w.save("ApprovalWorkflow-approved-by-signal", approval, "", closed)
	w.save("ExecutionWorkflow-published", execution, "", closed)
}
