package transform_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/definition"
	"github.com/matih/pipeline-service/models/task"
	"github.com/matih/pipeline-service/worker/runner/connectortest"
)

func TestMain(m *testing.M) {
	connectortest.Main()
	os.Exit(m.Run())
}

const (
	orders = `SELECT * FROM (VALUES (1, 'de', 10.5, DATE '2024-01-01'), (2, 'fr', 20, DATE '2024-01-02'), (3, 'de', NULL, DATE '2024-01-03'), (4, 'xx', 5, NULL))
 AS t(id, country, amount, day)`
	countries = "SELECT * FROM (VALUES ('de', 'Germany', 1), ('fr', 'France', 2)) AS t(code, name, rank)"
)

// spec is a transformation over the steps given by queries.
func spec(l *connectortest.Lab, t definition.Transformation, steps map[string]string) task.Spec {
	s := task.Spec{Task: "step", Kind: models.TaskTransformation, Transformation: &t, Output: l.NewDir("out") + "/rows"}
	t.Name = "step"
	for name, query := range steps {
		s.Inputs = append(s.Inputs, task.Input{Name: name, Dir: l.Stage(query)})
	}
	return s
}

func sqlOf(text string, inputs ...string) definition.Transformation {
	return definition.Transformation{Type: definition.TransformSQL, Inputs: inputs, SQL: &definition.SQLTransform{SQL: text}}
}

func TestTransformations(t *testing.T) {
	both := map[string]string{"orders": orders, "countries": countries}
	one := map[string]string{"orders": orders}
	keys := []definition.Key{{Left: "country", Right: "code"}}
	for name, c := range map[string]struct {
		transformation definition.Transformation
		steps          map[string]string
		want           string // a query over the same steps
	}{
		"sql":          {sqlOf("SELECT country, sum(amount) AS total FROM orders GROUP BY ALL ORDER BY 1", "orders"), one, "SELECT country, sum(amount) AS total FROM orders GROUP BY ALL"},
		"input mark":   {sqlOf("SELECT id FROM {{ input }} WHERE id > 1; -- the end", "orders"), one, "SELECT id FROM orders WHERE id > 1"},
		"from first":   {sqlOf("FROM orders", "orders"), one, "FROM orders"},
		"common table": {sqlOf("WITH big AS (FROM orders WHERE amount > 6) SELECT count(*) AS n FROM big", "orders"), one, "SELECT 2::BIGINT AS n"},
		"no rows":      {sqlOf("SELECT * FROM orders WHERE false", "orders"), one, "SELECT * FROM orders WHERE false"},
		"pivot":        {sqlOf("PIVOT orders ON country IN ('de', 'fr') USING count(*) GROUP BY id", "orders"), one, "PIVOT orders ON country IN ('de', 'fr') USING count(*) GROUP BY id"},
		"left join": {definition.Transformation{Type: definition.TransformLookupJoin, Inputs: []string{"orders", "countries"},
			LookupJoin: &definition.LookupJoin{Input: "orders", Lookup: "countries", Keys: keys, How: definition.JoinLeft}}, both,
			"SELECT o.*, c.name, c.rank FROM orders o LEFT JOIN countries c ON o.country = c.code"},
		"inner join with columns": {definition.Transformation{Type: definition.TransformLookupJoin, Inputs: []string{"orders", "countries"},
			LookupJoin: &definition.LookupJoin{Input: "orders", Lookup: "countries", Keys: keys, Columns: []string{"name"}, How: definition.JoinInner}}, both,
			"SELECT o.*, c.name FROM orders o JOIN countries c ON o.country = c.code"},
		"filter": {definition.Transformation{Type: definition.TransformFilter, Inputs: []string{"orders"}, Filter: &definition.Filter{Condition: "amount > 6 -- null is not true"}}, one,
			"SELECT * FROM orders WHERE id < 3"},
		"select": {definition.Transformation{Type: definition.TransformSelect, Inputs: []string{"orders"},
			Select: &definition.Select{Columns: []definition.SelectColumn{{Column: "amount", As: `to "tal`}, {Column: "id"}}}}, one,
			`SELECT amount AS "to ""tal", id FROM orders`},
		"deduplicate by order": {definition.Transformation{Type: definition.TransformDeduplicate, Inputs: []string{"orders"},
			Deduplicate: &definition.Deduplicate{Keys: []string{"country"}, OrderBy: []string{"amount desc"}}}, one,
			"SELECT * FROM orders WHERE id <> 3"},
		"aggregate": {definition.Transformation{Type: definition.TransformAggregate, Inputs: []string{"orders"},
			Aggregate: &definition.Aggregate{GroupBy: []string{"country"}, Measures: []definition.Measure{{Name: "n", Function: "count"},
				{Name: "known", Function: "count", Column: "amount"}, {Name: "top", Function: "max", Column: "amount"}}}}, one,
			"SELECT country, count(*) AS n, count(amount) AS known, max(amount) AS top FROM orders GROUP BY country"},
	} {
		t.Run(name, func(t *testing.T) {
			l := connectortest.NewLab(t)
			s := spec(l, c.transformation, c.steps)
			res := l.MustRun(s)
			var with []string
			for step, query := range c.steps {
				with = append(with, fmt.Sprintf("%s AS (%s)", step, query))
			}
			want := l.ContentOfQuery(fmt.Sprintf("SELECT * FROM (WITH %s %s)", strings.Join(with, ", "), c.want))
			if got := l.ContentOf(s.Output); got != want || res.RowsOut != want.Rows {
				t.Errorf("got %+v (%d rows reported)\nwant %+v", got, res.RowsOut, want)
			}
		})
	}
}

