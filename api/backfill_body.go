package api

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/cron"
)

// countLimit is where counting due times ends.
const countLimit = 5_000_000

// BackfillBody asks for a backfill.
type BackfillBody struct {
	From        time.Time       `json:"from" doc:"The first time that counts."`
	To          time.Time       `json:"to" doc:"The first time that no longer counts; after from."`
	ScheduleID  string          `json:"scheduleId,omitempty" doc:"A schedule of the pipeline, whose due times and parameters they are. Either this or cron."`
	Cron        string          `json:"cron,omitempty" maxLength:"200" doc:"A cron expression whose due times they are. Either this or scheduleId."`
	Timezone    string          `json:"timezone,omitempty" maxLength:"64" doc:"IANA time zone of cron; UTC unless given."`
	Version     int             `json:"version,omitempty" minimum:"1" doc:"The version of the definition to execute; the current one unless given."`
	Parameters  Object          `json:"parameters,omitempty" doc:"Values for the definition's parameters; the schedule's unless given."`
	MaxParallel int             `json:"maxParallel,omitempty" minimum:"1" maximum:"100" default:"1" doc:"How many executions may run at once."`
	Priority    models.Priority `json:"priority,omitempty" enum:"LOW,NORMAL,HIGH,CRITICAL" default:"LOW" doc:"Who goes first where executions wait."`
	DryRun      bool            `json:"dryRun,omitempty" doc:"Only tell the due times."`
}

type createBackfillInput struct {
	PipelineID string `path:"pipelineId" doc:"The pipeline's id."`
	Body       BackfillBody

	backfill models.Backfill
	times    *cron.Times
}

// Resolve checks what the schema cannot: where the due times come from, that there are some and not too many, and that
// the version can be executed with the parameters.
func (in *createBackfillInput) Resolve(ctx huma.Context) []error {
	p := requestOf(ctx.Context()).resource.(models.Pipeline)
	b := &in.Body
	in.backfill = models.Backfill{
		Tenant: p.Tenant, PipelineID: p.ID, From: b.From.UTC(), To: b.To.UTC(), Version: b.Version, Priority: b.Priority,
		MaxParallel: b.MaxParallel,
	}
	if b.Parameters.given() {
		in.backfill.Parameters = json.RawMessage(b.Parameters)
	}
	var errs []error
	note := func(location, format string, args ...any) {
		errs = append(errs, &huma.ErrorDetail{Location: location, Message: fmt.Sprintf(format, args...)})
	}
	if err := in.chooseTimes(ctx.Context(), note); err != nil {
		return []error{err}
	}
	in.countTimes(note)
	if err := in.chooseVersion(ctx.Context(), p, note); err != nil {
		errs = append(errs, err)
	}
	return errs
}

type noteFunc func(location, format string, args ...any)

// chooseTimes finds what says the due times.
func (in *createBackfillInput) chooseTimes(ctx context.Context, note noteFunc) error {
	b := &in.Body
	switch {
	case (b.ScheduleID == "") == (b.Cron == ""):
		note("body.scheduleId", "name either scheduleId or cron")
		return nil
	case b.ScheduleID != "":
		found, err := findSchedule(ctx, requestOf(ctx), b.ScheduleID)
		if err != nil {
			return err
		}
		if found.PipelineID != in.backfill.PipelineID {
			note("body.scheduleId", "is a schedule of another pipeline, %s", found.PipelineID)
		}
		if b.Timezone != "" {
			note("body.timezone", "goes with cron; a schedule has its own, %s", found.Timezone)
		}
		if in.backfill.Parameters == nil {
			in.backfill.Parameters = found.Parameters
		}
		in.backfill.ScheduleID, in.backfill.Cron, in.backfill.Timezone, in.backfill.SkipDates = found.ID, found.Cron, found.Timezone, found.SkipDates
	default:
		in.backfill.Cron, in.backfill.Timezone = b.Cron, b.Timezone
		if b.Timezone == "" {
			in.backfill.Timezone = time.UTC.String()
		}
		if _, err := cron.Parse(b.Cron); err != nil {
			note("body.cron", "%s", err)
			return nil
		}
		if _, err := cron.Zone(in.backfill.Timezone); err != nil {
			note("body.timezone", "%s", err)
			return nil
		}
	}
	var err error
	in.times, err = cron.NewTimes(in.backfill.Cron, in.backfill.Timezone, in.backfill.SkipDates)
	return err
}

// countTimes sees that there are due times and that they are not too many.
func (in *createBackfillInput) countTimes(note noteFunc) {
	b := &in.backfill
	switch {
	case b.From.Year() < 1970 || b.From.Year() > 2100:
		note("body.from", "must be in the years 1970 to 2100")
		return
	case b.To.Year() < 1970 || b.To.Year() > 2100:
		note("body.to", "must be in the years 1970 to 2100")
		return
	case !b.From.Before(b.To):
		note("body.to", "must be after from")
		return
	case in.times == nil:
		return
	}
	b.Total = in.times.Count(b.From, b.To, countLimit)
	switch {
	case b.Total == 0:
		note("body.from", "no due time lies between from and to")
	case b.Total >= countLimit:
		note("body.to", "the range holds more than %d due times; a backfill may have %d", countLimit, models.MaxBackfillRuns)
	case b.Total > models.MaxBackfillRuns:
		note("body.to", "the range holds %d due times; a backfill may have %d", b.Total, models.MaxBackfillRuns)
	}
}

// chooseVersion pins the version and sees that it can be executed.
func (in *createBackfillInput) chooseVersion(ctx context.Context, p models.Pipeline, note noteFunc) error {
	doc := p.Definition
	switch {
	case in.backfill.Version == 0 || in.backfill.Version == p.Version:
		in.backfill.Version = p.Version
	default:
		v, err := requestOf(ctx).store.PipelineVersion(ctx, p.ID, in.backfill.Version)
		if models.CodeOf(err) == models.CodeNotFound {
			note("body.version", "the pipeline has no version %d; its current one is %d", in.backfill.Version, p.Version)
			return nil
		}
		if err != nil {
			return err
		}
		doc = v.Definition
	}
	return checkParameters(ctx, doc, in.backfill.Parameters)
}
