package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/matih/pipeline-service/api/auth"
	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/definition"
	"github.com/matih/pipeline-service/models/store"
	"github.com/matih/pipeline-service/models/submission"
)

// commitTimeout bounds how long a submission or a cancellation goes on after its client has left.
const commitTimeout = 30 * time.Second

// ExecuteBody asks for an execution.
type ExecuteBody struct {
	Parameters     Object          `json:"parameters,omitempty" doc:"Values for the definition's parameters."`
	EngineOverride *EngineOverride `json:"engine_override,omitempty" nullable:"true" doc:"The engine to run on in place of the definition's."`
	Priority       models.Priority `json:"priority,omitempty" enum:"LOW,NORMAL,HIGH,CRITICAL" default:"NORMAL" doc:"Who goes first where executions wait."`
}

// EngineOverride is an engine in place of the definition's.
type EngineOverride models.Engine

var _ huma.SchemaProvider = EngineOverride("")

// Schema is that of an engine or null.
func (EngineOverride) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{
		Type: huma.TypeString, Nullable: true, Enum: []any{string(models.EngineTemporal), string(models.EngineAirflow), nil},
	}
}

// SubmittedView is an execution that was just submitted.
type SubmittedView struct {
	ExecutionID         string                 `json:"executionId"`
	PipelineID          string                 `json:"pipelineId"`
	Status              models.ExecutionStatus `json:"status"`
	Engine              models.Engine          `json:"engine"`
	Priority            models.Priority        `json:"priority"`
	DefinitionVersion   int                    `json:"definitionVersion" doc:"The version of the definition it runs."`
	EstimatedDurationMs int64                  `json:"estimatedDurationMs" doc:"The median of the pipeline's last completed executions on this engine, else a fixed guess."`
	EstimatedCostUsd    *float64               `json:"estimatedCostUsd,omitempty" doc:"The median of the same executions; missing where no cost of any is known."`
	SubmittedAt         time.Time              `json:"submittedAt"`
	RerunOf             string                 `json:"rerunOf,omitempty" doc:"The execution it runs again."`
}

// ExecutionView is an execution as the API shows it.
type ExecutionView struct {
	ExecutionID         string                 `json:"executionId"`
	PipelineID          string                 `json:"pipelineId"`
	PipelineName        string                 `json:"pipelineName"`
	DefinitionVersion   int                    `json:"definitionVersion" doc:"The version of the definition it runs."`
	Status              models.ExecutionStatus `json:"status" enum:"QUEUED,RUNNING,AWAITING_APPROVAL,CANCELLING,COMPLETED,FAILED,CANCELLED"`
	StatusReason        string                 `json:"statusReason,omitempty"`
	Engine              models.Engine          `json:"engine"`
	Priority            models.Priority        `json:"priority"`
	Trigger             models.Trigger         `json:"trigger"`
	RerunOf             string                 `json:"rerunOf,omitempty" doc:"The execution it runs again."`
	ScheduleID          string                 `json:"scheduleId,omitempty" doc:"The schedule that made it."`
	BackfillID          string                 `json:"backfillId,omitempty" doc:"The backfill that made it."`
	ExecutionDate       *time.Time             `json:"executionDate,omitempty" doc:"The time it stands for: the due time of a schedule or a backfill, else when it was submitted."`
	Parameters          Object                 `json:"parameters,omitempty" doc:"The values given; only where one execution is asked for."`
	Progress            Progress               `json:"progress"`
	Metrics             Metrics                `json:"metrics"`
	EstimatedDurationMs int64                  `json:"estimatedDurationMs"`
	EstimatedCostUsd    *float64               `json:"estimatedCostUsd,omitempty"`
	SubmittedBy         string                 `json:"submittedBy"`
	SubmittedAt         time.Time              `json:"submittedAt"`
	StartedAt           *time.Time             `json:"startedAt,omitempty" doc:"When the first task started."`
	EndedAt             *time.Time             `json:"endedAt,omitempty"`
	Error               *models.ExecutionError `json:"error,omitempty" doc:"Why it is FAILED."`
}

