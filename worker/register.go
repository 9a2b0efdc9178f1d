package worker

import (
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/worker"

	"github.com/matih/pipeline-service/activities/backfill"
	"github.com/matih/pipeline-service/activities/record"
	"github.com/matih/pipeline-service/activities/schedule"
	"github.com/matih/pipeline-service/activities/task"
	"github.com/matih/pipeline-service/models/contract"
)

// activitySet is every activity, with what it depends on.
type activitySet struct {
	tasks        *task.Tasks
	executions   *record.Executions
	approvals    *record.Approvals
	cancels      *record.Cancellations
	schedules    *schedule.Submissions
	scheduleSync *schedule.Sync
	backfills    *backfill.Backfills
	backfillSync *backfill.Reconciler
	maintenance  *record.Maintenance
	notify       *record.Notifications
	deliveries   *task.Notifications
}

// registerActivities puts each activity on its queue: those that hold a slot while data moves on
// tasks, the others on control, which also runs local activities.
func registerActivities(control, tasks worker.ActivityRegistry, a activitySet) {
	register(tasks, contract.RunTaskActivity, a.tasks.RunTask)
	register(tasks, contract.InspectStepActivity, a.tasks.InspectStep)
	register(control, contract.TestConnectionActivity, a.tasks.TestConnection)
	register(control, contract.LoadPlanActivity, a.tasks.LoadPlan)
	register(control, contract.EndPlanActivity, a.tasks.EndPlan)
	register(control, contract.PrepareActivity, a.executions.Prepare)
	register(control, contract.FinishActivity, a.executions.Finish)
	register(control, contract.OpenApprovalActivity, a.approvals.Open)
	register(control, contract.RecordDecisionActivity, a.approvals.Decide)
	register(control, contract.RemindApprovalActivity, a.approvals.Remind)
	register(control, contract.CloseApprovalActivity, a.approvals.Close)
	register(control, contract.ExecutionClosedActivity, a.cancels.Closed)
	register(control, contract.ForceCancelActivity, a.cancels.Force)
	register(control, contract.DeliverActivity, a.deliveries.Deliver)
	register(control, contract.SendNotificationsActivity, a.notify.SendLost)
	register(control, contract.RequestCancelActivity, a.cancels.Request)
	register(control, contract.SubmitScheduledActivity, a.schedules.Submit)
	register(control, contract.SyncSchedulesActivity, a.scheduleSync.Run)
	register(control, contract.LoadBackfillActivity, a.backfills.Load)
	register(control, contract.NextDueTimesActivity, a.backfills.Next)
	register(control, contract.SubmitBackfilledActivity, a.backfills.Submit)
	register(control, contract.StepBackfillActivity, a.backfills.Step)
	register(control, contract.ReconcileBackfillsActivity, a.backfillSync.Run)
	register(control, contract.ReconcileActivity, a.maintenance.Reconcile)
	register(control, contract.CheckPromisesActivity, a.maintenance.CheckPromises)
	register(control, contract.CleanUpActivity, a.maintenance.CleanUp)
}

func register(r worker.ActivityRegistry, name string, f any) {
	r.RegisterActivityWithOptions(f, activity.RegisterOptions{Name: name})
}
