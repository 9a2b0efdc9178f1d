package e2e

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"

	"github.com/matih/pipeline-service/cmd/internal/harness"
)

// gated makes a pipeline over three rows, one of which fails the check "positive"; what it publishes
// lies below its name.
func (w *world) gated(name string, approval m) string {
	w.t.Helper()
	w.file("in/rows.csv", "id,amount,iban\n1,10,DE01\n2,-5,DE02\n3,7,DE03\n")
	return w.pipeline(name, m{
		"sources": m{"raw": m{"type": "cloud_storage", "connection": "files", "prefix": "in/", "format": "csv"}},
		"quality_checks": []m{{"name": "positive", "type": "range", "input": "raw", "column": "amount", "min": 0,
			"on_failure": "approve"}},
		"sinks":         m{"out": m{"type": "cloud_storage", "connection": "files", "prefix": name + "/", "format": "csv", "mode": "append"}},
		"orchestration": m{"approval": approval},
	})
}

// approvalView is an approval as the API shows it.
type approvalView struct {
	ApprovalID, ExecutionID, Gate, Status, StatusReason, EvidenceHash string
	Required, Approvals                                               int
	RemindedAt                                                        *time.Time
	Evidence                                                          json.RawMessage
	Decisions                                                         []struct {
		Approved                         bool
		ApprovedBy, Reason, EvidenceHash string
	}
}

// awaitStatus waits until an execution has a status.
func (w *world) awaitStatus(execution, status string) harness.Execution {
	w.t.Helper()
	var e harness.Execution
	require.NoError(w.t, harness.Until(w.ctx, func() (bool, error) {
		var err error
		e, err = w.Execution(w.ctx, execution)
		if err == nil && e.Terminal() && e.Status != status {
			assert.Fail(w.t, "the execution has ended", "%+v", e)
			return true, nil
		}
		return e.Status == status, err
	}))
	return e
}

// awaiting executes a pipeline and returns the execution when it waits, with the gates that do.
func (w *world) awaiting(pipeline string, gates ...string) string {
	w.t.Helper()
	id, err := w.Execute(w.ctx, pipeline, nil)
	require.NoError(w.t, err)
	require.NoError(w.t, harness.Until(w.ctx, func() (bool, error) {
		var list struct{ Approvals []approvalView }
		err := w.JSON(w.ctx, http.MethodGet, "/v1/pipelines/approvals?status=PENDING&executionId="+id, nil, http.StatusOK, &list)
		return len(list.Approvals) == len(gates), err
	}))
	w.awaitStatus(id, "AWAITING_APPROVAL")
	return id
}

func (w *world) approval(execution, gate string) approvalView {
	w.t.Helper()
	var a approvalView
	require.NoError(w.t, w.JSON(w.ctx, http.MethodGet, "/v1/pipelines/approvals/approval-"+execution+"-"+gate, nil, http.StatusOK, &a))
	return a
}

// as is a client for somebody else of tenant A.
func (w *world) as(subject, roles string, groups ...string) *harness.Client {
	w.t.Helper()
	c, err := w.Standalone.Client(w.ctx, tenantA, subject, roles, groups...)
	require.NoError(w.t, err)
	return c
}

// decide sends the signal approval and requires a status and, of a failure, a code.
func (w *world) decide(c *harness.Client, workflow string, data m, status int, code string) string {
	w.t.Helper()
	c.Base = w.API
	a, err := c.Do(w.ctx, http.MethodPost, "/v1/pipelines/workflows/"+workflow+"/signal", m{"signalName": "approval", "data": data})
	require.NoError(w.t, err)
	require.Equal(w.t, status, a.Status, "%s", a.Body)
	if code != "" {
		require.Contains(w.t, string(a.Body), `"`+code+`"`)
	}
	return string(a.Body)
}

