package lineage

import (
	"slices"
	"strings"

	"github.com/matih/pipeline-service/models/lineage"
)

// column is a column of a relation or a result. DuckDB makes up the name of one whose name is "".
type column struct {
	name string
	deps lineage.Deps
}

// result is what a query returns.
type result struct {
	columns []column
	// rows decide which rows there are.
	rows lineage.Deps
	// tail says that further columns follow whose number is not known, and what each of them is made of; nil says that
	// there are none.
	tail lineage.Deps
	// lost says that columns stand at places that are not known.
	lost bool
}

// all is what any of the columns may be made of.
func (r result) all() lineage.Deps {
	all := lineage.Deps{}
	for _, c := range r.columns {
		all.Merge(c.deps, lineage.Identity)
	}
	all.Merge(r.tail, lineage.Identity)
	return all
}

// renamed is the result with its first columns under other names.
func (r result) renamed(names []string) result {
	if len(names) == 0 {
		return r
	}
	columns := slices.Clone(r.columns)
	for i, name := range names {
		if i < len(columns) {
			columns[i].name = name
		}
	}
	r.columns = columns
	return r
}

// relation is a table that a query reads, under the name it has there.
type relation struct {
	name string
	result
	whole lineage.Deps // once asked for
}

// all is what any of the columns may be made of. It is not to be changed.
func (r *relation) all() lineage.Deps {
	if r.whole == nil {
		r.whole = r.result.all()
	}
	return r.whole
}

func (r *relation) find(name string) (lineage.Deps, bool) {
	for _, c := range r.columns {
		if strings.EqualFold(c.name, name) {
			return c.deps, true
		}
	}
	return nil, false
}

// open reports whether the relation has columns that are not known by name.
func (r *relation) open() bool { return r.tail != nil || r.lost }

// seen is a column as * lists it. One that a join with USING has merged stands there once.
type seen struct {
	of     *relation // nil for one that was merged
	column column
}

// from is what FROM gives a query: tables by name, columns in their order, and what decides about the rows.
type from struct {
	relations []*relation
	columns   []seen
	rows      lineage.Deps
}

// scope is where names of columns are looked up.
type scope struct {
	parent *scope
	from   *from
	// aliases are the names the select list has given so far.
	aliases []column
	// aliasFirst has aliases hide columns, as in ORDER BY.
	aliasFirst bool
	// params are the parameters of a lambda.
	params []string
	// star is the column that COLUMNS(…) stands for at the moment.
	star *seen
}

// below is a scope inside s.
func (s *scope) below() *scope { return &scope{parent: s, star: s.current()} }

// current is the column that COLUMNS(…) stands for, nil for none.
func (s *scope) current() *seen {
	if s == nil {
		return nil
	}
	return s.star
}

// resolve finds what a column reference stands for, from the inside out as SQL does.
func (s *scope) resolve(names []string) (lineage.Deps, bool) {
	if len(names) == 0 {
		return nil, false
	}
	for ; s != nil; s = s.parent {
		if slices.ContainsFunc(s.params, func(p string) bool { return strings.EqualFold(p, names[0]) }) {
			return lineage.Deps{}, true // of the list, which is an argument beside the lambda
		}
		lookups := []func([]string) (lineage.Deps, bool){s.fromColumn, s.alias}
		if s.aliasFirst {
			lookups[0], lookups[1] = lookups[1], lookups[0]
		}
		for _, lookup := range lookups {
			if deps, ok := lookup(names); ok {
				return deps, true
			}
		}
	}
	return nil, false
}

// alias looks for an item of the select list.
func (s *scope) alias(names []string) (lineage.Deps, bool) {
	for _, a := range s.aliases {
		if strings.EqualFold(a.name, names[0]) {
			return field(a.deps, len(names) > 1), true
		}
	}
	return nil, false
}

// fromColumn looks for a column, a table's column, a field of a column, or a table as a whole.
func (s *scope) fromColumn(names []string) (lineage.Deps, bool) {
	if s.from == nil {
		return nil, false
	}
	for skip := range min(len(names)-1, 3) { // table, schema.table, catalog.schema.table
		for _, r := range s.from.relations {
			if !strings.EqualFold(r.name, names[skip]) {
				continue
			}
			if deps, ok := r.find(names[skip+1]); ok {
				return field(deps, len(names) > skip+2), true
			}
			if r.open() {
				return unknown(r.all()), true
			}
		}
	}
	if deps, ok := s.unqualified(names[0]); ok {
		return field(deps, len(names) > 1), true
	}
	for _, r := range s.from.relations {
		if strings.EqualFold(r.name, names[0]) && len(names) == 1 {
			return field(r.all(), true), true
		}
	}
	return nil, false
}

// unqualified finds a column by its name alone. Where several have it DuckDB would have refused the query, so that what is
// known here of the names is not all.
func (s *scope) unqualified(name string) (lineage.Deps, bool) {
	var found []lineage.Deps
	for _, c := range s.from.columns {
		if strings.EqualFold(c.column.name, name) {
			found = append(found, c.column.deps)
		}
	}
	switch len(found) {
	case 0:
		return nil, false
	case 1:
		return found[0], true
	default:
		all := lineage.Deps{}
		for _, deps := range found {
			all.Merge(deps, lineage.Unknown)
		}
		return all, true
	}
}

// everything is what any column in sight may be made of.
func (s *scope) everything() lineage.Deps {
	all := lineage.Deps{}
	for ; s != nil; s = s.parent {
		if s.from == nil {
			continue
		}
		for _, r := range s.from.relations {
			all.Merge(r.all(), lineage.Unknown)
		}
	}
	return all
}

// field is a part of a value, or the value.
func field(deps lineage.Deps, part bool) lineage.Deps {
	if !part {
		return deps
	}
	return through(deps, lineage.Transformation)
}

// through is what depends by kind on what has the dependencies.
func through(deps lineage.Deps, kind lineage.Kind) lineage.Deps {
	out := make(lineage.Deps, len(deps))
	out.Merge(deps, kind)
	return out
}

func unknown(deps lineage.Deps) lineage.Deps { return through(deps, lineage.Unknown) }
