package task

import (
	"context"
	"log/slog"
	"time"

	"go.temporal.io/sdk/activity"

	"github.com/matih/pipeline-service/activities/failure"
	"github.com/matih/pipeline-service/activities/openlineage"
	"github.com/matih/pipeline-service/activities/plan"
	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/contract"
	"github.com/matih/pipeline-service/models/store"
	protocol "github.com/matih/pipeline-service/models/task"
)

// heartbeatEvery is how often a task says that it is alive, whatever its process does.
const heartbeatEvery = 2 * time.Second

// Runner runs one task in a process that is not the worker.
type Runner interface {
	Run(ctx context.Context, spec protocol.Spec, on func(protocol.Message)) (*protocol.Result, *protocol.Failure)
}

var _ Runner = (*Pool)(nil)

// Notifier starts what an execution's webhooks are to be told.
type Notifier interface {
	Send(ctx context.Context, tenant models.TenantID, execution string)
}

// Tasks runs tasks of executions.
type Tasks struct {
	Store  *store.Store
	Plans  *plan.Loader
	Runner Runner
	Specs  *Specs
	// Notifier is told when a first task has started.
	Notifier Notifier
	Log      *slog.Logger
	// Events is told when attempts start and end; nil where nobody wants to know.
	Events *openlineage.Emitter
}

// RunTask runs one task of an execution to its end and writes down how it went. Each attempt works
// in directories of its own, so one that was given up cannot disturb the next.
func (a *Tasks) RunTask(ctx context.Context, in contract.RunTaskInput) (contract.RunTaskResult, error) {
	p, err := a.Plans.Load(ctx, in.Tenant, in.ExecutionID)
	if err != nil {
		if why := plan.Failure(err); why != nil {
			return contract.RunTaskResult{}, failure.Final(why)
		}
		return contract.RunTaskResult{}, err
	}
	node, ok := p.Node(in.Task)
	if !ok {
		return contract.RunTaskResult{}, failure.Final(&models.ExecutionError{Task: in.Task,
			Class: models.ClassInternal, Message: "the definition has no such task"})
	}
	attempt := in.Round*p.Definition.Orchestration.RetryPolicy.MaxAttempts + int(activity.GetInfo(ctx).Attempt)
	t := &attemptRun{
		tenant: a.Store.ForTenant(in.Tenant), execution: in.ExecutionID, id: in.Tenant, log: a.Log, events: a.Events,
		run:  models.TaskRun{Name: node.Name, Kind: node.Kind, State: models.TaskRunning, Attempts: attempt, StartedAt: time.Now()},
		mask: p.Definition.Orchestration.Approval.Mask, approve: p.NeedsApproval(node.Name),
	}
	if err := t.tenant.StartTask(ctx, in.ExecutionID, t.run); err != nil {
		if models.CodeOf(err) == models.CodeExecutionClosed || models.CodeOf(err) == models.CodeConflict {
			return contract.RunTaskResult{}, failure.Final(&models.ExecutionError{Task: node.Name,
				Class: models.ClassInternal, Message: "the execution has ended, or a later attempt runs"})
		}
		return contract.RunTaskResult{}, err
	}
	a.Events.TaskStarted(in.Tenant, in.ExecutionID, t.run)
	if p.Notifies(models.EventStarted) {
		a.Notifier.Send(ctx, in.Tenant, in.ExecutionID)
	}
	spec, err := a.Specs.Build(ctx, p, node, attempt)
	if err != nil {
		return contract.RunTaskResult{}, t.fail(ctx, specFailure(err))
	}
	result, fail := a.runProcess(ctx, time.Duration(p.Definition.Orchestration.TaskTimeout), spec, t)
	if fail != nil {
		return contract.RunTaskResult{}, t.fail(ctx, fail)
	}
	output, err := a.Specs.output(spec, result)
	if err != nil {
		lost := internal(err.Error())
		lost.Usage = result.Usage
		return contract.RunTaskResult{}, t.fail(ctx, lost)
	}
	t.run.Batch = batchOf(spec, result)
	return t.succeed(ctx, output, result)
}

// runProcess runs the task process and keeps Temporal and the store informed meanwhile.
func (a *Tasks) runProcess(ctx context.Context, timeout time.Duration, spec protocol.Spec, t *attemptRun) (*protocol.Result, *protocol.Failure) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()

	ended := make(chan struct{})
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		t.watch(ctx, ended)
	}()
	result, fail := a.Runner.Run(ctx, spec, t.receive)
	close(ended)
	<-watched
	return result, fail
}

// specFailure says why a task's description could not be made.
func specFailure(err error) *protocol.Failure {
	switch models.CodeOf(err) {
	case models.CodeNotFound, models.CodeInvalidDefinition, models.CodeStagedDataExpired:
		return &protocol.Failure{Class: models.ClassInvalidDefinition, Message: err.Error()}
	default:
		return internal(err.Error())
	}
}
