// Package failure turns failures of tasks into Temporal errors that carry their class and message
// to the workflow.
package failure

import (
	"go.temporal.io/sdk/temporal"

	"github.com/matih/pipeline-service/models"
)

// Retryable is a failure that another attempt may mend.
func Retryable(why *models.ExecutionError) error { return wrap(why, false) }

// Final is a failure that no other attempt can mend.
func Final(why *models.ExecutionError) error { return wrap(why, true) }

func wrap(why *models.ExecutionError, final bool) error {
	return temporal.NewApplicationErrorWithOptions(why.Message, why.Class, temporal.ApplicationErrorOptions{
		NonRetryable: final,
		Details:      []any{*why},
	})
}
