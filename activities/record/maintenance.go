package record

import (
	"log/slog"
	"time"

	"go.temporal.io/sdk/client"

	"github.com/matih/pipeline-service/activities/openlineage"
	"github.com/matih/pipeline-service/models/store"
)

// startGrace is how long an execution may be QUEUED before its workflow's start counts as lost.
// The API gives up on a start long before.
const startGrace = 30 * time.Second

// sweepPage is how many rows one query of a sweep reads.
const sweepPage = 200

// Maintenance makes rows and workflows agree, sees that promises are kept and removes what nobody needs.
type Maintenance struct {
	Store         *store.Store
	Client        client.Client
	Notifications *Notifications
	Log           *slog.Logger
	// Events is told when executions end; nil where nobody wants to know.
	Events *openlineage.Emitter
	// StagingDir is the root of <tenant>/<execution>/ directories.
	StagingDir string
	// StagingRetention is how long staged data outlive their execution.
	StagingRetention time.Duration
	// QuarantineRetention is how long quarantined rows do; they stay at least as long.
	QuarantineRetention time.Duration
}
