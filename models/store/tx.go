package store

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/uptrace/bun"
)

const (
	attempts = 6
	// firstPause doubles with each attempt; all of them together wait for about half a second.
	firstPause = 10 * time.Millisecond
	lockPoll   = 50 * time.Millisecond
)

// errUnknownOutcome marks a commit whose answer was lost: it may have happened, so it is not repeated
// here. Callers may repeat: every operation with an id of the caller's knows what it has done.
var errUnknownOutcome = errors.New("the answer to a commit was lost")

// read runs fn, again where the connection was lost.
func (s *Store) read(ctx context.Context, fn func(db bun.IDB) error) error {
	return s.retry(ctx, s.reader, func() error { return fn(s.reader) })
}

// write runs fn in a transaction, again where it was rolled back in favour of others or the
// connection was lost before the commit. fn must not keep what it did in an attempt that failed.
func (s *Store) write(ctx context.Context, fn func(ctx context.Context, tx bun.Tx) error) error {
	return s.retry(ctx, s.writer, func() error { return transact(ctx, s.writer, fn) })
}

func transact(ctx context.Context, db *bun.DB, fn func(ctx context.Context, tx bun.Tx) error) (err error) {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	committing := false
	defer func() {
		if !committing {
			// What went wrong is in err already, or is a panic; a roll-back that fails ends the
			// connection, which rolls back, too.
			_ = tx.Rollback()
		}
	}()
	if err := fn(ctx, tx); err != nil {
		return err
	}
	committing = true
	err = tx.Commit()
	if failureOf(err) == failureLost {
		return fmt.Errorf("%w: %w", errUnknownOutcome, err)
	}
	return err
}

func (s *Store) retry(ctx context.Context, db *bun.DB, fn func() error) error {
	wait := firstPause
	for attempt := 1; ; attempt++ {
		err := fn()
		if err == nil || attempt == attempts || ctx.Err() != nil || errors.Is(err, errUnknownOutcome) {
			return explain(ctx, err)
		}
		switch failureOf(err) {
		case failureConflict:
		case failureLost:
			// Its neighbours in the pool are most likely as dead as this one.
			db.SetMaxIdleConns(0)
			db.SetMaxIdleConns(postgresConns)
		default:
			return explain(ctx, err)
		}
		if err := pause(ctx, wait/2+rand.N(wait)); err != nil {
			return explain(ctx, err)
		}
		wait *= 2
	}
}

// pause waits for d or until ctx is done.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
