package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/sqlitedialect"
	"golang.org/x/sys/unix"
	_ "modernc.org/sqlite" // the driver "sqlite"
)

// sqliteReaders is how many connections read at once. In WAL mode they neither wait for the writer nor
// for each other.
const sqliteReaders = 4

func openSQLite(path string) (*Store, error) {
	if path == "" {
		return nil, errors.New("store: sqlite: needs the path of a file")
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	if err := createPrivate(path); err != nil {
		return nil, err
	}

	writer, err := openSQLitePool(path, 1, url.Values{"_txlock": {"immediate"}})
	if err != nil {
		return nil, err
	}
	reader, err := openSQLitePool(path, sqliteReaders, url.Values{"_query_only": {"1"}})
	if err != nil {
		return nil, errors.Join(err, writer.Close())
	}
	return &Store{
		reader: reader, writer: writer,
		migrating: func(ctx context.Context) (*bun.DB, func() error, error) {
			unlock, err := lockFile(ctx, path+".migrate")
			return writer, unlock, err
		},
	}, nil
}

// createPrivate makes the file for its permissions, which SQLite gives to the files beside it, too. One that is
// there is not even opened: closing it would give up the locks this process holds on it elsewhere.
func createPrivate(path string) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err == nil {
		err = file.Close()
	}
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	return nil
}

func openSQLitePool(path string, size int, options url.Values) (*bun.DB, error) {
	for name, value := range map[string]string{
		"_busy_timeout": "10000", // ms; only another process can hold the lock
		"_journal_mode": "WAL",
		// A commit survives the process's death; a power cut may take the last ones, never the order.
		"_synchronous":  "NORMAL",
		"_foreign_keys": "1",
		"_dqs":          "0",                  // a misspelt column is an error, not a string
		"_pragma":       "cache_size(-16384)", // KiB
	} {
		options.Set(name, value)
	}
	source := url.URL{Scheme: "file", Path: path, RawQuery: options.Encode()}
	db, err := sql.Open("sqlite", source.String())
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	db.SetMaxOpenConns(size)
	db.SetMaxIdleConns(size)
	return bun.NewDB(db, sqliteText{sqlitedialect.New()}), nil
}

// lockFile waits for the exclusive lock of a file. The kernel gives it back when the process ends in
// whatever way, so an interrupted migration blocks nobody.
func lockFile(ctx context.Context, path string) (unlock func() error, err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	for {
		err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return file.Close, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return nil, errors.Join(fmt.Errorf("store: locking %s: %w", path, err), file.Close())
		}
		if err := pause(ctx, lockPoll); err != nil {
			return nil, errors.Join(err, file.Close())
		}
	}
}
