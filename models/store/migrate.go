package store

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect"
	"github.com/uptrace/bun/migrate"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/store/migrations"
)

// Migrate brings the schema up to date and returns the names of the migrations it applied. Several may
// be called at once: one does the work while the others wait, and find nothing left to do.
//
// It holds a lock that ends with the process rather than bun's, which is a row that stays behind when
// a migration is killed.
func (s *Store) Migrate(ctx context.Context) ([]string, error) {
	return s.migrate(ctx, func(m *migrate.Migrator) (*migrate.MigrationGroup, error) { return m.Migrate(ctx) })
}

// Rollback takes back the migrations that the last Migrate with anything to do applied, with all
// data in what they made, and returns their names.
func (s *Store) Rollback(ctx context.Context) ([]string, error) {
	return s.migrate(ctx, func(m *migrate.Migrator) (*migrate.MigrationGroup, error) { return m.Rollback(ctx) })
}

func (s *Store) migrate(ctx context.Context, run func(*migrate.Migrator) (*migrate.MigrationGroup, error)) (names []string, err error) {
	db, unlock, err := s.migrating(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	migrator, err := newMigrator(db)
	if err != nil {
		return nil, err
	}
	if err := migrator.Init(ctx); err != nil {
		return nil, explain(ctx, err)
	}
	group, err := run(migrator)
	if err != nil {
		return nil, explain(ctx, err)
	}
	return migrationNames(group.Migrations), nil
}

// CheckMigrated returns an error that says what to do where the schema is older than this program.
// A newer one is fine: migrations keep what the release before them needs.
func (s *Store) CheckMigrated(ctx context.Context) error {
	migrator, err := newMigrator(s.reader)
	if err != nil {
		return err
	}
	status, err := migrator.MigrationsWithStatus(ctx)
	if err := explain(ctx, err); models.CodeOf(err) == models.CodeUnavailable || ctx.Err() != nil {
		return err
	} else if err != nil {
		return fmt.Errorf("store: the database has no schema yet: run pipeline-service migrate (%w)", err)
	}
	if behind := migrationNames(status.Unapplied()); len(behind) > 0 {
		return fmt.Errorf("store: the database lacks %s: run pipeline-service migrate", strings.Join(behind, ", "))
	}
	return nil
}

func newMigrator(db *bun.DB) (*migrate.Migrator, error) {
	all, err := migrations.Load()
	if err != nil {
		return nil, err
	}
	return migrate.NewMigrator(db, all,
		migrate.WithTableName("schema_migrations"),
		migrate.WithLocksTableName("schema_migration_locks"),
		migrate.WithMarkAppliedOnSuccess(true),
		migrate.WithTemplateData(schema{Types: migrations.TypesOf(db.Dialect().Name()), db: db}),
	), nil
}

// schema is what a migration's template may use.
type schema struct {
	migrations.Types
	db *bun.DB
}

// Has reports whether a table has a column at the moment its migration begins.
func (s schema) Has(table, column string) (bool, error) {
	query := "SELECT COUNT(*) FROM pragma_table_info(?) WHERE name = ?"
	if s.db.Dialect().Name() == dialect.PG {
		query = "SELECT COUNT(*) FROM information_schema.columns WHERE table_schema = current_schema() AND table_name = ? AND column_name = ?"
	}
	var n int
	err := s.db.NewRaw(query, table, column).Scan(context.Background(), &n)
	return n > 0, err
}

func migrationNames(all migrate.MigrationSlice) []string {
	names := make([]string, len(all))
	for i, m := range all {
		names[i] = m.String()
	}
	return names
}
