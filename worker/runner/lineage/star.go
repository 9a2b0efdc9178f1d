package lineage

import (
	"regexp"
	"slices"
	"strings"

	"github.com/matih/pipeline-service/models/lineage"
)

// item follows an item of a select list: an expression is one column, a star several.
func (a *analyser) item(e *expr, s *scope, known *ctes) result {
	if e == nil {
		return result{lost: true}
	}
	if e.Class == "STAR" && !e.Columns && e.Expr == nil {
		return a.star(e, s, known)
	}
	if star, like := filteredStar(e); star != nil {
		return filtered(a.star(star, s, known), like)
	}
	if star := columnsStar(e); star != nil {
		return a.columns(e, star, s, known)
	}
	return result{columns: []column{{nameOf(e), a.expr(e, s, known)}}}
}

// nameOf is what DuckDB calls an expression's column, "" where it makes up a name.
func nameOf(e *expr) string {
	switch {
	case e.Alias != "":
		return e.Alias
	case e.Class == "COLUMN_REF" && len(e.Names) > 0:
		return e.Names[len(e.Names)-1]
	case e.Class == "FUNCTION" && e.Function == "count_star" && len(e.Children) == 0:
		return "count_star()"
	default:
		return ""
	}
}

// star expands * and t.*, with EXCLUDE, REPLACE and RENAME.
func (a *analyser) star(e *expr, s *scope, known *ctes) result {
	var out result
	for ; s != nil && s.from == nil; s = s.parent {
	}
	if s == nil {
		return result{lost: true}
	}
	listed := s.from.columns
	relations := s.from.relations
	if e.Relation != "" {
		i := slices.IndexFunc(relations, func(r *relation) bool { return strings.EqualFold(r.name, e.Relation) })
		if i < 0 {
			return result{lost: true} // a struct: its fields are not known
		}
		relations = relations[i : i+1]
		listed = single(relations[0]).columns
	}
	for _, c := range listed {
		if excluded(e, c) {
			continue
		}
		col := c.column
		if i := slices.IndexFunc(e.ReplaceList, func(r replacement) bool { return strings.EqualFold(r.Key, col.name) }); i >= 0 {
			col.deps = a.expr(e.ReplaceList[i].Value, s, known)
		}
		for _, r := range e.RenameList {
			if matches(r.Key, c) {
				col.name = r.Value
			}
		}
		out.columns = append(out.columns, col)
	}
	for i, r := range relations {
		switch {
		case r.lost, r.tail != nil && i < len(relations)-1, r.tail != nil && len(e.ExcludeList)+len(e.QualifiedExclude) > 0:
			out.lost = true
		case r.tail != nil:
			out.tail = r.tail
		}
	}
	return out
}

func excluded(e *expr, c seen) bool {
	return slices.ContainsFunc(e.ExcludeList, func(n string) bool { return strings.EqualFold(n, c.column.name) }) ||
		slices.ContainsFunc(e.QualifiedExclude, func(q qualified) bool { return matches(q, c) })
}

// matches reports whether a name with or without a table means a column.
func matches(q qualified, c seen) bool {
	if !strings.EqualFold(q.Column, c.column.name) {
		return false
	}
	return q.Table == "" || c.of != nil && strings.EqualFold(q.Table, c.of.name)
}

// columnsStar finds the COLUMNS(…) of an expression that is repeated for each of them. With the star before it, *COLUMNS(…),
// it stands for all at once.
func columnsStar(e *expr) *expr {
	if e == nil || e.Type == "OPERATOR_UNPACK" || e.Class == "SUBQUERY" {
		return nil
	}
	if e.Class == "STAR" && e.Columns && !e.Unpacked {
		return e
	}
	parts := slices.Concat(e.Children, []*expr{e.Left, e.Right, e.Child, e.Input, e.Lower, e.Upper, e.Else, e.Filter,
		e.OffsetExpr, e.DefaultExpr, e.FilterExpr}, e.Partitions)
	for _, c := range e.Cases {
		parts = append(parts, c.When, c.Then)
	}
	for _, o := range slices.Concat(e.Orders, e.ArgOrders) {
		parts = append(parts, o.Expr)
	}
	for _, part := range parts {
		if star := columnsStar(part); star != nil {
			return star
		}
	}
	return nil
}

