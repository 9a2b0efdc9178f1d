package postgres_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/definition"
	"github.com/matih/pipeline-service/models/task"
	"github.com/matih/pipeline-service/worker/runner/connectortest"
)

func (d *database) setSecret(key, value string) {
	d.t.Helper()
	path := filepath.Join(d.secrets.Dir, string(connectortest.Tenant), "db", key)
	if err := os.WriteFile(path, []byte(value), 0o600); err != nil {
		d.t.Fatal(err)
	}
}

// copySecrets gives the database a secret store of its own.
func (d *database) copySecrets() {
	d.t.Helper()
	d.secrets.Dir = d.t.TempDir()
	if err := os.MkdirAll(filepath.Join(d.secrets.Dir, string(connectortest.Tenant), "db"), 0o700); err != nil {
		d.t.Fatal(err)
	}
	d.setSecret("username", server.User)
	d.setSecret("password", server.Password)
}

// TestMadeTables: the types of a table that the sink makes.
func TestMadeTables(t *testing.T) {
	d, l := newDatabase(t), connectortest.NewLab(t)
	input := l.Stage(`SELECT 1::TINYINT AS i1, 1::UTINYINT AS u1, 1::UINTEGER AS u4, 18446744073709551615::UBIGINT AS u8, 1.5::DECIMAL(4,1) AS dec, 1::DECIMAL(38,0) AS huge,
 TIMESTAMP_NS '2024-01-01 00:00:00.000001' AS ns, TIMESTAMP_S '2024-01-01 00:00:00' AS s, '{"a": 1}'::JSON AS js, 'b'::ENUM('a','b') AS en, '010'::BIT AS bits,
 {'x': 1, 'y': ['a']} AS st, MAP {'k': 1.5} AS mp, [{'z': true}] AS ls, [TIMESTAMPTZ '2024-01-01 00:00:00+00'] AS tl, 'a''"\\'::VARCHAR AS "od""d"`)
	l.MustRun(d.sink(input, definition.WriteAppend, "exec-1", definition.JDBCSink{Table: "made"}))
	types := d.text("SELECT a.attname || ' ' || format_type(a.atttypid, a.atttypmod) FROM pg_attribute a WHERE a.attrelid = 'made'::regclass AND attnum > 0 ORDER BY attnum")
	want := `i1 smallint
u1 smallint
u4 bigint
u8 numeric
dec numeric(4,1)
huge numeric
ns timestamp without time zone
s timestamp without time zone
js jsonb
en text
bits text
st jsonb
mp jsonb
ls jsonb
tl timestamp with time zone[]
od"d text`
	if types != want {
		t.Errorf("the columns are\n%s\nwant\n%s", types, want)
	}
	row := d.text(`SELECT concat_ws('|', i1, u1, u4, u8, dec, huge, ns, s, js, en, bits, st, ls, tl, "od""d") FROM made`)
	if want := `1|1|1|18446744073709551615|1.5|1|2024-01-01 00:00:00.000001|2024-01-01 00:00:00|{"a": 1}|b|010|{"x": 1, "y": ["a"]}|[{"z": true}]|`; !strings.HasPrefix(row, want) || !strings.HasSuffix(row, `|a'"\\`) {
		t.Errorf("the row is\n%s\nwant\n%s…", row, want)
	}
}

