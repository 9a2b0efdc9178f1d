package workflows_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"github.com/stretchr/testify/suite"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"github.com/matih/pipeline-service/activities/failure"
	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/contract"
	"github.com/matih/pipeline-service/workflows"
)

const tenant = models.TenantID("11111111-2222-4333-8444-555555555555")

// ExecutionSuite runs the ExecutionWorkflow with activities that say what they were asked.
type ExecutionSuite struct {
	suite.Suite
	testsuite.WorkflowTestSuite
	env      *testsuite.TestWorkflowEnvironment
	input    contract.ExecutionInput
	plan     contract.Plan
	started  []string
	finished []contract.FinishInput
}

func TestExecution(t *testing.T) { suite.Run(t, new(ExecutionSuite)) }

func (s *ExecutionSuite) SetupTest() {
	s.env = s.NewTestWorkflowEnvironment()
	s.env.SetTestTimeout(30 * time.Second)
	s.input = contract.ExecutionInput{Tenant: tenant, ExecutionID: models.NewID(models.PrefixExecution)}
	s.started, s.finished = nil, nil
	s.plan = contract.Plan{
		Retry:   contract.RetryPolicy{MaxAttempts: 2, InitialInterval: time.Second, BackoffCoefficient: 2, MaxInterval: time.Minute},
		Timeout: time.Hour, TaskTimeout: time.Minute, MaxParallelTasks: 4,
	}
	s.env.RegisterWorkflowWithOptions(workflows.Execution, workflow.RegisterOptions{Name: contract.ExecutionWorkflow})
	s.env.RegisterActivityWithOptions(func(context.Context, contract.PrepareInput) (contract.Plan, error) {
		return s.plan, nil
	}, activity.RegisterOptions{Name: contract.PrepareActivity})
	s.env.RegisterActivityWithOptions(func(_ context.Context, in contract.FinishInput) (contract.ExecutionResult, error) {
		s.finished = append(s.finished, in)
		return in.Result, nil
	}, activity.RegisterOptions{Name: contract.FinishActivity})
	s.env.RegisterActivityWithOptions(func(context.Context, contract.RunTaskInput) (contract.RunTaskResult, error) {
		return contract.RunTaskResult{}, nil
	}, activity.RegisterOptions{Name: contract.RunTaskActivity})
	s.env.SetOnActivityStartedListener(func(info *activity.Info, _ context.Context, args converter.EncodedValues) {
		if info.ActivityType.Name != contract.RunTaskActivity {
			return
		}
		var in contract.RunTaskInput
		s.Require().NoError(args.Get(&in))
		s.started = append(s.started, in.Task)
	})
}

func (s *ExecutionSuite) tasks(tasks ...contract.PlannedTask) { s.plan.Tasks = tasks }

func task(name string, after ...int) contract.PlannedTask {
	return contract.PlannedTask{Name: name, Kind: models.TaskTransformation, After: after}
}

func (s *ExecutionSuite) run() contract.ExecutionResult {
	s.env.ExecuteWorkflow(contract.ExecutionWorkflow, s.input)
	s.Require().True(s.env.IsWorkflowCompleted())
	s.Require().NoError(s.env.GetWorkflowError())
	var result contract.ExecutionResult
	s.Require().NoError(s.env.GetWorkflowResult(&result))
	s.Require().Len(s.finished, 1, "the end is recorded once")
	s.Equal(result, s.finished[0].Result)
	return result
}

func (s *ExecutionSuite) onTask(name string) *testsuite.MockCallWrapper {
	return s.env.OnActivity(contract.RunTaskActivity, mock.Anything,
		mock.MatchedBy(func(in contract.RunTaskInput) bool { return in.Task == name }))
}

func (s *ExecutionSuite) TestTasksRunInDependencyOrder() {
	s.tasks(task("a"), task("b", 0), task("c", 0), task("d", 1, 2))
	s.Equal(models.ExecutionCompleted, s.run().Status)
	s.Equal("a", s.started[0])
	s.Equal("d", s.started[3])
	s.ElementsMatch([]string{"a", "b", "c", "d"}, s.started)
}

func (s *ExecutionSuite) TestParallelTasksAreBounded() {
	s.plan.MaxParallelTasks = 3
	for i := range 10 {
		s.plan.Tasks = append(s.plan.Tasks, task(fmt.Sprintf("t%d", i)))
	}
	most := 0
	s.env.SetOnActivityCompletedListener(func(*activity.Info, converter.EncodedValue, error) {
		value, err := s.env.QueryWorkflow(contract.ProgressQuery)
		s.Require().NoError(err)
		var p contract.Progress
		s.Require().NoError(value.Get(&p))
		s.Equal(10, p.TotalTasks)
		most = max(most, len(p.RunningTasks))
	})
	s.Equal(models.ExecutionCompleted, s.run().Status)
	s.Equal(3, most)
}

