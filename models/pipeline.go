package models

import (
	"encoding/json"
	"time"
)

// PipelineStatus is where a pipeline stands in its life.
type PipelineStatus string

// CREATED becomes ACTIVE with the first execution or enabled schedule; ACTIVE and PAUSED alternate
// by PUT; DELETE archives.
const (
	PipelineCreated  PipelineStatus = "CREATED"
	PipelineActive   PipelineStatus = "ACTIVE"
	PipelinePaused   PipelineStatus = "PAUSED"
	PipelineArchived PipelineStatus = "ARCHIVED"
)

// PipelineStatuses lists every status, in the order of a pipeline's life.
var PipelineStatuses = []PipelineStatus{PipelineCreated, PipelineActive, PipelinePaused, PipelineArchived}

// Pipeline is a named definition of a tenant with its current version.
type Pipeline struct {
	ID          string
	Tenant      TenantID
	Name        string
	Label       string // the user's own version text, such as 1.0.0
	Description string
	Tags        []string
	Status      PipelineStatus
	Version     int   // number of the current version, from 1
	Revision    int64 // counts every change; the ETag is made of it
	// Definition is the current version's document, as canonical JSON.
	Definition json.RawMessage
	// Freshness is how old its last good run may be, as the definition promises; 0 is any age.
	Freshness time.Duration
	CreatedBy string
	CreatedAt time.Time
	UpdatedAt time.Time
}

// PipelineVersion is one immutable definition of a pipeline.
type PipelineVersion struct {
	PipelineID string
	Number     int
	Label      string
	Definition json.RawMessage
	CreatedBy  string
	CreatedAt  time.Time
}
