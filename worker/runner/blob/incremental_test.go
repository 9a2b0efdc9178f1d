package blob_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/definition"
	"github.com/matih/pipeline-service/models/task"
)

// reader reads a folder on and on, as executions that publish do.
type reader struct {
	*folder
	source definition.StorageSource
	cursor models.Cursor
}

func newReader(t *testing.T, source definition.StorageSource) *reader {
	return &reader{folder: newFolder(t, nil), source: source}
}

func (r *reader) put(name, content string) {
	r.TB.Helper()
	if err := os.WriteFile(filepath.Join(r.dir, name), []byte(content), 0o600); err != nil {
		r.TB.Fatal(err)
	}
}

func (r *reader) spec() task.Spec {
	spec := r.folder.source(r.source)
	spec.Source.Mode = definition.ReadIncremental
	cursor := r.cursor
	spec.Cursor = &cursor
	return spec
}

// read returns the values of the column id, and where the read ended.
func (r *reader) read() (string, string) {
	r.TB.Helper()
	spec := r.spec()
	res := r.MustRun(spec)
	return r.Column(spec.Output, "id"), res.Cursor
}

// next reads, publishes, and compares.
func (r *reader) next(want string) {
	r.TB.Helper()
	got, end := r.read()
	if got != want {
		r.TB.Errorf("read %q, want %q", got, want)
	}
	r.cursor = models.Cursor{Seq: r.cursor.Seq + 1, Value: end}
}

func TestIncrementalReadsEachFileOnce(t *testing.T) {
	for _, format := range []definition.Format{definition.FormatCSV, definition.FormatJSON, definition.FormatParquet} {
		t.Run(string(format), func(t *testing.T) {
			r := newReader(t, definition.StorageSource{Pattern: "*." + string(format), Format: format})
			put := func(name, id string) {
				t.Helper()
				path := filepath.Join(r.dir, name+"."+string(format))
				options := map[definition.Format]string{
					definition.FormatCSV: "FORMAT csv, HEADER", definition.FormatJSON: "FORMAT json", definition.FormatParquet: "FORMAT parquet"}[format]
				r.Query("COPY (SELECT "+id+" AS id, 'x' AS name) TO '"+path+"' ("+options+")", nil)
			}
			r.next("")
			put("a", "1")
			put("b", "2")
			r.next("1 2")
			r.next("")
			put("c", "3")
			r.next("3")
			put("a", "10") // another size
			r.next("10")
			at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
			if err := os.Chtimes(filepath.Join(r.dir, "b."+string(format)), at, at); err != nil {
				t.Fatal(err)
			}
			r.next("2")
			r.source.Pattern = "c.*"
			r.next("")
			r.source.Pattern = "*"
			r.next("")
		})
	}
}

func TestIncrementalKeepsColumnsWhereNoFileIsNew(t *testing.T) {
	r := newReader(t, definition.StorageSource{Pattern: "*", Format: definition.FormatCSV})
	r.put("a.csv", "id,at,amount\n1,2026-01-01,1.5\n")
	spec := r.spec()
	first := r.MustRun(spec)
	for range 2 {
		r.cursor = models.Cursor{Seq: 1, Value: first.Cursor}
		spec = r.spec()
		again := r.MustRun(spec)
		if got, want := r.ContentOf(spec.Output).Columns, "id BIGINT, at DATE, amount DOUBLE"; got != want {
			t.Errorf("without new files the columns are %s, want %s", got, want)
		}
		first = again
	}
}

func TestIncrementalReadsAPendingBatchAgain(t *testing.T) {
	r := newReader(t, definition.StorageSource{Pattern: "*", Format: definition.FormatCSV})
	r.put("a.csv", "id\n1\n")
	r.next("1")
	r.put("b.csv", "id\n2\n")
	r.put("c.csv", "id\n3\n")
	got, end := r.read()
	if got != "2 3" {
		t.Fatalf("read %q", got)
	}
	r.cursor.Batch, r.cursor.Pending = "exec-1", end
	r.put("d.csv", "id\n4\n")
	r.put("c.csv", "id\n33\n")
	out := r.Run(r.spec())
	if out.Failure != nil || out.Result.RowsOut != 1 || out.Result.Cursor != end && len(out.Result.Cursor) != len(end) {
		t.Fatalf("got %+v %+v", out.Result, out.Failure)
	}
	if !strings.Contains(string(out.Raw), "1 files that an execution before began to publish are gone or were changed") {
		t.Errorf("nothing is said of the changed file: %s", out.Raw)
	}
	r.cursor = models.Cursor{Seq: 2, Value: out.Result.Cursor}
	r.next("4 33")
}
