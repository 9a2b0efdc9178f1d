package api

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/matih/pipeline-service/api/auth"
	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/definition"
	"github.com/matih/pipeline-service/models/store"
)

// VersionView is one immutable version of a pipeline's definition.
type VersionView struct {
	PipelineID        string    `json:"pipelineId"`
	DefinitionVersion int       `json:"definitionVersion" doc:"Counts the versions of the definition, from 1."`
	Version           string    `json:"version" doc:"The author's own label."`
	Definition        Object    `json:"definition,omitempty" doc:"Only where one version is asked for."`
	CreatedBy         string    `json:"createdBy"`
	CreatedAt         time.Time `json:"createdAt"`
}

// VersionList is one page of versions, newest first.
type VersionList struct {
	Versions []VersionView `json:"versions"`
	Page     int           `json:"page"`
	Size     int           `json:"size"`
	Total    int64         `json:"total"`
}

// VersionDiff is how one version of a definition differs from another. Items of lists are compared by their names;
// lists whose items have none, such as merge_keys, as a whole.
type VersionDiff struct {
	PipelineID        string       `json:"pipelineId"`
	DefinitionVersion int          `json:"definitionVersion" doc:"The version of the path: what is after."`
	Against           int          `json:"against" doc:"The version it is compared with: what was before."`
	Added             []ChangeView `json:"added" doc:"In the order of the version of the path."`
	Removed           []ChangeView `json:"removed" doc:"In the order of the version it is compared with."`
	Changed           []ChangeView `json:"changed" doc:"Likewise. Named items in another order are a change of their list, told by the names."`
}

// ChangeView is one difference.
type ChangeView struct {
	Path   string `json:"path" doc:"A dotted path, as in a template's customizations: transformations.clean.sql."`
	Before any    `json:"before,omitempty" doc:"What was there, unless it was added."`
	After  any    `json:"after,omitempty" doc:"What is there now, unless it was removed."`
}

func (s *service) registerVersions() {
	register(s, operation{
		Operation: huma.Operation{
			OperationID: "listVersions", Method: http.MethodGet, Path: "/v1/pipelines/{pipelineId}/versions",
			Tags: []string{"Pipelines"}, Summary: "List the versions of a pipeline", Description: "Newest first, without their definitions.",
		},
		Scope: auth.ScopeRead, Load: loadPipeline,
	}, s.listVersions)
	register(s, operation{
		Operation: huma.Operation{
			OperationID: "getVersion", Method: http.MethodGet, Path: "/v1/pipelines/{pipelineId}/versions/{definitionVersion}",
			Tags: []string{"Pipelines"}, Summary: "Get a version of a pipeline", Description: "With its definition.",
		},
		Scope: auth.ScopeRead, Load: loadPipeline,
	}, s.getVersion)
	register(s, operation{
		Operation: huma.Operation{
			OperationID: "diffVersions", Method: http.MethodGet, Path: "/v1/pipelines/{pipelineId}/versions/{definitionVersion}/diff",
			Tags: []string{"Pipelines"}, Summary: "Compare two versions of a pipeline",
			Description: "Answers what the version has that the other has not, what it lacks, and what is different.",
		},
		Scope: auth.ScopeRead, Load: loadPipeline, Answer: exampleVersionDiff,
	}, s.diffVersions)
	register(s, operation{
		Operation: huma.Operation{
			OperationID: "activateVersion", Method: http.MethodPost, Path: "/v1/pipelines/{pipelineId}/versions/{definitionVersion}/activate",
			DefaultStatus: http.StatusOK,
			Tags:          []string{"Pipelines"}, Summary: "Roll a pipeline back to a version",
			Description: "Makes a new version with the label and definition of the named one, after checking that it still holds: a connection " +
				"may have been deleted since. Name, description, tags and status stay as they are.",
		},
		Scope: auth.ScopeWrite, Load: loadPipeline, Answer: exampleCreatedPipeline,
		Codes: []models.Code{models.CodeInvalidDefinition, models.CodePreconditionFailed},
	}, s.activateVersion)
}

type listVersionsInput struct {
	PipelineID string `path:"pipelineId" doc:"The pipeline's id."`
	Paging
}

type listVersionsOutput struct{ Body VersionList }

