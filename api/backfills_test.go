package api_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/contract"
	"github.com/matih/pipeline-service/models/store"
)

const february = `"from": "2026-02-01T00:00:00Z", "to": "2026-03-01T00:00:00Z"`

// backfill begins a backfill of every day of a February.
func (e *env) backfill(pipeline string) string {
	e.Helper()
	return e.do("POST", "/v1/pipelines/"+pipeline+"/backfills", body(`{`+february+`, "cron": "@daily", "maxParallel": 3}`)).
		is(http.StatusAccepted).json()["backfillId"].(string)
}

func TestBackfills(t *testing.T) {
	e := newEnv(t)
	pipeline := e.pipeline("flights")
	schedule := e.schedule(pipeline)

	dry := e.do("POST", "/v1/pipelines/"+pipeline+"/backfills",
		body(`{`+february+`, "scheduleId": "`+schedule+`", "dryRun": true}`)).is(http.StatusOK).json()
	assert.Equal(t, true, dry["dryRun"])
	assert.Equal(t, 28.0, dry["totalDueTimes"])
	assert.Len(t, dry["dueTimes"], 28)
	assert.Equal(t, "2026-02-01T11:00:00Z", dry["dueTimes"].([]any)[0])
	assert.NotContains(t, dry, "backfillId")
	assert.Equal(t, 0.0, e.do("GET", "/v1/pipelines/backfills").json()["total"])

	answer := e.do("POST", "/v1/pipelines/"+pipeline+"/backfills",
		body(`{`+february+`, "scheduleId": "`+schedule+`", "maxParallel": 3, "priority": "HIGH"}`)).is(http.StatusAccepted)
	doc := answer.json()
	id := doc["backfillId"].(string)
	assert.Equal(t, "/v1/pipelines/backfills/"+id, answer.header.Get("Location"))
	assert.Equal(t, "RUNNING", doc["status"])
	assert.Equal(t, 1.0, doc["version"])
	assert.Equal(t, map[string]any{"completed": 0.0, "failed": 0.0, "cancelled": 0.0, "running": 0.0, "waiting": 28.0, "percentage": 0.0}, doc["progress"])
	require.Len(t, e.gateway.backfills, 1)
	assert.JSONEq(t, `{"day": "2026-02-01"}`, string(e.gateway.backfills[0].Parameters), "the schedule's")
	assert.Equal(t, id, e.do("GET", "/v1/pipelines/backfills/"+id).json()["backfillId"])
	assert.Equal(t, 1.0, e.do("GET", "/v1/pipelines/backfills?status=RUNNING&pipelineId="+pipeline).json()["total"])
	assert.Equal(t, 0.0, e.do("GET", "/v1/pipelines/backfills?status=PAUSED").json()["total"])
	assert.Equal(t, 0.0, e.do("GET", "/v1/pipelines/executions?backfillId="+id).json()["total"])

	e.do("POST", "/v1/pipelines/backfills/"+id+"/pause").is(http.StatusAccepted)
	assert.Equal(t, []contract.BackfillControl{{Action: contract.ActionPause, By: "engineer@acme.com"}}, e.gateway.controls)
	e.do("POST", "/v1/pipelines/backfills/"+id+"/retry").problem(http.StatusConflict, models.CodeBackfillOpen)

	require.NoError(t, e.store.ForTenant(e.tenant).StepBackfill(t.Context(), id, store.BackfillStep{
		Attempt: 1, Status: models.BackfillFailed, Completed: 26, Failed: 2, At: time.Now(),
	}))
	e.do("POST", "/v1/pipelines/backfills/"+id+"/pause").problem(http.StatusConflict, models.CodeBackfillClosed)
	retried := e.do("POST", "/v1/pipelines/backfills/"+id+"/retry").is(http.StatusAccepted).json()
	assert.Equal(t, 2.0, retried["attempt"])
	assert.Equal(t, 26.0, retried["progress"].(map[string]any)["completed"])
	require.Len(t, e.gateway.backfills, 2)
}

