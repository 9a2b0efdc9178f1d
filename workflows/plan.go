package workflows

import (
	"fmt"

	"go.temporal.io/sdk/workflow"

	"github.com/matih/pipeline-service/models/contract"
)

// Plan has every step of a definition looked at, each after those it reads, as far as the time goes. What was found
// is in the store; a step about which nothing is there had no turn. In the end nothing is left staged.
func Plan(ctx workflow.Context, in contract.PlanInput) (contract.PlanResult, error) {
	p := &planning{in: in}
	err := p.run(ctx)
	own, release := workflow.NewDisconnectedContext(ctx)
	defer release()
	endErr := workflow.ExecuteLocalActivity(withRecordPolicy(own, "remove samples"), contract.EndPlanActivity, in).Get(own, nil)
	if err == nil {
		err = endErr
	}
	return contract.PlanResult{Inspected: p.inspected}, err
}

// planning is the state of the workflow.
type planning struct {
	in          contract.PlanInput
	graph       *graph
	maxParallel int
	inspected   int
	selector    workflow.Selector
}

func (p *planning) run(ctx workflow.Context) error {
	var steps contract.PlanSteps
	err := workflow.ExecuteLocalActivity(withRecordPolicy(ctx, "load "+p.in.PlanID), contract.LoadPlanActivity, p.in).Get(ctx, &steps)
	if err != nil {
		return err
	}
	p.graph, p.maxParallel = newGraph(steps.Steps), steps.MaxParallel
	p.selector = workflow.NewSelector(ctx)
	inspecting, stop := workflow.WithCancel(ctx)
	defer stop()
	p.selector.AddFuture(workflow.NewTimerWithOptions(inspecting, contract.InspectTimeout, workflow.TimerOptions{Summary: "time for steps"}),
		func(workflow.Future) { stop() })
	for {
		if inspecting.Err() == nil {
			p.startReady(inspecting)
		}
		if p.graph.runningCount() == 0 {
			break
		}
		p.selector.Select(ctx)
	}
	workflow.SetCurrentDetails(ctx, fmt.Sprintf("looked at %d of %d steps", p.inspected, len(steps.Steps)))
	return ctx.Err()
}

func (p *planning) startReady(ctx workflow.Context) {
	for p.graph.runningCount() < p.maxParallel {
		i, ok := p.graph.next()
		if !ok {
			return
		}
		step := p.graph.tasks[i]
		future := workflow.ExecuteActivity(withInspectPolicy(ctx, step), contract.InspectStepActivity,
			contract.InspectStepInput{PlanInput: p.in, Step: step.Name})
		p.selector.AddFuture(future, func(f workflow.Future) {
			if err := f.Get(ctx, nil); err == nil {
				p.inspected++
			}
			p.graph.succeed(i) // those after it find out themselves what it has left
		})
	}
}
