// Package record keeps the rows of our own database in step with what workflows decide.
package record

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/matih/pipeline-service/activities/checks"
	"github.com/matih/pipeline-service/activities/failure"
	"github.com/matih/pipeline-service/activities/openlineage"
	"github.com/matih/pipeline-service/activities/plan"
	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/contract"
	"github.com/matih/pipeline-service/models/lineage"
	"github.com/matih/pipeline-service/models/store"
)

// Executions records the beginning and the end of executions.
type Executions struct {
	Store *store.Store
	Plans *plan.Loader
	// Notifications tells webhooks of the end.
	Notifications *Notifications
	Log           *slog.Logger
	// Events is told when executions start and end; nil where nobody wants to know.
	Events *openlineage.Emitter
}

// Prepare pins an execution's plan and writes its tasks down. Repeating it is harmless.
func (a *Executions) Prepare(ctx context.Context, in contract.PrepareInput) (contract.Plan, error) {
	t := a.Store.ForTenant(in.Tenant)
	e, err := t.Execution(ctx, in.ExecutionID)
	if err != nil {
		return contract.Plan{}, notThere(err)
	}
	if e.Status.Terminal() {
		return contract.Plan{Closed: e.Status}, nil
	}
	p, err := a.Plans.Load(ctx, in.Tenant, in.ExecutionID)
	if err != nil {
		if why := plan.Failure(err); why != nil {
			return contract.Plan{}, failure.Final(why)
		}
		return contract.Plan{}, err
	}
	tasks := make([]models.TaskRun, len(p.Nodes))
	for i, n := range p.Nodes {
		tasks[i] = models.TaskRun{Name: n.Name, Kind: n.Kind, State: models.TaskPending}
	}
	if err := t.PlanExecution(ctx, in.ExecutionID, tasks); err != nil {
		return contract.Plan{}, err
	}
	if err := watch(ctx, t, p); err != nil {
		return contract.Plan{}, err
	}
	if err := a.noteDatasets(ctx, t, p); err != nil {
		return contract.Plan{}, err
	}
	if e.Status == models.ExecutionQueued {
		a.Events.ExecutionStarted(e.Tenant, e.ID)
	}
	planned := toContract(p)
	if e.RerunOf != "" {
		err = markReused(ctx, t, e.ID, planned.Tasks)
	}
	return planned, err
}

// watch has what the definition promises and whom it notifies looked after from now on.
func watch(ctx context.Context, t *store.Tenant, p *plan.Plan) error {
	var w store.Watch
	o := p.Definition.Orchestration
	if o.SLA != nil {
		w.MaxDuration = time.Duration(o.SLA.MaxDuration)
	}
	for _, n := range o.Notifications {
		var events []models.Event
		for _, on := range n.On {
			events = append(events, models.Event(on))
		}
		w.Notify = append(w.Notify, events)
	}
	if w.MaxDuration == 0 && len(w.Notify) == 0 {
		return nil
	}
	return t.Watch(ctx, p.Execution.ID, w)
}

// noteDatasets keeps what the execution reads and writes by the names its parameters give.
func (a *Executions) noteDatasets(ctx context.Context, t *store.Tenant, p *plan.Plan) error {
	connections, err := t.ConnectionsByRef(ctx, lineage.Refs(p.Definition))
	if err != nil {
		return err
	}
	return t.SetDatasets(ctx, p.Execution.PipelineID, p.Execution.Version, lineage.Datasets(p.Definition, connections))
}

// markReused marks the tasks of a re-run that do not run; its submission has written down which.
func markReused(ctx context.Context, t *store.Tenant, execution string, tasks []contract.PlannedTask) error {
	runs, err := t.TaskRuns(ctx, execution)
	if err != nil {
		return err
	}
	reused := make(map[string]bool, len(runs))
	for _, run := range runs {
		reused[run.Name] = run.State == models.TaskReused
	}
	for i := range tasks {
		tasks[i].Reused = reused[tasks[i].Name]
	}
	return nil
}

