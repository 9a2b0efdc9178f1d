package postgres

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"unicode/utf8"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/worker/runner/fault"
)

// A batch is handed on when it has so many rows or bytes.
const (
	batchRows  = 122_880
	batchBytes = 32 << 20
)

// PostgreSQL counts days and microseconds from 2000-01-01, Parquet from 1970-01-01.
const (
	epochDays   = 10_957
	epochMicros = epochDays * 86_400_000_000
)

// copySignature begins the binary form of COPY.
// Source: PostgreSQL documentation, COPY, "Binary Format".
var copySignature = []byte("PGCOPY\n\xff\r\n\x00")

// decoder turns the binary form of COPY into record batches.
type decoder struct {
	columns []column
	schema  *arrow.Schema
	builder *array.RecordBuilder
	appends []func([]byte) error
	nulls   []func()

	pending []byte // a row of which only the beginning has arrived
	begun   bool
	ended   bool
	rows    int64 // all rows seen
	inBatch int
	size    int
	emit    func(arrow.RecordBatch, int64) error
}

func newDecoder(columns []column, schema *arrow.Schema, emit func(arrow.RecordBatch, int64) error) *decoder {
	d := &decoder{columns: columns, schema: schema, emit: emit, builder: array.NewRecordBuilder(memory.DefaultAllocator, schema)}
	for i, c := range columns {
		b := d.builder.Field(i)
		d.appends = append(d.appends, appender(c, b))
		d.nulls = append(d.nulls, b.AppendNull)
	}
	return d
}

// Write takes the next piece of the stream.
func (d *decoder) Write(p []byte) (int, error) {
	data := p
	if len(d.pending) > 0 {
		d.pending = append(d.pending, p...)
		data = d.pending
	}
	rest, err := d.consume(data)
	if err != nil {
		return 0, err
	}
	if len(rest) == 0 {
		d.pending = d.pending[:0]
	} else {
		d.pending = append([]byte(nil), rest...)
	}
	return len(p), nil
}

var errStream = errors.New("the stream is not PostgreSQL's binary COPY")

func (d *decoder) consume(data []byte) ([]byte, error) {
	if !d.begun {
		const fixed = 11 + 4 + 4
		if len(data) < fixed {
			return data, nil
		}
		if !bytes.HasPrefix(data, copySignature) {
			return nil, errStream
		}
		extension := int(binary.BigEndian.Uint32(data[15:]))
		if extension > maxField {
			return nil, errStream
		}
		if len(data) < fixed+extension {
			return data, nil
		}
		data, d.begun = data[fixed+extension:], true
	}
	for len(data) >= 2 {
		if d.ended {
			return nil, errStream
		}
		count := int16(binary.BigEndian.Uint16(data))
		if count == -1 {
			data, d.ended = data[2:], true
			continue
		}
		if int(count) != len(d.columns) {
			return nil, errStream
		}
		size, whole, err := d.rowSize(data)
		if err != nil {
			return nil, err
		}
		if !whole {
			return data, nil
		}
		if err := d.row(data[2:size]); err != nil {
			return nil, err
		}
		data = data[size:]
	}
	return data, nil
}

// rowSize is the length of the row at the beginning of data, if all of it is there.
func (d *decoder) rowSize(data []byte) (int, bool, error) {
	at := 2
	for i := range d.columns {
		if len(data) < at+4 {
			return 0, false, nil
		}
		n := int(int32(binary.BigEndian.Uint32(data[at:])))
		at += 4
		if n > maxField {
			return 0, false, d.fault(i, fmt.Errorf("it has %d MiB, more than a task can hold (%d)", n>>20, maxField>>20))
		}
		if n > 0 {
			at += n
		}
	}
	return at, len(data) >= at, nil
}

func (d *decoder) row(data []byte) error {
	for i := range d.columns {
		n := int(int32(binary.BigEndian.Uint32(data)))
		data = data[4:]
		if n < 0 {
			d.nulls[i]()
			continue
		}
		if err := d.appends[i](data[:n]); err != nil {
			return d.fault(i, err)
		}
		data = data[n:]
		d.size += n
	}
	d.size += len(d.columns) // what nulls and offsets take
	d.rows++
	d.inBatch++
	if d.inBatch >= batchRows || d.size >= batchBytes {
		return d.flush()
	}
	return nil
}

func (d *decoder) fault(column int, err error) error {
	return fault.Errorf(models.ClassData, "the value in row %d, column %s cannot be read: %s", d.rows+1, d.columns[column].name, err)
}

func (d *decoder) flush() error {
	if d.inBatch == 0 {
		return nil
	}
	batch, size := d.builder.NewRecordBatch(), d.size
	d.inBatch, d.size = 0, 0
	return d.emit(batch, int64(size))
}

// close hands on the last batch. A stream that broke off is an error.
func (d *decoder) close() error {
	if !d.ended || len(d.pending) > 0 {
		return errStream
	}
	return d.flush()
}

func (d *decoder) release() { d.builder.Release() }

var errLength = errors.New("it has an unexpected length")

