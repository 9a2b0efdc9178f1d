package task

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/matih/pipeline-service/activities/plan"
	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/definition"
	"github.com/matih/pipeline-service/models/store"
	protocol "github.com/matih/pipeline-service/models/task"
)

// Specs makes the descriptions that task processes get.
type Specs struct {
	Store *store.Store
	// StagingDir is the root of the staged data: <tenant>/<execution>/<task>/<attempt>/.
	StagingDir string
	Limits     protocol.Limits
	Secrets    protocol.Secrets
	// Access tells what a tenant's tasks may reach.
	Access func(models.TenantID) protocol.Access
}

// Scratch files and quarantined rows lie beside the tenants' directories; no tenant's id looks
// like these names.
const (
	scratchDir    = ".scratch"
	quarantineDir = "quarantine"
)

// Build makes the description of one attempt of a task.
func (s *Specs) Build(ctx context.Context, p *plan.Plan, node definition.Node, attempt int) (protocol.Spec, error) {
	outputs := map[string]string{}
	if from := sourcesOf(node); len(from) > 0 {
		var err error
		if outputs, err = s.Store.ForTenant(p.Execution.Tenant).TaskOutputs(ctx, p.Execution.ID, from); err != nil {
			return protocol.Spec{}, err
		}
	}
	spec, err := s.build(ctx, p, node, attempt, outputs)
	switch {
	case err != nil:
		return spec, err
	case spec.Source != nil:
		return spec, s.addCursor(ctx, &spec)
	case spec.Sink != nil:
		return spec, s.addPublication(ctx, &spec, p.Definition)
	default:
		return spec, nil
	}
}

// build makes a description of a task whose inputs are in the outputs of the tasks before it.
func (s *Specs) build(ctx context.Context, p *plan.Plan, node definition.Node, attempt int, outputs map[string]string) (protocol.Spec, error) {
	e := p.Execution
	number := strconv.Itoa(attempt)
	spec := protocol.Spec{
		Tenant: e.Tenant, Pipeline: e.PipelineID, Execution: e.ID, Task: node.Name, Kind: node.Kind, Attempt: attempt,
		Scratch: s.scratch(e.ID + "-" + node.Name + "-" + number),
		Limits:  s.Limits,
	}
	if err := s.addInputs(&spec, node, outputs); err != nil {
		return spec, err
	}
	d := p.Definition
	switch node.Kind {
	case models.TaskSource:
		spec.Source = find(d.Sources, func(x *definition.Source) bool { return x.Name == node.Name })
		spec.Output = s.newOutput(e, node.Name, number)
		return spec, s.addConnection(ctx, &spec, spec.Source.Connection)
	case models.TaskTransformation:
		spec.Transformation = find(d.Transformations, func(x *definition.Transformation) bool { return x.Name == node.Name })
		spec.Output = s.newOutput(e, node.Name, number)
		s.enclose(&spec, e)
		return spec, nil
	case models.TaskCheck:
		spec.Check = find(d.QualityChecks, func(x *definition.QualityCheck) bool { return x.Name == node.Name })
		if spec.Check.OnFailure == definition.OnFailureQuarantine {
			spec.Output = s.newOutput(e, node.Name, number)
			spec.Quarantine = filepath.Join(s.StagingDir, quarantineDir, string(e.Tenant), e.ID, node.Name, number)
			return spec, nil // it writes outside the enclosure
		}
		s.enclose(&spec, e)
		return spec, nil
	case models.TaskSink:
		spec.Sink = find(d.Sinks, func(x *definition.Sink) bool { return x.Name == node.Name })
		return spec, s.addConnection(ctx, &spec, spec.Sink.Connection)
	default:
		return spec, fmt.Errorf("a task of kind %q cannot be run", node.Kind)
	}
}