// columns repeats an expression for each column that its COLUMNS(…) chooses.
func (a *analyser) columns(e, star *expr, s *scope, known *ctes) result {
	chosen, ok := choose(a.star(star, s, known), star.Expr)
	if !ok {
		return result{lost: true}
	}
	var out result
	for _, c := range chosen {
		inner := s.below()
		inner.star = &seen{column: c}
		named := e.Alias
		switch {
		case strings.Contains(named, `\`):
			named = "" // made of what the pattern found
		case named == "":
			named = c.name
		}
		out.columns = append(out.columns, column{named, a.expr(e, inner, known)})
	}
	return out
}

// choose picks the columns that COLUMNS(…) means: all, those a pattern finds, or those listed. What a lambda would choose is
// not known.
func choose(all result, by *expr) ([]column, bool) {
	if all.lost || all.tail != nil {
		return nil, false
	}
	if by == nil {
		return all.columns, true
	}
	if pattern, ok := by.Value.text(); ok && by.Class == "CONSTANT" {
		re, err := regexp.Compile(pattern) // DuckDB's patterns are RE2's, too
		if err != nil {
			return nil, false
		}
		return slices.DeleteFunc(slices.Clone(all.columns), func(c column) bool { return !re.MatchString(c.name) }), true
	}
	if by.Class != "FUNCTION" || by.Function != "list_value" {
		return nil, false
	}
	var chosen []column
	for _, item := range by.Children {
		text, ok := item.Value.text()
		i := slices.IndexFunc(all.columns, func(c column) bool { return strings.EqualFold(c.name, text) })
		if !ok || i < 0 {
			return nil, false
		}
		chosen = append(chosen, all.columns[i])
	}
	return chosen, true
}

// filteredStar recognises * LIKE 'pattern' and its like, and gives the star and the comparison.
func filteredStar(e *expr) (star, like *expr) {
	if e.Class == "FUNCTION" && e.IsOperator && len(e.Children) == 2 && e.Children[0] != nil && e.Children[1] != nil &&
		e.Children[0].Class == "STAR" && !e.Children[0].Columns {
		return e.Children[0], e
	}
	return nil, nil
}

// likes are the operators of LIKE and ILIKE that may follow a star.
var likes = []string{"~~", "~~*", "!~~", "!~~*"}

// filtered keeps the columns whose names are LIKE a pattern.
func filtered(all result, like *expr) result {
	pattern, ok := like.Children[1].Value.text()
	if !ok || all.lost || all.tail != nil || !slices.Contains(likes, like.Function) {
		return result{lost: true}
	}
	form := "(?s)^" + strings.NewReplacer("%", ".*", "_", ".").Replace(regexp.QuoteMeta(pattern)) + "$"
	if strings.HasSuffix(like.Function, "*") {
		form = "(?i)" + form
	}
	re, err := regexp.Compile(form)
	if err != nil {
		return result{lost: true}
	}
	negated := strings.HasPrefix(like.Function, "!")
	return result{columns: slices.DeleteFunc(slices.Clone(all.columns), func(c column) bool {
		return re.MatchString(c.name) == negated
	})}
}

// starValue is a star inside an expression: the column that is meant at the moment, or all.
func (a *analyser) starValue(out lineage.Deps, e *expr, s *scope) {
	if star := s.current(); star != nil && e.Columns && !e.Unpacked {
		a.merge(out, star.column.deps, lineage.Identity)
		return
	}
	all := a.star(e, s, nil)
	if all.lost {
		a.merge(out, s.everything(), lineage.Unknown)
		return
	}
	if chosen, ok := choose(all, e.Expr); ok {
		all.columns = chosen
	}
	a.merge(out, a.all(all), lineage.Transformation)
}
