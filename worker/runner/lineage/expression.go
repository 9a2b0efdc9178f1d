package lineage

import (
	"slices"
	"strings"

	"github.com/matih/pipeline-service/models/lineage"
)

// expr tells what the value of an expression is made of.
func (a *analyser) expr(e *expr, s *scope, known *ctes) lineage.Deps {
	out := lineage.Deps{}
	if e == nil || !a.spend(0) {
		return out
	}
	add := func(kind lineage.Kind, parts ...*expr) {
		for _, part := range parts {
			if part != nil {
				a.merge(out, a.expr(part, s, known), kind)
			}
		}
	}
	switch e.Class {
	case "CONSTANT", "PARAMETER", "DEFAULT", "LAMBDA_REF":
	case "COLUMN_REF":
		return a.columnRef(e, s)
	case "POSITIONAL_REFERENCE":
		return a.position(e, s)
	case "FUNCTION":
		a.function(out, e, s, known)
	case "WINDOW":
		a.window(out, e, s, known)
	case "CASE":
		for _, c := range e.Cases {
			add(lineage.Conditional, c.When)
			add(lineage.Transformation, c.Then)
		}
		add(lineage.Transformation, e.Else)
	case "CAST", "COLLATE":
		add(lineage.Transformation, e.Child)
	case "OPERATOR":
		if e.Type == "GROUPING_FUNCTION" {
			add(lineage.GroupBy, e.Children...)
			break
		}
		add(lineage.Transformation, e.Children...)
	case "CONJUNCTION":
		add(lineage.Transformation, e.Children...)
	case "COMPARISON":
		add(lineage.Transformation, e.Left, e.Right)
	case "BETWEEN":
		add(lineage.Transformation, e.Input, e.Lower, e.Upper)
	case "SUBQUERY":
		a.subquery(out, e, s, known)
	case "LAMBDA": // where no lambda is wanted the arrow is JSON's operator
		add(lineage.Transformation, e.Lhs, e.Expr)
	case "STAR":
		a.starValue(out, e, s)
	default:
		a.merge(out, s.everything(), lineage.Unknown)
	}
	return out
}

func (a *analyser) columnRef(e *expr, s *scope) lineage.Deps {
	if deps, ok := s.resolve(e.Names); ok {
		a.spend(len(deps))
		return deps
	}
	if len(e.Names) == 1 && slices.Contains(valueNames, strings.ToLower(e.Names[0])) {
		return lineage.Deps{}
	}
	return s.everything()
}

// position is #1 and the like: a column by its place in FROM.
func (a *analyser) position(e *expr, s *scope) lineage.Deps {
	for ; s != nil; s = s.parent {
		if s.from == nil {
			continue
		}
		if e.Index >= 1 && e.Index <= len(s.from.columns) && !slices.ContainsFunc(s.from.relations, (*relation).open) {
			return s.from.columns[e.Index-1].column.deps
		}
		return s.everything()
	}
	return lineage.Deps{}
}

func (a *analyser) function(out lineage.Deps, e *expr, s *scope, known *ctes) {
	kind := lineage.Transformation
	name := strings.ToLower(e.Function)
	if aggregateFunctions[name] {
		kind = lineage.Aggregation
	}
	for _, child := range e.Children {
		if child != nil && child.Class == "LAMBDA" && lambdaFunctions[name] {
			inner := s.below()
			inner.params = parameters(child.Lhs)
			a.merge(out, a.expr(child.Expr, inner, known), kind)
			continue
		}
		a.merge(out, a.expr(child, s, known), kind)
	}
	a.clause(out, e.Filter, s, known, lineage.Filter)
	if e.OrderBys != nil {
		a.orders(out, e.OrderBys.Orders, s, known, lineage.Sort)
	}
}

// parameters are the names before a lambda's arrow: one, or a list of them.
func parameters(e *expr) []string {
	if e == nil {
		return nil
	}
	var names []string
	if e.Class == "COLUMN_REF" && len(e.Names) > 0 {
		names = append(names, e.Names[0])
	}
	for _, child := range e.Children {
		names = append(names, parameters(child)...)
	}
	return names
}

func (a *analyser) orders(out lineage.Deps, orders []order, s *scope, known *ctes, kind lineage.Kind) {
	for _, o := range orders {
		a.clause(out, o.Expr, s, known, kind)
	}
}

func (a *analyser) window(out lineage.Deps, e *expr, s *scope, known *ctes) {
	kind := lineage.Transformation
	if e.Type == "WINDOW_AGGREGATE" {
		kind = lineage.Aggregation
	}
	for _, child := range slices.Concat(e.Children, []*expr{e.OffsetExpr, e.DefaultExpr}) {
		a.clause(out, child, s, known, kind)
	}
	for _, part := range slices.Concat(e.Partitions, []*expr{e.StartExpr, e.EndExpr}) {
		a.clause(out, part, s, known, lineage.Window)
	}
	a.orders(out, e.Orders, s, known, lineage.Window)
	a.orders(out, e.ArgOrders, s, known, lineage.Sort)
	a.clause(out, e.FilterExpr, s, known, lineage.Filter)
}

// subquery is a query that stands for a value. What decides about its rows decides about the value, too.
func (a *analyser) subquery(out lineage.Deps, e *expr, s *scope, known *ctes) {
	if e.Subquery == nil {
		return
	}
	inner := a.query(e.Subquery.Node, known, s)
	a.merge(out, inner.rows, lineage.Identity)
	switch {
	case inner.lost:
		a.merge(out, a.inputColumns(), lineage.Unknown)
	case e.SubqueryType != "EXISTS" && e.SubqueryType != "NOT_EXISTS":
		a.merge(out, a.all(inner), lineage.Transformation)
	}
	for _, child := range append([]*expr{e.Child}, e.Children...) {
		if child != nil {
			a.merge(out, a.expr(child, s, known), lineage.Transformation)
		}
	}
}

// aggregates reports whether an expression has an aggregate of its own.
func aggregates(e *expr) bool {
	if e == nil {
		return false
	}
	if e.Class == "FUNCTION" && aggregateFunctions[strings.ToLower(e.Function)] {
		return true
	}
	parts := slices.Concat(e.Children, []*expr{e.Left, e.Right, e.Child, e.Input, e.Lower, e.Upper, e.Else, e.OffsetExpr, e.DefaultExpr},
		e.Partitions)
	for _, c := range e.Cases {
		parts = append(parts, c.When, c.Then)
	}
	for _, o := range e.Orders {
		parts = append(parts, o.Expr)
	}
	return slices.ContainsFunc(parts, aggregates)
}
