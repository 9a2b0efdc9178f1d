package api

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/matih/pipeline-service/api/auth"
	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/definition"
	"github.com/matih/pipeline-service/models/lineage"
	"github.com/matih/pipeline-service/models/store"
	"github.com/matih/pipeline-service/models/submission"
)

// busyAfter is how long a client should wait where no worker had time.
const busyAfter = 5 * time.Second

// PlanBody is a definition to be looked at.
type PlanBody struct {
	Name       string `json:"name,omitempty" maxLength:"200" doc:"Of the pipeline it is for; operators see it."`
	PipelineID string `json:"pipelineId,omitempty" doc:"The pipeline it would be the next version of; none for a new pipeline."`
	Definition Object `json:"definition" doc:"As for a pipeline."`
	Parameters Object `json:"parameters,omitempty" doc:"As for an execution."`
	Sample     int    `json:"sample,omitempty" minimum:"0" maximum:"100" doc:"How many rows of every step to show. Columns of orchestration.approval.mask are hidden. With an Idempotency-Key they are kept for a day, as every answer is."`
}

func (s *service) registerPlans() {
	register(s, operation{
		Operation: huma.Operation{
			OperationID: "planPipeline", Method: http.MethodPost, Path: "/v1/pipelines/plan", DefaultStatus: http.StatusOK,
			Tags: []string{"Pipelines"}, Summary: "Plan a pipeline",
			Description: "Checks a definition as creating a pipeline does, then looks at it where the workers are: sources are asked for a " +
				"thousand rows at most, steps are tried on these, sinks are compared with what is there. Nothing is published and nothing is kept. " +
				"Takes up to a minute.",
		},
		Scope: auth.ScopeWrite, YAML: true, Example: examplePlan, Answer: examplePlanned,
		Codes: []models.Code{models.CodeInvalidDefinition, models.CodeInvalidParameters, models.CodeNotFound},
	}, s.planPipeline)
}

type planInput struct {
	Body PlanBody

	draft draft
}

// draft is a definition that is planned.
type draft struct {
	name       string
	pipeline   *models.Pipeline // whose next version it would be, nil for a new one
	document   json.RawMessage
	definition *definition.Definition
	parameters json.RawMessage
	// rendered is the definition with its parameters, nil where some have no value; missing says which. Without them
	// nothing can be tried.
	rendered *definition.Definition
	missing  string
	sample   int
}

// Resolve checks what the schema cannot.
func (in *planInput) Resolve(ctx huma.Context) []error {
	r, b := requestOf(ctx.Context()), &in.Body
	in.draft = draft{name: b.Name, sample: b.Sample}
	if b.PipelineID != "" {
		p, err := findPipeline(ctx.Context(), r, b.PipelineID)
		if err == nil && p.Status == models.PipelineArchived {
			err = models.NotFound("pipeline")
		}
		if err != nil {
			return []error{err}
		}
		in.draft.pipeline = &p
	}
	if len(b.Parameters) > 0 && !b.Parameters.given() {
		b.Parameters = nil // null is none; anything else is the schema's mistake
	}
	mistakes := checkText("body.name", b.Name)
	if b.Definition.given() {
		found, err := checkDefinition(ctx.Context(), json.RawMessage(b.Definition), "body.definition")
		if err != nil {
			return []error{err}
		}
		mistakes = append(mistakes, found...)
	}
	if len(mistakes) > 0 {
		return []error{invalid(mistakes)}
	}
	if !b.Definition.given() {
		return nil // the schema's mistake
	}
	if err := in.draft.read(b.Definition, b.Parameters); err != nil {
		return []error{err}
	}
	if err := in.draft.bind(ctx.Context(), "body.parameters"); err != nil {
		return []error{err}
	}
	return nil
}

// read takes a definition that was checked.
func (d *draft) read(document, parameters Object) (err error) {
	if d.document, err = definition.Canonical(document); err != nil {
		return err
	}
	d.parameters = json.RawMessage(parameters)
	d.definition, err = definition.Parse(d.document, "body.definition")
	return err
}

// bind puts the parameters in and looks for the connections that are needed then.
func (d *draft) bind(ctx context.Context, at string) error {
	values, err := d.definition.Bind(d.parameters, plannedNow(ctx), at)
	if err != nil {
		return err
	}
	rendered, err := d.definition.Render(values)
	if err != nil {
		return err
	}
	mistakes, err := checkConnections(ctx, rendered.Connections("body.definition"))
	if err != nil || len(mistakes) > 0 {
		return cmp.Or(err, error(invalid(mistakes)))
	}
	d.rendered = rendered
	return nil
}

// plannedNow is what holds for an execution that would begin now.
func plannedNow(ctx context.Context) definition.Builtins {
	r := requestOf(ctx)
	return definition.Builtins{ExecutionID: models.NewID(models.PrefixPlan), ExecutionDate: r.api.Now().UTC(), Tenant: r.tenant}
}

type planOutput struct{ Body PlanView }

func (s *service) planPipeline(ctx context.Context, in *planInput) (*planOutput, error) {
	view, err := s.plan(ctx, in.draft)
	if err != nil {
		return nil, err
	}
	return &planOutput{Body: *view}, nil
}