func (s *ExecutionSuite) TestFailureNamesTheTaskAndStopsTheRest() {
	s.tasks(task("a"), task("bad", 0), task("c", 1))
	why := models.ExecutionError{Task: "bad", Class: models.ClassSQL, Message: "column x does not exist"}
	s.onTask("a").Return(contract.RunTaskResult{}, nil)
	s.onTask("bad").Return(contract.RunTaskResult{}, failure.Final(&why)).Once()
	result := s.run()
	s.Equal(models.ExecutionFailed, result.Status)
	s.Equal(&why, result.Error)
	s.Equal(why.Message, result.Reason)
	s.NotContains(s.started, "c")
}

func (s *ExecutionSuite) TestRetriesAreTheDefinitions() {
	s.tasks(task("flaky"))
	why := models.ExecutionError{Task: "flaky", Class: models.ClassSource, Message: "the source broke off"}
	s.onTask("flaky").Return(contract.RunTaskResult{}, failure.Retryable(&why)).Twice()
	result := s.run()
	s.Equal(models.ExecutionFailed, result.Status)
	s.Equal(&why, result.Error)
}

func (s *ExecutionSuite) TestALostWorkerDoesNotUseUpAttempts() {
	s.plan.Retry.MaxAttempts = 1
	s.tasks(task("a"))
	lost := temporal.NewTimeoutError(enumspb.TIMEOUT_TYPE_HEARTBEAT, nil)
	s.onTask("a").Return(contract.RunTaskResult{}, lost).Times(3)
	s.onTask("a").Return(contract.RunTaskResult{}, nil).Once()
	s.Equal(models.ExecutionCompleted, s.run().Status)
	s.env.AssertExpectations(s.T())
}

func (s *ExecutionSuite) TestAWorkerLostForeverIsAFailure() {
	s.plan.Retry.MaxAttempts = 1
	s.tasks(task("a"))
	s.onTask("a").Return(contract.RunTaskResult{}, temporal.NewTimeoutError(enumspb.TIMEOUT_TYPE_HEARTBEAT, nil))
	result := s.run()
	s.Equal(models.ExecutionFailed, result.Status)
	s.Equal(models.ClassProcessDied, result.Error.Class)
}

func (s *ExecutionSuite) TestCancelEndsRunningTasks() {
	s.tasks(task("slow"), task("after", 0))
	s.onTask("slow").After(10*time.Minute).Return(contract.RunTaskResult{}, nil)
	s.env.RegisterDelayedCallback(s.env.CancelWorkflow, 5*time.Second)
	result := s.run()
	s.Equal(models.ExecutionCancelled, result.Status)
	s.Equal("cancelled on request", result.Reason)
}

func (s *ExecutionSuite) TestTimeoutFailsTheExecution() {
	s.plan.Timeout = 5 * time.Minute
	s.tasks(task("slow"))
	s.onTask("slow").After(10*time.Minute).Return(contract.RunTaskResult{}, nil)
	result := s.run()
	s.Equal(models.ExecutionFailed, result.Status)
	s.Equal(models.ClassTimeout, result.Error.Class)
	s.Contains(result.Error.Message, "5m0s")
}

func (s *ExecutionSuite) TestAClosedExecutionIsLeftAlone() {
	s.plan = contract.Plan{Closed: models.ExecutionFailed}
	s.env.ExecuteWorkflow(contract.ExecutionWorkflow, s.input)
	s.Require().NoError(s.env.GetWorkflowError())
	s.Empty(s.started)
	s.Empty(s.finished)
}

func (s *ExecutionSuite) TestAPlanThatCannotBeMadeFails() {
	why := models.ExecutionError{Class: models.ClassInvalidDefinition, Message: "the parameter day is missing"}
	s.env.OnActivity(contract.PrepareActivity, mock.Anything, mock.Anything).Return(contract.Plan{}, failure.Final(&why))
	result := s.run()
	s.Equal(models.ExecutionFailed, result.Status)
	s.Equal(&why, result.Error)
}

func (s *ExecutionSuite) TestContinuesAsNewAndResumes() {
	s.env.SetContinueAsNewSuggested(true)
	s.tasks(task("a"), task("b", 0))
	s.env.ExecuteWorkflow(contract.ExecutionWorkflow, s.input)
	var again *workflow.ContinueAsNewError
	s.Require().ErrorAs(s.env.GetWorkflowError(), &again)
	s.Empty(s.finished, "an execution that goes on has not ended")

	s.SetupTest()
	s.tasks(task("a"), task("b", 0))
	s.input.Resume = &contract.ExecutionResume{StartedAt: s.env.Now(), Done: []string{"a"}}
	s.Equal(models.ExecutionCompleted, s.run().Status)
	s.Equal([]string{"b"}, s.started)
}

func (s *ExecutionSuite) TestTheEndIsRecordedWhenTheDatabaseComesBack() {
	s.tasks(task("a"))
	away := s.env.OnActivity(contract.FinishActivity, mock.Anything, mock.Anything).
		Return(contract.ExecutionResult{}, errors.New("connection refused")).Times(5)
	s.Require().NotNil(away)
	s.env.OnActivity(contract.FinishActivity, mock.Anything, mock.Anything).
		Return(contract.ExecutionResult{Status: models.ExecutionCompleted}, nil).Once()
	s.env.ExecuteWorkflow(contract.ExecutionWorkflow, s.input)
	require.NoError(s.T(), s.env.GetWorkflowError())
	s.env.AssertExpectations(s.T())
}
