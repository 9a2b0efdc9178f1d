package api_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/contract"
	"github.com/matih/pipeline-service/models/store"
)

// steward is a token of somebody who may decide.
func (e *env) steward(subject string, groups ...string) option {
	e.Helper()
	claims := e.claims("DATA_STEWARD")
	claims["sub"], claims["groups"] = subject, groups
	return bearer(e.sign(claims))
}

func signal(id string) string { return "/v1/pipelines/workflows/" + id + "/signal" }

const approve = `{"signalName": "approval", "data": {"approved": true, "approvedBy": "sam@acme.com", "reason": "reviewed"}}`

func TestSignalApproval(t *testing.T) {
	e := newEnv(t)
	execution := e.execution()
	approval := e.gate(execution, "late")
	e.gateway.decided = contract.Decided{Status: models.ApprovalPending, Approvals: 1, Required: 2}
	for _, id := range []string{execution, approval} {
		accepted := e.do("POST", signal(id), body(approve), e.steward("sam@acme.com", "finance")).is(http.StatusAccepted)
		assert.Equal(t, "/v1/pipelines/approvals/"+approval, accepted.header.Get("Location"))
		assert.Equal(t, map[string]any{"workflowId": id, "signalName": "approval", "approvalId": approval, "gate": "late",
			"status": "PENDING", "approvals": 1.0, "required": 2.0}, accepted.json())
	}
	yes := true
	assert.Len(t, e.gateway.decisions, 2)
	for _, d := range e.gateway.decisions {
		assert.Equal(t, contract.Decision{Approved: &yes, ApprovedBy: "sam@acme.com", Reason: "reviewed", Groups: []string{"finance"}}, d,
			"who decides is the token's to say")
	}
	for range 2 {
		e.do("POST", signal(approval), body(`{"signalName": "approval", "data": {"approved": false}}`), e.steward("rob@acme.com"), key("k")).is(http.StatusAccepted)
	}
	assert.Len(t, e.gateway.decisions, 3, "the same request is one decision")

	for code, status := range map[models.Code]int{
		models.CodeSelfApproval: http.StatusForbidden, models.CodeForbidden: http.StatusForbidden,
		models.CodeAlreadyDecided: http.StatusConflict, models.CodeApprovalClosed: http.StatusConflict,
		models.CodeUnavailable: http.StatusServiceUnavailable,
	} {
		e.gateway.fail(models.Errorf(code, "no"))
		e.do("POST", signal(approval), body(approve), e.steward("sam@acme.com")).problem(status, code)
	}
	e.gateway.fail(models.NotFound("workflow"))
	e.do("POST", signal(approval), body(approve), e.steward("sam@acme.com")).problem(http.StatusConflict, models.CodeNothingWaiting)
}

func TestSignalBadInput(t *testing.T) {
	e := newEnv(t)
	execution := e.execution()
	approval := e.gate(execution, "late")
	for name, c := range map[string]struct{ body, location string }{
		"unknown name":       {`{"signalName": "explode", "data": {"approved": true}}`, "body.signalName"},
		"no name":            {`{"data": {"approved": true}}`, "body.signalName"},
		"no data":            {`{"signalName": "approval"}`, "body.data"},
		"data null":          {`{"signalName": "approval", "data": null}`, "body.data"},
		"data a list":        {`{"signalName": "approval", "data": [true]}`, "body.data"},
		"data text":          {`{"signalName": "approval", "data": "yes"}`, "body.data"},
		"nothing said":       {`{"signalName": "approval", "data": {}}`, "body.data.approved"},
		"approved as text":   {`{"signalName": "approval", "data": {"approved": "true"}}`, "body.data.approved"},
		"approved null":      {`{"signalName": "approval", "data": {"approved": null}}`, "body.data.approved"},
		"approved a number":  {`{"signalName": "approval", "data": {"approved": 1}}`, "body.data.approved"},
		"wrong case":         {`{"signalName": "approval", "data": {"Approved": true}}`, "body.data.Approved"},
		"unknown field":      {`{"signalName": "approval", "data": {"approved": true, "groups": ["finance"]}}`, "body.data.groups"},
		"reason a number":    {`{"signalName": "approval", "data": {"approved": true, "reason": 1}}`, "body.data.reason"},
		"reason too long":    {`{"signalName": "approval", "data": {"approved": true, "reason": "` + strings.Repeat("ö", 2001) + `"}}`, "body.data.reason"},
		"another gate":       {`{"signalName": "approval", "data": {"approved": true, "gate": "other"}}`, "body.data.gate"},
		"unknown top field":  {`{"signalName": "approval", "data": {"approved": true}, "tenant": "x"}`, "body.tenant"},
		"not an object":      {`[]`, "body"},
		"given twice in one": {`{"signalName": "approval", "data": {"approved": true, "approved": false}}`, "body.data.approved"},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Contains(t, e.on(t).do("POST", signal(approval), body(c.body)).mistakes(), c.location)
		})
	}
	known := e.do("POST", signal(approval), body(`{"signalName": "explode", "data": {"approved": true}}`)).mistakes()
	assert.Contains(t, known["body.signalName"], "approval", "the known names are listed")
	e.do("POST", signal(approval), body(strings.Replace(approve, "sam@", "boss@", 1)), e.steward("sam@acme.com")).
		problem(http.StatusForbidden, models.CodeForbidden)
	e.do("POST", signal(approval), body(approve), bearer(e.token("OPERATOR"))).problem(http.StatusForbidden, models.CodeForbidden)
	longest := `{"signalName": "approval", "data": {"approved": true, "reason": "` + strings.Repeat("ö", 2000) + `"}}`
	assert.Empty(t, e.gateway.decisions)
	e.do("POST", signal(approval), body(longest)).is(http.StatusAccepted)
}

