package postgres

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/extensions"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/worker/runner/fault"
)

// field is a staged column and what it becomes in PostgreSQL.
type field struct {
	name string
	// sql is the type, as format_type writes it.
	sql string
	// encode appends the value at a row in binary form, after its length. It is not called for nulls.
	encode func(b []byte, a arrow.Array, row int) ([]byte, error)
}

// logical is what Parquet says of bytes beyond their being bytes; Arrow forgets it.
type logical int

const (
	logicalNone logical = iota
	logicalText
	logicalJSON
)

// newField decides how a staged type is loaded. Types that PostgreSQL does not have become the next larger
// one; lists of plain values become arrays; everything else nested becomes jsonb.
func newField(name string, t arrow.DataType, mark logical) (field, error) {
	f := field{name: name}
	switch t := t.(type) {
	case *arrow.BooleanType:
		f.sql, f.encode = "boolean", encodeBool
	case *arrow.Int8Type:
		f.sql, f.encode = "smallint", fixed2(func(a arrow.Array, i int) int16 { return int16(a.(*array.Int8).Value(i)) })
	case *arrow.Int16Type:
		f.sql, f.encode = "smallint", fixed2(func(a arrow.Array, i int) int16 { return a.(*array.Int16).Value(i) })
	case *arrow.Uint8Type:
		f.sql, f.encode = "smallint", fixed2(func(a arrow.Array, i int) int16 { return int16(a.(*array.Uint8).Value(i)) })
	case *arrow.Int32Type:
		f.sql, f.encode = "integer", fixed4(func(a arrow.Array, i int) int32 { return a.(*array.Int32).Value(i) })
	case *arrow.Uint16Type:
		f.sql, f.encode = "integer", fixed4(func(a arrow.Array, i int) int32 { return int32(a.(*array.Uint16).Value(i)) })
	case *arrow.Int64Type:
		f.sql, f.encode = "bigint", fixed8(func(a arrow.Array, i int) int64 { return a.(*array.Int64).Value(i) })
	case *arrow.Uint32Type:
		f.sql, f.encode = "bigint", fixed8(func(a arrow.Array, i int) int64 { return int64(a.(*array.Uint32).Value(i)) })
	case *arrow.Uint64Type:
		f.sql, f.encode = "numeric", encodeUint64
	case *arrow.Float32Type:
		f.sql, f.encode = "real", fixed4(func(a arrow.Array, i int) int32 { return int32(math.Float32bits(a.(*array.Float32).Value(i))) })
	case *arrow.Float64Type:
		f.sql, f.encode = "double precision", fixed8(func(a arrow.Array, i int) int64 { return int64(math.Float64bits(a.(*array.Float64).Value(i))) })
	case *arrow.Decimal128Type:
		// 38 digits is what values without a declared size are staged as.
		f.sql = "numeric"
		if t.Precision < maxPrecision {
			f.sql = fmt.Sprintf("numeric(%d,%d)", t.Precision, t.Scale)
		}
		f.encode = encodeDecimal(int(t.Scale))
	case *arrow.StringType:
		f.sql, f.encode = "text", encodeString
	case *arrow.BinaryType:
		switch mark {
		case logicalText:
			f.sql, f.encode = "text", encodeBinary(0)
		case logicalJSON:
			f.sql, f.encode = "jsonb", encodeBinary(1)
		default:
			f.sql, f.encode = "bytea", encodeBinary(0)
		}
	case *arrow.FixedSizeBinaryType:
		f.sql, f.encode = "bytea", encodeFixedBinary
	case *extensions.UUIDType:
		f.sql, f.encode = "uuid", encodeUUID
	case *arrow.Date32Type:
		f.sql, f.encode = "date", encodeDate
	case *arrow.Time32Type:
		f.sql, f.encode = "time without time zone", encodeTime32(t.Unit)
	case *arrow.Time64Type:
		f.sql, f.encode = "time without time zone", encodeTime64(t.Unit)
	case *arrow.TimestampType:
		f.sql = "timestamp without time zone"
		if t.TimeZone != "" {
			f.sql = "timestamp with time zone"
		}
		f.encode = encodeTimestamp(t.Unit)
	case *arrow.ListType:
		return newListField(name, t)
	default:
		f.sql, f.encode = "jsonb", encodeNested
	}
	return f, nil
}

