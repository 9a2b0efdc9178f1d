// Package duckdb is the SQL engine of the task process: one DuckDB in memory that reads staged Parquet
// and writes Parquet, locked down before it meets the user's SQL.
package duckdb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	driver "github.com/duckdb/duckdb-go/v2"

	"github.com/matih/pipeline-service/models/task"
	"github.com/matih/pipeline-service/worker/runner/staging"
)

// rowGroupRows is DuckDB's own default: large enough to compress well, small enough that several
// threads share a file.
const rowGroupRows = 122_880

// stagingCompression costs the least time of those that compress (3 million flights: written in
// 0.36 s, 0.38 s with snappy, 0.41 s with zstd; read in the same time).
const stagingCompression = "lz4_raw"

// Engine is a DuckDB of its own with one connection.
type Engine struct {
	db   *sql.DB
	conn *sql.Conn
	// made are the views and tables of the current task, as DROP wants them.
	made []string
	// parsed is the latest statement and its parse tree.
	parsed struct {
		text string
		tree []byte
	}
	// hide maps paths of this machine to words that may be shown.
	hide *strings.Replacer
}

// opening are the options that hold for every task. DuckDB has one thread until Configure gives it more:
// threads made after the sandbox closed are inside it from their first moment.
const opening = "?threads=1" +
	"&autoinstall_known_extensions=false&autoload_known_extensions=false" +
	"&allow_community_extensions=false&allow_unsigned_extensions=false"

// settled are the settings that hold for every task and can only be made by SQL. Making them while the
// process waits also takes DuckDB's first statement, the slowest, out of the task's time.
const settled = "SET allow_persistent_secrets = false; SET enable_logging = false; SET TimeZone = 'UTC'"

// Open starts DuckDB. Configure shuts it in.
func Open(ctx context.Context) (*Engine, error) {
	connector, err := driver.NewConnector(opening, nil)
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(connector)
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	if _, err := conn.ExecContext(ctx, settled); err != nil {
		return nil, errors.Join(err, conn.Close(), db.Close())
	}
	return &Engine{db: db, conn: conn, hide: strings.NewReplacer()}, nil
}

// Close ends DuckDB.
func (e *Engine) Close() error {
	return errors.Join(e.conn.Close(), e.db.Close())
}

// Settings is what a task may use of the machine.
type Settings struct {
	Limits task.Limits
	// Scratch is the directory DuckDB spills to.
	Scratch string
	// Dirs and Files are what SQL may read and write; whether it may write is Landlock's to say.
	Dirs  []string
	Files []string
	// Unlocked leaves file and network functions open, so that a test can try the other wall alone.
	Unlocked bool
}

// Configure sets limits and then locks the configuration: nothing outside Settings can be reached and
// no setting changed.
func (e *Engine) Configure(ctx context.Context, s Settings) error {
	statements := []string{
		"SET memory_limit = " + Literal(fmt.Sprintf("%dB", max(s.Limits.MemoryBytes, 32<<20))),
		"SET temp_directory = " + Literal(s.Scratch),
		"SET home_directory = " + Literal(s.Scratch),
		"SET secret_directory = " + Literal(s.Scratch),
		"SET extension_directory = " + Literal(s.Scratch),
		"SET threads = " + strconv.Itoa(max(s.Limits.Threads, 1)),
	}
	if s.Limits.ScratchBytes > 0 {
		statements = append(statements, "SET max_temp_directory_size = "+Literal(fmt.Sprintf("%dB", s.Limits.ScratchBytes)))
	}
	if !s.Unlocked {
		statements = append(statements,
			"SET allowed_directories = "+List(s.Dirs),
			"SET allowed_paths = "+List(s.Files),
			"SET enable_external_access = false",
			"SET lock_configuration = true",
		)
	}
	// One round trip: each alone would cost more than what it does.
	_, err := e.conn.ExecContext(ctx, strings.Join(statements, "; "))
	return err
}

// Reset drops what a task left, so that the next one does not see it.
func (e *Engine) Reset(ctx context.Context) error {
	if len(e.made) == 0 {
		return nil
	}
	drops := make([]string, len(e.made))
	for i, what := range e.made {
		drops[len(drops)-1-i] = "DROP " + what
	}
	e.made = nil
	_, err := e.conn.ExecContext(ctx, strings.Join(drops, "; "))
	return err
}

// create runs a statement that makes a view or a table, once under each name.
func (e *Engine) create(ctx context.Context, kind, name, statement string) error {
	if err := e.exec(ctx, statement); err != nil {
		return err
	}
	if what := kind + " IF EXISTS " + Ident(name); !slices.Contains(e.made, what) {
		e.made = append(e.made, what)
	}
	return nil
}

