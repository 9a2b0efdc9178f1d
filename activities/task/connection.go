package task

import (
	"context"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/contract"
	protocol "github.com/matih/pipeline-service/models/task"
)

// TestConnection tries a connection from a task process, where alone its secrets are known. That it
// does not connect is a result, not an error.
func (a *Tasks) TestConnection(ctx context.Context, in contract.TestConnectionInput) (contract.TestConnectionResult, error) {
	spec, err := a.Specs.BuildTest(ctx, in.Tenant, in.ConnectionID)
	if models.CodeOf(err) == models.CodeNotFound {
		return notConnected("the connection no longer exists"), nil
	}
	if err != nil {
		return contract.TestConnectionResult{}, err
	}
	result, fail := a.Runner.Run(ctx, spec, func(protocol.Message) {})
	switch {
	case fail != nil && ctx.Err() != nil:
		return notConnected("the test took too long"), nil
	case fail != nil:
		a.Log.InfoContext(ctx, "connection test failed", "connection", in.ConnectionID, "class", fail.Class, "detail", fail.Detail)
		return notConnected(fail.Message), nil
	case result.Test == nil:
		return notConnected("the test brought no result"), nil
	default:
		return contract.TestConnectionResult{Test: *result.Test}, nil
	}
}

func notConnected(reason string) contract.TestConnectionResult {
	return contract.TestConnectionResult{Test: models.ConnectionTest{Reason: reason}}
}
