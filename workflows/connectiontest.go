package workflows

import (
	"go.temporal.io/sdk/workflow"

	"github.com/matih/pipeline-service/models/contract"
)

// ConnectionTest tests a connection where the workers are, since they are who must reach it.
func ConnectionTest(ctx workflow.Context, in contract.TestConnectionInput) (contract.TestConnectionResult, error) {
	var result contract.TestConnectionResult
	err := workflow.ExecuteActivity(withInteractivePolicy(ctx, "test "+in.ConnectionID),
		contract.TestConnectionActivity, in).Get(ctx, &result)
	return result, err
}
