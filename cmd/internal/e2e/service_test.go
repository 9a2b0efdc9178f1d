package e2e

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/matih/pipeline-service/cmd/internal/harness"
)

// service is bin/pipeline-service on PostgreSQL: one API and workers, each a process. Standalone lends
// its Temporal server, in a namespace of its own, and signs the tokens.
type service struct {
	*world
	database, staging string
	flags             []string
}

const serviceNamespace = "service"

func newService(t *testing.T) *service {
	t.Helper()
	w := newWorld(t)
	s := &service{world: w, database: postgres.NewDatabase(t), staging: filepath.Join(w.root, "staging")}
	s.flags = []string{"--database-url", s.database, "--temporal-address", w.Temporal, "--temporal-namespace", serviceNamespace, "--log-level", "warn"}
	s.registerNamespace()
	out, err := s.command("migrate").CombinedOutput()
	require.NoError(t, err, string(out))
	assert.Contains(t, string(out), "applied")
	return s
}

// registerNamespace makes the namespace and waits until the server serves it.
func (s *service) registerNamespace() {
	s.t.Helper()
	namespaces, err := client.NewNamespaceClient(client.Options{HostPort: s.Temporal})
	require.NoError(s.t, err)
	defer namespaces.Close()
	require.NoError(s.t, namespaces.Register(s.ctx, &workflowservice.RegisterNamespaceRequest{
		Namespace: serviceNamespace, WorkflowExecutionRetentionPeriod: durationpb.New(24 * time.Hour)}))
	require.NoError(s.t, harness.Until(s.ctx, func() (bool, error) {
		c, err := client.DialContext(s.ctx, client.Options{HostPort: s.Temporal, Namespace: serviceNamespace})
		if err != nil {
			return false, nil
		}
		defer c.Close()
		_, err = c.CountWorkflow(s.ctx, &workflowservice.CountWorkflowExecutionsRequest{Namespace: serviceNamespace})
		return err == nil, nil
	}))
}

func (s *service) command(name string, args ...string) *exec.Cmd {
	return exec.CommandContext(s.ctx, filepath.Join(bin, "pipeline-service"), append(append([]string{name}, s.flags...), args...)...)
}

// run starts a program that ends with the test, and returns its process.
func (s *service) run(name string, args ...string) *os.Process {
	s.t.Helper()
	cmd := s.command(name, args...)
	var output strings.Builder
	cmd.Stdout, cmd.Stderr = &output, &output
	require.NoError(s.t, cmd.Start())
	s.t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
		if s.t.Failed() {
			s.t.Logf("%s said:\n%s", name, lastLines(output.String(), 40))
		}
	})
	return cmd.Process
}

func (s *service) worker() *os.Process {
	s.t.Helper()
	return s.run("worker", "--staging-dir", s.staging, "--local-root", s.dir, "--health-listen", "", "--task-slots", "2")
}

// api starts the API and points the client at it.
func (s *service) api() {
	s.t.Helper()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(s.t, err)
	address := free.Addr().String()
	require.NoError(s.t, free.Close())
	s.run("api", "--listen", address, "--jwks-url", s.JWKS, "--rate-limit", "0")
	s.Base = "http://" + address
	require.NoError(s.t, harness.Until(s.ctx, func() (bool, error) {
		a, err := s.Do(s.ctx, http.MethodGet, "/readyz", nil)
		return err == nil && a.Status == http.StatusOK, nil
	}))
	_, err = s.CreateConnection(s.ctx, m{"name": "files", "type": "local", "properties": m{"path": s.dir}})
	require.NoError(s.t, err)
}

// TestServiceSurvivesItsWorkers runs the production programs and kills a worker in the middle of a task.
func TestServiceSurvivesItsWorkers(t *testing.T) {
	s := newService(t)
	s.api()
	s.file("in/one.csv", "x\n1\n2\n")
	pipeline := s.pipeline("slow", m{
		"sources": m{"one": m{"type": "cloud_storage", "connection": "files", "prefix": "in/", "format": "csv"}},
		"transformations": []m{{"name": "slow", "type": "sql_transform", "input": "one",
			"sql": "select x, (select count(*) from range(3000000000)) as n from one"}},
		"sinks": m{"out": m{"type": "cloud_storage", "connection": "files", "prefix": "out/", "format": "csv", "mode": "append"}},
	})
	first := s.worker()
	id, err := s.Execute(s.ctx, pipeline, nil)
	require.NoError(t, err)
	s.awaitTask(id, "slow")
	require.NoError(t, first.Kill())

	s.worker()
	e, err := s.Await(s.ctx, id)
	require.NoError(t, err)
	assert.Equal(t, "COMPLETED", e.Status, "%+v", e.Error)
	assert.Equal(t, "x,n\n1,3000000000\n2,3000000000\n", s.read("out"))

	var tasks struct {
		Tasks []struct {
			Name     string
			Attempts int
		}
	}
	require.NoError(t, s.JSON(s.ctx, http.MethodGet, "/v1/pipelines/executions/"+id+"/tasks", nil, http.StatusOK, &tasks))
	require.Len(t, tasks.Tasks, 3)
	assert.Equal(t, 2, tasks.Tasks[1].Attempts, "the lost attempt is counted")
}

// TestServiceRefusesWithoutMigration shows that programs do not run on a schema they do not know.
func TestServiceRefusesWithoutMigration(t *testing.T) {
	s := newService(t)
	out, err := s.command("migrate", "--rollback").CombinedOutput()
	require.NoError(t, err, string(out))
	ctx, cancel := context.WithTimeout(s.ctx, 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(bin, "pipeline-service"), append([]string{"worker", "--staging-dir", s.staging, "--health-listen", ""}, s.flags...)...)
	out, err = cmd.CombinedOutput()
	require.Error(t, err)
	assert.Contains(t, string(out), "migrate", fmt.Sprint(err))
}
