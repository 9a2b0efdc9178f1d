package main

import (
	"net/http"

	enumspb "go.temporal.io/api/enums/v1"

	"github.com/matih/pipeline-service/models/contract"
)

// plans are PlanWorkflows of a definition with a source that keeps one waiting: until it breaks off, and until somebody
// cancels the plan.
func plans(w *world) {
	silent, stop := w.listen()
	defer stop()
	w.file("planned/rows.csv", "id,text\n1,one\n")
	definition := m{
		"sources": m{
			"rows": m{"type": "cloud_storage", "connection": "files", "prefix": "planned/", "format": "csv"},
			"slow": m{"type": "jdbc", "connection": silent, "table": "public.rows"},
		},
		"transformations": []m{{"name": "both", "type": "sql_transform", "inputs": []string{"rows", "slow"}, "sql": "select * from rows join slow using (id)"}},
		"sinks":           m{"out": m{"type": "cloud_storage", "connection": "files", "prefix": "planned-out/", "format": "csv", "mode": "append", "input": "rows"}},
	}
	answers := make(chan error, 2)
	plan := func() {
		go func() {
			_, err := w.ada.Do(w.ctx, http.MethodPost, "/v1/pipelines/plan", m{"name": "planned", "definition": definition})
			answers <- err
		}()
	}
	plan()
	first := w.another(contract.PlanWorkflow, "")
	plan()
	second := w.another(contract.PlanWorkflow, first)
	for _, id := range []string{first, second} {
		w.save("PlanWorkflow-running", id, "", waiting(enumspb.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED, 2))
	}
	w.do("cancel a plan", func() error { return w.temporal.CancelWorkflow(w.ctx, second, "") })
	w.save("PlanWorkflow-cancelled", second, "", closed)
	stop()
	w.save("PlanWorkflow-completed", first, "", closed)
	for range 2 {
		w.do("plan", func() error { return <-answers })
	}
}
