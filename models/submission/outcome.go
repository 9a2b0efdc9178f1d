package submission

import (
	"errors"
	"strings"

	"github.com/matih/pipeline-service/models"
)

// Final reports whether a submission that failed with a code will fail until somebody changes something. Others may be
// repeated.
func Final(code models.Code) bool {
	switch code {
	case models.CodeInternal, models.CodeUnavailable, models.CodeConflict, models.CodePipelineRunning, models.CodeQuotaExceeded:
		return false
	default:
		return true
	}
}

// Reason gives a submission's error in a line for users, with its first mistake; "" where it says nothing to them.
func Reason(err error) string {
	var known *models.Error
	if !errors.As(err, &known) {
		return ""
	}
	text := known.Message
	if len(known.Mistakes) > 0 {
		text += ": " + known.Mistakes[0].Location + " " + known.Mistakes[0].Message
	}
	if len(known.IDs) > 0 {
		text += ": " + strings.Join(known.IDs, ", ")
	}
	return text
}
