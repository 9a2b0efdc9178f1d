package main

import (
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"

	"github.com/matih/pipeline-service/cmd/standalone/internal/temporald"
	"github.com/matih/pipeline-service/models/contract"
	"github.com/matih/pipeline-service/models/store"
)

// startBackends starts a Temporal server and a database that live as long as the test.
func startBackends(t *testing.T) (client.Client, *store.Store) {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	server, err := temporald.Start(t.Context(), temporald.Config{
		Database: filepath.Join(t.TempDir(), "temporal.db"), Listen: "127.0.0.1:0", Retention: 24 * time.Hour,
		SearchAttributes: contract.SearchAttributes, Log: log,
	})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, server.Stop()) })
	c, err := client.Dial(client.Options{HostPort: server.Address(), Namespace: temporald.Namespace, Logger: log})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	s, err := store.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "pipeline.db"))
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, s.Close()) })
	_, err = s.Migrate(t.Context())
	require.NoError(t, err)
	return c, s
}
