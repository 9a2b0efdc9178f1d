// Package lineage says what data of a pipeline come from what: the data sets a definition reads and writes,
// and the columns its steps make of others.
package lineage

import "slices"

// Kind is how a column, or which rows there are, depends on a column. The words are OpenLineage's.
type Kind string

// A direct dependency hands values on: unchanged, computed, or summed up. An indirect one decides about values or rows
// without being among them. UNKNOWN is said where a dependency is possible and nothing more can be told.
const (
	Identity       Kind = "IDENTITY"
	Transformation Kind = "TRANSFORMATION"
	Aggregation    Kind = "AGGREGATION"
	Conditional    Kind = "CONDITIONAL"
	Filter         Kind = "FILTER"
	Join           Kind = "JOIN"
	GroupBy        Kind = "GROUP_BY"
	Sort           Kind = "SORT"
	Window         Kind = "WINDOW"
	Unknown        Kind = "UNKNOWN"
)

// AllKinds lists every kind: the direct ones from the weakest change to the strongest, the indirect ones, UNKNOWN.
var AllKinds = []Kind{
	Identity, Transformation, Aggregation, Conditional, Filter, Join, GroupBy, Sort, Window, Unknown,
}

// directKinds is how many of AllKinds are direct.
const directKinds = 3

// Direct reports whether values are handed on.
func (k Kind) Direct() bool { return k == Identity || k == Transformation || k == Aggregation }

// Kinds is a set of kinds.
type Kinds uint16

// Of is the set of one kind; none for what is no kind.
func Of(k Kind) Kinds {
	i := slices.Index(AllKinds, k)
	if i < 0 {
		return 0
	}
	return 1 << i
}

func (s Kinds) has(i int) bool { return s&(1<<i) != 0 }

// Then is how something depends on a column where it depends by outer on what depends on the column by s. An indirect
// dependency stays one whatever is done with it; of direct ones the stronger change counts.
func (s Kinds) Then(outer Kind) Kinds {
	var out Kinds
	last := len(AllKinds) - 1
	o := slices.Index(AllKinds, outer)
	for i := range AllKinds {
		switch {
		case !s.has(i):
		case i == last || o == last || o < 0:
			out |= 1 << last
		case o >= directKinds:
			out |= 1 << o
		case i >= directKinds:
			out |= 1 << i
		default:
			out |= 1 << max(i, o)
		}
	}
	return out
}

// List names the kinds that say something: of direct ones the strongest, and UNKNOWN alone where it is among them.
func (s Kinds) List() []Kind {
	if s&Of(Unknown) != 0 {
		return []Kind{Unknown}
	}
	var kinds []Kind
	for i := directKinds - 1; i >= 0; i-- {
		if s.has(i) {
			kinds = append(kinds, AllKinds[i])
			break
		}
	}
	for i := directKinds; i < len(AllKinds); i++ {
		if s.has(i) {
			kinds = append(kinds, AllKinds[i])
		}
	}
	return kinds
}
