package lineage

import (
	"slices"
	"strconv"
	"strings"

	"github.com/matih/pipeline-service/models/lineage"
)

// from follows a FROM clause. outer is where its expressions look for names that stand outside of it.
func (a *analyser) from(t *table, known *ctes, outer *scope) *from {
	switch {
	case t == nil, t.Type == "EMPTY":
		return &from{rows: lineage.Deps{}}
	case t.Type == "JOIN":
		return a.join(t, known, outer)
	}
	r := &relation{name: t.Alias}
	switch t.Type {
	case "BASE_TABLE":
		r.result = a.table(t, known)
		if r.name == "" {
			r.name = t.Name
		}
	case "SUBQUERY":
		if t.Subquery != nil {
			r.result = a.query(t.Subquery.Node, known, outer)
		}
	case "EXPRESSION_LIST":
		r.result = a.values(t, known, outer)
	case "TABLE_FUNCTION":
		r.result = a.tableFunction(t, known, outer)
		if r.name == "" && t.Function != nil {
			r.name = t.Function.Function
		}
	case "PIVOT":
		r.result = a.pivot(t, known, outer)
	default:
		r.result = result{tail: a.inputColumns()}
	}
	r.result = r.renamed(t.ColumnAliases)
	return single(r)
}

// single is a FROM of one table.
func single(r *relation) *from {
	f := &from{relations: []*relation{r}, rows: r.rows}
	for _, c := range r.columns {
		f.columns = append(f.columns, seen{r, c})
	}
	if f.rows == nil {
		f.rows = lineage.Deps{}
	}
	return f
}

// table is an input or a common table expression. Others there are none of, but for DuckDB's own.
func (a *analyser) table(t *table, known *ctes) result {
	if t.Schema == "" || strings.EqualFold(t.Schema, "recurring") {
		if r, ok := known.find(t.Name); ok {
			return r
		}
	}
	for _, r := range a.inputs {
		if strings.EqualFold(r.name, t.Name) && (t.Schema == "" || strings.EqualFold(t.Schema, "main")) {
			return r.result
		}
	}
	return result{tail: a.inputColumns()}
}

func (a *analyser) values(t *table, known *ctes, outer *scope) result {
	r := result{}
	for _, row := range t.Values {
		for i, e := range row {
			if i == len(r.columns) {
				r.columns = append(r.columns, column{name: "col" + strconv.Itoa(i), deps: lineage.Deps{}})
			}
			a.merge(r.columns[i].deps, a.expr(e, outer, known), lineage.Identity)
		}
	}
	return r.renamed(t.ExpectedNames)
}

// oneColumn are the table functions of one column, which has their name.
var oneColumn = []string{"unnest", "range", "generate_series"}

func (a *analyser) tableFunction(t *table, known *ctes, outer *scope) result {
	f := t.Function
	if f == nil {
		return result{tail: a.inputColumns()}
	}
	made := lineage.Deps{}
	for _, argument := range f.Children {
		a.merge(made, a.expr(argument, outer, known), lineage.Transformation)
	}
	name := strings.ToLower(f.Function)
	if !slices.Contains(oneColumn, name) || t.Ordinality != nil || name == "unnest" && len(f.Children) > 1 {
		a.merge(made, made, lineage.Unknown)
		return result{tail: made}
	}
	return result{columns: []column{{name, made}}}
}

func (a *analyser) join(t *table, known *ctes, outer *scope) *from {
	left := a.from(t.Left, known, outer)
	// The right side may look at the left one: every subquery is lateral where it has to be.
	right := a.from(t.Right, known, &scope{parent: outer, from: left})
	f := &from{relations: slices.Concat(left.relations, right.relations), rows: lineage.Deps{}}
	a.merge(f.rows, left.rows, lineage.Identity)
	a.merge(f.rows, right.rows, lineage.Identity)

	using := t.Using
	if t.RefType == "NATURAL" {
		using = shared(left, right)
	}
	f.columns = slices.Clone(left.columns)
	rest := slices.Clone(right.columns)
	for _, name := range using {
		l, r := left.index(name), right.index(name)
		if l < 0 || r < 0 {
			a.merge(f.rows, a.inputColumns(), lineage.Unknown)
			continue
		}
		merged := merge(left.columns[l].column, right.columns[r].column, t.JoinType)
		a.merge(f.rows, left.columns[l].column.deps, lineage.Join)
		a.merge(f.rows, right.columns[r].column.deps, lineage.Join)
		f.columns[l] = seen{column: merged}
		rest = slices.DeleteFunc(rest, func(c seen) bool { return strings.EqualFold(c.column.name, name) })
	}
	f.columns = append(f.columns, rest...)
	a.clause(f.rows, t.Condition, &scope{parent: outer, from: f}, known, lineage.Join)
	if t.JoinType == "SEMI" || t.JoinType == "ANTI" {
		f.relations, f.columns = left.relations, left.columns
	}
	return f
}

