// Package lineage tells what columns of its inputs each column of a transformation is made of. It reads DuckDB's own parse
// tree of the statement and the columns that DuckDB has bound; what it cannot follow it says to be UNKNOWN.
package lineage

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"

	"github.com/matih/pipeline-service/models/lineage"
	"github.com/matih/pipeline-service/models/task"
	"github.com/matih/pipeline-service/worker/runner/duckdb"
)

// Engine is what is asked of DuckDB.
type Engine interface {
	ParseTree(ctx context.Context, text string) ([]byte, error)
	Describe(ctx context.Context, name string) ([]task.Column, error)
}

var _ Engine = (*duckdb.Engine)(nil)

// Table is an input and the names of its columns.
type Table struct {
	Name    string
	Columns []string
}

// Of returns the lineage of a statement that the engine has bound over the inputs of the given names, with the given output.
func Of(ctx context.Context, e Engine, text string, inputs []string, output []task.Column) (lineage.Step, error) {
	tables := make([]Table, len(inputs))
	for i, name := range inputs {
		columns, err := e.Describe(ctx, name)
		if err != nil {
			return lineage.Step{}, err
		}
		tables[i] = Table{Name: name, Columns: duckdb.Names(columns)}
	}
	raw, err := e.ParseTree(ctx, text)
	if err != nil {
		return lineage.Step{}, err
	}
	return Analyse(raw, tables, output), nil
}

// PassThrough is the lineage of rows that go on unchanged.
func PassThrough(input string, output []task.Column) lineage.Step {
	step := lineage.Step{Columns: make([]lineage.Column, len(output))}
	for i, c := range output {
		step.Columns[i] = lineage.Column{Name: c.Name, Type: c.Type,
			Inputs: []lineage.Input{{Step: input, Column: c.Name, Kind: lineage.Identity}}}
	}
	return step
}

// Analyse returns the lineage of a parsed statement over tables. output are its columns as DuckDB has bound them: where
// they are not those found here, all is UNKNOWN.
func Analyse(raw []byte, tables []Table, output []task.Column) lineage.Step {
	found, ok := analyse(raw, tables)
	if !ok || !fits(found, output) {
		return unknownStep(tables, output)
	}
	step := lineage.Step{Columns: make([]lineage.Column, len(output)), Rows: found.rows.Inputs()}
	for i, c := range output {
		deps := found.tail
		if i < len(found.columns) {
			deps = found.columns[i].deps
		}
		step.Columns[i] = lineage.Column{Name: c.Name, Type: c.Type, Inputs: deps.Inputs()}
	}
	return step.Bounded()
}

func analyse(raw []byte, tables []Table) (found result, ok bool) {
	var parsed tree
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.DisallowUnknownFields()
	if decoder.Decode(&parsed) != nil || parsed.Error || len(parsed.Statements) != 1 {
		return result{}, false
	}
	a := &analyser{budget: maxWork}
	for _, t := range tables {
		a.inputs = append(a.inputs, inputRelation(t))
	}
	found = a.query(parsed.Statements[0].Node, nil, nil)
	return found, a.budget > 0
}

func inputRelation(t Table) *relation {
	r := &relation{name: t.Name}
	for _, name := range t.Columns {
		r.columns = append(r.columns, column{name: name,
			deps: lineage.Deps{{Step: t.Name, Column: name}: lineage.Of(lineage.Identity)}})
	}
	return r
}

// fits compares what was found with what DuckDB has bound. It numbers names that stand twice: a, a_1.
func fits(found result, output []task.Column) bool {
	switch {
	case found.lost, len(found.columns) > len(output), found.tail == nil && len(found.columns) != len(output):
		return false
	}
	for i, c := range found.columns {
		if c.name == "" || strings.EqualFold(c.name, output[i].Name) {
			continue
		}
		stem, number := output[i].Name, strings.LastIndexAny(output[i].Name, "_:")
		if number >= 0 && strings.Trim(stem[number+1:], "0123456789") == "" {
			stem = stem[:number]
		}
		if !strings.EqualFold(stem, c.name) {
			return false
		}
	}
	return true
}

// unknownStep says of every column that it may be made of any.
func unknownStep(tables []Table, output []task.Column) lineage.Step {
	all := lineage.Deps{}
	for _, t := range tables {
		all.Add(lineage.Ref{Step: t.Name, Column: lineage.AllColumns}, lineage.Of(lineage.Unknown))
	}
	step := lineage.Step{Columns: make([]lineage.Column, len(output)), Rows: all.Inputs()}
	for i, c := range output {
		step.Columns[i] = lineage.Column{Name: c.Name, Type: c.Type, Inputs: step.Rows}
	}
	return step
}

// maxWork bounds the dependencies that are looked at. Statements that people write need thousands.
const maxWork = 3_000_000

// analyser follows one statement.
type analyser struct {
	inputs []*relation
	budget int
}

// spend counts work and reports whether there may be more.
func (a *analyser) spend(n int) bool {
	a.budget -= n + 1
	return a.budget > 0
}

// all is what any column of a result may be made of.
func (a *analyser) all(r result) lineage.Deps {
	all := lineage.Deps{}
	for _, c := range r.columns {
		a.merge(all, c.deps, lineage.Identity)
	}
	a.merge(all, r.tail, lineage.Identity)
	return all
}

// merge adds deps to what depends by kind on them.
func (a *analyser) merge(into, deps lineage.Deps, kind lineage.Kind) {
	if a.spend(len(deps)) {
		into.Merge(deps, kind)
	}
}
