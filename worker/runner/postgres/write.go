package postgres

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/definition"
	"github.com/matih/pipeline-service/worker/runner/fault"
)

// Load is one execution's data for a sink.
type Load struct {
	Sink        *definition.Sink
	Tenant      models.TenantID
	Publication string // names the data: however many executions bring them, they arrive once
	Attempt     int
	Files       []string // staged Parquet; without files there are no rows and no columns
	Meter       Meter
}

// Loaded is what is in place after a load.
type Loaded struct {
	Rows    int64
	Already bool
}

// stageTable is the temporary table in which rows wait where they cannot go straight into the target.
const stageTable = "_pipeline_stage"

// Write publishes the rows in one transaction that also records them in the load ledger: however often
// the load is attempted, also at once, its rows arrive once.
func (t *Target) Write(ctx context.Context, l Load) (*Loaded, error) {
	data, err := openStaged(l.Files)
	if err != nil {
		return nil, err
	}
	if err := checkSink(l.Sink, data); err != nil {
		return nil, err
	}
	name, err := parseTable(l.Sink.JDBC.Table)
	if err != nil {
		return nil, err
	}
	conn, err := t.connect(ctx)
	if err != nil {
		return nil, err
	}
	defer closeConn(conn)
	w := &writing{target: t, conn: conn, load: l, data: data, name: name}
	loaded, err := w.run(ctx)
	if err != nil {
		return nil, t.queryFault(ctx, models.ClassSink, err)
	}
	return loaded, nil
}

// checkSink finds what no database need be asked about.
func checkSink(sink *definition.Sink, data *staged) error {
	if len(data.files) == 0 {
		return nil
	}
	var names []string
	switch sink.Mode {
	case definition.WriteMergeOnKey:
		if names = sink.JDBC.MergeKeys; len(names) == 0 {
			return fault.Errorf(models.ClassInvalidDefinition, "the sink %s: merge_on_key needs merge_keys", sink.Name)
		}
	case definition.WriteOverwritePartition:
		if names = sink.JDBC.PartitionBy; len(names) == 0 {
			return fault.Errorf(models.ClassInvalidDefinition, "the sink %s: overwrite_partition needs partition_by", sink.Name)
		}
	}
	for _, name := range names {
		if data.find(name) < 0 {
			return fault.Errorf(models.ClassInvalidDefinition, "the sink %s: its input has no column %q; it has %s", sink.Name, name, strings.Join(data.names(), ", "))
		}
	}
	return nil
}

func (s *staged) find(name string) int {
	for i, f := range s.fields {
		if f.name == name {
			return i
		}
	}
	return -1
}

func (s *staged) names() []string {
	names := make([]string, len(s.fields))
	for i, f := range s.fields {
		names[i] = f.name
	}
	return names
}

// writing is one load on one connection.
type writing struct {
	target *Target
	conn   *pgx.Conn
	load   Load
	data   *staged
	name   tableName // as the definition has it
	table  *table    // as it is in the database
}

func (w *writing) exec(ctx context.Context, format string, args ...any) (int64, error) {
	tag, err := exec(ctx, w.conn, format, args...)
	return tag.RowsAffected(), err
}

func (w *writing) run(ctx context.Context) (*Loaded, error) {
	if err := w.resolveSchema(ctx); err != nil {
		return nil, err
	}
	if err := w.ensureLedger(ctx); err != nil {
		return nil, err
	}
	if _, err := w.exec(ctx, "BEGIN"); err != nil {
		return nil, err
	}
	if rows, already, err := w.claim(ctx); err != nil || already {
		return &Loaded{Rows: rows, Already: already}, err
	}
	rows, err := w.publish(ctx)
	if err != nil {
		return nil, err
	}
	if err := w.record(ctx, rows); err != nil {
		return nil, err
	}
	if _, err := w.exec(ctx, "COMMIT"); err != nil {
		return nil, err
	}
	return &Loaded{Rows: rows}, nil
}

