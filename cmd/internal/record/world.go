package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"

	"github.com/matih/pipeline-service/cmd/internal/harness"
)

// m is short for a JSON object.
type m = map[string]any

const tenant = "11111111-2222-4333-8444-555555555555"

// patience is how long one state may take to come.
const patience = 5 * time.Minute

// world is a started standalone, a user, two stewards and what was recorded. Once something has failed its methods do
// nothing, so that scenarios read as what they do; err says what it was.
type world struct {
	ctx         context.Context
	temporal    client.Client
	ada         *harness.Client
	sam, rob    *harness.Client
	root, files string
	histories   map[string]*historypb.History // by name
	err         error
}

func newWorld(ctx context.Context, s *harness.Standalone, root, files string) (*world, error) {
	w := &world{ctx: ctx, root: root, files: files, histories: map[string]*historypb.History{}}
	for who, c := range map[string]**harness.Client{"ada": &w.ada, "sam": &w.sam, "rob": &w.rob} {
		roles := "DATA_STEWARD"
		if who == "ada" {
			roles = "DATA_ENGINEER,OPERATOR"
		}
		var err error
		if *c, err = s.Client(ctx, tenant, who+"@example.com", roles); err != nil {
			return nil, err
		}
	}
	_, err := w.ada.CreateConnection(ctx, m{"name": "files", "type": "local", "properties": m{"path": files}})
	if err != nil {
		return nil, err
	}
	w.temporal, err = client.Dial(client.Options{HostPort: s.Temporal, Logger: quiet{}})
	return w, err
}

// quiet drops what the Temporal client says: what matters comes back as an error.
type quiet struct{}

func (quiet) Debug(string, ...any) {}
func (quiet) Info(string, ...any)  {}
func (quiet) Warn(string, ...any)  {}
func (quiet) Error(string, ...any) {}

// do does something unless something before has failed.
func (w *world) do(what string, f func() error) {
	if w.err != nil {
		return
	}
	if err := f(); err != nil {
		w.err = fmt.Errorf("%s: %w", what, err)
	}
}

// until waits for a condition.
func (w *world) until(what string, condition func(ctx context.Context) (bool, error)) {
	w.do(what, func() error {
		ctx, cancel := context.WithTimeout(w.ctx, patience)
		defer cancel()
		return harness.Until(ctx, func() (bool, error) { return condition(ctx) })
	})
}

// call sends a request to the API that must be answered with the status.
func (w *world) call(method, path string, in any, status int, out any) {
	w.do(method+" "+path, func() error { return w.ada.JSON(w.ctx, method, "/v1/pipelines"+path, in, status, out) })
}

// file writes a file below the connection "files".
func (w *world) file(name, content string) {
	w.do("write "+name, func() error {
		path := filepath.Join(w.files, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			return err
		}
		return os.WriteFile(path, []byte(content), 0o600)
	})
}

// pipeline makes a pipeline that reads <name>/in/*.csv and writes <name>/out/; more are further fields of its
// definition.
func (w *world) pipeline(name string, more m) (id string) {
	w.file(name+"/in/rows.csv", "id,amount\n1,10\n2,-5\n3,7\n")
	files := m{"type": "cloud_storage", "connection": "files", "format": "csv"}
	definition := m{
		"sources": m{"raw": with(files, m{"prefix": name + "/in/"})},
		"sinks":   m{"out": with(files, m{"prefix": name + "/out/", "mode": "append"})},
	}
	w.do("pipeline "+name, func() (err error) {
		id, err = w.ada.CreatePipeline(w.ctx, name, with(definition, more))
		return err
	})
	return id
}

func with(base, more m) m {
	all := m{}
	for _, part := range []m{base, more} {
		for k, v := range part {
			all[k] = v
		}
	}
	return all
}

// setStatus pauses a pipeline or makes it active.
func (w *world) setStatus(pipeline, status string) {
	var now m
	w.call(http.MethodGet, "/"+pipeline, nil, http.StatusOK, &now)
	w.call(http.MethodPut, "/"+pipeline, m{"name": now["name"], "definition": now["definition"], "status": status}, http.StatusOK, nil)
}

func (w *world) execute(pipeline string) (id string) {
	w.do("execute "+pipeline, func() (err error) {
		id, err = w.ada.Execute(w.ctx, pipeline, nil)
		return err
	})
	return id
}

// awaitExecution waits until an execution passes.
func (w *world) awaitExecution(id, what string, passes func(harness.Execution) bool) {
	w.until(id+" to be "+what, func(ctx context.Context) (bool, error) {
		e, err := w.ada.Execution(ctx, id)
		if err == nil && e.Terminal() && !passes(e) {
			return false, fmt.Errorf("it ended as %s: %s", e.Status, e.StatusReason)
		}
		return err == nil && passes(e), err
	})
}

func (w *world) awaitStatus(id, status string) {
	w.awaitExecution(id, status, func(e harness.Execution) bool { return e.Status == status })
}

// state is whether a history has come to what is to be recorded.
type state func(events []*historypb.HistoryEvent) bool

// closed is a workflow's end.
func closed(events []*historypb.HistoryEvent) bool {
	switch events[len(events)-1].GetEventType() {
	case enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED, enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED,
		enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED, enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW:
		return true
	default:
		return false
	}
}

// waiting is a workflow that waits after so many events of a type, and has nothing to do at the moment.
func waiting(after enumspb.EventType, n int) state {
	return func(events []*historypb.HistoryEvent) bool {
		idle := false
		for _, e := range events {
			switch e.GetEventType() {
			case enumspb.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED, enumspb.EVENT_TYPE_WORKFLOW_TASK_STARTED:
				idle = false
			case enumspb.EVENT_TYPE_WORKFLOW_TASK_COMPLETED:
				idle = true
			case after:
				n--
			default:
			}
		}
		return idle && n <= 0 && !closed(events)
	}
}

// save records a workflow's history under a name once it has come to a state. Without a run's id it is the latest.
func (w *world) save(name, id, run string, reached state) {
	w.until(name+" of "+id, func(ctx context.Context) (bool, error) {
		history := &historypb.History{}
		for events := w.temporal.GetWorkflowHistory(ctx, id, run, false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT); events.HasNext(); {
			e, err := events.Next()
			if _, missing := err.(*serviceerror.NotFound); missing { //nolint:errorlint // the client returns it as it is
				return false, nil
			}
			if err != nil {
				return false, err
			}
			history.Events = append(history.Events, e)
		}
		if !reached(history.Events) {
			if closed(history.Events) {
				return false, fmt.Errorf("it ended before: %d events", len(history.Events))
			}
			return false, nil
		}
		w.histories[name] = history
		return true, nil
	})
}

// ended waits for the end of a run, however long it takes and however it ends; without its id it is the latest.
func (w *world) ended(id, run string) {
	w.do("end of "+id, func() error {
		_, err := w.temporal.GetWorkflowHistory(w.ctx, id, run, true, enumspb.HISTORY_EVENT_FILTER_TYPE_CLOSE_EVENT).Next()
		return err
	})
}

// run is the id of a workflow's present run.
func (w *world) run(id string) (run string) {
	w.do("describe "+id, func() error {
		described, err := w.temporal.DescribeWorkflow(w.ctx, id, "")
		if err == nil {
			run = described.WorkflowExecution.RunID
		}
		return err
	})
	return run
}
