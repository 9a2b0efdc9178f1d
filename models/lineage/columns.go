package lineage

import (
	"slices"
	"strings"
)

// AllColumns stands for every column of a step.
const AllColumns = "*"

// Input is a column of a step that something depends on, and how.
type Input struct {
	Step   string `json:"step"`
	Column string `json:"column"` // AllColumns where it may be any
	Kind   Kind   `json:"kind"`
}

// Column is a column of a step's output and what it is made of.
type Column struct {
	Name   string  `json:"name"`
	Type   string  `json:"type,omitempty"` // DuckDB's
	Inputs []Input `json:"inputs,omitempty"`
}

// Step is the column lineage of one task's output: of a source its columns alone, of a transformation also the columns
// of its inputs they are made of.
type Step struct {
	Columns []Column `json:"columns"`
	// Rows are the columns that decide which rows there are, and in what order.
	Rows []Input `json:"rows,omitempty"`
}

// Ref is a column of a step. Names of columns are kept as they are written; SQL takes them for the same in any case.
type Ref struct{ Step, Column string }

// Deps are columns and how something depends on each.
type Deps map[Ref]Kinds

// Add adds a dependency.
func (d Deps) Add(r Ref, k Kinds) {
	if k != 0 {
		d[r] |= k
	}
}

// Merge adds all of another set, as something depends on it that depends by outer on what has that set.
func (d Deps) Merge(other Deps, outer Kind) {
	for r, k := range other {
		d[r] |= k.Then(outer)
	}
}

// Inputs lists the dependencies in order of step, column and kind.
func (d Deps) Inputs() []Input {
	if len(d) == 0 {
		return nil
	}
	inputs := make([]Input, 0, len(d))
	for r, kinds := range d {
		for _, k := range kinds.List() {
			inputs = append(inputs, Input{Step: r.Step, Column: r.Column, Kind: k})
		}
	}
	slices.SortFunc(inputs, func(a, b Input) int {
		if c := strings.Compare(a.Step, b.Step); c != 0 {
			return c
		}
		if c := strings.Compare(a.Column, b.Column); c != 0 {
			return c
		}
		return slices.Index(AllKinds, a.Kind) - slices.Index(AllKinds, b.Kind)
	})
	return inputs
}

// maxInputs bounds what is kept of one step.
const maxInputs = 20_000

// Bounded is the step, or where it names too many dependencies one that knows its columns and says UNKNOWN of the rest.
func (s Step) Bounded() Step {
	n := len(s.Rows)
	steps := map[string]bool{}
	note := func(inputs []Input) {
		for _, in := range inputs {
			steps[in.Step] = true
		}
	}
	note(s.Rows)
	for _, c := range s.Columns {
		n += len(c.Inputs)
		note(c.Inputs)
	}
	if n <= maxInputs {
		return s
	}
	all := Deps{}
	for step := range steps {
		all.Add(Ref{step, AllColumns}, Of(Unknown))
	}
	bounded := Step{Columns: make([]Column, len(s.Columns)), Rows: all.Inputs()}
	for i, c := range s.Columns {
		bounded.Columns[i] = Column{Name: c.Name, Type: c.Type, Inputs: bounded.Rows}
	}
	return bounded
}
