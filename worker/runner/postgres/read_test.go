package postgres_test

import (
	"strings"
	"testing"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/definition"
	"github.com/matih/pipeline-service/worker/runner/connectortest"
)

// TestTypes reads every common type of PostgreSQL and looks at what is staged.
func TestTypes(t *testing.T) {
	d := newDatabase(t)
	d.exec("CREATE TYPE mood AS ENUM ('sad', 'happy')", "CREATE DOMAIN positive AS integer CHECK (VALUE > 0)", "CREATE TYPE pair AS (a int, b text)")
	for _, c := range []struct{ expression, typ, text string }{
		{"true", "BOOLEAN", "true"},
		{"'-32768'::int2", "SMALLINT", "-32768"},
		{"2147483647::int4", "INTEGER", "2147483647"},
		{"'-9223372036854775808'::int8", "BIGINT", "-9223372036854775808"},
		{"4294967295::oid", "UINTEGER", "4294967295"},
		{"'NaN'::float4", "FLOAT", "nan"},
		{"'-Infinity'::float8", "DOUBLE", "-inf"},
		{"0.1::float8", "DOUBLE", "0.1"},
		{"1.10::numeric(10,3)", "DECIMAL(10,3)", "1.100"},
		{"'-99999999999999999999999999999999999999'::numeric(38,0)", "DECIMAL(38,0)", "-99999999999999999999999999999999999999"},
		{"12345::numeric(3,-2)", "DECIMAL(5,0)", "12300"},
		{"0.00012::numeric(2,5)", "DECIMAL(5,5)", ".00012"},
		{"1.5::numeric", "DECIMAL(38,1)", "1.5"},
		{"'NaN'::numeric", "VARCHAR", "NaN"},
		{"'Infinity'::numeric", "VARCHAR", "Infinity"},
		{"('1' || repeat('0', 60))::numeric", "VARCHAR", "1" + strings.Repeat("0", 60)},
		{"1e-50::numeric", "VARCHAR", "0." + strings.Repeat("0", 49) + "1"},
		{"'naïve 🦆'::text", "VARCHAR", "naïve 🦆"},
		{"'x'::varchar(3)", "VARCHAR", "x"},
		{"'x'::char(3)", "VARCHAR", "x  "},
		{"'x'::name", "VARCHAR", "x"},
		{"'x'::\"char\"", "VARCHAR", "x"},
		{"'\\x00ff'::bytea", "BLOB", "\\x00\\xFF"},
		{"'2024-02-29'::date", "DATE", "2024-02-29"},
		{"'infinity'::date", "DATE", "infinity"},
		{"'-infinity'::date", "DATE", "-infinity"},
		{"'0044-03-15 BC'::date", "DATE", "0044-03-15 (BC)"},
		{"'24:00:00'::time", "TIME", "24:00:00"},
		{"'12:00:00.000001+05:30'::timetz", "VARCHAR", "12:00:00.000001+05:30"},
		{"'0044-03-15 12:00:00.5 BC'::timestamp", "TIMESTAMP", "0044-03-15 (BC) 12:00:00.5"},
		{"'-infinity'::timestamp", "TIMESTAMP", "-infinity"},
		{"'2024-01-01 00:00:00+02'::timestamptz", "TIMESTAMP WITH TIME ZONE", "2023-12-31 22:00:00+00"},
		{"'1 year 2 days 00:00:00.000001'::interval", "VARCHAR", "1 year 2 days 00:00:00.000001"},
		{"'00112233-4455-6677-8899-aabbccddeeff'::uuid", "UUID", "00112233-4455-6677-8899-aabbccddeeff"},
		{`'{"b": 1,  "a": 1.10}'::json`, "JSON", `{"b": 1,  "a": 1.10}`},
		{`'{"b":1,"a":1.10}'::jsonb`, "JSON", `{"a": 1.10, "b": 1}`},
		{"'10.0.0.1/8'::inet", "VARCHAR", "10.0.0.1/8"},
		{"'08:00:2b:01:02:03'::macaddr", "VARCHAR", "08:00:2b:01:02:03"},
		{"'sad'::mood", "VARCHAR", "sad"},
		{"7::positive", "INTEGER", "7"},
		{"row(1, 'x')::pair", "VARCHAR", "(1,x)"},
		{"'[1,5)'::int4range", "VARCHAR", "[1,5)"},
		{"'1 2'::tsvector", "VARCHAR", "'1' '2'"},
		{"B'0101'::bit(4)", "VARCHAR", "0101"},
		{"ARRAY[1,NULL,3]", "INTEGER[]", "[1, NULL, 3]"},
		{"ARRAY['a','']::text[]", "VARCHAR[]", "[a, '']"},
		{"'{}'::int8[]", "BIGINT[]", "[]"},
		{"ARRAY[1.50]::numeric(9,2)[]", "DECIMAL(9,2)[]", "[1.50]"},
		{"ARRAY[1.50,2]::numeric[]", "VARCHAR", "{1.50,2}"},
		{"ARRAY['sad']::mood[]", "VARCHAR", "{sad}"},
		{"NULL::int4", "INTEGER", "NULL"},
	} {
		t.Run(c.expression, func(t *testing.T) {
			l := connectortest.NewLab(t)
			s := d.source(l, definition.JDBCSource{Query: "SELECT " + c.expression + " AS v;"})
			res := l.MustRun(s)
			var typ, text string
			l.Query("SELECT typeof(v), coalesce(v::VARCHAR, 'NULL') FROM '"+s.Output+"/*.parquet'", []any{&typ, &text})
			if typ != c.typ || text != c.text || res.Columns[0].Type != c.typ {
				t.Errorf("staged as %s %q (reported as %s), want %s %q", typ, text, res.Columns[0].Type, c.typ, c.text)
			}
		})
	}
}

