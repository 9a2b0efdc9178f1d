package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/matih/pipeline-service/cmd/internal/harness"
	"github.com/matih/pipeline-service/models/contract"
	"github.com/matih/pipeline-service/models/store/pgtest"
)

const (
	tenant    = "11111111-2222-4333-8444-555555555555"
	namespace = "pipelines"
)

var (
	// bin holds the programs, built once.
	bin      string
	postgres *pgtest.Server
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "pipeline-service-bin-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	bin = dir
	if err := harness.Build(context.Background(), bin, "pipeline-service", "standalone", "task-runner"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return pgtest.Run(m, &postgres)
}

// cluster is a Temporal namespace and a token issuer, both a standalone's; its own API and worker are in another namespace.
func cluster(t *testing.T) *harness.Standalone {
	t.Helper()
	s, err := harness.StartStandalone(t.Context(), bin, filepath.Join(t.TempDir(), "cluster"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Stop()) })
	c, err := client.NewNamespaceClient(client.Options{HostPort: s.Temporal})
	require.NoError(t, err)
	defer c.Close()
	require.NoError(t, c.Register(t.Context(), &workflowservice.RegisterNamespaceRequest{
		Namespace: namespace, WorkflowExecutionRetentionPeriod: durationpb.New(24 * time.Hour),
	}))
	return s
}

// program runs pipeline-service to its end.
func program(t *testing.T, env []string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(bin, "pipeline-service"), args...)
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// serve starts pipeline-service and returns the address it logs with a message. The test's end stops it.
func serve(t *testing.T, env []string, message string, args ...string) string {
	t.Helper()
	cmd := exec.Command(filepath.Join(bin, "pipeline-service"), args...)
	cmd.Env = append(os.Environ(), env...)
	log, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	address := make(chan string, 1)
	ended := make(chan error, 1)
	var said bytes.Buffer
	go func() {
		for lines := bufio.NewScanner(log); lines.Scan(); {
			var line struct{ Msg, Address string }
			_ = json.Unmarshal(lines.Bytes(), &line) // what is no JSON is only kept
			if line.Msg == message {
				address <- line.Address
			}
			if line.Msg != "request" {
				said.Write(append(lines.Bytes(), '\n'))
			}
		}
		ended <- cmd.Wait()
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		require.NoError(t, <-ended, "SIGTERM ends the program as wished\n%s", &said)
	})
	select {
	case a := <-address:
		return a
	case err := <-ended:
		ended <- err
		require.FailNow(t, "the program ended", "%v\n%s", err, &said)
		return ""
	}
}

func TestServiceOnPostgreSQL(t *testing.T) {
	temporal := cluster(t)
	files := t.TempDir()
	env := []string{
		"PIPELINE_DATABASE_URL=" + postgres.NewDatabase(t),
		"PIPELINE_TEMPORAL_ADDRESS=" + temporal.Temporal,
		"PIPELINE_TEMPORAL_NAMESPACE=" + namespace,
	}

	_, err := program(t, env, "api", "--jwks-url", temporal.JWKS)
	require.Error(t, err, "nothing starts on a database that is behind")

	out, err := program(t, env, "migrate")
	require.NoError(t, err, out)
	for _, name := range contract.SearchAttributes {
		require.Contains(t, out, "search attribute "+name+": registered")
	}
	out, err = program(t, env, "migrate")
	require.NoError(t, err, out)
	require.Contains(t, out, "the database is up to date")
	require.Contains(t, out, "the Temporal namespace is up to date")
	requireAttributes(t, temporal.Temporal)

	address := serve(t, env, "the API is ready", "api", "--listen", "127.0.0.1:0", "--jwks-url", temporal.JWKS)
	health := serve(t, env, "health is served", "worker", "--health-listen", "127.0.0.1:0",
		"--staging-dir", filepath.Join(t.TempDir(), "staging"), "--local-root", files)
	for _, url := range []string{address + "/readyz", health + "/readyz", health + "/healthz", health + "/metrics"} {
		response, err := http.Get("http://" + url)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		require.Equal(t, http.StatusOK, response.StatusCode, url)
	}

	c, err := temporal.Client(t.Context(), tenant, "ada", "DATA_ENGINEER")
	require.NoError(t, err)
	c.Base = "http://" + address
	require.NoError(t, os.WriteFile(filepath.Join(files, "in.csv"), []byte("id,amount\n1,10\n2,20\n"), 0o600))
	_, err = c.CreateConnection(t.Context(), map[string]any{
		"name": "files", "type": "local", "properties": map[string]any{"path": files},
	})
	require.NoError(t, err)
	pipeline, err := c.CreatePipeline(t.Context(), "double", map[string]any{
		"sources": map[string]any{"rows": map[string]any{
			"type": "cloud_storage", "connection": "files", "pattern": "in.csv", "format": "csv",
		}},
		"transformations": []any{map[string]any{
			"name": "doubled", "type": "sql_transform", "input": "rows", "sql": "select id, 2 * amount as amount from {{ input }} order by id",
		}},
		"sinks": map[string]any{"out": map[string]any{
			"type": "cloud_storage", "connection": "files", "prefix": "out/", "format": "csv", "mode": "overwrite",
		}},
	})
	require.NoError(t, err)
	e, err := c.Run(t.Context(), pipeline, nil)
	require.NoError(t, err)
	require.Equal(t, "COMPLETED", e.Status, "%+v", e)
	written, err := filepath.Glob(filepath.Join(files, "out", "out-*.csv"))
	require.NoError(t, err)
	require.Len(t, written, 1)
	content, err := os.ReadFile(written[0])
	require.NoError(t, err)
	require.Equal(t, "id,amount\n1,20\n2,40\n", string(content))
}

func requireAttributes(t *testing.T, address string) {
	t.Helper()
	c, err := client.Dial(client.Options{HostPort: address, Namespace: namespace})
	require.NoError(t, err)
	defer c.Close()
	known, err := c.OperatorService().ListSearchAttributes(t.Context(), &operatorservice.ListSearchAttributesRequest{Namespace: namespace})
	require.NoError(t, err)
	for _, name := range contract.SearchAttributes {
		require.Contains(t, known.GetCustomAttributes(), name)
	}
}

func TestMistakesAreTold(t *testing.T) {
	database := "PIPELINE_DATABASE_URL=" + postgres.NewDatabase(t)
	for name, c := range map[string]struct {
		env  []string
		args []string
		says string
	}{
		"no database":      {args: []string{"migrate"}, says: "--database-url: give the URL of the database"},
		"database away":    {args: []string{"migrate", "--database-url", "postgres://u:canary-9c1f@127.0.0.1:1/x?sslmode=disable"}, says: "the database cannot be used"},
		"Temporal away":    {env: []string{database}, args: []string{"migrate", "--temporal-address", "127.0.0.1:1"}, says: "temporal does not answer at 127.0.0.1:1"},
		"key without cert": {env: []string{database}, args: []string{"migrate", "--temporal-tls", "--temporal-tls-key", "x"}, says: "belong together"},
		"no staging":       {env: []string{database}, args: []string{"worker"}, says: "--staging-dir"},
		"unknown command":  {args: []string{"fly"}, says: `unknown command "fly"`},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := program(t, c.env, c.args...)
			require.Error(t, err)
			require.Contains(t, out, c.says)
			require.NotContains(t, out, "canary-9c1f", "a password is never printed")
		})
	}
}
