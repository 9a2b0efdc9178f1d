// Package migrations holds the schema of our own database as pairs of SQL files, one set for
// PostgreSQL and SQLite.
//
// A file is a template: {{.Key}} is the type of ids and {{.Bytes}} that of raw bytes, the two things
// the databases spell differently. Files end in .tx.up.sql and .tx.down.sql, so each runs in a
// transaction of its own; since the note that it ran is written after that transaction, every
// statement must bear being run again (IF NOT EXISTS, IF EXISTS). For columns, where SQLite has no such
// clause, {{if not (.Has "table" "column")}} stands around the statement.
package migrations

import (
	"embed"
	"fmt"

	"github.com/uptrace/bun/dialect"
	"github.com/uptrace/bun/migrate"
)

//go:embed *.sql
var files embed.FS

// Types are the values a migration's template may use.
type Types struct {
	// Key is text that compares byte by byte, whatever the database's locale: ids sort by the time
	// they were made, and an index of them survives an upgrade of the system's collations.
	Key string
	// Bytes is raw bytes.
	Bytes string
}

// TypesOf returns the template values of a dialect.
func TypesOf(name dialect.Name) Types {
	if name == dialect.PG {
		return Types{Key: `TEXT COLLATE "C"`, Bytes: "BYTEA"}
	}
	return Types{Key: "TEXT", Bytes: "BLOB"}
}

// Load reads the migrations.
func Load() (*migrate.Migrations, error) {
	m := migrate.NewMigrations()
	if err := m.Discover(files); err != nil {
		return nil, fmt.Errorf("migrations: %w", err)
	}
	return m, nil
}
