// Package store keeps pipelines, connections, executions with their tasks, logs and approvals, and
// idempotency keys, in PostgreSQL or SQLite, by one set of queries. It is the only place with SQL on our own
// database, and a tenant's rows are reached only through Store.ForTenant.
//
// Errors that a user may meet are *models.Error with a code; a database that cannot be reached is
// models.CodeUnavailable.
package store

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect"

	"github.com/matih/pipeline-service/models"
)

// Quotas bound what one tenant may have; 0 is no bound.
type Quotas struct {
	OpenExecutions int64 // executions that have not ended
	Pipelines      int64 // pipelines that are not archived
}

// DefaultQuotas are the quotas of a store that Open returns.
var DefaultQuotas = Quotas{OpenExecutions: 1000, Pipelines: 10_000}

// Store is an open database. It is safe for concurrent use.
type Store struct {
	// Quotas are every tenant's, but for those that TenantQuotas names. Both may be changed before the store
	// is first used.
	Quotas       Quotas
	TenantQuotas map[models.TenantID]Quotas
	// Budgets are those of single tenants, Pricing is what costs are computed with. Both may be changed like Quotas.
	Budgets map[models.TenantID]models.Budget
	Pricing Pricing

	// reader and writer are the same pool on PostgreSQL. On SQLite, which has one writer at a time, the
	// writer is a single connection: transactions queue in this process instead of failing as busy.
	reader, writer *bun.DB
	// migrating opens what migrations run on, alone in the world until the function it returns is called.
	migrating func(ctx context.Context) (*bun.DB, func() error, error)
}

// Open opens the database of a DSN: "postgres://user:password@host:5432/name?sslmode=…" or
// "sqlite:/path/file.db", whose file is made where it is missing. The schema is Migrate's to make.
func Open(ctx context.Context, dsn string) (*Store, error) {
	var s *Store
	var err error
	switch scheme, rest, _ := strings.Cut(dsn, ":"); scheme {
	case "postgres", "postgresql":
		s, err = openPostgres(dsn)
	case "sqlite":
		s, err = openSQLite(strings.TrimPrefix(rest, "//"))
	default:
		// The DSN may hold a password, so it is not repeated.
		err = errors.New("store: the database must be given as postgres://… or sqlite:/path/file.db")
	}
	if err != nil {
		return nil, err
	}
	s.Quotas = DefaultQuotas
	if err := s.Ping(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// quotasOf returns what one tenant may have.
func (s *Store) quotasOf(id models.TenantID) Quotas {
	if q, ok := s.TenantQuotas[id]; ok {
		return q
	}
	return s.Quotas
}

// Close closes every connection.
func (s *Store) Close() error {
	err := s.writer.Close()
	if s.reader != s.writer {
		err = errors.Join(err, s.reader.Close())
	}
	return err
}

// Ping reports whether the database answers, for reading and for writing.
func (s *Store) Ping(ctx context.Context) error {
	err := s.writer.PingContext(ctx)
	if err == nil && s.reader != s.writer {
		err = s.reader.PingContext(ctx)
	}
	if err != nil {
		return explain(ctx, fmt.Errorf("opening the database: %w", err))
	}
	return nil
}

// locking makes q lock the rows it reads until its transaction ends. SQLite has no such clause and needs
// none: a write transaction is alone there from its first statement.
func locking(tx bun.IDB, q *bun.SelectQuery) *bun.SelectQuery {
	if tx.Dialect().Name() != dialect.PG {
		return q
	}
	return q.For("NO KEY UPDATE")
}
