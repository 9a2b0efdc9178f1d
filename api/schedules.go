package api

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/matih/pipeline-service/api/auth"
	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/cron"
	"github.com/matih/pipeline-service/models/definition"
	"github.com/matih/pipeline-service/models/submission"
)

// shownDueTimes is how many due times to come a schedule shows.
const shownDueTimes = 5

// ScheduleView is a schedule as the API shows it.
type ScheduleView struct {
	ScheduleID     string               `json:"scheduleId"`
	PipelineID     string               `json:"pipelineId"`
	CronExpression string               `json:"cronExpression"`
	Timezone       string               `json:"timezone"`
	Parameters     Object               `json:"parameters,omitempty"`
	Enabled        bool                 `json:"enabled"`
	OverlapPolicy  models.OverlapPolicy `json:"overlapPolicy"`
	CatchupWindow  string               `json:"catchupWindow"`
	Jitter         string               `json:"jitter"`
	SkipDates      []string             `json:"skipDates"`
	Note           string               `json:"note,omitempty"`
	NextDueTimes   []time.Time          `json:"nextDueTimes" doc:"The next five; none while it is not enabled."`
	RecentDueTimes []DueTimeView        `json:"recentDueTimes" doc:"The last five that have passed, the latest first."`
	CreatedBy      string               `json:"createdBy"`
	CreatedAt      time.Time            `json:"createdAt"`
	UpdatedAt      time.Time            `json:"updatedAt"`
}

// DueTimeView is a due time that has passed.
type DueTimeView struct {
	DueAt       time.Time              `json:"dueAt"`
	Outcome     models.DueOutcome      `json:"outcome" enum:"STARTED,SKIPPED,REFUSED,MISSED" doc:"Whether it made an execution, was left out by the overlap policy, could not be executed, or was missed in an outage."`
	ExecutionID string                 `json:"executionId,omitempty" doc:"The execution it made."`
	Status      models.ExecutionStatus `json:"status,omitempty" doc:"The execution's."`
	Reason      string                 `json:"reason,omitempty" doc:"Why it made none."`
}

// ScheduleList is one page of schedules, newest first.
type ScheduleList struct {
	Schedules []ScheduleView `json:"schedules"`
	Page      int            `json:"page"`
	Size      int            `json:"size"`
	Total     int64          `json:"total"`
}

func (s *service) registerSchedules() {
	register(s, operation{
		Operation: huma.Operation{
			OperationID: "createSchedule", Method: http.MethodPost, Path: "/v1/pipelines/schedules", DefaultStatus: http.StatusCreated,
			Tags: []string{"Schedules"}, Summary: "Create a schedule",
			Description: "Executes the pipeline's current version at every due time; execution_date is the due time.",
		},
		Scope: auth.ScopeWrite, Example: exampleSchedule, Answer: exampleCreatedSchedule,
		Codes: []models.Code{models.CodeInvalidParameters, models.CodeNotFound},
	}, s.createSchedule)
	register(s, operation{
		Operation: huma.Operation{
			OperationID: "listSchedules", Method: http.MethodGet, Path: "/v1/pipelines/schedules",
			Tags: []string{"Schedules"}, Summary: "List schedules", Description: "Newest first, with their next and last due times.",
		},
		Scope: auth.ScopeRead, Codes: []models.Code{models.CodeNotFound},
	}, s.listSchedules)
	register(s, operation{
		Operation: huma.Operation{
			OperationID: "getSchedule", Method: http.MethodGet, Path: "/v1/pipelines/schedules/{scheduleId}",
			Tags: []string{"Schedules"}, Summary: "Get a schedule",
		},
		Scope: auth.ScopeRead, Load: loadSchedule, Answer: exampleCreatedSchedule,
	}, s.getSchedule)
	register(s, operation{
		Operation: huma.Operation{
			OperationID: "updateSchedule", Method: http.MethodPut, Path: "/v1/pipelines/schedules/{scheduleId}",
			Tags: []string{"Schedules"}, Summary: "Update a schedule",
			Description: "Replaces the whole schedule. enabled: false pauses it; note says why.",
		},
		Scope: auth.ScopeWrite, Load: loadSchedule, Example: exampleSchedule, Answer: exampleCreatedSchedule,
		Codes: []models.Code{models.CodeInvalidParameters, models.CodePreconditionFailed},
	}, s.updateSchedule)
	register(s, operation{
		Operation: huma.Operation{
			OperationID: "deleteSchedule", Method: http.MethodDelete, Path: "/v1/pipelines/schedules/{scheduleId}",
			DefaultStatus: http.StatusNoContent,
			Tags:          []string{"Schedules"}, Summary: "Delete a schedule", Description: "Executions that it has made stay.",
		},
		Scope: auth.ScopeWrite, Load: loadSchedule, Codes: []models.Code{models.CodePreconditionFailed},
	}, s.deleteSchedule)
	register(s, operation{
		Operation: huma.Operation{
			OperationID: "triggerSchedule", Method: http.MethodPost, Path: "/v1/pipelines/schedules/{scheduleId}/trigger",
			DefaultStatus: http.StatusAccepted,
			Tags:          []string{"Schedules"}, Summary: "Trigger a schedule",
			Description: "Executes the pipeline now, with the schedule's parameters, whether the schedule is enabled or not; execution_date is now.",
		},
		Scope: auth.ScopeExecute, Load: loadSchedule, Answer: exampleSubmitted,
		Codes: []models.Code{
			models.CodeInvalidParameters, models.CodePipelineRunning, models.CodePipelinePaused, models.CodeBudgetExceeded, models.CodeQuotaExceeded,
			models.CodeAirflowNotConfigured,
		},
	}, s.triggerSchedule)
}