// publish brings the rows in and returns how many there were.
func (w *writing) publish(ctx context.Context) (int64, error) {
	mode := w.load.Sink.Mode
	if len(w.data.files) == 0 {
		return 0, w.publishNothing(ctx, mode)
	}
	if err := w.ensureTable(ctx); err != nil {
		return 0, err
	}
	if err := w.table.accepts(w.data, w.load.Sink); err != nil {
		return 0, err
	}
	if mode == definition.WriteOverwrite {
		if err := w.clear(ctx); err != nil {
			return 0, err
		}
	}
	if (mode == definition.WriteAppend || mode == definition.WriteOverwrite) && w.table.sameTypes(w.data) {
		return w.copyInto(ctx, w.name.sql())
	}
	rows, err := w.stage(ctx)
	if err != nil {
		return 0, err
	}
	switch mode {
	case definition.WriteMergeOnKey:
		return rows, w.merge(ctx)
	case definition.WriteOverwritePartition:
		if err := w.clearPartitions(ctx); err != nil {
			return 0, err
		}
	}
	return rows, w.insertStaged(ctx)
}

// publishNothing is the publication of a data set without columns: an overwrite leaves an empty table.
func (w *writing) publishNothing(ctx context.Context, mode definition.WriteMode) error {
	if mode != definition.WriteOverwrite {
		return nil
	}
	found, err := w.findTable(ctx)
	if err != nil || found == nil {
		return err
	}
	w.table = found
	return w.clear(ctx)
}

// lockWriters keeps other writers away until the transaction ends; readers go on.
func (w *writing) lockWriters(ctx context.Context) error {
	_, err := w.exec(ctx, "LOCK TABLE %s IN SHARE ROW EXCLUSIVE MODE", w.name.sql())
	return err
}

// clear empties the target. DELETE, unlike TRUNCATE, lets readers see the old rows until the commit.
func (w *writing) clear(ctx context.Context) error {
	if err := w.lockWriters(ctx); err != nil {
		return err
	}
	_, err := w.exec(ctx, "DELETE FROM %s", w.name.sql())
	return err
}

// copyInto streams the rows into a table of the same columns.
func (w *writing) copyInto(ctx context.Context, table string) (int64, error) {
	stream := w.data.stream(ctx, w.load.Meter)
	_, err := w.conn.PgConn().CopyFrom(ctx, stream, fmt.Sprintf("COPY %s (%s) FROM STDIN (FORMAT binary)", table, idents(w.data.names())))
	if streamErr := stream.close(); streamErr != nil {
		return 0, streamErr
	}
	return stream.rows, err
}

// stage streams the rows into a temporary table and makes sure that they fit the target.
func (w *writing) stage(ctx context.Context) (int64, error) {
	if _, err := w.exec(ctx, "CREATE TEMPORARY TABLE %s (%s) ON COMMIT DROP", stageTable, w.data.definition()); err != nil {
		return 0, err
	}
	rows, err := w.copyInto(ctx, stageTable)
	if err != nil {
		return 0, err
	}
	if _, err := w.exec(ctx, "ANALYZE %s", stageTable); err != nil {
		return 0, err
	}
	return rows, w.checkFit(ctx)
}

// definition lists the columns with their types, for CREATE TABLE.
func (s *staged) definition() string {
	items := make([]string, len(s.fields))
	for i, f := range s.fields {
		items[i] = ident(f.name) + " " + f.sql
	}
	return strings.Join(items, ", ")
}

func (w *writing) insertStaged(ctx context.Context) error {
	_, err := w.exec(ctx, "INSERT INTO %s (%s) SELECT %s FROM %s AS s", w.name.sql(), idents(w.data.names()), w.converted(), stageTable)
	return err
}

// converted selects the staged columns with the target's types.
func (w *writing) converted() string {
	items := make([]string, len(w.data.fields))
	for i, f := range w.data.fields {
		items[i] = w.table.convert(f, "s."+ident(f.name))
	}
	return strings.Join(items, ", ")
}

func (w *writing) clearPartitions(ctx context.Context) error {
	if err := w.lockWriters(ctx); err != nil {
		return err
	}
	keys := w.load.Sink.JDBC.PartitionBy
	conditions := make([]string, len(keys))
	for i, key := range keys {
		f := w.data.fields[w.data.find(key)]
		conditions[i] = fmt.Sprintf("t.%s IS NOT DISTINCT FROM %s", ident(key), w.table.convert(f, "s."+ident(key)))
	}
	_, err := w.exec(ctx, "DELETE FROM %s AS t USING (SELECT DISTINCT %s FROM %s) AS s WHERE %s",
		w.name.sql(), idents(keys), stageTable, strings.Join(conditions, " AND "))
	return err
}