func TestPartitionedReads(t *testing.T) {
	d := newDatabase(t)
	d.exec(`CREATE TABLE big AS SELECT i::bigint AS i, (i % 1000)::int2 AS small, date '2020-01-01' + (i % 3000)::int AS day,
 timestamp '0001-01-01 BC' + i * interval '1 hour' AS moment, timestamptz '2024-01-01' + i * interval '1 second' AS instant, 'row ' || i AS label
 FROM generate_series(-20000, 20000) AS i`,
		"INSERT INTO big VALUES (NULL, NULL, NULL, NULL, NULL, 'nulls'), (9223372036854775807, 0, 'infinity', 'infinity', '-infinity', 'extremes')",
		"INSERT INTO big VALUES (-9223372036854775807, 0, '-infinity', '-infinity', 'infinity', 'extremes')",
		"CREATE TABLE one AS SELECT 7 AS i", "CREATE TABLE none (i int)")
	whole := func(table string) connectortest.Content {
		l := connectortest.NewLab(t)
		s := d.source(l, definition.JDBCSource{Table: table})
		l.MustRun(s)
		return l.ContentOf(s.Output)
	}
	for table, columns := range map[string][]string{"big": {"i", "small", "day", "moment", "instant"}, "one": {"i"}, "none": {"i"}} {
		want := whole(table)
		for _, column := range columns {
			for _, parts := range []int{2, 7} {
				l := connectortest.NewLab(t)
				s := d.source(l, definition.JDBCSource{Table: table, PartitionColumn: column, NumPartitions: parts})
				l.MustRun(s)
				if got := l.ContentOf(s.Output); got != want {
					t.Errorf("%s by %s in %d parts: got %+v, want %+v", table, column, parts, got, want)
				}
			}
		}
	}
}

