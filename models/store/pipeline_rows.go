package store

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/definition"
)

// livePipelines are the statuses of pipelines that are not archived.
var livePipelines = []string{
	string(models.PipelineCreated), string(models.PipelineActive), string(models.PipelinePaused),
}

type pipelineRow struct {
	bun.BaseModel `bun:"table:pipelines,alias:p"`

	TenantID    models.TenantID
	ID          string
	Name        string
	Label       string
	Description string
	Tags        string // JSON, for showing; tagRow is for finding
	Status      models.PipelineStatus
	Version     int
	Revision    int64
	CreatedBy   string
	CreatedAt   instant
	UpdatedAt   instant

	FreshnessMicros int64   // how old its last good run may be; 0 is any age
	ActiveSince     instant // zero before it was ACTIVE
	FreshUntil      instant // zero while it is not ACTIVE or promises nothing, and once it was told that it is stale
	BudgetMicros    int64   // what its executions may cost in a month; 0 is no budget
	BudgetBlocks    bool

	Definition string `bun:",scanonly"` // of the current versionRow
}

type versionRow struct {
	bun.BaseModel `bun:"table:pipeline_versions,alias:v"`

	TenantID   models.TenantID
	PipelineID string
	Number     int
	Label      string
	Definition string
	CreatedBy  string
	CreatedAt  instant
}

type tagRow struct {
	bun.BaseModel `bun:"table:pipeline_tags,alias:pt"`

	TenantID   models.TenantID
	Tag        string
	PipelineID string
}

func newPipelineRow(p models.Pipeline) (*pipelineRow, error) {
	tags, err := marshalTags(p.Tags)
	return &pipelineRow{
		TenantID: p.Tenant, ID: p.ID, Name: p.Name, Label: p.Label, Description: p.Description, Tags: tags,
		Status: p.Status, Version: p.Version, Revision: p.Revision,
		CreatedBy: p.CreatedBy, CreatedAt: at(p.CreatedAt), UpdatedAt: at(p.UpdatedAt),
		Definition: string(p.Definition),
	}, err
}

// promise takes over what the definition promises: how old the last good run may be, and what all may cost.
func (r *pipelineRow) promise() {
	doc := []byte(r.Definition)
	r.FreshnessMicros = definition.FreshnessOf(doc).Microseconds()
	r.takeBudget(definition.BudgetOf(doc))
}

func (r *pipelineRow) model() models.Pipeline {
	return models.Pipeline{
		ID: r.ID, Tenant: r.TenantID, Name: r.Name, Label: r.Label, Description: r.Description, Tags: unmarshalTags(r.Tags),
		Status: r.Status, Version: r.Version, Revision: r.Revision, Definition: rawJSON(r.Definition),
		Freshness: time.Duration(r.FreshnessMicros) * time.Microsecond,
		CreatedBy: r.CreatedBy, CreatedAt: r.CreatedAt.Time, UpdatedAt: r.UpdatedAt.Time,
	}
}

func (r *pipelineRow) checkRevision(want int64) error {
	if want == 0 || want == r.Revision {
		return nil
	}
	return models.Errorf(models.CodePreconditionFailed, "the pipeline has changed since: it is at revision %d", r.Revision)
}

func (r *versionRow) model() models.PipelineVersion {
	return models.PipelineVersion{
		PipelineID: r.PipelineID, Number: r.Number, Label: r.Label, Definition: rawJSON(r.Definition),
		CreatedBy: r.CreatedBy, CreatedAt: r.CreatedAt.Time,
	}
}

func marshalTags(tags []string) (string, error) {
	if len(tags) == 0 {
		return "", nil
	}
	text, err := json.Marshal(tags)
	if err != nil {
		return "", fmt.Errorf("store: tags: %w", err)
	}
	return string(text), nil
}

func unmarshalTags(text string) []string {
	var tags []string
	if text != "" && json.Unmarshal([]byte(text), &tags) != nil {
		return nil // only marshalTags writes the column
	}
	return tags
}

// rawJSON gives a JSON column back; an empty one is no document.
func rawJSON(text string) json.RawMessage {
	if text == "" {
		return nil
	}
	return json.RawMessage(text)
}
