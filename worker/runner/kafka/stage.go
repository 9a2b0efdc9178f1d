package kafka

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/definition"
	"github.com/matih/pipeline-service/models/task"
	"github.com/matih/pipeline-service/worker/runner/blob"
	"github.com/matih/pipeline-service/worker/runner/duckdb"
	"github.com/matih/pipeline-service/worker/runner/fault"
)

// Engine is what staging needs of DuckDB.
type Engine = blob.Engine

// defaultParallel is how many partitions are read at once unless the source says otherwise, maxParallel at most.
const (
	defaultParallel = 4
	maxParallel     = 32
)

// maxRecord bounds a record's value as JSON: DuckDB reads no larger objects.
const maxRecord = 15 << 20

// metadata are the columns every record has besides those of its value.
var metadata = []definition.ColumnType{
	{Column: "_partition", Type: "INTEGER"}, {Column: "_offset", Type: "BIGINT"},
	{Column: "_timestamp", Type: "TIMESTAMP WITH TIME ZONE"}, {Column: "_key", Type: "VARCHAR"},
}

// format turns values into JSON objects and then says how the objects are read.
type format interface {
	// appendValue appends the members of a value's JSON object, each with a comma before it. It is called by several
	// goroutines at once.
	appendValue(ctx context.Context, line []byte, record *kgo.Record) ([]byte, *task.Failure)
	// view defines blob.SourceView over files of lines.
	view(ctx context.Context, e Engine, paths []string, scratch string) error
}

// stage writes the records of the spans as lines into scratch, and from there as Parquet. known are columns that
// records had before.
func (r *reading) stage(ctx context.Context, e Engine, spans []span, known []task.Column, found *Found) error {
	var f format = jsonFormat{}
	if r.src.Format == definition.FormatAvro {
		registry, err := newRegistry(r.src.SchemaRegistry, r.target.rules)
		if err != nil {
			return err
		}
		f = &avroFormat{registry: registry}
	}
	paths, err := r.writeLines(ctx, f, spans)
	if err != nil {
		return err
	}
	if len(paths) == 0 {
		err = emptyView(ctx, e, known)
	} else if err = f.view(ctx, e, paths, r.to.Scratch); err == nil {
		err = widen(ctx, e, known)
	}
	if err != nil {
		return err
	}
	found.Rows, found.Columns, err = e.WriteParquet(ctx, rowsView, filepath.Join(r.to.Dir, "part-0.parquet"))
	return err
}

