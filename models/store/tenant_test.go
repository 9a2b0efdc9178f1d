package store

import (
	"context"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/lineage"
)

// world is one of everything a tenant can have.
type world struct {
	pipeline   models.Pipeline
	connection models.Connection
	execution  models.Execution
	approval   models.Approval
	alert      models.Alert
	schedule   models.Schedule
	backfill   models.Backfill
	plan       models.Plan
	audit      string
	key        string
}

func newWorld(tb testing.TB, t *Tenant) world {
	tb.Helper()
	ctx := tb.Context()
	w := world{pipeline: newPipeline(tb, t, func(p *models.Pipeline) { p.Name = "sales" }), key: "key"}
	var err error
	w.connection, err = t.CreateConnection(ctx, models.Connection{ID: models.NewID(models.PrefixConnection), Name: "landing"})
	require.NoError(tb, err)
	require.NoError(tb, t.SetDatasets(ctx, w.pipeline.ID, 1, []lineage.Dataset{{Step: "raw", Direction: lineage.Reads,
		Type: lineage.File, Namespace: "file", Name: "/srv/landing/*.csv", Path: "/srv/landing/*.csv"}}))
	w.execution = submit(tb, t, w.pipeline)
	plan(tb, t, w.execution.ID, "raw")
	require.NoError(tb, t.Watch(ctx, w.execution.ID, Watch{MaxDuration: time.Hour, Notify: [][]models.Event{{models.EventStarted}}}))
	require.NoError(tb, t.StartTask(ctx, w.execution.ID, models.TaskRun{Name: "raw", Attempts: 1, StartedAt: time.Now()}))
	require.NoError(tb, t.AppendLogs(ctx, w.execution.ID, []models.LogLine{{Time: time.Now(), Message: "secret of the tenant"}}))
	w.approval = waiting(tb, t, w.execution, "gate")
	require.NoError(tb, t.OpenAlert(ctx, models.Alert{PipelineID: w.pipeline.ID, Rule: models.AlertSLAMissed, Severity: models.SeverityWarning}))
	alerts, err := t.UnresolvedAlerts(ctx, w.pipeline.ID)
	require.NoError(tb, err)
	w.alert = alerts[0]
	w.schedule = newSchedule(tb, t, w.pipeline)
	w.backfill = newBackfill(tb, t, w.pipeline)
	w.plan = newPlan(tb, t)
	w.audit = models.NewID("audit-")
	require.NoError(tb, t.BeginAudit(ctx, models.AuditEntry{ID: w.audit, At: time.Now(), Subject: "ada", Operation: "x"}))
	claim, err := t.ClaimKey(ctx, w.key, "fingerprint", "id", time.Now())
	require.NoError(tb, err)
	require.Nil(tb, claim.Answer)
	require.NoError(tb, t.AnswerKey(ctx, w.key, Answer{Status: 201, Body: []byte("answer of the tenant")}))
	return w
}

