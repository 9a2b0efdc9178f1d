package definition

import "github.com/invopop/jsonschema"

// transformationDoc is a transformation as it is written: one of its variants, by the key "type".
type transformationDoc struct {
	Name        string          `json:"-"`
	SQL         *sqlDoc         `json:"sql_transform"`
	LookupJoin  *lookupJoinDoc  `json:"lookup_join"`
	SchemaCheck *schemaCheckDoc `json:"schema_check"`
	Deduplicate *deduplicateDoc `json:"deduplicate"`
	Filter      *filterDoc      `json:"filter"`
	Select      *selectDoc      `json:"select"`
	Aggregate   *aggregateDoc   `json:"aggregate"`
}

func (t *transformationDoc) decode(d *decoder, n *node, at *path) { d.variant(t, n, nil, at) }

// JSONSchemaExtend makes the variants a choice.
func (transformationDoc) JSONSchemaExtend(s *jsonschema.Schema) { oneOfVariants(s) }

// transformationBase is what all transformations have.
type transformationBase struct {
	Name   stepName `json:"name" jsonschema:"required"`
	Input  string   `json:"input" jsonschema:"minLength=1" jsonschema_description:"The step to read; either this or inputs."`
	Inputs []string `json:"inputs" jsonschema:"minItems=1,minLength=1" jsonschema_description:"The steps to read; either this or input."`
}

type sqlDoc struct {
	Type string `json:"type" jsonschema:"required,enum=sql_transform"`
	transformationBase
	SQL string `json:"sql" jsonschema:"required,minLength=1" jsonschema_description:"One SELECT in DuckDB's dialect over the names of the inputs. ${name} is a parameter as a typed literal, {{ input }} the single input."`
}

type lookupJoinDoc struct {
	Type string `json:"type" jsonschema:"required,enum=lookup_join"`
	transformationBase
	Lookup  string   `json:"lookup" jsonschema:"required,minLength=1" jsonschema_description:"The step with one row for each key."`
	Keys    joinKeys `json:"keys" jsonschema:"required"`
	Columns []string `json:"columns" jsonschema:"minItems=1,minLength=1" jsonschema_description:"Columns of the lookup to add; all but its keys unless given."`
	How     JoinHow  `json:"how" jsonschema:"enum=left,enum=inner,default=left" jsonschema_description:"What becomes of rows without a match: left keeps them with nulls, inner drops them."`
}

type schemaCheckDoc struct {
	Type string `json:"type" jsonschema:"required,enum=schema_check"`
	transformationBase
	ExpectedColumns expectedColumns `json:"expected_columns" jsonschema:"required"`
}

type deduplicateDoc struct {
	Type string `json:"type" jsonschema:"required,enum=deduplicate"`
	transformationBase
	Keys    []string `json:"keys" jsonschema:"required,minItems=1,minLength=1" jsonschema_description:"One row is kept for each value of these columns."`
	OrderBy []string `json:"order_by" jsonschema:"minItems=1,minLength=1" jsonschema_description:"Columns, with asc or desc, by which the row to keep comes first."`
}

type filterDoc struct {
	Type string `json:"type" jsonschema:"required,enum=filter"`
	transformationBase
	Condition string `json:"condition" jsonschema:"required,minLength=1" jsonschema_description:"SQL that is true for the rows to keep."`
}

type selectDoc struct {
	Type string `json:"type" jsonschema:"required,enum=select"`
	transformationBase
	Columns selectColumns `json:"columns" jsonschema:"required"`
}

type aggregateDoc struct {
	Type string `json:"type" jsonschema:"required,enum=aggregate"`
	transformationBase
	GroupBy  []string `json:"group_by" jsonschema:"minLength=1" jsonschema_description:"The columns to group by; one group of all rows unless given."`
	Measures measures `json:"measures" jsonschema:"required"`
}

