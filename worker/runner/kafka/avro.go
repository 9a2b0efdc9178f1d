package kafka

import (
	"context"
	"encoding/hex"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/hamba/avro/v2"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/task"
	"github.com/matih/pipeline-service/worker/runner/blob"
	"github.com/matih/pipeline-service/worker/runner/duckdb"
	"github.com/matih/pipeline-service/worker/runner/fault"
)

// avroFormat reads values that are Avro with the id of a registered schema before it. They are written as JSON
// in which every value is exact: numbers and times in digits, bytes in hexadecimal.
type avroFormat struct {
	registry *registry

	mu      sync.Mutex
	seen    map[*avroSchema]bool
	columns []task.Column // of all schemas so far
}

func (a *avroFormat) appendValue(ctx context.Context, line []byte, record *kgo.Record) ([]byte, *task.Failure) {
	id, data, err := wire(record.Value)
	if err != nil {
		return nil, fault.Because(fault.Errorf(models.ClassData, "is not Avro in the schema registry's form"), err)
	}
	schema, f := a.registry.schema(ctx, id)
	if f != nil {
		return nil, f
	}
	a.note(schema)
	w := avroWriter{reader: avro.NewReader(nil, 0, avro.WithReaderConfig(avroConfig)).Reset(data), line: line}
	for _, field := range schema.record.Fields() {
		w.line = append(w.line, ',')
		w.line = appendText(w.line, field.Name())
		w.line = append(w.line, ':')
		w.value(field.Type(), 0)
	}
	if err := w.err(); err != nil {
		return nil, fault.Because(fault.Errorf(models.ClassData, "does not follow its schema, which has the id %d", id), err)
	}
	if w.reader.Peek(); w.reader.Error == nil {
		return nil, fault.Errorf(models.ClassData, "is longer than its schema, which has the id %d", id)
	}
	return w.line, nil
}

// note adds the columns of a schema to those of the batch.
func (a *avroFormat) note(s *avroSchema) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.seen[s] {
		return
	}
	if a.seen == nil {
		a.seen = map[*avroSchema]bool{}
	}
	a.seen[s] = true
	for _, c := range s.columns {
		at := -1
		for i := range a.columns {
			if duckdb.SameName(a.columns[i].Name, c.Name) {
				at = i
			}
		}
		if at < 0 {
			a.columns = append(a.columns, c)
			continue
		}
		a.columns[at].Type = unite(a.columns[at].Type, c.Type)
	}
}

// view reads scalars as text and casts them, because a cast is strict and knows all their forms.
func (a *avroFormat) view(ctx context.Context, e Engine, paths []string, _ string) error {
	var read [][2]string
	var items []string
	all := make([]task.Column, 0, len(metadata)+len(a.columns))
	for _, c := range metadata {
		all = append(all, task.Column{Name: c.Column, Type: c.Type})
	}
	for _, c := range append(all, a.columns...) {
		name := duckdb.Ident(c.Name)
		switch {
		case c.Type == asJSON:
			read, items = append(read, [2]string{c.Name, "JSON"}), append(items, name)
		case nested(c.Type):
			// Bytes in there stay hexadecimal text.
			t := duckdb.MapType(c.Type, map[string]string{"BLOB": "VARCHAR"})
			read, items = append(read, [2]string{c.Name, t}), append(items, name)
		case c.Type == "BLOB":
			read, items = append(read, [2]string{c.Name, "VARCHAR"}), append(items, fmt.Sprintf("unhex(%[1]s) AS %[1]s", name))
		default:
			read, items = append(read, [2]string{c.Name, "VARCHAR"}), append(items, fmt.Sprintf("CAST(%[1]s AS %[2]s) AS %[1]s", name, c.Type))
		}
	}
	return e.CreateView(ctx, blob.SourceView, fmt.Sprintf("SELECT %s FROM read_json(%s, format = 'newline_delimited', compression = 'uncompressed', columns = %s)",
		strings.Join(items, ", "), duckdb.List(paths), duckdb.Struct(read)))
}

// avroConfig bounds single values as records are.
var avroConfig = avro.Config{MaxByteSliceSize: maxRecord, MaxSliceAllocSize: maxRecord}.Freeze()

// maxNesting bounds how deep values lie in values.
const maxNesting = 64

// avroWriter writes one value as JSON. After the first error it writes nothing of worth.
type avroWriter struct {
	reader *avro.Reader
	line   []byte
	fail   error
}

func (w *avroWriter) err() error {
	if w.fail != nil {
		return w.fail
	}
	return w.reader.Error
}

func (w *avroWriter) stop(format string, args ...any) {
	if w.fail == nil {
		w.fail = fmt.Errorf(format, args...)
	}
}

func (w *avroWriter) text(s string) {
	if !utf8.ValidString(s) {
		w.stop("a text is not UTF-8")
	}
	w.line = appendText(w.line, s)
}

