package contract

import (
	"fmt"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/matih/pipeline-service/models"
)

// NotificationWorkflow tells one webhook of one event, however long that takes.
const NotificationWorkflow = "NotificationWorkflow"

// Activity types of notifications.
const (
	DeliverActivity           = "Deliver"
	SendNotificationsActivity = "SendNotifications"
)

// NotificationInput starts a NotificationWorkflow. The webhook's address may hold a secret, so that it is
// read where it is needed.
type NotificationInput struct {
	models.Notification
}

// NotificationResult is how a webhook took a notification.
type NotificationResult struct {
	Status int // of its answer: an HTTP status, 2xx
}

// SendNotificationsResult counts the notifications whose workflow was started because nobody had.
type SendNotificationsResult struct {
	Sent int
}

// DeliverFor is how long a webhook that is away is tried.
const DeliverFor = 24 * time.Hour

// NotificationOptions are the options every starter of a NotificationWorkflow uses. Starting the same
// notification again finds the first start, be it running or over.
func NotificationOptions(n models.Notification) client.StartWorkflowOptions {
	return client.StartWorkflowOptions{
		ID:                       n.ID,
		TaskQueue:                QueueControl,
		WorkflowIDReusePolicy:    enumspb.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE,
		WorkflowIDConflictPolicy: enumspb.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING,
		TypedSearchAttributes: temporal.NewSearchAttributes(
			SearchTenantID.ValueSet(string(n.Tenant)), SearchPipelineID.ValueSet(n.PipelineID)),
		Memo:          map[string]any{MemoTenant: string(n.Tenant)},
		StaticSummary: Summary(fmt.Sprintf("Tell webhook %d that %s: %s", n.Webhook, n.ExecutionID, n.Event)),
		StaticDetails: fmt.Sprintf("Pipeline %s, tenant %s\n\nTells the definition's webhook number %d, counted from 0, and tries for %s.",
			n.PipelineID, n.Tenant, n.Webhook, DeliverFor),
		Priority: temporal.Priority{PriorityKey: PriorityKey(models.PriorityNormal), FairnessKey: string(n.Tenant)},
	}
}