// TestExistingTables: rows fit what is there or the load says which column does not.
func TestExistingTables(t *testing.T) {
	for name, c := range map[string]struct {
		table, rows string
		mode        definition.WriteMode
		sink        definition.JDBCSink
		want        string // the rows as text, or
		class       string // the failure and
		words       string // what it says
	}{
		"narrower types":    {table: "a smallint, b varchar(3), c real, d date", rows: "SELECT 7::BIGINT AS a, 'xyz' AS b, 0.5::DOUBLE AS c, TIMESTAMP '2024-01-02' AS d", want: "(7,xyz,0.5,2024-01-02)"},
		"other order":       {table: "b text, a int, c int DEFAULT 5, d text", rows: "SELECT 1 AS a, 'x' AS b", want: "(x,1,5,)"},
		"text to type":      {table: "a inet, b interval, c mood, d timetz", rows: "SELECT '10.0.0.1' AS a, '1 day' AS b, 'happy' AS c, '10:00:00+02' AS d", want: `(10.0.0.1,"1 day",happy,10:00:00+02)`},
		"out of range":      {table: "a smallint", rows: "SELECT 70000 AS a", class: models.ClassData, words: "column a"},
		"rounded":           {table: "a numeric(5,1)", rows: "SELECT 1.25::DOUBLE AS a", class: models.ClassData, words: "1.25"},
		"cut":               {table: "a varchar(2)", rows: "SELECT 'xyz' AS a", class: models.ClassData, words: `"xyz"`},
		"time of day lost":  {table: "a date", rows: "SELECT TIMESTAMP '2024-01-02 03:04:05' AS a", class: models.ClassData, words: "column a"},
		"no such cast":      {table: "a boolean", rows: "SELECT DATE '2024-01-01' AS a", class: models.ClassData, words: "does not become"},
		"bad text":          {table: "a inet", rows: "SELECT 'x' AS a", class: models.ClassData, words: "column a"},
		"missing columns":   {table: "a int", rows: "SELECT 1 AS a, 2 AS b, 3 AS c", class: models.ClassData, words: "no column b, c"},
		"required columns":  {table: "a int, b int NOT NULL", rows: "SELECT 1 AS a", class: models.ClassData, words: "needs values for b"},
		"generated columns": {table: "a int, b int GENERATED ALWAYS AS (a * 2) STORED", rows: "SELECT 1 AS a, 2 AS b", class: models.ClassData, words: "makes the values of b"},
		"null":              {table: "a int NOT NULL", rows: "SELECT NULL::INTEGER AS a", class: models.ClassData, words: "a"},
		"unique":            {table: "a int UNIQUE", rows: "SELECT 1 AS a FROM range(2)", class: models.ClassData, words: "duplicate key"},
		"zero byte":         {table: "a text", rows: "SELECT chr(0) AS a", class: models.ClassData, words: "0x00"},
		"JSON zero byte":    {table: "a jsonb", rows: `SELECT '{"x":"\u0000"}'::JSON AS a`, class: models.ClassData, words: "Unicode escape"},
		"merge without index": {table: "a int, b text", rows: "SELECT 1 AS a, 'new' AS b UNION ALL SELECT 2, 'two'", mode: definition.WriteMergeOnKey, sink: definition.JDBCSink{MergeKeys: []string{"a"}},
			want: "(1,new)\n(2,two)"},
		"merge with index": {table: "a int PRIMARY KEY, b text", rows: "SELECT 1::BIGINT AS a, 'new' AS b UNION ALL SELECT 2, 'two'", mode: definition.WriteMergeOnKey, sink: definition.JDBCSink{MergeKeys: []string{"a"}},
			want: "(1,new)\n(2,two)"},
		"merge of keys only": {table: "a int PRIMARY KEY", rows: "SELECT * FROM (VALUES (1), (2)) AS t(a)", mode: definition.WriteMergeOnKey, sink: definition.JDBCSink{MergeKeys: []string{"a"}}, want: "(1)\n(2)"},
		"merge by two":       {table: "a int, b int, c int, UNIQUE (b, a)", rows: "SELECT 1 AS a, 1 AS b, 5 AS c", mode: definition.WriteMergeOnKey, sink: definition.JDBCSink{MergeKeys: []string{"a", "b"}}, want: "(1,1,5)"},
		"partitions": {table: "a int, b text", rows: "SELECT 1 AS a, 'new' AS b", mode: definition.WriteOverwritePartition, sink: definition.JDBCSink{PartitionBy: []string{"a"}},
			want: "(1,new)"},
	} {
		t.Run(name, func(t *testing.T) {
			d, l := newDatabase(t), connectortest.NewLab(t)
			d.exec("CREATE TYPE mood AS ENUM ('sad', 'happy')", "CREATE TABLE target ("+c.table+")")
			if c.mode != "" && c.mode != definition.WriteAppend && !strings.Contains(c.table, "UNIQUE") {
				d.exec("INSERT INTO target (a) VALUES (1)")
			}
			if c.mode == "" {
				c.mode = definition.WriteAppend
			}
			c.sink.Table = "target"
			s := d.sink(l.Stage(c.rows), c.mode, "exec-1", c.sink)
			if c.class == "" {
				l.MustRun(s)
				if got := d.text("SELECT target::text FROM target ORDER BY 1"); got != c.want {
					t.Errorf("the table holds\n%s\nwant\n%s", got, c.want)
				}
				return
			}
			f := l.MustFail(s)
			if f.Class != c.class || f.Retry || !strings.Contains(f.Message, c.words) {
				t.Errorf("got %s: %s (%s), want %s with %q", f.Class, f.Message, f.Detail, c.class, c.words)
			}
			if got := d.text("SELECT count(*)::text FROM _pipeline_loads"); got != "0" {
				t.Errorf("the ledger has %s rows after a failed load", got)
			}
		})
	}
}

// TestConcurrentMerges: two executions that merge the same keys end with each key once.
func TestConcurrentMerges(t *testing.T) {
	for _, index := range []string{"", ", PRIMARY KEY (id)"} {
		d, l := newDatabase(t), connectortest.NewLab(t)
		d.exec("CREATE TABLE merged (id bigint, v text" + index + ")")
		const rows = 20_000
		var processes []*connectortest.Process
		for i := range 3 {
			input := l.Stage(fmt.Sprintf("SELECT i AS id, 'from %d' AS v FROM range(%d) AS t(i)", i, rows))
			s := d.sink(input, definition.WriteMergeOnKey, fmt.Sprintf("exec-%d", i), definition.JDBCSink{Table: "merged", MergeKeys: []string{"id"}})
			processes = append(processes, l.Start(s))
		}
		for _, p := range processes {
			if out, _ := p.Wait(); out.Failure != nil && !out.Failure.Retry {
				t.Errorf("%s: %s", out.Failure.Class, out.Failure.Message)
			}
		}
		if got := d.text("SELECT count(*) || ' ' || count(DISTINCT id) || ' ' || count(DISTINCT v) FROM merged"); got != fmt.Sprintf("%d %d 1", rows, rows) {
			t.Errorf("index %q: rows, keys, executions: %s", index, got)
		}
	}
}

