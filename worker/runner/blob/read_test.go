package blob_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/definition"
	"github.com/matih/pipeline-service/models/task"
	"github.com/matih/pipeline-service/worker/runner/connectortest"
)

// folder is a local connection's directory.
type folder struct {
	*connectortest.Lab
	dir string
}

func newFolder(t *testing.T, files map[string]string) *folder {
	t.Helper()
	l := connectortest.NewLab(t)
	f := &folder{Lab: l, dir: l.NewDir("landing")}
	for name, content := range files {
		path := filepath.Join(f.dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

func (f *folder) source(s definition.StorageSource) task.Spec {
	connection := localConnection(f.dir)
	return task.Spec{
		Task: "files", Kind: models.TaskSource, Connection: &connection, Access: task.Access{LocalRoots: []string{f.Dir}},
		Source: &definition.Source{Name: "files", Type: definition.SourceCloudStorage, Mode: definition.ReadFull, Storage: &s},
		Output: f.NewDir("out") + "/rows",
	}
}

func packed(t *testing.T, c definition.Compression, content string) string {
	t.Helper()
	var b bytes.Buffer
	switch c {
	case definition.CompressionGzip:
		w := gzip.NewWriter(&b)
		_, _ = w.Write([]byte(content))
		_ = w.Close()
	case definition.CompressionZstd:
		w, err := zstd.NewWriter(&b)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = w.Write([]byte(content))
		_ = w.Close()
	case definition.CompressionSnappy:
		w := s2.NewWriter(&b, s2.WriterSnappyCompat())
		_, _ = w.Write([]byte(content))
		_ = w.Close()
	default:
		return content
	}
	return b.String()
}

func TestCSV(t *testing.T) {
	csv := definition.StorageSource{Format: definition.FormatCSV}
	for name, c := range map[string]struct {
		files  map[string]string
		source definition.StorageSource
		want   string // a query in DuckDB's SQL
	}{
		"types": {map[string]string{"a.csv": "i,d,day,flag,s\n1,1.50,2024-01-31,true,x\n-2,3,2024-02-29,FALSE,\n"}, csv,
			"SELECT * FROM (VALUES (1::BIGINT, 1.5::DOUBLE, DATE '2024-01-31', true, 'x'), (-2, 3, DATE '2024-02-29', false, NULL)) AS t(i, d, day, flag, s)"},
		"what a number would lose stays text": {map[string]string{"a.csv": "zip,long,precise,plus,exp,hex\n01234,12345678901234567890,0.12345678901234567890,+1,1e400,0x10\n1,1,1,1,1,1\n"}, csv,
			"SELECT * FROM (VALUES ('01234', '12345678901234567890', '0.12345678901234567890', '+1', '1e400', '0x10'), ('1', '1', '1', '1', '1', '1')) AS t(zip, long, precise, plus, exp, hex)"},
		"what a time would lose stays text": {map[string]string{"a.csv": "us,offset,utc,impossible\n01/02/2024,2024-01-01T00:00:00+02:00,2024-01-01T00:00:00Z,2024-02-30\n"}, csv,
			"SELECT '01/02/2024' AS us, '2024-01-01T00:00:00+02:00' AS offset, TIMESTAMPTZ '2024-01-01 00:00:00+00' AS utc, '2024-02-30' AS impossible"},
		"the last row decides": {map[string]string{"a.csv": "a\n" + strings.Repeat("1\n", 50_000) + "x\n"}, csv,
			"SELECT CASE WHEN i < 50000 THEN '1' ELSE 'x' END AS a FROM range(50001) AS t(i)"},
		"quotes":        {map[string]string{"a.csv": "\"a,1\",\"b\"\"q\"\n\"x\ny\",\"\"\n,z\n"}, csv, `SELECT * FROM (VALUES (E'x\ny', ''), (NULL, 'z')) AS t("a,1", "b""q")`},
		"byte order":    {map[string]string{"a.csv": "\ufeffa,b\r\n1,x\r\n"}, csv, "SELECT 1::BIGINT AS a, 'x' AS b"},
		"header only":   {map[string]string{"a.csv": "a,b"}, csv, "SELECT 'x' AS a, 'x' AS b WHERE false"},
		"no last line":  {map[string]string{"a.csv": "a\n1\n2"}, csv, "SELECT * FROM (VALUES (1::BIGINT), (2)) AS t(a)"},
		"empty beside":  {map[string]string{"a.csv": "a\n1\n", "b.csv": ""}, csv, "SELECT 1::BIGINT AS a"},
		"united":        {map[string]string{"a.csv": "a,b\n1,x\n", "b.csv": "c,a\n2.5,7\n", "c.csv": "a,b\n2,y\n"}, csv, "SELECT * FROM (VALUES (1::BIGINT, 'x', NULL::DOUBLE), (2, 'y', NULL), (7, NULL, 2.5)) AS t(a, b, c)"},
		"odd names":     {map[string]string{"a.csv": "select,\"a \"\"b\"\"\",名,\n1,2,3,4\n"}, csv, `SELECT 1::BIGINT AS "select", 2::BIGINT AS "a ""b""", 3::BIGINT AS "名", 4::BIGINT AS column3`},
		"null column":   {map[string]string{"a.csv": "a,b\n1,\n2,\n"}, csv, "SELECT * FROM (VALUES (1::BIGINT, NULL::VARCHAR), (2, NULL)) AS t(a, b)"},
		"blank lines":   {map[string]string{"a.csv": "a,b\n1,x\n\n2,y\n"}, csv, "SELECT * FROM (VALUES (1::BIGINT, 'x'), (2, 'y')) AS t(a, b)"},
		"blank values":  {map[string]string{"a.csv": "a\n1\n\n2\n"}, csv, "SELECT * FROM (VALUES (1::BIGINT), (NULL), (2)) AS t(a)"},
		"quoted blanks": {map[string]string{"a.csv": "a\n\"1\"\n\"\"\n"}, csv, "SELECT * FROM (VALUES (1::BIGINT), (NULL)) AS t(a)"},
		"dialect": {map[string]string{"a.txt": "1;'x;y'\n2;z\n"}, definition.StorageSource{Format: definition.FormatCSV, Pattern: "*.txt",
			CSV: &definition.CSVOptions{Delimiter: ";", QuoteChar: "'", Header: false}}, "SELECT * FROM (VALUES (1::BIGINT, 'x;y'), (2, 'z')) AS t(column0, column1)"},
		"schema": {map[string]string{"a.csv": "a,b,c\n01,2,2024-01-01\n"}, definition.StorageSource{Format: definition.FormatCSV,
			Schema: []definition.ColumnType{{Column: "a", Type: "INTEGER"}, {Column: "b", Type: "varchar"}, {Column: "c", Type: "TIMESTAMP"}}}, "SELECT 1 AS a, '2' AS b, TIMESTAMP '2024-01-01' AS c"},
		"schema names": {map[string]string{"a.csv": "1,2\n"}, definition.StorageSource{Format: definition.FormatCSV, CSV: &definition.CSVOptions{},
			Schema: []definition.ColumnType{{Column: "x", Type: "DOUBLE"}, {Column: "y", Type: "VARCHAR"}}}, "SELECT 1::DOUBLE AS x, '2' AS y"},
		"gzip": {map[string]string{"a.csv.gz": packed(t, definition.CompressionGzip, "a\n1\n")}, csv, "SELECT 1::BIGINT AS a"},
		"mixed": {map[string]string{"a.csv.zst": packed(t, definition.CompressionZstd, "a\n1\n"), "b.csv.gz": packed(t, definition.CompressionGzip, "a\n2\n"), "c.csv.sz": packed(t, definition.CompressionSnappy, "a\n3\n"), "d.csv": "a\n4\n"}, csv,
			"SELECT i::BIGINT AS a FROM range(1, 5) AS t(i)"},
		"told compression": {map[string]string{"a": packed(t, definition.CompressionGzip, "a\n1\n")}, definition.StorageSource{Format: definition.FormatCSV, Compression: definition.CompressionGzip}, "SELECT 1::BIGINT AS a"},
		"pattern and prefix": {map[string]string{"in/2024/a.csv": "a\n1\n", "in/2024/b.txt": "a\n2\n", "in/2025/x/c.csv": "a\n3\n", "in/_tmp/d.csv": "a\n4\n", "in/.e.csv": "a\n5\n", "other/f.csv": "a\n6\n"},
			definition.StorageSource{Format: definition.FormatCSV, Prefix: "in/", Pattern: "**/*.csv"}, "SELECT * FROM (VALUES (1::BIGINT), (3)) AS t(a)"},
		"prefix of a name": {map[string]string{"in/day-1.csv": "a\n1\n", "in/night-2.csv": "a\n2\n"}, definition.StorageSource{Format: definition.FormatCSV, Prefix: "in/day-"}, "SELECT 1::BIGINT AS a"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFolder(t, c.files)
			s := f.source(c.source)
			res := f.MustRun(s)
			want := f.ContentOfQuery(c.want)
			if got := f.ContentOf(s.Output); got != want || res.RowsIn != want.Rows {
				t.Errorf("got %+v (%d rows reported)\nwant %+v", got, res.RowsIn, want)
			}
		})
	}
}

func TestJSON(t *testing.T) {
	json := definition.StorageSource{Format: definition.FormatJSON}
	for name, c := range map[string]struct {
		files map[string]string
		want  string
	}{
		"lines": {map[string]string{"a.json": `{"i":1,"d":1.5,"s":"007","day":"2024-01-31","z":"2024-01-01T00:00:00Z"}` + "\n" + `{"i":2,"n":{"x":[1,2]}}`},
			"SELECT * FROM (VALUES (1::BIGINT, 1.5::DOUBLE, '007', DATE '2024-01-31', TIMESTAMPTZ '2024-01-01 00:00:00+00', NULL::STRUCT(x BIGINT[])), (2, NULL, NULL, NULL, NULL, {'x': [1, 2]})) AS t(i, d, s, day, z, n)"},
		"array":               {map[string]string{"a.json": `[{"a":1},` + "\n" + `{"a":2}]`}, "SELECT * FROM (VALUES (1::BIGINT), (2)) AS t(a)"},
		"numbers stay exact":  {map[string]string{"a.json": `{"long":12345678901234567890123}`}, "SELECT '12345678901234567890123' AS long"},
		"offsets stay":        {map[string]string{"a.json": `{"t":"2024-01-01T00:00:00+02:00"}`}, "SELECT '2024-01-01T00:00:00+02:00' AS t"},
		"many keys":           {map[string]string{"a.json": manyKeys(500)}, manyColumns(500)},
		"united":              {map[string]string{"a.json": `{"a":1}`, "b.json": `{"b":"x"}`, "c.json": ""}, "SELECT * FROM (VALUES (1::BIGINT, NULL), (NULL, 'x')) AS t(a, b)"},
		"different kinds":     {map[string]string{"a.json": `{"a":1}` + "\n" + `{"a":"x"}`}, "SELECT * FROM (VALUES ('1'::JSON), ('\"x\"'::JSON)) AS t(a)"},
		"unicode":             {map[string]string{"a.json": `{"ä":"\ud83e\udd86"}`}, `SELECT '🦆' AS "ä"`},
		"text that looks odd": {map[string]string{"a.json": `{"a":"","b":"null","c":"1"}`}, "SELECT '' AS a, 'null' AS b, '1' AS c"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFolder(t, c.files)
			s := f.source(json)
			f.MustRun(s)
			if got, want := f.ContentOf(s.Output), f.ContentOfQuery(c.want); got != want {
				t.Errorf("got %+v\nwant %+v", got, want)
			}
		})
	}
}

func manyKeys(n int) string {
	items := make([]string, n)
	for i := range items {
		items[i] = fmt.Sprintf(`"k%d":%d`, i, i)
	}
	return "{" + strings.Join(items, ",") + "}"
}

func manyColumns(n int) string {
	items := make([]string, n)
	for i := range items {
		items[i] = fmt.Sprintf("%d::BIGINT AS k%d", i, i)
	}
	return "SELECT " + strings.Join(items, ", ")
}

func TestParquet(t *testing.T) {
	t.Run("one schema is copied", func(t *testing.T) {
		f := newFolder(t, nil)
		for i := range 3 {
			f.Query(fmt.Sprintf("COPY (SELECT %d AS a, 'x' AS b) TO '%s/%d.parquet'", i, f.dir, i), nil)
		}
		s := f.source(definition.StorageSource{Format: definition.FormatParquet})
		f.MustRun(s)
		if got, want := f.ContentOf(s.Output), f.ContentOfQuery("SELECT i::INTEGER AS a, 'x' AS b FROM range(3) AS t(i)"); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	})
	t.Run("others are united", func(t *testing.T) {
		f := newFolder(t, nil)
		f.Query(fmt.Sprintf("COPY (SELECT 1 AS a) TO '%s/1.parquet'", f.dir), nil)
		f.Query(fmt.Sprintf("COPY (SELECT 2::BIGINT AS a, 'x' AS b) TO '%s/2.parquet'", f.dir), nil)
		s := f.source(definition.StorageSource{Format: definition.FormatParquet})
		f.MustRun(s)
		if got, want := f.ContentOf(s.Output), f.ContentOfQuery("SELECT * FROM (VALUES (1::BIGINT, NULL), (2, 'x')) AS t(a, b)"); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	})
}

func TestBadFiles(t *testing.T) {
	csv, json, parquet := definition.StorageSource{Format: definition.FormatCSV}, definition.StorageSource{Format: definition.FormatJSON}, definition.StorageSource{Format: definition.FormatParquet}
	typed := csv
	typed.Schema = []definition.ColumnType{{Column: "a", Type: "INTEGER"}}
	elsewhere := csv
	elsewhere.Prefix = "../"
	for name, c := range map[string]struct {
		files  map[string]string
		source definition.StorageSource
		class  string
		words  []string
	}{
		"too many fields":    {map[string]string{"bad.csv": "a,b\n1,2\n1,2,3\n"}, csv, models.ClassData, []string{"bad.csv, line 3", "1,2,3"}},
		"too few fields":     {map[string]string{"bad.csv": "a,b\n1,2\n1\n"}, csv, models.ClassData, []string{"bad.csv, line 3"}},
		"open quote":         {map[string]string{"bad.csv": "a,b\n1,\"x\n2,y\n"}, csv, models.ClassData, []string{"bad.csv, line 2", "quote"}},
		"open header quote":  {map[string]string{"bad.csv": "a,\"b\n1,2\n"}, csv, models.ClassData, []string{"bad.csv", "line 1"}},
		"not UTF-8":          {map[string]string{"bad.csv": "a,b\n1,\xff\xfe\n"}, csv, models.ClassData, []string{"bad.csv, line 2", "utf-8"}},
		"UTF-16":             {map[string]string{"bad.csv": "\xff\xfea\x00\n\x00"}, csv, models.ClassData, []string{"bad.csv", "UTF-16"}},
		"same names":         {map[string]string{"bad.csv": "a,A\n1,2\n"}, csv, models.ClassData, []string{"bad.csv", `"A"`}},
		"not gzip":           {map[string]string{"bad.csv.gz": "a\n1\n"}, csv, models.ClassData, []string{"bad.csv.gz"}},
		"cut gzip":           {map[string]string{"bad.csv.gz": packed(t, definition.CompressionGzip, "a\n"+strings.Repeat("12345\n", 100000))[:200]}, csv, models.ClassData, []string{"bad.csv.gz"}},
		"value for a schema": {map[string]string{"bad.csv": "a\n1\nx\n"}, typed, models.ClassData, []string{"'x'"}},
		"column of a schema": {map[string]string{"bad.csv": "b\n1\n"}, typed, models.ClassData, []string{`"a"`}},
		"bad JSON":           {map[string]string{"bad.json": `{"a":1}` + "\n" + `{"a":`}, json, models.ClassData, []string{"bad.json"}},
		"no Parquet":         {map[string]string{"bad.parquet": "PAR1 and not more"}, parquet, models.ClassData, []string{"bad.parquet"}},
		"crafted Parquet":    {map[string]string{"bad.parquet": "PAR1" + strings.Repeat("\xff", 64) + "\x40\x00\x00\x00PAR1"}, parquet, models.ClassData, []string{"bad.parquet"}},
		"nothing there":      {nil, csv, models.ClassSource, []string{"no file matches", "allow_empty"}},
		"bad pattern":        {map[string]string{"a.csv": "a\n"}, definition.StorageSource{Format: definition.FormatCSV, Pattern: "[a"}, models.ClassInvalidDefinition, []string{"[a"}},
		"climbing prefix":    {map[string]string{"a.csv": "a\n"}, elsewhere, models.ClassForbidden, []string{"leads out"}},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFolder(t, c.files)
			failure := f.MustFail(f.source(c.source))
			if failure.Class != c.class || failure.Retry {
				t.Errorf("class %s, retry %t, want %s for good: %s (%s)", failure.Class, failure.Retry, c.class, failure.Message, failure.Detail)
			}
			for _, word := range c.words {
				if !strings.Contains(failure.Message, word) {
					t.Errorf("the message lacks %q: %s", word, failure.Message)
				}
			}
			if strings.Contains(failure.Message, f.Dir) {
				t.Errorf("the message holds a path of this machine: %s", failure.Message)
			}
		})
	}
}

