package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/matih/pipeline-service/api/auth"
	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/contract"
	"github.com/matih/pipeline-service/models/store"
)

// shownDryRun is how many due times a dry run shows.
const shownDryRun = 1000

// BackfillView is a backfill as the API shows it. A dry run has no id and no progress.
type BackfillView struct {
	BackfillID     string                `json:"backfillId,omitempty" doc:"Also the id of its workflow."`
	PipelineID     string                `json:"pipelineId"`
	ScheduleID     string                `json:"scheduleId,omitempty"`
	CronExpression string                `json:"cronExpression"`
	Timezone       string                `json:"timezone"`
	From           time.Time             `json:"from" doc:"The first time that counts."`
	To             time.Time             `json:"to" doc:"The first time that no longer counts."`
	Version        int                   `json:"version" doc:"The version of the definition it executes."`
	Priority       models.Priority       `json:"priority"`
	MaxParallel    int                   `json:"maxParallel"`
	Status         models.BackfillStatus `json:"status,omitempty" enum:"RUNNING,PAUSED,CANCELLING,COMPLETED,FAILED,CANCELLED"`
	StatusReason   string                `json:"statusReason,omitempty"`
	Progress       *BackfillProgress     `json:"progress,omitempty"`
	Attempt        int                   `json:"attempt,omitempty" doc:"1, and one more for each retry."`
	SubmittedBy    string                `json:"submittedBy,omitempty"`
	SubmittedAt    *time.Time            `json:"submittedAt,omitempty"`
	EndedAt        *time.Time            `json:"endedAt,omitempty"`
	DryRun         bool                  `json:"dryRun,omitempty" doc:"Nothing was started."`
	TotalDueTimes  int                   `json:"totalDueTimes" doc:"How many executions it makes."`
	DueTimes       []time.Time           `json:"dueTimes,omitempty" doc:"Of a dry run: the first thousand."`
}

// BackfillProgress is how far a backfill is.
type BackfillProgress struct {
	Completed  int `json:"completed"`
	Failed     int `json:"failed"`
	Cancelled  int `json:"cancelled"`
	Running    int `json:"running"`
	Waiting    int `json:"waiting" doc:"Due times that have not been begun."`
	Percentage int `json:"percentage" doc:"Of the due times, those that have ended."`
}

// BackfillList is one page of backfills, newest first.
type BackfillList struct {
	Backfills []BackfillView `json:"backfills"`
	Page      int            `json:"page"`
	Size      int            `json:"size"`
	Total     int64          `json:"total"`
}

func (s *service) registerBackfills() {
	register(s, operation{
		Operation: huma.Operation{
			OperationID: "createBackfill", Method: http.MethodPost, Path: "/v1/pipelines/{pipelineId}/backfills",
			DefaultStatus: http.StatusAccepted,
			Tags:          []string{"Backfills"}, Summary: "Backfill a pipeline",
			Description: "Executes the pipeline for every due time of a range, in order, maxParallel at once (and never more than the " +
				"definition's max_active_runs). With dryRun it only tells the due times, with status 200.",
		},
		Scope: auth.ScopeExecute, Load: loadPipeline, Example: exampleBackfill, Answer: exampleCreatedBackfill,
		Codes: []models.Code{models.CodeInvalidParameters, models.CodePipelinePaused},
	}, s.createBackfill)
	if created := s.huma.OpenAPI().Paths["/v1/pipelines/{pipelineId}/backfills"]; created != nil {
		created.Post.Responses["200"] = &huma.Response{Description: "The due times of a dry run", Content: created.Post.Responses["202"].Content}
	}
	register(s, operation{
		Operation: huma.Operation{
			OperationID: "listBackfills", Method: http.MethodGet, Path: "/v1/pipelines/backfills",
			Tags: []string{"Backfills"}, Summary: "List backfills", Description: "Newest first.",
		},
		Scope: auth.ScopeRead, Codes: []models.Code{models.CodeNotFound},
	}, s.listBackfills)
	register(s, operation{
		Operation: huma.Operation{
			OperationID: "getBackfill", Method: http.MethodGet, Path: "/v1/pipelines/backfills/{backfillId}",
			Tags: []string{"Backfills"}, Summary: "Get a backfill", Description: "Its executions are listed by GET /v1/pipelines/executions?backfillId=.",
		},
		Scope: auth.ScopeRead, Load: loadBackfill, Answer: exampleCreatedBackfill,
	}, s.getBackfill)
	s.registerBackfillControl("pauseBackfill", contract.ActionPause, "Pause a backfill", "Begins no more executions; those that run go on.")
	s.registerBackfillControl("resumeBackfill", contract.ActionResume, "Resume a backfill", "Goes on where it was paused.")
	s.registerBackfillControl("cancelBackfill", contract.ActionCancel, "Cancel a backfill", "Begins no more executions and cancels those that run.")
	register(s, operation{
		Operation: huma.Operation{
			OperationID: "retryBackfill", Method: http.MethodPost, Path: "/v1/pipelines/backfills/{backfillId}/retry",
			DefaultStatus: http.StatusAccepted,
			Tags:          []string{"Backfills"}, Summary: "Retry a backfill",
			Description: "Executes the due times of a backfill that has ended which have no COMPLETED execution, and only those.",
		},
		Scope: auth.ScopeExecute, Load: loadBackfill, Answer: exampleCreatedBackfill,
		Codes: []models.Code{models.CodeBackfillOpen, models.CodeBackfillClosed},
	}, s.retryBackfill)
}