// BuildTest makes the description of a connection's test.
func (s *Specs) BuildTest(ctx context.Context, tenant models.TenantID, connection string) (protocol.Spec, error) {
	c, err := s.Store.ForTenant(tenant).Connection(ctx, connection)
	if err != nil {
		return protocol.Spec{}, err
	}
	return protocol.Spec{
		Tenant: tenant, Task: c.Name, Kind: models.TaskConnectionTest, Attempt: 1, Connection: &c,
		Scratch: s.scratch(models.NewID("test-")),
		Limits:  s.Limits, Secrets: s.Secrets, Access: s.Access(tenant),
	}, nil
}

// BuildNotification makes the description of an attempt to tell a webhook.
func (s *Specs) BuildNotification(n models.Notification, url string, body json.RawMessage) protocol.Spec {
	return protocol.Spec{
		Tenant: n.Tenant, Pipeline: n.PipelineID, Execution: n.ExecutionID, Task: n.ID, Kind: models.TaskNotification, Attempt: 1,
		Notification: &protocol.Notification{ID: n.ID, Event: n.Event, URL: url, Body: body},
		Scratch:      s.scratch(models.NewID("notify-")),
		Limits:       s.Limits, Secrets: s.Secrets, Access: s.Access(n.Tenant),
	}
}

// addInputs names the staged rows a task reads: the output of the attempt that succeeded.
func (s *Specs) addInputs(spec *protocol.Spec, node definition.Node, outputs map[string]string) error {
	for _, in := range node.Inputs {
		output, ok := outputs[in.From]
		if !ok {
			return fmt.Errorf("task %s has left no output for %s", in.From, node.Name)
		}
		spec.Inputs = append(spec.Inputs, protocol.Input{Name: in.Name, Dir: filepath.Join(s.StagingDir, output)})
	}
	return nil
}

// sourcesOf names the tasks whose output a task reads.
func sourcesOf(node definition.Node) []string {
	from := make([]string, len(node.Inputs))
	for i, in := range node.Inputs {
		from[i] = in.From
	}
	return from
}

// addConnection gives a task its connection, the way to its secrets, and what it may reach. Only
// tasks that talk to a system get any of these.
func (s *Specs) addConnection(ctx context.Context, spec *protocol.Spec, ref string) error {
	found, err := s.Store.ForTenant(spec.Tenant).ConnectionsByRef(ctx, []string{ref})
	if err != nil {
		return err
	}
	c, ok := found[ref]
	if !ok {
		return models.Errorf(models.CodeNotFound, "the connection %q no longer exists; create it again or change the definition", ref)
	}
	spec.Connection, spec.Secrets, spec.Access = &c, s.Secrets, s.Access(spec.Tenant)
	return nil
}

func (s *Specs) newOutput(e models.Execution, task, attempt string) string {
	return filepath.Join(s.enclosure(e), task, attempt)
}

// enclose lets the task share a process with others of its execution, if that has all it reads.
func (s *Specs) enclose(spec *protocol.Spec, e models.Execution) {
	enclosure := s.enclosure(e)
	for _, in := range spec.Inputs {
		if !strings.HasPrefix(in.Dir, enclosure+string(filepath.Separator)) {
			return
		}
	}
	spec.Enclosure = enclosure
}

// enclosure holds all that an execution stages.
func (s *Specs) enclosure(e models.Execution) string {
	return filepath.Join(s.StagingDir, string(e.Tenant), e.ID)
}

func (s *Specs) scratch(name string) string { return filepath.Join(s.StagingDir, scratchDir, name) }

// output is where a task's rows are, relative to the staging root.
func (s *Specs) output(spec protocol.Spec, result *protocol.Result) (string, error) {
	dir := spec.Output
	if result.PassThrough {
		dir = spec.Inputs[0].Dir
	}
	if dir == "" {
		return "", nil
	}
	return filepath.Rel(s.StagingDir, dir)
}

// find returns a copy of the item that matches; the caller knows that one does.
func find[T any](items []T, match func(*T) bool) *T {
	for i := range items {
		if match(&items[i]) {
			item := items[i]
			return &item
		}
	}
	return nil
}
