package store

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/matih/pipeline-service/models/store/migrations"
)

const initialMigration = "20260101000000_initial"

// allMigrations are the names of every migration, in their order.
func allMigrations(t *testing.T) []string {
	t.Helper()
	all, err := migrations.Load()
	require.NoError(t, err)
	return migrationNames(all.Sorted())
}

func TestMigrateUpDownUp(t *testing.T) {
	for _, database := range databases {
		t.Run(database.name, func(t *testing.T) {
			ctx := t.Context()
			s, err := Open(ctx, database.dsn(t))
			require.NoError(t, err)
			t.Cleanup(func() { assert.NoError(t, s.Close()) })

			require.ErrorContains(t, s.CheckMigrated(ctx), "run pipeline-service migrate")
			for range 2 {
				names, err := s.Migrate(ctx)
				require.NoError(t, err)
				assert.Equal(t, allMigrations(t), names)
				require.NoError(t, s.CheckMigrated(ctx))
				newPipeline(t, s.newTenant())

				names, err = s.Migrate(ctx)
				require.NoError(t, err)
				assert.Empty(t, names, "there is nothing left to do")

				names, err = s.Rollback(ctx)
				require.NoError(t, err)
				assert.ElementsMatch(t, allMigrations(t), names)
				require.ErrorContains(t, s.CheckMigrated(ctx), initialMigration)
			}
		})
	}
}

func TestMigrateBySeveralAtOnce(t *testing.T) {
	for _, database := range databases {
		t.Run(database.name, func(t *testing.T) {
			dsn := database.dsn(t)
			applied := make([][]string, 4)
			var group sync.WaitGroup
			for i := range applied {
				group.Go(func() {
					s, err := Open(t.Context(), dsn)
					if assert.NoError(t, err) {
						applied[i], err = s.Migrate(t.Context())
						assert.NoError(t, err)
						assert.NoError(t, s.Close())
					}
				})
			}
			group.Wait()
			var all []string
			for _, names := range applied {
				all = append(all, names...)
			}
			assert.Equal(t, allMigrations(t), all, "one did the work")
		})
	}
}

func TestMigrateAfterAnInterruption(t *testing.T) {
	forEachDatabase(t, func(t *testing.T, s *Store) {
		ctx := t.Context()
		kept := newPipeline(t, s.newTenant())
		// As it is when a process is killed between a migration and the note that it ran.
		_, err := s.writer.ExecContext(ctx, "DELETE FROM schema_migrations")
		require.NoError(t, err)
		require.Error(t, s.CheckMigrated(ctx))

		_, err = s.Migrate(ctx)
		require.NoError(t, err)
		require.NoError(t, s.CheckMigrated(ctx))
		_, err = s.ForTenant(kept.Tenant).Pipeline(ctx, kept.ID)
		require.NoError(t, err)
	})
}

func TestMigrateWaitsNoLongerThanItsContext(t *testing.T) {
	forEachDatabase(t, func(t *testing.T, s *Store) {
		_, unlock, err := s.migrating(t.Context())
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), 2*lockPoll)
		defer cancel()
		_, err = s.Migrate(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.NoError(t, unlock())
		_, err = s.Migrate(t.Context())
		require.NoError(t, err)
	})
}

func TestOpenRefuses(t *testing.T) {
	for _, dsn := range []string{"", "mysql://user:secret@host/db", "sqlite:", "postgres://user:secret@host:port:5/db", "sqlite:/does/not/exist/store.db"} {
		_, err := Open(t.Context(), dsn)
		require.Error(t, err, dsn)
		assert.NotContains(t, err.Error(), "secret")
		assert.False(t, strings.Contains(err.Error(), "\n"), "one line: %v", err)
	}
}
