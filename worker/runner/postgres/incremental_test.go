package postgres_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/definition"
	"github.com/matih/pipeline-service/models/task"
	"github.com/matih/pipeline-service/worker/runner/connectortest"
)

// reader reads a table on and on, as executions that publish do.
type reader struct {
	d      *database
	l      *connectortest.Lab
	source definition.JDBCSource
	cursor models.Cursor
}

func newReader(t *testing.T, d *database, source definition.JDBCSource) *reader {
	return &reader{d: d, l: connectortest.NewLab(t), source: source}
}

func (r *reader) spec() task.Spec {
	spec := r.d.source(r.l, r.source)
	spec.Source.Mode = definition.ReadIncremental
	cursor := r.cursor
	spec.Cursor = &cursor
	return spec
}

// read returns the values of an expression that a read brings, and where it ended.
func (r *reader) read(expression string) (string, string) {
	r.l.TB.Helper()
	spec := r.spec()
	res := r.l.MustRun(spec)
	return r.l.Column(spec.Output, expression), res.Cursor
}

// next reads and publishes.
func (r *reader) next(expression string) string {
	r.l.TB.Helper()
	values, end := r.read(expression)
	r.cursor = models.Cursor{Seq: r.cursor.Seq + 1, Value: end}
	return values
}

func assertRead(t *testing.T, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("read %q, want %q", got, want)
	}
}

// TestIncrementalOfEveryType goes from one value to the next, with others equal to the last, in every type.
func TestIncrementalOfEveryType(t *testing.T) {
	d := newDatabase(t)
	for typ, values := range map[string][3]string{
		"smallint":       {"-5", "0", "7"},
		"bigint":         {"-9223372036854775808", "9007199254740993", "9223372036854775807"},
		"numeric":        {"0.10", "0.100000000000000000000000001", "12345678901234567890.5"},
		"numeric(10,2)":  {"-1.00", "0.01", "99999999.99"},
		"date":           {"0044-03-15 BC", "2024-02-28", "2024-02-29"},
		"timestamp":      {"2024-01-01 00:00:00", "2024-01-01 00:00:00.000001", "9999-12-31 23:59:59.999999"},
		"timestamptz":    {"2024-01-01 00:00:00+02", "2024-01-01 00:00:00+01", "2024-01-01 00:00:00.5+00"},
		"text":           {"", "it's", "naïve 🦆"},
		"varchar(10)":    {"a", "b", "b'"},
		"char(3)":        {"a", "b", "c"},
		"positive_watch": {"1", "2", "3"},
	} {
		t.Run(typ, func(t *testing.T) {
			table := "w_" + strings.NewReplacer("(", "_", ")", "", ",", "_").Replace(typ)
			if typ == "positive_watch" {
				d.exec("CREATE DOMAIN positive_watch AS integer CHECK (VALUE > 0)")
			}
			d.exec(fmt.Sprintf("CREATE TABLE %s (id int, w %s)", table, typ))
			insert := func(id int, w string) {
				d.exec(fmt.Sprintf("INSERT INTO %s VALUES (%d, '%s')", table, id, strings.ReplaceAll(w, "'", "''")))
			}
			r := newReader(t, d, definition.JDBCSource{Table: table, WatermarkColumn: "W"})
			assertRead(t, r.next("id"), "")
			insert(1, values[0])
			assertRead(t, r.next("id"), "1")
			assertRead(t, r.next("id"), "")
			insert(2, values[0])
			insert(3, values[1])
			insert(4, values[1])
			assertRead(t, r.next("id"), "2 3 4")
			insert(5, values[1])
			assertRead(t, r.next("id"), "5")
			insert(6, values[2])
			insert(7, values[1])
			assertRead(t, r.next("id"), "6 7")
			assertRead(t, r.next("id"), "")
		})
	}
}

func TestIncrementalTellsEqualRowsApartByTheirNumber(t *testing.T) {
	d := newDatabase(t)
	d.exec("CREATE TABLE twins (v text, w int)", "INSERT INTO twins VALUES ('a', 1), ('a', 1), (NULL, 1)")
	r := newReader(t, d, definition.JDBCSource{Table: "twins", WatermarkColumn: "w"})
	assertRead(t, r.next("coalesce(v, 'null')"), "a a null")
	d.exec("INSERT INTO twins VALUES ('a', 1), (NULL, 1), ('b', 1)")
	assertRead(t, r.next("coalesce(v, 'null')"), "a b null")
	assertRead(t, r.next("coalesce(v, 'null')"), "")
	d.exec("DELETE FROM twins WHERE v = 'b'", "INSERT INTO twins VALUES ('b', 1), ('c', 1)")
	assertRead(t, r.next("v"), "c")
	d.exec("ALTER TABLE twins ADD COLUMN more int", "INSERT INTO twins VALUES ('d', 1, 5)")
	assertRead(t, r.next("v"), "d")
	d.exec("INSERT INTO twins VALUES ('e', 2, 5)")
	assertRead(t, r.next("v"), "e")
	d.exec("DELETE FROM twins")
	assertRead(t, r.next("v"), "")
	d.exec("INSERT INTO twins VALUES ('f', 3, 5)")
	assertRead(t, r.next("v"), "f")
}