func TestApproveAFailingCheck(t *testing.T) {
	w := newWorld(t)
	id := w.awaiting(w.gated("approved", m{"mask": []string{"IBAN"}}), "positive")
	a := w.approval(id, "positive")
	assert.JSONEq(t, `{"check": "positive", "checkType": "range", "rows": 3, "failing": 1, "share": 0.3333333333333333,
		"message": `+jsonText(t, a.Evidence, "message")+`, "sample": [{"id": "2", "amount": "-5", "iban": "***"}]}`, string(a.Evidence))
	assert.Empty(t, w.published("approved"), "nothing is published before its gates have passed")
	var status struct {
		WorkflowType, Status, ExecutionStatus string
		PendingApprovals                      []struct{ Gate string }
		Progress                              struct{ TotalTasks, CompletedTasks int }
	}
	require.NoError(t, w.JSON(w.ctx, http.MethodGet, "/v1/pipelines/workflows/"+id+"/status", nil, http.StatusOK, &status))
	assert.Equal(t, "ExecutionWorkflow RUNNING AWAITING_APPROVAL", status.WorkflowType+" "+status.Status+" "+status.ExecutionStatus)
	assert.Equal(t, "positive", status.PendingApprovals[0].Gate)
	assert.Equal(t, 2, status.Progress.CompletedTasks)

	ada, sam := w.as("ada@example.com", "ADMIN"), w.as("sam@example.com", "DATA_STEWARD")
	w.decide(w.as("eve@example.com", "DATA_ENGINEER"), id, m{"approved": true}, http.StatusForbidden, "forbidden")
	w.decide(w.as("eve@example.com", "OPERATOR"), id, m{"approved": true}, http.StatusForbidden, "forbidden")
	w.decide(ada, id, m{"approved": true}, http.StatusForbidden, "self_approval")
	w.decide(sam, id, m{"approved": true, "approvedBy": "ada@example.com"}, http.StatusForbidden, "forbidden")
	w.decide(sam, id, m{"approved": true, "approvedBy": "sam@example.com", "reason": "known bad row"}, http.StatusAccepted, "APPROVED")
	assert.Equal(t, "APPROVED", w.approval(id, "positive").Status, "at once")
	e, err := w.Await(w.ctx, id)
	require.NoError(t, err)
	assert.Equal(t, "COMPLETED", e.Status)
	assert.Len(t, w.published("approved"), 1)
	w.decide(sam, "approval-"+id+"-positive", m{"approved": true}, http.StatusConflict, "approval_closed")
	w.decide(sam, id, m{"approved": true}, http.StatusConflict, "execution_closed")

	a = w.approval(id, "positive")
	require.Len(t, a.Decisions, 1)
	assert.Equal(t, "sam@example.com", a.Decisions[0].ApprovedBy)
	assert.Equal(t, "known bad row", a.Decisions[0].Reason)
	assert.Equal(t, a.EvidenceHash, a.Decisions[0].EvidenceHash)
	for _, path := range []string{"/logs?lines=1000", "/tasks"} {
		answer, err := w.Do(w.ctx, http.MethodGet, "/v1/pipelines/executions/"+id+path, nil)
		require.NoError(t, err)
		assert.NotContains(t, string(answer.Body), "DE02", "the column is masked everywhere")
		if path != "/tasks" {
			assert.Contains(t, string(answer.Body), "by sam@example.com: known bad row")
		}
	}
}

// jsonText is a field of a JSON object as JSON.
func jsonText(t *testing.T, doc json.RawMessage, field string) string {
	t.Helper()
	var fields map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(doc, &fields))
	require.NotEmpty(t, fields[field])
	return string(fields[field])
}

func TestRejectAFailingCheck(t *testing.T) {
	w := newWorld(t)
	id := w.awaiting(w.gated("rejected", m{"required": 2}), "positive")
	w.decide(w.as("sam@example.com", "DATA_STEWARD"), "approval-"+id+"-positive", m{"approved": false, "reason": "too many"}, http.StatusAccepted, "REJECTED")
	e, err := w.Await(w.ctx, id)
	require.NoError(t, err)
	assert.Equal(t, "CANCELLED", e.Status)
	assert.Equal(t, "gate positive rejected by sam@example.com: too many", e.StatusReason)
	assert.Empty(t, w.published("rejected"))
}

func TestApprovalTimesOut(t *testing.T) {
	w := newWorld(t)
	reject := w.gated("late", m{"timeout": "2s"})
	approve := w.gated("lenient", m{"timeout": "2s", "on_timeout": "approve"})
	rejected, approved := w.awaiting(reject, "positive"), w.awaiting(approve, "positive")
	e, err := w.Await(w.ctx, rejected)
	require.NoError(t, err)
	assert.Equal(t, "CANCELLED", e.Status)
	assert.Equal(t, "gate positive rejected by timeout: 0 of 1 approvals came within 2s", e.StatusReason)
	assert.NotNil(t, w.approval(rejected, "positive").RemindedAt)
	e, err = w.Await(w.ctx, approved)
	require.NoError(t, err)
	assert.Equal(t, "COMPLETED", e.Status)
	assert.Equal(t, "APPROVED", w.approval(approved, "positive").Status)
	assert.Len(t, w.published("lenient"), 1)
}

