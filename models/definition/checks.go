package definition

import (
	"encoding/json"
	"math/big"
	"time"

	"github.com/invopop/jsonschema"
)

// checkDoc is a quality check as it is written: one of its variants, by the key "type".
type checkDoc struct {
	Name           string             `json:"-"`
	NotNull        *notNullDoc        `json:"not_null"`
	Unique         *uniqueDoc         `json:"unique"`
	RowCount       *rowCountDoc       `json:"row_count"`
	Range          *rangeDoc          `json:"range"`
	AcceptedValues *acceptedValuesDoc `json:"accepted_values"`
	Regex          *regexDoc          `json:"regex"`
	Freshness      *freshnessDoc      `json:"freshness"`
	Referential    *referentialDoc    `json:"referential"`
	CustomSQL      *customSQLDoc      `json:"custom_sql"`
}

func (c *checkDoc) decode(d *decoder, n *node, at *path) { d.variant(c, n, nil, at) }

// JSONSchemaExtend makes the variants a choice.
func (checkDoc) JSONSchemaExtend(s *jsonschema.Schema) { oneOfVariants(s) }

// checkBase is what all checks have.
type checkBase struct {
	Name      stepName  `json:"name" jsonschema:"required"`
	Input     string    `json:"input" jsonschema:"required,minLength=1" jsonschema_description:"The step whose rows are looked at."`
	OnFailure OnFailure `json:"on_failure" jsonschema:"enum=warn,enum=fail,enum=quarantine,enum=approve,default=fail" jsonschema_description:"What happens where more rows fail than threshold allows; quarantine sets every failing row aside."`
	Threshold float64   `json:"threshold" jsonschema:"minimum=0,maximum=1,default=0" jsonschema_description:"The share of rows that may fail."`
}

// columnsBase names one column or several.
type columnsBase struct {
	Column  string   `json:"column" jsonschema:"minLength=1" jsonschema_description:"Either this or columns."`
	Columns []string `json:"columns" jsonschema:"minItems=1,minLength=1" jsonschema_description:"Either this or column."`
}

// columnBase names one column.
type columnBase struct {
	Column string `json:"column" jsonschema:"required,minLength=1"`
}

type notNullDoc struct {
	Type string `json:"type" jsonschema:"required,enum=not_null"`
	checkBase
	columnsBase
}

type uniqueDoc struct {
	Type string `json:"type" jsonschema:"required,enum=unique"`
	checkBase
	columnsBase
}

type rowCountDoc struct {
	Type string `json:"type" jsonschema:"required,enum=row_count"`
	checkBase
	Min *int `json:"min" jsonschema:"minimum=0"`
	Max *int `json:"max" jsonschema:"minimum=0"`
}

type rangeDoc struct {
	Type string `json:"type" jsonschema:"required,enum=range"`
	checkBase
	columnBase
	Min *bound `json:"min" jsonschema_description:"The least value allowed."`
	Max *bound `json:"max" jsonschema_description:"The greatest value allowed."`
}

type acceptedValuesDoc struct {
	Type string `json:"type" jsonschema:"required,enum=accepted_values"`
	checkBase
	columnBase
	Values []scalar `json:"values" jsonschema:"required,minItems=1"`
}

type regexDoc struct {
	Type string `json:"type" jsonschema:"required,enum=regex"`
	checkBase
	columnBase
	Pattern string `json:"pattern" jsonschema:"required,minLength=1" jsonschema_description:"A regular expression (RE2) that must match somewhere in the value; ^ and $ anchor it."`
}

type freshnessDoc struct {
	Type string `json:"type" jsonschema:"required,enum=freshness"`
	checkBase
	columnBase
	MaxAge Duration `json:"max_age" jsonschema:"required"`
}

type referentialDoc struct {
	Type string `json:"type" jsonschema:"required,enum=referential"`
	checkBase
	columnBase
	Reference       string `json:"reference" jsonschema:"required,minLength=1" jsonschema_description:"The step that must hold every value of column."`
	ReferenceColumn string `json:"reference_column" jsonschema:"minLength=1" jsonschema_description:"Its column; of the same name unless given."`
}

type customSQLDoc struct {
	Type string `json:"type" jsonschema:"required,enum=custom_sql"`
	checkBase
	SQL string `json:"sql" jsonschema:"required,minLength=1" jsonschema_description:"A SELECT that returns the failing rows."`
}

