package postgres

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"sync/atomic"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/definition"
	"github.com/matih/pipeline-service/models/task"
	"github.com/matih/pipeline-service/worker/runner/fault"
)

// Meter counts what is moved.
type Meter interface {
	AddIn(rows, bytes int64)
	AddOut(rows, bytes int64)
}

// Dest is where a source's rows go.
type Dest struct {
	Dir     string // an empty directory for Parquet files
	MaxRows int    // that are read; 0 is all
	Meter   Meter
}

// Found is what a source held.
type Found struct {
	Rows    int64
	Columns []task.Column
	// Cursor is where an incremental read has ended. Skipped counts the rows it will never read, up to a bound,
	// because their watermark is null or infinite.
	Cursor  string
	Skipped int64
}

// Read stages the rows of a table or query: all, or, with a cursor, those that it leaves. All parts of a
// partitioned read see the same snapshot.
func (t *Target) Read(ctx context.Context, src *definition.JDBCSource, from *models.Cursor, to Dest) (*Found, error) {
	conn, err := t.connect(ctx)
	if err != nil {
		return nil, err
	}
	defer closeConn(conn)
	if _, err := conn.Exec(ctx, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"); err != nil {
		return nil, t.queryFault(ctx, models.ClassSource, err)
	}
	r := &reading{target: t, conn: conn, src: src, to: to}
	if err := r.describe(ctx); err != nil {
		return nil, err
	}
	found := &Found{}
	if from != nil {
		err = r.readOn(ctx, from, found)
	} else {
		found.Rows, err = r.copyWhere(ctx, "")
	}
	if err != nil {
		return nil, err
	}
	for _, c := range r.columns {
		found.Columns = append(found.Columns, task.Column{Name: c.name, Type: c.duck})
	}
	return found, nil
}

// reading is one read: first it is described, then copied.
type reading struct {
	target  *Target
	conn    *pgx.Conn // in the transaction whose snapshot counts
	src     *definition.JDBCSource
	to      Dest
	from    string // what to select from
	columns []column
	schema  *arrow.Schema
	parts   atomic.Int64 // begun so far
}

func (r *reading) fault(ctx context.Context, err error) error {
	return r.target.queryFault(ctx, models.ClassSource, err)
}

// describe asks the server what the columns are. A query is prepared as it stands: the server accepts
// exactly one statement there, so nothing can hide behind it, and the transaction is read-only.
func (r *reading) describe(ctx context.Context) error {
	var statement string
	if r.src.Query != "" {
		query := strings.TrimRight(strings.TrimSpace(r.src.Query), "; \t\r\n")
		statement, r.from = query, "(\n"+query+"\n) AS q"
	} else {
		table, err := parseTable(r.src.Table)
		if err != nil {
			return err
		}
		r.from = table.sql() + " AS q"
		statement = "SELECT * FROM " + r.from
	}
	description, err := r.conn.PgConn().Prepare(ctx, "", statement, nil)
	if err != nil {
		if r.src.Query == "" && hasCode(err, codeUndefinedTable, codeUndefinedSchema) {
			return r.target.unknownTable(ctx, r.src.Table)
		}
		return r.fault(ctx, err)
	}
	if r.to.MaxRows > 0 {
		r.from = fmt.Sprintf("(SELECT * FROM %s LIMIT %d) AS q", r.from, r.to.MaxRows)
	}
	if len(description.ParamOIDs) > 0 {
		return fault.Errorf(models.ClassSQL, "the query has the parameter $1, for which there is no value")
	}
	if len(description.Fields) == 0 {
		return fault.Errorf(models.ClassSQL, "the query returns no columns: a source needs a SELECT")
	}
	seen := map[string]bool{}
	for _, f := range description.Fields {
		c := column{name: f.Name, oid: f.DataTypeOID, typmod: f.TypeModifier}
		if seen[strings.ToLower(c.name)] {
			return fault.Errorf(models.ClassSQL, "two columns are named %q; give one of them another name (case does not count)", c.name)
		}
		seen[strings.ToLower(c.name)] = true
		c.resolve()
		r.columns = append(r.columns, c)
	}
	if err := r.settleNumerics(ctx); err != nil {
		return err
	}
	fields := make([]arrow.Field, len(r.columns))
	for i, c := range r.columns {
		fields[i] = arrow.Field{Name: c.name, Type: c.arrow, Nullable: true}
	}
	r.schema = arrow.NewSchema(fields, nil)
	return nil
}

