package lineage

import (
	"slices"
	"strings"

	"github.com/matih/pipeline-service/models/lineage"
)

// ctes are the common table expressions in sight, the innermost first.
type ctes struct {
	name string
	result
	outer *ctes
}

func (c *ctes) find(name string) (result, bool) {
	for ; c != nil; c = c.outer {
		if strings.EqualFold(c.name, name) {
			return c.result, true
		}
	}
	return result{}, false
}

// query follows a query. outer is where it looks for names it does not know itself.
func (a *analyser) query(q *query, known *ctes, outer *scope) result {
	if q == nil || !a.spend(0) {
		return result{lost: true, rows: lineage.Deps{}}
	}
	if q.CTEs != nil {
		for _, c := range q.CTEs.Map {
			var r result
			if body := c.Value.Query.Node; body != nil && body.Type == "RECURSIVE_CTE_NODE" {
				r = a.recursive(body, c.Value.Aliases, known, outer)
			} else {
				r = a.query(body, known, outer)
			}
			known = &ctes{name: c.Key, result: r.renamed(c.Value.Aliases), outer: known}
		}
	}
	switch q.Type {
	case "SELECT_NODE":
		return a.selection(q, known, outer)
	case "SET_OPERATION_NODE":
		return a.setOperation(q, known, outer)
	case "RECURSIVE_CTE_NODE":
		return a.recursive(q, q.Aliases, known, outer)
	default:
		return result{lost: true, rows: a.inputColumns()}
	}
}

// inputColumns is every column of every input.
func (a *analyser) inputColumns() lineage.Deps {
	all := lineage.Deps{}
	for _, r := range a.inputs {
		a.merge(all, r.all(), lineage.Unknown)
	}
	return all
}

// recursive goes round until nothing new is found: what a column is made of only grows, and there is only so much.
func (a *analyser) recursive(q *query, aliases []string, known *ctes, outer *scope) result {
	sum := a.query(q.Left, known, outer).renamed(aliases)
	for a.spend(0) {
		round := a.query(q.Right, &ctes{name: q.CTEName, result: sum, outer: known}, outer)
		next := a.union(sum, round)
		if same(sum, next) {
			break
		}
		sum = next
	}
	if !q.UnionAll {
		a.group(sum.rows, sum)
	}
	return sum
}

func same(a, b result) bool {
	if a.lost != b.lost || len(a.columns) != len(b.columns) || (a.tail == nil) != (b.tail == nil) {
		return false
	}
	for i := range a.columns {
		if !equal(a.columns[i].deps, b.columns[i].deps) {
			return false
		}
	}
	return equal(a.rows, b.rows) && equal(a.tail, b.tail)
}

func equal(a, b lineage.Deps) bool {
	if len(a) != len(b) {
		return false
	}
	for r, k := range a {
		if b[r] != k {
			return false
		}
	}
	return true
}

func (a *analyser) setOperation(q *query, known *ctes, outer *scope) result {
	children := q.Children
	if len(children) == 0 {
		children = []*query{q.Left, q.Right}
	}
	sum := a.query(children[0], known, outer)
	for _, child := range children[1:] {
		next := a.query(child, known, outer)
		switch q.SetOp {
		case "UNION":
			sum = a.union(sum, next)
		case "UNION_BY_NAME":
			sum = a.unionByName(sum, next)
		case "EXCEPT", "INTERSECT":
			rows := lineage.Deps{}
			a.merge(rows, sum.rows, lineage.Identity)
			a.merge(rows, next.rows, lineage.Identity)
			a.merge(rows, a.all(sum), lineage.Filter)
			a.merge(rows, a.all(next), lineage.Filter)
			sum.rows = rows
		default:
			return result{lost: true, rows: a.inputColumns()}
		}
	}
	if q.SetAll != nil && !*q.SetAll && strings.HasPrefix(q.SetOp, "UNION") {
		a.group(sum.rows, sum)
	}
	s := &scope{parent: outer, from: &from{rows: sum.rows}, aliases: sum.columns}
	a.modifiers(q, sum, s, known)
	return sum
}

// group has rows depend on all columns of a result, as DISTINCT does.
func (a *analyser) group(rows lineage.Deps, r result) {
	for _, c := range r.columns {
		a.merge(rows, c.deps, lineage.GroupBy)
	}
	a.merge(rows, r.tail, lineage.GroupBy)
}

// union puts results under each other by place.
func (a *analyser) union(left, right result) result {
	if left.tail != nil || right.tail != nil || len(left.columns) != len(right.columns) {
		left.lost = true
	}
	sum := result{rows: lineage.Deps{}, lost: left.lost || right.lost, tail: left.tail}
	a.merge(sum.rows, left.rows, lineage.Identity)
	a.merge(sum.rows, right.rows, lineage.Identity)
	for i, c := range left.columns {
		both := lineage.Deps{}
		a.merge(both, c.deps, lineage.Identity)
		if i < len(right.columns) {
			a.merge(both, right.columns[i].deps, lineage.Identity)
		}
		sum.columns = append(sum.columns, column{c.name, both})
	}
	return sum
}

