package workflows

import (
	"go.temporal.io/sdk/workflow"

	"github.com/matih/pipeline-service/models/contract"
)

// ScheduledExecution makes the execution of one due time of a schedule and ends with it, so that the overlap policy of
// the Temporal Schedule that started it sees how long it runs.
func ScheduledExecution(ctx workflow.Context, in contract.ScheduledExecutionInput) (contract.ScheduledExecutionResult, error) {
	info := workflow.GetInfo(ctx)
	submit := contract.SubmitScheduledInput{
		Tenant: in.Tenant, ScheduleID: in.ScheduleID, WorkflowID: info.WorkflowExecution.ID,
		DueAt: info.WorkflowStartTime, StartedAt: info.WorkflowStartTime,
	}
	if due, ok := workflow.GetTypedSearchAttributes(ctx).GetTime(contract.SearchScheduledStartTime); ok {
		submit.DueAt = due
	}
	// An execution that was made must be known, even where this is cancelled meanwhile.
	own, release := workflow.NewDisconnectedContext(ctx)
	defer release()
	for try := 0; ; try++ {
		var submitted contract.Submitted
		err := workflow.ExecuteLocalActivity(withRecordPolicy(own, "submit the execution"), contract.SubmitScheduledActivity,
			submit).Get(own, &submitted)
		switch {
		case err != nil:
			return contract.ScheduledExecutionResult{}, err
		case submitted.Execution != nil:
			workflow.SetCurrentDetails(ctx, "execution "+submitted.Execution.ID)
			status, err := runExecution(ctx, *submitted.Execution)
			return contract.ScheduledExecutionResult{ExecutionID: submitted.Execution.ID, Status: status}, err
		case submitted.Refused != "":
			workflow.SetCurrentDetails(ctx, "no execution: "+submitted.Refused)
			return contract.ScheduledExecutionResult{Reason: submitted.Refused}, nil
		}
		workflow.SetCurrentDetails(ctx, "waits: "+submitted.Busy)
		if err := pauseBefore(ctx, try, "until it can be executed"); err != nil {
			submit.Withdrawn = true
			if err := workflow.ExecuteLocalActivity(withRecordPolicy(own, "record that it was cancelled"), contract.SubmitScheduledActivity,
				submit).Get(own, nil); err != nil {
				return contract.ScheduledExecutionResult{}, err
			}
			return contract.ScheduledExecutionResult{}, err
		}
	}
}