// writeLines writes the records as JSON lines, one file a goroutine. Those without a record leave none.
func (r *reading) writeLines(ctx context.Context, f format, spans []span) ([]string, error) {
	parallel := r.src.Partitions
	if parallel == 0 {
		parallel = defaultParallel
	}
	queue := make(chan span, len(spans))
	for _, s := range spans {
		queue <- s
	}
	close(queue)
	var left atomic.Int64
	left.Store(r.to.ScratchBytes)
	files := make([]*lines, max(1, min(parallel, maxParallel, len(spans))))
	group, ctx := errgroup.WithContext(ctx)
	for i := range files {
		w := &lines{reading: r, format: f, path: filepath.Join(r.to.Scratch, fmt.Sprintf("records-%d.json", i)), left: &left}
		files[i] = w
		group.Go(func() error { return w.run(ctx, queue) })
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	var paths []string
	for _, w := range files {
		if w.rows > 0 {
			paths = append(paths, w.path)
		}
	}
	return paths, nil
}

// lines writes records into one file.
type lines struct {
	*reading
	format format
	path   string
	left   *atomic.Int64 // bytes of scratch
	out    *bufio.Writer
	line   []byte
	rows   int64
}

func (w *lines) run(ctx context.Context, queue <-chan span) error {
	file, err := os.OpenFile(w.path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fault.Internal("write the records", err)
	}
	defer file.Close()
	w.out = bufio.NewWriterSize(file, 1<<20)
	for s := range queue {
		if err := w.fetch(ctx, s, func(record *kgo.Record) error { return w.add(ctx, record) }); err != nil {
			return err
		}
	}
	if err := w.out.Flush(); err != nil {
		return fault.Internal("write the records", err)
	}
	return nil
}

// add writes a record. One without a value, which deletes its key, has nothing but the metadata.
func (w *lines) add(ctx context.Context, record *kgo.Record) error {
	w.line = appendMetadata(w.line[:0], record)
	if record.Value != nil {
		line, f := w.format.appendValue(ctx, w.line, record)
		if f != nil {
			if f.Class != models.ClassData {
				return f
			}
			placed := poison(record.Topic, record.Partition, record.Offset, "%s", f.Message)
			placed.Detail = f.Detail
			return placed
		}
		w.line = line
	}
	w.line = append(w.line, "}\n"...)
	if len(w.line) > maxRecord {
		return poison(record.Topic, record.Partition, record.Offset, "is larger than %d MiB", maxRecord>>20)
	}
	if w.to.ScratchBytes > 0 && w.left.Add(-int64(len(w.line))) < 0 {
		return fault.Errorf(models.ClassResources, "the records need more temporary disk space than the task may use; set max_records")
	}
	if _, err := w.out.Write(w.line); err != nil {
		return fault.Internal("write the records", err)
	}
	w.rows++
	w.to.Meter.AddIn(1, int64(len(record.Key)+len(record.Value)))
	return nil
}

func appendMetadata(line []byte, record *kgo.Record) []byte {
	line = fmt.Appendf(line, `{"_partition":%d,"_offset":%d,"_timestamp":`, record.Partition, record.Offset)
	line = appendText(line, record.Timestamp.UTC().Format("2006-01-02 15:04:05.000+00"))
	line = append(line, `,"_key":`...)
	switch {
	case record.Key == nil:
		return append(line, "null"...)
	case utf8.Valid(record.Key):
		return appendText(line, string(record.Key))
	default:
		return appendText(line, fmt.Sprintf("\\x%x", record.Key))
	}
}

// appendText appends a JSON string.
func appendText(line []byte, text string) []byte {
	quoted, err := json.Marshal(text)
	if err != nil {
		return append(line, `""`...) // no string has an error
	}
	return append(line, quoted...)
}

// rowsView is what is staged.
const rowsView = "_rows"

// emptyView has the known columns and no rows.
func emptyView(ctx context.Context, e Engine, known []task.Column) error {
	if len(known) == 0 {
		for _, c := range metadata {
			known = append(known, task.Column{Name: c.Column, Type: c.Type})
		}
	}
	return e.CreateView(ctx, rowsView, "SELECT "+strings.Join(nulls(known), ", ")+" WHERE false")
}

func nulls(columns []task.Column) []string {
	items := make([]string, len(columns))
	for i, c := range columns {
		items[i] = fmt.Sprintf("CAST(NULL AS %s) AS %s", c.Type, duckdb.Ident(c.Name))
	}
	return items
}

// wider are the types that a column keeps though a batch would do with another.
var wider = map[string][]string{
	"DOUBLE":    {"BIGINT"},
	"HUGEINT":   {"BIGINT"},
	"TIMESTAMP": {"DATE"},
	"VARCHAR":   {"BIGINT", "HUGEINT", "DOUBLE", "BOOLEAN", "DATE", "TIME", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE", "UUID", "JSON"},
}

// widen gives a batch the columns that were there before, so that what reads them need not know which records
// happened to come.
func widen(ctx context.Context, e Engine, known []task.Column) error {
	columns, err := e.Describe(ctx, blob.SourceView)
	if err != nil {
		return err
	}
	before := map[string]string{}
	for _, c := range known {
		before[strings.ToLower(c.Name)] = c.Type
	}
	var items []string
	for _, c := range columns {
		name, old := duckdb.Ident(c.Name), before[strings.ToLower(c.Name)]
		delete(before, strings.ToLower(c.Name))
		for _, narrow := range wider[old] {
			if narrow == c.Type {
				name = fmt.Sprintf("CAST(%[1]s AS %[2]s) AS %[1]s", name, old)
			}
		}
		items = append(items, name)
	}
	for _, c := range known {
		if _, missing := before[strings.ToLower(c.Name)]; missing {
			items = append(items, nulls([]task.Column{c})...)
		}
	}
	return e.CreateView(ctx, rowsView, fmt.Sprintf("SELECT %s FROM %s", strings.Join(items, ", "), duckdb.Ident(blob.SourceView)))
}

// instant is a moment as DuckDB reads it, whatever its year.
func instant(t time.Time, zone string) string {
	year, era := t.Year(), ""
	if year <= 0 {
		year, era = 1-year, " (BC)"
	}
	return fmt.Sprintf("%04d-%s%s%s", year, t.Format("01-02"), era, t.Format(" 15:04:05.000000")) + zone
}
