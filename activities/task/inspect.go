package task

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"go.temporal.io/sdk/activity"

	"github.com/matih/pipeline-service/activities/failure"
	"github.com/matih/pipeline-service/activities/plan"
	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/contract"
	"github.com/matih/pipeline-service/models/definition"
	protocol "github.com/matih/pipeline-service/models/task"
)

const (
	// previewRows is how many rows a plan reads from a source, and hands on from step to step. They are enough for the
	// types of untyped columns and for joins to find something.
	previewRows = 1000
	// inspectTimeout bounds the look at one step.
	inspectTimeout = 20 * time.Second
)

// LoadPlan tells which steps a plan has. Unlike an execution's tasks they wait for nothing but their inputs.
func (a *Tasks) LoadPlan(ctx context.Context, in contract.PlanInput) (contract.PlanSteps, error) {
	p, err := a.loadDraft(ctx, in)
	if err != nil {
		return contract.PlanSteps{}, err
	}
	steps := contract.PlanSteps{MaxParallel: p.Definition.Orchestration.MaxParallelTasks, Steps: make([]contract.PlannedTask, len(p.Nodes))}
	for i, n := range p.Nodes {
		steps.Steps[i] = contract.PlannedTask{Name: n.Name, Kind: n.Kind}
		for _, from := range sourcesOf(n) {
			steps.Steps[i].After = append(steps.Steps[i].After, p.Index(from))
		}
	}
	return steps, nil
}

// InspectStep looks at a step of a plan and writes down what it found: that it cannot be known is a finding, too.
func (a *Tasks) InspectStep(ctx context.Context, in contract.InspectStepInput) error {
	p, err := a.loadDraft(ctx, in.PlanInput)
	if err != nil {
		return err
	}
	node, ok := p.Node(in.Step)
	if !ok {
		return failure.Final(&models.ExecutionError{Task: in.Step, Class: models.ClassInternal, Message: "the plan has no such step"})
	}
	stop := keepBeating(ctx)
	defer stop()
	step, err := a.inspect(ctx, p, node)
	if err != nil {
		return err
	}
	return gone(a.Store.ForTenant(in.Tenant).RecordStep(ctx, in.PlanID, step))
}

func (a *Tasks) loadDraft(ctx context.Context, in contract.PlanInput) (*plan.Plan, error) {
	p, err := a.Plans.LoadDraft(ctx, in.Tenant, in.PlanID)
	if why := plan.Failure(err); why != nil {
		return nil, failure.Final(why)
	}
	return p, gone(err)
}

// gone makes the absence of a plan final: nobody waits for it any more.
func gone(err error) error {
	if models.CodeOf(err) == models.CodeNotFound {
		return failure.Final(&models.ExecutionError{Class: models.ClassInternal, Message: "nobody waits for the plan any more"})
	}
	return err
}

// inspect runs a step on the samples of those before it. The error is for what says nothing about the step.
func (a *Tasks) inspect(ctx context.Context, p *plan.Plan, node definition.Node) (models.PlannedStep, error) {
	step := models.PlannedStep{Name: node.Name}
	outputs, columns, err := a.samples(ctx, p, node)
	if err != nil {
		return step, err
	}
	if missing := without(node, outputs); len(missing) > 0 {
		step.Error = &models.ExecutionError{Task: node.Name, Class: models.ClassInvalidDefinition,
			Message: "nothing can be said without the columns of " + strings.Join(missing, ", ")}
		return step, nil
	}
	spec, err := a.Specs.buildPreview(ctx, p, node, int(activity.GetInfo(ctx).Attempt), outputs)
	if err != nil {
		step.Error = a.finding(ctx, p, node, specFailure(err))
		return step, nil
	}
	limited, cancel := context.WithTimeout(ctx, inspectTimeout)
	defer cancel()
	result, fail := a.Runner.Run(limited, spec, func(protocol.Message) {})
	switch {
	case fail != nil && ctx.Err() != nil:
		return step, ctx.Err()
	case fail != nil && limited.Err() != nil:
		step.Error = &models.ExecutionError{Task: node.Name, Class: models.ClassTimeout,
			Message: fmt.Sprintf("looking at it took longer than %s", inspectTimeout)}
		return step, nil
	case fail != nil:
		step.Error = a.finding(ctx, p, node, fail)
		return step, nil
	}
	if step.Output, err = a.Specs.output(spec, result); err != nil {
		return step, err
	}
	step.Columns, step.Rows, step.Sink = result.Columns, masked(result.Sample, p.Definition.Orchestration.Approval.Mask), result.Sink
	if node.Kind == models.TaskSink {
		step.Columns, step.Output = columns, "" // it publishes its input as it is
	}
	return step, nil
}

