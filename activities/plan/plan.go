// Package plan turns an execution into what is to be done: its pinned definition with the
// parameters put in, and the tasks it stands for.
package plan

import (
	"context"
	"errors"
	"fmt"
	"slices"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/definition"
	"github.com/matih/pipeline-service/models/store"
)

// cached is how many executions' plans a worker keeps; one is a few kilobytes.
const cached = 256

// Plan is an execution's rendered definition. It never changes once the execution is submitted, so
// it may be kept as long as it is useful.
type Plan struct {
	Execution  models.Execution // as it was when the plan was made: only its fixed fields may be used
	Definition *definition.Definition
	Nodes      []definition.Node
	Sample     int // of a draft: how many rows of each step are shown
	index      map[string]int
}

// Node returns a task by name.
func (p *Plan) Node(name string) (definition.Node, bool) {
	i, ok := p.index[name]
	if !ok {
		return definition.Node{}, false
	}
	return p.Nodes[i], true
}

// Index is a task's place in Nodes; the name must be a task's.
func (p *Plan) Index(name string) int { return p.index[name] }

// Check returns a quality check by name, nil where there is none.
func (p *Plan) Check(name string) *definition.QualityCheck {
	for i := range p.Definition.QualityChecks {
		if p.Definition.QualityChecks[i].Name == name {
			return &p.Definition.QualityChecks[i]
		}
	}
	return nil
}

// NeedsApproval reports whether a task is a check whose failure people decide about.
func (p *Plan) NeedsApproval(task string) bool {
	c := p.Check(task)
	return c != nil && c.OnFailure == definition.OnFailureApprove
}

// Notifies reports whether a webhook is told of an event.
func (p *Plan) Notifies(event models.Event) bool {
	return slices.ContainsFunc(p.Definition.Orchestration.Notifications, func(n definition.Notification) bool {
		return slices.Contains(n.On, string(event))
	})
}

// Loader makes plans and keeps the latest.
type Loader struct {
	store *store.Store
	plans *lru.Cache[key, *Plan]
}

type key struct {
	tenant    models.TenantID
	execution string
}

// NewLoader returns a loader over a store.
func NewLoader(s *store.Store) (*Loader, error) {
	plans, err := lru.New[key, *Plan](cached)
	if err != nil {
		return nil, err
	}
	return &Loader{store: s, plans: plans}, nil
}

// Load returns the plan of an execution. Errors of the definition or the parameters, which the API
// had accepted, have code CodeInvalidDefinition or CodeInvalidParameters.
func (l *Loader) Load(ctx context.Context, tenant models.TenantID, execution string) (*Plan, error) {
	k := key{tenant, execution}
	if p, ok := l.plans.Get(k); ok {
		return p, nil
	}
	t := l.store.ForTenant(tenant)
	e, err := t.Execution(ctx, execution)
	if err != nil {
		return nil, fmt.Errorf("execution %s: %w", execution, err)
	}
	version, err := t.PipelineVersion(ctx, e.PipelineID, e.Version)
	if err != nil {
		return nil, fmt.Errorf("version %d of %s: %w", e.Version, e.PipelineID, err)
	}
	p, err := build(e, version)
	if err != nil {
		return nil, err
	}
	l.plans.Add(k, p)
	return p, nil
}

func build(e models.Execution, version models.PipelineVersion) (*Plan, error) {
	d, err := definition.Parse(version.Definition, "definition")
	if err != nil {
		return nil, err
	}
	values, err := d.Bind(e.Parameters, definition.Builtins{
		ExecutionID: e.ID, ExecutionDate: e.ExecutionDate, LastRun: e.LastRun, Tenant: e.Tenant,
	}, "parameters")
	if err != nil {
		return nil, err
	}
	rendered, err := d.Render(values)
	if err != nil {
		return nil, err
	}
	p := &Plan{Execution: e, Definition: rendered, Nodes: rendered.Graph()}
	p.index = make(map[string]int, len(p.Nodes))
	for i, n := range p.Nodes {
		p.index[n.Name] = i
	}
	return p, nil
}

// Failure says in a user's words why a plan could not be made, or returns nil where the reason is
// not the definition and trying again may help.
func Failure(err error) *models.ExecutionError {
	var e *models.Error
	if !errors.As(err, &e) {
		return nil
	}
	switch e.Code {
	case models.CodeInvalidDefinition, models.CodeInvalidParameters, models.CodeInvalidRequest:
		return &models.ExecutionError{Class: models.ClassInvalidDefinition, Message: e.Error()}
	default:
		return nil
	}
}