func TestOrderIsKept(t *testing.T) {
	l := connectortest.NewLab(t)
	s := spec(l, sqlOf("SELECT * FROM numbers ORDER BY (i * 7919) % 100003", "numbers"), map[string]string{"numbers": "SELECT i FROM range(100003) AS t(i)"})
	l.MustRun(s)
	var wrong int64
	l.Query(fmt.Sprintf("SELECT count(*) FROM (SELECT (i * 7919) %% 100003 AS k, row_number() OVER () - 1 AS n FROM '%s/*.parquet') WHERE k <> n", s.Output), []any{&wrong})
	if wrong != 0 {
		t.Errorf("%d rows are out of order", wrong)
	}
}

// TestNothingIsLostInStaging: types that Parquet lacks keep their values.
func TestNothingIsLostInStaging(t *testing.T) {
	for name, c := range map[string]struct{ value, typ, text string }{
		"hugeint":        {"12345678901234567890123456789012345678::HUGEINT", "DECIMAL(38,0)", "12345678901234567890123456789012345678"},
		"uhugeint":       {"99999999999999999999999999999999999999::UHUGEINT", "DECIMAL(38,0)", "99999999999999999999999999999999999999"},
		"sum of bigint":  {"(SELECT sum(i) FROM range(10) AS t(i))", "DECIMAL(38,0)", "45"},
		"time with zone": {"TIMETZ '12:00:00.123456+05:30'", "VARCHAR", "12:00:00.123456+05:30"},
		"interval":       {"INTERVAL '1 year 2 months 3 days 00:00:00.000001'", "VARCHAR", "1 year 2 months 3 days 00:00:00.000001"},
		"bit":            {"'0101'::BIT", "VARCHAR", "0101"},
		"enum":           {"'b'::ENUM('a', 'b')", "VARCHAR", "b"},
		"uuid":           {"'00112233-4455-6677-8899-aabbccddeeff'::UUID", "UUID", "00112233-4455-6677-8899-aabbccddeeff"},
		"json":           {`'{"a":1}'::JSON`, "JSON", `{"a":1}`},
		"nested":         {"{'a': [1::HUGEINT], 'b c': MAP {'k': INTERVAL 1 DAY}}", `STRUCT(a DECIMAL(38,0)[], "b c" MAP(VARCHAR, VARCHAR))`, "{'a': [1], 'b c': {k=1 day}}"},
		"infinity":       {"TIMESTAMP '-infinity'", "TIMESTAMP", "-infinity"},
		"before Christ":  {"DATE '0044-03-15 (BC)'", "DATE", "0044-03-15 (BC)"},
		"null":           {"NULL", "INTEGER", ""},
		"list of zones":  {"[TIMETZ '12:00:00+05:30']", "VARCHAR[]", "['12:00:00+05:30']"},
		"nanoseconds":    {"TIMESTAMP_NS '2024-01-01 00:00:00.123456789'", "TIMESTAMP_NS", "2024-01-01 00:00:00.123456789"},
	} {
		t.Run(name, func(t *testing.T) {
			l := connectortest.NewLab(t)
			s := spec(l, sqlOf("SELECT "+c.value+" AS v"), nil)
			res := l.MustRun(s)
			var typ, text string
			l.Query(fmt.Sprintf("SELECT typeof(v), coalesce(v::VARCHAR, '') FROM '%s/*.parquet'", s.Output), []any{&typ, &text})
			if typ != c.typ || text != c.text {
				t.Errorf("staged as %s %q, want %s %q", typ, text, c.typ, c.text)
			}
			if res.Columns[0].Type != c.typ {
				t.Errorf("reported as %s, want %s", res.Columns[0].Type, c.typ)
			}
		})
	}
}