// TestOverwriteKeepsReadersGoing: who reads while a table is overwritten sees the old rows or the new ones.
func TestOverwriteKeepsReadersGoing(t *testing.T) {
	d, l := newDatabase(t), connectortest.NewLab(t)
	sink := definition.JDBCSink{Table: "t"}
	const rows = 30_000
	input := l.Stage(fmt.Sprintf("SELECT i AS a FROM range(%d) AS t(i)", rows))
	l.MustRun(d.sink(input, definition.WriteOverwrite, "exec-0", sink))
	for i := range 3 {
		p := l.Start(d.sink(input, definition.WriteOverwrite, fmt.Sprintf("exec-%d", i+1), sink))
		done := make(chan connectortest.Outcome)
		go func() { out, _ := p.Wait(); done <- out }()
		for running := true; running; {
			select {
			case out := <-done:
				if out.Failure != nil {
					t.Fatal(out.Failure)
				}
				running = false
			default:
				if got := d.text("SELECT count(*)::text FROM t"); got != fmt.Sprint(rows) {
					t.Fatalf("a reader saw %s rows, want %d", got, rows)
				}
			}
		}
	}
}

// TestWithoutRights: what the operator of the database has to grant is said.
func TestWithoutRights(t *testing.T) {
	d, l := newDatabase(t), connectortest.NewLab(t)
	d.copySecrets()
	d.exec("DROP ROLE IF EXISTS limited", "CREATE ROLE limited LOGIN PASSWORD 'limited-password'", "CREATE TABLE t (a int)", "GRANT SELECT ON t TO limited", "REVOKE CREATE ON SCHEMA public FROM PUBLIC")
	d.setSecret("username", "limited")
	d.setSecret("password", "limited-password")
	f := l.MustFail(d.sink(l.Stage("SELECT 1 AS a"), definition.WriteAppend, "exec-1", definition.JDBCSink{Table: "t"}))
	if f.Class != models.ClassSink || f.Retry || !strings.Contains(f.Message, "_pipeline_loads") || !strings.Contains(f.Message, "grant CREATE") {
		t.Errorf("got %+v", f)
	}
}

// TestSecretsNeverLeave: with a canary in every secret nothing a process writes or leaves behind holds it.
func TestSecretsNeverLeave(t *testing.T) {
	d, l := newDatabase(t), connectortest.NewLab(t)
	d.copySecrets()
	const user, password = "canary_user_7f3a", "canary-päss\"word\\7f3a"
	d.exec("DROP ROLE IF EXISTS "+user, "CREATE ROLE "+user+" LOGIN SUPERUSER PASSWORD E'canary-päss\"word\\\\7f3a'")
	d.setSecret("username", user)
	d.setSecret("password", password)
	check := func(what string, raw []byte) {
		t.Helper()
		if bytes.Contains(raw, []byte("canary")) && !bytes.Contains(raw, []byte("canary_table")) || bytes.Contains(raw, []byte("7f3a")) {
			t.Errorf("%s: %s", what, raw)
		}
	}
	leaky := "SELECT current_user::text || ' " + strings.ReplaceAll(password, "'", "''") + "' AS who, 1/0 AS x"
	out := l.Run(d.source(l, definition.JDBCSource{Query: leaky}))
	check("failing query", out.Raw)
	out = l.Run(d.source(l, definition.JDBCSource{Query: "SELECT (current_user || '" + user + "')::int AS x"}))
	check("value in an error", out.Raw)
	s := d.source(l, definition.JDBCSource{Query: "SELECT 1 AS a"})
	out = l.Run(s)
	check("reading", out.Raw)
	check("loading", l.Run(d.sink(s.Output, definition.WriteAppend, "exec-1", definition.JDBCSink{Table: "t"})).Raw)
	d.setSecret("password", password+"x")
	check("refused", l.Run(d.source(l, definition.JDBCSource{Query: "SELECT 1 AS a"})).Raw)
	err := filepath.WalkDir(l.Dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		raw, err := os.ReadFile(path)
		check(path, raw)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestSecretsOfTheEnvironment: the other provider, and that user SQL sees nothing of it.
func TestSecretsOfTheEnvironment(t *testing.T) {
	d, l := newDatabase(t), connectortest.NewLab(t)
	prefix := "PIPELINE_SECRET_11111111_2222_4333_8444_555555555555_DB_"
	l.Env = []string{prefix + "USERNAME=" + server.User, prefix + "PASSWORD=" + server.Password, "PGSSLMODE=verify-full", "PGHOST=/nowhere"}
	d.secrets = task.Secrets{Env: true}
	l.MustRun(d.source(l, definition.JDBCSource{Query: "SELECT 1 AS a"}))
	d.secrets = task.Secrets{}
	if f := l.MustFail(d.source(l, definition.JDBCSource{Query: "SELECT 1 AS a"})); f.Class != models.ClassSecret {
		t.Errorf("got %+v", f)
	}
}