func (w *avroWriter) value(s avro.Schema, depth int) {
	if w.err() != nil {
		return
	}
	if depth > maxNesting || len(w.line) > maxRecord {
		w.stop("it is nested too deeply or too large")
		return
	}
	switch s := resolve(s).(type) {
	case *avro.RecordSchema:
		for i, f := range s.Fields() {
			w.line = append(w.line, "{,"[min(i, 1)])
			w.line = appendText(w.line, f.Name())
			w.line = append(w.line, ':')
			w.value(f.Type(), depth+1)
		}
		if len(s.Fields()) == 0 {
			w.line = append(w.line, '{')
		}
		w.line = append(w.line, '}')
	case *avro.ArraySchema:
		w.blocks('[', ']', func() { w.value(s.Items(), depth+1) })
	case *avro.MapSchema:
		w.blocks('{', '}', func() {
			w.text(w.reader.ReadString())
			w.line = append(w.line, ':')
			w.value(s.Values(), depth+1)
		})
	case *avro.UnionSchema:
		at := w.reader.ReadLong()
		if at < 0 || at >= int64(len(s.Types())) {
			w.stop("a union has no type %d", at)
			return
		}
		w.value(s.Types()[at], depth+1)
	case *avro.EnumSchema:
		at := int(w.reader.ReadInt())
		symbols := s.Symbols()
		if at < 0 || at >= len(symbols) {
			w.stop("an enum has no symbol %d", at)
			return
		}
		w.text(symbols[at])
	case *avro.FixedSchema:
		if s.Size() > maxRecord {
			w.stop("a value is too large")
			return
		}
		value := make([]byte, s.Size())
		w.reader.Read(value)
		w.bytes(value, s.Logical())
	default:
		w.primitive(s)
	}
}

// blocks writes the items of an array or a map.
func (w *avroWriter) blocks(open, end byte, item func()) {
	w.line = append(w.line, open)
	first := true
	for w.err() == nil {
		count, _ := w.reader.ReadBlockHeader()
		if count == 0 {
			break
		}
		for range count {
			if w.err() != nil {
				return
			}
			if !first {
				w.line = append(w.line, ',')
			}
			first = false
			item()
			if len(w.line) > maxRecord {
				w.stop("it is too large")
			}
		}
	}
	w.line = append(w.line, end)
}

func (w *avroWriter) primitive(s avro.Schema) {
	switch s.Type() {
	case avro.Null:
		w.line = append(w.line, "null"...)
	case avro.Boolean:
		w.line = strconv.AppendBool(w.line, w.reader.ReadBool())
	case avro.Int:
		w.whole(int64(w.reader.ReadInt()), logical(s))
	case avro.Long:
		w.whole(w.reader.ReadLong(), logical(s))
	case avro.Float:
		w.number(float64(w.reader.ReadFloat()), 32)
	case avro.Double:
		w.number(w.reader.ReadDouble(), 64)
	case avro.String:
		w.text(w.reader.ReadString())
	case avro.Bytes:
		var l avro.LogicalSchema
		if p, ok := s.(*avro.PrimitiveSchema); ok {
			l = p.Logical()
		}
		w.bytes(w.reader.ReadBytes(), l)
	default:
		w.stop("the type %s is not known", s.Type())
	}
}

// whole writes a number, or what it counts.
func (w *avroWriter) whole(n int64, l avro.LogicalType) {
	switch l {
	case avro.Date:
		day, _, _ := strings.Cut(instant(time.Unix(0, 0).UTC().AddDate(0, 0, int(n)), ""), " 00:")
		w.text(day)
	case avro.TimeMillis:
		w.text(time.UnixMilli(n).UTC().Format("15:04:05.000"))
	case avro.TimeMicros:
		w.text(time.UnixMicro(n).UTC().Format("15:04:05.000000"))
	case avro.TimestampMillis:
		w.text(instant(time.UnixMilli(n).UTC(), "+00"))
	case avro.TimestampMicros:
		w.text(instant(time.UnixMicro(n).UTC(), "+00"))
	case avro.LocalTimestampMillis:
		w.text(instant(time.UnixMilli(n).UTC(), ""))
	case avro.LocalTimestampMicros:
		w.text(instant(time.UnixMicro(n).UTC(), ""))
	default:
		w.line = strconv.AppendInt(w.line, n, 10)
	}
}

// number writes what JSON has no number for as text.
func (w *avroWriter) number(f float64, bits int) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		w.text(strings.ToLower(strings.TrimPrefix(strconv.FormatFloat(f, 'g', -1, bits), "+")))
		return
	}
	w.line = strconv.AppendFloat(w.line, f, 'g', -1, bits)
}

func (w *avroWriter) bytes(value []byte, l avro.LogicalSchema) {
	if d, ok := l.(*avro.DecimalLogicalSchema); ok {
		w.text(decimal(value, d.Scale()))
		return
	}
	w.text(strings.ToUpper(hex.EncodeToString(value)))
}

// decimal writes a two's complement number with some digits behind the point.
func decimal(value []byte, scale int) string {
	n := new(big.Int).SetBytes(value)
	if len(value) > 0 && value[0]&0x80 != 0 {
		n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(8*len(value))))
	}
	sign := ""
	if n.Sign() < 0 {
		sign = "-"
	}
	digits := new(big.Int).Abs(n).String()
	if scale == 0 {
		return sign + digits
	}
	if len(digits) <= scale {
		digits = strings.Repeat("0", scale-len(digits)+1) + digits
	}
	return sign + digits[:len(digits)-scale] + "." + digits[len(digits)-scale:]
}