// settleNumerics finds for numerics without a declared scale the smallest that holds all values, in the
// same snapshot they are read in. Where none does (NaN, infinities, too many digits) they stay text.
func (r *reading) settleNumerics(ctx context.Context) error {
	var items []string
	var open []*column
	for i := range r.columns {
		c := &r.columns[i]
		if !c.open() {
			continue
		}
		name := r.alias(i)
		open = append(open, c)
		items = append(items,
			fmt.Sprintf("coalesce(max(scale(%s)), 0)", name),
			fmt.Sprintf("coalesce(max(length(trunc(abs(%[1]s))::text)) FILTER (WHERE %[1]s::text !~ '^-?[NI]'), 1)", name),
			fmt.Sprintf("coalesce(bool_or(%s::text ~ '^-?[NI]'), false)", name))
	}
	if len(items) == 0 {
		return nil
	}
	scales, digits, special := make([]int, len(open)), make([]int, len(open)), make([]bool, len(open))
	var into []any
	for i := range open {
		into = append(into, &scales[i], &digits[i], &special[i])
	}
	query := fmt.Sprintf("SELECT %s FROM (SELECT * FROM %s) AS q(%s)", strings.Join(items, ", "), r.from, r.aliases())
	if err := r.conn.QueryRow(ctx, query).Scan(into...); err != nil {
		return r.fault(ctx, err)
	}
	for i, c := range open {
		if special[i] || scales[i]+digits[i] > maxPrecision {
			c.text()
		} else {
			c.decimal(maxPrecision, scales[i])
		}
	}
	return nil
}

// alias names a column by its place, because a query may return names that need not be names.
func (r *reading) alias(i int) string { return fmt.Sprintf("c%d", i) }

func (r *reading) aliases() string {
	names := make([]string, len(r.columns))
	for i := range names {
		names[i] = r.alias(i)
	}
	return strings.Join(names, ", ")
}

// staged lists the columns in the form in which they are staged.
func (r *reading) staged() string {
	items := make([]string, len(r.columns))
	for i, c := range r.columns {
		items[i] = r.alias(i)
		if c.asText {
			items[i] += "::text"
		}
	}
	return strings.Join(items, ", ")
}

// rowsSQL is what to select from: the rows under a condition, or all under "".
func (r *reading) rowsSQL(condition string) string {
	rows := fmt.Sprintf("(SELECT * FROM %s) AS q(%s)", r.from, r.aliases())
	if condition != "" {
		rows += " WHERE " + condition
	}
	return rows
}

func (r *reading) selectSQL(condition string) string {
	return "SELECT " + r.staged() + " FROM " + r.rowsSQL(condition)
}

// find returns the place of a column, by its name as it is before one in another case; -1 where there is none.
func (r *reading) find(name string) int {
	index := -1
	for i, c := range r.columns {
		if strings.EqualFold(c.name, name) && (index < 0 || c.name == name) {
			index = i
		}
	}
	return index
}

// copyWhere reads the rows under a condition, or all under "": in one part on the connection that holds the
// snapshot, in several each on one of their own.
func (r *reading) copyWhere(ctx context.Context, condition string) (int64, error) {
	parts, err := r.partition(ctx, condition)
	if err != nil {
		return 0, err
	}
	if r.to.MaxRows > 0 {
		parts = []string{condition} // what is limited is not the same for several queries
	}
	if len(parts) == 1 {
		return r.copyPart(ctx, r.conn, r.selectSQL(parts[0]))
	}
	var snapshot string
	if err := r.conn.QueryRow(ctx, "SELECT pg_export_snapshot()").Scan(&snapshot); err != nil {
		return 0, r.fault(ctx, err)
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(maxConnections)
	rows := make([]int64, len(parts))
	for i, condition := range parts {
		group.Go(func() error {
			conn, err := r.target.connect(ctx)
			if err != nil {
				return err
			}
			defer closeConn(conn)
			if _, err := conn.Exec(ctx, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"); err != nil {
				return r.fault(ctx, err)
			}
			if _, err := exec(ctx, conn, "SET TRANSACTION SNAPSHOT %s", literal(snapshot)); err != nil {
				return r.fault(ctx, err)
			}
			rows[i], err = r.copyPart(ctx, conn, r.selectSQL(condition))
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return 0, err
	}
	var total int64
	for _, n := range rows {
		total += n
	}
	return total, nil
}

// copyPart stages what one query selects as one file.
func (r *reading) copyPart(ctx context.Context, conn *pgx.Conn, query string) (int64, error) {
	name := fmt.Sprintf("part-%04d.parquet", r.parts.Add(1)-1)
	out, err := newParquetWriter(filepath.Join(r.to.Dir, name), r.schema)
	if err != nil {
		return 0, err
	}
	d := newDecoder(r.columns, r.schema, func(batch arrow.RecordBatch, size int64) error {
		r.to.Meter.AddIn(batch.NumRows(), size)
		return out.write(ctx, batch)
	})
	defer d.release()
	_, err = conn.PgConn().CopyTo(ctx, d, "COPY (\n"+query+"\n) TO STDOUT (FORMAT binary)")
	if err == nil {
		err = d.close()
	}
	closeErr := out.close()
	if err != nil {
		return 0, r.fault(ctx, err)
	}
	return d.rows, closeErr
}