func TestSourceFailures(t *testing.T) {
	d := newDatabase(t)
	d.exec("CREATE TABLE customers (id int, \"Name\" text)", "CREATE SCHEMA sales", "CREATE TABLE sales.orders (id int)", "CREATE TABLE victim (id int)", "INSERT INTO victim VALUES (1)")
	for name, c := range map[string]struct {
		source definition.JDBCSource
		class  string
		words  []string
	}{
		"unknown table":      {definition.JDBCSource{Table: "public.custommers"}, models.ClassSource, []string{"no table public.custommers", "public.customers"}},
		"unknown schema":     {definition.JDBCSource{Table: "sale.orders"}, models.ClassSource, []string{"sales.orders"}},
		"injected table":     {definition.JDBCSource{Table: `victim"; DELETE FROM victim; --`}, models.ClassSource, []string{"no table"}},
		"zero byte":          {definition.JDBCSource{Table: "a\x00b"}, models.ClassInvalidDefinition, []string{"zero byte"}},
		"long name":          {definition.JDBCSource{Table: strings.Repeat("x", 64)}, models.ClassInvalidDefinition, []string{"63 bytes"}},
		"three parts":        {definition.JDBCSource{Table: "a.b.c"}, models.ClassInvalidDefinition, []string{"[schema.]table"}},
		"two statements":     {definition.JDBCSource{Query: "SELECT 1; DELETE FROM victim"}, models.ClassSQL, []string{"multiple commands"}},
		"breakout":           {definition.JDBCSource{Query: "SELECT 1) TO STDOUT; DELETE FROM victim; --"}, models.ClassSQL, []string{"syntax"}},
		"delete":             {definition.JDBCSource{Query: "DELETE FROM victim RETURNING id"}, models.ClassSQL, nil},
		"delete in a CTE":    {definition.JDBCSource{Query: "WITH gone AS (DELETE FROM victim RETURNING id) SELECT * FROM gone"}, models.ClassSQL, nil},
		"no rows":            {definition.JDBCSource{Query: "SET work_mem = '1GB'"}, models.ClassSQL, []string{"no columns"}},
		"parameter":          {definition.JDBCSource{Query: "SELECT $1::int"}, models.ClassSQL, []string{"$1"}},
		"unknown column":     {definition.JDBCSource{Query: "SELECT nme FROM customers"}, models.ClassSQL, []string{"nme"}},
		"same names":         {definition.JDBCSource{Query: "SELECT 1 AS a, 2 AS \"A\""}, models.ClassSQL, []string{`"A"`}},
		"division":           {definition.JDBCSource{Query: "SELECT 1 / (id - 1) AS x FROM victim"}, models.ClassData, []string{"division by zero"}},
		"NaN in a decimal":   {definition.JDBCSource{Query: "SELECT 'NaN'::numeric(5,2) AS price"}, models.ClassData, []string{"row 1", "column price", "NaN"}},
		"two dimensions":     {definition.JDBCSource{Query: "SELECT ARRAY[[1,2],[3,4]] AS m"}, models.ClassData, []string{"column m", "2 dimensions"}},
		"giant field":        {definition.JDBCSource{Query: "SELECT repeat('x', 70 * 1024 * 1024) AS big"}, models.ClassData, []string{"column big", "70 MiB"}},
		"partition column":   {definition.JDBCSource{Table: "customers", PartitionColumn: "nope", NumPartitions: 4}, models.ClassInvalidDefinition, []string{"nope"}},
		"partition by text":  {definition.JDBCSource{Table: "customers", PartitionColumn: "Name", NumPartitions: 4}, models.ClassInvalidDefinition, []string{"cannot split"}},
		"end of time":        {definition.JDBCSource{Query: "SELECT '294276-12-31'::timestamp AS t"}, models.ClassData, []string{"column t", "294246"}},
		"file of the server": {definition.JDBCSource{Query: "COPY victim TO STDOUT"}, models.ClassSQL, []string{"no columns"}},
	} {
		t.Run(name, func(t *testing.T) {
			l := connectortest.NewLab(t)
			f := l.MustFail(d.source(l, c.source))
			if f.Class != c.class || f.Retry {
				t.Errorf("class %s, retry %t, want %s for good: %s (%s)", f.Class, f.Retry, c.class, f.Message, f.Detail)
			}
			for _, word := range c.words {
				if !strings.Contains(f.Message, word) {
					t.Errorf("the message lacks %q: %s", word, f.Message)
				}
			}
		})
	}
	if got := d.text("SELECT count(*)::text FROM victim"); got != "1" {
		t.Errorf("victim has %s rows, want 1", got)
	}
}

