package lineage

import "encoding/json"

// The types in this file are DuckDB's parse tree as json_serialize_sql writes it without defaults. They are read strictly:
// a field nobody has thought of could hold an expression, so it makes the lineage unknown rather than wrong.

// ignored is a part of the tree that names no column.
type ignored = json.RawMessage

type tree struct {
	Error      bool        `json:"error"`
	Statements []statement `json:"statements"`
}

type statement struct {
	Node        *query  `json:"node"`
	NamedParams ignored `json:"named_param_map"`
}

// query is a SELECT, a set operation or the inside of a recursive CTE.
type query struct {
	Type      string     `json:"type"`
	Modifiers []modifier `json:"modifiers"`
	CTEs      *cteMap    `json:"cte_map"`

	SelectList  []*expr `json:"select_list"`
	From        *table  `json:"from_table"`
	Where       *expr   `json:"where_clause"`
	Groups      []*expr `json:"group_expressions"`
	GroupSets   ignored `json:"group_sets"`
	Aggregation string  `json:"aggregate_handling"`
	Having      *expr   `json:"having"`
	Qualify     *expr   `json:"qualify"`
	Sample      ignored `json:"sample"`

	SetOp    string   `json:"setop_type"`
	SetAll   *bool    `json:"setop_all"` // true where it is left out
	Left     *query   `json:"left"`
	Right    *query   `json:"right"`
	Children []*query `json:"children"`

	CTEName    string   `json:"cte_name"`
	UnionAll   bool     `json:"union_all"`
	Aliases    []string `json:"aliases"`
	KeyTargets []*expr  `json:"key_targets"`
	PayloadAgg ignored  `json:"payload_aggregates"`
}

type cteMap struct {
	Map []struct {
		Key   string `json:"key"`
		Value struct {
			Aliases      []string `json:"aliases"`
			Query        subquery `json:"query"`
			Materialized string   `json:"materialized"`
			KeyTargets   []*expr  `json:"key_targets"`
			PayloadAgg   ignored  `json:"payload_aggregates"`
		} `json:"value"`
	} `json:"map"`
}

type subquery struct {
	Node        *query  `json:"node"`
	NamedParams ignored `json:"named_param_map"`
}

type modifier struct {
	Type     string  `json:"type"`
	Orders   []order `json:"orders"`
	Distinct []*expr `json:"distinct_on_targets"`
	Limit    *expr   `json:"limit"`
	Offset   *expr   `json:"offset"`
}

type order struct {
	Type      string `json:"type"`
	NullOrder string `json:"null_order"`
	Expr      *expr  `json:"expression"`
}

// table is what stands in FROM.
type table struct {
	Type          string   `json:"type"`
	Alias         string   `json:"alias"`
	Location      ignored  `json:"query_location"`
	Sample        ignored  `json:"sample"`
	ColumnAliases []string `json:"column_name_alias"`

	Catalog string  `json:"catalog_name"`
	Schema  string  `json:"schema_name"`
	Name    string  `json:"table_name"`
	At      ignored `json:"at_clause"`

	Left      *table   `json:"left"`
	Right     *table   `json:"right"`
	Condition *expr    `json:"condition"`
	JoinType  string   `json:"join_type"`
	RefType   string   `json:"ref_type"`
	Using     []string `json:"using_columns"`
	Implicit  bool     `json:"is_implicit"`
	Flipped   bool     `json:"delim_flipped"`

	Subquery *subquery `json:"subquery"`

	Function   *expr `json:"function"`
	Ordinality any   `json:"with_ordinality"`

	Values        [][]*expr `json:"values"`
	ExpectedNames []string  `json:"expected_names"`
	ExpectedTypes ignored   `json:"expected_types"`

	Source       *table   `json:"source"`
	Aggregates   []*expr  `json:"aggregates"`
	UnpivotNames []string `json:"unpivot_names"`
	Pivots       []pivot  `json:"pivots"`
	Groups       []string `json:"groups"`
	IncludeNulls bool     `json:"include_nulls"`

	// DESCRIBE, SUMMARIZE and the like.
	Query    ignored `json:"query"`
	ShowType string  `json:"show_type"`
}

