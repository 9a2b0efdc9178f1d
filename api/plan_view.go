package api

import (
	"reflect"

	"github.com/danielgtaylor/huma/v2"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/definition"
)

// PlanView is what a definition would do.
type PlanView struct {
	Valid     bool                  `json:"valid" doc:"Whether every step could be tried, every sink would take its rows and every schedule's parameters fit."`
	Diff      *PlanDiffView         `json:"diff,omitempty" doc:"Against the pipeline's current version; none for a new pipeline."`
	Steps     []PlannedStepView     `json:"steps" doc:"In an order in which they can run."`
	Sinks     []PlannedSinkView     `json:"sinks"`
	Schedules []PlannedScheduleView `json:"schedules" doc:"Of the pipeline, newest first, at most 200."`
	// Downstream is bounded as in a lineage.
	Downstream []RelatedView `json:"downstream" doc:"The pipelines that would read what it writes, and those that read from these; at most 500."`
	Estimate   EstimateView  `json:"estimate"`
}

// PlanDiffView is how the definition differs from the pipeline's current version.
type PlanDiffView struct {
	Against int          `json:"against" doc:"The number of that version."`
	Added   []ChangeView `json:"added"`
	Removed []ChangeView `json:"removed"`
	Changed []ChangeView `json:"changed"`
}

// PlannedStepView is a source, transformation, check or sink.
type PlannedStepView struct {
	Name    string                 `json:"name"`
	Kind    models.TaskKind        `json:"kind" enum:"source,transformation,check,sink"`
	Columns []PlannedColumnView    `json:"columns" doc:"Empty where they cannot be known. Types of CSV and JSON columns are those of the rows that were looked at."`
	Rows    []map[string]*string   `json:"rows,omitempty" doc:"A sample, values as text of up to 200 characters. A step sees the samples of those before it."`
	Error   *models.ExecutionError `json:"error,omitempty" doc:"Why it cannot be known, or would fail."`
}

// PlannedColumnView is a column.
type PlannedColumnView struct {
	Name string `json:"name"`
	Type string `json:"type" doc:"As DuckDB names it."`
}

// PlannedSinkView compares what a sink would publish with what is there.
type PlannedSinkView struct {
	Name       string             `json:"name"`
	Exists     bool               `json:"exists" doc:"Whether there is a table, or published files, to compare with."`
	Changes    []ColumnChangeView `json:"changes"`
	Compatible bool               `json:"compatible" doc:"Whether the rows could be published. Whether each value fits is known only then."`
	Reason     string             `json:"reason,omitempty" doc:"Why they could not be."`
}

// ColumnChangeView is a difference, in the types of the sink's system.
type ColumnChangeView struct {
	Column string            `json:"column"`
	Change models.ChangeKind `json:"change" enum:"added,removed,type_changed" doc:"removed: it is there and does not come."`
	From   string            `json:"from,omitempty"`
	To     string            `json:"to,omitempty"`
}

// PlannedScheduleView is a schedule that would execute the definition.
type PlannedScheduleView struct {
	ScheduleID string `json:"scheduleId"`
	Enabled    bool   `json:"enabled"`
	Problem    string `json:"problem,omitempty" doc:"Why its parameters do not fit the definition."`
}

// EstimateView is what an execution is expected to take.
type EstimateView struct {
	DurationMs int64    `json:"durationMs" doc:"The median of the pipeline's last COMPLETED executions, else a default."`
	CostUsd    *float64 `json:"costUsd,omitempty" doc:"The median of the same executions; missing where no cost of any is known."`
}

// compare adds the difference to the current version.
func (v *PlanView) compare(d draft) error {
	if d.pipeline == nil {
		return nil
	}
	diff, err := definition.Diff(d.pipeline.Definition, d.document)
	if err != nil {
		return &models.Error{Code: models.CodeInternal, Cause: err} // both were checked
	}
	v.Diff = &PlanDiffView{
		Against: d.pipeline.Version, Added: viewChanges(diff.Added), Removed: viewChanges(diff.Removed), Changed: viewChanges(diff.Changed),
	}
	return nil
}

// addSteps adds what was found about the steps. One without a finding had no turn.
func (v *PlanView) addSteps(d draft, found map[string]models.PlannedStep) {
	v.Valid = true
	untried := &models.ExecutionError{Class: models.ClassTimeout, Message: "there was no time left to look at it"}
	if d.missing != "" {
		untried = &models.ExecutionError{Class: models.ClassInvalidDefinition,
			Message: "it can be tried only with parameters, as POST /v1/pipelines/plan takes them: " + d.missing}
	}
	for _, node := range d.definition.Graph() {
		step, ok := found[node.Name]
		if !ok {
			missed := *untried
			missed.Task = node.Name
			step.Error = &missed
		}
		view := PlannedStepView{Name: node.Name, Kind: node.Kind, Columns: []PlannedColumnView{}, Rows: step.Rows, Error: step.Error}
		for _, c := range step.Columns {
			view.Columns = append(view.Columns, PlannedColumnView(c))
		}
		v.Steps = append(v.Steps, view)
		v.Valid = v.Valid && step.Error == nil
		if sink := step.Sink; sink != nil {
			v.Sinks = append(v.Sinks, viewSink(node.Name, sink))
			v.Valid = v.Valid && sink.Compatible
		}
	}
}

func viewSink(name string, s *models.SinkFinding) PlannedSinkView {
	view := PlannedSinkView{Name: name, Exists: s.Exists, Changes: []ColumnChangeView{}, Compatible: s.Compatible, Reason: s.Reason}
	for _, c := range s.Changes {
		view.Changes = append(view.Changes, ColumnChangeView(c))
	}
	return view
}

// PipelineOrPlan is a pipeline that was saved, or with dryRun the plan of what would have been.
type PipelineOrPlan struct {
	*PipelineView
	*PlanView
}

var _ huma.SchemaProvider = PipelineOrPlan{}

// Schema is a choice between the two.
func (PipelineOrPlan) Schema(r huma.Registry) *huma.Schema {
	return &huma.Schema{OneOf: []*huma.Schema{
		r.Schema(reflect.TypeFor[PipelineView](), true, ""), r.Schema(reflect.TypeFor[PlanView](), true, ""),
	}}
}