// TestPrePublishGate shows that one sink waits for its approval while another one is published.
func TestPrePublishGate(t *testing.T) {
	w := newWorld(t)
	w.file("in/rows.csv", "id\n1\n2\n")
	sink := func(prefix string) m {
		return m{"type": "cloud_storage", "connection": "files", "prefix": prefix + "/", "format": "csv", "mode": "append"}
	}
	pipeline := w.pipeline("publish", m{
		"sources":        m{"raw": m{"type": "cloud_storage", "connection": "files", "prefix": "in/", "format": "csv"}},
		"quality_checks": []m{{"name": "some", "type": "row_count", "input": "raw", "min": 1}},
		"sinks":          m{"careful": sink("careful"), "careless": sink("careless"), "third": sink("third")},
		"orchestration":  m{"approval": m{"before": []string{"careful", "third"}}},
	})
	id := w.awaiting(pipeline, "careful", "third")
	require.NoError(t, harness.Until(w.ctx, func() (bool, error) { return len(w.published("careless")) == 1, nil }))
	assert.Empty(t, w.published("careful"))
	evidence := string(w.approval(id, "careful").Evidence)
	assert.Contains(t, evidence, `"rows":2`)
	assert.Contains(t, evidence, `"check":"some"`)

	sam := w.as("sam@example.com", "DATA_STEWARD")
	body := w.decide(sam, id, m{"approved": true}, http.StatusConflict, "several_waiting")
	assert.Contains(t, body, `"gates":["`)
	w.decide(sam, id, m{"approved": true, "gate": "nowhere"}, http.StatusConflict, "nothing_waiting")
	w.decide(sam, id, m{"approved": true, "gate": "careful"}, http.StatusAccepted, "APPROVED")
	require.NoError(t, harness.Until(w.ctx, func() (bool, error) { return len(w.published("careful")) == 1, nil }))
	assert.Equal(t, "AWAITING_APPROVAL", w.awaitStatus(id, "AWAITING_APPROVAL").Status, "of the third")
	w.decide(sam, id, m{"approved": true}, http.StatusAccepted, "APPROVED")
	e, err := w.Await(w.ctx, id)
	require.NoError(t, err)
	assert.Equal(t, "COMPLETED", e.Status)
	assert.Len(t, w.published("third"), 1)
}

// TestTwoOfManyAndAKillNine has two of a group approve, and standalone die before, between and while it waits.
func TestTwoOfManyAndAKillNine(t *testing.T) {
	w := newWorld(t)
	id := w.awaiting(w.gated("both", m{"required": 2, "groups": []string{"finance", "risk"}}), "positive")
	w.Kill()
	w.restart()
	assert.Equal(t, "AWAITING_APPROVAL", w.awaitStatus(id, "AWAITING_APPROVAL").Status)
	fay, rob := w.as("fay@example.com", "DATA_STEWARD", "finance"), w.as("rob@example.com", "DATA_STEWARD", "sales", "risk")
	w.decide(w.as("sam@example.com", "DATA_STEWARD", "sales"), id, m{"approved": true}, http.StatusForbidden, "forbidden")
	body := w.decide(fay, id, m{"approved": true}, http.StatusAccepted, "PENDING")
	assert.Contains(t, body, `"approvals":1`)
	w.decide(fay, id, m{"approved": true}, http.StatusConflict, "already_decided")
	w.Kill()
	w.restart()
	w.decide(fay, id, m{"approved": false}, http.StatusConflict, "already_decided")
	a := w.approval(id, "positive")
	assert.Equal(t, 1, a.Approvals)
	w.decide(rob, id, m{"approved": true}, http.StatusAccepted, "APPROVED")
	e, err := w.Await(w.ctx, id)
	require.NoError(t, err)
	assert.Equal(t, "COMPLETED", e.Status)
	assert.Len(t, w.published("both"), 1)
	assert.Len(t, w.approval(id, "positive").Decisions, 2)
}