// calls makes a call of every method of a Tenant with what w names. Each returns what it found, if anything.
func calls(ctx context.Context, t *Tenant, w world) map[string]func() (any, error) {
	page := models.Page{Size: 20}
	none := func(err error) (any, error) { return nil, err }
	run := models.TaskRun{Name: "raw", Attempts: 1, State: models.TaskSucceeded, Batch: &models.Batch{Source: "raw", Name: w.execution.ID, End: "1"},
		Lineage: []byte(`{"columns":[]}`)}
	return map[string]func() (any, error){
		"CreatePipeline": func() (any, error) {
			return t.CreatePipeline(ctx, models.Pipeline{ID: models.NewID(models.PrefixPipeline), Name: "sales"})
		},
		"Pipeline": func() (any, error) { return t.Pipeline(ctx, w.pipeline.ID) },
		"Pipelines": func() (any, error) {
			p, err := t.Pipelines(ctx, PipelineFilter{Tags: w.pipeline.Tags}, page)
			return p.Items, err
		},
		"UpdatePipeline": func() (any, error) {
			return t.UpdatePipeline(ctx, w.pipeline.ID, PipelineUpdate{Name: "stolen"})
		},
		"ArchivePipeline": func() (any, error) { return none(t.ArchivePipeline(ctx, w.pipeline.ID, 0)) },
		"PipelineVersion": func() (any, error) { return t.PipelineVersion(ctx, w.pipeline.ID, 1) },
		"PipelineVersions": func() (any, error) {
			p, err := t.PipelineVersions(ctx, w.pipeline.ID, page)
			return p.Items, err
		},
		"ActivateVersion": func() (any, error) {
			return t.ActivateVersion(ctx, w.pipeline.ID, Activation{Number: 1, By: "eve", IfRevision: 0})
		},
		"CreateConnection": func() (any, error) {
			return t.CreateConnection(ctx, models.Connection{ID: models.NewID(models.PrefixConnection), Name: "landing"})
		},
		"Connection":       func() (any, error) { return t.Connection(ctx, w.connection.ID) },
		"ConnectionsByRef": func() (any, error) { return t.ConnectionsByRef(ctx, []string{w.connection.ID}) },
		"Connections":      func() (any, error) { p, err := t.Connections(ctx, page); return p.Items, err },
		"DeleteConnection": func() (any, error) { return none(t.DeleteConnection(ctx, w.connection.ID)) },
		"SubmitExecution":  func() (any, error) { return t.SubmitExecution(ctx, execution(w.pipeline)) },
		"SubmitRerun": func() (any, error) {
			return t.SubmitRerun(ctx, execution(w.pipeline), []models.TaskRun{{Name: "raw"}}, nil)
		},
		"SetPriority": func() (any, error) { return t.SetPriority(ctx, w.execution.ID, models.PriorityLow) },
		"OpenAlert": func() (any, error) {
			return none(t.OpenAlert(ctx, models.Alert{PipelineID: w.pipeline.ID, Rule: models.AlertFreshness}))
		},
		"ResolveAlert": func() (any, error) {
			return none(t.ResolveAlert(ctx, w.pipeline.ID, models.AlertFreshness, time.Now()))
		},
		"AcknowledgeAlert": func() (any, error) { return t.AcknowledgeAlert(ctx, w.alert.ID, "eve", "", time.Now()) },
		"Alert":            func() (any, error) { return t.Alert(ctx, w.alert.ID) },
		"Alerts": func() (any, error) {
			p, err := t.Alerts(ctx, AlertFilter{PipelineID: w.pipeline.ID}, page)
			return p.Items, err
		},
		"ExecutionCost": func() (any, error) { return t.ExecutionCost(ctx, w.execution.ID, time.Now()) },
		"CostSummary":   func() (any, error) { return t.CostSummary(ctx, w.pipeline.ID, time.Now(), 90*24*time.Hour) },
		"Metrics":       func() (any, error) { return t.Metrics(ctx, w.pipeline.ID, time.Now()) },
		"Watch": func() (any, error) {
			return none(t.Watch(ctx, w.execution.ID, Watch{MaxDuration: time.Hour, Notify: [][]models.Event{{models.EventFailed}}}))
		},
		"Notifications":       func() (any, error) { return t.Notifications(ctx, w.execution.ID) },
		"NotificationStarted": func() (any, error) { return none(t.NotificationStarted(ctx, "notify-"+w.execution.ID+"-started-0")) },
		"ExecutionRefs":       func() (any, error) { return t.ExecutionRefs(ctx, []string{w.execution.ID}) },
		"Retained":            func() (any, error) { return t.Retained(ctx, []string{w.execution.ID}) },
		"UnresolvedAlerts":    func() (any, error) { return t.UnresolvedAlerts(ctx, w.pipeline.ID) },
		"Execution":           func() (any, error) { return t.Execution(ctx, w.execution.ID) },
		"Executions":          func() (any, error) { p, err := t.Executions(ctx, ExecutionFilter{}, page); return p.Items, err },
		"RequestCancel":       func() (any, error) { return t.RequestCancel(ctx, w.execution.ID) },
		"PlanExecution":       func() (any, error) { return none(t.PlanExecution(ctx, w.execution.ID, []models.TaskRun{{Name: "x"}})) },
		"StartTask":           func() (any, error) { return none(t.StartTask(ctx, w.execution.ID, run)) },
		"FinishTask":          func() (any, error) { return none(t.FinishTask(ctx, w.execution.ID, run, nil)) },
		"TaskRuns":            func() (any, error) { return t.TaskRuns(ctx, w.execution.ID) },
		"TaskOutputs":         func() (any, error) { return t.TaskOutputs(ctx, w.execution.ID, []string{"raw"}) },
		"Cursor":              func() (any, error) { return t.Cursor(ctx, w.pipeline.ID, "raw") },
		"Batches":             func() (any, error) { return t.Batches(ctx, w.execution.ID, []string{"raw"}) },
		"FinishExecution": func() (any, error) {
			return t.FinishExecution(ctx, w.execution.ID, ExecutionEnd{Status: models.ExecutionFailed})
		},
		"CreateSchedule": func() (any, error) {
			return t.CreateSchedule(ctx, models.Schedule{ID: models.NewID(models.PrefixSchedule), PipelineID: w.pipeline.ID}, time.Now())
		},
		"Schedule":       func() (any, error) { return t.Schedule(ctx, w.schedule.ID) },
		"Schedules":      func() (any, error) { p, err := t.Schedules(ctx, "", page); return p.Items, err },
		"UpdateSchedule": func() (any, error) { return t.UpdateSchedule(ctx, w.schedule, 0, time.Time{}) },
		"DeleteSchedule": func() (any, error) { return t.DeleteSchedule(ctx, w.schedule.ID, 0) },
		"ScheduleSynced": func() (any, error) { return none(t.ScheduleSynced(ctx, w.schedule.ID, 9)) },
		"SubmitScheduled": func() (any, error) {
			e := execution(w.pipeline)
			e.ScheduleID = w.schedule.ID
			return t.SubmitScheduled(ctx, e, time.Now())
		},
		"RecordDue": func() (any, error) {
			return none(t.RecordDue(ctx, w.schedule.ID, models.DueTime{DueAt: time.Now(), Outcome: models.DueMissed}, time.Now()))
		},
		"CreateBackfill": func() (any, error) {
			return t.CreateBackfill(ctx, models.Backfill{ID: models.NewID(models.PrefixBackfill), PipelineID: w.pipeline.ID})
		},
		"Backfill":      func() (any, error) { return t.Backfill(ctx, w.backfill.ID) },
		"Backfills":     func() (any, error) { p, err := t.Backfills(ctx, BackfillFilter{}, page); return p.Items, err },
		"RetryBackfill": func() (any, error) { return t.RetryBackfill(ctx, w.backfill.ID) },
		"StepBackfill": func() (any, error) {
			return none(t.StepBackfill(ctx, w.backfill.ID, BackfillStep{Attempt: 1, Status: models.BackfillFailed}))
		},
		"CompletedDueTimes": func() (any, error) { return t.CompletedDueTimes(ctx, w.backfill.ID, w.backfill.From, w.backfill.To) },
		"SubmitBackfilled": func() (any, error) {
			e := execution(w.pipeline)
			e.BackfillID = w.backfill.ID
			return t.SubmitBackfilled(ctx, e)
		},
		"CreatePlan": func() (any, error) {
			return none(t.CreatePlan(ctx, models.Plan{ID: models.NewID(models.PrefixPlan), CreatedAt: time.Now()}))
		},
		"Plan":         func() (any, error) { return t.Plan(ctx, w.plan.ID) },
		"RecordStep":   func() (any, error) { return none(t.RecordStep(ctx, w.plan.ID, models.PlannedStep{Name: "raw"})) },
		"PlannedSteps": func() (any, error) { return t.PlannedSteps(ctx, w.plan.ID, "raw") },
		"DeletePlan":   func() (any, error) { return none(t.DeletePlan(ctx, w.plan.ID)) },
		"Estimate": func() (any, error) {
			_, _, err := t.Estimate(ctx, w.pipeline.ID, models.EngineTemporal)
			return none(err)
		},
		"BeginAudit": func() (any, error) {
			return none(t.BeginAudit(ctx, models.AuditEntry{ID: models.NewID("audit-"), At: time.Now(), Subject: "eve"}))
		},
		"EndAudit": func() (any, error) { return none(t.EndAudit(ctx, w.audit, 200, "x")) },
		"Audit":    func() (any, error) { p, err := t.Audit(ctx, AuditFilter{}, page); return p.Items, err },
		"TakeRequests": func() (any, error) {
			_, _, err := t.TakeRequests(ctx, 1, 10, 20, time.Now())
			return none(err)
		},
		"ColumnLineage":    func() (any, error) { return t.ColumnLineage(ctx, w.pipeline.ID, 1) },
		"LastStarted":      func() (any, error) { return t.LastStarted(ctx, w.pipeline.ID) },
		"PipelineDatasets": func() (any, error) { return t.PipelineDatasets(ctx, w.pipeline.ID) },
		"SetDatasets": func() (any, error) {
			return none(t.SetDatasets(ctx, w.pipeline.ID, 1, []lineage.Dataset{{Step: "stolen"}}))
		},
		"Neighbours": func() (any, error) {
			found, _, err := t.Neighbours(ctx, lineage.Reads, []string{"file:/srv/landing"})
			return found, err
		},
		"OpenApproval": func() (any, error) { return none(t.OpenApproval(ctx, w.approval)) },
		"StepApproval": func() (any, error) {
			return none(t.StepApproval(ctx, approved(w.approval, "eve", models.ApprovalApproved)))
		},
		"Approval":      func() (any, error) { return t.Approval(ctx, w.approval.ID) },
		"ApprovalTrail": func() (any, error) { return t.ApprovalTrail(ctx, w.approval.ID) },
		"Approvals":     func() (any, error) { p, err := t.Approvals(ctx, ApprovalFilter{}, page); return p.Items, err },
		"AppendLogs":    func() (any, error) { return none(t.AppendLogs(ctx, w.execution.ID, []models.LogLine{{Message: "x"}})) },
		"Logs":          func() (any, error) { return t.Logs(ctx, w.execution.ID, LogQuery{}) },
		"ClaimKey":      func() (any, error) { return t.ClaimKey(ctx, w.key, "other", "mine", time.Now()) },
		"AnswerKey":     func() (any, error) { return none(t.AnswerKey(ctx, w.key, Answer{Status: 500})) },
		"ReleaseKey":    func() (any, error) { return none(t.ReleaseKey(ctx, w.key)) },
	}
}

