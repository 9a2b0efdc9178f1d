package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/matih/pipeline-service/cmd/internal/harness"
	"github.com/matih/pipeline-service/models/store/pgtest"
)

// postgresRows is how many rows the table has; one takes about 90 bytes in COPY's binary format.
const postgresRows = 2_000_000

const postgresTable = `create table src as
	select i::bigint as id, (i % 1000)::int as store, (i * 0.01)::numeric(12,2) as amount, i * 0.5::float8 as score,
		date '2020-01-01' + (i % 2000) as day, timestamptz '2020-01-01 00:00:00+00' + i * interval '1 second' as at,
		'customer ' || (i % 50000) as customer, i % 3 = 0 as returned
	from generate_series(1, $1) i`

func benchPostgres(ctx context.Context, o options) ([]figure, error) {
	server, err := pgtest.Start()
	if err != nil {
		return nil, err
	}
	defer func() { _ = server.Stop() }()
	s, c, _, end, err := standalone(ctx, o)
	if err != nil {
		return nil, err
	}
	defer end()
	db, err := pgx.Connect(ctx, server.AdminDSN())
	if err != nil {
		return nil, err
	}
	defer func() { _ = db.Close(context.WithoutCancel(ctx)) }()
	if _, err := db.Exec(ctx, postgresTable, postgresRows); err != nil {
		return nil, err
	}
	if _, err := db.Exec(ctx, "vacuum analyze src"); err != nil {
		return nil, err
	}
	if err := databaseConnection(ctx, s, c, server, db.Config().Database); err != nil {
		return nil, err
	}
	out, err := toParquet(ctx, o, c, db)
	if err != nil {
		return nil, err
	}
	back, err := fromParquet(ctx, o, c, db)
	return append(out, back...), err
}

func databaseConnection(ctx context.Context, s *harness.Standalone, c *harness.Client, server *pgtest.Server, database string) error {
	dir := filepath.Join(s.DataDir, "secrets", benchTenant, "db")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for name, value := range map[string]string{"username": server.User, "password": server.Password} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(value), 0o600); err != nil {
			return err
		}
	}
	_, err := c.CreateConnection(ctx, map[string]any{"name": "db", "type": "jdbc", "host": server.Host, "port": server.Port,
		"database": database, "credentialSecretRef": "db", "properties": map[string]any{"sslMode": "disable"}})
	return err
}

func toParquet(ctx context.Context, o options, c *harness.Client, db *pgx.Conn) ([]figure, error) {
	pipeline, err := c.CreatePipeline(ctx, "to-parquet", map[string]any{
		"sources": map[string]any{"src": map[string]any{"type": "jdbc", "connection": "db", "table": "public.src"}},
		"sinks":   map[string]any{"out": map[string]any{"type": "cloud_storage", "connection": "files", "prefix": "flat/", "format": "parquet", "mode": "overwrite"}},
	})
	if err != nil {
		return nil, err
	}
	ours, beside, err := alternate(o.runs,
		func() (time.Duration, error) { return timed(func() error { return complete(ctx, c, pipeline) }) },
		func() (time.Duration, error) {
			return timed(func() error {
				_, err := db.PgConn().CopyTo(ctx, io.Discard, "copy src to stdout (format binary)")
				return err
			})
		})
	return []figure{throughput("PostgreSQL to Parquet, a whole execution", "COPY TO binary to nowhere", ours, beside)}, err
}

func fromParquet(ctx context.Context, o options, c *harness.Client, db *pgx.Conn) ([]figure, error) {
	pipeline, err := c.CreatePipeline(ctx, "from-parquet", map[string]any{
		"sources": map[string]any{"flat": map[string]any{"type": "cloud_storage", "connection": "files", "prefix": "flat/", "format": "parquet"}},
		"sinks":   map[string]any{"dst": map[string]any{"type": "jdbc", "connection": "db", "table": "public.dst", "mode": "overwrite"}},
	})
	if err != nil {
		return nil, err
	}
	var binary bytes.Buffer
	if _, err := db.PgConn().CopyTo(ctx, &binary, "copy src to stdout (format binary)"); err != nil {
		return nil, err
	}
	if _, err := db.Exec(ctx, "create table bare (like src)"); err != nil {
		return nil, err
	}
	ours, beside, err := alternate(o.runs,
		func() (time.Duration, error) { return timed(func() error { return complete(ctx, c, pipeline) }) },
		func() (time.Duration, error) {
			return timed(func() error {
				tx, err := db.Begin(ctx)
				if err != nil {
					return err
				}
				defer func() { _ = tx.Rollback(ctx) }()
				if _, err := tx.Exec(ctx, "truncate bare"); err != nil {
					return err
				}
				if _, err := db.PgConn().CopyFrom(ctx, bytes.NewReader(binary.Bytes()), "copy bare from stdin (format binary)"); err != nil {
					return err
				}
				return tx.Commit(ctx)
			})
		})
	return []figure{throughput("Parquet to PostgreSQL, a whole execution", "COPY FROM of a ready binary file", ours, beside)}, err
}

// throughput compares rows a second: above 1 is faster than what stands beside it.
func throughput(what, besideWhat string, ours, beside time.Duration) figure {
	perSecond := func(d time.Duration) string { return fmt.Sprintf("%.2f M rows/s", postgresRows/d.Seconds()/1e6) }
	ratio := beside.Seconds() / ours.Seconds()
	return figure{what: what, ours: perSecond(ours), beside: besideWhat + ": " + perSecond(beside),
		ratio: fmt.Sprintf("%.2f×", ratio), limit: "0.6×", ok: ratio >= 0.6}
}
