package postgres_test

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/definition"
	"github.com/matih/pipeline-service/models/store/pgtest"
	"github.com/matih/pipeline-service/models/task"
	"github.com/matih/pipeline-service/worker/runner/connectortest"
)

var server *pgtest.Server

func TestMain(m *testing.M) {
	connectortest.Main()
	os.Exit(pgtest.Run(m, &server))
}

// database is a database of a test and how tasks reach it.
type database struct {
	t          testing.TB
	dsn        string
	connection models.Connection
	access     task.Access
	secrets    task.Secrets
}

func newDatabase(t testing.TB) *database {
	t.Helper()
	dsn := server.NewDatabase(t)
	parsed, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	secrets := t.TempDir()
	ref := filepath.Join(secrets, string(connectortest.Tenant), "db")
	if err := os.MkdirAll(ref, 0o700); err != nil {
		t.Fatal(err)
	}
	for key, value := range map[string]string{"username": server.User, "password": server.Password + "\n"} {
		if err := os.WriteFile(filepath.Join(ref, key), []byte(value), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return &database{
		t: t, dsn: dsn,
		connection: models.Connection{
			ID: "conn-1", Tenant: connectortest.Tenant, Name: "warehouse", Type: models.ConnectionJDBC,
			Host: server.Host, Port: server.Port, Database: strings.TrimPrefix(parsed.Path, "/"), CredentialSecretRef: "db",
			Properties: []byte(`{"sslMode":"disable"}`),
		},
		access:  task.Access{EgressAllow: []string{"127.0.0.0/8", "::1"}},
		secrets: task.Secrets{Dir: secrets},
	}
}

// exec runs statements as the tests' own user.
func (d *database) exec(statements ...string) {
	d.t.Helper()
	conn, err := pgx.Connect(d.t.Context(), d.dsn)
	if err != nil {
		d.t.Fatal(err)
	}
	defer conn.Close(d.t.Context())
	for _, s := range statements {
		if _, err := conn.Exec(d.t.Context(), s); err != nil {
			d.t.Fatalf("%s: %v", s, err)
		}
	}
}

// text gives the first column of a query's rows, one a line.
func (d *database) text(query string) string {
	d.t.Helper()
	conn, err := pgx.Connect(d.t.Context(), d.dsn)
	if err != nil {
		d.t.Fatal(err)
	}
	defer conn.Close(d.t.Context())
	rows, err := conn.Query(d.t.Context(), query)
	if err != nil {
		d.t.Fatal(err)
	}
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		d.t.Fatalf("%s: %v", query, err)
	}
	return strings.Join(lines, "\n")
}

func (d *database) source(l *connectortest.Lab, source definition.JDBCSource) task.Spec {
	return task.Spec{
		Task: "rows", Kind: models.TaskSource, Connection: &d.connection, Access: d.access, Secrets: d.secrets,
		Source: &definition.Source{Name: "rows", Type: definition.SourceJDBC, Mode: definition.ReadFull, JDBC: &source},
		Output: l.NewDir("out") + "/rows",
	}
}

func (d *database) sink(input string, mode definition.WriteMode, execution string, sink definition.JDBCSink) task.Spec {
	return task.Spec{
		Task: "load", Kind: models.TaskSink, Connection: &d.connection, Access: d.access, Secrets: d.secrets, Execution: execution,
		Sink:   &definition.Sink{Name: "load", Type: definition.SinkJDBC, Input: "rows", Mode: mode, JDBC: &sink},
		Inputs: []task.Input{{Name: "rows", Dir: input}},
	}
}

// storedTypes is what PostgreSQL has types for, extremes included.
const storedTypes = `SELECT * FROM (VALUES
 (true, (-32768)::SMALLINT, (-2147483648)::INTEGER, (-9223372036854775808)::BIGINT, 1.5::FLOAT, 'nan'::DOUBLE, 12345678901234567890.123456789::DECIMAL(29,9), 0::DECIMAL(5,5), 'text', '\x00\xFF'::BLOB,
  DATE '2024-02-29', TIME '23:59:59.999999', TIMESTAMP '0044-03-15 (BC) 12:00:00', TIMESTAMPTZ 'infinity', '00112233-4455-6677-8899-aabbccddeeff'::UUID,
  [1, NULL, 3], ['a', NULL, 'ü'], [1.50::DECIMAL(9,2)]),
 (false, 32767, 2147483647, 9223372036854775807, '-inf'::FLOAT, 0.1, -0.000000001, 0.99999, '', ''::BLOB,
  DATE '-infinity', TIME '00:00:00', TIMESTAMP '9999-12-31 23:59:59.999999', TIMESTAMPTZ '1969-12-31 23:59:59.5+00', 'ffffffff-ffff-ffff-ffff-ffffffffffff', [], [], []),
 (NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL))
 AS t(b, i2, i4, i8, f4, f8, n, n5, s, x, day, clock, moment, instant, id, numbers, texts, amounts)`

func TestConformance(t *testing.T) {
	d := newDatabase(t)
	connectortest.Run(t, connectortest.Connector{
		Connection: d.connection, Access: d.access, Secrets: d.secrets,
		Types:  storedTypes,
		Merges: true,
		Source: func(dataset string) *definition.Source {
			return &definition.Source{Name: "rows", Type: definition.SourceJDBC, Mode: definition.ReadFull,
				JDBC: &definition.JDBCSource{Table: fmt.Sprintf("public.%s", dataset)}}
		},
		Sink: func(dataset string, mode definition.WriteMode, keys ...string) *definition.Sink {
			return &definition.Sink{Name: "load_" + dataset, Type: definition.SinkJDBC, Input: "rows", Mode: mode,
				JDBC: &definition.JDBCSink{Table: "public." + dataset, MergeKeys: keys}}
		},
	})
}
