package store

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect"

	"github.com/matih/pipeline-service/models"
)

// queryRecorder keeps the statements it sees that have rows to find.
type queryRecorder struct{ queries []string }

func (r *queryRecorder) BeforeQuery(ctx context.Context, event *bun.QueryEvent) context.Context {
	verb, _, _ := strings.Cut(event.Query, " ")
	if slices.Contains([]string{"SELECT", "UPDATE", "DELETE"}, verb) {
		r.queries = append(r.queries, event.Query)
	}
	return ctx
}

func (r *queryRecorder) AfterQuery(context.Context, *bun.QueryEvent) {}

// record returns the statements with rows to find that fn sends to the store. Nothing else may use the store meanwhile.
func record(tb testing.TB, s *Store, fn func() error) []string {
	tb.Helper()
	recorder := &queryRecorder{}
	reader, writer := s.reader, s.writer
	defer func() { s.reader, s.writer = reader, writer }()
	s.reader, s.writer = reader.WithQueryHook(recorder), writer.WithQueryHook(recorder)
	require.NoError(tb, fn())
	return recorder.queries
}

// queryPlan returns how the database would run a query, or did where it only reads, in lines.
func queryPlan(tb testing.TB, s *Store, query string) []string {
	tb.Helper()
	verb, columns := "EXPLAIN QUERY PLAN ", 4
	if s.reader.Dialect().Name() == dialect.PG {
		verb, columns = "EXPLAIN (COSTS OFF) ", 1
		if strings.HasPrefix(query, "SELECT") {
			verb = "EXPLAIN (ANALYZE, BUFFERS, COSTS OFF, SUMMARY OFF) "
		}
	}
	rows, err := s.writer.DB.QueryContext(tb.Context(), verb+query)
	require.NoError(tb, err, query)
	var plan []string
	for rows.Next() {
		row := make([]any, columns)
		dest := make([]any, columns)
		for i := range row {
			dest[i] = &row[i]
		}
		require.NoError(tb, rows.Scan(dest...))
		plan = append(plan, fmt.Sprint(row[columns-1]))
	}
	require.NoError(tb, rows.Err())
	require.NoError(tb, rows.Close())
	return plan
}

// A table that is read from its beginning to its end: SQLite's "SCAN e" and PostgreSQL's "Seq Scan on executions e".
// SQLite says "SCAN CONSTANT ROW", too, and "SCAN page" of what it has gathered itself.
var fullScan = regexp.MustCompile(`(?m)^SCAN [a-z]+$|Seq Scan`)

// indexes are those made for a query of one method.
var indexes = map[string][]string{
	"Pipelines":                        {"pipeline_tags"},
	"Executions by status":             {"executions_status"},
	"Executions by pipeline":           {"executions_pipeline"},
	"Executions by both":               {"executions_pipeline_status"},
	"Logs of a task":                   {"execution_logs_task"},
	"OpenExecutions":                   {"executions_open"},
	"PurgeExpired":                     {"idempotency_keys_claimed"},
	"PurgePlans":                       {"plans_created"},
	"Audit by subject":                 {"audit_subject"},
	"Audit by resource":                {"audit_resource"},
	"UnsyncedSchedules":                {"schedules_unsynced"},
	"LateSchedules":                    {"schedules_due"},
	"Schedules":                        {"schedules_live"},
	"Schedules by pipeline":            {"schedules_pipeline"},
	"OpenBackfills":                    {"backfills_open"},
	"CompletedDueTimes":                {"executions_backfill"},
	"SubmitBackfilled":                 {"executions_backfill"},
	"SubmitExecution":                  {"executions_run_slot", "executions_completed", "executions_pipeline_status"},
	"FinishTask":                       {"task_runs_running"},
	"PipelineDatasets":                 {"pipeline_datasets_pipeline"},
	"Alerts":                           {"alerts_pipeline"},
	"Alerts by status":                 {"alerts_status"},
	"Alerts by severity":               {"alerts_severity"},
	"Alerts by both":                   {"alerts_status_severity"},
	"Alerts of a pipeline by status":   {"alerts_pipeline_status"},
	"Alerts of a pipeline by severity": {"alerts_pipeline_severity"},
	"Alerts of a pipeline by both":     {"alerts_pipeline_both"},
	"TellOverdue":                      {"executions_sla_due", "alerts_unresolved"},
	"Notifications":                    {"notifications_execution"},
	"Notifications of all":             {"notifications_happened"},
	"TellStale":                        {"pipelines_fresh_until"},
	"FinishExecution as good":          {"executions_completed", "alerts_unresolved"},
	"ResolveAlert":                     {"alerts_unresolved"},
}

