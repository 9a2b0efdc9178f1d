// Package openlineage tells a lineage store what executions do, in OpenLineage's events: one run for an execution and one below it
// for each attempt of a task. Telling never holds an execution up and never fails it: what cannot be sent in time is dropped.
package openlineage

import (
	"time"

	"github.com/google/uuid"

	"github.com/matih/pipeline-service/models"
)

// EventType is a transition of a run.
type EventType string

// The transitions. A run starts once and ends once, as one of the last three.
const (
	Start    EventType = "START"
	Running  EventType = "RUNNING"
	Complete EventType = "COMPLETE"
	Fail     EventType = "FAIL"
	Abort    EventType = "ABORT"
)

const (
	producer = "https://github.com/matih/pipeline-service"
	specURL  = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent"
)

// Event is a RunEvent of OpenLineage's specification, version 2-0-2.
type Event struct {
	EventTime time.Time `json:"eventTime"`
	EventType EventType `json:"eventType"`
	Producer  string    `json:"producer"`
	SchemaURL string    `json:"schemaURL"`
	Run       Run       `json:"run"`
	Job       Job       `json:"job"`
	Inputs    []Dataset `json:"inputs,omitempty"`
	Outputs   []Dataset `json:"outputs,omitempty"`
}

// Run is one run of a job.
type Run struct {
	RunID  uuid.UUID      `json:"runId"`
	Facets map[string]any `json:"facets,omitempty"`
}

// Job is a pipeline, or a task of one.
type Job struct {
	Namespace string         `json:"namespace"`
	Name      string         `json:"name"`
	Facets    map[string]any `json:"facets,omitempty"`
}

// Dataset is what a run reads or writes: outside of the pipeline, or what a step hands to others.
type Dataset struct {
	Namespace    string         `json:"namespace"`
	Name         string         `json:"name"`
	Facets       map[string]any `json:"facets,omitempty"`
	InputFacets  map[string]any `json:"inputFacets,omitempty"`
	OutputFacets map[string]any `json:"outputFacets,omitempty"`
}

// runs is the namespace of the ids of runs.
var runs = uuid.NewSHA1(uuid.NameSpaceURL, []byte(producer+"/runs"))

// RunID is the run of an execution, or with a name of a task and its attempt one below it. Whoever knows these knows the id.
func RunID(execution string, task ...string) uuid.UUID {
	name := execution
	for _, part := range task {
		name += "/" + part
	}
	return uuid.NewSHA1(runs, []byte(name))
}

// jobNamespace holds the jobs of a tenant and what its steps hand to each other.
func jobNamespace(tenant models.TenantID) string { return "pipeline-service/" + string(tenant) }