// Progress is how far an execution is.
type Progress struct {
	TotalTasks     int    `json:"totalTasks"`
	CompletedTasks int    `json:"completedTasks"`
	CurrentTask    string `json:"currentTask,omitempty" doc:"A task that runs, else the last one that did."`
	Percentage     int    `json:"percentage"`
}

// Metrics are what an execution has measured.
type Metrics struct {
	RowsProcessed  int64 `json:"rowsProcessed" doc:"Rows the sources read."`
	BytesProcessed int64 `json:"bytesProcessed" doc:"Bytes the sources read."`
	ElapsedMs      int64 `json:"elapsedMs" doc:"From the start to the end, or until now."`
}

// ExecutionList is one page of executions, newest first.
type ExecutionList struct {
	Executions []ExecutionView `json:"executions"`
	Page       int             `json:"page"`
	Size       int             `json:"size"`
	Total      int64           `json:"total"`
}

// CancelledView says that an execution is being cancelled.
type CancelledView struct {
	ExecutionID string                 `json:"executionId"`
	Status      models.ExecutionStatus `json:"status"`
}

func (s *service) registerExecutions() {
	register(s, operation{
		Operation: huma.Operation{
			OperationID: "executePipeline", Method: http.MethodPost, Path: "/v1/pipelines/{pipelineId}/execute",
			DefaultStatus: http.StatusAccepted,
			Tags:          []string{"Executions"}, Summary: "Execute a pipeline",
			Description: "Starts an execution of the current version and answers at once; follow it by its status or its logs.",
		},
		Scope: auth.ScopeExecute, Load: loadPipeline, Example: exampleExecute, Answer: exampleSubmitted,
		Codes: []models.Code{
			models.CodeInvalidParameters, models.CodePipelineRunning, models.CodePipelinePaused, models.CodeBudgetExceeded,
			models.CodeQuotaExceeded, models.CodeAirflowNotConfigured,
		},
	}, s.execute)
	register(s, operation{
		Operation: huma.Operation{
			OperationID: "listExecutions", Method: http.MethodGet, Path: "/v1/pipelines/executions",
			Tags: []string{"Executions"}, Summary: "List executions", Description: "Newest first.",
		},
		Scope: auth.ScopeRead, Codes: []models.Code{models.CodeNotFound},
	}, s.listExecutions)
	register(s, operation{
		Operation: huma.Operation{
			OperationID: "getExecution", Method: http.MethodGet, Path: "/v1/pipelines/executions/{executionId}",
			Tags: []string{"Executions"}, Summary: "Get an execution's status",
			Description: "Progress and metrics are measured, never estimated.",
		},
		Scope: auth.ScopeRead, Load: loadExecution, Answer: exampleExecution,
	}, s.getExecution)
	register(s, operation{
		Operation: huma.Operation{
			OperationID: "cancelExecution", Method: http.MethodPost, Path: "/v1/pipelines/executions/{executionId}/cancel",
			DefaultStatus: http.StatusAccepted,
			Tags:          []string{"Executions"}, Summary: "Cancel an execution",
			Description: "Asks for the end of an open execution; asking again changes nothing.",
		},
		Scope: auth.ScopeExecute, Load: loadExecution, Answer: exampleCancelled,
		Codes: []models.Code{models.CodeExecutionClosed},
	}, s.cancelExecution)
	s.registerTasks()
	s.registerCosts()
}

type executeInput struct {
	PipelineID string `path:"pipelineId" doc:"The pipeline's id."`
	Body       *ExecuteBody

	id         string
	at         time.Time
	definition *definition.Definition
}

// Resolve binds the parameters to the pipeline's definition, so that what is wrong with them is said
// together with what else is.
func (in *executeInput) Resolve(ctx huma.Context) []error {
	r := requestOf(ctx.Context())
	p := r.resource.(models.Pipeline)
	d, err := definition.Parse(p.Definition, "definition")
	if err != nil {
		return []error{err}
	}
	in.definition, in.id, in.at = d, r.newID(models.PrefixExecution), r.api.Now().UTC()
	if in.Body == nil {
		in.Body = &ExecuteBody{}
	}
	if len(in.Body.Parameters) > 0 && !in.Body.Parameters.given() {
		in.Body.Parameters = nil // null is none; anything else is the schema's mistake
	}
	err = submission.Check(ctx.Context(), r.store, d, json.RawMessage(in.Body.Parameters), definition.Builtins{
		ExecutionID: in.id, ExecutionDate: in.at, Tenant: r.tenant,
	}, "body.parameters")
	if err != nil {
		return []error{err}
	}
	return nil
}

