package workflows_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/suite"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/contract"
	"github.com/matih/pipeline-service/workflows"
)

// BackfillSuite runs the BackfillWorkflow over seven days, one execution an hour.
type BackfillSuite struct {
	suite.Suite
	testsuite.WorkflowTestSuite
	env *testsuite.TestWorkflowEnvironment
	in  contract.BackfillInput
	executionTypes
	*backfillStore
}

func TestBackfill(t *testing.T) { suite.Run(t, new(BackfillSuite)) }

func (s *BackfillSuite) SetupTest() {
	s.executionTypes = newExecutionTypes()
	s.backfillStore = &backfillStore{plan: contract.BackfillPlan{Status: models.BackfillRunning, Total: 7, MaxParallel: 1}}
	for day := range 7 {
		s.due = append(s.due, time.Date(2026, 2, 1+day, 6, 0, 0, 0, time.UTC))
	}
	s.in = contract.BackfillInput{Tenant: tenant, BackfillID: "backfill-1", Attempt: 1}
	s.renewed()
}

// renewed makes the environment of a new run of the same backfill.
func (s *BackfillSuite) renewed() {
	s.env = s.NewTestWorkflowEnvironment()
	s.env.SetTestTimeout(30 * time.Second)
	s.env.RegisterWorkflowWithOptions(workflows.Backfill, workflow.RegisterOptions{Name: contract.BackfillWorkflow})
	s.backfillStore = &backfillStore{plan: s.plan, due: s.due}
	s.executionTypes.register(s.env)
	s.backfillStore.register(s.env)
}

// run runs it to its end, which is what is written down.
func (s *BackfillSuite) run() contract.BackfillResult {
	s.env.ExecuteWorkflow(contract.BackfillWorkflow, s.in)
	s.Require().True(s.env.IsWorkflowCompleted())
	s.Require().NoError(s.env.GetWorkflowError())
	var result contract.BackfillResult
	s.Require().NoError(s.env.GetWorkflowResult(&result))
	s.Require().NotEmpty(s.steps)
	s.Equal(result, contract.BackfillResult{Status: s.last().Status, Counts: s.last().Counts})
	s.Zero(s.last().Running)
	s.Empty(s.running, "nothing runs on")
	return result
}

// continued runs it until it continues as new and returns what the next run is given.
func (s *BackfillSuite) continued() contract.BackfillResume {
	s.env.ExecuteWorkflow(contract.BackfillWorkflow, s.in)
	var again *workflow.ContinueAsNewError
	s.Require().ErrorAs(s.env.GetWorkflowError(), &again)
	s.Require().NoError(converter.GetDefaultDataConverter().FromPayloads(again.Input, &s.in))
	s.Require().NotNil(s.in.Resume)
	s.Empty(s.running)
	return *s.in.Resume
}

// controlled is what became of an update.
type controlled struct {
	code     models.Code
	status   models.BackfillStatus
	written  models.BackfillStatus // in the database when the answer came
	answered bool
}

// control asks for an action at a time after the start.
func (s *BackfillSuite) control(after time.Duration, action contract.BackfillAction) *controlled {
	c := &controlled{}
	s.env.RegisterDelayedCallback(func() { s.update(action, c) }, after)
	return c
}

// update asks for an action now.
func (s *BackfillSuite) update(action contract.BackfillAction, c *controlled) {
	note := func(err error) {
		c.answered = true
		var app *temporal.ApplicationError
		if errors.As(err, &app) {
			c.code = models.Code(app.Type())
		} else if err != nil {
			c.code = models.CodeInternal
		}
	}
	s.env.UpdateWorkflow(contract.ControlBackfillUpdate, models.NewID("update-"), &testsuite.TestUpdateCallback{
		OnAccept: func() {}, OnReject: note,
		OnComplete: func(v any, err error) {
			note(err)
			if err == nil {
				c.status, c.written = v.(contract.BackfillControlled).Status, s.last().Status
			}
		},
	}, contract.BackfillControl{Action: action, By: "ada"})
}

// moments are times after the start: before the plan is known, while executions run and between two of them, and when
// the last one ends.
func moments() []time.Duration {
	return []time.Duration{0, time.Nanosecond, time.Second, time.Hour, time.Hour + time.Nanosecond, 90 * time.Minute, 7*time.Hour - time.Nanosecond}
}

