package workflows_test

import (
	"context"
	"errors"
	"strings"
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

// approvalRecord is what approvals had written down.
type approvalRecord struct {
	opened    []contract.OpenApprovalInput
	decisions []contract.RecordDecisionInput
	reminders []contract.RemindApprovalInput
	closed    []contract.CloseApprovalInput
}

func (r *approvalRecord) register(env *testsuite.TestWorkflowEnvironment) {
	env.RegisterWorkflowWithOptions(workflows.Approval, workflow.RegisterOptions{Name: contract.ApprovalWorkflow})
	env.RegisterActivityWithOptions(func(_ context.Context, in contract.OpenApprovalInput) error {
		r.opened = append(r.opened, in)
		return nil
	}, activity.RegisterOptions{Name: contract.OpenApprovalActivity})
	env.RegisterActivityWithOptions(func(_ context.Context, in contract.RecordDecisionInput) error {
		r.decisions = append(r.decisions, in)
		return nil
	}, activity.RegisterOptions{Name: contract.RecordDecisionActivity})
	env.RegisterActivityWithOptions(func(_ context.Context, in contract.RemindApprovalInput) error {
		r.reminders = append(r.reminders, in)
		return nil
	}, activity.RegisterOptions{Name: contract.RemindApprovalActivity})
	env.RegisterActivityWithOptions(func(_ context.Context, in contract.CloseApprovalInput) error {
		r.closed = append(r.closed, in)
		return nil
	}, activity.RegisterOptions{Name: contract.CloseApprovalActivity})
}

// ApprovalSuite runs the ApprovalWorkflow; time is skipped while it waits.
type ApprovalSuite struct {
	suite.Suite
	testsuite.WorkflowTestSuite
	env *testsuite.TestWorkflowEnvironment
	in  contract.ApprovalInput
	approvalRecord
}

func TestApproval(t *testing.T) { suite.Run(t, new(ApprovalSuite)) }

func (s *ApprovalSuite) SetupTest() {
	s.env = s.NewTestWorkflowEnvironment()
	s.env.SetTestTimeout(30 * time.Second)
	s.approvalRecord = approvalRecord{}
	s.register(s.env)
	s.in = contract.ApprovalInput{
		Tenant: tenant, ExecutionID: models.NewID(models.PrefixExecution), PipelineID: "pipeline-1", Gate: "positive", SubmittedBy: "ada",
		Policy: contract.ApprovalPolicy{Timeout: 4 * time.Hour, Required: 1},
	}
}

func (s *ApprovalSuite) run() contract.ApprovalResult {
	s.env.ExecuteWorkflow(contract.ApprovalWorkflow, s.in)
	s.Require().True(s.env.IsWorkflowCompleted())
	s.Require().NoError(s.env.GetWorkflowError())
	var result contract.ApprovalResult
	s.Require().NoError(s.env.GetWorkflowResult(&result))
	s.Require().Len(s.opened, 1)
	return result
}

func says(approved bool, by string, groups ...string) contract.Decision {
	return contract.Decision{Approved: &approved, ApprovedBy: by, Groups: groups}
}

// outcome is what became of an update.
type outcome struct {
	code    models.Code
	decided contract.Decided
}

// decide sends a decision at a time after the start.
func (s *ApprovalSuite) decide(after time.Duration, d contract.Decision) *outcome {
	o := &outcome{}
	note := func(err error) {
		var app *temporal.ApplicationError
		if errors.As(err, &app) {
			o.code = models.Code(app.Type())
		} else if err != nil {
			o.code = models.CodeInternal
		}
	}
	s.env.RegisterDelayedCallback(func() {
		s.env.UpdateWorkflow(contract.DecideUpdate, models.NewID("update-"), &testsuite.TestUpdateCallback{
			OnAccept: func() {}, OnReject: note,
			OnComplete: func(v any, err error) {
				note(err)
				if err == nil {
					o.decided = v.(contract.Decided)
				}
			},
		}, d)
	}, after)
	return o
}

func (s *ApprovalSuite) TestOneApprovalOpensTheGate() {
	d := says(true, "sam")
	d.Reason = "reviewed"
	o := s.decide(time.Hour, d)
	result := s.run()
	s.Equal(contract.ApprovalResult{Status: models.ApprovalApproved, Reason: "approved by sam: reviewed"}, result)
	s.Equal(contract.Decided{Status: models.ApprovalApproved, Approvals: 1, Required: 1}, o.decided)
	s.Empty(s.reminders)
	s.Empty(s.closed, "the decision closed it")
	s.Require().Len(s.decisions, 1)
	s.Equal(models.ApprovalApproved, s.decisions[0].Status)
	s.Equal(4*time.Hour, s.opened[0].Deadline.Sub(s.opened[0].At))
}

func (s *ApprovalSuite) TestOneRejectionClosesIt() {
	s.in.Policy.Required = 3
	s.decide(time.Minute, says(true, "sam"))
	s.decide(2*time.Minute, says(false, "rob"))
	s.Equal(contract.ApprovalResult{Status: models.ApprovalRejected, Reason: "rejected by rob"}, s.run())
	s.Len(s.decisions, 2)
}

func (s *ApprovalSuite) TestSeveralMustApprove() {
	s.in.Policy.Required = 2
	s.in.Policy.Groups = []string{"finance", "risk"}
	outsider := s.decide(time.Minute, says(true, "sam", "sales"))
	first := s.decide(2*time.Minute, says(true, "fay", "sales", "finance"))
	again := s.decide(3*time.Minute, says(false, "fay", "finance"))
	second := s.decide(4*time.Minute, says(true, "rob", "risk"))
	s.Equal("approved by fay, rob", s.run().Reason)
	s.Equal(models.CodeForbidden, outsider.code)
	s.Equal(contract.Decided{Status: models.ApprovalPending, Approvals: 1, Required: 2}, first.decided)
	s.Equal(models.CodeAlreadyDecided, again.code)
	s.Equal(models.ApprovalApproved, second.decided.Status)
	s.Len(s.decisions, 2)
}

func (s *ApprovalSuite) TestDecisionsThatDoNotCount() {
	long := says(true, "sam")
	long.Reason = strings.Repeat("ö", contract.MaxReason+1)
	other := says(true, "sam")
	other.Gate = "other"
	refused := map[models.Code][]*outcome{
		models.CodeInvalidRequest: {
			s.decide(time.Minute, contract.Decision{ApprovedBy: "sam"}), s.decide(time.Minute, says(true, "")),
			s.decide(time.Minute, long), s.decide(time.Minute, other),
		},
		models.CodeSelfApproval: {s.decide(time.Minute, says(true, "ada"))},
	}
	s.Equal("rejected by timeout: 0 of 1 approvals came within 4h0m0s", s.run().Reason)
	for code, outcomes := range refused {
		for _, o := range outcomes {
			s.Equal(code, o.code)
		}
	}
	s.Empty(s.decisions)
}

func (s *ApprovalSuite) TestWhoeverStartedItMayStillReject() {
	s.decide(time.Minute, says(false, "ada"))
	s.Equal(models.ApprovalRejected, s.run().Status)
}

func (s *ApprovalSuite) TestSelfApprovalWhereItIsAllowed() {
	s.in.Policy.AllowSelfApproval = true
	s.decide(time.Minute, says(true, "ada"))
	s.Equal(models.ApprovalApproved, s.run().Status)
}

func (s *ApprovalSuite) TestTimeoutRejectsOrApproves() {
	for approve, want := range map[bool]models.ApprovalStatus{false: models.ApprovalRejected, true: models.ApprovalApproved} {
		s.SetupTest()
		s.in.Policy.ApproveOnTimeout, s.in.Policy.Required = approve, 2
		s.decide(time.Hour, says(true, "sam"))
		began := s.env.Now()
		result := s.run()
		s.Equal(want, result.Status)
		s.Contains(result.Reason, "by timeout: 1 of 2 approvals came within 4h0m0s")
		s.Equal(4*time.Hour, s.env.Now().Sub(began).Round(time.Minute))
		s.Require().Len(s.reminders, 1)
		s.Equal(2*time.Hour, s.reminders[0].At.Sub(s.opened[0].At).Round(time.Minute), "at half time")
		s.Require().Len(s.closed, 1)
		s.Equal(models.ActionExpired, s.closed[0].Action)
		s.Equal(want, s.closed[0].Status)
	}
}

func (s *ApprovalSuite) TestCancelClosesIt() {
	s.env.RegisterDelayedCallback(s.env.CancelWorkflow, time.Hour)
	s.Equal(models.ApprovalCancelled, s.run().Status)
	s.Require().Len(s.closed, 1)
	s.Equal(models.ActionCancelled, s.closed[0].Action)
}

func (s *ApprovalSuite) TestPlainSignalsObeyTheSameRules() {
	s.in.Policy.Required = 2
	for i, data := range []any{
		"yes", 7, map[string]any{"approvedBy": "sam"}, map[string]any{"approved": true}, says(true, "ada"),
		map[string]any{"approved": true, "approvedBy": "sam"}, says(true, "sam"), says(true, "rob"),
	} {
		s.env.RegisterDelayedCallback(func() { s.env.SignalWorkflow(contract.ApprovalSignal, data) }, time.Duration(i+1)*time.Minute)
	}
	s.Equal("approved by sam, rob", s.run().Reason)
	s.Len(s.decisions, 2)
}

// TestSimultaneousDecisions has everything happen in the moment of the deadline: one of them counts and is the end.
func (s *ApprovalSuite) TestSimultaneousDecisions() {
	a := s.decide(4*time.Hour, says(true, "sam"))
	b := s.decide(4*time.Hour, says(false, "rob"))
	s.env.RegisterDelayedCallback(func() { s.env.SignalWorkflow(contract.ApprovalSignal, says(true, "eve")) }, 4*time.Hour)
	s.env.RegisterDelayedCallback(s.env.CancelWorkflow, 4*time.Hour)
	result := s.run()
	ends := len(s.closed)
	for _, d := range s.decisions {
		if d.Status != models.ApprovalPending {
			ends++
			s.Equal(d.Status, result.Status)
		}
	}
	s.Equal(1, ends, "recorded once: %+v %+v", s.decisions, s.closed)
	for _, o := range []*outcome{a, b} {
		if o.code == "" && o.decided.Status != "" {
			s.Equal(result.Status, o.decided.Status)
		}
	}
}

func (s *ApprovalSuite) TestADecisionWaitsForTheDatabase() {
	s.env.OnActivity(contract.RecordDecisionActivity, mock.Anything, mock.Anything).Return(errors.New("connection refused")).Times(5)
	s.env.OnActivity(contract.RecordDecisionActivity, mock.Anything, mock.Anything).Return(nil).Once()
	s.decide(time.Minute, says(true, "sam"))
	s.Equal(models.ApprovalApproved, s.run().Status)
	s.env.AssertExpectations(s.T())
}
