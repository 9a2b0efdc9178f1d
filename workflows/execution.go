package workflows

import (
	"errors"
	"fmt"
	"strings"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/contract"
)

// Execution runs one execution of a pipeline from QUEUED to its terminal state. It fails only when
// the end could not be recorded; a failed execution is a completed workflow that says FAILED.
func Execution(ctx workflow.Context, in contract.ExecutionInput) (contract.ExecutionResult, error) {
	e := &execution{in: in}
	if err := workflow.SetQueryHandler(ctx, contract.ProgressQuery, e.progress); err != nil {
		return contract.ExecutionResult{}, err
	}
	result, err := e.run(ctx)
	if err != nil {
		return contract.ExecutionResult{}, err // continue as new
	}
	if e.plan.Closed != "" {
		return result, nil
	}
	return e.finish(ctx, result)
}

// execution is the state of a run of the workflow.
type execution struct {
	in    contract.ExecutionInput
	plan  contract.Plan
	graph *graph

	selector workflow.Selector
	clock    clock
	gates    gates
	// stop ends everything that was started.
	stop workflow.CancelFunc
	// failure is the first task's that ended the execution, rejection that of the first gate; nothing new
	// starts once one is set.
	failure   *models.ExecutionError
	rejection string
	timedOut  bool
	status    models.ExecutionStatus // as operators see it
	// rounds counts, by task, how often its worker was lost.
	rounds map[int]int
}

func (e *execution) run(ctx workflow.Context) (contract.ExecutionResult, error) {
	prepare := withRecordPolicy(ctx, "prepare "+e.in.ExecutionID)
	err := workflow.ExecuteLocalActivity(prepare, contract.PrepareActivity,
		contract.PrepareInput{Tenant: e.in.Tenant, ExecutionID: e.in.ExecutionID}).Get(ctx, &e.plan)
	switch {
	case temporal.IsCanceledError(err):
		return contract.ExecutionResult{Status: models.ExecutionCancelled, Reason: "cancelled before it started"}, nil
	case err != nil:
		return failed(executionError("", err)), nil
	case e.plan.Closed != "":
		return contract.ExecutionResult{Status: e.plan.Closed}, nil
	}
	e.graph = newGraph(e.plan.Tasks)
	e.rounds = map[int]int{}
	e.clock = clock{limit: e.plan.Timeout, started: workflow.GetInfo(ctx).WorkflowStartTime}
	resume := e.in.Resume
	if resume == nil {
		resume = &contract.ExecutionResume{StartedAt: e.clock.started}
	}
	e.clock.started, e.clock.waited = resume.StartedAt, resume.Waited
	e.graph.resume(resume.Done)
	e.gates = newGates(e.plan.Tasks, resume.Approved)
	e.setStatus(ctx, models.ExecutionRunning)
	return e.runTasks(ctx)
}

// runTasks starts tasks as they become ready and waits for all that it started.
func (e *execution) runTasks(ctx workflow.Context) (contract.ExecutionResult, error) {
	tasks, stop := workflow.WithCancel(ctx)
	e.stop = stop
	e.selector = workflow.NewSelector(ctx)
	e.selector.AddReceive(workflow.GetSignalChannel(ctx, contract.ApprovalSignal), func(c workflow.ReceiveChannel, _ bool) {
		var d contract.Decision
		if c.ReceiveAsync(&d) {
			e.signalled(ctx, d)
		}
	})
	e.clock.selector, e.clock.expired = e.selector, func() {
		e.timedOut = ctx.Err() == nil
		stop()
	}
	e.clock.run(ctx)
	defer e.clock.end()
	for {
		stopping := e.failure != nil || e.rejection != "" || e.timedOut || ctx.Err() != nil
		if !stopping && !e.mustRest(ctx) {
			e.startReady(tasks)
		}
		if e.graph.runningCount()+e.graph.heldCount() == 0 {
			if stopping || e.graph.finished() {
				return e.outcome(), nil
			}
			return contract.ExecutionResult{}, e.renew(ctx)
		}
		e.selector.Select(ctx)
	}
}

// mustRest reports whether nothing new may start because the history is long enough to be continued as
// new. While a gate waits that cannot be done, so there the limit is the one that leaves the history room
// for what runs and the decision.
func (e *execution) mustRest(ctx workflow.Context) bool {
	info := workflow.GetInfo(ctx)
	if e.graph.heldCount() > 0 {
		return info.GetCurrentHistoryLength() > maxWaitingHistory
	}
	return info.GetContinueAsNewSuggested()
}

// renew goes on in a new run with a short history.
func (e *execution) renew(ctx workflow.Context) error {
	return workflow.NewContinueAsNewError(ctx, contract.ExecutionWorkflow, contract.ExecutionInput{
		Tenant: e.in.Tenant, ExecutionID: e.in.ExecutionID, Resume: &contract.ExecutionResume{
			StartedAt: e.clock.started, Waited: e.clock.waited,
			Done: e.graph.done(), Approved: e.gates.names(e.plan.Tasks),
		}})
}