// finding is a failure as a step's finding.
func (a *Tasks) finding(ctx context.Context, p *plan.Plan, node definition.Node, f *protocol.Failure) *models.ExecutionError {
	if f.Detail != "" {
		a.Log.InfoContext(ctx, "a step could not be inspected", "plan", p.Execution.ID, "step", node.Name, "class", f.Class, "detail", f.Detail)
	}
	return &models.ExecutionError{Task: node.Name, Class: f.Class, Message: f.Message}
}

// samples returns where the samples that a step reads lie, by the step that left them, and the columns of the last.
func (a *Tasks) samples(ctx context.Context, p *plan.Plan, node definition.Node) (map[string]string, []models.Column, error) {
	outputs := map[string]string{}
	if len(node.Inputs) == 0 {
		return outputs, nil, nil
	}
	steps, err := a.Store.ForTenant(p.Execution.Tenant).PlannedSteps(ctx, p.Execution.ID, sourcesOf(node)...)
	if err != nil {
		return nil, nil, err
	}
	var columns []models.Column
	for _, s := range steps {
		if s.Output != "" {
			outputs[s.Name], columns = s.Output, s.Columns
		}
	}
	return outputs, columns, nil
}

// without names the inputs of a step that have left no sample.
func without(node definition.Node, outputs map[string]string) []string {
	var missing []string
	for _, in := range node.Inputs {
		if outputs[in.From] == "" {
			missing = append(missing, in.Name)
		}
	}
	return missing
}

// keepBeating sends heartbeats until it is stopped.
func keepBeating(ctx context.Context) (stop func()) {
	ctx, stop = context.WithCancel(ctx)
	go func() {
		beat := time.NewTicker(heartbeatEvery)
		defer beat.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-beat.C:
				activity.RecordHeartbeat(ctx)
			}
		}
	}()
	return stop
}

// EndPlan removes what a plan has staged. Where that fails maintenance does it.
func (a *Tasks) EndPlan(ctx context.Context, in contract.PlanInput) error {
	if !models.IsID(models.PrefixPlan, in.PlanID) {
		return failure.Final(&models.ExecutionError{Class: models.ClassInternal, Message: "that is no plan"})
	}
	dir := filepath.Join(a.Specs.StagingDir, string(in.Tenant), in.PlanID)
	if err := os.RemoveAll(dir); err != nil && !errors.Is(err, os.ErrNotExist) {
		a.Log.WarnContext(ctx, "a plan's samples were not removed", "plan", in.PlanID, "error", err)
	}
	return nil
}

// buildPreview makes the description of a step that is only looked at. A check's verdict on a sample says nothing, so it never
// keeps rows back.
func (s *Specs) buildPreview(ctx context.Context, p *plan.Plan, node definition.Node, attempt int, outputs map[string]string) (protocol.Spec, error) {
	inspected := *p
	d := *p.Definition
	inspected.Definition = &d
	d.QualityChecks = append([]definition.QualityCheck(nil), d.QualityChecks...)
	for i := range d.QualityChecks {
		d.QualityChecks[i].OnFailure = definition.OnFailureWarn
	}
	spec, err := s.build(ctx, &inspected, node, attempt, outputs)
	spec.Preview = &protocol.Preview{Rows: previewRows, Show: p.Sample}
	return spec, err
}