// TestPlainSignalsObeyTheSameRules sends signals past the API, to the execution and to the approval.
func TestPlainSignalsObeyTheSameRules(t *testing.T) {
	w := newWorld(t)
	id := w.awaiting(w.gated("plain", m{"required": 2}), "positive")
	c, err := client.DialContext(w.ctx, client.Options{HostPort: w.Temporal, Logger: quiet{}})
	require.NoError(t, err)
	defer c.Close()
	signal := func(workflow string, data any) {
		require.NoError(t, c.SignalWorkflow(w.ctx, workflow, "", "approval", data))
	}
	approval := "approval-" + id + "-positive"
	for _, workflow := range []string{id, approval} {
		signal(workflow, "yes")
		signal(workflow, m{"approvedBy": "sam@example.com"})
		signal(workflow, m{"approved": true})
		signal(workflow, m{"approved": true, "approvedBy": "ada@example.com"})
		signal(workflow, m{"approved": true, "approvedBy": "sam@example.com", "gate": "other"})
		signal(workflow, m{"approved": true, "approvedBy": "sam@example.com"})
	}
	require.NoError(t, harness.Until(w.ctx, func() (bool, error) { return w.approval(id, "positive").Approvals == 1, nil }))
	signal(id, m{"approved": true, "approvedBy": "rob@example.com"})
	e, err := w.Await(w.ctx, id)
	require.NoError(t, err)
	assert.Equal(t, "COMPLETED", e.Status)
	assert.Len(t, w.approval(id, "positive").Decisions, 2)
}

// quiet is a logger for a Temporal client that says nothing.
type quiet struct{}

func (quiet) Debug(string, ...any) {}
func (quiet) Info(string, ...any)  {}
func (quiet) Warn(string, ...any)  {}
func (quiet) Error(string, ...any) {}

func TestCancelWhileAGateWaits(t *testing.T) {
	w := newWorld(t)
	pipeline := w.gated("waiting", m{})
	operator := w.as("otto@example.com", "OPERATOR")
	for name, path := range map[string]func(id string) string{
		"execution": func(id string) string { return "/v1/pipelines/executions/" + id + "/cancel" },
		"workflow":  func(id string) string { return "/v1/pipelines/workflows/" + id + "/cancel" },
		"approval":  func(id string) string { return "/v1/pipelines/workflows/approval-" + id + "-positive/cancel" },
	} {
		t.Run(name, func(t *testing.T) {
			w.t = t
			id := w.awaiting(pipeline, "positive")
			began := time.Now()
			require.NoError(t, operator.JSON(w.ctx, http.MethodPost, path(id), nil, http.StatusAccepted, nil))
			e, err := w.Await(w.ctx, id)
			require.NoError(t, err)
			assert.Less(t, time.Since(began), 5*time.Second, "promptly")
			assert.Equal(t, "CANCELLED", e.Status)
			assert.NotEmpty(t, e.StatusReason)
			assert.Equal(t, "CANCELLED", w.approval(id, "positive").Status)
		})
	}
	w.t = t
}

// TestKillNineDuringACancellation cancels a task and kills standalone at once: the cancellation goes on after.
func TestKillNineDuringACancellation(t *testing.T) {
	w := newWorld(t, "--warm-processes", "0")
	id, err := w.Execute(w.ctx, w.endless("endless"), nil)
	require.NoError(t, err)
	w.awaitTask(id, "forever")
	for range 2 {
		var answer struct{ Status string }
		require.NoError(t, w.JSON(w.ctx, http.MethodPost, "/v1/pipelines/executions/"+id+"/cancel", nil, http.StatusAccepted, &answer))
		assert.Equal(t, "CANCELLING", answer.Status)
	}
	w.Kill()
	w.restart()
	e, err := w.Await(w.ctx, id)
	require.NoError(t, err)
	assert.Equal(t, "CANCELLED", e.Status)
	ctx, cancel := context.WithTimeout(w.ctx, 10*time.Second)
	defer cancel()
	require.NoError(t, harness.Until(ctx, func() (bool, error) {
		var status struct{ Status string }
		err := w.JSON(ctx, http.MethodGet, "/v1/pipelines/workflows/cancel-"+id+"/status", nil, http.StatusOK, &status)
		return status.Status == "COMPLETED", err
	}))
	assert.Empty(t, w.published("endless"))
	assert.False(t, strings.Contains(w.Output(), "panic"))
}