func TestSignalsThatNothingWaitsFor(t *testing.T) {
	e := newEnv(t)
	execution := e.execution()
	sam := e.steward("sam@acme.com")
	e.do("POST", signal(execution), body(approve), sam).problem(http.StatusConflict, models.CodeNothingWaiting)
	first, second := e.gate(execution, "first"), e.gate(execution, "second")
	several := e.do("POST", signal(execution), body(approve), sam).problem(http.StatusConflict, models.CodeSeveralWaiting)
	assert.ElementsMatch(t, []string{"first", "second"}, several.Gates)
	named := func(gate string) option {
		return body(`{"signalName": "approval", "data": {"approved": true, "gate": "` + gate + `"}}`)
	}
	e.do("POST", signal(execution), named("third"), sam).problem(http.StatusConflict, models.CodeNothingWaiting)
	e.do("POST", signal(execution), named("second"), sam).is(http.StatusAccepted)
	require.NoError(t, e.store.ForTenant(e.tenant).StepApproval(t.Context(), store.ApprovalStep{
		ID: first, Action: models.ActionApproved, By: "rob", Status: models.ApprovalApproved, Closing: "approved by rob",
	}))
	e.do("POST", signal(first), body(approve), sam).problem(http.StatusConflict, models.CodeApprovalClosed)
	e.do("POST", signal(execution), named("first"), sam).problem(http.StatusConflict, models.CodeApprovalClosed)
	e.do("POST", signal("cancel-"+execution), body(approve), sam).problem(http.StatusConflict, models.CodeNothingWaiting)
	e.finish(execution)
	e.do("POST", signal(execution), body(approve), sam).problem(http.StatusConflict, models.CodeExecutionClosed)
	e.do("POST", signal(second), body(approve), sam).problem(http.StatusConflict, models.CodeApprovalClosed)
}

func TestWorkflowStatus(t *testing.T) {
	e := newEnv(t)
	execution := e.execution()
	approval := e.gate(execution, "late")
	started := time.Date(2026, 2, 12, 10, 30, 0, 0, time.UTC)
	test := models.NewID(contract.ConnectionTestPrefix)
	e.gateway.workflows = map[string]models.Workflow{
		execution: {ID: execution, RunID: "r1", Type: "ExecutionWorkflow", Status: "RUNNING", StartedAt: started,
			Activities: []models.PendingActivity{{Name: "flights", State: "STARTED", Attempt: 2, LastFailure: "the source broke off"}}},
		approval:              {ID: approval, RunID: "r2", Type: "ApprovalWorkflow", Status: "RUNNING", StartedAt: started},
		"cancel-" + execution: {ID: "cancel-" + execution, Type: "CancellationWorkflow", Status: "COMPLETED", StartedAt: started, ClosedAt: started},
		test:                  {ID: test, Type: "ConnectionTestWorkflow", Status: "RUNNING", Tenant: e.tenant},
		"maintenance":         {ID: "maintenance", Type: "MaintenanceWorkflow", Status: "RUNNING"},
		"conntest-foreign":    {ID: "conntest-foreign", Tenant: models.TenantID(uuid.NewString()), Status: "RUNNING"},
	}
	get := func(id string) *answer { return e.do("GET", "/v1/pipelines/workflows/"+id+"/status") }
	doc := get(execution).is(http.StatusOK).json()
	for field, want := range map[string]any{
		"workflowId": execution, "workflowType": "ExecutionWorkflow", "status": "RUNNING", "runId": "r1", "executionId": execution,
		"executionStatus": "AWAITING_APPROVAL", "startedAt": "2026-02-12T10:30:00Z",
		"pendingActivities": []any{map[string]any{"name": "flights", "state": "STARTED", "attempt": 2.0, "lastFailure": "the source broke off"}},
	} {
		assert.Equal(t, want, doc[field], field)
	}
	assert.Contains(t, doc, "progress")
	waiting := doc["pendingApprovals"].([]any)
	require.Len(t, waiting, 1)
	assert.Equal(t, approval, waiting[0].(map[string]any)["approvalId"])
	assert.Len(t, get(approval).is(http.StatusOK).json()["pendingApprovals"], 1)
	assert.NotEmpty(t, get("cancel-" + execution).is(http.StatusOK).json()["closedAt"])
	assert.NotContains(t, get(test).is(http.StatusOK).json(), "executionId")

	for _, id := range []string{"maintenance", "conntest-foreign", "conntest-none", contract.ApprovalID(execution, "none"), models.NewID("exec-"),
		"cancel-" + models.NewID("exec-"), "approval-x", "%2e%2e", "exec-'", strings.Repeat("x", 300)} {
		get(id).problem(http.StatusNotFound, models.CodeNotFound)
	}
	e.gateway.fail(away)
	get(test).problem(http.StatusServiceUnavailable, models.CodeUnavailable)
	get(execution).problem(http.StatusServiceUnavailable, models.CodeUnavailable)
}

