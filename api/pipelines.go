package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/matih/pipeline-service/api/auth"
	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/definition"
	"github.com/matih/pipeline-service/models/store"
)

const defaultLabel = "1.0.0"

// PipelineBody is what a client says of a pipeline.
type PipelineBody struct {
	Name        string   `json:"name" minLength:"1" maxLength:"200" doc:"Unique among the tenant's pipelines: 1 to 200 printable characters, no blank at either end."`
	Version     string   `json:"version,omitempty" maxLength:"64" doc:"The author's own label of this version; 1.0.0 unless given, an update keeps the last one."`
	Description string   `json:"description,omitempty" maxLength:"4000" doc:"What the pipeline is for."`
	Definition  Object   `json:"definition" doc:"Sources, transformations, quality checks, sinks and orchestration; its JSON Schema is at /v1/schemas/definition.json."`
	Tags        []string `json:"tags,omitempty" maxItems:"50" uniqueItems:"true" doc:"Words to find the pipeline by: at most 50, each 1 to 64 printable characters without commas."`
}

// PipelineUpdateBody replaces all that a client says of a pipeline.
type PipelineUpdateBody struct {
	PipelineBody
	Status models.PipelineStatus `json:"status,omitempty" enum:"ACTIVE,PAUSED" doc:"PAUSED refuses executions until ACTIVE; kept unless given."`
}

// PipelineView is a pipeline as the API shows it.
type PipelineView struct {
	PipelineID        string                `json:"pipelineId"`
	Name              string                `json:"name"`
	Version           string                `json:"version" doc:"The author's own label."`
	DefinitionVersion int                   `json:"definitionVersion" doc:"Counts the versions of the definition, from 1. Each is immutable."`
	Description       string                `json:"description"`
	Tags              []string              `json:"tags"`
	Status            models.PipelineStatus `json:"status" enum:"CREATED,ACTIVE,PAUSED,ARCHIVED"`
	Definition        Object                `json:"definition,omitempty" doc:"The current version; only where one pipeline is asked for."`
	CreatedBy         string                `json:"createdBy"`
	CreatedAt         time.Time             `json:"createdAt"`
	UpdatedAt         time.Time             `json:"updatedAt"`
}

// PipelineList is one page of pipelines, newest first.
type PipelineList struct {
	Pipelines []PipelineView `json:"pipelines"`
	Page      int            `json:"page"`
	Size      int            `json:"size"`
	Total     int64          `json:"total"`
}

type pipelineOutput struct {
	Status   int
	Location string `header:"Location"`
	ETag     string `header:"ETag"`
	Body     PipelineView
}

// savedOutput answers with a pipeline or, with dryRun, a plan.
type savedOutput struct {
	Status   int
	Location string `header:"Location"`
	ETag     string `header:"ETag"`
	Body     PipelineOrPlan
}

// saved answers with a pipeline that was created or updated.
func saved(o *pipelineOutput) *savedOutput {
	return &savedOutput{Status: o.Status, Location: o.Location, ETag: o.ETag, Body: PipelineOrPlan{PipelineView: &o.Body}}
}

func (s *service) registerPipelines() {
	register(s, operation{
		Operation: huma.Operation{
			OperationID: "createPipeline", Method: http.MethodPost, Path: "/v1/pipelines", DefaultStatus: http.StatusCreated,
			Tags: []string{"Pipelines"}, Summary: "Create a pipeline",
			Description: "Checks the definition whole and answers all mistakes at once, each with its place.",
		},
		Scope: auth.ScopeWrite, YAML: true, DryRun: true, Example: examplePipeline, Answer: exampleCreatedPipeline,
		Codes: []models.Code{models.CodeInvalidDefinition, models.CodeNameTaken, models.CodeQuotaExceeded},
	}, s.createPipeline)
	register(s, operation{
		Operation: huma.Operation{
			OperationID: "listPipelines", Method: http.MethodGet, Path: "/v1/pipelines",
			Tags: []string{"Pipelines"}, Summary: "List pipelines",
			Description: "Newest first. Archived ones are listed only where status asks for them.",
		},
		Scope: auth.ScopeRead,
	}, s.listPipelines)
	register(s, operation{
		Operation: huma.Operation{
			OperationID: "getPipeline", Method: http.MethodGet, Path: "/v1/pipelines/{pipelineId}",
			Tags: []string{"Pipelines"}, Summary: "Get a pipeline", Description: "With its current definition.",
		},
		Scope: auth.ScopeRead, Load: loadPipeline,
	}, s.getPipeline)
	register(s, operation{
		Operation: huma.Operation{
			OperationID: "updatePipeline", Method: http.MethodPut, Path: "/v1/pipelines/{pipelineId}",
			Tags: []string{"Pipelines"}, Summary: "Update a pipeline",
			Description: "Replaces the pipeline and makes a new immutable version of its definition. Executions keep the version they began with.",
		},
		Scope: auth.ScopeWrite, Load: loadPipeline, YAML: true, DryRun: true, Example: examplePipeline, Answer: exampleCreatedPipeline,
		Codes: []models.Code{models.CodeInvalidDefinition, models.CodeNameTaken, models.CodePreconditionFailed, models.CodeConflict},
	}, s.updatePipeline)
	register(s, operation{
		Operation: huma.Operation{
			OperationID: "deletePipeline", Method: http.MethodDelete, Path: "/v1/pipelines/{pipelineId}",
			DefaultStatus: http.StatusNoContent,
			Tags:          []string{"Pipelines"}, Summary: "Delete a pipeline",
			Description: "Archives the pipeline: its history stays and its name is free again. Refused while an execution is open.",
		},
		Scope: auth.ScopeWrite, Load: loadPipeline,
		Codes: []models.Code{models.CodePipelineRunning, models.CodePreconditionFailed},
	}, s.deletePipeline)
}