// startReady starts what is ready, up to the definition's number of parallel tasks. A sink that needs an
// approval is held back until it has that.
func (e *execution) startReady(ctx workflow.Context) {
	for e.graph.runningCount() < e.plan.MaxParallelTasks {
		i, ok := e.graph.next()
		switch {
		case !ok:
			return
		case e.plan.Tasks[i].Gate && !e.gates.approved[i]:
			e.openGate(ctx, i, "", func(i int) {
				e.gates.approved[i] = true
				e.graph.readmit(i)
			})
		default:
			e.start(ctx, i)
		}
	}
}

func (e *execution) start(ctx workflow.Context, i int) {
	task := e.plan.Tasks[i]
	future := workflow.ExecuteActivity(withTaskPolicy(ctx, e.plan, task), contract.RunTaskActivity,
		contract.RunTaskInput{Tenant: e.in.Tenant, ExecutionID: e.in.ExecutionID, Task: task.Name, Round: e.rounds[i]})
	e.selector.AddFuture(future, func(f workflow.Future) {
		var result contract.RunTaskResult
		err := f.Get(ctx, &result)
		switch {
		case err == nil && result.NeedsApproval && ctx.Err() == nil:
			e.openGate(ctx, i, result.Warning, e.graph.release)
		case err == nil && result.NeedsApproval:
			e.graph.fail(i) // what waits for it must not start
		case err == nil:
			e.graph.succeed(i)
		case workerLost(err) && e.rounds[i] < maxLostWorkers && ctx.Err() == nil:
			e.rounds[i]++
			e.start(ctx, i)
		default:
			e.graph.fail(i)
			if e.failure == nil && ctx.Err() == nil {
				e.failure = executionError(task.Name, err)
				e.stop()
			}
		}
	})
}

// outcome tells how the execution ended. A task that failed counts before a cancellation that came
// after it; tasks that all succeeded count before a cancellation that came too late.
func (e *execution) outcome() contract.ExecutionResult {
	switch {
	case e.failure != nil:
		return failed(e.failure)
	case e.graph.finished():
		return contract.ExecutionResult{Status: models.ExecutionCompleted}
	case e.timedOut:
		return failed(&models.ExecutionError{Class: models.ClassTimeout, Message: fmt.Sprintf(
			"the execution took longer than orchestration.timeout, %s", e.plan.Timeout)})
	case e.rejection != "":
		return contract.ExecutionResult{Status: models.ExecutionCancelled, Reason: e.rejection}
	default:
		return contract.ExecutionResult{Status: models.ExecutionCancelled, Reason: "cancelled on request"}
	}
}

// finish records the end. It does so even when the workflow was cancelled.
func (e *execution) finish(ctx workflow.Context, result contract.ExecutionResult) (contract.ExecutionResult, error) {
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	var recorded contract.ExecutionResult
	err := workflow.ExecuteLocalActivity(withRecordPolicy(ctx, "record "+string(result.Status)), contract.FinishActivity,
		contract.FinishInput{Tenant: e.in.Tenant, ExecutionID: e.in.ExecutionID, Result: result}).Get(ctx, &recorded)
	if err != nil {
		return contract.ExecutionResult{}, err
	}
	e.setStatus(ctx, recorded.Status)
	return recorded, nil
}

// setStatus lets operators find executions by status in Temporal, and see there what one waits for.
func (e *execution) setStatus(ctx workflow.Context, status models.ExecutionStatus) {
	text := string(status)
	if len(e.gates.waiting) > 0 {
		text += ": gates " + strings.Join(e.gates.waiting, ", ")
	}
	workflow.SetCurrentDetails(ctx, text)
	if status == e.status {
		return
	}
	e.status = status
	if err := workflow.UpsertTypedSearchAttributes(ctx, contract.SearchPipelineStatus.ValueSet(string(status))); err != nil {
		workflow.GetLogger(ctx).Error("the search attribute was not set", "error", err)
	}
}

func (e *execution) progress() (contract.Progress, error) {
	if e.graph == nil {
		return contract.Progress{}, nil
	}
	return e.graph.progress(), nil
}

func failed(why *models.ExecutionError) contract.ExecutionResult {
	return contract.ExecutionResult{Status: models.ExecutionFailed, Reason: why.Message, Error: why}
}

// workerLost reports whether an activity ended because nobody was there to say how it went.
func workerLost(err error) bool {
	var timeout *temporal.TimeoutError
	return errors.As(err, &timeout) && timeout.TimeoutType() == enumspb.TIMEOUT_TYPE_HEARTBEAT
}

// executionError reads the class and the message that an activity gave its failure.
func executionError(task string, err error) *models.ExecutionError {
	var app *temporal.ApplicationError
	if errors.As(err, &app) {
		var why models.ExecutionError
		if app.HasDetails() && app.Details(&why) == nil && why.Class != "" {
			return &why
		}
	}
	var timeout *temporal.TimeoutError
	switch {
	case workerLost(err):
		return &models.ExecutionError{Task: task, Class: models.ClassProcessDied, Message: fmt.Sprintf(
			"the worker was lost %d times while it ran this task; look at the workers' memory and health", maxLostWorkers+1)}
	case errors.As(err, &timeout):
		return &models.ExecutionError{Task: task, Class: models.ClassTimeout,
			Message: "the task took longer than orchestration.task_timeout"}
	default:
		return &models.ExecutionError{Task: task, Class: models.ClassInternal,
			Message: "the service failed; its log has the details under this execution's id"}
	}
}
