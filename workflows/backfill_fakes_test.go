package workflows_test

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/contract"
)

// executionTypes stand in for the workflows that schedules and backfills start: executions take as long and end as they
// are told to, unless a CancellationWorkflow ends them.
type executionTypes struct {
	takes time.Duration
	ends  map[string]models.ExecutionStatus // by id; COMPLETED where nothing is said
	lost  map[string]bool                   // those whose workflow tells nothing
	// toCancel were asked to be CANCELLING, cancelled are those that a CancellationWorkflow ended.
	toCancel  []contract.RequestCancelInput
	cancelled []string
	running   map[string]bool
	most      int // at once
}

func newExecutionTypes() executionTypes {
	return executionTypes{
		takes: time.Hour, ends: map[string]models.ExecutionStatus{}, lost: map[string]bool{}, running: map[string]bool{},
	}
}

func (x *executionTypes) register(env *testsuite.TestWorkflowEnvironment) {
	env.RegisterWorkflowWithOptions(func(ctx workflow.Context, in contract.ExecutionInput) (contract.ExecutionResult, error) {
		if x.lost[in.ExecutionID] {
			return contract.ExecutionResult{}, &temporal.ChildWorkflowExecutionAlreadyStartedError{}
		}
		if slices.Contains(x.cancelled, in.ExecutionID) {
			return contract.ExecutionResult{Status: models.ExecutionCancelled}, nil
		}
		x.running[in.ExecutionID] = true
		x.most = max(x.most, len(x.running))
		err := workflow.Sleep(ctx, x.takes)
		delete(x.running, in.ExecutionID)
		return contract.ExecutionResult{Status: cmp.Or(x.ends[in.ExecutionID], models.ExecutionCompleted)}, err
	}, workflow.RegisterOptions{Name: contract.ExecutionWorkflow})
	env.RegisterWorkflowWithOptions(func(_ workflow.Context, in contract.CancellationInput) (contract.CancellationResult, error) {
		x.cancelled = append(x.cancelled, in.ExecutionID)
		delete(x.running, in.ExecutionID)
		return contract.CancellationResult{Status: models.ExecutionCancelled}, nil
	}, workflow.RegisterOptions{Name: contract.CancellationWorkflow})
	env.RegisterActivityWithOptions(func(_ context.Context, in contract.RequestCancelInput) error {
		x.toCancel = append(x.toCancel, in)
		return nil
	}, activity.RegisterOptions{Name: contract.RequestCancelActivity})
}

// backfillStore stands in for what the database knows of one backfill.
type backfillStore struct {
	mu    sync.Mutex
	clock func() time.Time
	plan  contract.BackfillPlan
	due   []time.Time
	// answer says what becomes of a due time that is submitted, where that is not an execution.
	answer    func(due time.Time) contract.Submitted
	submitted []time.Time // the due times of executions, in the order they were made
	asks      []time.Time // when an execution was asked for
	steps     []contract.StepBackfillInput
	away      func() bool // whether nothing can be written down
}

func executionOf(due time.Time) string { return "exec-" + due.Format("0102") }

func (b *backfillStore) register(env *testsuite.TestWorkflowEnvironment) {
	b.clock = env.Now
	env.RegisterActivityWithOptions(b.load, activity.RegisterOptions{Name: contract.LoadBackfillActivity})
	env.RegisterActivityWithOptions(b.next, activity.RegisterOptions{Name: contract.NextDueTimesActivity})
	env.RegisterActivityWithOptions(b.submit, activity.RegisterOptions{Name: contract.SubmitBackfilledActivity})
	env.RegisterActivityWithOptions(b.step, activity.RegisterOptions{Name: contract.StepBackfillActivity})
}

func (b *backfillStore) load(context.Context, contract.LoadBackfillInput) (contract.BackfillPlan, error) {
	return b.plan, nil
}

// next hands out two at a time.
func (b *backfillStore) next(_ context.Context, in contract.NextDueTimesInput) (contract.NextDueTimesResult, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	i := slices.IndexFunc(b.due, func(at time.Time) bool { return at.After(in.After) })
	if i < 0 {
		return contract.NextDueTimesResult{}, nil
	}
	return contract.NextDueTimesResult{DueTimes: b.due[i:min(i+2, len(b.due))]}, nil
}

func (b *backfillStore) submit(_ context.Context, in contract.SubmitBackfilledInput) (contract.Submitted, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asks = append(b.asks, b.clock())
	if b.answer != nil {
		if answer := b.answer(in.DueAt); answer != (contract.Submitted{}) {
			return answer, nil
		}
	}
	b.submitted = append(b.submitted, in.DueAt)
	return contract.Submitted{Execution: &models.Execution{ID: executionOf(in.DueAt), Tenant: in.Tenant}}, nil
}

func (b *backfillStore) step(_ context.Context, in contract.StepBackfillInput) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.away != nil && b.away() {
		return errors.New("connection refused")
	}
	b.steps = append(b.steps, in)
	return nil
}

// last is what is written down.
func (b *backfillStore) last() contract.StepBackfillInput { return b.steps[len(b.steps)-1] }