// appender adds one value in binary form to a builder.
func appender(c column, b array.Builder) func([]byte) error {
	if c.asText {
		return appendText(b.(*array.StringBuilder))
	}
	switch b := b.(type) {
	case *array.BooleanBuilder:
		return func(v []byte) error {
			if len(v) != 1 {
				return errLength
			}
			b.Append(v[0] != 0)
			return nil
		}
	case *array.Int16Builder:
		return fixed(2, func(v []byte) error { b.Append(int16(binary.BigEndian.Uint16(v))); return nil })
	case *array.Int32Builder:
		return fixed(4, func(v []byte) error { b.Append(int32(binary.BigEndian.Uint32(v))); return nil })
	case *array.Int64Builder:
		return fixed(8, func(v []byte) error { b.Append(int64(binary.BigEndian.Uint64(v))); return nil })
	case *array.Uint32Builder:
		return fixed(4, func(v []byte) error { b.Append(binary.BigEndian.Uint32(v)); return nil })
	case *array.Float32Builder:
		return fixed(4, func(v []byte) error { b.Append(math.Float32frombits(binary.BigEndian.Uint32(v))); return nil })
	case *array.Float64Builder:
		return fixed(8, func(v []byte) error { b.Append(math.Float64frombits(binary.BigEndian.Uint64(v))); return nil })
	case *array.Decimal128Builder:
		return func(v []byte) error {
			n, err := decodeNumeric(v, c.scale)
			if err == nil {
				b.Append(n)
			}
			return err
		}
	case *array.StringBuilder:
		return appendText(b)
	case *array.BinaryBuilder:
		return func(v []byte) error { b.Append(v); return nil }
	case *array.Date32Builder:
		return fixed(4, func(v []byte) error {
			days, err := fromPGDate(int32(binary.BigEndian.Uint32(v)))
			if err == nil {
				b.Append(arrow.Date32(days))
			}
			return err
		})
	case *array.Time64Builder:
		return fixed(8, func(v []byte) error { b.Append(arrow.Time64(binary.BigEndian.Uint64(v))); return nil })
	case *array.TimestampBuilder:
		return fixed(8, func(v []byte) error {
			micros, err := fromPGTimestamp(int64(binary.BigEndian.Uint64(v)))
			if err == nil {
				b.Append(arrow.Timestamp(micros))
			}
			return err
		})
	case *array.ListBuilder:
		return appendList(c, b)
	case storageBuilder:
		return appendStored(c, b.StorageBuilder())
	}
	return func([]byte) error { return fmt.Errorf("its type %s is not supported", c.arrow) }
}

// storageBuilder is a builder of an Arrow extension type, which is stored as another type.
type storageBuilder interface{ StorageBuilder() array.Builder }

// appendStored adds the values of types that Parquet marks but stores as plain ones: uuid and json.
func appendStored(c column, b array.Builder) func([]byte) error {
	switch b := b.(type) {
	case *array.FixedSizeBinaryBuilder:
		return fixed(16, func(v []byte) error { b.Append(v); return nil })
	case *array.StringBuilder:
		add := appendText(b)
		if c.oid != pgtype.JSONBOID {
			return add
		}
		return func(v []byte) error {
			if len(v) < 1 || v[0] != 1 { // the version of jsonb's binary form
				return errLength
			}
			return add(v[1:])
		}
	}
	return func([]byte) error { return fmt.Errorf("its type %s is not supported", c.arrow) }
}

// appendList adds an array of one dimension: the number of dimensions, a flag, the elements' type, then
// length and lower bound of each dimension, then the elements, each after its length.
// Source: PostgreSQL, src/backend/utils/adt/arrayfuncs.c, array_send.
func appendList(c column, b *array.ListBuilder) func([]byte) error {
	element, _ := c.element()
	values := b.ValueBuilder()
	add := appender(element, values)
	return func(v []byte) error {
		if len(v) < 12 {
			return errLength
		}
		switch dimensions := binary.BigEndian.Uint32(v); dimensions {
		case 0:
			b.Append(true)
			return nil
		case 1:
		default:
			return fmt.Errorf("it is an array of %d dimensions; cast it to text or to_jsonb in a query", dimensions)
		}
		if len(v) < 20 {
			return errLength
		}
		count := int(binary.BigEndian.Uint32(v[12:]))
		v = v[20:]
		b.Append(true)
		for range count {
			if len(v) < 4 {
				return errLength
			}
			n := int(int32(binary.BigEndian.Uint32(v)))
			v = v[4:]
			if n < 0 {
				values.AppendNull()
				continue
			}
			if len(v) < n {
				return errLength
			}
			if err := add(v[:n]); err != nil {
				return err
			}
			v = v[n:]
		}
		return nil
	}
}

// The infinities are the ends of the range on both sides; DuckDB's negative one is the negated positive.
func fromPGDate(days int32) (int32, error) {
	switch {
	case days == math.MaxInt32:
		return math.MaxInt32, nil
	case days == math.MinInt32:
		return -math.MaxInt32, nil
	case days > math.MaxInt32-epochDays-1:
		return 0, errors.New("the date is too late")
	}
	return days + epochDays, nil
}

func fromPGTimestamp(micros int64) (int64, error) {
	switch {
	case micros == math.MaxInt64:
		return math.MaxInt64, nil
	case micros == math.MinInt64:
		return -math.MaxInt64, nil
	case micros > math.MaxInt64-epochMicros-1:
		return 0, errors.New("the time is after the year 294246")
	}
	return micros + epochMicros, nil
}

func fixed(n int, add func([]byte) error) func([]byte) error {
	return func(v []byte) error {
		if len(v) != n {
			return errLength
		}
		return add(v)
	}
}

func appendText(b *array.StringBuilder) func([]byte) error {
	return func(v []byte) error {
		if !utf8.Valid(v) {
			return errors.New("it is not UTF-8")
		}
		b.BinaryBuilder.Append(v)
		return nil
	}
}