func TestCallsCoverEveryMethod(t *testing.T) {
	all := calls(t.Context(), nil, world{})
	for method := range reflect.TypeFor[*Tenant]().Methods() {
		assert.Contains(t, all, method.Name)
	}
}

func TestWithoutATenantEveryMethodFails(t *testing.T) {
	forEachDatabase(t, func(t *testing.T, s *Store) {
		owner := s.newTenant()
		w := newWorld(t, owner)
		for name, tenant := range map[string]*Tenant{
			"empty": s.ForTenant(""), "malformed": s.ForTenant("' OR 1=1 --"), "zero": s.ForTenant("00000000-0000-0000-0000-000000000000"),
			"not canonical": s.ForTenant(models.TenantID(strings.ToUpper("aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"))),
		} {
			for method, call := range calls(t.Context(), tenant, w) {
				got, err := call()
				assertCode(t, models.CodeInvalidTenant, err, name, method)
				assert.Empty(t, got, "%s of a tenant that is %s", method, name)
			}
		}
	})
}

func TestTenantsAreIsolated(t *testing.T) {
	forEachDatabase(t, func(t *testing.T, s *Store) {
		owner, thief := s.newTenant(), s.newTenant()
		w := newWorld(t, owner)
		before := snapshot(t, owner, w)

		// What a tenant may do that has nothing of the kind; the rest is CodeNotFound.
		allowed := map[string]bool{
			"CreatePipeline": true, "CreateConnection": true, "ClaimKey": true, "AnswerKey": true, "ReleaseKey": true,
			"Pipelines": true, "Connections": true, "ConnectionsByRef": true, "Executions": true, "TaskOutputs": true,
			"Notifications": true, "NotificationStarted": true, "ExecutionRefs": true, "Retained": true,
			"Approvals": true, "Schedules": true, "ScheduleSynced": true,
			"BeginAudit": true, "Audit": true, "TakeRequests": true, "CreatePlan": true, "PlannedSteps": true, "DeletePlan": true, "Backfills": true, "CompletedDueTimes": true,
			"Cursor": true, "Batches": true,
			"ColumnLineage": true, "LastStarted": true, "PipelineDatasets": true, "SetDatasets": true, "Neighbours": true,
		}
		for method, call := range calls(t.Context(), thief, w) {
			got, err := call()
			if !allowed[method] {
				assertCode(t, models.CodeNotFound, err, method)
				assert.Empty(t, got, method)
				continue
			}
			assert.NoError(t, err, method)
			assert.NotContains(t, toJSON(t, got), string(owner.id), method)
			assert.NotContains(t, toJSON(t, got), w.pipeline.ID, method)
		}
		_, err := thief.Executions(t.Context(), ExecutionFilter{PipelineID: w.pipeline.ID}, models.Page{})
		assertCode(t, models.CodeNotFound, err)

		assert.Equal(t, before, snapshot(t, owner, w), "the owner's things are as they were")
		claim, err := owner.ClaimKey(t.Context(), w.key, "fingerprint", "other", time.Now())
		require.NoError(t, err)
		require.NotNil(t, claim.Answer)
		assert.Equal(t, "answer of the tenant", string(claim.Answer.Body))
	})
}

// snapshot is what a tenant sees of its world.
func snapshot(tb testing.TB, t *Tenant, w world) string {
	tb.Helper()
	var seen []any
	all := calls(tb.Context(), t, w)
	for _, method := range []string{
		"Plan", "PlannedSteps", "Pipeline", "Pipelines", "PipelineVersion", "Connection", "Connections", "Execution", "Executions", "TaskRuns", "Logs",
		"Alert", "Alerts", "Metrics", "CostSummary", "Notifications",
		"Approval", "Approvals", "ApprovalTrail", "Schedule", "Schedules", "Backfill", "Backfills", "Audit",
		"ColumnLineage", "LastStarted", "PipelineDatasets", "Neighbours",
	} {
		got, err := all[method]()
		require.NoError(tb, err, method)
		seen = append(seen, got)
	}
	return toJSON(tb, seen)
}