func (b *builder) check(doc checkDoc, at *path) QualityCheck {
	c := QualityCheck{Name: doc.Name}
	switch {
	case doc.NotNull != nil:
		b.checkBase(&c, CheckNotNull, doc.NotNull.checkBase, at)
		c.Columns = b.columns(doc.NotNull.columnsBase, at)
	case doc.Unique != nil:
		b.checkBase(&c, CheckUnique, doc.Unique.checkBase, at)
		c.Columns = b.columns(doc.Unique.columnsBase, at)
	case doc.RowCount != nil:
		b.checkBase(&c, CheckRowCount, doc.RowCount.checkBase, at)
		b.rowCount(&c, *doc.RowCount, at)
	case doc.Range != nil:
		b.checkBase(&c, CheckRange, doc.Range.checkBase, at)
		c.Columns = []string{doc.Range.Column}
		b.valueRange(&c, *doc.Range, at)
	case doc.AcceptedValues != nil:
		b.checkBase(&c, CheckAcceptedValues, doc.AcceptedValues.checkBase, at)
		c.Columns = []string{doc.AcceptedValues.Column}
		for _, v := range doc.AcceptedValues.Values {
			c.Values = append(c.Values, v.raw)
		}
	case doc.Regex != nil:
		b.checkBase(&c, CheckRegex, doc.Regex.checkBase, at)
		c.Columns, c.Pattern = []string{doc.Regex.Column}, doc.Regex.Pattern
	case doc.Freshness != nil:
		b.checkBase(&c, CheckFreshness, doc.Freshness.checkBase, at)
		c.Columns, c.MaxAge = []string{doc.Freshness.Column}, doc.Freshness.MaxAge
	case doc.Referential != nil:
		b.checkBase(&c, CheckReferential, doc.Referential.checkBase, at)
		b.referential(&c, *doc.Referential, at)
	case doc.CustomSQL != nil:
		b.checkBase(&c, CheckCustomSQL, doc.CustomSQL.checkBase, at)
		c.SQL = doc.CustomSQL.SQL
	}
	return c
}

func (b *builder) checkBase(c *QualityCheck, typ CheckType, doc checkBase, at *path) {
	c.Type, c.Threshold, c.OnFailure = typ, doc.Threshold, doc.OnFailure
	if c.OnFailure == "" {
		c.OnFailure = OnFailureFail
	}
	if c.OnFailure == OnFailureQuarantine && (typ == CheckRowCount || typ == CheckFreshness) {
		b.add(at.at("on_failure"), "quarantine sets rows aside, but %s looks at all rows together; use warn, fail or approve", typ)
	}
	if doc.Input != "" {
		c.Input = b.dataset(doc.Input, c.Name, at.at("input"))
	}
}

func (b *builder) columns(doc columnsBase, at *path) []string {
	switch {
	case doc.Column != "" && doc.Columns != nil:
		b.add(at.at("columns"), "cannot be given together with column")
	case doc.Column != "":
		return []string{doc.Column}
	case doc.Columns == nil && !b.has(at.at("columns")):
		b.add(at.at("column"), "is required, or else columns")
	}
	b.distinct(doc.Columns, at.at("columns"))
	return doc.Columns
}

func (b *builder) rowCount(c *QualityCheck, doc rowCountDoc, at *path) {
	b.needsBound(doc.Min != nil || doc.Max != nil, at)
	if doc.Min != nil && doc.Max != nil && *doc.Min > *doc.Max && !b.has(at.at("min")) {
		b.add(at.at("max"), "must not be less than min")
	}
	c.Min, c.Max = rawInt(doc.Min), rawInt(doc.Max)
}

func (b *builder) valueRange(c *QualityCheck, doc rangeDoc, at *path) {
	b.needsBound(doc.Min != nil || doc.Max != nil, at)
	if doc.Min != nil {
		c.Min = doc.Min.raw
	}
	if doc.Max != nil {
		c.Max = doc.Max.raw
	}
	if doc.Min == nil || doc.Max == nil || b.has(at.at("min")) || b.has(at.at("max")) ||
		hasPlaceholder(doc.Min.text) || hasPlaceholder(doc.Max.text) {
		return
	}
	switch greater, comparable := doc.Min.greater(doc.Max.scalar); {
	case !comparable:
		b.add(at.at("max"), "must be %v as min is", doc.Min.kind)
	case greater:
		b.add(at.at("max"), "must not be less than min")
	}
}

func (b *builder) needsBound(given bool, at *path) {
	if !given {
		b.add(at.at("min"), "is required, or else max")
	}
}

func (b *builder) referential(c *QualityCheck, doc referentialDoc, at *path) {
	c.Columns, c.ReferenceColumn = []string{doc.Column}, doc.ReferenceColumn
	if c.ReferenceColumn == "" {
		c.ReferenceColumn = doc.Column
	}
	if doc.Reference != "" {
		c.Reference = b.dataset(doc.Reference, c.Name, at.at("reference"))
	}
}

// greater compares two bounds. Numbers compare with numbers, and text with text: as dates or times
// where both are, else not at all, because only the column's type can tell.
func (s scalar) greater(other scalar) (greater, comparable bool) {
	if s.kind != other.kind {
		return false, false
	}
	if s.kind == kindNumber {
		return compareNumbers(s.text, other.text) > 0, true
	}
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		a, errA := time.Parse(layout, s.text)
		b, errB := time.Parse(layout, other.text)
		if errA == nil && errB == nil {
			return a.After(b), true
		}
	}
	return false, true
}

// compareNumbers compares JSON numbers within 64 digits; both are known to be finite.
func compareNumbers(a, b string) int {
	const digits = 256
	x, _, errA := big.ParseFloat(a, 10, digits, big.ToNearestEven)
	y, _, errB := big.ParseFloat(b, 10, digits, big.ToNearestEven)
	if errA != nil || errB != nil {
		return 0
	}
	return x.Cmp(y)
}

func rawInt(n *int) json.RawMessage {
	if n == nil {
		return nil
	}
	raw, _ := json.Marshal(*n) // an int cannot fail
	return raw
}