// elementOIDs are the types whose lists become arrays.
var elementOIDs = map[string]uint32{
	"boolean": pgtype.BoolOID, "smallint": pgtype.Int2OID, "integer": pgtype.Int4OID, "bigint": pgtype.Int8OID,
	"real": pgtype.Float4OID, "double precision": pgtype.Float8OID, "numeric": pgtype.NumericOID, "text": pgtype.TextOID,
	"bytea": pgtype.ByteaOID, "uuid": pgtype.UUIDOID, "date": pgtype.DateOID, "time without time zone": pgtype.TimeOID,
	"timestamp without time zone": pgtype.TimestampOID, "timestamp with time zone": pgtype.TimestamptzOID,
}

func newListField(name string, t *arrow.ListType) (field, error) {
	element, err := newField(name, t.Elem(), logicalNone)
	if err != nil {
		return field{}, err
	}
	plain := element.sql
	if t.Elem().ID() == arrow.DECIMAL128 {
		plain = "numeric"
	}
	oid, ok := elementOIDs[plain]
	if !ok {
		return field{name: name, sql: "jsonb", encode: encodeNested}, nil
	}
	return field{name: name, sql: element.sql + "[]", encode: func(b []byte, a arrow.Array, row int) ([]byte, error) {
		list := a.(*array.List)
		start, end := list.ValueOffsets(row)
		return lengthAround(b, func(b []byte) ([]byte, error) {
			if start == end {
				b = binary.BigEndian.AppendUint32(b, 0)
				b = binary.BigEndian.AppendUint32(b, 0)
				return binary.BigEndian.AppendUint32(b, oid), nil
			}
			b = binary.BigEndian.AppendUint32(b, 1)
			b = binary.BigEndian.AppendUint32(b, 1) // there may be nulls
			b = binary.BigEndian.AppendUint32(b, oid)
			b = binary.BigEndian.AppendUint32(b, uint32(end-start))
			b = binary.BigEndian.AppendUint32(b, 1) // the lower bound
			values := list.ListValues()
			var err error
			for i := int(start); i < int(end) && err == nil; i++ {
				if values.IsNull(i) {
					b = binary.BigEndian.AppendUint32(b, math.MaxUint32)
					continue
				}
				b, err = element.encode(b, values, i)
			}
			return b, err
		})
	}}, nil
}

// lengthAround writes the length of what body appends before it.
func lengthAround(b []byte, body func([]byte) ([]byte, error)) ([]byte, error) {
	at := len(b)
	b, err := body(append(b, 0, 0, 0, 0))
	if err != nil {
		return nil, err
	}
	binary.BigEndian.PutUint32(b[at:], uint32(len(b)-at-4))
	return b, nil
}

func encodeBool(b []byte, a arrow.Array, i int) ([]byte, error) {
	v := byte(0)
	if a.(*array.Boolean).Value(i) {
		v = 1
	}
	return append(b, 0, 0, 0, 1, v), nil
}

func fixed2(value func(arrow.Array, int) int16) func([]byte, arrow.Array, int) ([]byte, error) {
	return func(b []byte, a arrow.Array, i int) ([]byte, error) {
		return binary.BigEndian.AppendUint16(append(b, 0, 0, 0, 2), uint16(value(a, i))), nil
	}
}

func fixed4(value func(arrow.Array, int) int32) func([]byte, arrow.Array, int) ([]byte, error) {
	return func(b []byte, a arrow.Array, i int) ([]byte, error) {
		return binary.BigEndian.AppendUint32(append(b, 0, 0, 0, 4), uint32(value(a, i))), nil
	}
}

func fixed8(value func(arrow.Array, int) int64) func([]byte, arrow.Array, int) ([]byte, error) {
	return func(b []byte, a arrow.Array, i int) ([]byte, error) {
		return appendInt64(b, value(a, i)), nil
	}
}

func appendInt64(b []byte, v int64) []byte {
	return binary.BigEndian.AppendUint64(append(b, 0, 0, 0, 8), uint64(v))
}

func encodeUint64(b []byte, a arrow.Array, i int) ([]byte, error) {
	return lengthAround(b, func(b []byte) ([]byte, error) {
		return appendNumeric(b, decimal128.FromU64(a.(*array.Uint64).Value(i)), 0), nil
	})
}

func encodeDecimal(scale int) func([]byte, arrow.Array, int) ([]byte, error) {
	return func(b []byte, a arrow.Array, i int) ([]byte, error) {
		return lengthAround(b, func(b []byte) ([]byte, error) {
			return appendNumeric(b, a.(*array.Decimal128).Value(i), scale), nil
		})
	}
}

func encodeString(b []byte, a arrow.Array, i int) ([]byte, error) {
	v := a.(*array.String).Value(i)
	return append(binary.BigEndian.AppendUint32(b, uint32(len(v))), v...), nil
}