func (s *service) listVersions(ctx context.Context, in *listVersionsInput) (*listVersionsOutput, error) {
	found, err := requestOf(ctx).store.PipelineVersions(ctx, in.PipelineID, in.page())
	if err != nil {
		return nil, err
	}
	list := VersionList{Versions: []VersionView{}, Page: in.Page, Size: in.Size, Total: found.Total}
	for _, v := range found.Items {
		list.Versions = append(list.Versions, viewVersion(v))
	}
	return &listVersionsOutput{Body: list}, nil
}

// VersionPath names a version of a pipeline.
type VersionPath struct {
	PipelineID        string `path:"pipelineId" doc:"The pipeline's id."`
	DefinitionVersion int    `path:"definitionVersion" minimum:"1" maximum:"2147483647" doc:"The version's number."`
}

type versionOutput struct{ Body VersionView }

func (s *service) getVersion(ctx context.Context, in *VersionPath) (*versionOutput, error) {
	v, err := requestOf(ctx).store.PipelineVersion(ctx, in.PipelineID, in.DefinitionVersion)
	if err != nil {
		return nil, err
	}
	return &versionOutput{Body: viewVersion(v)}, nil
}

type diffVersionsInput struct {
	VersionPath
	Against int `query:"against" required:"true" minimum:"1" maximum:"2147483647" doc:"The number of the version to compare with."`
}

type diffVersionsOutput struct{ Body VersionDiff }

func (s *service) diffVersions(ctx context.Context, in *diffVersionsInput) (*diffVersionsOutput, error) {
	store := requestOf(ctx).store
	after, err := store.PipelineVersion(ctx, in.PipelineID, in.DefinitionVersion)
	if err != nil {
		return nil, err
	}
	before, err := store.PipelineVersion(ctx, in.PipelineID, in.Against)
	if models.CodeOf(err) == models.CodeNotFound {
		return nil, invalid([]models.Mistake{{Location: "query.against", Message: fmt.Sprintf("there is no version %d of the pipeline", in.Against)}})
	}
	if err != nil {
		return nil, err
	}
	d, err := definition.Diff(before.Definition, after.Definition)
	if err != nil {
		return nil, &models.Error{Code: models.CodeInternal, Cause: err} // what is stored was checked
	}
	return &diffVersionsOutput{Body: VersionDiff{
		PipelineID: in.PipelineID, DefinitionVersion: in.DefinitionVersion, Against: in.Against,
		Added: viewChanges(d.Added), Removed: viewChanges(d.Removed), Changed: viewChanges(d.Changed),
	}}, nil
}

type activateVersionInput struct {
	VersionPath
	IfMatch string `header:"If-Match" doc:"The ETag the pipeline must still have; else the answer is 412."`
}

func (s *service) activateVersion(ctx context.Context, in *activateVersionInput) (*pipelineOutput, error) {
	r, p := requestOf(ctx), loaded[models.Pipeline](ctx)
	revision, err := guard(in.IfMatch, p.Revision)
	if err != nil {
		return nil, err
	}
	v, err := r.store.PipelineVersion(ctx, p.ID, in.DefinitionVersion)
	if err != nil {
		return nil, err
	}
	mistakes, err := checkDefinition(ctx, v.Definition, "definition")
	if err != nil {
		return nil, err
	}
	if len(mistakes) > 0 {
		e := models.Errorf(models.CodeInvalidDefinition, "version %d cannot be what it was", v.Number)
		e.Mistakes = mistakes
		return nil, e
	}
	p, err = r.store.ActivateVersion(ctx, p.ID, store.Activation{
		Number: v.Number, By: r.principal.Subject, IfRevision: revision,
	})
	if err != nil {
		return nil, err
	}
	return &pipelineOutput{Status: http.StatusOK, ETag: etag(p.Revision), Body: viewPipeline(p, false)}, nil
}

func viewVersion(v models.PipelineVersion) VersionView {
	return VersionView{
		PipelineID: v.PipelineID, DefinitionVersion: v.Number, Version: v.Label, Definition: Object(v.Definition),
		CreatedBy: v.CreatedBy, CreatedAt: v.CreatedAt.UTC(),
	}
}

func viewChanges(changes []definition.Change) []ChangeView {
	views := make([]ChangeView, len(changes))
	for i, c := range changes {
		views[i].Path = c.Path
		if c.Before != nil {
			views[i].Before = c.Before
		}
		if c.After != nil {
			views[i].After = c.After
		}
	}
	return views
}