type scheduleOutput struct {
	Status   int
	Location string `header:"Location"`
	ETag     string `header:"ETag"`
	Body     ScheduleView
}

type createScheduleInput struct {
	Body ScheduleBody

	schedule models.Schedule
	times    *cron.Times
}

// Resolve checks what the schema cannot.
func (in *createScheduleInput) Resolve(ctx huma.Context) (errs []error) {
	r := requestOf(ctx.Context())
	p, err := findPipeline(ctx.Context(), r, in.Body.PipelineID)
	if err != nil {
		return []error{err}
	}
	in.schedule, in.times, errs = in.Body.parse(ctx.Context(), p)
	return errs
}

func (s *service) createSchedule(ctx context.Context, in *createScheduleInput) (*scheduleOutput, error) {
	r := requestOf(ctx)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitTimeout)
	defer cancel()
	in.schedule.ID, in.schedule.CreatedBy = r.newID(models.PrefixSchedule), r.principal.Subject
	created, err := r.store.CreateSchedule(ctx, in.schedule, s.nextDue(in.schedule, in.times))
	if err != nil {
		return nil, err
	}
	if err := s.applySchedule(ctx, created); err != nil {
		// Nobody was told of it, so that the client's next try must not make a second one.
		if _, gone := r.store.DeleteSchedule(ctx, created.ID, 0); gone != nil {
			return nil, fmt.Errorf("%w; and the schedule stays: %w", err, gone)
		}
		return nil, err
	}
	return s.scheduleOutput(created, http.StatusCreated), nil
}

// nextDue is the first due time of an enabled schedule.
func (s *service) nextDue(schedule models.Schedule, times *cron.Times) time.Time {
	if !schedule.Enabled {
		return time.Time{}
	}
	return times.Next(s.Now())
}

// applySchedule brings a schedule to Temporal. What does not get there maintenance brings later.
func (s *service) applySchedule(ctx context.Context, schedule models.Schedule) error {
	if err := s.Gateway.ApplySchedule(ctx, schedule); err != nil {
		return err
	}
	return requestOf(ctx).store.ScheduleSynced(ctx, schedule.ID, schedule.Revision)
}

func (s *service) scheduleOutput(schedule models.Schedule, status int) *scheduleOutput {
	out := &scheduleOutput{Status: status, ETag: etag(schedule.Revision), Body: s.viewSchedule(schedule)}
	if status == http.StatusCreated {
		out.Location = "/v1/pipelines/schedules/" + schedule.ID
	}
	return out
}

type listSchedulesInput struct {
	Paging
	PipelineID string `query:"pipelineId" doc:"Schedules of this pipeline."`
}

type listSchedulesOutput struct{ Body ScheduleList }

func (s *service) listSchedules(ctx context.Context, in *listSchedulesInput) (*listSchedulesOutput, error) {
	if in.PipelineID != "" && !models.IsID(models.PrefixPipeline, in.PipelineID) {
		return nil, models.NotFound("pipeline")
	}
	found, err := requestOf(ctx).store.Schedules(ctx, in.PipelineID, in.page())
	if err != nil {
		return nil, err
	}
	list := ScheduleList{Schedules: []ScheduleView{}, Page: in.Page, Size: in.Size, Total: found.Total}
	for _, schedule := range found.Items {
		list.Schedules = append(list.Schedules, s.viewSchedule(schedule))
	}
	return &listSchedulesOutput{Body: list}, nil
}

type scheduleInput struct {
	ScheduleID  string `path:"scheduleId" doc:"The schedule's id."`
	IfNoneMatch string `header:"If-None-Match" doc:"An ETag: where the schedule still has it, the answer is 304 without a body."`
}

func (s *service) getSchedule(ctx context.Context, in *scheduleInput) (*scheduleOutput, error) {
	schedule := loaded[models.Schedule](ctx)
	if in.IfNoneMatch != "" && matches(in.IfNoneMatch, schedule.Revision, true) {
		return s.scheduleOutput(schedule, http.StatusNotModified), nil
	}
	return s.scheduleOutput(schedule, http.StatusOK), nil
}

