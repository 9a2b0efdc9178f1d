package workflows_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/suite"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/contract"
	"github.com/matih/pipeline-service/workflows"
)

// CancellationSuite runs the CancellationWorkflow against an execution that ends when it is told to.
type CancellationSuite struct {
	suite.Suite
	testsuite.WorkflowTestSuite
	env    *testsuite.TestWorkflowEnvironment
	in     contract.CancellationInput
	status models.ExecutionStatus // of the row once endsAfter is over
	ends   time.Duration
	forced []contract.ForceCancelInput
	looks  int
}

func TestCancellation(t *testing.T) { suite.Run(t, new(CancellationSuite)) }

func (s *CancellationSuite) SetupTest() {
	s.env = s.NewTestWorkflowEnvironment()
	s.env.SetTestTimeout(30 * time.Second)
	s.in = contract.CancellationInput{Tenant: tenant, ExecutionID: models.NewID(models.PrefixExecution)}
	s.status, s.ends, s.forced, s.looks = models.ExecutionCancelled, time.Hour, nil, 0
	began := s.env.Now()
	s.env.RegisterWorkflowWithOptions(workflows.Cancellation, workflow.RegisterOptions{Name: contract.CancellationWorkflow})
	s.env.RegisterActivityWithOptions(func(context.Context, contract.ExecutionClosedInput) (contract.ExecutionClosedResult, error) {
		s.looks++
		if s.env.Now().Sub(began) < s.ends {
			return contract.ExecutionClosedResult{}, nil
		}
		return contract.ExecutionClosedResult{Status: s.status}, nil
	}, activity.RegisterOptions{Name: contract.ExecutionClosedActivity})
	s.env.RegisterActivityWithOptions(func(_ context.Context, in contract.ForceCancelInput) (contract.ExecutionClosedResult, error) {
		s.forced = append(s.forced, in)
		return contract.ExecutionClosedResult{Status: s.status}, nil
	}, activity.RegisterOptions{Name: contract.ForceCancelActivity})
}

func (s *CancellationSuite) run(asked error) contract.CancellationResult {
	s.env.OnRequestCancelExternalWorkflow(mock.Anything, s.in.ExecutionID, "").Return(asked).Once()
	s.env.ExecuteWorkflow(contract.CancellationWorkflow, s.in)
	s.Require().NoError(s.env.GetWorkflowError())
	var result contract.CancellationResult
	s.Require().NoError(s.env.GetWorkflowResult(&result))
	s.env.AssertExpectations(s.T())
	return result
}

func (s *CancellationSuite) TestAnExecutionThatEndsInTimeIsLeftAlone() {
	s.ends = 10 * time.Second
	s.Equal(contract.CancellationResult{Status: models.ExecutionCancelled}, s.run(nil))
	s.Empty(s.forced)
	s.Less(s.looks, 15)
}

func (s *CancellationSuite) TestACompletionThatCameFirstStays() {
	s.ends, s.status = 0, models.ExecutionCompleted
	s.Equal(contract.CancellationResult{Status: models.ExecutionCompleted}, s.run(nil))
	s.Empty(s.forced)
}

func (s *CancellationSuite) TestAfterTheGraceItIsEndedByForce() {
	for given, grace := range map[time.Duration]time.Duration{0: 30 * time.Second, 5 * time.Minute: 5 * time.Minute} {
		s.SetupTest()
		s.in.Grace = given
		began := s.env.Now()
		s.Equal(contract.CancellationResult{Status: models.ExecutionCancelled, Forced: true}, s.run(nil))
		s.Require().Len(s.forced, 1)
		s.Equal(grace, s.forced[0].Grace)
		s.Equal(grace, s.env.Now().Sub(began).Round(time.Second))
	}
}

func (s *CancellationSuite) TestAWorkflowThatIsNotThereNeedsNoGrace() {
	began := s.env.Now()
	s.True(s.run(&temporal.UnknownExternalWorkflowExecutionError{}).Forced)
	s.Require().Len(s.forced, 1)
	s.Less(s.env.Now().Sub(began), time.Second)
}
