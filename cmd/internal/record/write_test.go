package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	taskqueuepb "go.temporal.io/api/taskqueue/v1"
	"go.temporal.io/sdk/client"
)

// signalled is a history that was made on a machine called box, with a payload.
func signalled(payload string) *historypb.History {
	return &historypb.History{Events: []*historypb.HistoryEvent{
		{EventId: 1, EventType: enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED, Attributes: &historypb.HistoryEvent_WorkflowExecutionSignaledEventAttributes{
			WorkflowExecutionSignaledEventAttributes: &historypb.WorkflowExecutionSignaledEventAttributes{
				Identity: "7@box", Input: &commonpb.Payloads{Payloads: []*commonpb.Payload{{Data: []byte(payload)}}},
			}}},
		{EventId: 2, EventType: enumspb.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED, Attributes: &historypb.HistoryEvent_WorkflowTaskScheduledEventAttributes{
			WorkflowTaskScheduledEventAttributes: &historypb.WorkflowTaskScheduledEventAttributes{
				TaskQueue: &taskqueuepb.TaskQueue{Name: "box:1", Kind: enumspb.TASK_QUEUE_KIND_STICKY, NormalName: "pipeline-control"},
			}}},
	}}
}

func TestHistoriesTellNothingOfTheMachine(t *testing.T) {
	content, err := encode(signalled(`{"x": 9007199254740993}`), []string{"box"})
	require.NoError(t, err)
	history, err := client.HistoryFromJSON(strings.NewReader(string(content)), client.HistoryJSONOptions{})
	require.NoError(t, err)
	sent := history.GetEvents()[0].GetWorkflowExecutionSignaledEventAttributes()
	assert.Equal(t, recorded, sent.GetIdentity())
	assert.JSONEq(t, `{"x": 9007199254740993}`, string(sent.GetInput().GetPayloads()[0].GetData()))
	assert.Equal(t, "pipeline-control", history.GetEvents()[1].GetWorkflowTaskScheduledEventAttributes().GetTaskQueue().GetNormalName())
	_, err = encode(signalled(`{"path": "/box/x"}`), []string{"/box/"})
	assert.ErrorContains(t, err, `a history may not hold "/box/"`)
}

func TestOnlyAReleaseIsReplaced(t *testing.T) {
	root := t.TempDir()
	old, again := filepath.Join(root, "v1"), filepath.Join(root, "v2")
	require.NoError(t, write(old, map[string]*historypb.History{"A-kept": signalled("1")}, nil))
	require.NoError(t, write(again, map[string]*historypb.History{"A-gone": signalled("1")}, nil))
	require.NoError(t, write(again, map[string]*historypb.History{"A-new": signalled(strings.Repeat("long ", compressAt))}, nil))
	assert.FileExists(t, filepath.Join(old, "A-kept.json"))
	entries, err := os.ReadDir(again)
	require.NoError(t, err)
	require.Len(t, entries, 1)
	assert.Equal(t, "A-new.json.gz", entries[0].Name())
	assert.Error(t, write(again, map[string]*historypb.History{"A-leak": signalled("secret")}, []string{"secret"}))
	assert.FileExists(t, filepath.Join(again, "A-new.json.gz"), "what cannot be written leaves what is there")
}