// notThere makes a missing execution final: no retry brings a row back.
func notThere(err error) error {
	if models.CodeOf(err) == models.CodeNotFound || models.CodeOf(err) == models.CodeInvalidTenant {
		return failure.Final(&models.ExecutionError{Class: models.ClassInternal, Message: "the execution is not in the database"})
	}
	return err
}

func toContract(p *plan.Plan) contract.Plan {
	o := p.Definition.Orchestration
	out := contract.Plan{
		Pipeline:   p.Execution.PipelineName,
		PipelineID: p.Execution.PipelineID,
		Engine:     p.Execution.Engine,
		Priority:   p.Execution.Priority,
		Tasks:      make([]contract.PlannedTask, len(p.Nodes)),
		Retry: contract.RetryPolicy{
			MaxAttempts:        o.RetryPolicy.MaxAttempts,
			InitialInterval:    time.Duration(o.RetryPolicy.InitialInterval),
			BackoffCoefficient: o.RetryPolicy.BackoffCoefficient,
			MaxInterval:        time.Duration(o.RetryPolicy.MaxInterval),
		},
		Timeout:          time.Duration(o.Timeout),
		TaskTimeout:      time.Duration(o.TaskTimeout),
		MaxParallelTasks: o.MaxParallelTasks,
		SubmittedBy:      p.Execution.SubmittedBy,
		Approval:         approvalPolicy(o.Approval),
	}
	for i, n := range p.Nodes {
		task := contract.PlannedTask{Name: n.Name, Kind: n.Kind, Gate: slices.Contains(o.Approval.Before, n.Name)}
		for _, before := range n.After {
			task.After = append(task.After, p.Index(before))
		}
		out.Tasks[i] = task
	}
	return out
}

// Finish records an execution's end, once: where one is recorded already it stays and is returned.
func (a *Executions) Finish(ctx context.Context, in contract.FinishInput) (contract.ExecutionResult, error) {
	now, t := time.Now(), a.Store.ForTenant(in.Tenant)
	p, err := a.Plans.Load(ctx, in.Tenant, in.ExecutionID)
	if err != nil && plan.Failure(err) == nil { // without a plan nothing has run
		return contract.ExecutionResult{}, notThere(err)
	}
	end := store.ExecutionEnd{
		Status: in.Result.Status, Reason: in.Result.Reason, Error: in.Result.Error, At: now,
		Lines: []models.LogLine{endLine(in.Result, now)},
	}
	if p != nil {
		if end.Checks, err = checks.Failed(ctx, t, p); err != nil {
			return contract.ExecutionResult{}, notThere(err)
		}
	}
	e, err := t.FinishExecution(ctx, in.ExecutionID, end)
	if err != nil {
		return contract.ExecutionResult{}, notThere(err)
	}
	a.Events.ExecutionEnded(e)
	if p != nil && len(p.Definition.Orchestration.Notifications) > 0 {
		a.Notifications.Send(ctx, in.Tenant, e.ID)
	}
	a.Log.InfoContext(ctx, "execution ended", "tenant", in.Tenant, "execution", e.ID, "pipeline", e.PipelineID,
		"status", e.Status, "reason", e.StatusReason)
	return contract.ExecutionResult{Status: e.Status, Reason: e.StatusReason, Error: e.Error}, nil
}

func endLine(r contract.ExecutionResult, at time.Time) models.LogLine {
	line := models.LogLine{Time: at, Level: "INFO", Message: "execution " + string(r.Status)}
	switch {
	case r.Error != nil && r.Error.Task != "":
		line.Level, line.Message = "ERROR", fmt.Sprintf("execution %s: task %s: %s: %s", r.Status, r.Error.Task, r.Error.Class, r.Error.Message)
	case r.Error != nil:
		line.Level, line.Message = "ERROR", fmt.Sprintf("execution %s: %s: %s", r.Status, r.Error.Class, r.Error.Message)
	case r.Reason != "":
		line.Message += ": " + r.Reason
	}
	return line
}
