package api

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/cron"
	"github.com/matih/pipeline-service/models/definition"
	"github.com/matih/pipeline-service/models/submission"
)

// leastCatchup is the shortest catch-up window that Temporal keeps to.
const leastCatchup = 10 * time.Second

// ScheduleBody is what a client says of a schedule.
type ScheduleBody struct {
	PipelineID     string               `json:"pipelineId" doc:"The pipeline to execute."`
	CronExpression string               `json:"cronExpression" minLength:"1" maxLength:"200" doc:"Minute, hour, day of month, month and day of week, as in crontab(5), or @hourly, @daily, @weekly, @monthly, @yearly."`
	Timezone       string               `json:"timezone,omitempty" maxLength:"64" default:"UTC" doc:"IANA time zone of the expression, such as America/New_York. A local time that a change of the clocks leaves out is not due; one that comes twice is due twice west of Greenwich, and east of it mostly the second time alone."`
	Parameters     Object               `json:"parameters,omitempty" doc:"Values for the definition's parameters, of every execution."`
	Enabled        *bool                `json:"enabled,omitempty" default:"true" doc:"Whether due times make executions."`
	OverlapPolicy  models.OverlapPolicy `json:"overlapPolicy,omitempty" enum:"skip,buffer_one,buffer_all,allow_all,cancel_other" default:"skip" doc:"What happens at a due time while the execution of an earlier one has not ended."`
	CatchupWindow  string               `json:"catchupWindow,omitempty" maxLength:"64" default:"1d" doc:"How late a due time is made up for after an outage, such as 1h."`
	Jitter         string               `json:"jitter,omitempty" maxLength:"64" doc:"Executions are delayed at random by up to this, such as 30s."`
	SkipDates      []string             `json:"skipDates,omitempty" maxItems:"1000" uniqueItems:"true" doc:"Days of the time zone on which nothing is due, such as 2026-12-25."`
	Note           string               `json:"note,omitempty" maxLength:"1000" doc:"Why the schedule is as it is, such as why it is paused."`
}

// parse reads a schedule of a pipeline and finds all that is wrong with it.
func (b *ScheduleBody) parse(ctx context.Context, p models.Pipeline) (models.Schedule, *cron.Times, []error) {
	var errs []error
	note := func(location string, err error) {
		if err != nil {
			errs = append(errs, &huma.ErrorDetail{Location: location, Message: err.Error()})
		}
	}
	parsed := models.Schedule{
		Tenant: p.Tenant, PipelineID: p.ID, Cron: b.CronExpression, Timezone: b.Timezone, Enabled: b.Enabled == nil || *b.Enabled,
		Note: b.Note, Overlap: b.OverlapPolicy, SkipDates: b.SkipDates,
	}
	_, err := cron.Parse(b.CronExpression)
	note("body.cronExpression", err)
	_, err = cron.Zone(b.Timezone)
	note("body.timezone", err)
	for i, date := range b.SkipDates {
		note(fmt.Sprintf("body.skipDates[%d]", i), cron.CheckDate(date))
	}
	catchup, err := definition.ParseDuration(b.CatchupWindow)
	if err == nil && time.Duration(catchup) < leastCatchup {
		err = fmt.Errorf("must be at least %s", leastCatchup)
	}
	note("body.catchupWindow", err)
	var jitter definition.Duration
	if b.Jitter != "" && b.Jitter != "0s" {
		jitter, err = definition.ParseDuration(b.Jitter)
		note("body.jitter", err)
	}
	parsed.CatchupWindow, parsed.Jitter = time.Duration(catchup), time.Duration(jitter)
	for _, m := range checkText("body.note", b.Note) {
		errs = append(errs, &huma.ErrorDetail{Location: m.Location, Message: m.Message})
	}
	if b.Parameters.given() {
		parsed.Parameters = json.RawMessage(b.Parameters)
	}
	if err := checkParameters(ctx, p.Definition, parsed.Parameters); err != nil {
		errs = append(errs, err)
	}
	if len(errs) > 0 {
		return parsed, nil, errs
	}
	times, err := cron.NewTimes(parsed.Cron, parsed.Timezone, parsed.SkipDates)
	if err != nil {
		return parsed, nil, []error{err}
	}
	return parsed, times, nil
}

// checkParameters binds parameters to a definition as an execution of it would.
func checkParameters(ctx context.Context, doc, parameters json.RawMessage) error {
	d, err := definition.Parse(doc, "definition")
	if err != nil {
		return err
	}
	r := requestOf(ctx)
	return submission.Check(ctx, r.store, d, parameters, definition.Builtins{
		ExecutionID: models.NewID(models.PrefixExecution), ExecutionDate: r.api.Now(), Tenant: r.tenant,
	}, "body.parameters")
}
