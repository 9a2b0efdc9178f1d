package api_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/matih/pipeline-service/api"
	"github.com/matih/pipeline-service/models"
)

// schedule makes a schedule of a pipeline, at six in New York unless more says otherwise.
func (e *env) schedule(pipeline string, more ...string) string {
	e.Helper()
	doc := fmt.Sprintf(`{"pipelineId": %q, "cronExpression": "0 6 * * *", "timezone": "America/New_York", "parameters": {"day": "2026-02-01"}`, pipeline)
	for _, field := range more {
		doc += ", " + field
	}
	return e.do("POST", "/v1/pipelines/schedules", body(doc+"}")).is(http.StatusCreated).json()["scheduleId"].(string)
}

func TestSchedules(t *testing.T) {
	clock := newClock()
	e := newEnv(t, func(c *api.Config) { c.Now = clock.Now })
	pipeline := e.pipeline("flights")
	id := e.schedule(pipeline, `"enabled": true`)
	require.Len(t, e.gateway.applied, 1)
	assert.Equal(t, id, e.gateway.applied[0].ID)
	assert.Equal(t, 24*time.Hour, e.gateway.applied[0].CatchupWindow)
	assert.Equal(t, models.OverlapSkip, e.gateway.applied[0].Overlap)
	assert.Equal(t, "ACTIVE", e.do("GET", "/v1/pipelines/"+pipeline).json()["status"], "by an enabled schedule")

	got := e.do("GET", "/v1/pipelines/schedules/"+id).is(http.StatusOK)
	assert.Equal(t, `"1"`, got.header.Get("ETag"))
	doc := got.json()
	assert.Equal(t, "1d", doc["catchupWindow"])
	assert.Equal(t, map[string]any{"day": "2026-02-01"}, doc["parameters"])
	next := doc["nextDueTimes"].([]any)
	require.Len(t, next, 5)
	first, err := time.Parse(time.RFC3339, next[0].(string))
	require.NoError(t, err)
	assert.True(t, first.After(clock.Now()))
	newYork, err := time.LoadLocation("America/New_York")
	require.NoError(t, err)
	assert.Equal(t, "06:00", first.In(newYork).Format("15:04"))
	e.do("GET", "/v1/pipelines/schedules/"+id, header("If-None-Match", `"1"`)).is(http.StatusNotModified)

	change := fmt.Sprintf(`{"pipelineId": %q, "cronExpression": "*/5 * * * *", "enabled": false, "note": "holidays",
		"overlapPolicy": "buffer_one", "catchupWindow": "1h", "jitter": "30s", "skipDates": ["2026-12-25"], "parameters": {"day": "2026-02-02"}}`, pipeline)
	e.do("PUT", "/v1/pipelines/schedules/"+id, header("If-Match", `"7"`), body(change)).problem(http.StatusPreconditionFailed, models.CodePreconditionFailed)
	doc = e.do("PUT", "/v1/pipelines/schedules/"+id, header("If-Match", `"1"`), body(change)).is(http.StatusOK).json()
	assert.Equal(t, "UTC", doc["timezone"], "the whole schedule is replaced")
	assert.Equal(t, "holidays", doc["note"])
	assert.Equal(t, "30s", doc["jitter"])
	assert.Empty(t, doc["nextDueTimes"], "none while it is paused")
	require.Len(t, e.gateway.applied, 2)
	assert.Equal(t, int64(2), e.gateway.applied[1].Revision)

	list := e.do("GET", "/v1/pipelines/schedules?pipelineId="+pipeline).is(http.StatusOK).json()
	assert.Equal(t, 1.0, list["total"])
	assert.Len(t, list["schedules"], 1)

	e.do("DELETE", "/v1/pipelines/schedules/"+id, header("If-Match", `"1"`)).problem(http.StatusPreconditionFailed, models.CodePreconditionFailed)
	e.do("DELETE", "/v1/pipelines/schedules/"+id).is(http.StatusNoContent)
	e.do("GET", "/v1/pipelines/schedules/"+id).problem(http.StatusNotFound, models.CodeNotFound)
	assert.True(t, e.gateway.applied[2].Deleted)
	assert.Equal(t, 0.0, e.do("GET", "/v1/pipelines/schedules").json()["total"])
}

