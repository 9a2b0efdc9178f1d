package definition

import (
	"encoding/json"
	"regexp"
	"strings"

	"github.com/invopop/jsonschema"
)

// The types in this file are the forms of a document that a Go type alone does not describe. Each
// has its decoder and its schema side by side.

func textSchema() *jsonschema.Schema {
	return &jsonschema.Schema{Type: "string", MinLength: new(uint64(1))}
}

func mapSchema() *jsonschema.Schema {
	return &jsonschema.Schema{
		Type: "object", MinProperties: new(uint64(1)), AdditionalProperties: textSchema(),
		PropertyNames: &jsonschema.Schema{MinLength: new(uint64(1))},
	}
}

func listSchema(items *jsonschema.Schema) *jsonschema.Schema {
	return &jsonschema.Schema{Type: "array", MinItems: new(uint64(1)), Items: items}
}

// word gives the text of a value that must be text and not empty.
func (d *decoder) word(n *node, at *path) string {
	if !d.is(n, kindText, at) {
		return ""
	}
	if n.text == "" {
		d.add(at, "must not be empty")
	}
	return n.text
}

// pairs calls each for the keys and values of an object of texts.
func (d *decoder) pairs(n *node, at *path, each func(key, value string)) {
	if len(n.items) == 0 {
		d.add(at, "must not be empty")
	}
	for i, key := range n.keys {
		below := at.at(key)
		if key == "" {
			d.add(at, "has an empty key")
		}
		each(key, d.word(n.items[i], below))
	}
}

// words calls each for the items of a list of texts.
func (d *decoder) words(n *node, at *path, each func(word string)) {
	if len(n.items) == 0 {
		d.add(at, "must not be empty")
	}
	for i, item := range n.items {
		each(d.word(item, at.item(i)))
	}
}

// pairsOrWords takes an object of texts or a list of texts.
func (d *decoder) pairsOrWords(n *node, at *path, pair func(key, value string), word func(string)) {
	switch n.kind {
	case kindObject:
		d.pairs(n, at, pair)
	case kindList:
		d.words(n, at, word)
	default:
		d.add(at, "must be a list or an object, not %v", n.kind)
	}
}

// joinKeys is {left: right} or [same].
type joinKeys []Key

func (k *joinKeys) decode(d *decoder, n *node, at *path) {
	d.pairsOrWords(n, at,
		func(left, right string) { *k = append(*k, Key{Left: left, Right: right}) },
		func(same string) { *k = append(*k, Key{Left: same, Right: same}) })
}

// JSONSchema describes both forms.
func (joinKeys) JSONSchema() *jsonschema.Schema {
	return &jsonschema.Schema{
		OneOf:       []*jsonschema.Schema{mapSchema(), listSchema(textSchema())},
		Description: "{column of the input: column of the lookup}, or a list of columns both have.",
	}
}

// columnTypes is {column: type}.
type columnTypes []ColumnType

func (c *columnTypes) decode(d *decoder, n *node, at *path) {
	if d.is(n, kindObject, at) {
		d.pairs(n, at, func(column, typ string) { *c = append(*c, ColumnType{Column: column, Type: typ}) })
	}
}

// JSONSchema describes the form.
func (columnTypes) JSONSchema() *jsonschema.Schema {
	s := mapSchema()
	s.Description = "{column: type}, with DuckDB's names of types."
	return s
}

// expectedColumns is {column: type} or [column].
type expectedColumns []ColumnType

func (e *expectedColumns) decode(d *decoder, n *node, at *path) {
	d.pairsOrWords(n, at,
		func(column, typ string) { *e = append(*e, ColumnType{Column: column, Type: typ}) },
		func(column string) { *e = append(*e, ColumnType{Column: column}) })
}

// JSONSchema describes both forms.
func (expectedColumns) JSONSchema() *jsonschema.Schema {
	return &jsonschema.Schema{
		OneOf:       []*jsonschema.Schema{mapSchema(), listSchema(textSchema())},
		Description: "{column: type}, with DuckDB's names of types, or a list of columns of any type.",
	}
}

// selectColumns is {new: old}, or a list whose items are columns or {new: old}.
type selectColumns []SelectColumn

