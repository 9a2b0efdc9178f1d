package workflows_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/suite"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/contract"
	"github.com/matih/pipeline-service/workflows"
)

// ScheduledSuite runs the ScheduledExecutionWorkflow.
type ScheduledSuite struct {
	suite.Suite
	testsuite.WorkflowTestSuite
	env *testsuite.TestWorkflowEnvironment
	executionTypes
	mu sync.Mutex
	// answer is what becomes of the execution; closedAfter, how long after the start its row says that it has ended.
	answer      func() contract.Submitted
	closedAfter time.Duration
	submitted   []contract.SubmitScheduledInput
	asks        []time.Time
	looks       int
}

const scheduledExecution = "exec-scheduled"

func TestScheduled(t *testing.T) { suite.Run(t, new(ScheduledSuite)) }

func (s *ScheduledSuite) SetupTest() {
	s.env = s.NewTestWorkflowEnvironment()
	s.env.SetTestTimeout(30 * time.Second)
	s.executionTypes = newExecutionTypes()
	s.answer, s.submitted, s.asks, s.looks, s.closedAfter = nil, nil, nil, 0, 0
	s.executionTypes.register(s.env)
	s.env.RegisterWorkflowWithOptions(workflows.ScheduledExecution, workflow.RegisterOptions{Name: contract.ScheduledExecutionWorkflow})
	began := s.env.Now()
	s.env.RegisterActivityWithOptions(func(_ context.Context, in contract.SubmitScheduledInput) (contract.Submitted, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.submitted = append(s.submitted, in)
		s.asks = append(s.asks, s.env.Now())
		if s.answer != nil {
			if answer := s.answer(); answer != (contract.Submitted{}) {
				return answer, nil
			}
		}
		return contract.Submitted{Execution: &models.Execution{ID: scheduledExecution, Tenant: in.Tenant}}, nil
	}, activity.RegisterOptions{Name: contract.SubmitScheduledActivity})
	s.env.RegisterActivityWithOptions(func(context.Context, contract.ExecutionClosedInput) (contract.ExecutionClosedResult, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.looks++
		if s.env.Now().Sub(began) < s.closedAfter {
			return contract.ExecutionClosedResult{}, nil
		}
		return contract.ExecutionClosedResult{Status: models.ExecutionFailed}, nil
	}, activity.RegisterOptions{Name: contract.ExecutionClosedActivity})
}

// execute runs it to its end.
func (s *ScheduledSuite) execute() error {
	s.env.ExecuteWorkflow(contract.ScheduledExecutionWorkflow, contract.ScheduledExecutionInput{Tenant: tenant, ScheduleID: "schedule-1"})
	s.Require().True(s.env.IsWorkflowCompleted())
	s.Empty(s.running, "nothing runs on")
	return s.env.GetWorkflowError()
}

func (s *ScheduledSuite) run() contract.ScheduledExecutionResult {
	s.Require().NoError(s.execute())
	var result contract.ScheduledExecutionResult
	s.Require().NoError(s.env.GetWorkflowResult(&result))
	return result
}

func (s *ScheduledSuite) TestItEndsWithItsExecution() {
	for _, status := range []models.ExecutionStatus{models.ExecutionCompleted, models.ExecutionFailed, models.ExecutionCancelled} {
		s.SetupTest()
		s.ends[scheduledExecution] = status
		began := s.env.Now()
		s.Equal(contract.ScheduledExecutionResult{ExecutionID: scheduledExecution, Status: status}, s.run())
		s.Equal(s.takes, s.env.Now().Sub(began).Round(time.Minute))
		s.Require().Len(s.submitted, 1)
		s.Equal(s.submitted[0].StartedAt, s.submitted[0].DueAt, "nothing else is known of a start by hand")
		s.Equal(tenant, s.submitted[0].Tenant)
	}
}

func (s *ScheduledSuite) TestTheDueTimeIsWhatTemporalSays() {
	due := time.Date(2026, 2, 12, 6, 0, 0, 0, time.UTC)
	s.Require().NoError(s.env.SetTypedSearchAttributesOnStart(
		temporal.NewSearchAttributes(contract.SearchScheduledStartTime.ValueSet(due))))
	s.env.SetStartWorkflowOptions(client.StartWorkflowOptions{ID: "schedule-1-2026-02-12T06:00:00Z"})
	s.run()
	s.Equal(due, s.submitted[0].DueAt.UTC())
	s.NotEqual(due, s.submitted[0].StartedAt.UTC())
	s.Equal("schedule-1-2026-02-12T06:00:00Z", s.submitted[0].WorkflowID)
}

