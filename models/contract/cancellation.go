package contract

import (
	"fmt"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/matih/pipeline-service/models"
)

// CancellationWorkflow sees to it that an execution that is to be cancelled ends.
const CancellationWorkflow = "CancellationWorkflow"

// Activity types of cancellations.
const (
	ExecutionClosedActivity = "ExecutionClosed"
	ForceCancelActivity     = "ForceCancel"
)

// CancellationPrefix begins the id of every CancellationWorkflow; the execution's id follows.
const CancellationPrefix = "cancel-"

// DefaultCancelGrace is how long an execution may take to end after it was asked to.
const DefaultCancelGrace = 30 * time.Second

// CancellationInput starts a CancellationWorkflow.
type CancellationInput struct {
	Tenant      models.TenantID
	ExecutionID string
	// Grace is how long the execution's workflow may take to end before it is terminated; 0 is
	// DefaultCancelGrace.
	Grace time.Duration `json:",omitempty"`
}

// CancellationResult is how the execution ended.
type CancellationResult struct {
	Status models.ExecutionStatus
	// Forced says that it did not end by itself.
	Forced bool `json:",omitempty"`
}

// ExecutionClosedInput asks whether an execution has ended.
type ExecutionClosedInput struct {
	Tenant      models.TenantID
	ExecutionID string
}

// ExecutionClosedResult holds the terminal status, or nothing while the execution is open.
type ExecutionClosedResult struct {
	Status models.ExecutionStatus `json:",omitempty"`
}

// ForceCancelInput asks for the end of an execution that does not end by itself.
type ForceCancelInput struct {
	Tenant      models.TenantID
	ExecutionID string
	Grace       time.Duration // that it was given
}

// CancellationOptions are the options every starter of a CancellationWorkflow uses. Starting it
// while it runs finds the running one; once it has ended it may run again, which is harmless.
func CancellationOptions(tenant models.TenantID, execution string) client.StartWorkflowOptions {
	return client.StartWorkflowOptions{
		ID:                       CancellationPrefix + execution,
		TaskQueue:                QueueControl,
		WorkflowIDReusePolicy:    enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
		WorkflowIDConflictPolicy: enumspb.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING,
		TypedSearchAttributes:    temporal.NewSearchAttributes(SearchTenantID.ValueSet(string(tenant))),
		Memo:                     map[string]any{MemoTenant: string(tenant)},
		StaticSummary:            "Cancellation of " + execution,
		StaticDetails:            fmt.Sprintf("Tenant %s\n\nAsks the execution to end, waits, and ends it by force where it does not.", tenant),
		Priority:                 temporal.Priority{PriorityKey: PriorityKey(models.PriorityCritical), FairnessKey: string(tenant)},
	}
}