type executeOutput struct {
	Location string `header:"Location"`
	Body     SubmittedView
}

func (s *service) execute(ctx context.Context, in *executeInput) (*executeOutput, error) {
	r, p := requestOf(ctx), loaded[models.Pipeline](ctx)
	var override models.Engine
	if in.Body.EngineOverride != nil {
		override = models.Engine(*in.Body.EngineOverride)
	}
	engine, err := s.Submission.EngineOf(override, in.definition)
	if err != nil {
		return nil, err
	}
	return s.submit(ctx, s.Submission.Execution(p, in.definition, engine, submission.Request{
		ID: in.id, Version: p.Version, Parameters: json.RawMessage(in.Body.Parameters), Priority: in.Body.Priority,
		Trigger: models.TriggerManual, ExecutionDate: in.at, SubmittedAt: in.at, SubmittedBy: r.principal.Subject,
	}))
}

// submit stores an execution and starts its workflow.
func (s *service) submit(ctx context.Context, e models.Execution) (*executeOutput, error) {
	// From here a client that leaves must not leave an execution half submitted.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitTimeout)
	defer cancel()
	r := requestOf(ctx)
	e, err := r.store.SubmitExecution(ctx, e)
	if err != nil {
		return nil, err
	}
	if !e.Status.Terminal() {
		if err := s.start(ctx, r.store, e); err != nil {
			return nil, err
		}
	}
	return submitted(e), nil
}

// submitted answers with an execution that has just been submitted.
func submitted(e models.Execution) *executeOutput {
	return &executeOutput{Location: "/v1/pipelines/executions/" + e.ID, Body: SubmittedView{
		ExecutionID: e.ID, PipelineID: e.PipelineID, Status: e.Status, Engine: e.Engine, Priority: e.Priority, RerunOf: e.RerunOf,
		DefinitionVersion: e.Version, EstimatedDurationMs: e.EstimatedDuration.Milliseconds(), EstimatedCostUsd: estimatedCost(e),
		SubmittedAt: e.SubmittedAt.UTC(),
	}}
}

// start starts an execution's workflow. Where that fails, or may have failed, the execution is closed, so that the
// client's next try does not find it in the way; a workflow that did start sees that and does nothing.
func (s *service) start(ctx context.Context, t *store.Tenant, e models.Execution) error {
	err := s.Gateway.StartExecution(ctx, e)
	if err == nil {
		return nil
	}
	const reason = "the execution could not be started because the workflow service did not answer; execute the pipeline again"
	_, closeErr := t.FinishExecution(ctx, e.ID, store.ExecutionEnd{
		Status: models.ExecutionFailed, Reason: "could not be started", At: s.Now().UTC(),
		Error: &models.ExecutionError{Class: models.ClassInternal, Message: reason},
		Lines: []models.LogLine{{Time: s.Now().UTC(), Level: "ERROR", Message: reason}},
	})
	return errors.Join(err, closeErr)
}

type listExecutionsInput struct {
	Paging
	PipelineID string                 `query:"pipelineId" doc:"Executions of this pipeline."`
	Status     models.ExecutionStatus `query:"status" enum:"QUEUED,RUNNING,AWAITING_APPROVAL,CANCELLING,COMPLETED,FAILED,CANCELLED" doc:"Executions in this status."`
	BackfillID string                 `query:"backfillId" doc:"Executions of this backfill."`
}

type listExecutionsOutput struct{ Body ExecutionList }