func TestBadBackfills(t *testing.T) {
	e := newEnv(t)
	pipeline := e.pipeline("flights")
	schedule := e.schedule(pipeline)
	theirs := e.other().on(t)
	foreign := theirs.schedule(theirs.pipeline("theirs"))
	for name, c := range map[string]struct {
		body     string
		location string
		message  string
	}{
		"neither":          {`{` + february + `}`, "body.scheduleId", "name either scheduleId or cron"},
		"both":             {`{` + february + `, "cron": "@daily", "scheduleId": "` + schedule + `"}`, "body.scheduleId", "name either"},
		"bad cron":         {`{` + february + `, "cron": "0 0 30 2 *"}`, "body.cron", "no month of month 2 has a day 30"},
		"unknown zone":     {`{` + february + `, "cron": "@daily", "timezone": "Mars/Olympus"}`, "body.timezone", "not an IANA time zone"},
		"zone of schedule": {`{` + february + `, "scheduleId": "` + schedule + `", "timezone": "UTC"}`, "body.timezone", "America/New_York"},
		"from = to":        {`{"from": "2026-02-01T00:00:00Z", "to": "2026-02-01T00:00:00Z", "cron": "@daily"}`, "body.to", "must be after from"},
		"from > to":        {`{"from": "2026-02-02T00:00:00Z", "to": "2026-02-01T00:00:00Z", "cron": "@daily"}`, "body.to", "must be after from"},
		"nothing due":      {`{"from": "2026-02-01T00:01:00Z", "to": "2026-02-01T23:00:00Z", "cron": "@daily"}`, "body.from", "no due time"},
		"a million":        {`{"from": "2024-01-01T00:00:00Z", "to": "2026-01-01T00:00:00Z", "cron": "* * * * *"}`, "body.to", "holds 1052640 due times; a backfill may have 10000"},
		"far too many":     {`{"from": "1970-01-01T00:00:00Z", "to": "2100-01-01T00:00:00Z", "cron": "* * * * *"}`, "body.to", "holds more than 5000000 due times"},
		"long ago":         {`{"from": "0001-01-01T00:00:00Z", "to": "2100-01-01T00:00:00Z", "cron": "@daily"}`, "body.from", "1970 to 2100"},
		"no such version":  {`{` + february + `, "cron": "@daily", "version": 7}`, "body.version", "no version 7; its current one is 1"},
		"parameters":       {`{` + february + `, "cron": "@daily", "parameters": {"day": "x"}}`, "body.parameters.day", "date"},
		"no parallel":      {`{` + february + `, "cron": "@daily", "maxParallel": 0}`, "body.maxParallel", "1"},
	} {
		t.Run(name, func(t *testing.T) {
			found := e.on(t).do("POST", "/v1/pipelines/"+pipeline+"/backfills", body(c.body)).mistakes()
			assert.Contains(t, found[c.location], c.message, "%v", found)
		})
	}
	for _, id := range []string{foreign, models.NewID("schedule-"), "x"} {
		e.do("POST", "/v1/pipelines/"+pipeline+"/backfills", body(fmt.Sprintf(`{%s, "scheduleId": %q}`, february, id))).
			problem(http.StatusNotFound, models.CodeNotFound)
	}
	assert.Empty(t, e.gateway.backfills)
}

func TestBackfillWithoutTemporal(t *testing.T) {
	e := newEnv(t)
	pipeline := e.pipeline("flights")
	e.gateway.fail(&models.Error{Code: models.CodeUnavailable, Message: "away"})
	e.do("POST", "/v1/pipelines/"+pipeline+"/backfills", body(`{`+february+`, "cron": "@daily"}`)).
		problem(http.StatusServiceUnavailable, models.CodeUnavailable)
	listed := e.do("GET", "/v1/pipelines/backfills?status=FAILED").json()
	assert.Equal(t, 1.0, listed["total"])
	assert.Equal(t, "could not be started", listed["backfills"].([]any)[0].(map[string]any)["statusReason"])
}
