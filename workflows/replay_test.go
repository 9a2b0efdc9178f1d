package workflows_test

import (
	"compress/gzip"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/matih/pipeline-service/models/contract"
	"github.com/matih/pipeline-service/workflows"
)

// recordings are the files that `go tool task record` has made of releases.
func recordings(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/replay/*/*.json*")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	return files
}

func readHistory(t *testing.T, file string) *historypb.History {
	t.Helper()
	f, err := os.Open(file)
	require.NoError(t, err)
	defer func() { _ = f.Close() }()
	var content io.Reader = f
	if strings.HasSuffix(file, ".gz") {
		content, err = gzip.NewReader(f)
		require.NoError(t, err)
	}
	history, err := client.HistoryFromJSON(content, client.HistoryJSONOptions{})
	require.NoError(t, err)
	return history
}

// workflowOf is the workflow that a recording's name says it is of.
func workflowOf(file string) string {
	name, _, _ := strings.Cut(filepath.Base(file), "-")
	return name
}

func replay(t *testing.T, file string, register func(worker.WorkflowRegistry)) error {
	t.Helper()
	replayer, err := worker.NewWorkflowReplayerWithOptions(worker.WorkflowReplayerOptions{})
	require.NoError(t, err)
	register(replayer)
	history := readHistory(t, file)
	require.Equal(t, workflowOf(file), history.GetEvents()[0].GetWorkflowExecutionStartedEventAttributes().GetWorkflowType().GetName())
	return replayer.ReplayWorkflowHistory(slog.New(slog.DiscardHandler), history)
}

// TestReplay runs today's workflows on the histories of every recorded release, several times, since what depends on
// chance shows only now and then. Where it fails, see versions.go.
func TestReplay(t *testing.T) {
	for _, file := range recordings(t) {
		t.Run(strings.TrimPrefix(file, "testdata/replay/"), func(t *testing.T) {
			times := 5
			if strings.HasSuffix(file, ".gz") {
				times = 1 // long ones repeat themselves anyway
			}
			for range times {
				require.NoError(t, replay(t, file, workflows.Register))
			}
		})
	}
}

// names notes what is registered.
type names struct {
	worker.WorkflowRegistry
	registered []string
}

// RegisterWorkflowWithOptions notes the name.
func (n *names) RegisterWorkflowWithOptions(_ any, options workflow.RegisterOptions) {
	n.registered = append(n.registered, options.Name)
}

// TestEveryWorkflowIsRecorded fails where a workflow was added and no release has a history of it.
func TestEveryWorkflowIsRecorded(t *testing.T) {
	recorded := map[string]bool{}
	for _, file := range recordings(t) {
		recorded[workflowOf(file)] = true
	}
	var n names
	workflows.Register(&n)
	assert.ElementsMatch(t, n.registered, slices.Collect(maps.Keys(recorded)), "go tool task record makes what is missing")
}

// TestReplayNoticesAChange registers something else under each workflow's name: a workflow that does nothing, and for
// approvals one that waits before it begins.
func TestReplayNoticesAChange(t *testing.T) {
	for _, file := range recordings(t) {
		name := workflowOf(file)
		changed := func(r worker.WorkflowRegistry) {
			r.RegisterWorkflowWithOptions(func(workflow.Context) error { return nil }, workflow.RegisterOptions{Name: name})
		}
		assert.Error(t, replay(t, file, changed), file)
	}
	later := func(r worker.WorkflowRegistry) {
		r.RegisterWorkflowWithOptions(func(ctx workflow.Context, in contract.ApprovalInput) (contract.ApprovalResult, error) {
			if err := workflow.Sleep(ctx, in.Policy.Timeout); err != nil {
				return contract.ApprovalResult{}, err
			}
			return workflows.Approval(ctx, in)
		}, workflow.RegisterOptions{Name: contract.ApprovalWorkflow})
	}
	for _, file := range recordings(t) {
		if workflowOf(file) == contract.ApprovalWorkflow {
			assert.ErrorContains(t, replay(t, file, later), "TMPRL1100", file)
		}
	}
}

// TestRecordingsTellNothing of the machine they were made on.
func TestRecordingsTellNothing(t *testing.T) {
	for _, file := range recordings(t) {
		for _, e := range readHistory(t, file).GetEvents() {
			text := e.String()
			for _, word := range []string{"/tmp/", "/home/", "/root/"} {
				assert.NotContains(t, text, word, "%s, event %d", file, e.GetEventId())
			}
			assert.NotRegexp(t, `identity:"[^"]*@`, text, "%s, event %d", file, e.GetEventId())
		}
	}
}