func (s *BackfillSuite) TestInTheirOrder() {
	s.Equal(contract.BackfillResult{Status: models.BackfillCompleted, Counts: contract.BackfillCounts{Completed: 7}}, s.run())
	s.Equal(s.due, s.submitted)
	s.Equal(1, s.most)
}

func (s *BackfillSuite) TestSomeAtOnce() {
	s.plan.MaxParallel = 3
	began := s.env.Now()
	s.Equal(7, s.run().Counts.Completed)
	s.Equal(s.due, s.submitted)
	s.Equal(3, s.most)
	s.Equal(3*time.Hour, s.env.Now().Sub(began).Round(time.Minute))
}

func (s *BackfillSuite) TestFailedAndCancelledOnesAreCounted() {
	s.ends[executionOf(s.due[1])], s.ends[executionOf(s.due[3])], s.ends[executionOf(s.due[4])] =
		models.ExecutionFailed, models.ExecutionCancelled, models.ExecutionFailed
	s.Equal(contract.BackfillResult{
		Status: models.BackfillFailed, Counts: contract.BackfillCounts{Completed: 4, Failed: 2, Cancelled: 1},
	}, s.run())
	s.Equal("3 of 7 executions did not complete", s.last().Reason)
}

func (s *BackfillSuite) TestARetryCountsWhatHadCompleted() {
	s.plan.Completed, s.in.Attempt = 5, 2
	s.due = s.due[5:]
	s.Equal(contract.BackfillResult{Status: models.BackfillCompleted, Counts: contract.BackfillCounts{Completed: 7}}, s.run())
	s.Equal(2, s.last().Attempt)
}

func (s *BackfillSuite) TestPauseAndResumeAtAnyMoment() {
	for _, at := range moments() {
		s.Run(at.String(), func() {
			s.SetupTest()
			s.plan.MaxParallel = 2
			at = min(at, 4*time.Hour-time.Nanosecond) // when the last one ends
			began := s.env.Now()
			paused, again := s.control(at, contract.ActionPause), s.control(at+time.Minute, contract.ActionPause)
			resumed := s.control(at+24*time.Hour, contract.ActionResume)
			if at > 3*time.Hour { // all have been made: it ends, paused or not
				s.Equal(models.BackfillCompleted, s.run().Status)
				s.Contains([]models.BackfillStatus{models.BackfillPaused, models.BackfillCompleted}, paused.written)
				return
			}
			s.Equal(7, s.run().Counts.Completed)
			for _, c := range []*controlled{paused, again} {
				s.Equal(controlled{status: models.BackfillPaused, written: models.BackfillPaused, answered: true}, *c)
			}
			s.Equal(controlled{status: models.BackfillRunning, written: models.BackfillRunning, answered: true}, *resumed)
			for _, asked := range s.asks {
				after := asked.Sub(began)
				s.False(after > at && after < at+24*time.Hour, "made after %s", after)
			}
			s.Contains(fmt.Sprint(s.steps), "paused by ada")
		})
	}
}

func (s *BackfillSuite) TestCancelAtAnyMoment() {
	for _, at := range moments() {
		s.Run(at.String(), func() {
			s.SetupTest()
			asked, again := s.control(at, contract.ActionCancel), s.control(at, contract.ActionCancel)
			result := s.run()
			s.Equal(models.BackfillCancelled, result.Status)
			s.Equal("cancelled by ada", s.last().Reason)
			s.Len(s.submitted, result.Counts.Completed+result.Counts.Cancelled)
			s.Len(s.cancelled, result.Counts.Cancelled)
			s.Len(s.toCancel, result.Counts.Cancelled)
			for _, c := range []*controlled{asked, again} {
				s.True(c.answered)
				s.Contains([]models.Code{"", models.CodeBackfillClosed}, c.code)
			}
			s.Contains([]models.BackfillStatus{models.BackfillCancelling, models.BackfillCancelled}, asked.written)
		})
	}
}

// TestEverythingInTheMomentOfTheEnd has controls come as the last execution ends: they are answered, or refused.
func (s *BackfillSuite) TestEverythingInTheMomentOfTheEnd() {
	for _, late := range []time.Duration{-time.Nanosecond, 0, time.Nanosecond} {
		for _, action := range []contract.BackfillAction{contract.ActionPause, contract.ActionResume, contract.ActionCancel} {
			s.Run(fmt.Sprint(action, late), func() {
				s.SetupTest()
				s.due = s.due[:1]
				s.plan.Total = 1
				c := s.control(s.takes+late, action)
				result := s.run()
				if result.Counts.Completed == 1 {
					s.Equal(models.BackfillCompleted, result.Status)
				} else {
					s.Equal(models.BackfillCancelled, result.Status)
				}
				if c.answered && c.code != "" {
					s.Equal(models.CodeBackfillClosed, c.code)
				}
			})
		}
	}
}