func TestAllowEmpty(t *testing.T) {
	for name, schema := range map[string][]definition.ColumnType{"with a schema": {{Column: "a", Type: "INTEGER"}}, "without": nil} {
		t.Run(name, func(t *testing.T) {
			f := newFolder(t, nil)
			s := f.source(definition.StorageSource{Format: definition.FormatCSV, AllowEmpty: true, Schema: schema})
			res := f.MustRun(s)
			if res.RowsOut != 0 || len(res.Columns) != len(schema) {
				t.Errorf("got %+v", res)
			}
			if _, err := os.Stat(s.Output); err != nil {
				t.Error("the output is not there")
			}
		})
	}
}

// TestLeadingOut: what leads out of the connection or of the roots is refused.
func TestLeadingOut(t *testing.T) {
	t.Run("link in the connection", func(t *testing.T) {
		f := newFolder(t, map[string]string{"a.csv": "a\n1\n"})
		outside := filepath.Join(f.NewDir("outside"), "secret.csv")
		if err := os.WriteFile(outside, []byte("a\ncanary\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(outside, filepath.Join(f.dir, "b.csv")); err != nil {
			t.Fatal(err)
		}
		if failure := f.MustFail(f.source(definition.StorageSource{Format: definition.FormatCSV})); failure.Class != models.ClassForbidden {
			t.Errorf("got %+v", failure)
		}
	})
	t.Run("link within", func(t *testing.T) {
		f := newFolder(t, map[string]string{"data/a.csv": "a\n1\n"})
		if err := os.Symlink("data/a.csv", filepath.Join(f.dir, "b.csv")); err != nil {
			t.Fatal(err)
		}
		if res := f.MustRun(f.source(definition.StorageSource{Format: definition.FormatCSV})); res.RowsOut != 1 {
			t.Errorf("got %+v", res)
		}
	})
	t.Run("pipe", func(t *testing.T) {
		f := newFolder(t, map[string]string{"a.csv": "a\n1\n"})
		if err := syscall.Mkfifo(filepath.Join(f.dir, "pipe.csv"), 0o600); err != nil {
			t.Fatal(err)
		}
		if res := f.MustRun(f.source(definition.StorageSource{Format: definition.FormatCSV})); res.RowsOut != 1 {
			t.Errorf("got %+v", res)
		}
	})
	for name, path := range map[string]func(f *folder) string{
		"outside the roots": func(*folder) string { return "/etc" },
		"relative":          func(*folder) string { return "landing" },
		"climbing":          func(f *folder) string { return f.dir + "/../../../../etc" },
		"link to outside": func(f *folder) string {
			link := filepath.Join(f.dir, "link")
			_ = os.Symlink("/etc", link)
			return link
		},
		"beside a root": func(f *folder) string { return f.Dir + "-other" },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFolder(t, nil)
			s := f.source(definition.StorageSource{Format: definition.FormatCSV})
			connection := localConnection(path(f))
			s.Connection = &connection
			failure := f.MustFail(s)
			if failure.Retry || failure.Class != models.ClassForbidden && failure.Class != models.ClassInvalidDefinition {
				t.Errorf("got %+v", failure)
			}
		})
	}
}
