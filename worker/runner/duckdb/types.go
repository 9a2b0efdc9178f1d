package duckdb

import (
	"fmt"
	"strings"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/task"
	"github.com/matih/pipeline-service/worker/runner/fault"
)

// parquetTypes maps the types that DuckDB would store in Parquet with a loss (HUGEINT becomes DOUBLE,
// TIME WITH TIME ZONE forgets its zone, INTERVAL its microseconds) or not at all (BIGNUM) to types
// that keep their values. A cast that does not fit is an error, never an approximation.
var parquetTypes = map[string]string{
	"HUGEINT":             "DECIMAL(38,0)",
	"UHUGEINT":            "DECIMAL(38,0)",
	"BIGNUM":              "VARCHAR",
	"TIME WITH TIME ZONE": "VARCHAR",
	"INTERVAL":            "VARCHAR",
	"BIT":                 "VARCHAR",
	`"NULL"`:              "INTEGER",
}

// storable returns the projection that makes columns fit for Parquet, and what they become.
func storable(columns []task.Column) (string, []task.Column) {
	items := make([]string, len(columns))
	stored := make([]task.Column, len(columns))
	for i, c := range columns {
		items[i], stored[i] = Ident(c.Name), c
		if to := MapType(c.Type, parquetTypes); to != c.Type {
			items[i] = fmt.Sprintf("CAST(%s AS %s) AS %s", Ident(c.Name), to, Ident(c.Name))
			stored[i].Type = to
		}
		if strings.HasPrefix(c.Type, "ENUM(") {
			stored[i].Type = "VARCHAR"
		}
	}
	return strings.Join(items, ", "), stored
}

// noStorageClash refuses names that only differ in case, which later tasks could not tell apart.
func noStorageClash(columns []task.Column) error {
	seen := make(map[string]string, len(columns))
	for _, c := range columns {
		key := strings.ToLower(c.Name)
		if other, ok := seen[key]; ok {
			return fault.Errorf(models.ClassSQL, "the columns %q and %q have the same name; give one of them another", other, c.Name)
		}
		seen[key] = c.Name
	}
	return nil
}

// MapType replaces the scalar types in a DuckDB type, however deep they are nested, by those in the map.
func MapType(text string, to map[string]string) string {
	p := &typeParser{text: text, to: to}
	mapped := p.parse()
	if p.pos != len(p.text) {
		return text // a form this parser does not know is left as it is
	}
	return mapped
}

// typeParser walks the text DuckDB writes for a type: NAME, NAME(args), STRUCT(name type, …),
// UNION(name type, …), MAP(type, type), and any of them followed by [] or [n].
type typeParser struct {
	text string
	pos  int
	to   map[string]string
}

func (p *typeParser) parse() string {
	start := p.pos
	name := p.name()
	var out string
	switch {
	case p.peek() != '(':
		out = name
		if mapped, ok := p.to[name]; ok {
			out = mapped
		}
	case name == "STRUCT" || name == "UNION":
		out = name + p.list(p.field)
	case name == "MAP":
		out = name + p.list(p.parse)
	default:
		p.skipParens()
		out = p.text[start:p.pos]
		if mapped, ok := p.to[name]; ok {
			out = mapped
		}
	}
	for p.peek() == '[' {
		end := strings.IndexByte(p.text[p.pos:], ']')
		if end < 0 {
			return out
		}
		out += p.text[p.pos : p.pos+end+1]
		p.pos += end + 1
	}
	return out
}

// name reads the words of a type's name: everything up to a bracket, a comma or the end.
func (p *typeParser) name() string {
	start := p.pos
	for p.pos < len(p.text) && !strings.ContainsRune("()[],", rune(p.text[p.pos])) {
		if p.text[p.pos] == '"' {
			p.quoted('"')
			continue
		}
		p.pos++
	}
	return p.text[start:p.pos]
}

// field reads "name type".
func (p *typeParser) field() string {
	start := p.pos
	if p.peek() == '"' {
		p.quoted('"')
	} else {
		for p.pos < len(p.text) && p.text[p.pos] != ' ' && p.text[p.pos] != ',' && p.text[p.pos] != ')' {
			p.pos++
		}
	}
	if p.peek() != ' ' { // a struct without names
		p.pos = start
		return p.parse()
	}
	p.pos++
	name := p.text[start:p.pos]
	return name + p.parse()
}

func (p *typeParser) list(item func() string) string {
	p.pos++
	var items []string
	for p.pos < len(p.text) {
		items = append(items, item())
		switch p.peek() {
		case ',':
			p.pos++
			for p.peek() == ' ' {
				p.pos++
			}
			continue
		case ')':
			p.pos++
		}
		break
	}
	return "(" + strings.Join(items, ", ") + ")"
}

func (p *typeParser) skipParens() {
	for p.pos < len(p.text) {
		switch p.text[p.pos] {
		case '\'':
			p.quoted('\'')
			continue
		case ')':
			p.pos++
			return
		}
		p.pos++
	}
}

// quoted skips a quoted name or text in which the quote is doubled.
func (p *typeParser) quoted(quote byte) {
	p.pos++
	for p.pos < len(p.text) {
		if p.text[p.pos] == quote {
			p.pos++
			if p.peek() != quote {
				return
			}
		}
		p.pos++
	}
}

func (p *typeParser) peek() byte {
	if p.pos < len(p.text) {
		return p.text[p.pos]
	}
	return 0
}
