package quality

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/matih/pipeline-service/models/definition"
	"github.com/matih/pipeline-service/models/task"
	"github.com/matih/pipeline-service/worker/runner/duckdb"
)

func rangeOf(c *definition.QualityCheck, column task.Column) (plan, error) {
	name := duckdb.Ident(column.Name)
	var terms, words []string
	for _, bound := range []struct {
		value    json.RawMessage
		operator string
		words    string
	}{{c.Min, "<", "below"}, {c.Max, ">", "above"}} {
		if isAbsent(bound.value) {
			continue
		}
		literal, err := literalFor(c, column, bound.value)
		if err != nil {
			return plan{}, err
		}
		terms = append(terms, fmt.Sprintf("%s %s %s", name, bound.operator, literal))
		words = append(words, fmt.Sprintf("%s %s", bound.words, strings.Trim(string(bound.value), `"`)))
	}
	if len(terms) == 0 {
		return plan{}, mistake(c, "it needs min, max or both")
	}
	if isFloat(column.Type) {
		terms = append(terms, "isnan("+name+")") // NaN lies in no range
	}
	return predicate(c, "("+strings.Join(terms, " OR ")+")", fmt.Sprintf("have a %s %s", column.Name, strings.Join(words, " or "))), nil
}

func acceptedValues(c *definition.QualityCheck, column task.Column) (plan, error) {
	var literals []string
	for _, value := range c.Values {
		if isAbsent(value) {
			continue // nulls pass anyway
		}
		literal, err := literalFor(c, column, value)
		if err != nil {
			return plan{}, err
		}
		literals = append(literals, literal)
	}
	if len(literals) == 0 {
		return plan{}, mistake(c, "it lists no values")
	}
	return predicate(c, fmt.Sprintf("%s NOT IN (%s)", duckdb.Ident(column.Name), strings.Join(literals, ", ")),
		fmt.Sprintf("have a %s that is not among the accepted values", column.Name)), nil
}

// literalFor writes a JSON value as SQL that compares with the column as its author meant it: numbers
// with numbers, texts with texts, dates and times by their text.
func literalFor(c *definition.QualityCheck, column task.Column, value json.RawMessage) (string, error) {
	decoder := json.NewDecoder(bytes.NewReader(value))
	decoder.UseNumber()
	var v any
	if err := decoder.Decode(&v); err != nil {
		return "", mistake(c, "%s is not a value", value)
	}
	switch v := v.(type) {
	case json.Number:
		switch {
		case isNumeric(column.Type):
			return v.String(), nil
		case column.Type == "VARCHAR":
			return duckdb.Literal(v.String()), nil
		}
	case bool:
		switch column.Type {
		case "BOOLEAN":
			return fmt.Sprint(v), nil
		case "VARCHAR":
			return duckdb.Literal(fmt.Sprint(v)), nil
		}
	case string:
		switch {
		case isNumeric(column.Type):
			if !numberText.MatchString(v) {
				return "", mistake(c, "%q is not a number, but %s is %s", v, column.Name, column.Type)
			}
			return v, nil
		case column.Type == "VARCHAR":
			return duckdb.Literal(v), nil
		default:
			return fmt.Sprintf("CAST(%s AS %s)", duckdb.Literal(v), column.Type), nil
		}
	}
	return "", mistake(c, "%s cannot be compared with %s, which is %s", value, column.Name, column.Type)
}

var numberText = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$`)

func isAbsent(value json.RawMessage) bool { return len(value) == 0 || string(value) == "null" }

func isFloat(t string) bool { return t == "FLOAT" || t == "DOUBLE" }

func isNumeric(t string) bool {
	switch t {
	case "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT":
		return true
	}
	return isFloat(t) || strings.HasPrefix(t, "DECIMAL(")
}

func rowCount(c *definition.QualityCheck) (plan, error) {
	var limits [2]*int64
	for i, value := range []json.RawMessage{c.Min, c.Max} {
		if isAbsent(value) {
			continue
		}
		var n float64
		if err := json.Unmarshal(value, &n); err != nil {
			return plan{}, mistake(c, "%s is not a number of rows", value)
		}
		limit := int64(n)
		limits[i] = &limit
	}
	least, most := limits[0], limits[1]
	if least == nil && most == nil {
		return plan{}, mistake(c, "it needs min, max or both")
	}
	return plan{whole: func(_ context.Context, rows int64) (bool, string, error) {
		switch {
		case least != nil && rows < *least:
			return true, fmt.Sprintf("there are %d rows, fewer than %d", rows, *least), nil
		case most != nil && rows > *most:
			return true, fmt.Sprintf("there are %d rows, more than %d", rows, *most), nil
		}
		return false, fmt.Sprintf("there are %d rows", rows), nil
	}}, nil
}

// freshness takes times without a zone as UTC. A data set without a newest value is not fresh.
func freshness(e Engine, c *definition.QualityCheck, column task.Column, now time.Time) (plan, error) {
	if column.Type != "DATE" && !strings.HasPrefix(column.Type, "TIMESTAMP") {
		return plan{}, mistake(c, "%s is %s, not a date or a timestamp", column.Name, column.Type)
	}
	return plan{whole: func(ctx context.Context, _ int64) (bool, string, error) {
		var newest *int64
		err := e.QueryRow(ctx, fmt.Sprintf("SELECT epoch_us(max(%[1]s)) FROM %[2]s WHERE isfinite(%[1]s)",
			duckdb.Ident(column.Name), duckdb.Ident(c.Input)), &newest)
		if err != nil {
			return false, "", err
		}
		if newest == nil {
			return true, fmt.Sprintf("%s has no value, so nothing is known to be fresh", column.Name), nil
		}
		at := time.UnixMicro(*newest).UTC()
		age, limit := now.Sub(at).Round(time.Second), time.Duration(c.MaxAge)
		if age > limit {
			return true, fmt.Sprintf("the newest %s is %s, %s old; at most %s is allowed", column.Name, at.Format(time.RFC3339), age, limit), nil
		}
		return false, fmt.Sprintf("the newest %s is %s, %s old", column.Name, at.Format(time.RFC3339), max(age, 0)), nil
	}}, nil
}
