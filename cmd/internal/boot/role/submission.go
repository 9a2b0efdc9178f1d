package role

import (
	"fmt"
	"time"

	"github.com/spf13/pflag"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/submission"
)

// SubmissionOptions say what holds for executions where their definition says nothing. Executions are submitted by the
// API and, for schedules and backfills, by workers: both take the same.
type SubmissionOptions struct {
	DefaultEngine   string
	DefaultEstimate time.Duration
}

// AddFlags adds the flags.
func (o *SubmissionOptions) AddFlags(flags *pflag.FlagSet) {
	flags.StringVar(&o.DefaultEngine, "default-engine", string(models.EngineTemporal), "engine of executions whose definition names none")
	flags.DurationVar(&o.DefaultEstimate, "default-estimate", 5*time.Minute,
		"expected duration of an execution whose pipeline has not completed any yet")
}

// Defaults checks the options.
func (o *SubmissionOptions) Defaults() (submission.Defaults, error) {
	if o.DefaultEngine != string(models.EngineTemporal) {
		return submission.Defaults{}, fmt.Errorf("--default-engine: %q is not an engine of this release: give temporal", o.DefaultEngine)
	}
	return submission.Defaults{Engine: models.Engine(o.DefaultEngine), Estimate: o.DefaultEstimate}, nil
}
