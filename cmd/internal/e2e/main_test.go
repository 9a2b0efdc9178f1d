// Package e2e tests the built programs through /v1, as a user meets them.
package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/matih/pipeline-service/cmd/internal/harness"
	"github.com/matih/pipeline-service/models/store/pgtest"
)

const (
	tenantA = "11111111-2222-4333-8444-555555555555"
	tenantB = "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"
)

// bin holds the programs under test; postgres is a database server for sources and sinks.
var (
	bin      string
	postgres *pgtest.Server
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "e2e-bin-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	bin = dir
	if err := harness.Build(context.Background(), bin, "standalone", "pipeline-service", "task-runner"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	postgres, err = pgtest.Start()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = postgres.Stop() }()
	return m.Run()
}

// world is a started standalone, a user of tenant A, and a directory and a database for data.
type world struct {
	*harness.Standalone
	*harness.Client
	t    *testing.T
	ctx  context.Context
	dir  string // of the local connection "files"
	db   *pgx.Conn
	root string
}

// newWorld starts standalone on an empty data directory with the connections "files" and "db".
func newWorld(t *testing.T, args ...string) *world {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	t.Cleanup(cancel)
	root := t.TempDir()
	w := &world{t: t, ctx: ctx, root: root, dir: filepath.Join(root, "files")}
	require.NoError(t, os.MkdirAll(w.dir, 0o750))
	s, err := harness.StartStandalone(ctx, bin, filepath.Join(root, "data"), append([]string{
		"--local-root", w.dir, "--rate-limit", "0", "--log-level", "warn"}, args...)...)
	require.NoError(t, err)
	w.Standalone = s
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("standalone said:\n%s", lastLines(s.Output(), 60))
		}
		require.NoError(t, s.Stop())
	})
	w.Client, err = s.Client(ctx, tenantA, "ada@example.com", "DATA_ENGINEER,OPERATOR")
	require.NoError(t, err)
	_, err = w.CreateConnection(ctx, map[string]any{"name": "files", "type": "local", "properties": map[string]any{"path": w.dir}})
	require.NoError(t, err)
	return w
}

// restart starts standalone again after it was killed; its addresses have changed.
func (w *world) restart() {
	w.t.Helper()
	require.NoError(w.t, w.Start(w.ctx))
	w.Base = w.API
}

// withDatabase adds the connection "db" to a new PostgreSQL database.
func (w *world) withDatabase() {
	w.t.Helper()
	dsn := postgres.NewDatabase(w.t)
	db, err := pgx.Connect(w.ctx, dsn)
	require.NoError(w.t, err)
	w.t.Cleanup(func() { _ = db.Close(context.Background()) })
	w.db = db
	w.secret(tenantA, "db", map[string]string{"username": postgres.User, "password": postgres.Password})
	_, err = w.CreateConnection(w.ctx, map[string]any{
		"name": "db", "type": "jdbc", "host": postgres.Host, "port": postgres.Port, "database": db.Config().Database,
		"credentialSecretRef": "db", "properties": map[string]any{"sslMode": "disable"},
	})
	require.NoError(w.t, err)
}

// secret puts an entry into the tenant's directory of secrets.
func (w *world) secret(tenant, ref string, values map[string]string) {
	w.t.Helper()
	dir := filepath.Join(w.DataDir, "secrets", tenant, ref)
	require.NoError(w.t, os.MkdirAll(dir, 0o700))
	for key, value := range values {
		require.NoError(w.t, os.WriteFile(filepath.Join(dir, key), []byte(value), 0o600))
	}
}

// exec runs a statement on the database.
func (w *world) exec(sql string, args ...any) {
	w.t.Helper()
	_, err := w.db.Exec(w.ctx, sql, args...)
	require.NoError(w.t, err)
}

// value reads one value from the database.
func value[T any](w *world, sql string, args ...any) T {
	w.t.Helper()
	var v T
	require.NoError(w.t, w.db.QueryRow(w.ctx, sql, args...).Scan(&v))
	return v
}

// file writes a file below the "files" connection.
func (w *world) file(name, content string) {
	w.t.Helper()
	path := filepath.Join(w.dir, name)
	require.NoError(w.t, os.MkdirAll(filepath.Dir(path), 0o750))
	require.NoError(w.t, os.WriteFile(path, []byte(content), 0o600))
}

// published lists the files below a directory of the "files" connection that readers see.
func (w *world) published(dir string) []string {
	w.t.Helper()
	entries, err := os.ReadDir(filepath.Join(w.dir, dir))
	if os.IsNotExist(err) {
		return nil
	}
	require.NoError(w.t, err)
	var names []string
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") && !strings.HasPrefix(e.Name(), "_") {
			names = append(names, e.Name())
		}
	}
	return names
}

// read returns the content of the only published file below a directory.
func (w *world) read(dir string) string {
	w.t.Helper()
	names := w.published(dir)
	require.Len(w.t, names, 1)
	return w.readFile(filepath.Join(dir, names[0]))
}

// readFile returns the content of a file of the "files" connection.
func (w *world) readFile(name string) string {
	w.t.Helper()
	content, err := os.ReadFile(filepath.Join(w.dir, name))
	require.NoError(w.t, err)
	return string(content)
}

// pipeline makes a pipeline and fails the test where that does not work.
func (w *world) pipeline(name string, definition map[string]any) string {
	w.t.Helper()
	id, err := w.CreatePipeline(w.ctx, name, definition)
	require.NoError(w.t, err)
	return id
}

// completed runs a pipeline that must complete.
func (w *world) completed(pipeline string, body any) harness.Execution {
	w.t.Helper()
	e, err := w.Run(w.ctx, pipeline, body)
	require.NoError(w.t, err)
	require.Equal(w.t, "COMPLETED", e.Status, "%+v", e.Error)
	return e
}

func lastLines(s string, n int) string {
	lines := strings.Split(s, "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// m is short for a JSON object.
type m = map[string]any