type updateScheduleInput struct {
	ScheduleID string `path:"scheduleId" doc:"The schedule's id."`
	IfMatch    string `header:"If-Match" doc:"The ETag the schedule must still have; else the answer is 412."`
	Body       ScheduleBody

	schedule models.Schedule
	times    *cron.Times
}

// Resolve checks what the schema cannot.
func (in *updateScheduleInput) Resolve(ctx huma.Context) []error {
	r := requestOf(ctx.Context())
	own := r.resource.(models.Schedule)
	p, err := findPipeline(ctx.Context(), r, own.PipelineID)
	if err != nil {
		return []error{err}
	}
	var errs []error
	in.schedule, in.times, errs = in.Body.parse(ctx.Context(), p)
	if in.Body.PipelineID != own.PipelineID {
		errs = append(errs, &huma.ErrorDetail{Location: "body.pipelineId", Message: "must be the schedule's own pipeline, " + own.PipelineID})
	}
	in.schedule.ID = own.ID
	return errs
}

func (s *service) updateSchedule(ctx context.Context, in *updateScheduleInput) (*scheduleOutput, error) {
	r, own := requestOf(ctx), loaded[models.Schedule](ctx)
	revision, err := guard(in.IfMatch, own.Revision)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitTimeout)
	defer cancel()
	updated, err := r.store.UpdateSchedule(ctx, in.schedule, revision, s.nextDue(in.schedule, in.times))
	if err != nil {
		return nil, err
	}
	if err := s.applySchedule(ctx, updated); err != nil {
		return nil, err
	}
	return s.scheduleOutput(updated, http.StatusOK), nil
}

type deleteScheduleInput struct {
	ScheduleID string `path:"scheduleId" doc:"The schedule's id."`
	IfMatch    string `header:"If-Match" doc:"The ETag the schedule must still have; else the answer is 412."`
}

// deleteSchedule makes a schedule gone. Where Temporal does not hear of it now it does from maintenance; until then
// due times find no schedule and do nothing.
func (s *service) deleteSchedule(ctx context.Context, in *deleteScheduleInput) (*struct{}, error) {
	r, own := requestOf(ctx), loaded[models.Schedule](ctx)
	revision, err := guard(in.IfMatch, own.Revision)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitTimeout)
	defer cancel()
	deleted, err := r.store.DeleteSchedule(ctx, own.ID, revision)
	if err != nil {
		return nil, err
	}
	if err := s.applySchedule(ctx, deleted); err != nil {
		s.Log.WarnContext(ctx, "a deleted schedule is still in Temporal", "requestId", r.id, "schedule", own.ID, "error", err)
	}
	return nil, nil
}

type triggerScheduleInput struct {
	ScheduleID string `path:"scheduleId" doc:"The schedule's id."`
}

func (s *service) triggerSchedule(ctx context.Context, _ *triggerScheduleInput) (*executeOutput, error) {
	r, schedule, now := requestOf(ctx), loaded[models.Schedule](ctx), s.Now().UTC()
	e, err := s.Submission.Prepare(ctx, r.store, submission.Request{
		ID: r.newID(models.PrefixExecution), PipelineID: schedule.PipelineID, Parameters: schedule.Parameters,
		Trigger: models.TriggerManual, ExecutionDate: now, SubmittedAt: now, SubmittedBy: r.principal.Subject, ScheduleID: schedule.ID,
	})
	if err != nil {
		return nil, err
	}
	return s.submit(ctx, e)
}

func (s *service) viewSchedule(schedule models.Schedule) ScheduleView {
	v := ScheduleView{
		ScheduleID: schedule.ID, PipelineID: schedule.PipelineID, CronExpression: schedule.Cron, Timezone: schedule.Timezone,
		Enabled: schedule.Enabled, OverlapPolicy: schedule.Overlap,
		CatchupWindow: definition.Duration(schedule.CatchupWindow).String(), Jitter: definition.Duration(schedule.Jitter).String(),
		SkipDates: append([]string{}, schedule.SkipDates...), Note: schedule.Note,
		NextDueTimes: []time.Time{}, RecentDueTimes: []DueTimeView{},
		CreatedBy: schedule.CreatedBy, CreatedAt: schedule.CreatedAt.UTC(), UpdatedAt: schedule.UpdatedAt.UTC(),
	}
	if parameters := Object(schedule.Parameters); parameters.given() {
		v.Parameters = parameters
	}
	times, err := cron.NewTimes(schedule.Cron, schedule.Timezone, schedule.SkipDates)
	for due := s.Now(); err == nil && schedule.Enabled && len(v.NextDueTimes) < shownDueTimes; {
		if due = times.Next(due); due.IsZero() {
			break
		}
		v.NextDueTimes = append(v.NextDueTimes, due)
	}
	for _, d := range schedule.Recent {
		v.RecentDueTimes = append(v.RecentDueTimes, DueTimeView{
			DueAt: d.DueAt.UTC(), Outcome: d.Outcome, ExecutionID: d.ExecutionID, Status: d.Status, Reason: d.Reason,
		})
	}
	return v
}
