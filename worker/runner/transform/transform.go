// Package transform turns each type of transformation into one SELECT over its inputs.
package transform

import (
	"context"
	"fmt"
	"strings"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/definition"
	"github.com/matih/pipeline-service/models/task"
	"github.com/matih/pipeline-service/worker/runner/duckdb"
	"github.com/matih/pipeline-service/worker/runner/fault"
)

// Engine is what a builder asks about its inputs.
type Engine interface {
	CheckSelect(ctx context.Context, text string) error
	Describe(ctx context.Context, name string) ([]task.Column, error)
	DescribeQuery(ctx context.Context, query string) ([]task.Column, error)
	QueryEach(ctx context.Context, query string, each func(scan func(...any) error) error) error
}

var _ Engine = (*duckdb.Engine)(nil)

// Plan is how a transformation's rows are made.
type Plan struct {
	// SQL is one SELECT over the inputs' names.
	SQL string
	// PassThrough says that the rows are the input's, unchanged.
	PassThrough bool
}

// Build checks a transformation against its inputs, which the engine has bound, and plans it.
func Build(ctx context.Context, e Engine, t *definition.Transformation) (Plan, error) {
	switch {
	case t.Type == definition.TransformSQL && t.SQL != nil:
		return buildSQL(ctx, e, t)
	case t.Type == definition.TransformLookupJoin && t.LookupJoin != nil:
		return buildLookupJoin(ctx, e, t.LookupJoin)
	}
	if len(t.Inputs) != 1 {
		return Plan{}, fault.Errorf(models.ClassInvalidDefinition, "%s reads one step, not %d", t.Type, len(t.Inputs))
	}
	in, err := describe(ctx, e, t.Inputs[0])
	if err != nil {
		return Plan{}, err
	}
	switch {
	case t.Type == definition.TransformSchemaCheck && t.SchemaCheck != nil:
		return Plan{PassThrough: true}, checkSchema(ctx, e, in, t.SchemaCheck)
	case t.Type == definition.TransformDeduplicate && t.Deduplicate != nil:
		return buildDeduplicate(in, t.Deduplicate)
	case t.Type == definition.TransformFilter && t.Filter != nil:
		return buildFilter(ctx, e, in, t.Filter)
	case t.Type == definition.TransformSelect && t.Select != nil:
		return buildSelect(in, t.Select)
	case t.Type == definition.TransformAggregate && t.Aggregate != nil:
		return buildAggregate(in, t.Aggregate)
	}
	return Plan{}, fault.Errorf(models.ClassInvalidDefinition, "the transformation type %q is not supported by this release", t.Type)
}

// step is an input and its columns.
type step struct {
	name    string
	columns []task.Column
}

func describe(ctx context.Context, e Engine, name string) (step, error) {
	columns, err := e.Describe(ctx, name)
	return step{name: name, columns: columns}, err
}

func (s step) require(names ...string) error { return duckdb.Require(s.name, s.columns, names...) }

func buildSQL(ctx context.Context, e Engine, t *definition.Transformation) (Plan, error) {
	text := t.SQL.SQL
	if len(t.Inputs) == 1 {
		text = duckdb.NameInput(text, t.Inputs[0])
	}
	if err := e.CheckSelect(ctx, text); err != nil {
		return Plan{}, err
	}
	return Plan{SQL: text}, nil
}

func buildFilter(ctx context.Context, e Engine, in step, f *definition.Filter) (Plan, error) {
	condition := duckdb.NameInput(f.Condition, in.name)
	if err := e.CheckSelect(ctx, "SELECT (\n"+condition+"\n) FROM "+duckdb.Ident(in.name)); err != nil {
		return Plan{}, err
	}
	query := fmt.Sprintf("SELECT * FROM %s WHERE (\n%s\n)", duckdb.Ident(in.name), condition)
	return Plan{SQL: query}, e.CheckSelect(ctx, query)
}

