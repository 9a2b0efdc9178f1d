package api

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/matih/pipeline-service/api/auth"
	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/definition"
	"github.com/matih/pipeline-service/models/template"
)

// TemplateView is a template as the API shows it.
type TemplateView struct {
	ID          string                  `json:"id" doc:"Industry and name; the slash may be written as %2F in paths."`
	Name        string                  `json:"name"`
	Industry    string                  `json:"industry"`
	Version     string                  `json:"version"`
	Description string                  `json:"description"`
	Compliance  []string                `json:"compliance" doc:"Rules that its checks help to comply with."`
	Parameters  []TemplateParameterView `json:"parameters"`
	Example     *TemplateExampleView    `json:"example,omitempty" doc:"Only where one template is asked for."`
	Definition  Object                  `json:"definition,omitempty" doc:"Only where one template is asked for. {\"$parameter\": name} is the place of a parameter's value."`
}

// TemplateParameterView is a value that a template takes.
type TemplateParameterView struct {
	Name        string `json:"name"`
	Type        string `json:"type" enum:"string,integer,number,boolean,date,timestamp,connection" doc:"The value of a connection is its name or id."`
	Required    bool   `json:"required"`
	Default     any    `json:"default,omitempty" doc:"The value where none is given."`
	Description string `json:"description"`
}

// TemplateExampleView shows values of the parameters.
type TemplateExampleView struct {
	Parameters          Object `json:"parameters" doc:"To create a pipeline."`
	ExecutionParameters Object `json:"executionParameters" doc:"To execute the pipeline."`
}

// TemplateList is all templates, by industry and name.
type TemplateList struct {
	Templates []TemplateView `json:"templates"`
}

// TemplatePipelineBody makes a pipeline of a template.
type TemplatePipelineBody struct {
	PipelineName   string `json:"pipelineName" minLength:"1" maxLength:"200" doc:"The pipeline's name, as where it is created without a template."`
	Parameters     Object `json:"parameters,omitempty" doc:"Values of the template's parameters. They are put in as they are: a ${ in them has no meaning."`
	Customizations Object `json:"customizations,omitempty" doc:"Dotted paths into the definition, such as sources.orders.prefix, transformations.clean.sql or transformations[0].sql, and what shall stand there; null takes it out."`
}

func (s *service) registerTemplates() {
	register(s, operation{
		Operation: huma.Operation{
			OperationID: "listTemplates", Method: http.MethodGet, Path: "/v1/pipelines/templates",
			Tags: []string{"Templates"}, Summary: "List templates", Description: "By industry and name.",
		},
		Scope: auth.ScopeRead,
	}, s.listTemplates)
	register(s, operation{
		Operation: huma.Operation{
			OperationID: "getTemplate", Method: http.MethodGet, Path: "/v1/pipelines/templates/{templateId}",
			Tags: []string{"Templates"}, Summary: "Get a template", Description: "With its definition.",
		},
		Scope: auth.ScopeRead, Load: s.loadTemplate,
	}, s.getTemplate)
	register(s, operation{
		Operation: huma.Operation{
			OperationID: "createPipelineFromTemplate", Method: http.MethodPost, Path: "/v1/pipelines/templates/{templateId}/create",
			DefaultStatus: http.StatusCreated,
			Tags:          []string{"Templates"}, Summary: "Create a pipeline from a template",
			Description: "Puts the parameters in, then the customizations, and creates the pipeline of what comes out. Mistakes of the " +
				"outcome are located at the parameter or customization they come from, others at their place in `definition`.",
		},
		Scope: auth.ScopeWrite, Load: s.loadTemplate, Example: exampleTemplatePipeline, Answer: exampleCreatedFromTemplate,
		Codes: []models.Code{models.CodeInvalidDefinition, models.CodeInvalidParameters, models.CodeNameTaken, models.CodeQuotaExceeded},
	}, s.createPipelineFromTemplate)
}

// templatePaths is what all paths of templates begin with.
const templatePaths = "/v1/pipelines/templates/"