func TestBadSchedules(t *testing.T) {
	e := newEnv(t)
	pipeline := e.pipeline("flights")
	found := e.do("POST", "/v1/pipelines/schedules", body(fmt.Sprintf(`{"pipelineId": %q, "cronExpression": "61 6 * * *", "timezone": "Mars/Olympus",
		"overlapPolicy": "maybe", "catchupWindow": "1s", "jitter": "x", "skipDates": ["2026-02-30"], "note": "a\u0000b",
		"parameters": {"day": "yesterday", "more": 1}, "tenantId": "x"}`, pipeline))).mistakes()
	assert.Equal(t, "minute: 61 is not in 0 to 59", found["body.cronExpression"])
	for _, location := range []string{"body.timezone", "body.overlapPolicy", "body.catchupWindow", "body.jitter", "body.skipDates[0]",
		"body.note", "body.parameters.day", "body.parameters.more", "body.tenantId"} {
		assert.Contains(t, found, location)
	}
	never := e.do("POST", "/v1/pipelines/schedules", body(fmt.Sprintf(`{"pipelineId": %q, "cronExpression": "0 0 30 2 *"}`, pipeline))).mistakes()
	assert.Equal(t, "day of month: no month of month 2 has a day 30", never["body.cronExpression"])
	seconds := e.do("POST", "/v1/pipelines/schedules", body(fmt.Sprintf(`{"pipelineId": %q, "cronExpression": "* * * * * *"}`, pipeline))).mistakes()
	assert.Contains(t, seconds["body.cronExpression"], "must have five fields")

	// Another tenant's pipeline is like one that does not exist.
	for _, id := range []string{models.NewID("pipeline-"), e.other().on(t).pipeline("theirs"), "x"} {
		e.do("POST", "/v1/pipelines/schedules", body(fmt.Sprintf(`{"pipelineId": %q, "cronExpression": "bad"}`, id))).
			problem(http.StatusNotFound, models.CodeNotFound)
		e.do("GET", "/v1/pipelines/schedules?pipelineId="+id).problem(http.StatusNotFound, models.CodeNotFound)
	}
	id := e.schedule(pipeline)
	own := e.do("PUT", "/v1/pipelines/schedules/"+id, body(`{"pipelineId": "pipeline-x", "cronExpression": "0 6 * * *"}`)).mistakes()
	assert.Contains(t, own["body.pipelineId"], pipeline)
}

func TestScheduleWithoutTemporal(t *testing.T) {
	e := newEnv(t)
	pipeline := e.pipeline("flights")
	kept := e.schedule(pipeline)
	e.gateway.fail(&models.Error{Code: models.CodeUnavailable, Message: "away", RetryAfter: time.Second})
	doc := fmt.Sprintf(`{"pipelineId": %q, "cronExpression": "0 6 * * *"}`, pipeline)
	refused := e.do("POST", "/v1/pipelines/schedules", body(doc))
	refused.problem(http.StatusServiceUnavailable, models.CodeUnavailable)
	assert.NotEmpty(t, refused.header.Get("Retry-After"))
	assert.Equal(t, 1.0, e.do("GET", "/v1/pipelines/schedules").json()["total"], "so that a second try makes one")
	e.do("PUT", "/v1/pipelines/schedules/"+kept, body(doc)).problem(http.StatusServiceUnavailable, models.CodeUnavailable)
	e.do("DELETE", "/v1/pipelines/schedules/"+kept).is(http.StatusNoContent)
	// All of it is left for maintenance.
	unsynced, err := e.store.UnsyncedSchedules(t.Context(), time.Now().Add(time.Hour), 10)
	require.NoError(t, err)
	require.Len(t, unsynced, 2)
	assert.True(t, unsynced[0].Deleted && unsynced[1].Deleted)
}

func TestTriggerSchedule(t *testing.T) {
	e := newEnv(t)
	pipeline := e.pipeline("flights")
	id := e.schedule(pipeline, `"enabled": false`)
	answer := e.do("POST", "/v1/pipelines/schedules/"+id+"/trigger").is(http.StatusAccepted)
	execution := answer.json()["executionId"].(string)
	assert.Equal(t, "/v1/pipelines/executions/"+execution, answer.header.Get("Location"))
	require.Len(t, e.gateway.started, 1)
	doc := e.do("GET", "/v1/pipelines/executions/"+execution).json()
	assert.Equal(t, id, doc["scheduleId"])
	assert.Equal(t, "MANUAL", doc["trigger"])
	assert.Equal(t, map[string]any{"day": "2026-02-01"}, doc["parameters"])
	e.do("POST", "/v1/pipelines/schedules/"+id+"/trigger").problem(http.StatusConflict, models.CodePipelineRunning)
}

func TestDeletingAPipelineDeletesItsSchedules(t *testing.T) {
	e := newEnv(t)
	pipeline := e.pipeline("flights")
	id := e.schedule(pipeline)
	e.do("DELETE", "/v1/pipelines/"+pipeline).is(http.StatusNoContent)
	e.do("GET", "/v1/pipelines/schedules/"+id).problem(http.StatusNotFound, models.CodeNotFound)
	assert.Equal(t, 0.0, e.do("GET", "/v1/pipelines/schedules").json()["total"])
}