// registerBackfillControl adds an operation that asks a backfill's workflow for something.
func (s *service) registerBackfillControl(id string, action contract.BackfillAction, summary, description string) {
	register(s, operation{
		Operation: huma.Operation{
			OperationID: id, Method: http.MethodPost, Path: "/v1/pipelines/backfills/{backfillId}/" + string(action),
			DefaultStatus: http.StatusAccepted,
			Tags:          []string{"Backfills"}, Summary: summary, Description: description + " Asking again changes nothing.",
		},
		Scope: auth.ScopeExecute, Load: loadBackfill, Answer: exampleCreatedBackfill,
		Codes: []models.Code{models.CodeBackfillClosed},
	}, func(ctx context.Context, _ *backfillInput) (*backfillOutput, error) {
		return s.controlBackfill(ctx, action)
	})
}

type backfillInput struct {
	BackfillID string `path:"backfillId" doc:"The backfill's id."`
}

type backfillOutput struct {
	Status   int
	Location string `header:"Location"`
	Body     BackfillView
}

func (s *service) createBackfill(ctx context.Context, in *createBackfillInput) (*backfillOutput, error) {
	r := requestOf(ctx)
	if in.Body.DryRun {
		v := viewBackfill(in.backfill)
		v.DryRun, v.DueTimes = true, in.times.Between(in.backfill.From, in.backfill.To, shownDryRun)
		v.BackfillID, v.Status, v.Progress, v.Attempt, v.SubmittedAt = "", "", nil, 0, nil
		return &backfillOutput{Status: http.StatusOK, Body: v}, nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitTimeout)
	defer cancel()
	in.backfill.ID, in.backfill.SubmittedBy, in.backfill.SubmittedAt = r.newID(models.PrefixBackfill), r.principal.Subject, s.Now().UTC()
	b, err := r.store.CreateBackfill(ctx, in.backfill)
	if err != nil {
		return nil, err
	}
	return s.startBackfill(ctx, b)
}

// startBackfill starts an attempt. Where that fails, or may have failed, the attempt is closed, so that the client's
// next try is not a second one; a workflow that did start sees that and does nothing.
func (s *service) startBackfill(ctx context.Context, b models.Backfill) (*backfillOutput, error) {
	if b.Status.Terminal() {
		return accepted(b), nil
	}
	if err := s.Gateway.StartBackfill(ctx, b); err != nil {
		closed := requestOf(ctx).store.StepBackfill(ctx, b.ID, store.BackfillStep{
			Attempt: b.Attempt, Status: models.BackfillFailed, Reason: "could not be started", Completed: b.Completed, At: s.Now().UTC(),
		})
		if closed != nil {
			s.Log.ErrorContext(ctx, "a backfill that was not started stays open", "backfill", b.ID, "error", closed)
		}
		return nil, err
	}
	return accepted(b), nil
}

