package postgres

import (
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/extensions"
	"github.com/jackc/pgx/v5/pgtype"
)

// maxPrecision is the digits a decimal can hold.
const maxPrecision = 38

// column is a column of a result and how it is staged.
type column struct {
	name string
	// oid is the type on the wire; typmod the server's modifier, -1 without.
	oid    uint32
	typmod int32
	// asText says that the server is asked for the value's text, because Parquet has no type that holds it.
	asText bool
	// precision and scale are those of a numeric.
	precision, scale int
	arrow            arrow.DataType
	duck             string // DuckDB's name for what is staged
}

var (
	timestampType   = &arrow.TimestampType{Unit: arrow.Microsecond}
	timestamptzType = &arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: "UTC"}
	timeType        = &arrow.Time64Type{Unit: arrow.Microsecond}
)

// scalars maps the types that are staged as they are. The others travel as text.
func scalar(oid uint32) (arrow.DataType, string, bool) {
	switch oid {
	case pgtype.BoolOID:
		return arrow.FixedWidthTypes.Boolean, "BOOLEAN", true
	case pgtype.Int2OID:
		return arrow.PrimitiveTypes.Int16, "SMALLINT", true
	case pgtype.Int4OID:
		return arrow.PrimitiveTypes.Int32, "INTEGER", true
	case pgtype.Int8OID:
		return arrow.PrimitiveTypes.Int64, "BIGINT", true
	case pgtype.OIDOID:
		return arrow.PrimitiveTypes.Uint32, "UINTEGER", true
	case pgtype.Float4OID:
		return arrow.PrimitiveTypes.Float32, "FLOAT", true
	case pgtype.Float8OID:
		return arrow.PrimitiveTypes.Float64, "DOUBLE", true
	case pgtype.TextOID, pgtype.VarcharOID, pgtype.BPCharOID, pgtype.NameOID:
		return arrow.BinaryTypes.String, "VARCHAR", true
	case pgtype.ByteaOID:
		return arrow.BinaryTypes.Binary, "BLOB", true
	case pgtype.DateOID:
		return arrow.FixedWidthTypes.Date32, "DATE", true
	case pgtype.TimeOID:
		return timeType, "TIME", true
	case pgtype.TimestampOID:
		return timestampType, "TIMESTAMP", true
	case pgtype.TimestamptzOID:
		return timestamptzType, "TIMESTAMP WITH TIME ZONE", true
	case pgtype.UUIDOID:
		return extensions.NewUUIDType(), "UUID", true
	case pgtype.JSONOID, pgtype.JSONBOID:
		t, err := extensions.NewJSONType(arrow.BinaryTypes.String)
		return t, "JSON", err == nil
	}
	return nil, "", false
}

// element is the column an array's elements would make, where they can be staged as they are.
func (c *column) element() (column, bool) {
	oid, ok := elements[c.oid]
	e := column{name: c.name, oid: oid, typmod: c.typmod}
	if !ok || e.open() { // numerics without a declared scale have none in common
		return column{}, false
	}
	e.resolve()
	return e, !e.asText
}

// elements maps array types to those of their elements.
var elements = map[uint32]uint32{
	pgtype.BoolArrayOID: pgtype.BoolOID, pgtype.Int2ArrayOID: pgtype.Int2OID, pgtype.Int4ArrayOID: pgtype.Int4OID,
	pgtype.Int8ArrayOID: pgtype.Int8OID, pgtype.Float4ArrayOID: pgtype.Float4OID, pgtype.Float8ArrayOID: pgtype.Float8OID,
	pgtype.TextArrayOID: pgtype.TextOID, pgtype.VarcharArrayOID: pgtype.VarcharOID, pgtype.BPCharArrayOID: pgtype.BPCharOID,
	pgtype.ByteaArrayOID: pgtype.ByteaOID, pgtype.DateArrayOID: pgtype.DateOID, pgtype.TimeArrayOID: pgtype.TimeOID,
	pgtype.TimestampArrayOID: pgtype.TimestampOID, pgtype.TimestamptzArrayOID: pgtype.TimestamptzOID, pgtype.UUIDArrayOID: pgtype.UUIDOID,
	pgtype.NumericArrayOID: pgtype.NumericOID,
}

// resolve decides how the column is staged; numerics without a declared scale stay open.
func (c *column) resolve() {
	if t, name, ok := scalar(c.oid); ok {
		c.arrow, c.duck = t, name
		return
	}
	if element, ok := c.element(); ok {
		c.arrow, c.duck = arrow.ListOf(element.arrow), element.duck+"[]"
		return
	}
	if c.oid == pgtype.NumericOID && c.typmod >= 4 {
		precision := int((c.typmod - 4) >> 16 & 0xffff)
		scale := int((c.typmod-4)&0x7ff) ^ 1024 - 1024 // 11 bits with a sign, since PostgreSQL 15
		switch {
		case scale < 0:
			precision, scale = precision-scale, 0
		case scale > precision:
			precision = scale
		}
		c.decimal(precision, scale)
		return
	}
	c.text()
}

func (c *column) open() bool { return c.oid == pgtype.NumericOID && c.typmod < 4 }

// decimal stages the column as a decimal, or as text where that has too few digits.
func (c *column) decimal(precision, scale int) {
	if precision < 1 {
		precision = 1
	}
	if precision > maxPrecision || scale > maxPrecision {
		c.text()
		return
	}
	c.asText, c.precision, c.scale = false, precision, scale
	c.arrow = &arrow.Decimal128Type{Precision: int32(precision), Scale: int32(scale)}
	c.duck = fmt.Sprintf("DECIMAL(%d,%d)", precision, scale)
}

func (c *column) text() {
	c.asText, c.arrow, c.duck = true, arrow.BinaryTypes.String, "VARCHAR"
}
