// Package workflows holds the Temporal workflows. They decide; activities act. Nothing here does
// I/O or reads a clock but the workflow's own.
package workflows

import (
	"fmt"
	"strings"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/contract"
)

// taskHeartbeat is how long a task may be silent before its worker counts as lost. Workers send
// heartbeats every few seconds, whatever the task does.
const taskHeartbeat = 15 * time.Second

// taskEndGrace is what an attempt gets beyond its own timeout to end its process and say so. The
// worker enforces the timeout; Temporal's is the net below it.
const taskEndGrace = 30 * time.Second

// maxLostWorkers is how often one task is started again because its worker was lost. Such attempts
// do not count as the task's own.
const maxLostWorkers = 10

// maxWaitingHistory is how many events an execution's history may have while a gate keeps it from
// continuing as new. Temporal ends a workflow at 51,200.
const maxWaitingHistory = 40_000

// withRecordPolicy is for small reads and writes of our own database, run inside the workflow's
// worker. They are tried until the database answers: there is nothing else to do without it.
func withRecordPolicy(ctx workflow.Context, summary string) workflow.Context {
	return workflow.WithLocalActivityOptions(ctx, workflow.LocalActivityOptions{
		StartToCloseTimeout: 30 * time.Second,
		RetryPolicy: &temporal.RetryPolicy{
			InitialInterval:    200 * time.Millisecond,
			BackoffCoefficient: 2,
			MaximumInterval:    15 * time.Second,
		},
		Summary: summary,
	})
}

// withTaskPolicy is for the tasks of an execution: the definition's own retries and timeout, and a
// cancellation that waits until the task process has ended.
func withTaskPolicy(ctx workflow.Context, plan contract.Plan, task contract.PlannedTask) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		ActivityID:          task.Name, // what a workflow's status calls it
		TaskQueue:           contract.QueueTasks,
		StartToCloseTimeout: plan.TaskTimeout + taskEndGrace,
		HeartbeatTimeout:    taskHeartbeat,
		WaitForCancellation: true,
		Summary:             string(task.Kind) + " " + task.Name,
		RetryPolicy: &temporal.RetryPolicy{
			InitialInterval:    plan.Retry.InitialInterval,
			BackoffCoefficient: plan.Retry.BackoffCoefficient,
			MaximumInterval:    plan.Retry.MaxInterval,
			MaximumAttempts:    int32(min(plan.Retry.MaxAttempts, 1000)),
		},
	})
}

// withInspectPolicy is for a look at a step that somebody waits for. It is tried again only where the worker was lost or
// the database away; what is wrong with the step is a result.
func withInspectPolicy(ctx workflow.Context, step contract.PlannedTask) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		ActivityID:          step.Name,
		TaskQueue:           contract.QueueTasks,
		StartToCloseTimeout: contract.InspectTimeout,
		HeartbeatTimeout:    taskHeartbeat,
		WaitForCancellation: true,
		Summary:             string(step.Kind) + " " + step.Name,
		RetryPolicy:         &temporal.RetryPolicy{MaximumAttempts: 2},
	})
}

// withInteractivePolicy is for an activity somebody waits for: few tries, short timeout.
func withInteractivePolicy(ctx workflow.Context, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:              contract.QueueControl,
		ScheduleToCloseTimeout: 25 * time.Second,
		StartToCloseTimeout:    20 * time.Second,
		Summary:                summary,
		RetryPolicy:            &temporal.RetryPolicy{MaximumAttempts: 2},
	})
}

// withControlPolicy is for an activity that acts on other workflows and must succeed in the end.
func withControlPolicy(ctx workflow.Context, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:           contract.QueueControl,
		StartToCloseTimeout: 30 * time.Second,
		Summary:             summary,
		RetryPolicy:         &temporal.RetryPolicy{InitialInterval: time.Second, BackoffCoefficient: 2, MaximumInterval: time.Minute},
	})
}

