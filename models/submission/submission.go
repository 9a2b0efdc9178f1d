// Package submission makes executions of pipelines ready for the store, by the same rules for whoever asks for them:
// a person, a schedule or a backfill.
package submission

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"time"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/definition"
	"github.com/matih/pipeline-service/models/store"
)

// Defaults are what holds where definitions and pipelines say nothing.
type Defaults struct {
	Engine models.Engine
	// Airflow says whether there is one to run executions on.
	Airflow bool
	// Estimate is how long an execution is expected to take before its pipeline has completed any.
	Estimate time.Duration
}

// EngineOf is what an execution runs on: the override if there is one, else the definition's engine, else the default.
// Error: CodeAirflowNotConfigured.
func (d Defaults) EngineOf(override models.Engine, def *definition.Definition) (models.Engine, error) {
	engine := d.Engine
	if def.Orchestration.Engine != "" {
		engine = def.Orchestration.Engine
	}
	if override != "" {
		engine = override
	}
	if engine == models.EngineAirflow && !d.Airflow {
		return "", models.Errorf(models.CodeAirflowNotConfigured, "this service has no Airflow to run executions on")
	}
	return engine, nil
}

// Check binds parameters to a definition and looks for the connections that it then needs: those that a parameter names
// are known only now, and others may have been deleted. The error holds all mistakes, parameters' below at.
func Check(ctx context.Context, t *store.Tenant, def *definition.Definition, parameters json.RawMessage, b definition.Builtins, at string) error {
	values, err := def.Bind(parameters, b, at)
	if err != nil {
		return err
	}
	rendered, err := def.Render(values)
	if err != nil {
		return err
	}
	mistakes, err := CheckConnections(ctx, t, rendered.Connections("definition"))
	if err != nil || len(mistakes) == 0 {
		return err
	}
	invalid := models.Errorf(models.CodeInvalidDefinition, "the pipeline's definition needs what is not there")
	invalid.Mistakes = mistakes
	return invalid
}

// CheckConnections finds uses of connections that the tenant does not have, whether somebody else does or not, or that
// lead to another kind of system than the use needs.
func CheckConnections(ctx context.Context, t *store.Tenant, uses []definition.ConnectionUse) ([]models.Mistake, error) {
	refs := map[string]bool{}
	for _, use := range uses {
		refs[use.Ref] = true
	}
	found, err := t.ConnectionsByRef(ctx, slices.Sorted(maps.Keys(refs)))
	if err != nil {
		return nil, err
	}
	return definition.ConnectionMistakes(uses, found), nil
}

// Request asks for an execution of a pipeline.
type Request struct {
	ID         string // of the execution
	PipelineID string
	Version    int // of the definition; 0 is the current one
	Parameters json.RawMessage
	Priority   models.Priority
	Trigger    models.Trigger
	// ExecutionDate is the time that the execution stands for, SubmittedAt the present.
	ExecutionDate   time.Time
	SubmittedAt     time.Time
	SubmittedBy     string
	ScheduleID      string
	BackfillID      string
	BackfillAttempt int
}

// Prepare checks a request and makes its execution, ready for the store. Errors: CodeNotFound (archived pipelines,
// too), CodePipelinePaused, CodeInvalidParameters, CodeInvalidDefinition, CodeAirflowNotConfigured.
func (d Defaults) Prepare(ctx context.Context, t *store.Tenant, r Request) (models.Execution, error) {
	p, err := t.Pipeline(ctx, r.PipelineID)
	if err != nil {
		return models.Execution{}, err
	}
	if p.Status == models.PipelineArchived {
		return models.Execution{}, models.NotFound("pipeline")
	}
	if r.Version == 0 {
		r.Version = p.Version
	}
	doc := p.Definition
	if r.Version != p.Version {
		v, err := t.PipelineVersion(ctx, p.ID, r.Version)
		if err != nil {
			return models.Execution{}, err
		}
		doc = v.Definition
	}
	def, err := definition.Parse(doc, "definition")
	if err != nil {
		return models.Execution{}, err
	}
	err = Check(ctx, t, def, r.Parameters, definition.Builtins{
		ExecutionID: r.ID, ExecutionDate: r.ExecutionDate, Tenant: p.Tenant,
	}, "parameters")
	if err != nil {
		return models.Execution{}, err
	}
	engine, err := d.EngineOf("", def)
	if err != nil {
		return models.Execution{}, err
	}
	return d.Execution(p, def, engine, r), nil
}

// Execution makes the execution of a request that was checked.
func (d Defaults) Execution(p models.Pipeline, def *definition.Definition, engine models.Engine, r Request) models.Execution {
	if r.Priority == "" {
		r.Priority = models.PriorityNormal
	}
	return models.Execution{
		ID: r.ID, Tenant: p.Tenant, PipelineID: p.ID, PipelineName: p.Name, Version: r.Version,
		Status: models.ExecutionQueued, Engine: engine, Priority: r.Priority, Trigger: r.Trigger,
		Parameters: r.Parameters, ExecutionDate: r.ExecutionDate,
		EstimatedDuration: d.Estimate, MaxActiveRuns: def.Orchestration.MaxActiveRuns,
		ScheduleID: r.ScheduleID, BackfillID: r.BackfillID, BackfillAttempt: r.BackfillAttempt,
		SubmittedBy: r.SubmittedBy, SubmittedAt: r.SubmittedAt,
	}
}