func (s *BackfillSuite) TestWhatCannotBeAskedFor() {
	unknown := s.control(time.Minute, "stop")
	s.control(2*time.Minute, contract.ActionCancel)
	// While the execution that runs is cancelled.
	s.env.OnWorkflow(contract.CancellationWorkflow, mock.Anything, mock.Anything).After(time.Hour).
		Return(contract.CancellationResult{Status: models.ExecutionCancelled}, nil)
	paused, resumed := s.control(3*time.Minute, contract.ActionPause), s.control(3*time.Minute, contract.ActionResume)
	again := s.control(3*time.Minute, contract.ActionCancel)
	s.takes = 2 * time.Hour
	s.Equal(models.BackfillCancelled, s.run().Status)
	s.Equal(models.CodeInvalidRequest, unknown.code)
	s.Equal(models.CodeBackfillClosed, paused.code)
	s.Equal(models.CodeBackfillClosed, resumed.code)
	s.Equal(models.BackfillCancelling, again.status)
}

func (s *BackfillSuite) TestACancelledWorkflowCancelsWhatRuns() {
	s.env.RegisterDelayedCallback(s.env.CancelWorkflow, 90*time.Minute)
	paused := s.control(90*time.Minute, contract.ActionPause)
	s.Equal(contract.BackfillResult{Status: models.BackfillCancelled, Counts: contract.BackfillCounts{Completed: 1, Cancelled: 1}}, s.run())
	s.Equal("cancelled on request", s.last().Reason)
	s.True(paused.answered)
	s.NotEqual(models.CodeInternal, paused.code)
}

func (s *BackfillSuite) TestARefusalPausesIt() {
	refused := true
	s.answer = func(due time.Time) contract.Submitted {
		if refused && due.Equal(s.due[2]) {
			return contract.Submitted{Refused: "the pipeline is paused"}
		}
		return contract.Submitted{}
	}
	s.control(24*time.Hour, contract.ActionResume)
	s.env.RegisterDelayedCallback(func() { refused = false }, 48*time.Hour)
	s.control(72*time.Hour, contract.ActionResume)
	s.Equal(7, s.run().Counts.Completed)
	s.Equal(s.due, s.submitted)
	s.Len(s.asks, 9, "asked again once each time somebody resumes it")
	said := 0
	for _, step := range s.steps {
		if step.Status == models.BackfillPaused && step.Reason == "the pipeline is paused" {
			said++
		}
	}
	s.Equal(2, said)
}

func (s *BackfillSuite) TestABusyPipelineIsAskedMoreAndMoreRarely() {
	const wait = 60 * 24 * time.Hour
	s.plan.MaxParallel = 3
	began := s.env.Now()
	s.answer = func(due time.Time) contract.Submitted {
		if due.Equal(s.due[1]) && s.env.Now().Sub(began) < wait {
			return contract.Submitted{Busy: "it runs already"}
		}
		return contract.Submitted{}
	}
	s.Equal(7, s.run().Counts.Completed)
	s.Equal(s.due, s.submitted, "none overtakes another")
	s.Less(len(s.asks), 500, "the history stays short")
	s.Less(s.env.Now().Sub(began), wait+wait/50+4*time.Hour)
	s.Equal(2*time.Second, s.asks[2].Sub(s.asks[1]).Round(time.Second))
	s.Equal(4*time.Second, s.asks[3].Sub(s.asks[2]).Round(time.Second))
	s.Less(s.asks[20].Sub(s.asks[19]), 90*time.Second)
}

func (s *BackfillSuite) TestCancelWhileThePipelineIsBusy() {
	s.answer = func(time.Time) contract.Submitted { return contract.Submitted{Busy: "it runs already"} }
	s.control(time.Hour, contract.ActionCancel)
	s.Equal(contract.BackfillResult{Status: models.BackfillCancelled}, s.run())
}