// unionByName puts results under each other by the names of their columns.
func (a *analyser) unionByName(left, right result) result {
	sum := result{rows: lineage.Deps{}, lost: left.lost || right.lost || left.tail != nil || right.tail != nil}
	a.merge(sum.rows, left.rows, lineage.Identity)
	a.merge(sum.rows, right.rows, lineage.Identity)
	for _, c := range slices.Concat(left.columns, right.columns) {
		i := slices.IndexFunc(sum.columns, func(known column) bool { return strings.EqualFold(known.name, c.name) })
		if c.name == "" {
			sum.lost = true // DuckDB knows its name, and this does not
		}
		if i < 0 {
			i = len(sum.columns)
			sum.columns = append(sum.columns, column{c.name, lineage.Deps{}})
		}
		a.merge(sum.columns[i].deps, c.deps, lineage.Identity)
	}
	return sum
}

func (a *analyser) selection(q *query, known *ctes, outer *scope) result {
	f := a.from(q.From, known, outer)
	s := &scope{parent: outer, from: f}
	out := result{rows: lineage.Deps{}}
	a.merge(out.rows, f.rows, lineage.Identity)
	plain := lineage.Deps{} // what items without an aggregate are made of
	for _, item := range q.SelectList {
		items := a.item(item, s, known)
		out.add(items)
		s.aliases = append(s.aliases, items.columns...)
		if !aggregates(item) {
			a.merge(plain, a.all(items), lineage.Identity)
		}
	}
	a.clause(out.rows, q.Where, s, known, lineage.Filter)
	for _, g := range q.Groups {
		a.term(out, g, s, known, lineage.GroupBy)
	}
	if q.Aggregation == "FORCE_AGGREGATES" && len(q.Groups) == 0 {
		a.merge(out.rows, plain, lineage.GroupBy)
	}
	a.clause(out.rows, q.Having, s, known, lineage.Filter)
	a.clause(out.rows, q.Qualify, s, known, lineage.Filter)
	a.modifiers(q, out, s, known)
	return out
}

// add appends the columns of an item of the select list.
func (r *result) add(items result) {
	if r.tail != nil && len(items.columns) > 0 {
		r.lost = true
	}
	r.columns = append(r.columns, items.columns...)
	r.lost = r.lost || items.lost
	if items.tail != nil {
		tail := lineage.Deps{}
		tail.Merge(r.tail, lineage.Identity)
		tail.Merge(items.tail, lineage.Identity)
		r.lost = r.lost || r.tail != nil
		r.tail = tail
	}
}

// clause adds what an expression is made of to what decides about rows.
func (a *analyser) clause(rows lineage.Deps, e *expr, s *scope, known *ctes, kind lineage.Kind) {
	if e != nil {
		a.merge(rows, a.expr(e, s, known), kind)
	}
}

// term adds what an item of GROUP BY, ORDER BY or DISTINCT ON looks at: an expression, a place in the select list, or ALL.
func (a *analyser) term(out result, e *expr, s *scope, known *ctes, kind lineage.Kind) {
	n, isPlace := place(e)
	switch {
	case isPlace && n <= len(out.columns):
		a.merge(out.rows, out.columns[n-1].deps, kind)
	case isPlace, e != nil && e.Class == "STAR":
		a.merge(out.rows, a.all(out), kind)
	default:
		a.clause(out.rows, e, s, known, kind)
	}
}

// place is the number that stands for an item of the select list.
func place(e *expr) (int, bool) {
	if e == nil || e.Class != "CONSTANT" || e.Value == nil {
		return 0, false
	}
	n, ok := e.Value.Value.(float64)
	return int(n), ok && n >= 1
}

// modifiers adds what DISTINCT, ORDER BY and LIMIT look at to what decides about rows.
func (a *analyser) modifiers(q *query, out result, s *scope, known *ctes) {
	ordering := &scope{parent: s.parent, from: s.from, aliases: s.aliases, aliasFirst: true}
	for _, m := range q.Modifiers {
		if m.Type == "DISTINCT_MODIFIER" && len(m.Distinct) == 0 {
			a.group(out.rows, out)
		}
		for _, e := range m.Distinct {
			a.term(out, e, ordering, known, lineage.GroupBy)
		}
		for _, o := range m.Orders {
			a.term(out, o.Expr, ordering, known, lineage.Sort)
		}
		a.clause(out.rows, m.Limit, s, known, lineage.Filter)
		a.clause(out.rows, m.Offset, s, known, lineage.Filter)
	}
}