// moreCalls are calls like calls, of methods that choose their query by what they are given.
func moreCalls(ctx context.Context, t *Tenant, w world) map[string]func() (any, error) {
	executions := func(f ExecutionFilter) func() (any, error) {
		return func() (any, error) { return t.Executions(ctx, f, models.Page{}) }
	}
	alerts := func(f AlertFilter) func() (any, error) {
		return func() (any, error) { return t.Alerts(ctx, f, models.Page{}) }
	}
	open, warning := models.AlertOpen, models.SeverityWarning
	return map[string]func() (any, error){
		"Alerts by status":                 alerts(AlertFilter{Status: open}),
		"Alerts by severity":               alerts(AlertFilter{Severity: warning}),
		"Alerts by both":                   alerts(AlertFilter{Status: open, Severity: warning}),
		"Alerts of a pipeline by status":   alerts(AlertFilter{PipelineID: w.pipeline.ID, Status: open}),
		"Alerts of a pipeline by severity": alerts(AlertFilter{PipelineID: w.pipeline.ID, Severity: warning}),
		"Alerts of a pipeline by both":     alerts(AlertFilter{PipelineID: w.pipeline.ID, Status: open, Severity: warning}),
		"Metrics of all":                   func() (any, error) { return t.Metrics(ctx, "", time.Now()) },
		"TellOverdue": func() (any, error) {
			return t.store.TellOverdue(ctx, time.Now().Add(2*time.Hour), 10)
		},
		"Notifications of all": func() (any, error) { return t.store.Notifications(ctx, time.Now().Add(time.Hour), 10) },
		"TellStale": func() (any, error) {
			u := PipelineUpdate{Definition: []byte(`{"orchestration":{"sla":{"freshness":"1s"}}}`)}
			if _, err := t.UpdatePipeline(ctx, w.pipeline.ID, u); err != nil {
				return nil, err
			}
			return t.store.TellStale(ctx, time.Now().Add(time.Hour), 10)
		},
		"Remind": func() (any, error) {
			return nil, t.StepApproval(ctx, ApprovalStep{ID: w.approval.ID, Action: models.ActionReminded, Status: models.ApprovalPending})
		},
		"SubmitExecution within budgets": func() (any, error) {
			t.store.Budgets = map[models.TenantID]models.Budget{t.id: {MonthlyMicros: 1, OnExceed: models.ExceedBlock}}
			return t.SubmitExecution(ctx, execution(w.pipeline))
		},
		"FinishExecution as good": func() (any, error) {
			run := models.TaskRun{Name: "raw", Attempts: 1, State: models.TaskSucceeded, Usage: &models.Usage{CPUMicros: 1}}
			if err := t.FinishTask(ctx, w.execution.ID, run, nil); err != nil {
				return nil, err
			}
			return t.FinishExecution(ctx, w.execution.ID, ExecutionEnd{Status: models.ExecutionCompleted})
		},
		"Pipelines by name": func() (any, error) {
			return t.Pipelines(ctx, PipelineFilter{Name: "sales", Status: models.PipelineActive}, models.Page{})
		},
		"Executions by status":     executions(ExecutionFilter{Status: models.ExecutionRunning}),
		"Executions by pipeline":   executions(ExecutionFilter{PipelineID: w.pipeline.ID}),
		"Executions by both":       executions(ExecutionFilter{PipelineID: w.pipeline.ID, Status: models.ExecutionRunning}),
		"Logs of a task":           func() (any, error) { return t.Logs(ctx, w.execution.ID, LogQuery{Task: "raw"}) },
		"Logs after":               func() (any, error) { return t.Logs(ctx, w.execution.ID, LogQuery{After: 1}) },
		"Executions of a backfill": executions(ExecutionFilter{BackfillID: w.backfill.ID}),
		"Schedules by pipeline":    func() (any, error) { return t.Schedules(ctx, w.pipeline.ID, models.Page{}) },
		"UnsyncedSchedules":        func() (any, error) { return t.store.UnsyncedSchedules(ctx, time.Now(), 10) },
		"LateSchedules":            func() (any, error) { return t.store.LateSchedules(ctx, time.Time{}, time.Now(), 10) },
		"OpenBackfills":            func() (any, error) { return t.store.OpenBackfills(ctx, time.Now(), "", 10) },
		"OpenExecutions":           func() (any, error) { return t.store.OpenExecutions(ctx, time.Now(), "exec-", 10) },
		"PurgeExpired":             func() (any, error) { return t.store.PurgeExpired(ctx, time.Now()) },
		"PurgePlans":               func() (any, error) { return t.store.PurgePlans(ctx, time.Now().Add(time.Hour), 10) },
		"PlannedSteps of all":      func() (any, error) { return t.PlannedSteps(ctx, w.plan.ID) },
	}
}

// Every statement of every method finds its rows by an index.
func TestEveryQueryHasAnIndex(t *testing.T) {
	for _, database := range databases {
		t.Run(database.name, func(t *testing.T) {
			dsn := database.dsn(t)
			if strings.HasPrefix(dsn, "postgres") {
				// Or it would rather scan these small tables. So it does only where it cannot help it.
				dsn += "&enable_seqscan=off"
			}
			s := open(t, dsn)
			ctx := t.Context()
			all := func(tenant *Tenant, w world) map[string]func() (any, error) {
				both := calls(ctx, tenant, w)
				maps.Copy(both, moreCalls(ctx, tenant, w))
				return both
			}
			// The more small things a database holds, the more PostgreSQL likes the smaller index, so those go first.
			methods := slices.SortedFunc(maps.Keys(all(nil, world{})), func(a, b string) int {
				return cmp.Compare(len(indexes[b]), len(indexes[a]))
			})
			for _, method := range methods {
				tenant := s.newTenant()
				call := all(tenant, newWorld(t, tenant))[method] // in a world that no other call has changed
				// Calls that refuse, as some do, have made their queries, too.
				queries := record(t, s, func() error { _, _ = call(); return nil })
				var plans string
				for _, query := range queries {
					plan := strings.Join(queryPlan(t, s, query), "\n")
					assert.NotRegexp(t, fullScan, plan, "%s: %s", method, query)
					plans += plan
				}
				if database.name == "postgres" {
					continue // it chooses among indexes by how full tables are, and these are empty
				}
				for _, index := range indexes[method] {
					assert.Contains(t, plans, index, method)
				}
			}
		})
	}
}
