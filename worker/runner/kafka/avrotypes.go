package kafka

import (
	"fmt"
	"strings"

	"github.com/hamba/avro/v2"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/task"
	"github.com/matih/pipeline-service/worker/runner/duckdb"
	"github.com/matih/pipeline-service/worker/runner/fault"
)

// avroSchema is a record's schema and the columns it makes.
type avroSchema struct {
	record  *avro.RecordSchema
	columns []task.Column
}

func newAvroSchema(s avro.Schema) (*avroSchema, *task.Failure) {
	record, ok := resolve(s).(*avro.RecordSchema)
	if !ok {
		return nil, fault.Errorf(models.ClassData, "has a schema that is no record, so it has no columns")
	}
	schema := &avroSchema{record: record}
	for _, field := range record.Fields() {
		if f := checkName(field.Name()); f != nil {
			return nil, f
		}
		schema.columns = append(schema.columns, task.Column{Name: field.Name(), Type: duckType(field.Type(), map[string]bool{record.FullName(): true})})
	}
	return schema, nil
}

func resolve(s avro.Schema) avro.Schema {
	if ref, ok := s.(*avro.RefSchema); ok {
		return ref.Schema()
	}
	return s
}

func logical(s avro.Schema) avro.LogicalType {
	if l, ok := s.(avro.LogicalTypeSchema); ok && l.Logical() != nil {
		return l.Logical().Type()
	}
	return ""
}

// asJSON is the type of what no single type holds: unions of several, and records in themselves.
const asJSON = "JSON"

// duckType is the type that a schema's values have in DuckDB. within are the records around it.
func duckType(s avro.Schema, within map[string]bool) string {
	s = resolve(s)
	switch s := s.(type) {
	case *avro.RecordSchema:
		if within[s.FullName()] || len(s.Fields()) == 0 {
			return asJSON
		}
		within[s.FullName()] = true
		defer delete(within, s.FullName())
		fields := make([][2]string, len(s.Fields()))
		for i, f := range s.Fields() {
			fields[i] = [2]string{f.Name(), duckType(f.Type(), within)}
		}
		return structType(fields)
	case *avro.ArraySchema:
		return duckType(s.Items(), within) + "[]"
	case *avro.MapSchema:
		return "MAP(VARCHAR, " + duckType(s.Values(), within) + ")"
	case *avro.UnionSchema:
		if value := without(s); value != nil {
			return duckType(value, within)
		}
		return asJSON
	case *avro.EnumSchema:
		return "VARCHAR"
	case *avro.FixedSchema:
		if d, ok := s.Logical().(*avro.DecimalLogicalSchema); ok {
			return decimalType(d)
		}
		return "BLOB"
	}
	return primitiveType(s)
}

// without is the one type of a union besides null, nil where there are several or none.
func without(s *avro.UnionSchema) avro.Schema {
	var value avro.Schema
	for _, t := range s.Types() {
		if t.Type() == avro.Null {
			continue
		}
		if value != nil {
			return nil
		}
		value = t
	}
	return value
}

func primitiveType(s avro.Schema) string {
	switch logical(s) {
	case avro.Date:
		return "DATE"
	case avro.TimeMillis, avro.TimeMicros:
		return "TIME"
	case avro.TimestampMillis, avro.TimestampMicros:
		return "TIMESTAMP WITH TIME ZONE"
	case avro.LocalTimestampMillis, avro.LocalTimestampMicros:
		return "TIMESTAMP"
	case avro.Decimal:
		if p, ok := s.(*avro.PrimitiveSchema); ok {
			if d, ok := p.Logical().(*avro.DecimalLogicalSchema); ok {
				return decimalType(d)
			}
		}
	}
	switch s.Type() {
	case avro.Boolean:
		return "BOOLEAN"
	case avro.Int:
		return "INTEGER"
	case avro.Long:
		return "BIGINT"
	case avro.Float:
		return "FLOAT"
	case avro.Double:
		return "DOUBLE"
	case avro.Bytes:
		return "BLOB"
	}
	return "VARCHAR"
}

// maxPrecision is the digits a decimal can hold; longer ones stay text.
const maxPrecision = 38

func decimalType(d *avro.DecimalLogicalSchema) string {
	if d.Precision() > maxPrecision || d.Scale() > d.Precision() {
		return "VARCHAR"
	}
	return fmt.Sprintf("DECIMAL(%d,%d)", d.Precision(), d.Scale())
}

func structType(fields [][2]string) string {
	text := "STRUCT("
	for i, f := range fields {
		if i > 0 {
			text += ", "
		}
		text += duckdb.Ident(f[0]) + " " + f[1]
	}
	return text + ")"
}

// unite is the type for values of two: one that holds both without loss.
func unite(a, b string) string {
	rank := map[string]int{"INTEGER": 1, "BIGINT": 2, "FLOAT": 1, "DOUBLE": 2}
	whole := map[string]bool{"INTEGER": true, "BIGINT": true}
	switch {
	case a == b:
		return a
	case rank[a] > 0 && rank[b] > 0 && whole[a] == whole[b]:
		if rank[a] > rank[b] {
			return a
		}
		return b
	case a == "INTEGER" && b == "DOUBLE" || a == "DOUBLE" && b == "INTEGER":
		return "DOUBLE"
	case nested(a) || nested(b) || a == asJSON || b == asJSON:
		return asJSON
	}
	return "VARCHAR"
}

// nested reports whether a type has values in its values.
func nested(t string) bool {
	return strings.HasSuffix(t, "]") || strings.HasPrefix(t, "STRUCT(") || strings.HasPrefix(t, "MAP(")
}
