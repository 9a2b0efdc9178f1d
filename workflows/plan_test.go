package workflows_test

import (
	"context"
	"errors"
	"sync"
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

// PlanSuite runs the PlanWorkflow with steps that a test decides about.
type PlanSuite struct {
	suite.Suite
	testsuite.WorkflowTestSuite
	env *testsuite.TestWorkflowEnvironment
	in  contract.PlanInput

	loadErr error
	inspect func(ctx context.Context, step string) error

	mu    sync.Mutex
	tried []string
	ended int
}

func TestPlan(t *testing.T) { suite.Run(t, new(PlanSuite)) }

func (s *PlanSuite) SetupTest() {
	s.env = s.NewTestWorkflowEnvironment()
	s.env.SetTestTimeout(30 * time.Second)
	s.in = contract.PlanInput{Tenant: tenant, PlanID: models.NewID(models.PrefixPlan)}
	s.loadErr, s.tried, s.ended = nil, nil, 0
	s.inspect = func(context.Context, string) error { return nil }
	s.env.RegisterWorkflowWithOptions(workflows.Plan, workflow.RegisterOptions{Name: contract.PlanWorkflow})
	s.env.RegisterActivityWithOptions(func(_ context.Context, in contract.PlanInput) (contract.PlanSteps, error) {
		s.Equal(s.in, in)
		return contract.PlanSteps{MaxParallel: 2, Steps: []contract.PlannedTask{
			{Name: "a", Kind: models.TaskSource}, {Name: "b", Kind: models.TaskSource},
			{Name: "joined", Kind: models.TaskTransformation, After: []int{0, 1}},
			{Name: "out", Kind: models.TaskSink, After: []int{2}},
		}}, s.loadErr
	}, activity.RegisterOptions{Name: contract.LoadPlanActivity})
	s.env.RegisterActivityWithOptions(func(ctx context.Context, in contract.InspectStepInput) error {
		s.Equal(s.in, in.PlanInput)
		s.mu.Lock()
		s.tried = append(s.tried, in.Step)
		s.mu.Unlock()
		return s.inspect(ctx, in.Step)
	}, activity.RegisterOptions{Name: contract.InspectStepActivity})
	s.env.RegisterActivityWithOptions(func(_ context.Context, in contract.PlanInput) error {
		s.Equal(s.in, in)
		s.ended++
		return nil
	}, activity.RegisterOptions{Name: contract.EndPlanActivity})
}

func (s *PlanSuite) run() (result contract.PlanResult, err error) {
	s.env.ExecuteWorkflow(contract.PlanWorkflow, s.in)
	s.Require().True(s.env.IsWorkflowCompleted())
	if err = s.env.GetWorkflowError(); err == nil {
		err = s.env.GetWorkflowResult(&result)
	}
	s.Equal(1, s.ended, "what was staged is removed, once")
	return result, err
}

func (s *PlanSuite) TestStepsAfterThoseTheyRead() {
	result, err := s.run()
	s.Require().NoError(err)
	s.Equal(4, result.Inspected)
	s.ElementsMatch([]string{"a", "b"}, s.tried[:2])
	s.Equal([]string{"joined", "out"}, s.tried[2:])
}

func (s *PlanSuite) TestAStepThatCannotBeTriedDoesNotKeepOthers() {
	s.inspect = func(_ context.Context, step string) error {
		if step == "a" {
			return errors.New("the worker has a bad day")
		}
		return nil
	}
	result, err := s.run()
	s.Require().NoError(err)
	s.Equal(3, result.Inspected)
	s.ElementsMatch([]string{"a", "a", "b", "joined", "out"}, s.tried, "it is tried twice")
}

// slow makes a step take a while.
func (s *PlanSuite) slow(step string, takes time.Duration) {
	s.env.OnActivity(contract.InspectStepActivity, mock.Anything, contract.InspectStepInput{PlanInput: s.in, Step: step}).
		After(takes).Return(nil)
	s.env.OnActivity(contract.InspectStepActivity, mock.Anything, mock.Anything).Return(
		func(_ context.Context, in contract.InspectStepInput) error {
			s.tried = append(s.tried, in.Step)
			return nil
		})
}

func (s *PlanSuite) TestTimeRunsOut() {
	s.slow("b", time.Minute)
	began := s.env.Now()
	result, err := s.run()
	s.Require().NoError(err)
	s.Equal(1, result.Inspected)
	s.Equal([]string{"a"}, s.tried)
	s.Less(s.env.Now().Sub(began), contract.PlanTimeout, "early enough to be answered")
}

func (s *PlanSuite) TestAPlanThatIsGone() {
	s.loadErr = temporal.NewNonRetryableApplicationError("nobody waits for the plan any more", models.ClassInternal, nil)
	_, err := s.run()
	s.Require().Error(err)
	s.Empty(s.tried)
}

func (s *PlanSuite) TestCancelled() {
	s.slow("b", 20*time.Second)
	s.env.RegisterDelayedCallback(s.env.CancelWorkflow, time.Second)
	_, err := s.run()
	s.Require().Error(err)
	s.Equal([]string{"a"}, s.tried)
}