func TestFailures(t *testing.T) {
	both := map[string]string{"orders": orders, "countries": countries}
	lookup := func(j definition.LookupJoin) definition.Transformation {
		j.Input, j.Lookup = "orders", "countries"
		return definition.Transformation{Type: definition.TransformLookupJoin, Inputs: []string{"orders", "countries"}, LookupJoin: &j}
	}
	key := []definition.Key{{Left: "country", Right: "code"}}
	for name, c := range map[string]struct {
		transformation definition.Transformation
		steps          map[string]string
		class          string
		words          []string
	}{
		"two statements":  {sqlOf("SELECT 1; SELECT 2"), both, models.ClassSQL, []string{"one SELECT", "2 statements"}},
		"hidden drop":     {sqlOf("SELECT 1 /* ; */ ; DROP VIEW orders"), both, models.ClassSQL, []string{"one SELECT"}},
		"insert":          {sqlOf("INSERT INTO orders VALUES (1)"), both, models.ClassSQL, []string{"one SELECT"}},
		"copy":            {sqlOf("COPY orders TO '/tmp/x.csv'"), both, models.ClassSQL, []string{"one SELECT"}},
		"attach":          {sqlOf("ATTACH '/tmp/x.db'"), both, models.ClassSQL, []string{"one SELECT"}},
		"set":             {sqlOf("SET threads = 9"), both, models.ClassSQL, []string{"one SELECT"}},
		"pragma":          {sqlOf("PRAGMA database_list"), both, models.ClassSQL, []string{"one SELECT"}},
		"empty":           {sqlOf("  -- nothing\n"), both, models.ClassSQL, []string{"empty"}},
		"syntax":          {sqlOf("SELEC 1"), both, models.ClassSQL, []string{"syntax error", "SELEC"}},
		"unknown column":  {sqlOf("SELECT 1,\n amont FROM orders"), both, models.ClassSQL, []string{"amont", "amount", "LINE 2"}},
		"unknown step":    {sqlOf("SELECT * FROM ordrs"), both, models.ClassSQL, []string{"ordrs", "orders"}},
		"parameter":       {sqlOf("SELECT * FROM orders WHERE id = $1"), both, models.ClassSQL, nil},
		"file":            {sqlOf("SELECT * FROM read_text('/etc/passwd')"), both, models.ClassForbidden, []string{"<path>", "disabled"}},
		"conversion":      {sqlOf("SELECT country::INTEGER AS n FROM orders"), both, models.ClassData, []string{"'de'", "INT"}},
		"huge":            {sqlOf("SELECT 170141183460469231731687303715884105727::HUGEINT AS n"), both, models.ClassData, []string{"DECIMAL(38,0)"}},
		"missing columns": {definition.Transformation{Type: definition.TransformSelect, Inputs: []string{"orders"}, Select: &definition.Select{Columns: []definition.SelectColumn{{Column: "amuont"}}}}, both, models.ClassInvalidDefinition, []string{"amuont", "amount"}},
		"filter breakout": {definition.Transformation{Type: definition.TransformFilter, Inputs: []string{"orders"}, Filter: &definition.Filter{Condition: "true); DROP VIEW orders; --"}}, both, models.ClassSQL, nil},
		"name clash":      {lookup(definition.LookupJoin{Keys: key}), map[string]string{"orders": orders, "countries": "SELECT 'de' AS code, 1 AS ID"}, models.ClassInvalidDefinition, []string{"ID", "list the lookup's columns"}},
		"key types":       {lookup(definition.LookupJoin{Keys: []definition.Key{{Left: "id", Right: "code"}}}), both, models.ClassInvalidDefinition, []string{"orders.id", "countries.code", "VARCHAR"}},
		"duplicate keys":  {lookup(definition.LookupJoin{Keys: key}), map[string]string{"orders": orders, "countries": "SELECT * FROM (VALUES ('de', 1), ('de', 2)) AS t(code, rank)"}, models.ClassData, []string{"code = de", "2 rows"}},
		"schema": {definition.Transformation{Type: definition.TransformSchemaCheck, Inputs: []string{"orders"}, SchemaCheck: &definition.SchemaCheck{ExpectedColumns: []definition.ColumnType{
			{Column: "id", Type: "bigint"}, {Column: "country"}, {Column: "day", Type: "date"}, {Column: "vat", Type: "double"}}}}, both, models.ClassData, []string{"id is INTEGER, expected BIGINT", "vat is missing"}},
		"unknown type": {definition.Transformation{Type: definition.TransformSchemaCheck, Inputs: []string{"orders"}, SchemaCheck: &definition.SchemaCheck{ExpectedColumns: []definition.ColumnType{{Column: "id", Type: "INT); SELECT (1"}}}}, both, models.ClassInvalidDefinition, []string{"is not a type"}},
	} {
		t.Run(name, func(t *testing.T) {
			l := connectortest.NewLab(t)
			f := l.MustFail(spec(l, c.transformation, c.steps))
			if f.Class != c.class || f.Retry {
				t.Errorf("class %s, retry %t, want %s for good: %s", f.Class, f.Retry, c.class, f.Message)
			}
			for _, word := range c.words {
				if !strings.Contains(f.Message, word) {
					t.Errorf("the message lacks %q: %s", word, f.Message)
				}
			}
			if strings.Contains(f.Message, l.Dir) {
				t.Errorf("the message holds a path: %s", f.Message)
			}
		})
	}
}

