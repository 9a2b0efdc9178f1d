package main

import (
	"context"
	"net/http"
	"strings"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
)

// schedule makes a schedule that is due on New Year's Day; due starts it before.
func (w *world) schedule(pipeline, overlap string) string {
	var made struct{ ScheduleID string }
	w.call(http.MethodPost, "/schedules", m{"pipelineId": pipeline, "cronExpression": "0 0 1 1 *", "overlapPolicy": overlap}, http.StatusCreated, &made)
	return made.ScheduleID
}

// due has Temporal start a due time of a schedule now, by the overlap policy, and returns the id of the workflow that is
// not before.
func (w *world) due(schedule string, overlap enumspb.ScheduleOverlapPolicy, before string) (id string) {
	w.until("due time of "+schedule, func(ctx context.Context) (bool, error) {
		handle := w.temporal.ScheduleClient().GetHandle(ctx, schedule)
		described, err := handle.Describe(ctx)
		if err != nil {
			return false, err
		}
		for _, ran := range described.Info.RecentActions {
			if ran.StartWorkflowResult.WorkflowID > before {
				id = ran.StartWorkflowResult.WorkflowID
			}
		}
		if strings.HasSuffix(before, time.Now().UTC().Format(time.RFC3339)) {
			return false, nil // the id that Temporal makes of the second is taken
		}
		if id != "" || overlap == enumspb.SCHEDULE_OVERLAP_POLICY_UNSPECIFIED {
			return id != "", nil
		}
		err = handle.Trigger(ctx, client.ScheduleTriggerOptions{Overlap: overlap})
		overlap = enumspb.SCHEDULE_OVERLAP_POLICY_UNSPECIFIED // once
		return false, err
	})
	return id
}

// schedules are ScheduledExecutionWorkflows.
func schedules(w *world) {
	const allow, other = enumspb.SCHEDULE_OVERLAP_POLICY_ALLOW_ALL, enumspb.SCHEDULE_OVERLAP_POLICY_CANCEL_OTHER

	fine := w.due(w.schedule(w.pipeline("scheduled", nil), "skip"), allow, "")
	w.save("ScheduledExecutionWorkflow-completed", fine, "", closed)

	paused := w.pipeline("scheduled-paused", nil)
	refusing := w.schedule(paused, "skip")
	w.setStatus(paused, "PAUSED")
	w.save("ScheduledExecutionWorkflow-refused", w.due(refusing, allow, ""), "", closed)

	// The second due time takes the place of the first.
	replacing := w.schedule(w.pipeline("scheduled-endless", endless), "cancel_other")
	first := w.due(replacing, other, "")
	w.save("ScheduledExecutionWorkflow-running", first, "", waiting(enumspb.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_STARTED, 1))
	second := w.due(replacing, other, first)
	w.save("ScheduledExecutionWorkflow-cancelled", first, "", closed)
	w.do("cancel "+second, func() error { return w.temporal.CancelWorkflow(w.ctx, second, "") })
	w.ended(second, "")

	// Somebody else has the pipeline's only place.
	pipeline := w.pipeline("scheduled-busy", gate(m{}))
	occupant := w.execute(pipeline)
	w.awaitStatus(occupant, "AWAITING_APPROVAL")
	waits := w.schedule(pipeline, "allow_all")
	first = w.due(waits, allow, "")
	w.save("ScheduledExecutionWorkflow-busy", first, "", waiting(enumspb.EVENT_TYPE_TIMER_STARTED, 2))
	w.do("cancel "+first, func() error { return w.temporal.CancelWorkflow(w.ctx, first, "") })
	w.save("ScheduledExecutionWorkflow-cancelled-busy", first, "", closed)
	second = w.due(waits, allow, first)
	w.save("ScheduledExecutionWorkflow-busy-again", second, "", waiting(enumspb.EVENT_TYPE_TIMER_STARTED, 1))
	w.decide(w.sam, occupant, false)
	w.save("ScheduledExecutionWorkflow-running-at-last", second, "", waiting(enumspb.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_STARTED, 1))
	w.do("cancel "+second, func() error { return w.temporal.CancelWorkflow(w.ctx, second, "") })
	w.ended(second, "")
}
