package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/uptrace/bun/driver/pgdriver"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/matih/pipeline-service/models"
)

// retryAfter is how long a client should wait when the database is away.
const retryAfter = 2 * time.Second

// failure is what kind of trouble an error of a database is.
type failure int

const (
	failureOther     failure = iota
	failureConflict          // rolled back because of others: the same again may succeed
	failureLost              // the connection broke or could not be made
	failureAway              // the database is up and cannot do it now
	failureDuplicate         // a unique index forbids it
)

// failureOf classifies err. For PostgreSQL see
// https://www.postgresql.org/docs/current/errcodes-appendix.html, for SQLite https://sqlite.org/rescode.html.
func failureOf(err error) failure {
	var pg pgdriver.Error
	if errors.As(err, &pg) {
		return postgresFailure(pg.Field('C'))
	}
	var lite *sqlite.Error
	if errors.As(err, &lite) {
		return sqliteFailure(lite.Code())
	}
	var network net.Error
	switch {
	case errors.As(err, &network) && network.Timeout():
		return failureAway // to try again would be to wait as long again
	case errors.Is(err, driver.ErrBadConn), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF),
		errors.Is(err, net.ErrClosed), errors.As(err, &network):
		return failureLost
	default:
		return failureOther
	}
}

func postgresFailure(state string) failure {
	switch state {
	case "40001", "40P01": // serialization failure, deadlock
		return failureConflict
	case "23505":
		return failureDuplicate
	case "57P01", "57P02", "57P03", "53300": // shutdown, crash, starting up, too many connections
		return failureLost
	case "25006": // read-only, as the old primary is after a fail-over
		return failureAway
	}
	switch {
	case strings.HasPrefix(state, "08"): // connection exception
		return failureLost
	case strings.HasPrefix(state, "53"), strings.HasPrefix(state, "58"): // resources, system errors
		return failureAway
	}
	return failureOther
}

func sqliteFailure(code int) failure {
	switch code {
	case sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY:
		return failureDuplicate
	}
	switch code & 0xff {
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, // another process holds on to the lock
		sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN:
		return failureAway
	}
	return failureOther
}

// explain makes an error of a database one for callers.
func explain(ctx context.Context, err error) error {
	var known *models.Error
	switch {
	case err == nil, errors.As(err, &known):
		return err
	case ctx.Err() != nil:
		// pgdriver reports the caller's deadline as a broken connection.
		return fmt.Errorf("store: %w", ctx.Err())
	}
	switch failureOf(err) {
	case failureConflict, failureLost, failureAway:
		e := models.Errorf(models.CodeUnavailable, "the database cannot be used at the moment")
		e.RetryAfter, e.Cause = retryAfter, err
		return e
	default:
		return fmt.Errorf("store: %w", err)
	}
}

// notFound turns the absence of a row into the error a user sees.
func notFound(kind string, err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return models.NotFound(kind)
	}
	return err
}