// TestConnections: what is wrong with a connection is said, and what is dangerous refused.
func TestConnections(t *testing.T) {
	d := newDatabase(t)
	for name, c := range map[string]struct {
		change func(*models.Connection, *database)
		class  string
		words  string
	}{
		"wrong password":    {func(_ *models.Connection, d *database) { d.setSecret("password", "not-the-password-canary") }, models.ClassConnection, "refused the user name or password"},
		"unknown database":  {func(c *models.Connection, _ *database) { c.Database = "nowhere" }, models.ClassConnection, `"nowhere" does not exist`},
		"closed port":       {func(c *models.Connection, _ *database) { c.Port = 1 }, models.ClassConnection, "cannot be reached"},
		"no TLS":            {func(c *models.Connection, _ *database) { c.Properties = []byte(`{"sslMode":"require"}`) }, models.ClassConnection, "does not speak TLS"},
		"unknown secret":    {func(c *models.Connection, _ *database) { c.CredentialSecretRef = "other" }, models.ClassSecret, `"other"`},
		"climbing secret":   {func(c *models.Connection, _ *database) { c.CredentialSecretRef = "../db" }, models.ClassSecret, "not a name"},
		"no secret":         {func(c *models.Connection, _ *database) { c.CredentialSecretRef = "" }, models.ClassSecret, "credentialSecretRef"},
		"unknown property":  {func(c *models.Connection, _ *database) { c.Properties = []byte(`{"sslrootcert":"/etc/passwd"}`) }, models.ClassInvalidDefinition, "nothing else"},
		"bad sslMode":       {func(c *models.Connection, _ *database) { c.Properties = []byte(`{"sslMode":"x passfile=/etc/passwd"}`) }, models.ClassInvalidDefinition, "sslMode"},
		"socket":            {func(c *models.Connection, _ *database) { c.Host = "/var/run/postgresql" }, models.ClassForbidden, "one host name"},
		"several hosts":     {func(c *models.Connection, _ *database) { c.Host = "127.0.0.1,10.0.0.1" }, models.ClassForbidden, "one host name"},
		"settings in host":  {func(c *models.Connection, _ *database) { c.Host = "127.0.0.1 options=-csearch_path=x" }, models.ClassForbidden, "one host name"},
		"settings in name":  {func(c *models.Connection, _ *database) { c.Database = "postgres sslrootcert=/etc/passwd" }, models.ClassConnection, "does not exist"},
		"mysql":             {func(c *models.Connection, _ *database) { c.Properties = []byte(`{"driver":"mysql"}`) }, models.ClassInvalidDefinition, "not supported by this release"},
		"mysql by port":     {func(c *models.Connection, _ *database) { c.Port = 3306 }, models.ClassInvalidDefinition, "not supported by this release"},
		"loopback":          {func(_ *models.Connection, d *database) { d.access.EgressAllow = nil }, models.ClassForbidden, "egress rules"},
		"loopback in IPv6":  {func(c *models.Connection, d *database) { c.Host = "::ffff:127.0.0.1"; d.access.EgressAllow = nil }, models.ClassForbidden, "egress rules"},
		"denied explicitly": {func(_ *models.Connection, d *database) { d.access.EgressDeny = []string{"127.0.0.1"} }, models.ClassForbidden, "deny"},
		"decimal address":   {func(c *models.Connection, d *database) { c.Host = "2130706433"; d.access.EgressAllow = nil }, models.ClassConnection, ""},
		"metadata service":  {func(c *models.Connection, _ *database) { c.Host = "169.254.169.254" }, models.ClassForbidden, "metadata"},
	} {
		t.Run(name, func(t *testing.T) {
			l := connectortest.NewLab(t)
			changed := *d
			changed.t = t
			changed.copySecrets()
			c.change(&changed.connection, &changed)
			s := changed.source(l, definition.JDBCSource{Query: "SELECT 1 AS a"})
			f := l.MustFail(s)
			if f.Class != c.class || !strings.Contains(f.Message, c.words) {
				t.Errorf("got %s: %s (%s), want %s with %q", f.Class, f.Message, f.Detail, c.class, c.words)
			}
			s.Kind, s.Source = models.TaskConnectionTest, nil
			res := l.MustRun(s)
			if res.Test == nil || res.Test.Connected || !strings.Contains(res.Test.Reason, c.words) {
				t.Errorf("the connection test says %+v", res.Test)
			}
		})
	}
	t.Run("all is well", func(t *testing.T) {
		l := connectortest.NewLab(t)
		s := d.source(l, definition.JDBCSource{})
		s.Kind, s.Source = models.TaskConnectionTest, nil
		if res := l.MustRun(s); !res.Test.Connected || !strings.HasPrefix(res.Test.Version, "PostgreSQL 1") || res.Test.LatencyMs < 1 {
			t.Errorf("got %+v", res.Test)
		}
	})
}
