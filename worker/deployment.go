package worker

import (
	"fmt"

	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
)

// Deployment makes a worker one version of a Temporal Worker Deployment; its zero value leaves versioning off.
// Operators decide which version new workflows go to, and may ramp it up or take it back.
type Deployment struct {
	Name    string
	BuildID string
	// Pinned keeps every workflow on the version it began with, whose workers must stay until it has ended.
	// Otherwise workflows move to the current version with their next step, which is what workflows/versions.go and the
	// replay tests make safe: approvals wait for days, and a mended fault should reach what runs.
	Pinned bool
}

// options are the SDK's.
func (d Deployment) options() (worker.DeploymentOptions, error) {
	if d == (Deployment{}) {
		return worker.DeploymentOptions{}, nil
	}
	if d.Name == "" || d.BuildID == "" {
		return worker.DeploymentOptions{}, fmt.Errorf("a deployment needs both a name and a build id")
	}
	behavior := workflow.VersioningBehaviorAutoUpgrade
	if d.Pinned {
		behavior = workflow.VersioningBehaviorPinned
	}
	return worker.DeploymentOptions{
		UseVersioning:             true,
		Version:                   worker.WorkerDeploymentVersion{DeploymentName: d.Name, BuildID: d.BuildID},
		DefaultVersioningBehavior: behavior,
	}, nil
}
