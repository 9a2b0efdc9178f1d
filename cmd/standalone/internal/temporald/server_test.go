package temporald_test

import (
	"context"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/matih/pipeline-service/cmd/standalone/internal/temporald"
)

const queue = "test"

// gate is a workflow that waits for a signal and then runs an activity.
func gate(ctx workflow.Context) (string, error) {
	var word string
	workflow.GetSignalChannel(ctx, "go").Receive(ctx, &word)
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{StartToCloseTimeout: time.Minute})
	var answer string
	err := workflow.ExecuteActivity(ctx, echo, word).Get(ctx, &answer)
	return answer, err
}

func echo(_ context.Context, word string) (string, error) { return word, nil }

func start(t *testing.T, database string) (*temporald.Server, client.Client) {
	t.Helper()
	s, err := temporald.Start(t.Context(), temporald.Config{
		Database:         database,
		Listen:           "127.0.0.1:0",
		UI:               "127.0.0.1:0",
		Retention:        7 * 24 * time.Hour,
		SearchAttributes: []string{"TenantId", "PipelineId"},
		Log:              slog.New(slog.NewTextHandler(t.Output(), nil)),
	})
	require.NoError(t, err)
	c, err := client.Dial(client.Options{
		HostPort: s.Address(), Namespace: temporald.Namespace,
		Logger: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelError})),
	})
	require.NoError(t, err)
	return s, c
}

func work(t *testing.T, c client.Client) worker.Worker {
	t.Helper()
	w := worker.New(c, queue, worker.Options{})
	w.RegisterWorkflow(gate)
	w.RegisterActivity(echo)
	require.NoError(t, w.Start())
	return w
}

// TestServerKeepsWorkflowsOverRestarts starts a workflow, restarts the server on the same file and ends it.
func TestServerKeepsWorkflowsOverRestarts(t *testing.T) {
	database := filepath.Join(t.TempDir(), "temporal.db")
	ctx := t.Context()

	s, c := start(t, database)
	w := work(t, c)
	tenant := temporal.NewSearchAttributeKeyKeyword("TenantId").ValueSet("one")
	_, err := c.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID: "wf", TaskQueue: queue, TypedSearchAttributes: temporal.NewSearchAttributes(tenant),
	}, gate)
	require.NoError(t, err)
	_, err = c.QueryWorkflow(ctx, "wf", "", "__stack_trace") // answered once the workflow waits
	require.NoError(t, err)
	w.Stop()
	c.Close()
	require.NoError(t, s.Stop())

	began := time.Now()
	s, c = start(t, database)
	t.Logf("second start: %s", time.Since(began))
	w = work(t, c)
	require.NoError(t, c.SignalWorkflow(ctx, "wf", "", "go", "hello"))
	var answer string
	require.NoError(t, c.GetWorkflow(ctx, "wf", "").Get(ctx, &answer))
	require.Equal(t, "hello", answer)

	require.Eventually(t, func() bool {
		found, err := c.CountWorkflow(ctx, &workflowservice.CountWorkflowExecutionsRequest{
			Namespace: temporald.Namespace, Query: `TenantId = "one" and ExecutionStatus = "Completed"`,
		})
		return err == nil && found.GetCount() == 1
	}, 10*time.Second, 10*time.Millisecond, "the workflow can be found by its search attribute")

	w.Stop()
	c.Close()
	began = time.Now()
	require.NoError(t, s.Stop())
	t.Logf("stop: %s", time.Since(began))
}

func TestServerHasNamespaceAttributesAndUI(t *testing.T) {
	s, c := start(t, filepath.Join(t.TempDir(), "temporal.db"))
	ctx := t.Context()
	attributes, err := c.OperatorService().ListSearchAttributes(ctx,
		&operatorservice.ListSearchAttributesRequest{Namespace: temporald.Namespace})
	require.NoError(t, err)
	require.Contains(t, attributes.GetCustomAttributes(), "TenantId")
	require.Contains(t, attributes.GetCustomAttributes(), "PipelineId")

	namespace, err := c.WorkflowService().DescribeNamespace(ctx,
		&workflowservice.DescribeNamespaceRequest{Namespace: temporald.Namespace})
	require.NoError(t, err)
	require.Equal(t, 7*24*time.Hour, namespace.GetConfig().GetWorkflowExecutionRetentionTtl().AsDuration())

	for _, path := range []string{"/", "/api/v1/namespaces"} {
		response, err := http.Get("http://" + s.UIAddress() + path)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		require.Equal(t, http.StatusOK, response.StatusCode, path)
	}
	c.Close()
	require.NoError(t, s.Stop())
}

// TestAHalfMadeDatabaseIsMadeAnew starts where a process was killed while it made the database.
func TestAHalfMadeDatabaseIsMadeAnew(t *testing.T) {
	database := filepath.Join(t.TempDir(), "temporal.db")
	require.NoError(t, os.WriteFile(database+".new", []byte("SQLite format 3, or the beginning of it"), 0o600))
	s, c := start(t, database)
	c.Close()
	require.NoError(t, s.Stop())
	require.NoFileExists(t, database+".new")
}

func TestStartSaysWhichAddressIsTaken(t *testing.T) {
	s, c := start(t, filepath.Join(t.TempDir(), "temporal.db"))
	c.Close()
	_, err := temporald.Start(t.Context(), temporald.Config{
		Database: filepath.Join(t.TempDir(), "other.db"), Listen: s.Address(), Log: slog.New(slog.DiscardHandler),
	})
	require.ErrorContains(t, err, s.Address()+" is in use")
	require.NoError(t, s.Stop())
}