type pivot struct {
	Exprs        []*expr  `json:"pivot_expressions"`
	UnpivotNames []string `json:"unpivot_names"`
	Entries      []struct {
		Values []value `json:"values"`
		Star   *expr   `json:"star_expr"`
		Alias  string  `json:"alias"`
	} `json:"entries"`
	Enum     string  `json:"pivot_enum"`
	Subquery ignored `json:"subquery"`
}

// value is a constant.
type value struct {
	Type   ignored `json:"type"`
	IsNull bool    `json:"is_null"`
	Value  any     `json:"value"`
}

// text is a constant's text, and whether it is one.
func (v *value) text() (string, bool) {
	if v == nil {
		return "", false
	}
	s, ok := v.Value.(string)
	return s, ok
}

// expr is an expression.
type expr struct {
	Class    string  `json:"class"`
	Type     string  `json:"type"`
	Alias    string  `json:"alias"`
	Location ignored `json:"query_location"`

	Names []string `json:"column_names"`
	Value *value   `json:"value"`
	Index int      `json:"index"`

	Function   string    `json:"function_name"`
	Catalog    string    `json:"catalog"`
	Schema     string    `json:"schema"`
	Children   []*expr   `json:"children"`
	Filter     *expr     `json:"filter"`
	OrderBys   *modifier `json:"order_bys"`
	Distinct   bool      `json:"distinct"`
	IsOperator bool      `json:"is_operator"`
	Export     bool      `json:"export_state"`

	Partitions  []*expr `json:"partitions"`
	Orders      []order `json:"orders"`
	ArgOrders   []order `json:"arg_orders"`
	Start       string  `json:"start"`
	End         string  `json:"end"`
	StartExpr   *expr   `json:"start_expr"`
	EndExpr     *expr   `json:"end_expr"`
	OffsetExpr  *expr   `json:"offset_expr"`
	DefaultExpr *expr   `json:"default_expr"`
	FilterExpr  *expr   `json:"filter_expr"`
	IgnoreNulls bool    `json:"ignore_nulls"`
	Exclude     string  `json:"exclude_clause"`

	Cases []struct {
		When *expr `json:"when_expr"`
		Then *expr `json:"then_expr"`
	} `json:"case_checks"`
	Else *expr `json:"else_expr"`

	Left      *expr   `json:"left"`
	Right     *expr   `json:"right"`
	Child     *expr   `json:"child"`
	CastType  ignored `json:"cast_type"`
	TryCast   bool    `json:"try_cast"`
	Collation string  `json:"collation"`
	Input     *expr   `json:"input"`
	Lower     *expr   `json:"lower"`
	Upper     *expr   `json:"upper"`

	Subquery     *subquery `json:"subquery"`
	SubqueryType string    `json:"subquery_type"`
	Comparison   string    `json:"comparison_type"`

	Lhs  *expr `json:"lhs"`
	Expr *expr `json:"expr"`

	// Of a STAR.
	Relation         string        `json:"relation_name"`
	Columns          bool          `json:"columns"`
	ExcludeList      []string      `json:"exclude_list"`
	QualifiedExclude []qualified   `json:"qualified_exclude_list"`
	ReplaceList      []replacement `json:"replace_list"`
	RenameList       []rename      `json:"rename_list"`
	Unpacked         bool          `json:"unpacked"`
}

type qualified struct {
	Catalog string `json:"catalog"`
	Schema  string `json:"schema"`
	Table   string `json:"table"`
	Column  string `json:"column"`
}

type replacement struct {
	Key   string `json:"key"`
	Value *expr  `json:"value"`
}

type rename struct {
	Key   qualified `json:"key"`
	Value string    `json:"value"`
}
