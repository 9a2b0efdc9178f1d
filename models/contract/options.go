package contract

import (
	"fmt"
	"strings"
	"unicode/utf8"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/matih/pipeline-service/models"
)

// WorkflowRunning is the status of a workflow that has not ended.
const WorkflowRunning = enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING

// maxSummary is Temporal's limit on what the Web UI shows of a workflow in lists, in bytes.
const maxSummary = 400

// ExecutionOptions are the options every starter of an ExecutionWorkflow uses. Starting the same
// execution again finds the first start.
func ExecutionOptions(e models.Execution) client.StartWorkflowOptions {
	return client.StartWorkflowOptions{
		ID:                       e.ID,
		TaskQueue:                QueueControl,
		WorkflowIDReusePolicy:    enumspb.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE,
		WorkflowIDConflictPolicy: enumspb.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING,
		TypedSearchAttributes: temporal.NewSearchAttributes(
			SearchTenantID.ValueSet(string(e.Tenant)),
			SearchPipelineID.ValueSet(e.PipelineID),
			SearchPipelineStatus.ValueSet(string(e.Status)),
			SearchEngine.ValueSet(string(e.Engine)),
			SearchTriggerType.ValueSet(string(e.Trigger)),
		),
		Memo:          map[string]any{MemoTenant: string(e.Tenant)},
		StaticSummary: Summary(fmt.Sprintf("%s (version %d)", e.PipelineName, e.Version)),
		StaticDetails: fmt.Sprintf("Pipeline %s, %s\n\nTenant %s, engine %s, priority %s, %s by %s",
			e.PipelineName, e.PipelineID, e.Tenant, e.Engine, e.Priority, strings.ToLower(string(e.Trigger)), e.SubmittedBy),
		Priority: temporal.Priority{PriorityKey: PriorityKey(e.Priority), FairnessKey: string(e.Tenant)},
	}
}

// Summary shortens a text to what Temporal takes as a workflow's summary.
func Summary(text string) string { return clip(text, maxSummary) }

// clip shortens s to at most n bytes without cutting a character.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