func (s *service) listExecutions(ctx context.Context, in *listExecutionsInput) (*listExecutionsOutput, error) {
	r := requestOf(ctx)
	if in.PipelineID != "" {
		if _, err := findPipeline(ctx, r, in.PipelineID); err != nil {
			return nil, err
		}
	}
	if in.BackfillID != "" && !models.IsID(models.PrefixBackfill, in.BackfillID) {
		return nil, models.NotFound("backfill")
	}
	found, err := r.store.Executions(ctx, store.ExecutionFilter{PipelineID: in.PipelineID, Status: in.Status, BackfillID: in.BackfillID}, in.page())
	if err != nil {
		return nil, err
	}
	list := ExecutionList{Executions: []ExecutionView{}, Page: in.Page, Size: in.Size, Total: found.Total}
	for _, e := range found.Items {
		e.Parameters = nil
		list.Executions = append(list.Executions, s.viewExecution(e))
	}
	return &listExecutionsOutput{Body: list}, nil
}

type executionInput struct {
	ExecutionID string `path:"executionId" doc:"The execution's id."`
}

type executionOutput struct{ Body ExecutionView }

func (s *service) getExecution(ctx context.Context, _ *executionInput) (*executionOutput, error) {
	return &executionOutput{Body: s.viewExecution(loaded[models.Execution](ctx))}, nil
}

type cancelOutput struct {
	Location string `header:"Location"`
	Body     CancelledView
}

func (s *service) cancelExecution(ctx context.Context, _ *executionInput) (*cancelOutput, error) {
	id := loaded[models.Execution](ctx).ID
	status, err := s.cancel(ctx, id)
	if err != nil {
		return nil, err
	}
	return &cancelOutput{
		Location: "/v1/pipelines/executions/" + id,
		Body:     CancelledView{ExecutionID: id, Status: status},
	}, nil
}

// cancel makes an execution CANCELLING and starts what sees to its end. Where the start fails, maintenance
// repeats it.
func (s *service) cancel(ctx context.Context, id string) (models.ExecutionStatus, error) {
	r := requestOf(ctx)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitTimeout)
	defer cancel()
	e, err := r.store.RequestCancel(ctx, id)
	if err != nil {
		return "", err
	}
	return e.Status, s.Gateway.CancelExecution(ctx, r.tenant, id)
}

func (s *service) viewExecution(e models.Execution) ExecutionView {
	v := ExecutionView{
		ExecutionID: e.ID, PipelineID: e.PipelineID, PipelineName: e.PipelineName, DefinitionVersion: e.Version,
		Status: e.Status, StatusReason: e.StatusReason, Engine: e.Engine, Priority: e.Priority, Trigger: e.Trigger, RerunOf: e.RerunOf,
		Progress: Progress{
			TotalTasks: e.TotalTasks, CompletedTasks: e.CompletedTasks, CurrentTask: e.CurrentTask, Percentage: percentage(e),
		},
		Metrics: Metrics{
			RowsProcessed: e.RowsProcessed, BytesProcessed: e.BytesProcessed, ElapsedMs: elapsed(e, s.Now()).Milliseconds(),
		},
		ScheduleID: e.ScheduleID, BackfillID: e.BackfillID, ExecutionDate: known(e.ExecutionDate),
		EstimatedDurationMs: e.EstimatedDuration.Milliseconds(), EstimatedCostUsd: estimatedCost(e),
		SubmittedBy: e.SubmittedBy, SubmittedAt: e.SubmittedAt.UTC(),
		StartedAt: known(e.StartedAt), EndedAt: known(e.EndedAt), Error: e.Error,
	}
	if parameters := Object(e.Parameters); parameters.given() {
		v.Parameters = parameters
	}
	return v
}

// percentage is the share of tasks that are done, rounded down so that 100 means all.
func percentage(e models.Execution) int {
	switch {
	case e.Status == models.ExecutionCompleted:
		return 100
	case e.TotalTasks == 0:
		return 0
	default:
		return e.CompletedTasks * 100 / e.TotalTasks
	}
}

// elapsed is how long an execution has run.
func elapsed(e models.Execution, now time.Time) time.Duration {
	switch {
	case e.StartedAt.IsZero():
		return 0
	case e.EndedAt.IsZero():
		return max(0, now.Sub(e.StartedAt))
	default:
		return e.EndedAt.Sub(e.StartedAt)
	}
}

// known is a time in UTC, nil where it has not come yet.
func known(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}