func accepted(b models.Backfill) *backfillOutput {
	return &backfillOutput{Status: http.StatusAccepted, Location: "/v1/pipelines/backfills/" + b.ID, Body: viewBackfill(b)}
}

type listBackfillsInput struct {
	Paging
	PipelineID string                `query:"pipelineId" doc:"Backfills of this pipeline."`
	Status     models.BackfillStatus `query:"status" enum:"RUNNING,PAUSED,CANCELLING,COMPLETED,FAILED,CANCELLED" doc:"Backfills in this status."`
}

type listBackfillsOutput struct{ Body BackfillList }

func (s *service) listBackfills(ctx context.Context, in *listBackfillsInput) (*listBackfillsOutput, error) {
	if in.PipelineID != "" && !models.IsID(models.PrefixPipeline, in.PipelineID) {
		return nil, models.NotFound("pipeline")
	}
	found, err := requestOf(ctx).store.Backfills(ctx, store.BackfillFilter{PipelineID: in.PipelineID, Status: in.Status}, in.page())
	if err != nil {
		return nil, err
	}
	list := BackfillList{Backfills: []BackfillView{}, Page: in.Page, Size: in.Size, Total: found.Total}
	for _, b := range found.Items {
		list.Backfills = append(list.Backfills, viewBackfill(b))
	}
	return &listBackfillsOutput{Body: list}, nil
}

type getBackfillOutput struct{ Body BackfillView }

func (s *service) getBackfill(ctx context.Context, _ *backfillInput) (*getBackfillOutput, error) {
	return &getBackfillOutput{Body: viewBackfill(loaded[models.Backfill](ctx))}, nil
}

func (s *service) controlBackfill(ctx context.Context, action contract.BackfillAction) (*backfillOutput, error) {
	r, b := requestOf(ctx), loaded[models.Backfill](ctx)
	if b.Status.Terminal() {
		return nil, backfillClosed(b)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitTimeout)
	defer cancel()
	_, err := s.Gateway.ControlBackfill(ctx, b.ID, r.newID("control-"), contract.BackfillControl{Action: action, By: r.principal.Subject})
	if err != nil && models.CodeOf(err) != models.CodeNotFound {
		return nil, err
	}
	now, readErr := r.store.Backfill(ctx, b.ID)
	switch {
	case readErr != nil:
		return nil, readErr
	case err != nil && now.Status.Terminal():
		return nil, backfillClosed(now)
	case err != nil:
		return nil, &models.Error{Code: models.CodeUnavailable, Message: "the backfill's workflow is not there; it will be started again within a minute", Cause: err}
	default:
		return accepted(now), nil
	}
}

func backfillClosed(b models.Backfill) error {
	return models.Errorf(models.CodeBackfillClosed, "the backfill has ended: it is %s", b.Status)
}

func (s *service) retryBackfill(ctx context.Context, _ *backfillInput) (*backfillOutput, error) {
	r, b := requestOf(ctx), loaded[models.Backfill](ctx)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitTimeout)
	defer cancel()
	b, err := r.store.RetryBackfill(ctx, b.ID)
	if err != nil {
		return nil, err
	}
	return s.startBackfill(ctx, b)
}

func viewBackfill(b models.Backfill) BackfillView {
	ended := b.Completed + b.Failed + b.Cancelled
	v := BackfillView{
		BackfillID: b.ID, PipelineID: b.PipelineID, ScheduleID: b.ScheduleID, CronExpression: b.Cron, Timezone: b.Timezone,
		From: b.From.UTC(), To: b.To.UTC(), Version: b.Version, Priority: b.Priority, MaxParallel: b.MaxParallel,
		Status: b.Status, StatusReason: b.StatusReason, Attempt: b.Attempt, SubmittedBy: b.SubmittedBy,
		SubmittedAt: known(b.SubmittedAt), EndedAt: known(b.EndedAt), TotalDueTimes: b.Total,
		Progress: &BackfillProgress{
			Completed: b.Completed, Failed: b.Failed, Cancelled: b.Cancelled, Running: b.Running,
			Waiting: max(0, b.Total-ended-b.Running),
		},
	}
	if b.Total > 0 {
		v.Progress.Percentage = 100 * ended / b.Total
	}
	return v
}
