package main

import (
	"context"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"

	"github.com/matih/pipeline-service/models/contract"
)

// notifications are NotificationWorkflows: to a webhook that is away and comes back, and to one that refuses.
func notifications(w *world) {
	var answer atomic.Int64
	var listener net.Listener
	w.do("listen", func() (err error) {
		listener, err = net.Listen("tcp", "127.0.0.1:0")
		return err
	})
	if w.err != nil {
		return
	}
	hook := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		rw.WriteHeader(int(answer.Load()))
	})}
	go func() { _ = hook.Serve(listener) }()
	defer func() { _ = hook.Close() }()

	answer.Store(http.StatusServiceUnavailable)
	pipeline := w.pipeline("told", m{"orchestration": m{
		"notifications": []m{{"on": []string{"started"}, "webhook": "http://" + listener.Addr().String()}}}})
	w.awaitStatus(w.execute(pipeline), "COMPLETED")
	first := w.notification("")
	w.save("NotificationWorkflow-waiting", first, "", waiting(enumspb.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED, 1))
	answer.Store(http.StatusOK)
	w.save("NotificationWorkflow-delivered", first, "", closed)
	answer.Store(http.StatusBadRequest)
	w.awaitStatus(w.execute(pipeline), "COMPLETED")
	w.save("NotificationWorkflow-refused", w.notification(first), "", closed)
}

// notification is the id of a NotificationWorkflow that is not a certain one.
func (w *world) notification(not string) string { return w.another(contract.NotificationWorkflow, not) }

// another is the id of a workflow of a type that is not a certain one.
func (w *world) another(workflow, not string) (id string) {
	w.until("a "+workflow, func(ctx context.Context) (bool, error) {
		list, err := w.temporal.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{Query: "WorkflowType = '" + workflow + "'"})
		for _, e := range list.GetExecutions() {
			if e.GetExecution().GetWorkflowId() != not {
				id = e.GetExecution().GetWorkflowId()
			}
		}
		return id != "", err
	})
	return id
}
