package workflows

import (
	"go.temporal.io/sdk/workflow"

	"github.com/matih/pipeline-service/models/contract"
)

// Notification tells a webhook of an event. It fails where the webhook refuses or stays away.
func Notification(ctx workflow.Context, in contract.NotificationInput) (contract.NotificationResult, error) {
	var result contract.NotificationResult
	err := workflow.ExecuteActivity(withDeliveryPolicy(ctx, "tell of "+string(in.Event)), contract.DeliverActivity, in).Get(ctx, &result)
	return result, err
}