func (b *builder) transformation(doc transformationDoc, at *path) Transformation {
	t := Transformation{Name: doc.Name}
	switch {
	case doc.SQL != nil:
		t.Type, t.SQL = TransformSQL, &SQLTransform{SQL: doc.SQL.SQL}
		t.Inputs = b.inputs(doc.SQL.transformationBase, at)
	case doc.LookupJoin != nil:
		t.Type, t.LookupJoin = TransformLookupJoin, b.lookupJoin(*doc.LookupJoin, at)
		t.Inputs = compact(t.LookupJoin.Input, t.LookupJoin.Lookup)
	case doc.SchemaCheck != nil:
		t.Type, t.SchemaCheck = TransformSchemaCheck, &SchemaCheck{ExpectedColumns: doc.SchemaCheck.ExpectedColumns}
		t.Inputs = compact(b.input(doc.SchemaCheck.transformationBase, at))
		b.distinct(columnNames(doc.SchemaCheck.ExpectedColumns), at.at("expected_columns"))
	case doc.Deduplicate != nil:
		t.Type, t.Deduplicate = TransformDeduplicate, &Deduplicate{Keys: doc.Deduplicate.Keys, OrderBy: doc.Deduplicate.OrderBy}
		t.Inputs = compact(b.input(doc.Deduplicate.transformationBase, at))
		b.distinct(doc.Deduplicate.Keys, at.at("keys"))
	case doc.Filter != nil:
		t.Type, t.Filter = TransformFilter, &Filter{Condition: doc.Filter.Condition}
		t.Inputs = compact(b.input(doc.Filter.transformationBase, at))
	case doc.Select != nil:
		t.Type, t.Select = TransformSelect, &Select{Columns: doc.Select.Columns}
		t.Inputs = compact(b.input(doc.Select.transformationBase, at))
		b.distinct(selectedNames(doc.Select.Columns), at.at("columns"))
	case doc.Aggregate != nil:
		t.Type, t.Aggregate = TransformAggregate, b.aggregate(*doc.Aggregate, at)
		t.Inputs = compact(b.input(doc.Aggregate.transformationBase, at))
	}
	return t
}

func (b *builder) lookupJoin(doc lookupJoinDoc, at *path) *LookupJoin {
	j := &LookupJoin{Input: b.input(doc.transformationBase, at), Keys: doc.Keys, Columns: doc.Columns, How: doc.How}
	if j.How == "" {
		j.How = JoinLeft
	}
	if doc.Lookup != "" {
		j.Lookup = b.dataset(doc.Lookup, string(doc.Name), at.at("lookup"))
	}
	if j.Lookup != "" && j.Lookup == j.Input {
		b.add(at.at("lookup"), "must be another step than the input")
	}
	var left, right []string
	for _, k := range doc.Keys {
		left, right = append(left, k.Left), append(right, k.Right)
	}
	b.distinct(left, at.at("keys"))
	b.distinct(right, at.at("keys"))
	b.distinct(doc.Columns, at.at("columns"))
	return j
}

func (b *builder) aggregate(doc aggregateDoc, at *path) *Aggregate {
	b.distinct(doc.GroupBy, at.at("group_by"))
	grouped := map[string]bool{}
	for _, column := range doc.GroupBy {
		grouped[column] = true
	}
	for _, m := range doc.Measures {
		if grouped[m.Name] {
			b.add(at.at("measures").at(m.Name), "has the name of a column of group_by")
		}
	}
	return &Aggregate{GroupBy: doc.GroupBy, Measures: doc.Measures}
}

// inputs gives the steps a transformation reads, those that exist.
func (b *builder) inputs(doc transformationBase, at *path) []string {
	list := at.at("inputs")
	switch {
	case doc.Input != "" && doc.Inputs != nil:
		b.add(list, "cannot be given together with input")
		return compact(b.dataset(doc.Input, string(doc.Name), at.at("input")))
	case doc.Input != "":
		return compact(b.dataset(doc.Input, string(doc.Name), at.at("input")))
	case doc.Inputs == nil && !b.has(list):
		b.add(at.at("input"), "is required, or else inputs")
		return nil
	}
	var inputs []string
	seen := map[string]bool{}
	for i, name := range doc.Inputs {
		switch {
		case name == "":
		case seen[name]:
			b.add(list.item(i), "%s is given twice", quote(name))
		default:
			inputs = append(inputs, compact(b.dataset(name, string(doc.Name), list.item(i)))...)
		}
		seen[name] = true
	}
	return inputs
}

// input gives the one step that a transformation reads, "" where it does not exist.
func (b *builder) input(doc transformationBase, at *path) string {
	inputs := b.inputs(doc, at)
	if len(doc.Inputs) > 1 {
		b.add(at.at("inputs"), "must be a single one for this type")
	}
	if len(inputs) == 0 {
		return ""
	}
	return inputs[0]
}

func columnNames(columns []ColumnType) []string {
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = c.Column
	}
	return names
}

func selectedNames(columns []SelectColumn) []string {
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = c.As
		if c.As == "" {
			names[i] = c.Column
		}
	}
	return names
}
