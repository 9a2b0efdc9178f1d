package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/definition"
	"github.com/matih/pipeline-service/models/task"
	"github.com/matih/pipeline-service/worker/runner/fault"
)

// Compare tells how staged files differ from the table they would be loaded into, and whether they could be. It
// changes nothing.
func (t *Target) Compare(ctx context.Context, sink *definition.Sink, files []string) (*models.SinkFinding, error) {
	data, err := openStaged(files)
	if err != nil {
		return nil, err
	}
	if err := checkSink(sink, data); err != nil {
		return nil, err
	}
	name, err := parseTable(sink.JDBC.Table)
	if err != nil {
		return nil, err
	}
	conn, err := t.connect(ctx)
	if err != nil {
		return nil, err
	}
	defer closeConn(conn)
	w := &writing{target: t, conn: conn, load: Load{Sink: sink}, data: data, name: name}
	found, err := w.compare(ctx)
	if err != nil {
		return nil, t.queryFault(ctx, models.ClassSink, err)
	}
	return found, nil
}

func (w *writing) compare(ctx context.Context) (*models.SinkFinding, error) {
	if _, err := w.exec(ctx, "BEGIN READ ONLY"); err != nil {
		return nil, err
	}
	if err := w.resolveSchema(ctx); err != nil {
		return nil, err
	}
	var err error
	if w.table, err = w.findTable(ctx); err != nil {
		return nil, err
	}
	found := &models.SinkFinding{Exists: w.table != nil, Compatible: true}
	if len(w.data.files) == 0 {
		return found, nil // without columns nothing is loaded
	}
	check := w.checkCompatible
	if w.table == nil {
		w.table, check = &table{name: w.name}, w.checkCreatable
	}
	found.Changes = w.table.changes(w.data)
	if err := check(ctx); err != nil {
		f := (*task.Failure)(nil)
		if !errors.As(err, &f) {
			return nil, err
		}
		found.Compatible, found.Reason = false, f.Message
	}
	return found, nil
}

// checkCreatable finds why the table could not be made.
func (w *writing) checkCreatable(ctx context.Context) error {
	var there, allowed bool
	err := w.conn.QueryRow(ctx, `SELECT to_regnamespace($1) IS NOT NULL, coalesce(has_schema_privilege(to_regnamespace($1)::oid, 'CREATE'), false)`,
		ident(w.name.schema)).Scan(&there, &allowed)
	switch {
	case err != nil:
		return err
	case !there:
		return fault.Errorf(models.ClassSink, "there is no schema %s to make the table %s in", w.name.schema, w.name.table)
	case !allowed:
		return fault.Errorf(models.ClassSink, "the connection's user may not make tables in the schema %s", w.name.schema)
	}
	return nil
}

// changes lists what would differ: the data's columns in their order, then those only the table has.
func (t *table) changes(data *staged) []models.ColumnChange {
	var changes []models.ColumnChange
	for _, f := range data.fields {
		switch c := t.find(f.name); {
		case c == nil:
			changes = append(changes, models.ColumnChange{Column: f.name, Change: models.ColumnAdded, To: f.sql})
		case c.sql != f.sql:
			changes = append(changes, models.ColumnChange{Column: f.name, Change: models.ColumnTypeChanged, From: c.sql, To: f.sql})
		}
	}
	for _, c := range t.columns {
		if data.find(c.name) < 0 {
			changes = append(changes, models.ColumnChange{Column: c.name, Change: models.ColumnRemoved, From: c.sql})
		}
	}
	return changes
}

// checkCompatible finds why no load could succeed: columns that do not match, or a type that never becomes the
// table's. Whether each value fits only a load can tell.
func (w *writing) checkCompatible(ctx context.Context) error {
	if err := w.table.accepts(w.data, w.load.Sink); err != nil {
		return err
	}
	for _, f := range w.data.fields {
		c := w.table.find(f.name)
		if c.sql == f.sql {
			continue
		}
		// Prepared, not executed: whether there is a cast is known then.
		statement := fmt.Sprintf("SELECT CAST(CAST(NULL AS %s) AS %s)", f.sql, c.sql)
		if _, err := w.conn.PgConn().Prepare(ctx, "", statement, nil); err != nil {
			return w.columnFault(err, f, c)
		}
	}
	return nil
}