func (s *ScheduledSuite) TestARefusalIsTheResult() {
	s.answer = func() contract.Submitted { return contract.Submitted{Refused: "the pipeline is paused"} }
	s.Equal(contract.ScheduledExecutionResult{Reason: "the pipeline is paused"}, s.run())
	s.Len(s.submitted, 1)
}

func (s *ScheduledSuite) TestABusyPipelineIsAskedMoreAndMoreRarely() {
	const wait = 60 * 24 * time.Hour
	began := s.env.Now()
	s.answer = func() contract.Submitted {
		if s.env.Now().Sub(began) < wait {
			return contract.Submitted{Busy: "it runs already"}
		}
		return contract.Submitted{}
	}
	s.Equal(models.ExecutionCompleted, s.run().Status)
	var pauses []time.Duration
	for i := range 6 {
		pauses = append(pauses, s.asks[i+1].Sub(s.asks[i]).Round(time.Second))
	}
	s.Equal([]time.Duration{2 * time.Second, 4 * time.Second, 8 * time.Second, 16 * time.Second, 32 * time.Second, time.Minute}, pauses)
	s.Less(len(s.asks), 500, "the history stays short")
	s.Less(s.env.Now().Sub(began), wait+wait/50+2*time.Hour)
	s.Len(slices.Compact(s.submitted), 1, "it stands for the same due time each time")
}

func (s *ScheduledSuite) TestCancelledWhileItWaits() {
	s.answer = func() contract.Submitted { return contract.Submitted{Busy: "it runs already"} }
	s.env.RegisterDelayedCallback(s.env.CancelWorkflow, time.Hour)
	var cancelled *temporal.CanceledError
	s.Require().ErrorAs(s.execute(), &cancelled)
	s.True(s.submitted[len(s.submitted)-1].Withdrawn, "which is recorded")
	s.False(s.submitted[len(s.submitted)-2].Withdrawn)
	s.Empty(s.toCancel)
}

func (s *ScheduledSuite) TestCancelledWhileItRuns() {
	s.env.RegisterDelayedCallback(s.env.CancelWorkflow, time.Minute)
	s.Equal(contract.ScheduledExecutionResult{ExecutionID: scheduledExecution, Status: models.ExecutionCancelled}, s.run())
	s.Equal([]contract.RequestCancelInput{{Tenant: tenant, ExecutionID: scheduledExecution}}, s.toCancel)
	s.Equal([]string{scheduledExecution}, s.cancelled)
}

// TestCancelledWhileItIsSubmitted must not leave an execution behind that maintenance would start.
func (s *ScheduledSuite) TestCancelledWhileItIsSubmitted() {
	s.answer = func() contract.Submitted {
		s.env.CancelWorkflow()
		return contract.Submitted{}
	}
	s.Equal(models.ExecutionCancelled, s.run().Status)
	s.Equal([]string{scheduledExecution}, s.cancelled)
}

// TestAnExecutionThatMaintenanceStarted, and one that was terminated, end as their row says.
func (s *ScheduledSuite) TestAnExecutionThatMaintenanceStarted() {
	s.lost[scheduledExecution], s.closedAfter = true, 60*24*time.Hour
	began := s.env.Now()
	s.Equal(models.ExecutionFailed, s.run().Status)
	s.Less(s.env.Now().Sub(began), s.closedAfter+s.closedAfter/50+time.Hour)
	s.Less(s.looks, 500, "the history stays short")
}

func (s *ScheduledSuite) TestCancelledWhileMaintenanceRunsIt() {
	s.lost[scheduledExecution], s.closedAfter = true, 24*time.Hour
	s.env.RegisterDelayedCallback(s.env.CancelWorkflow, time.Hour)
	s.Equal(models.ExecutionCancelled, s.run().Status)
	s.Equal([]string{scheduledExecution}, s.cancelled)
}
