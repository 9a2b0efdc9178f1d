package openlineage

import (
	"context"
	"encoding/json"
	"strconv"
	"time"

	"github.com/matih/pipeline-service/activities/plan"
	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/definition"
	"github.com/matih/pipeline-service/models/lineage"
	"github.com/matih/pipeline-service/models/store"
)

// builder makes events of one execution from what the store knows.
type builder struct {
	execution models.Execution
	plan      *plan.Plan
	datasets  map[string]lineage.Dataset // by source or sink
	steps     map[string]lineage.Step
	runs      map[string]models.TaskRun
	checks    map[string][]checked // by step
}

func load(ctx context.Context, s *store.Store, plans *plan.Loader, tenant models.TenantID, execution string) (*builder, error) {
	t := s.ForTenant(tenant)
	p, err := plans.Load(ctx, tenant, execution)
	if err != nil {
		return nil, err
	}
	b := &builder{plan: p, datasets: map[string]lineage.Dataset{}, runs: map[string]models.TaskRun{}, checks: map[string][]checked{}}
	if b.execution, err = t.Execution(ctx, execution); err != nil {
		return nil, err
	}
	connections, err := t.ConnectionsByRef(ctx, lineage.Refs(p.Definition))
	if err != nil {
		return nil, err
	}
	for _, set := range lineage.Datasets(p.Definition, connections) {
		b.datasets[set.Step] = set
	}
	if b.steps, err = t.ColumnLineage(ctx, b.execution.PipelineID, b.execution.Version); err != nil {
		return nil, err
	}
	tasks, err := t.TaskRuns(ctx, execution)
	if err != nil {
		return nil, err
	}
	for _, run := range tasks {
		b.runs[run.Name] = run
	}
	for i := range p.Definition.QualityChecks {
		b.note(&p.Definition.QualityChecks[i])
	}
	return b, nil
}

// note keeps what a check has found, if it has run.
func (b *builder) note(check *definition.QualityCheck) {
	c := checked{check: check}
	if detail := b.runs[check.Name].Detail; len(detail) > 0 && json.Unmarshal(detail, &c.result) == nil {
		b.checks[check.Input] = append(b.checks[check.Input], c)
	}
}

// event is the frame of every event.
func event(kind EventType, at time.Time) Event {
	return Event{EventTime: at.UTC(), EventType: kind, Producer: producer, SchemaURL: specURL}
}

// ofExecution tells a transition of an execution: what goes in at its sources and comes out at its sinks.
func (b *builder) ofExecution(kind EventType, at time.Time) Event {
	e := event(kind, at)
	e.Run = Run{RunID: RunID(b.execution.ID), Facets: map[string]any{"nominalTime": nominalTime(b.execution.ExecutionDate)}}
	if b.execution.RerunOf != "" {
		e.Run.Facets["parent"] = parent(b.execution, b.execution.RerunOf)
	}
	if kind == Fail && b.execution.Error != nil {
		e.Run.Facets["errorMessage"] = errorMessage(b.execution.Error)
	}
	e.Job = Job{Namespace: jobNamespace(b.execution.Tenant), Name: b.execution.PipelineName, Facets: jobType("PIPELINE")}
	for _, s := range b.plan.Definition.Sources {
		e.Inputs = append(e.Inputs, b.source(s.Name))
	}
	flow := map[string]lineage.Step{}
	sinks, _ := lineage.NewFlow(b.plan.Definition, b.steps).Sinks()
	for _, sink := range sinks {
		flow[sink.Sink] = sink.Step
	}
	for _, s := range b.plan.Definition.Sinks {
		e.Outputs = append(e.Outputs, b.sink(s.Name, flow[s.Name], b.outside))
	}
	return e
}

// outside is the data set that a source reads or a sink writes.
func (b *builder) outside(step string) jobRef {
	return jobRef{b.datasets[step].Namespace, b.datasets[step].Name}
}

// inside is what a step hands to others.
func (b *builder) inside(step string) jobRef {
	return jobRef{jobNamespace(b.execution.Tenant), b.execution.PipelineName + "." + step}
}

// source is the data set that a source reads, with what is known of its columns, its rows and their quality.
func (b *builder) source(name string) Dataset {
	set := dataset(b.outside(name), b.steps[name].Columns)
	set.InputFacets = map[string]any{}
	if run := b.runs[name]; run.State == models.TaskSucceeded {
		set.InputFacets["inputStatistics"] = inputStatistics(run.RowsIn, run.BytesIn)
	}
	if found := b.checks[name]; len(found) > 0 {
		set.InputFacets["dataQualityAssertions"] = assertions(found)
		set.InputFacets["dataQualityMetrics"] = metrics(found[0].result.Rows)
	}
	return set
}

// sink is the data set that a sink writes, made of columns as step says.
func (b *builder) sink(name string, step lineage.Step, of func(string) jobRef) Dataset {
	set := dataset(b.outside(name), step.Columns)
	if len(step.Columns) > 0 {
		set.Facets["columnLineage"] = columnLineage(step, of)
	}
	if run := b.runs[name]; run.State == models.TaskSucceeded {
		set.OutputFacets = map[string]any{"outputStatistics": outputStatistics(run.RowsOut, run.BytesOut)}
	}
	return set
}

func dataset(ref jobRef, columns []lineage.Column) Dataset {
	set := Dataset{Namespace: ref.Namespace, Name: ref.Name, Facets: map[string]any{}}
	if len(columns) > 0 {
		set.Facets["schema"] = schema(columns)
	}
	return set
}

// ofTask tells a transition of one attempt of a task: a run below the execution's.
func (b *builder) ofTask(kind EventType, at time.Time, name string, attempt int, why *models.ExecutionError) Event {
	e := event(kind, at)
	e.Run = Run{RunID: RunID(b.execution.ID, name, strconv.Itoa(attempt)),
		Facets: map[string]any{"parent": parent(b.execution, b.execution.ID)}}
	if kind == Fail && why != nil {
		e.Run.Facets["errorMessage"] = errorMessage(why)
	}
	own := b.inside(name)
	e.Job = Job{Namespace: own.Namespace, Name: own.Name, Facets: jobType("TASK")}
	node, _ := b.plan.Node(name)
	switch node.Kind {
	case models.TaskSource:
		e.Inputs = append(e.Inputs, b.source(name))
		e.Outputs = append(e.Outputs, dataset(own, b.steps[name].Columns))
		return e
	case models.TaskTransformation:
		out := dataset(own, b.steps[name].Columns)
		if step, known := b.steps[name]; known {
			out.Facets["columnLineage"] = columnLineage(step, b.inside)
		}
		e.Outputs = append(e.Outputs, out)
	case models.TaskSink:
		e.Outputs = append(e.Outputs, b.sink(name, b.unchanged(node.Inputs[0].Name), b.inside))
	}
	for _, input := range node.Inputs {
		set := dataset(b.inside(input.Name), b.steps[input.Name].Columns)
		for _, c := range b.checks[input.Name] {
			if c.check.Name == name {
				set.InputFacets = map[string]any{"dataQualityAssertions": assertions([]checked{c}), "dataQualityMetrics": metrics(c.result.Rows)}
			}
		}
		e.Inputs = append(e.Inputs, set)
	}
	return e
}

// unchanged is a step whose columns are those of another.
func (b *builder) unchanged(input string) lineage.Step {
	step := lineage.Step{}
	for _, c := range b.steps[input].Columns {
		step.Columns = append(step.Columns, lineage.Column{Name: c.Name, Type: c.Type,
			Inputs: []lineage.Input{{Step: input, Column: c.Name, Kind: lineage.Identity}}})
	}
	return step
}