func (s *BackfillSuite) TestContinuingAsNewKeepsWhatIsKnown() {
	s.ends[executionOf(s.due[0])] = models.ExecutionFailed
	s.env.RegisterDelayedCallback(func() { s.env.SetContinueAsNewSuggested(true) }, 90*time.Minute)
	s.Equal(contract.BackfillResume{
		After: s.due[1], Counts: contract.BackfillCounts{Completed: 1, Failed: 1}, Status: models.BackfillRunning,
	}, s.continued())
	s.Equal(s.in.Resume.Counts, s.last().Counts, "written down before")
	s.renewed()
	s.Equal(contract.BackfillResult{Status: models.BackfillFailed, Counts: contract.BackfillCounts{Completed: 6, Failed: 1}}, s.run())
	s.Equal(s.due[2:], s.submitted, "each once")
}

// TestWhatIsAskedForWhileItContinuesIsKept has somebody ask while the last news of a run are written down.
func (s *BackfillSuite) TestWhatIsAskedForWhileItContinuesIsKept() {
	for action, want := range map[contract.BackfillAction]models.BackfillStatus{
		contract.ActionPause: models.BackfillPaused, contract.ActionCancel: models.BackfillCancelling,
	} {
		s.Run(string(action), func() {
			s.SetupTest()
			s.env.RegisterDelayedCallback(func() { s.env.SetContinueAsNewSuggested(true) }, 30*time.Minute)
			began, c := s.env.Now(), &controlled{}
			s.away = func() bool {
				if !c.answered && s.env.Now().Sub(began) >= s.takes {
					s.away = nil
					s.update(action, c)
				}
				return false
			}
			s.Equal(want, s.continued().Status)
			s.Equal(want, c.status)
			s.Contains(s.in.Resume.Reason, "by ada")
			s.renewed()
			s.control(24*time.Hour, contract.ActionResume)
			result := s.run()
			if want == models.BackfillCancelling {
				s.Equal(contract.BackfillResult{Status: models.BackfillCancelled, Counts: contract.BackfillCounts{Completed: 1}}, result)
				s.Empty(s.submitted)
				return
			}
			s.Equal(7, result.Counts.Completed)
			s.Equal(24*time.Hour, s.asks[0].Sub(s.steps[0].At).Round(time.Hour), "it waited to be resumed")
		})
	}
}

func (s *BackfillSuite) TestAPausedOneWhoseWorkflowWasLostStaysPaused() {
	s.plan.Status, s.plan.Reason = models.BackfillPaused, "the pipeline is paused"
	resumed := s.control(24*time.Hour, contract.ActionResume)
	began := s.env.Now()
	s.Equal(7, s.run().Counts.Completed)
	s.Equal(models.BackfillRunning, resumed.status)
	s.Equal("the pipeline is paused", s.steps[0].Reason)
	s.Equal(24*time.Hour, s.asks[0].Sub(began).Round(time.Minute))
}

func (s *BackfillSuite) TestACancelledOneWhoseWorkflowWasLostEnds() {
	s.plan.Status, s.plan.Reason, s.plan.Completed = models.BackfillCancelling, "cancelled by ada", 3
	s.Equal(contract.BackfillResult{Status: models.BackfillCancelled, Counts: contract.BackfillCounts{Completed: 3}}, s.run())
	s.Empty(s.submitted)
	s.Equal("cancelled by ada", s.last().Reason)
}

func (s *BackfillSuite) TestAnAttemptThatHasEndedDoesNothing() {
	s.plan.Status, s.plan.Completed = models.BackfillCompleted, 7
	c := s.control(0, contract.ActionPause)
	s.env.ExecuteWorkflow(contract.BackfillWorkflow, s.in)
	s.Require().NoError(s.env.GetWorkflowError())
	s.Empty(s.steps)
	s.Empty(s.submitted)
	s.Contains([]models.Code{"", models.CodeBackfillClosed}, c.code)
	s.Empty(c.status)
}

// TestTheLastRecordIsTheTruth has the database be away for a while: what changed meanwhile is written at once.
func (s *BackfillSuite) TestTheLastRecordIsTheTruth() {
	s.takes, s.plan.MaxParallel = time.Millisecond, 7
	tries := 0
	s.away = func() bool {
		tries++
		return tries <= 4
	}
	s.Equal(7, s.run().Counts.Completed)
	s.LessOrEqual(len(s.steps), 2, "%+v", s.steps)
}

func (s *BackfillSuite) TestRecordsNeverGoBack() {
	s.plan.MaxParallel = 3
	s.run()
	for i := 1; i < len(s.steps); i++ {
		s.GreaterOrEqual(s.steps[i].Counts.Completed, s.steps[i-1].Counts.Completed)
		s.LessOrEqual(s.steps[i].Running, 3)
	}
}
