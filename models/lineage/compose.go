package lineage

import (
	"strings"

	"github.com/matih/pipeline-service/models/definition"
)

// Flow follows columns through the steps of a definition, from sinks back to sources.
type Flow struct {
	definition *definition.Definition
	steps      map[string]Step
	sources    map[string]bool
	inputs     map[string][]string                   // by transformation, the steps it reads
	setAside   map[string][]*definition.QualityCheck // by step, the checks that set rows aside
	columns    map[Ref]Deps
	rows       map[string]Deps
	budget     int
}

// maxWork bounds the dependencies that a Flow looks at.
const maxWork = 5_000_000

// SinkColumns is what a sink writes and what it is made of: inputs are columns of sources.
type SinkColumns struct {
	Sink string
	Step
}

// NewFlow follows the columns of a definition, where steps is what is known of its sources and transformations.
func NewFlow(d *definition.Definition, steps map[string]Step) *Flow {
	f := &Flow{definition: d, steps: steps, sources: map[string]bool{}, inputs: map[string][]string{},
		setAside: map[string][]*definition.QualityCheck{}, columns: map[Ref]Deps{}, rows: map[string]Deps{}, budget: maxWork}
	for _, s := range d.Sources {
		f.sources[s.Name] = true
	}
	for _, t := range d.Transformations {
		f.inputs[t.Name] = t.Inputs
	}
	for i := range d.QualityChecks {
		if c := &d.QualityChecks[i]; c.OnFailure == definition.OnFailureQuarantine {
			f.setAside[c.Input] = append(f.setAside[c.Input], c)
		}
	}
	return f
}

// Sinks returns the columns of each sink whose input is known, in the definition's order. complete is false where there are
// too many dependencies to name them all: those that are missing are of the sinks that are not there.
func (f *Flow) Sinks() (sinks []SinkColumns, complete bool) {
	for _, sink := range f.definition.Sinks {
		input, known := f.steps[sink.Input]
		if !known {
			continue
		}
		out := SinkColumns{Sink: sink.Name, Step: Step{Columns: make([]Column, len(input.Columns)), Rows: f.rowsOf(sink.Input).Inputs()}}
		for i, c := range input.Columns {
			out.Columns[i] = Column{Name: c.Name, Type: c.Type, Inputs: f.column(sink.Input, c.Name).Inputs()}
		}
		if f.budget <= 0 {
			return sinks, false
		}
		sinks = append(sinks, out)
	}
	return sinks, true
}

// Columns are the columns of a step, none where they are not known.
func (f *Flow) Columns(step string) []Column { return f.steps[step].Columns }

// merge adds deps as Deps.Merge does, and counts the work.
func (f *Flow) merge(into, deps Deps, kind Kind) {
	if f.budget -= len(deps) + 1; f.budget > 0 {
		into.Merge(deps, kind)
	}
}

// column is what a column of a step is made of, in columns of sources. Definitions have no cycles.
func (f *Flow) column(step, name string) Deps {
	if f.sources[step] && name != AllColumns {
		return Deps{{step, name}: Of(Identity)}
	}
	key := Ref{step, strings.ToLower(name)}
	if known, ok := f.columns[key]; ok {
		return known
	}
	made := Deps{}
	for _, c := range f.steps[step].Columns {
		switch {
		case f.sources[step]:
			made.Add(Ref{step, c.Name}, Of(Identity))
		case name == AllColumns:
			f.merge(made, f.column(step, c.Name), Identity)
		case strings.EqualFold(c.Name, name):
			for _, in := range c.Inputs {
				f.merge(made, f.column(in.Step, in.Column), in.Kind)
			}
		}
	}
	if _, known := f.steps[step]; !known && f.sources[step] {
		made.Add(Ref{step, AllColumns}, Of(Unknown))
	}
	f.columns[key] = made
	return made
}

// rowsOf is what decides which rows a step has, in columns of sources: its own clauses, those of the steps it reads, and the
// checks that set rows of them aside.
func (f *Flow) rowsOf(step string) Deps {
	if known, ok := f.rows[step]; ok {
		return known
	}
	made := Deps{}
	for _, in := range f.steps[step].Rows {
		f.merge(made, f.column(in.Step, in.Column), in.Kind)
	}
	for _, input := range f.inputs[step] {
		f.merge(made, f.rowsOf(input), Identity)
	}
	for _, c := range f.setAside[step] {
		f.quarantine(made, c)
	}
	f.rows[step] = made
	return made
}

// quarantine adds the columns by which a check sets rows of its step aside.
func (f *Flow) quarantine(made Deps, c *definition.QualityCheck) {
	if c.Type == definition.CheckCustomSQL {
		f.merge(made, f.column(c.Input, AllColumns), Unknown)
		return
	}
	for _, column := range c.Columns {
		f.merge(made, f.column(c.Input, column), Filter)
	}
	if c.Reference != "" && c.ReferenceColumn != "" {
		f.merge(made, f.column(c.Reference, c.ReferenceColumn), Filter)
	}
}