// Hide makes every error of the engine show the words given instead of the paths: pairs of a path and
// what stands for it.
func (e *Engine) Hide(pairs ...string) { e.hide = strings.NewReplacer(pairs...) }

// Input is a staged data set that SQL may read by its name.
type Input struct {
	Name  string
	Files []string
	Rows  int64
	Bytes int64
}

// BindInput makes a staged data set readable by name and counts it.
func (e *Engine) BindInput(ctx context.Context, in task.Input) (Input, error) {
	files, size, err := staging.Files(in.Dir)
	if err != nil {
		return Input{}, err
	}
	bound := Input{Name: in.Name, Files: files, Bytes: size}
	if len(files) == 0 {
		return bound, e.create(ctx, "VIEW", in.Name, "CREATE VIEW "+Ident(in.Name)+" AS SELECT NULL AS no_columns WHERE false")
	}
	if err := e.create(ctx, "VIEW", in.Name, "CREATE VIEW "+Ident(in.Name)+" AS SELECT * FROM read_parquet("+List(files)+")"); err != nil {
		return Input{}, err
	}
	err = e.QueryRow(ctx, "SELECT coalesce(sum(num_rows), 0)::BIGINT FROM parquet_file_metadata("+List(files)+")", &bound.Rows)
	return bound, err
}

// CreateView names a query. The query must be one that CheckSelect accepted, or one of ours.
func (e *Engine) CreateView(ctx context.Context, name, query string) error {
	return e.create(ctx, "VIEW", name, "CREATE OR REPLACE TEMP VIEW "+Ident(name)+" AS\n"+query)
}

// CreateTable keeps the rows of a query, in memory or spilled to scratch.
func (e *Engine) CreateTable(ctx context.Context, name, query string) error {
	return e.create(ctx, "TABLE", name, "CREATE OR REPLACE TEMP TABLE "+Ident(name)+" AS\n"+query)
}

// Describe lists the columns of a view or table.
func (e *Engine) Describe(ctx context.Context, name string) ([]task.Column, error) {
	return e.describe(ctx, Ident(name))
}

// DescribeQuery lists the columns of one of our own queries.
func (e *Engine) DescribeQuery(ctx context.Context, query string) ([]task.Column, error) {
	return e.describe(ctx, query)
}

func (e *Engine) describe(ctx context.Context, what string) ([]task.Column, error) {
	var columns []task.Column
	err := e.QueryEach(ctx, "SELECT column_name, column_type FROM (DESCRIBE "+what+")", func(scan func(...any) error) error {
		var c task.Column
		if err := scan(&c.Name, &c.Type); err != nil {
			return err
		}
		columns = append(columns, c)
		return nil
	})
	return columns, err
}

// WriteParquet writes the rows of a view or table to a file, in their order and without losing
// information. It returns how many there were and the columns as they are in the file.
func (e *Engine) WriteParquet(ctx context.Context, name, path string) (int64, []task.Column, error) {
	columns, err := e.Describe(ctx, name)
	if err != nil {
		return 0, nil, err
	}
	if err := noStorageClash(columns); err != nil {
		return 0, nil, err
	}
	projection, stored := storable(columns)
	rows, err := e.Copy(ctx, fmt.Sprintf("SELECT %s FROM %s", projection, Ident(name)), path,
		fmt.Sprintf("FORMAT parquet, COMPRESSION %s, ROW_GROUP_SIZE %d", stagingCompression, rowGroupRows))
	return rows, stored, err
}

// Copy writes the rows of one of our own queries to a file or directory and returns how many there were.
func (e *Engine) Copy(ctx context.Context, query, path, options string) (int64, error) {
	res, err := e.conn.ExecContext(ctx, fmt.Sprintf("COPY (\n%s\n) TO %s (%s)", query, Literal(path), options))
	if err != nil {
		return 0, e.failure(ctx, err)
	}
	return res.RowsAffected()
}

// Exec runs one of our own statements.
func (e *Engine) Exec(ctx context.Context, statement string, args ...any) error {
	return e.exec(ctx, statement, args...)
}

func (e *Engine) exec(ctx context.Context, statement string, args ...any) error {
	_, err := e.conn.ExecContext(ctx, statement, args...)
	return e.failure(ctx, err)
}

// QueryRow reads the only row of a query.
func (e *Engine) QueryRow(ctx context.Context, query string, into ...any) error {
	return e.failure(ctx, e.conn.QueryRowContext(ctx, query).Scan(into...))
}

// QueryEach calls each for every row of a query.
func (e *Engine) QueryEach(ctx context.Context, query string, each func(scan func(...any) error) error) error {
	rows, err := e.conn.QueryContext(ctx, query)
	if err != nil {
		return e.failure(ctx, err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := each(rows.Scan); err != nil {
			return err
		}
	}
	return e.failure(ctx, rows.Err())
}