type createPipelineInput struct {
	Intent
	Body PipelineBody
}

// Intent says whether a change is meant.
type Intent struct {
	DryRun bool `query:"dryRun" doc:"true changes nothing: the answer is a 200 with the plan of what would be, without samples, after the same checks."`
}

// storeFor is the request's part of the store; one that only rehearses for a dry run.
func (i Intent) storeFor(ctx context.Context) *store.Tenant {
	if i.DryRun {
		return store.Rehearsal(requestOf(ctx).store)
	}
	return requestOf(ctx).store
}

// Resolve checks what the schema cannot.
func (in *createPipelineInput) Resolve(ctx huma.Context) []error {
	return in.Body.check(ctx.Context())
}

func (s *service) createPipeline(ctx context.Context, in *createPipelineInput) (*savedOutput, error) {
	out, err := newPipeline(ctx, in.storeFor(ctx), in.Body)
	if err != nil {
		return nil, err
	}
	if in.DryRun {
		return s.dryRun(ctx, in.Body, nil)
	}
	return saved(out), nil
}

// newPipeline makes a pipeline of a body that was checked.
func newPipeline(ctx context.Context, t *store.Tenant, b PipelineBody) (*pipelineOutput, error) {
	r := requestOf(ctx)
	doc, err := definition.Canonical(b.Definition)
	if err != nil {
		return nil, err
	}
	if b.Version == "" {
		b.Version = defaultLabel
	}
	p, err := t.CreatePipeline(ctx, models.Pipeline{
		ID: r.newID(models.PrefixPipeline), Tenant: r.tenant, Name: b.Name, Label: b.Version,
		Description: b.Description, Tags: b.Tags, Definition: doc, CreatedBy: r.principal.Subject,
	})
	if err != nil {
		return nil, err
	}
	return &pipelineOutput{
		Status: http.StatusCreated, Location: "/v1/pipelines/" + p.ID, ETag: etag(p.Revision), Body: viewPipeline(p, false),
	}, nil
}

// dryRun answers with the plan of what would have been saved.
func (s *service) dryRun(ctx context.Context, b PipelineBody, before *models.Pipeline) (*savedOutput, error) {
	plan, err := s.planSaved(ctx, b, before)
	if err != nil {
		return nil, err
	}
	return &savedOutput{Status: http.StatusOK, Body: PipelineOrPlan{PlanView: plan}}, nil
}

type listPipelinesInput struct {
	Paging
	Tags   []string              `query:"tags" minItems:"1" maxItems:"50" doc:"Words separated by commas; pipelines that have all of them."`
	Status models.PipelineStatus `query:"status" enum:"CREATED,ACTIVE,PAUSED,ARCHIVED" doc:"Pipelines in this status."`
	Name   string                `query:"name" maxLength:"200" doc:"The pipeline of this name."`
}

// Resolve checks what the schema cannot.
func (in *listPipelinesInput) Resolve(huma.Context) []error {
	if slices.Contains(in.Tags, "") {
		return []error{&huma.ErrorDetail{Location: "query.tags", Message: "must not hold an empty tag"}}
	}
	return nil
}

type listPipelinesOutput struct{ Body PipelineList }

func (s *service) listPipelines(ctx context.Context, in *listPipelinesInput) (*listPipelinesOutput, error) {
	filter := store.PipelineFilter{Tags: in.Tags, Status: in.Status, Name: in.Name}
	found, err := requestOf(ctx).store.Pipelines(ctx, filter, in.page())
	if err != nil {
		return nil, err
	}
	list := PipelineList{Pipelines: []PipelineView{}, Page: in.Page, Size: in.Size, Total: found.Total}
	for _, p := range found.Items {
		list.Pipelines = append(list.Pipelines, viewPipeline(p, false))
	}
	return &listPipelinesOutput{Body: list}, nil
}