// joinTemplateID makes one path segment of a template's id, as if its slash had been written as %2F.
func joinTemplateID(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if rest, ok := strings.CutPrefix(r.URL.EscapedPath(), templatePaths); ok {
			parts := strings.Split(rest, "/")
			if len(parts) == 2 && parts[1] != "create" || len(parts) == 3 && parts[2] == "create" {
				joined := *r.URL
				joined.RawPath = templatePaths + parts[0] + "%2F" + strings.Join(parts[1:], "/")
				r = r.WithContext(r.Context())
				r.URL = &joined
			}
		}
		next.ServeHTTP(w, r)
	})
}

func (s *service) loadTemplate(_ context.Context, _ *request, param func(string) string) (any, error) {
	id, err := url.PathUnescape(param("templateId"))
	if err != nil {
		return nil, models.NotFound("template")
	}
	return s.templates.Get(id)
}

type listTemplatesInput struct {
	Industry string `query:"industry" doc:"Templates for this industry."`
}

type listTemplatesOutput struct{ Body TemplateList }

func (s *service) listTemplates(_ context.Context, in *listTemplatesInput) (*listTemplatesOutput, error) {
	if known := s.templates.Industries(); in.Industry != "" && !slices.Contains(known, in.Industry) {
		return nil, invalid([]models.Mistake{{Location: "query.industry", Message: "must be " + words(known)}})
	}
	list := TemplateList{Templates: []TemplateView{}}
	for _, t := range s.templates.Of(in.Industry) {
		list.Templates = append(list.Templates, viewTemplate(t))
	}
	return &listTemplatesOutput{Body: list}, nil
}

type getTemplateInput struct {
	TemplateID string `path:"templateId" doc:"The template's id."`
}

type templateOutput struct{ Body TemplateView }

func (s *service) getTemplate(ctx context.Context, _ *getTemplateInput) (*templateOutput, error) {
	t := loaded[template.Template](ctx)
	v := viewTemplate(t)
	v.Definition = Object(t.Definition)
	v.Example = &TemplateExampleView{Parameters: Object(t.Example.Parameters), ExecutionParameters: Object(t.Example.Execution)}
	return &templateOutput{Body: v}, nil
}

type createPipelineFromTemplateInput struct {
	TemplateID string `path:"templateId" doc:"The template's id."`
	Body       TemplatePipelineBody

	pipeline PipelineBody // what Resolve makes of it
}

// Resolve makes the pipeline's body and finds all that is wrong with it, where the client can see it.
func (in *createPipelineFromTemplateInput) Resolve(ctx huma.Context) []error {
	t := loaded[template.Template](ctx.Context())
	made, err := t.Instantiate(json.RawMessage(in.Body.Parameters), json.RawMessage(in.Body.Customizations))
	if err != nil {
		return []error{err}
	}
	in.pipeline = PipelineBody{
		Name: in.Body.PipelineName, Version: t.Version, Description: t.Description, Tags: t.Tags(), Definition: Object(made.Definition()),
	}
	const at = "definition"
	found, err := checkDefinition(ctx.Context(), made.Definition(), at)
	if err != nil {
		return []error{err}
	}
	mistakes := slices.Concat(checkLine("body.pipelineName", in.Body.PipelineName), made.Mistakes, made.Blame(found, at))
	if len(mistakes) == 0 {
		return nil
	}
	return []error{invalid(mistakes)}
}

func (s *service) createPipelineFromTemplate(ctx context.Context, in *createPipelineFromTemplateInput) (*pipelineOutput, error) {
	return newPipeline(ctx, requestOf(ctx).store, in.pipeline)
}

func viewTemplate(t template.Template) TemplateView {
	v := TemplateView{
		ID: t.ID, Name: t.Name, Industry: t.Industry, Version: t.Version, Description: t.Description,
		Compliance: append([]string{}, t.Compliance...), Parameters: []TemplateParameterView{},
	}
	for _, p := range t.Parameters {
		v.Parameters = append(v.Parameters, viewTemplateParameter(p))
	}
	return v
}

func viewTemplateParameter(p definition.Parameter) TemplateParameterView {
	v := TemplateParameterView{Name: p.Name, Type: string(p.Type), Required: p.Required, Description: p.Description}
	if p.Default != nil {
		v.Default = p.Default
	}
	return v
}
