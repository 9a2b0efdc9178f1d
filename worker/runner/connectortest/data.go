package connectortest

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"strings"

	_ "github.com/duckdb/duckdb-go/v2" // the oracle is DuckDB itself

	"github.com/matih/pipeline-service/worker/runner/duckdb"
	"github.com/matih/pipeline-service/worker/runner/staging"
)

// Stage writes the rows of a query as a staged data set.
func (l *Lab) Stage(query string) string {
	l.TB.Helper()
	dir := l.NewDir("staged")
	l.Query("COPY ("+query+") TO "+duckdb.Literal(filepath.Join(dir, "part-0.parquet"))+" (FORMAT parquet)", nil)
	return dir
}

// Query runs SQL in a DuckDB of the test and scans the first row into the values.
func (l *Lab) Query(query string, into []any) {
	l.TB.Helper()
	db, err := sql.Open("duckdb", "")
	if err != nil {
		l.TB.Fatal(err)
	}
	defer db.Close()
	if into == nil {
		if _, err := db.ExecContext(context.Background(), query); err != nil {
			l.TB.Fatalf("%s: %v", query, err)
		}
		return
	}
	if err := db.QueryRowContext(context.Background(), query).Scan(into...); err != nil {
		l.TB.Fatalf("%s: %v", query, err)
	}
}

// Content describes a data set so that two are equal if they hold the same rows, in whatever order.
type Content struct {
	Rows    int64
	Columns string // names and types
	Hash    string
}

// ContentOf looks at a staged data set.
func (l *Lab) ContentOf(dir string) Content {
	l.TB.Helper()
	files, _, err := staging.Files(dir)
	if err != nil {
		l.TB.Fatal(err)
	}
	if len(files) == 0 {
		return Content{Hash: "0"}
	}
	return l.ContentOfQuery("FROM read_parquet(" + duckdb.List(files) + ")")
}

// ContentOfQuery looks at the rows of a query in DuckDB's SQL.
func (l *Lab) ContentOfQuery(query string) Content {
	l.TB.Helper()
	var c Content
	l.Query(fmt.Sprintf("SELECT string_agg(column_name || ' ' || column_type, ', ') FROM (DESCRIBE %s)", query), []any{&c.Columns})
	l.Query(fmt.Sprintf("SELECT count(*), coalesce(sum(hash(r::VARCHAR)::HUGEINT), 0)::VARCHAR FROM (%s) AS r", query), []any{&c.Rows, &c.Hash})
	return c
}

// Values is a query of literal rows.
func Values(columns string, rows ...string) string {
	return fmt.Sprintf("SELECT * FROM (VALUES %s) AS t(%s)", strings.Join(rows, ", "), columns)
}

// Column gives an expression's values over a staged data set, short ones first and in order, with spaces between.
func (l *Lab) Column(dir, expression string) string {
	l.TB.Helper()
	return l.Value(dir, fmt.Sprintf("coalesce(string_agg((%[1]s)::VARCHAR, ' ' ORDER BY len((%[1]s)::VARCHAR), %[1]s), '')", expression))
}

// Value gives an aggregate over a staged data set as text.
func (l *Lab) Value(dir, aggregate string) (text string) {
	l.TB.Helper()
	files, _, err := staging.Files(dir)
	if err != nil {
		l.TB.Fatal(err)
	}
	if len(files) > 0 {
		l.Query(fmt.Sprintf("SELECT (%s)::VARCHAR FROM read_parquet(%s)", aggregate, duckdb.List(files)), []any{&text})
	}
	return text
}