func buildSelect(in step, s *definition.Select) (Plan, error) {
	items := make([]string, len(s.Columns))
	seen := map[string]bool{}
	for i, c := range s.Columns {
		if err := in.require(c.Column); err != nil {
			return Plan{}, err
		}
		name := c.As
		if name == "" {
			name = c.Column
		}
		if seen[strings.ToLower(name)] {
			return Plan{}, fault.Errorf(models.ClassInvalidDefinition, "the column %q is selected twice; give one of them another name with as", name)
		}
		seen[strings.ToLower(name)] = true
		items[i] = duckdb.Ident(c.Column) + " AS " + duckdb.Ident(name)
	}
	return Plan{SQL: fmt.Sprintf("SELECT %s FROM %s", strings.Join(items, ", "), duckdb.Ident(in.name))}, nil
}

func buildDeduplicate(in step, d *definition.Deduplicate) (Plan, error) {
	if err := in.require(d.Keys...); err != nil {
		return Plan{}, err
	}
	if len(d.OrderBy) == 0 { // which of the rows stays is open
		return Plan{SQL: fmt.Sprintf("SELECT DISTINCT ON (%s) * FROM %s", duckdb.Idents(d.Keys), duckdb.Ident(in.name))}, nil
	}
	terms := make([]string, len(d.OrderBy))
	for i, term := range d.OrderBy {
		column, direction := orderTerm(term)
		if err := in.require(column); err != nil {
			return Plan{}, err
		}
		terms[i] = duckdb.Ident(column) + direction + " NULLS LAST"
	}
	return Plan{SQL: fmt.Sprintf("SELECT * FROM %s QUALIFY row_number() OVER (PARTITION BY %s ORDER BY %s) = 1",
		duckdb.Ident(in.name), duckdb.Idents(d.Keys), strings.Join(terms, ", "))}, nil
}

// orderTerm reads "column", "column asc" or "column desc".
func orderTerm(term string) (column, direction string) {
	term = strings.TrimSpace(term)
	if i := strings.LastIndexAny(term, " \t"); i > 0 {
		switch word := strings.ToUpper(term[i+1:]); word {
		case "ASC", "DESC":
			return strings.TrimSpace(term[:i]), " " + word
		}
	}
	return term, " ASC"
}

// measures maps a measure's function to the SQL of its column.
var measures = map[string]string{
	"count":          "count(%s)",
	"count_distinct": "count(DISTINCT %s)",
	"sum":            "sum(%s)",
	"avg":            "avg(%s)",
	"min":            "min(%s)",
	"max":            "max(%s)",
	"median":         "median(%s)",
	"stddev":         "stddev_samp(%s)",
	"first":          "first(%s)",
	"last":           "last(%s)",
}

func buildAggregate(in step, a *definition.Aggregate) (Plan, error) {
	if err := in.require(a.GroupBy...); err != nil {
		return Plan{}, err
	}
	var items []string
	names := map[string]bool{}
	for _, column := range a.GroupBy {
		items = append(items, duckdb.Ident(column))
		names[strings.ToLower(column)] = true
	}
	for _, m := range a.Measures {
		form, ok := measures[m.Function]
		if !ok {
			return Plan{}, fault.Errorf(models.ClassInvalidDefinition, "the measure %q asks for the unknown function %q", m.Name, m.Function)
		}
		if names[strings.ToLower(m.Name)] {
			return Plan{}, fault.Errorf(models.ClassInvalidDefinition, "the name %q stands for two columns; rename the measure", m.Name)
		}
		names[strings.ToLower(m.Name)] = true
		argument := "*"
		if m.Column != "" {
			if err := in.require(m.Column); err != nil {
				return Plan{}, err
			}
			argument = duckdb.Ident(m.Column)
		} else if m.Function != "count" {
			return Plan{}, fault.Errorf(models.ClassInvalidDefinition, "the measure %q needs a column for %s", m.Name, m.Function)
		}
		items = append(items, fmt.Sprintf(form, argument)+" AS "+duckdb.Ident(m.Name))
	}
	query := fmt.Sprintf("SELECT %s FROM %s", strings.Join(items, ", "), duckdb.Ident(in.name))
	if len(a.GroupBy) > 0 {
		query += " GROUP BY " + duckdb.Idents(a.GroupBy)
	}
	return Plan{SQL: query}, nil
}