// encodeBinary writes bytes after the version that jsonb wants; 0 is no version.
func encodeBinary(version byte) func([]byte, arrow.Array, int) ([]byte, error) {
	return func(b []byte, a arrow.Array, i int) ([]byte, error) {
		v := a.(*array.Binary).Value(i)
		if version == 0 {
			return append(binary.BigEndian.AppendUint32(b, uint32(len(v))), v...), nil
		}
		return append(append(binary.BigEndian.AppendUint32(b, uint32(len(v)+1)), version), v...), nil
	}
}

func encodeFixedBinary(b []byte, a arrow.Array, i int) ([]byte, error) {
	v := a.(*array.FixedSizeBinary).Value(i)
	return append(binary.BigEndian.AppendUint32(b, uint32(len(v))), v...), nil
}

func encodeUUID(b []byte, a arrow.Array, i int) ([]byte, error) {
	v := a.(*extensions.UUIDArray).Storage().(*array.FixedSizeBinary).Value(i)
	return append(append(b, 0, 0, 0, 16), v...), nil
}

func encodeDate(b []byte, a arrow.Array, i int) ([]byte, error) {
	days := int32(a.(*array.Date32).Value(i))
	switch {
	case days == math.MaxInt32:
	case days == -math.MaxInt32:
		days = math.MinInt32
	case days < math.MinInt32+epochDays+1:
		return nil, errors.New("the date is too early for PostgreSQL")
	default:
		days -= epochDays
	}
	return binary.BigEndian.AppendUint32(append(b, 0, 0, 0, 4), uint32(days)), nil
}

func encodeTime32(unit arrow.TimeUnit) func([]byte, arrow.Array, int) ([]byte, error) {
	factor := int64(1_000_000)
	if unit == arrow.Millisecond {
		factor = 1_000
	}
	return func(b []byte, a arrow.Array, i int) ([]byte, error) {
		return appendInt64(b, int64(a.(*array.Time32).Value(i))*factor), nil
	}
}

func encodeTime64(unit arrow.TimeUnit) func([]byte, arrow.Array, int) ([]byte, error) {
	return func(b []byte, a arrow.Array, i int) ([]byte, error) {
		v := int64(a.(*array.Time64).Value(i))
		if unit == arrow.Nanosecond {
			if v%1000 != 0 {
				return nil, errNanoseconds
			}
			v /= 1000
		}
		return appendInt64(b, v), nil
	}
}

var errNanoseconds = errors.New("it has nanoseconds, but PostgreSQL keeps microseconds; round it before")

func encodeTimestamp(unit arrow.TimeUnit) func([]byte, arrow.Array, int) ([]byte, error) {
	return func(b []byte, a arrow.Array, i int) ([]byte, error) {
		v := int64(a.(*array.Timestamp).Value(i))
		switch v {
		case math.MaxInt64:
			return appendInt64(b, math.MaxInt64), nil
		case -math.MaxInt64:
			return appendInt64(b, math.MinInt64), nil
		}
		switch unit {
		case arrow.Nanosecond:
			if v%1000 != 0 {
				return nil, errNanoseconds
			}
			v /= 1000
		case arrow.Millisecond, arrow.Second:
			factor := int64(1_000)
			if unit == arrow.Second {
				factor = 1_000_000
			}
			if v > math.MaxInt64/factor || v < math.MinInt64/factor {
				return nil, errors.New("the time is out of PostgreSQL's range")
			}
			v *= factor
		}
		if v < math.MinInt64+epochMicros+1 {
			return nil, errors.New("the time is too early for PostgreSQL")
		}
		return appendInt64(b, v-epochMicros), nil
	}
}

// encodeNested writes structs, maps and lists of them as jsonb.
func encodeNested(b []byte, a arrow.Array, i int) ([]byte, error) {
	value, err := json.Marshal(a.GetOneForMarshal(i))
	if err != nil {
		return nil, err
	}
	b = binary.BigEndian.AppendUint32(b, uint32(len(value)+1))
	return append(append(b, 1), value...), nil
}

// encodeBatch appends all rows of a batch.
func encodeBatch(b []byte, fields []field, batch arrow.RecordBatch, firstRow int64) ([]byte, error) {
	columns := batch.Columns()
	for row := range int(batch.NumRows()) {
		b = binary.BigEndian.AppendUint16(b, uint16(len(fields)))
		for i, f := range fields {
			if columns[i].IsNull(row) {
				b = binary.BigEndian.AppendUint32(b, math.MaxUint32)
				continue
			}
			var err error
			if b, err = f.encode(b, columns[i], row); err != nil {
				return nil, fault.Errorf(models.ClassData, "the value in row %s, column %s cannot be written: %s",
					strconv.FormatInt(firstRow+int64(row)+1, 10), f.name, err)
			}
		}
	}
	return b, nil
}