// planSaved plans what was asked to be saved, after the store has found that it could be. A definition whose parameters
// have values only at an execution is not tried.
func (s *service) planSaved(ctx context.Context, b PipelineBody, before *models.Pipeline) (*PlanView, error) {
	d := draft{name: b.Name, pipeline: before}
	if err := d.read(b.Definition, nil); err != nil {
		return nil, err
	}
	err := d.bind(ctx, "parameters")
	if models.CodeOf(err) == models.CodeInvalidParameters {
		d.missing, err = submission.Reason(err), nil
	}
	if err != nil {
		return nil, err
	}
	return s.plan(ctx, d)
}

// plan finds out what a definition would do.
func (s *service) plan(ctx context.Context, d draft) (*PlanView, error) {
	view := &PlanView{
		Steps: []PlannedStepView{}, Sinks: []PlannedSinkView{}, Schedules: []PlannedScheduleView{}, Downstream: []RelatedView{},
	}
	if err := view.compare(d); err != nil {
		return nil, err
	}
	found, err := s.inspect(ctx, d)
	if err != nil {
		return nil, err
	}
	view.addSteps(d, found)
	if err := s.addEstimate(ctx, view, d); err != nil {
		return nil, err
	}
	if err := addSchedules(ctx, view, d); err != nil {
		return nil, err
	}
	return view, addDownstream(ctx, view, d)
}

// inspect has the workers look at the steps and returns what they found, by step.
func (s *service) inspect(ctx context.Context, d draft) (map[string]models.PlannedStep, error) {
	if d.rendered == nil || len(d.definition.Graph()) == 0 {
		return nil, nil
	}
	r := requestOf(ctx)
	p := models.Plan{
		ID: models.NewID(models.PrefixPlan), Tenant: r.tenant, Definition: d.document, Parameters: d.parameters, Sample: d.sample,
		CreatedAt: s.Now().UTC(),
	}
	if d.pipeline != nil {
		p.PipelineID = d.pipeline.ID
	}
	if err := r.store.CreatePlan(ctx, p); err != nil {
		return nil, err
	}
	defer s.forget(ctx, r.store, p.ID)
	if err := s.Gateway.Plan(ctx, p, d.name); err != nil {
		return nil, err
	}
	steps, err := r.store.PlannedSteps(ctx, p.ID)
	if err != nil {
		return nil, err
	}
	if len(steps) == 0 {
		return nil, &models.Error{Code: models.CodeUnavailable, Message: "no worker had time to look at the plan", RetryAfter: busyAfter}
	}
	found := make(map[string]models.PlannedStep, len(steps))
	for _, step := range steps {
		found[step.Name] = step
	}
	return found, nil
}

// forget removes a plan, even where its client has gone. What is left after a failure maintenance removes.
func (s *service) forget(ctx context.Context, t *store.Tenant, id string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTimeout)
	defer cancel()
	if err := t.DeletePlan(ctx, id); err != nil {
		s.Log.WarnContext(ctx, "a plan was not removed", "plan", id, "error", err)
	}
}

// addEstimate says what executions of the pipeline have taken and cost, or the default for one that has none.
func (s *service) addEstimate(ctx context.Context, view *PlanView, d draft) error {
	estimate := s.Submission.Estimate
	if d.pipeline != nil {
		engine := d.definition.Orchestration.Engine
		if engine == "" {
			engine = s.Submission.Engine
		}
		usual, micros, err := requestOf(ctx).store.Estimate(ctx, d.pipeline.ID, engine)
		if err != nil {
			return err
		}
		if usual > 0 {
			estimate = usual
		}
		view.Estimate.CostUsd = estimatedCost(models.Execution{EstimatedCostMicros: micros})
	}
	view.Estimate.DurationMs = estimate.Milliseconds()
	return nil
}

// maxPlannedSchedules bounds the schedules that a plan names.
const maxPlannedSchedules = 200

// addSchedules names the schedules that would execute the definition, and those for which it would not work.
func addSchedules(ctx context.Context, view *PlanView, d draft) error {
	if d.pipeline == nil {
		return nil
	}
	found, err := requestOf(ctx).store.Schedules(ctx, d.pipeline.ID, models.Page{Size: maxPlannedSchedules})
	if err != nil {
		return err
	}
	for _, schedule := range found.Items {
		v := PlannedScheduleView{ScheduleID: schedule.ID, Enabled: schedule.Enabled}
		_, err := d.definition.Bind(schedule.Parameters, plannedNow(ctx), "parameters")
		if v.Problem = submission.Reason(err); v.Problem != "" {
			view.Valid = false
		}
		view.Schedules = append(view.Schedules, v)
	}
	return nil
}

// plannedDepth is how many pipelines away a plan looks for those that read what the definition would write.
const plannedDepth = 10

// addDownstream names the pipelines that would read what the definition writes, from one another, too.
func addDownstream(ctx context.Context, view *PlanView, d draft) error {
	t := requestOf(ctx).store
	written := d.definition
	if d.rendered != nil {
		written = d.rendered
	}
	connections, err := t.ConnectionsByRef(ctx, lineage.Refs(written))
	if err != nil {
		return err
	}
	own := ""
	if d.pipeline != nil {
		own = d.pipeline.ID
	}
	w := walk{store: t, wanted: lineage.Reads, seen: map[string]bool{own: true}}
	found, err := w.run(ctx, map[string][]lineage.Dataset{own: lineage.Datasets(written, connections)}, plannedDepth)
	view.Downstream = append(view.Downstream, found...)
	return err
}
