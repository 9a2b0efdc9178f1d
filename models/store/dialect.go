package store

import (
	"database/sql/driver"
	"fmt"
	"strings"
	"time"

	"github.com/uptrace/bun/dialect/pgdialect"
	"github.com/uptrace/bun/dialect/sqlitedialect"
)

// PostgreSQL's text cannot hold U+0000 and bun refuses it, but log lines and messages of foreign
// systems may bring it. Both databases keep U+FFFD in its place, in what is stored and in what is looked up.
type (
	sqliteText   struct{ *sqlitedialect.Dialect }
	postgresText struct{ *pgdialect.Dialect }
)

// AppendString quotes s, without U+0000.
func (d sqliteText) AppendString(b []byte, s string) []byte {
	return d.Dialect.AppendString(b, withoutNUL(s))
}

// AppendString quotes s, without U+0000.
func (d postgresText) AppendString(b []byte, s string) []byte {
	return d.Dialect.AppendString(b, withoutNUL(s))
}

func withoutNUL(s string) string { return strings.ReplaceAll(s, "\x00", "\uFFFD") }

// instant is a time as both databases hold it: microseconds since 1970 in UTC, NULL for the zero
// time. As integers times compare and read back the same everywhere; of the types for times,
// SQLite's is text in whatever form the driver writes, and PostgreSQL's depends on the session's zone.
type instant struct{ time.Time }

// at cuts t to the precision that is kept.
func at(t time.Time) instant {
	if t.IsZero() {
		return instant{}
	}
	return instant{time.UnixMicro(t.UnixMicro()).UTC()}
}

// Value implements driver.Valuer.
func (i instant) Value() (driver.Value, error) {
	if i.IsZero() {
		return nil, nil
	}
	return i.UnixMicro(), nil
}

// Scan implements sql.Scanner.
func (i *instant) Scan(src any) error {
	switch v := src.(type) {
	case nil:
		*i = instant{}
	case int64:
		*i = instant{time.UnixMicro(v).UTC()}
	default:
		return fmt.Errorf("store: %T is no time", src)
	}
	return nil
}
