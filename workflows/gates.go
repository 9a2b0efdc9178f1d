package workflows

import (
	"fmt"
	"slices"
	"strings"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/contract"
)

// gates are the approvals an execution waits for.
type gates struct {
	waiting  []string     // names, in the order they came
	approved map[int]bool // the sinks that may be published, by index in the plan
}

func newGates(tasks []contract.PlannedTask, approved []string) gates {
	g := gates{approved: map[int]bool{}}
	for i, t := range tasks {
		if slices.Contains(approved, t.Name) {
			g.approved[i] = true
		}
	}
	return g
}

// names of the sinks that were approved, in the plan's order.
func (g *gates) names(tasks []contract.PlannedTask) []string {
	var names []string
	for i, t := range tasks {
		if g.approved[i] {
			names = append(names, t.Name)
		}
	}
	return names
}

// openGate starts the approval of a task that is held back. Once it is approved, release is called;
// anything else ends the execution.
func (e *execution) openGate(ctx workflow.Context, i int, finding string, release func(int)) {
	e.graph.hold(i)
	in := contract.ApprovalInput{
		Tenant: e.in.Tenant, ExecutionID: e.in.ExecutionID, PipelineID: e.plan.PipelineID, Gate: e.plan.Tasks[i].Name,
		Finding: finding, SubmittedBy: e.plan.SubmittedBy, Policy: e.plan.Approval,
	}
	e.gates.waiting = append(e.gates.waiting, in.Gate)
	e.gatesChanged(ctx)
	approval := workflow.ExecuteChildWorkflow(withApprovalPolicy(ctx, e.plan, in), contract.ApprovalWorkflow, in)
	e.selector.AddFuture(approval, func(f workflow.Future) {
		var result contract.ApprovalResult
		err := f.Get(ctx, &result)
		e.gates.waiting = slices.DeleteFunc(e.gates.waiting, func(gate string) bool { return gate == in.Gate })
		if err == nil && result.Status == models.ApprovalApproved {
			release(i)
		} else {
			e.graph.drop(i)
			e.refuse(ctx, in.Gate, result, err)
		}
		e.gatesChanged(ctx)
	})
}

// refuse ends the execution because a gate stays closed, unless it ends anyway.
func (e *execution) refuse(ctx workflow.Context, gate string, result contract.ApprovalResult, err error) {
	switch {
	case ctx.Err() != nil:
		return
	case result.Status == models.ApprovalRejected:
		e.rejection = fmt.Sprintf("gate %s %s", gate, result.Reason)
	case err == nil || temporal.IsCanceledError(err):
		e.rejection = fmt.Sprintf("gate %s: its approval was cancelled", gate)
	default:
		e.failure = &models.ExecutionError{Task: gate, Class: models.ClassInternal,
			Message: "the approval of this gate ended without a decision"}
	}
	e.stop()
}

// gatesChanged lets the timeout stand still while approvals are awaited, and tells operators.
func (e *execution) gatesChanged(ctx workflow.Context) {
	switch {
	case ctx.Err() != nil: // it ends
	case len(e.gates.waiting) > 0:
		e.clock.pause(ctx)
		e.setStatus(ctx, models.ExecutionAwaitingApproval)
	default:
		e.clock.run(ctx)
		e.setStatus(ctx, models.ExecutionRunning)
	}
}

// signalled hands a plain signal on to the gate that it means; where none or several may be meant it is
// dropped, and the log says so.
func (e *execution) signalled(ctx workflow.Context, d contract.Decision) {
	gate := d.Gate
	if gate == "" && len(e.gates.waiting) == 1 {
		gate = e.gates.waiting[0]
	}
	if !slices.Contains(e.gates.waiting, gate) {
		workflow.GetLogger(ctx).Warn("a signalled decision is for no gate that waits", "by", d.ApprovedBy, "gate", d.Gate,
			"waiting", strings.Join(e.gates.waiting, ","))
		return
	}
	sent := workflow.SignalExternalWorkflow(ctx, contract.ApprovalID(e.in.ExecutionID, gate), "", contract.ApprovalSignal, d)
	e.selector.AddFuture(sent, func(f workflow.Future) {
		if err := f.Get(ctx, nil); err != nil {
			workflow.GetLogger(ctx).Warn("a signalled decision was not handed on", "gate", gate, "error", err)
		}
	})
}