func (s *selectColumns) decode(d *decoder, n *node, at *path) {
	if n.kind != kindList {
		s.decodeItem(d, n, at)
		return
	}
	if len(n.items) == 0 {
		d.add(at, "must not be empty")
	}
	for i, item := range n.items {
		s.decodeItem(d, item, at.item(i))
	}
}

func (s *selectColumns) decodeItem(d *decoder, n *node, at *path) {
	switch n.kind {
	case kindObject:
		d.pairs(n, at, func(as, column string) { *s = append(*s, SelectColumn{Column: column, As: as}) })
	case kindText:
		*s = append(*s, SelectColumn{Column: d.word(n, at)})
	default:
		d.add(at, "must be a column or {new name: column}, not %v", n.kind)
	}
}

// JSONSchema describes the forms.
func (selectColumns) JSONSchema() *jsonschema.Schema {
	item := &jsonschema.Schema{OneOf: []*jsonschema.Schema{textSchema(), mapSchema()}}
	return &jsonschema.Schema{
		OneOf:       []*jsonschema.Schema{textSchema(), mapSchema(), listSchema(item)},
		Description: "The columns to keep, in this order: a list of columns, {new name: column} where one is renamed.",
	}
}

const measureText = `is not a measure; write count(), or one of count, count_distinct, sum, avg, min, max, median, ` +
	`stddev, first, last with a column: "sum(amount)"`

const measurePattern = `^(count|count_distinct|sum|avg|min|max|median|stddev|first|last)\((.*)\)$`

var measureForm = regexp.MustCompile(`(?s)` + measurePattern)

// measures is {name: "function(column)"}.
type measures []Measure

func (l *measures) decode(d *decoder, n *node, at *path) {
	if !d.is(n, kindObject, at) {
		return
	}
	if len(n.items) == 0 {
		d.add(at, "must not be empty")
	}
	for i, name := range n.keys {
		below := at.at(name)
		if name == "" {
			d.add(at, "has an empty key")
		}
		if !d.is(n.items[i], kindText, below) {
			continue
		}
		m, ok := parseMeasure(n.items[i].text)
		if !ok {
			d.add(below, "%s %s", quote(n.items[i].text), measureText)
			continue
		}
		m.Name = name
		*l = append(*l, m)
	}
}

// parseMeasure reads function(column); count() and count(*) count rows.
func parseMeasure(text string) (Measure, bool) {
	match := measureForm.FindStringSubmatch(strings.TrimSpace(text))
	if match == nil {
		return Measure{}, false
	}
	m := Measure{Function: match[1], Column: strings.TrimSpace(match[2])}
	if m.Function == "count" && m.Column == "*" {
		m.Column = ""
	}
	return m, m.Column != "" && m.Column != "*" || m.Function == "count"
}

// JSONSchema describes the form.
func (measures) JSONSchema() *jsonschema.Schema {
	s := mapSchema()
	s.AdditionalProperties = &jsonschema.Schema{Type: "string", Pattern: measurePattern}
	s.Description = `{new column: "function(column)"}; count() counts rows.`
	return s
}

// scalar is text, a number or true or false.
type scalar struct {
	kind kind
	text string
	raw  json.RawMessage
}

func (s *scalar) decode(d *decoder, n *node, at *path) {
	switch n.kind {
	case kindText, kindNumber, kindBoolean:
		*s = scalar{kind: n.kind, text: n.text, raw: n.json()}
	default:
		d.add(at, "must be text, a number or true or false, not %v", n.kind)
	}
}

// JSONSchema describes the form.
func (scalar) JSONSchema() *jsonschema.Schema {
	return &jsonschema.Schema{OneOf: []*jsonschema.Schema{{Type: "string"}, {Type: "number"}, {Type: "boolean"}}}
}

// bound is an end of a range: a number, or text for dates and times.
type bound struct{ scalar }

func (b *bound) decode(d *decoder, n *node, at *path) {
	if n.kind != kindText && n.kind != kindNumber {
		d.add(at, "must be a number, or text for a date or time, not %v", n.kind)
		return
	}
	b.scalar.decode(d, n, at)
}

// JSONSchema describes the form.
func (bound) JSONSchema() *jsonschema.Schema {
	return &jsonschema.Schema{OneOf: []*jsonschema.Schema{{Type: "number"}, {Type: "string"}}}
}
