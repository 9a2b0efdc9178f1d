package workflows

import (
	"errors"
	"fmt"
	"time"

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
	// failure is the first task's that ended the execution; nothing new starts once it is set.
	failure  *models.ExecutionError
	timedOut bool
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
	started := workflow.GetInfo(ctx).WorkflowStartTime
	if resume := e.in.Resume; resume != nil {
		started = resume.StartedAt
		e.graph.resume(resume.Done)
	}
	if err := e.setStatus(ctx, models.ExecutionRunning); err != nil {
		return contract.ExecutionResult{}, err
	}
	return e.runTasks(ctx, started)
}

// runTasks starts tasks as they become ready and waits for all that it started.
func (e *execution) runTasks(ctx workflow.Context, started time.Time) (contract.ExecutionResult, error) {
	tasks, stop := workflow.WithCancel(ctx)
	e.selector = workflow.NewSelector(ctx)
	timers, stopTimer := workflow.WithCancel(ctx)
	defer stopTimer()
	timer := workflow.NewTimerWithOptions(timers, max(e.plan.Timeout-workflow.Now(ctx).Sub(started), time.Millisecond),
		workflow.TimerOptions{Summary: "execution timeout"})
	e.selector.AddFuture(timer, func(f workflow.Future) {
		if f.Get(ctx, nil) == nil {
			e.timedOut = true
			stop()
		}
	})
	for {
		stopping := e.failure != nil || e.timedOut || ctx.Err() != nil
		renew := workflow.GetInfo(ctx).GetContinueAsNewSuggested()
		if !stopping && !renew {
			e.startReady(tasks, stop)
		}
		if e.graph.runningCount() == 0 {
			switch {
			case stopping || e.graph.finished():
				return e.outcome(), nil
			case renew:
				return contract.ExecutionResult{}, workflow.NewContinueAsNewError(ctx, contract.ExecutionWorkflow,
					contract.ExecutionInput{Tenant: e.in.Tenant, ExecutionID: e.in.ExecutionID,
						Resume: &contract.ExecutionResume{StartedAt: started, Done: e.graph.done()}})
			}
		}
		e.selector.Select(ctx)
	}
}

// startReady starts what is ready, up to the definition's number of parallel tasks.
func (e *execution) startReady(ctx workflow.Context, stop workflow.CancelFunc) {
	for e.graph.runningCount() < e.plan.MaxParallelTasks {
		i, ok := e.graph.next()
		if !ok {
			return
		}
		e.start(ctx, i, stop)
	}
}

func (e *execution) start(ctx workflow.Context, i int, stop workflow.CancelFunc) {
	task := e.plan.Tasks[i]
	future := workflow.ExecuteActivity(withTaskPolicy(ctx, e.plan, task), contract.RunTaskActivity,
		contract.RunTaskInput{Tenant: e.in.Tenant, ExecutionID: e.in.ExecutionID, Task: task.Name, Round: e.rounds[i]})
	e.selector.AddFuture(future, func(f workflow.Future) {
		var result contract.RunTaskResult
		err := f.Get(ctx, &result)
		switch {
		case err == nil:
			e.graph.succeed(i)
		case workerLost(err) && e.rounds[i] < maxLostWorkers && ctx.Err() == nil:
			e.rounds[i]++
			e.start(ctx, i, stop)
		default:
			e.graph.fail(i)
			if e.failure == nil && ctx.Err() == nil {
				e.failure = executionError(task.Name, err)
				stop()
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
	return recorded, e.setStatus(ctx, recorded.Status)
}

// setStatus lets operators find executions by status in Temporal.
func (e *execution) setStatus(ctx workflow.Context, status models.ExecutionStatus) error {
	return workflow.UpsertTypedSearchAttributes(ctx, contract.SearchPipelineStatus.ValueSet(string(status)))
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
