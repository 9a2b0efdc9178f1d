package workflows_test

import (
	"time"

	"github.com/stretchr/testify/mock"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/contract"
)

// gated gives the suite approvals, and has the named checks fail.
func (s *ExecutionSuite) gated(checks ...string) *approvalRecord {
	record := &approvalRecord{}
	record.register(s.env)
	s.plan.SubmittedBy = "ada"
	s.plan.Approval = contract.ApprovalPolicy{Timeout: 24 * time.Hour, Required: 1}
	for _, check := range checks {
		s.onTask(check).Return(contract.RunTaskResult{NeedsApproval: true, Warning: "2 of 3 rows are negative"}, nil)
	}
	s.env.OnActivity(contract.RunTaskActivity, mock.Anything, mock.Anything).Return(contract.RunTaskResult{}, nil)
	return record
}

// decideGate signals a decision to the execution at a time after its start.
func (s *ExecutionSuite) decideGate(after time.Duration, approved bool, by, gate string) {
	s.env.RegisterDelayedCallback(func() {
		d := says(approved, by)
		d.Gate = gate
		s.env.SignalWorkflow(contract.ApprovalSignal, d)
	}, after)
}

func sink(name string, after ...int) contract.PlannedTask {
	return contract.PlannedTask{Name: name, Kind: models.TaskSink, After: after, Gate: true}
}

func (s *ExecutionSuite) TestAFailingCheckHoldsBackWhatWaitsForIt() {
	record := s.gated("check")
	s.tasks(task("raw"), task("check", 0), task("out", 0, 1), task("other", 0))
	s.env.RegisterDelayedCallback(func() {
		s.ElementsMatch([]string{"raw", "check", "other"}, s.started, "the others go on")
		value, err := s.env.QueryWorkflow(contract.ProgressQuery)
		s.Require().NoError(err)
		var p contract.Progress
		s.Require().NoError(value.Get(&p))
		s.Empty(p.RunningTasks)
	}, time.Hour)
	s.decideGate(2*time.Hour, true, "sam", "")
	s.Equal(models.ExecutionCompleted, s.run().Status)
	s.Equal("out", s.started[3])
	s.Require().Len(record.opened, 1)
	s.Equal("2 of 3 rows are negative", record.opened[0].Finding)
	s.Equal("ada", record.opened[0].SubmittedBy)
}

func (s *ExecutionSuite) TestASinkWaitsToBePublished() {
	record := s.gated()
	s.tasks(task("raw"), task("check", 0), sink("careful", 0, 1), task("careless", 0, 1))
	s.decideGate(time.Hour, true, "sam", "careful")
	s.Equal(models.ExecutionCompleted, s.run().Status)
	s.Equal([]string{"raw", "check", "careless", "careful"}, s.started)
	s.Len(record.opened, 1)
}

func (s *ExecutionSuite) TestARejectionCancelsTheExecution() {
	record := s.gated("a", "b")
	s.tasks(task("a"), task("b"), task("out", 0, 1))
	s.decideGate(time.Hour, false, "sam", "a")
	result := s.run()
	s.Equal(models.ExecutionCancelled, result.Status)
	s.Equal("gate a rejected by sam", result.Reason)
	s.NotContains(s.started, "out")
	s.Require().Len(record.closed, 1, "the other gate is closed with it")
	s.Equal(models.ApprovalCancelled, record.closed[0].Status)
}

func (s *ExecutionSuite) TestATimeoutOfAnApprovalCancelsTheExecution() {
	s.gated("check")
	s.tasks(task("check"), task("out", 0))
	result := s.run()
	s.Equal(models.ExecutionCancelled, result.Status)
	s.Equal("gate check rejected by timeout: 0 of 1 approvals came within 24h0m0s", result.Reason)
}

func (s *ExecutionSuite) TestWaitingDoesNotCountAgainstTheTimeout() {
	s.plan.Timeout = time.Hour
	s.gated("check")
	s.tasks(task("check"), task("out", 0))
	s.decideGate(20*time.Hour, true, "sam", "")
	s.Equal(models.ExecutionCompleted, s.run().Status)
}

func (s *ExecutionSuite) TestTheTimeoutGoesOnAfterTheWait() {
	s.plan.Timeout = time.Hour
	s.plan.TaskTimeout = 10 * time.Hour
	record := &approvalRecord{}
	record.register(s.env)
	s.plan.Approval = contract.ApprovalPolicy{Timeout: 24 * time.Hour, Required: 1}
	s.onTask("check").Return(contract.RunTaskResult{NeedsApproval: true}, nil)
	s.onTask("slow").After(2*time.Hour).Return(contract.RunTaskResult{}, nil)
	s.tasks(task("check"), task("slow", 0))
	s.decideGate(20*time.Hour, true, "sam", "")
	began := s.env.Now()
	result := s.run()
	s.Equal(models.ClassTimeout, result.Error.Class)
	s.Equal(21*time.Hour, s.env.Now().Sub(began).Round(time.Hour))
}

func (s *ExecutionSuite) TestCancelWhileAGateWaits() {
	record := s.gated("check")
	s.tasks(task("check"), task("out", 0))
	s.env.RegisterDelayedCallback(s.env.CancelWorkflow, time.Hour)
	began := s.env.Now()
	result := s.run()
	s.Equal(models.ExecutionCancelled, result.Status)
	s.Equal("cancelled on request", result.Reason)
	s.Less(s.env.Now().Sub(began), time.Hour+time.Minute)
	s.Require().Len(record.closed, 1)
	s.Equal(models.ApprovalCancelled, record.closed[0].Status)
}

func (s *ExecutionSuite) TestSignalsThatMeanNoGateAreDropped() {
	record := s.gated("a", "b")
	s.tasks(task("a"), task("b"), task("out", 0, 1))
	s.decideGate(time.Minute, true, "sam", "")
	s.decideGate(2*time.Minute, true, "sam", "c")
	s.env.RegisterDelayedCallback(func() { s.env.SignalWorkflow(contract.ApprovalSignal, "yes") }, 3*time.Minute)
	s.env.RegisterDelayedCallback(func() { s.Empty(record.decisions) }, time.Hour)
	s.decideGate(2*time.Hour, true, "sam", "a")
	s.decideGate(3*time.Hour, true, "sam", "")
	s.Equal(models.ExecutionCompleted, s.run().Status)
	s.Len(record.decisions, 2)
}

// TestAGateKeepsTheRun shows that no run ends while a gate waits, and that what was approved is handed on.
func (s *ExecutionSuite) TestAGateKeepsTheRun() {
	s.gated("check")
	s.tasks(task("check"), task("other"), sink("out", 0), task("last", 2))
	s.input.Resume = &contract.ExecutionResume{StartedAt: s.env.Now(), Done: []string{"check", "other"}, Approved: []string{"out"}, Waited: time.Hour}
	s.Equal(models.ExecutionCompleted, s.run().Status)
	s.Equal([]string{"out", "last"}, s.started, "an approved sink asks nobody again")
}