type getPipelineInput struct {
	PipelineID  string `path:"pipelineId" doc:"The pipeline's id."`
	IfNoneMatch string `header:"If-None-Match" doc:"An ETag: where the pipeline still has it, the answer is 304 without a body."`
}

func (s *service) getPipeline(ctx context.Context, in *getPipelineInput) (*pipelineOutput, error) {
	p := loaded[models.Pipeline](ctx)
	out := &pipelineOutput{Status: http.StatusOK, ETag: etag(p.Revision), Body: viewPipeline(p, true)}
	if in.IfNoneMatch != "" && matches(in.IfNoneMatch, p.Revision, true) {
		out.Status = http.StatusNotModified
	}
	return out, nil
}

type updatePipelineInput struct {
	PipelineID string `path:"pipelineId" doc:"The pipeline's id."`
	IfMatch    string `header:"If-Match" doc:"The ETag the pipeline must still have; else the answer is 412."`
	Intent
	Body PipelineUpdateBody
}

// Resolve checks what the schema cannot.
func (in *updatePipelineInput) Resolve(ctx huma.Context) []error {
	return in.Body.check(ctx.Context())
}

func (s *service) updatePipeline(ctx context.Context, in *updatePipelineInput) (*savedOutput, error) {
	r, before := requestOf(ctx), loaded[models.Pipeline](ctx)
	revision, err := guard(in.IfMatch, before.Revision)
	if err != nil {
		return nil, err
	}
	doc, err := definition.Canonical(in.Body.Definition)
	if err != nil {
		return nil, err
	}
	if in.Body.Version == "" {
		in.Body.Version = before.Label
	}
	p, err := in.storeFor(ctx).UpdatePipeline(ctx, before.ID, store.PipelineUpdate{
		Name: in.Body.Name, Label: in.Body.Version, Description: in.Body.Description, Tags: in.Body.Tags,
		Definition: doc, Status: in.Body.Status, By: r.principal.Subject, IfRevision: revision,
	})
	if err != nil {
		return nil, err
	}
	if in.DryRun {
		return s.dryRun(ctx, in.Body.PipelineBody, &before)
	}
	return saved(&pipelineOutput{Status: http.StatusOK, ETag: etag(p.Revision), Body: viewPipeline(p, false)}), nil
}

type deletePipelineInput struct {
	PipelineID string `path:"pipelineId" doc:"The pipeline's id."`
	IfMatch    string `header:"If-Match" doc:"The ETag the pipeline must still have; else the answer is 412."`
}

func (s *service) deletePipeline(ctx context.Context, in *deletePipelineInput) (*struct{}, error) {
	p := loaded[models.Pipeline](ctx)
	revision, err := guard(in.IfMatch, p.Revision)
	if err != nil {
		return nil, err
	}
	return nil, requestOf(ctx).store.ArchivePipeline(ctx, p.ID, revision)
}

func viewPipeline(p models.Pipeline, whole bool) PipelineView {
	v := PipelineView{
		PipelineID: p.ID, Name: p.Name, Version: p.Label, DefinitionVersion: p.Version, Description: p.Description,
		Tags: append([]string{}, p.Tags...), Status: p.Status, CreatedBy: p.CreatedBy,
		CreatedAt: p.CreatedAt.UTC(), UpdatedAt: p.UpdatedAt.UTC(),
	}
	if whole {
		v.Definition = Object(p.Definition)
	}
	return v
}

// check finds all that is wrong with a pipeline beyond its schema: texts, the definition itself, and the
// connections it uses, which must exist and be of the right type.
func (b *PipelineBody) check(ctx context.Context) []error {
	mistakes := checkLine("body.name", b.Name)
	mistakes = append(mistakes, checkLine("body.version", b.Version)...)
	mistakes = append(mistakes, checkText("body.description", b.Description)...)
	for i, tag := range b.Tags {
		mistakes = append(mistakes, checkTag(fmt.Sprintf("body.tags[%d]", i), tag)...)
	}
	if b.Definition.given() {
		found, err := checkDefinition(ctx, json.RawMessage(b.Definition), "body.definition")
		if err != nil {
			return []error{err}
		}
		mistakes = append(mistakes, found...)
	}
	if len(mistakes) == 0 {
		return nil
	}
	return []error{invalid(mistakes)}
}

func checkTag(location, tag string) []models.Mistake {
	mistakes := checkLine(location, tag)
	if n := len([]rune(tag)); n < 1 || n > 64 || slices.Contains([]rune(tag), ',') {
		mistakes = append(mistakes, models.Mistake{Location: location, Message: "must be 1 to 64 characters without commas"})
	}
	return mistakes
}
