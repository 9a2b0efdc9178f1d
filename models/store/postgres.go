package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/pgdialect"
	"github.com/uptrace/bun/driver/pgdriver"
)

const (
	postgresConns    = 20
	postgresIdleTime = 5 * time.Minute
	// postgresLifetime bounds how long a connection lives, so that a fail-over or a new address is found.
	postgresLifetime = 30 * time.Minute
	// migrationLock is the key of the advisory lock that migrations hold: "pipeline" in ASCII.
	migrationLock = 0x706970656c696e65
)

func openPostgres(dsn string) (*Store, error) {
	connector, err := postgresConnector(dsn)
	if err != nil {
		return nil, err
	}
	pool := sql.OpenDB(connector)
	pool.SetMaxOpenConns(postgresConns)
	pool.SetMaxIdleConns(postgresConns)
	pool.SetConnMaxIdleTime(postgresIdleTime)
	pool.SetConnMaxLifetime(postgresLifetime)
	db := bun.NewDB(pool, postgresText{pgdialect.New()})
	return &Store{
		reader: db, writer: db,
		migrating: func(ctx context.Context) (*bun.DB, func() error, error) {
			return lockPostgres(ctx, dsn)
		},
	}, nil
}

// postgresConnector reads a DSN, which pgdriver only does by panicking about a wrong one.
func postgresConnector(dsn string, more ...pgdriver.Option) (_ *pgdriver.Connector, err error) {
	defer func() {
		if p := recover(); p != nil {
			// Not p itself: it quotes the DSN with its password.
			err = errors.New("store: the postgres:// URL of the database cannot be read")
		}
	}()
	options := []pgdriver.Option{pgdriver.WithApplicationName("pipeline-service"), pgdriver.WithDSN(dsn)}
	return pgdriver.NewConnector(append(options, more...)...), nil
}

// lockPostgres opens a pool without time limits, for a migration may take long, and waits for the
// advisory lock on a connection of its own. The server gives the lock back when that connection ends in
// whatever way, so an interrupted migration blocks nobody.
func lockPostgres(ctx context.Context, dsn string) (*bun.DB, func() error, error) {
	connector, err := postgresConnector(dsn, pgdriver.WithReadTimeout(0), pgdriver.WithWriteTimeout(0))
	if err != nil {
		return nil, nil, err
	}
	db := bun.NewDB(sql.OpenDB(connector), postgresText{pgdialect.New()})
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, nil, errors.Join(explain(ctx, err), db.Close())
	}
	for {
		var locked bool
		err := conn.NewRaw("SELECT pg_try_advisory_lock(?)", int64(migrationLock)).Scan(ctx, &locked)
		if err == nil && locked {
			return db, func() error { return errors.Join(conn.Close(), db.Close()) }, nil
		}
		if err == nil {
			err = pause(ctx, lockPoll)
		}
		if err != nil {
			return nil, nil, errors.Join(fmt.Errorf("store: waiting for another migration: %w", explain(ctx, err)), conn.Close(), db.Close())
		}
	}
}