// merge is the one column that USING makes of two.
func merge(left, right column, join string) column {
	switch join {
	case "INNER", "LEFT", "SEMI", "ANTI":
		return left
	case "RIGHT":
		return column{left.name, right.deps}
	default: // either may be null
		both := through(left.deps, lineage.Transformation)
		both.Merge(right.deps, lineage.Transformation)
		return column{left.name, both}
	}
}

func (f *from) index(name string) int {
	return slices.IndexFunc(f.columns, func(c seen) bool { return strings.EqualFold(c.column.name, name) })
}

// shared are the names of columns that both sides have.
func shared(left, right *from) []string {
	var names []string
	for _, c := range left.columns {
		if c.column.name != "" && right.index(c.column.name) >= 0 {
			names = append(names, c.column.name)
		}
	}
	return names
}

// pivot follows PIVOT and UNPIVOT. How many columns a PIVOT makes only the binder knows, so they are a tail: each is one of
// the aggregates over the rows that the pivoted columns choose.
func (a *analyser) pivot(t *table, known *ctes, outer *scope) result {
	source := a.from(t.Source, known, outer)
	s := &scope{parent: outer, from: source}
	if slices.ContainsFunc(source.relations, (*relation).open) {
		return result{tail: s.everything(), rows: source.rows}
	}
	if len(t.UnpivotNames) > 0 {
		return a.unpivot(t, source)
	}
	r := result{rows: lineage.Deps{}, tail: lineage.Deps{}}
	a.merge(r.rows, source.rows, lineage.Identity)
	used := lineage.Deps{}
	for _, p := range t.Pivots {
		for _, e := range p.Exprs {
			deps := a.expr(e, s, known)
			a.merge(used, deps, lineage.Identity)
			a.merge(r.tail, deps, lineage.Conditional)
		}
	}
	for _, e := range t.Aggregates {
		deps := a.expr(e, s, known)
		a.merge(used, deps, lineage.Identity)
		a.merge(r.tail, deps, lineage.Identity)
	}
	for _, c := range source.columns {
		grouped := slices.ContainsFunc(t.Groups, func(g string) bool { return strings.EqualFold(g, c.column.name) })
		if grouped || len(t.Groups) == 0 && !overlaps(c.column.deps, used) {
			r.columns = append(r.columns, c.column)
			a.merge(r.rows, c.column.deps, lineage.GroupBy)
		}
	}
	if len(t.Groups) > 0 { // in the order they are named
		slices.SortStableFunc(r.columns, func(x, y column) int { return placeOf(t.Groups, x.name) - placeOf(t.Groups, y.name) })
	}
	return r
}

func placeOf(names []string, name string) int {
	return slices.IndexFunc(names, func(n string) bool { return strings.EqualFold(n, name) })
}

func overlaps(deps, used lineage.Deps) bool {
	for r := range deps {
		if _, ok := used[r]; ok {
			return true
		}
	}
	return false
}

// unpivot makes rows of columns: one column with their names, and one or several with their values.
func (a *analyser) unpivot(t *table, source *from) result {
	r := result{rows: source.rows}
	values := make([]column, len(t.UnpivotNames))
	for i, name := range t.UnpivotNames {
		values[i] = column{name, lineage.Deps{}}
	}
	taken := map[string]bool{}
	var names []column
	for _, p := range t.Pivots {
		for _, name := range p.UnpivotNames {
			names = append(names, column{name: name, deps: lineage.Deps{}})
		}
		for _, entry := range p.Entries {
			for i := range entry.Values {
				name, ok := entry.Values[i].text()
				at := source.index(name)
				if !ok || at < 0 || i >= len(values) {
					return result{tail: a.inputColumns(), rows: source.rows}
				}
				taken[strings.ToLower(name)] = true
				a.merge(values[i].deps, source.columns[at].column.deps, lineage.Transformation)
			}
			if entry.Star != nil {
				return result{tail: a.inputColumns(), rows: source.rows}
			}
		}
	}
	for _, c := range source.columns {
		if !taken[strings.ToLower(c.column.name)] {
			r.columns = append(r.columns, c.column)
		}
	}
	r.columns = slices.Concat(r.columns, names, values)
	return r
}
