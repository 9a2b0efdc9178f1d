package workflows

import (
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/matih/pipeline-service/models/contract"
)

// Register makes every workflow known to a worker of contract.QueueControl.
func Register(r worker.WorkflowRegistry) {
	r.RegisterWorkflowWithOptions(Execution, workflow.RegisterOptions{Name: contract.ExecutionWorkflow})
	r.RegisterWorkflowWithOptions(Approval, workflow.RegisterOptions{Name: contract.ApprovalWorkflow})
	r.RegisterWorkflowWithOptions(Cancellation, workflow.RegisterOptions{Name: contract.CancellationWorkflow})
	r.RegisterWorkflowWithOptions(ConnectionTest, workflow.RegisterOptions{Name: contract.ConnectionTestWorkflow})
	r.RegisterWorkflowWithOptions(Notification, workflow.RegisterOptions{Name: contract.NotificationWorkflow})
	r.RegisterWorkflowWithOptions(Plan, workflow.RegisterOptions{Name: contract.PlanWorkflow})
	r.RegisterWorkflowWithOptions(ScheduledExecution, workflow.RegisterOptions{Name: contract.ScheduledExecutionWorkflow})
	r.RegisterWorkflowWithOptions(Backfill, workflow.RegisterOptions{Name: contract.BackfillWorkflow})
	r.RegisterWorkflowWithOptions(Maintenance, workflow.RegisterOptions{Name: contract.MaintenanceWorkflow})
}
