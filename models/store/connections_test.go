package store

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/matih/pipeline-service/models"
)

func TestConnections(t *testing.T) {
	forEachDatabase(t, func(t *testing.T, s *Store) {
		ctx, tenant := t.Context(), s.newTenant()
		want := models.Connection{
			ID: models.NewID(models.PrefixConnection), Name: "sales-database", Type: models.ConnectionJDBC,
			Host: "sales-db.internal", Port: 5432, Database: "sales", CredentialSecretRef: "sales-db-credentials",
			Properties: json.RawMessage(`{"sslMode":"require"}`), CreatedBy: "ada", CreatedAt: time.Now(),
		}
		created, err := tenant.CreateConnection(ctx, want)
		require.NoError(t, err)
		want.Tenant, want.CreatedAt = tenant.id, at(want.CreatedAt).Time
		assert.Equal(t, want, created)
		read, err := tenant.Connection(ctx, want.ID)
		require.NoError(t, err)
		assert.Equal(t, want, read)

		again, err := tenant.CreateConnection(ctx, models.Connection{ID: want.ID, Name: "another"})
		require.NoError(t, err)
		assert.Equal(t, want, again, "the same id is the same request")
		_, err = tenant.CreateConnection(ctx, models.Connection{ID: models.NewID(models.PrefixConnection), Name: want.Name})
		assertCode(t, models.CodeNameTaken, err)

		// A name that looks like another connection's id does not stand in for it.
		decoy, err := tenant.CreateConnection(ctx, models.Connection{ID: models.NewID(models.PrefixConnection), Name: want.ID})
		require.NoError(t, err)
		found, err := tenant.ConnectionsByRef(ctx, []string{want.ID, want.Name, decoy.ID, "missing"})
		require.NoError(t, err)
		assert.Equal(t, map[string]models.Connection{want.ID: want, want.Name: want, decoy.ID: decoy}, found)
		found, err = tenant.ConnectionsByRef(ctx, nil)
		require.NoError(t, err)
		assert.Empty(t, found)

		page, err := tenant.Connections(ctx, models.Page{Size: 1})
		require.NoError(t, err)
		assert.Equal(t, models.Paged[models.Connection]{Items: []models.Connection{decoy}, Total: 2}, page, "newest first")

		require.NoError(t, tenant.DeleteConnection(ctx, decoy.ID))
		assertCode(t, models.CodeNotFound, tenant.DeleteConnection(ctx, decoy.ID))
		page, err = tenant.Connections(ctx, models.Page{})
		require.NoError(t, err)
		assert.Equal(t, models.Paged[models.Connection]{Items: []models.Connection{want}, Total: 1}, page)
	})
}