// withApprovalPolicy is for the approval of a gate, a child that ends with the execution and may write
// down how. The Web UI tells of it who waits for what.
func withApprovalPolicy(ctx workflow.Context, plan contract.Plan, in contract.ApprovalInput) workflow.Context {
	return workflow.WithChildOptions(ctx, workflow.ChildWorkflowOptions{
		WorkflowID:            in.ID(),
		TaskQueue:             contract.QueueControl,
		WorkflowIDReusePolicy: enumspb.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE,
		ParentClosePolicy:     enumspb.PARENT_CLOSE_POLICY_REQUEST_CANCEL,
		WaitForCancellation:   true,
		TypedSearchAttributes: temporal.NewSearchAttributes(
			contract.SearchTenantID.ValueSet(string(in.Tenant)),
			contract.SearchPipelineID.ValueSet(in.PipelineID),
			contract.SearchPipelineStatus.ValueSet(string(models.ApprovalPending)),
		),
		Memo:          map[string]any{contract.MemoTenant: string(in.Tenant)},
		StaticSummary: contract.Summary("Approval of " + in.Gate + " for " + plan.Pipeline),
		StaticDetails: approvalDetails(plan, in),
		Priority:      temporal.Priority{PriorityKey: contract.PriorityKey(plan.Priority), FairnessKey: string(in.Tenant)},
	})
}

// withExecutionPolicy is for an execution that a schedule or a backfill has submitted. It is a child only to be seen
// as one: it has an end of its own, whatever becomes of its parent.
func withExecutionPolicy(ctx workflow.Context, e models.Execution) workflow.Context {
	return withStartOptions(ctx, contract.ExecutionOptions(e))
}

// withCancellationPolicy is for what sees to it that an execution ends.
func withCancellationPolicy(ctx workflow.Context, e models.Execution) workflow.Context {
	return withStartOptions(ctx, contract.CancellationOptions(e.Tenant, e.ID))
}

// withStartOptions starts a child the way that clients start the workflow.
func withStartOptions(ctx workflow.Context, o client.StartWorkflowOptions) workflow.Context {
	return workflow.WithChildOptions(ctx, workflow.ChildWorkflowOptions{
		WorkflowID:            o.ID,
		TaskQueue:             o.TaskQueue,
		WorkflowIDReusePolicy: o.WorkflowIDReusePolicy,
		ParentClosePolicy:     enumspb.PARENT_CLOSE_POLICY_ABANDON,
		TypedSearchAttributes: o.TypedSearchAttributes,
		Memo:                  o.Memo,
		StaticSummary:         o.StaticSummary,
		StaticDetails:         o.StaticDetails,
		Priority:              o.Priority,
	})
}

// approvalDetails says for the Web UI what is to be decided, and by whom.
func approvalDetails(plan contract.Plan, in contract.ApprovalInput) string {
	what := "Gate " + in.Gate + ": the sink waits to be published."
	if in.Finding != "" {
		what = "Gate " + in.Gate + ": " + in.Finding + "."
	}
	who := "anybody who may decide approvals"
	if len(in.Policy.Groups) > 0 {
		who = "members of " + strings.Join(in.Policy.Groups, ", ")
	}
	onTimeout := "rejects"
	if in.Policy.ApproveOnTimeout {
		onTimeout = "approves"
	}
	return fmt.Sprintf("%s\n\nPipeline %s, %s, execution %s, started by %s\n\nTenant %s. Needs %d approval(s) by %s within %s, else it %s.",
		what, plan.Pipeline, in.PipelineID, in.ExecutionID, in.SubmittedBy, in.Tenant, in.Policy.Required, who, in.Policy.Timeout, onTimeout)
}

// withDeliveryPolicy is for telling a webhook, which may be away for a while. Its process is bounded by less than
// the attempt.
func withDeliveryPolicy(ctx workflow.Context, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:              contract.QueueControl,
		ScheduleToCloseTimeout: contract.DeliverFor,
		StartToCloseTimeout:    2 * time.Minute,
		Summary:                summary,
		RetryPolicy:            &temporal.RetryPolicy{InitialInterval: 2 * time.Second, BackoffCoefficient: 2, MaximumInterval: 30 * time.Minute},
	})
}

// withSweepPolicy is for periodic work over everything: it may take its time, and what it missed
// the next run catches up.
func withSweepPolicy(ctx workflow.Context, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:           contract.QueueControl,
		StartToCloseTimeout: 5 * time.Minute,
		HeartbeatTimeout:    time.Minute,
		Summary:             summary,
		RetryPolicy:         &temporal.RetryPolicy{MaximumAttempts: 3},
	})
}
