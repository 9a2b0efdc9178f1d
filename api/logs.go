package api

import (
	"context"
	"fmt"
	"mime"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/danielgtaylor/huma/v2"

	"github.com/matih/pipeline-service/api/auth"
	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/definition"
	"github.com/matih/pipeline-service/models/store"
)

const (
	textMedia   = "text/plain"
	eventsMedia = "text/event-stream"
	// maxLines is how many lines of a log one question gets.
	maxLines = 10_000
)

// LogView is the last lines of an execution's log.
type LogView struct {
	ExecutionID string        `json:"executionId"`
	Task        string        `json:"task" doc:"The task whose lines these are; empty for all."`
	Lines       []LogLineView `json:"lines" doc:"In the order of time."`
}

// LogLineView is one line of a log.
type LogLineView struct {
	Timestamp time.Time `json:"timestamp"`
	Level     string    `json:"level" enum:"DEBUG,INFO,WARN,ERROR"`
	Task      string    `json:"task" doc:"Empty for the execution's own lines."`
	Message   string    `json:"message"`
}

func (s *service) registerLogs() {
	op := operation{
		Operation: huma.Operation{
			OperationID: "getExecutionLogs", Method: http.MethodGet, Path: "/v1/pipelines/executions/{executionId}/logs",
			Tags: []string{"Executions"}, Summary: "Get an execution's log",
			Description: "The last lines, as JSON, or as text where Accept prefers text/plain. With follow=true a stream of " +
				"server-sent events: `line` for every line, those to come included, and `end` with the status when " +
				"the execution has ended. Last-Event-ID takes a stream up where it broke off.",
		},
		Scope: auth.ScopeRead, Load: loadExecution,
	}
	register(s, op, s.logs)
	s.documentLogs(op)
}

var logViewType = reflect.TypeFor[LogView]()

// documentLogs describes the three forms of a log, which Huma cannot know.
func (s *service) documentLogs(op operation) {
	schema := s.huma.OpenAPI().Components.Schemas.Schema(logViewType, true, "LogView")
	answer := s.huma.OpenAPI().Paths[op.Path].Get.Responses["200"]
	text := &huma.Schema{Type: huma.TypeString}
	answer.Content = map[string]*huma.MediaType{
		jsonMedia:   {Schema: schema, Example: exampleLog},
		textMedia:   {Schema: text, Example: exampleLogText},
		eventsMedia: {Schema: text, Example: exampleLogEvents},
	}
}

type logsInput struct {
	ExecutionID string `path:"executionId" doc:"The execution's id."`
	Task        string `query:"task" maxLength:"63" doc:"Lines of this task only."`
	Lines       int    `query:"lines" minimum:"1" maximum:"10000" default:"100" doc:"How many of the last lines."`
	Follow      bool   `query:"follow" doc:"Stream what comes, until the execution ends."`
	Accept      string `header:"Accept" hidden:"true"`
	LastEventID string `header:"Last-Event-ID" doc:"With follow: the id of the last event that arrived."`
}

type logsOutput struct {
	ContentType string `header:"Content-Type" hidden:"true"`
	Vary        string `header:"Vary" hidden:"true"`
	Body        func(huma.Context)
}

func (s *service) logs(ctx context.Context, in *logsInput) (*logsOutput, error) {
	r, e := requestOf(ctx), loaded[models.Execution](ctx)
	if in.Task != "" {
		if err := hasTask(ctx, r.store, e, in.Task); err != nil {
			return nil, err
		}
	}
	if in.Follow && r.method != http.MethodHead {
		return s.follow(r, e, in)
	}
	lines, err := r.store.Logs(ctx, e.ID, store.LogQuery{Task: in.Task, Last: in.Lines})
	if err != nil {
		return nil, err
	}
	if prefersText(in.Accept) {
		return &logsOutput{ContentType: textMedia + "; charset=utf-8", Vary: "Accept", Body: func(ctx huma.Context) {
			for _, line := range lines {
				if _, err := fmt.Fprintln(ctx.BodyWriter(), textLine(line.LogLine)); err != nil {
					return
				}
			}
		}}, nil
	}
	view := LogView{ExecutionID: e.ID, Task: in.Task, Lines: make([]LogLineView, 0, len(lines))}
	for _, line := range lines {
		view.Lines = append(view.Lines, viewLine(line.LogLine))
	}
	return &logsOutput{ContentType: jsonMedia, Vary: "Accept", Body: func(ctx huma.Context) {
		if err := jsonFormat.Marshal(ctx.BodyWriter(), view); err != nil {
			s.Log.DebugContext(ctx.Context(), "the log could not be sent", "requestId", r.id, "error", err)
		}
	}}, nil
}

// hasTask reports with CodeNotFound that an execution has no task of a name.
func hasTask(ctx context.Context, t *store.Tenant, e models.Execution, name string) error {
	runs, err := t.TaskRuns(ctx, e.ID)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(runs, func(run models.TaskRun) bool { return run.Name == name }) {
		return nil
	}
	if len(runs) > 0 {
		return models.NotFound("task")
	}
	// Not planned yet: what its definition says will be.
	v, err := t.PipelineVersion(ctx, e.PipelineID, e.Version)
	if err != nil {
		return err
	}
	d, err := definition.Parse(v.Definition, "definition")
	if err != nil {
		return err
	}
	for _, node := range d.Graph() {
		if node.Name == name {
			return nil
		}
	}
	return models.NotFound("task")
}

func viewLine(l models.LogLine) LogLineView {
	return LogLineView{Timestamp: l.Time.UTC(), Level: l.Level, Task: l.Task, Message: l.Message}
}

// textLine is a line of a log for a terminal. What would move its cursor or change its colours is written out.
func textLine(l models.LogLine) string {
	task := l.Task
	if task == "" {
		task = "-"
	}
	return fmt.Sprintf("%s %-5s %s %s", l.Time.UTC().Format("2006-01-02T15:04:05.000Z07:00"), l.Level, task, printable(l.Message))
}

// printable writes out the characters of s that do not print, as Go would.
func printable(s string) string {
	if !strings.ContainsFunc(s, func(c rune) bool { return !unicode.IsPrint(c) }) {
		return s
	}
	var b strings.Builder
	for _, c := range s {
		if unicode.IsPrint(c) {
			b.WriteRune(c)
		} else {
			b.WriteString(strings.Trim(strconv.QuoteRune(c), "'"))
		}
	}
	return b.String()
}

// prefersText reports whether an Accept header ranks text/plain above JSON.
func prefersText(accept string) bool {
	var text, json float64
	for part := range strings.SplitSeq(accept, ",") {
		media, params, err := mime.ParseMediaType(part)
		if err != nil {
			continue
		}
		q := 1.0
		if given, err := strconv.ParseFloat(params["q"], 64); err == nil {
			q = given
		}
		switch media {
		case textMedia, "text/*":
			text = max(text, q)
		case jsonMedia, "application/*", "*/*":
			json = max(json, q)
		}
	}
	return text > json || (text > 0 && strings.HasPrefix(strings.TrimSpace(accept), textMedia) && text == json)
}