// TestIncrementalReadsAPendingBatchAgain changes the table between two reads of one batch: the second brings what
// was there the first time, and the next batch the rest.
func TestIncrementalReadsAPendingBatchAgain(t *testing.T) {
	d := newDatabase(t)
	d.exec("CREATE TABLE p (id int, w int)", "INSERT INTO p VALUES (1, 1), (2, 1)")
	r := newReader(t, d, definition.JDBCSource{Table: "p", WatermarkColumn: "w"})
	assertRead(t, r.next("id"), "1 2")
	pending := func(want, meanwhile, again string) {
		t.Helper()
		first, end := r.read("id")
		assertRead(t, first, want)
		r.cursor.Batch, r.cursor.Pending = "exec-1", end
		d.exec(meanwhile)
		second, stays := r.read("id")
		assertRead(t, second, again)
		if stays != end {
			t.Errorf("the batch ends at %s, and then at %s", end, stays)
		}
		r.cursor = models.Cursor{Seq: r.cursor.Seq + 1, Value: stays}
	}
	d.exec("INSERT INTO p VALUES (3, 1), (4, 2), (5, 3), (6, 3)")
	pending("3 4 5 6", "INSERT INTO p VALUES (7, 3), (8, 4)", "3 4 5 6")
	assertRead(t, r.next("id"), "7 8")
	d.exec("INSERT INTO p VALUES (9, 4)")
	pending("9", "INSERT INTO p VALUES (10, 4)", "9")
	assertRead(t, r.next("id"), "10")
	pending("", "INSERT INTO p VALUES (11, 4)", "")
	assertRead(t, r.next("id"), "11")
}

func TestIncrementalLeavesOutWhatHasNoOrder(t *testing.T) {
	d := newDatabase(t)
	d.exec("CREATE TABLE odd (id int, at timestamptz, n numeric)",
		"INSERT INTO odd VALUES (1, NULL, NULL), (2, 'infinity', 'NaN'), (3, '-infinity', 'Infinity'), (4, '2024-01-01', 1)")
	for _, column := range []string{"at", "n"} {
		r := newReader(t, d, definition.JDBCSource{Query: "SELECT * FROM odd;", WatermarkColumn: column})
		out := r.l.Run(r.spec())
		if out.Failure != nil {
			t.Fatal(out.Failure, out.Failure.Detail)
		}
		if out.Result.RowsOut != 1 {
			t.Errorf("%s: %d rows, want the one with a watermark", column, out.Result.RowsOut)
		}
		if !strings.Contains(string(out.Raw), "3 rows or more are never read") {
			t.Errorf("%s: no warning in %s", column, out.Raw)
		}
	}
}

// TestIncrementalInPartitions compares what several parts and several reads bring together with the table.
func TestIncrementalInPartitions(t *testing.T) {
	d := newDatabase(t)
	d.exec("CREATE TABLE many AS SELECT i AS id, i / 100 AS w FROM generate_series(1, 20000) i")
	r := newReader(t, d, definition.JDBCSource{Query: "SELECT id, w FROM many", WatermarkColumn: "w", PartitionColumn: "id", NumPartitions: 4})
	var rows, sum int64
	for _, more := range []string{
		"SELECT", "INSERT INTO many SELECT i, i / 100 FROM generate_series(20001, 30000) i", "INSERT INTO many VALUES (-1, 300)", "SELECT",
	} {
		d.exec(more)
		spec := r.spec()
		res := r.l.MustRun(spec)
		r.cursor = models.Cursor{Seq: r.cursor.Seq + 1, Value: res.Cursor}
		var n, s int64
		if _, err := fmt.Sscan(r.l.Value(spec.Output, "count(*) || ' ' || coalesce(sum(id), 0)"), &n, &s); err != nil {
			t.Fatal(err)
		}
		rows, sum = rows+n, sum+s
		if got, want := fmt.Sprint(rows, " ", sum), d.text("SELECT count(*) || ' ' || sum(id) FROM many"); got != want {
			t.Errorf("after %s: %s rows and their sum were read, there are %s", more, got, want)
		}
	}
}

func TestIncrementalRefusesAnotherWatermark(t *testing.T) {
	d := newDatabase(t)
	d.exec("CREATE TABLE moved (id int, at timestamp, doc jsonb)", "INSERT INTO moved VALUES (1, '2024-01-01', '1')")
	r := newReader(t, d, definition.JDBCSource{Table: "moved", WatermarkColumn: "id"})
	r.next("id")
	for column, want := range map[string]string{"at": "another name", "doc": "cannot be the watermark", "nothing": "no column"} {
		r.source.WatermarkColumn = column
		f := r.l.MustFail(r.spec())
		if f.Class != models.ClassInvalidDefinition || f.Retry || !strings.Contains(f.Message, want) {
			t.Errorf("%s: got %+v, want %q", column, f, want)
		}
	}
}

// TestUserNamesDoNotGetIntoCursors has a user whose name is in the cursor's text by chance.
func TestUserNamesDoNotGetIntoCursors(t *testing.T) {
	d := newDatabase(t)
	user := server.User
	d.exec(fmt.Sprintf("CREATE TABLE named (%s int)", user), "INSERT INTO named VALUES (1)")
	r := newReader(t, d, definition.JDBCSource{Table: "named", WatermarkColumn: user})
	assertRead(t, r.next(user), "1")
	if !strings.Contains(r.cursor.Value, user) {
		t.Errorf("the column is not in the cursor %s", r.cursor.Value)
	}
	assertRead(t, r.next(user), "")
}
