// Package workflows holds the Temporal workflows. They decide; activities act. Nothing here does
// I/O or reads a clock but the workflow's own.
package workflows

import (
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

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
