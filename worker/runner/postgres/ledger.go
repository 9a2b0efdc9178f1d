package postgres

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/worker/runner/fault"
)

// ledgerTable stands in the target's schema and has a row for every load, by the name of its publication, which is
// an execution's id.
const ledgerTable = "_pipeline_loads"

const ledgerColumns = `(
 tenant text NOT NULL,
 execution text NOT NULL,
 sink text NOT NULL,
 attempt integer NOT NULL,
 rows bigint NOT NULL DEFAULT 0,
 loaded_at timestamptz NOT NULL DEFAULT now(),
 PRIMARY KEY (tenant, execution, sink))`

func (w *writing) ledger() string { return ident(w.name.schema) + "." + ledgerTable }

// resolveSchema finds the schema of a name without one, as the server would.
func (w *writing) resolveSchema(ctx context.Context) error {
	if w.name.schema != "" {
		return nil
	}
	var schema *string
	err := w.conn.QueryRow(ctx, `SELECT coalesce((SELECT n.nspname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.oid = to_regclass($1)), current_schema())`, ident(w.name.table)).Scan(&schema)
	if err != nil {
		return err
	}
	if schema == nil {
		return fault.Errorf(models.ClassSink, "the connection %s: there is no schema for the table %s; write it as schema.table", w.target.name, w.name)
	}
	w.name.schema = *schema
	return nil
}

// ensureLedger makes the ledger where it is missing. Two that make it at once cannot both succeed; for
// the other one it is then there.
func (w *writing) ensureLedger(ctx context.Context) error {
	var exists bool
	if err := w.conn.QueryRow(ctx, "SELECT to_regclass($1) IS NOT NULL", w.ledger()).Scan(&exists); err != nil {
		return err
	}
	if exists {
		return nil
	}
	_, err := w.exec(ctx, "CREATE TABLE IF NOT EXISTS %s %s", w.ledger(), ledgerColumns)
	switch {
	case hasCode(err, codeUniqueViolation, codeDuplicateTable):
		return nil
	case hasCode(err, codeUndefinedSchema):
		return fault.Errorf(models.ClassSink, "the connection %s: there is no schema %s", w.target.name, w.name.schema)
	case hasCode(err, "42501"):
		return fault.Because(fault.Errorf(models.ClassSink,
			"the connection %s: its user may not make tables in the schema %s, where the load ledger %s belongs; grant CREATE on the schema, or make the table and grant SELECT, INSERT and UPDATE on it",
			w.target.name, w.name.schema, ledgerTable), err)
	}
	return err
}

// claim enters the load into the ledger, before anything else happens. Another attempt that is not done holds
// the entry: this one waits until that one committed, and then has nothing to do, or failed.
func (w *writing) claim(ctx context.Context) (rows int64, already bool, err error) {
	l := w.load
	var attempt int
	err = w.conn.QueryRow(ctx, "INSERT INTO "+w.ledger()+" (tenant, execution, sink, attempt) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING RETURNING attempt",
		string(l.Tenant), l.Publication, l.Sink.Name, l.Attempt).Scan(&attempt)
	if err == nil {
		return 0, false, nil
	}
	if !errors.Is(err, pgx.ErrNoRows) {
		return 0, false, err
	}
	err = w.conn.QueryRow(ctx, "SELECT rows FROM "+w.ledger()+" WHERE tenant = $1 AND execution = $2 AND sink = $3",
		string(l.Tenant), l.Publication, l.Sink.Name).Scan(&rows)
	return rows, true, err
}

// record completes the ledger's entry.
func (w *writing) record(ctx context.Context, rows int64) error {
	_, err := w.conn.Exec(ctx, "UPDATE "+w.ledger()+" SET rows = $4 WHERE tenant = $1 AND execution = $2 AND sink = $3",
		string(w.load.Tenant), w.load.Publication, w.load.Sink.Name, rows)
	return err
}