func TestSchemaCheckPassesThrough(t *testing.T) {
	l := connectortest.NewLab(t)
	res := l.MustRun(spec(l, definition.Transformation{Type: definition.TransformSchemaCheck, Inputs: []string{"orders"},
		SchemaCheck: &definition.SchemaCheck{ExpectedColumns: []definition.ColumnType{{Column: "ID", Type: "int4"}, {Column: "day", Type: "DATE"}}}}, map[string]string{"orders": orders}))
	if !res.PassThrough || res.RowsOut != 4 {
		t.Errorf("got %+v", res)
	}
}

// TestBombsAreBounded: SQL that asks for more than there is fails, and the process says so.
func TestBombsAreBounded(t *testing.T) {
	for name, text := range map[string]string{
		"memory": "SELECT list(repeat('x', 1000) || i) AS l FROM range(100000000) AS t(i)",
		"spill":  "SELECT a.i, b.i AS j FROM range(100000) AS a(i), range(100000) AS b(i) ORDER BY hash(a.i * b.i)",
		"text":   "SELECT string_agg(repeat('x', 10000000), '') AS s FROM range(1000)",
	} {
		t.Run(name, func(t *testing.T) {
			l := connectortest.NewLab(t)
			s := spec(l, sqlOf(text), nil)
			s.Limits = task.Limits{MemoryBytes: 128 << 20, ScratchBytes: 64 << 20, Threads: 2}
			if f := l.MustFail(s); f.Class != models.ClassResources {
				t.Errorf("class %s: %s (%s)", f.Class, f.Message, f.Detail)
			}
		})
	}
}

// TestSpilling: a sort larger than the memory limit succeeds with temporary files.
func TestSpilling(t *testing.T) {
	l := connectortest.NewLab(t)
	s := spec(l, sqlOf("SELECT i, repeat(md5(i::VARCHAR), 4) AS s FROM range(1500000) AS t(i) ORDER BY s"), nil)
	s.Limits = task.Limits{MemoryBytes: 128 << 20, ScratchBytes: 2 << 30, Threads: 2}
	if res := l.MustRun(s); res.RowsOut != 1_500_000 {
		t.Errorf("%d rows", res.RowsOut)
	}
}