func TestCancelWorkflow(t *testing.T) {
	e := newEnv(t)
	execution := e.execution()
	approval := e.gate(execution, "late")
	cancel := func(id string) *answer { return e.do("POST", "/v1/pipelines/workflows/"+id+"/cancel") }
	e.gateway.workflows = map[string]models.Workflow{
		"conntest-a": {ID: "conntest-a", Tenant: e.tenant, Status: "RUNNING"},
		"conntest-b": {ID: "conntest-b", Tenant: e.tenant, Status: "COMPLETED"},
		"conntest-c": {ID: "conntest-c", Status: "RUNNING"},
	}
	assert.Equal(t, map[string]any{"workflowId": "conntest-a", "status": "CANCELLING"}, cancel("conntest-a").is(http.StatusAccepted).json())
	cancel("conntest-b").problem(http.StatusConflict, models.CodeWorkflowClosed)
	cancel("conntest-c").problem(http.StatusNotFound, models.CodeNotFound)
	cancel("cancel-"+execution).problem(http.StatusConflict, models.CodeConflict)
	cancel(approval).is(http.StatusAccepted)
	assert.Equal(t, []string{"conntest-a", approval}, e.gateway.stopped)
	for range 2 {
		assert.Equal(t, "CANCELLING", cancel(execution).is(http.StatusAccepted).json()["status"])
	}
	assert.Equal(t, []string{execution, execution}, e.gateway.cancelled, "as by the execution's own cancel")
	e.do("POST", "/v1/pipelines/workflows/"+execution+"/cancel", bearer(e.token("DATA_ENGINEER"))).problem(http.StatusForbidden, models.CodeForbidden)
	e.finish(execution)
	cancel(execution).problem(http.StatusConflict, models.CodeExecutionClosed)
	cancel(approval).problem(http.StatusConflict, models.CodeApprovalClosed)
}

func TestApprovals(t *testing.T) {
	e := newEnv(t)
	execution := e.execution()
	first := e.gate(execution, "first", func(a *models.Approval) { a.RequestedAt = time.Now().Add(-time.Hour) })
	second := e.gate(execution, "second", func(a *models.Approval) { a.Groups = nil })
	own := e.store.ForTenant(e.tenant)
	step := func(step store.ApprovalStep) { require.NoError(t, own.StepApproval(context.Background(), step)) }
	step(store.ApprovalStep{ID: first, Action: models.ActionReminded, Status: models.ApprovalPending})
	step(store.ApprovalStep{ID: first, Action: models.ActionApproved, By: "sam", Reason: "fine", Status: models.ApprovalPending})

	list := e.do("GET", "/v1/pipelines/approvals?status=PENDING&page=0&size=1").is(http.StatusOK).json()
	assert.Equal(t, 2.0, list["total"])
	assert.Equal(t, second, list["approvals"].([]any)[0].(map[string]any)["approvalId"], "newest first")
	doc := e.do("GET", "/v1/pipelines/approvals/"+first).is(http.StatusOK).json()
	for field, want := range map[string]any{
		"approvalId": first, "executionId": execution, "gate": "first", "status": "PENDING", "required": 2.0, "approvals": 1.0,
		"groups": []any{"finance"}, "submittedBy": "engineer@acme.com",
	} {
		assert.Equal(t, want, doc[field], field)
	}
	assert.Equal(t, 3.0, doc["evidence"].(map[string]any)["rows"])
	assert.NotEmpty(t, doc["remindedAt"])
	decision := doc["decisions"].([]any)[0].(map[string]any)
	assert.Equal(t, "sam", decision["approvedBy"])
	assert.Equal(t, doc["evidenceHash"], decision["evidenceHash"])

	e.finish(execution)
	assert.Equal(t, 0.0, e.do("GET", "/v1/pipelines/approvals?status=PENDING").json()["total"])
	assert.Equal(t, 2.0, e.do("GET", "/v1/pipelines/approvals?status=CANCELLED&executionId="+execution).json()["total"])
	e.do("GET", "/v1/pipelines/approvals?executionId="+models.NewID("exec-")).problem(http.StatusNotFound, models.CodeNotFound)
	e.do("GET", "/v1/pipelines/approvals?executionId=x").problem(http.StatusNotFound, models.CodeNotFound)
	e.do("GET", "/v1/pipelines/approvals?status=OPEN").problem(http.StatusBadRequest, models.CodeInvalidRequest)
	other := e.other()
	assert.Equal(t, 0.0, other.do("GET", "/v1/pipelines/approvals").json()["total"])
	other.do("GET", "/v1/pipelines/approvals?executionId="+execution).problem(http.StatusNotFound, models.CodeNotFound)
}
