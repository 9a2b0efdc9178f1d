package store

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/uptrace/bun"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/store/pgtest"
)

var server *pgtest.Server

func TestMain(m *testing.M) { os.Exit(pgtest.Run(m, &server)) }

// databases are those every test runs on: how to get the DSN of an empty one.
var databases = []struct {
	name string
	dsn  func(tb testing.TB) string
}{
	{"sqlite", func(tb testing.TB) string { return "sqlite:" + filepath.Join(tb.TempDir(), "store.db") }},
	{"postgres", func(tb testing.TB) string { return server.NewDatabase(tb) }},
}

// forEachDatabase runs a test on every database, and then looks whether what is stored twice agrees.
func forEachDatabase(t *testing.T, test func(t *testing.T, s *Store)) {
	t.Helper()
	for _, database := range databases {
		t.Run(database.name, func(t *testing.T) {
			s := open(t, database.dsn(t))
			test(t, s)
			checkInvariants(t, s)
		})
	}
}

func open(tb testing.TB, dsn string) *Store {
	tb.Helper()
	s, err := Open(tb.Context(), dsn)
	require.NoError(tb, err)
	tb.Cleanup(func() { assert.NoError(tb, s.Close()) })
	_, err = s.Migrate(tb.Context())
	require.NoError(tb, err)
	return s
}

// checkInvariants compares the counters with what they count, and executions with their tasks.
func checkInvariants(t *testing.T, s *Store) {
	t.Helper()
	for what, query := range map[string]string{
		"counters of executions": `
			SELECT COUNT(*) FROM (
				SELECT tenant_id, '' AS scope, status, COUNT(*) AS n FROM executions GROUP BY tenant_id, status
				UNION ALL
				SELECT tenant_id, pipeline_id, status, COUNT(*) FROM executions GROUP BY tenant_id, pipeline_id, status
			) AS real
			FULL JOIN (SELECT * FROM counts WHERE kind = 'execution' AND n <> 0) AS c
				ON c.tenant_id = real.tenant_id AND c.scope = real.scope AND c.status = real.status
			WHERE c.n IS NULL OR real.n IS NULL OR c.n <> real.n`,
		"counters of pipelines": `
			SELECT COUNT(*) FROM (SELECT tenant_id, status, COUNT(*) AS n FROM pipelines GROUP BY tenant_id, status) AS real
			FULL JOIN (SELECT * FROM counts WHERE kind = 'pipeline' AND n <> 0) AS c
				ON c.tenant_id = real.tenant_id AND c.status = real.status
			WHERE c.n IS NULL OR real.n IS NULL OR c.n <> real.n`,
		"counters of connections": `
			SELECT COUNT(*) FROM (SELECT tenant_id, COUNT(*) AS n FROM connections GROUP BY tenant_id) AS real
			FULL JOIN (SELECT * FROM counts WHERE kind = 'connection' AND n <> 0) AS c ON c.tenant_id = real.tenant_id
			WHERE c.n IS NULL OR real.n IS NULL OR c.n <> real.n`,
		"counters of approvals": `
			SELECT COUNT(*) FROM (SELECT tenant_id, status, COUNT(*) AS n FROM approvals GROUP BY tenant_id, status) AS real
			FULL JOIN (SELECT * FROM counts WHERE kind = 'approval' AND n <> 0) AS c
				ON c.tenant_id = real.tenant_id AND c.status = real.status
			WHERE c.n IS NULL OR real.n IS NULL OR c.n <> real.n`,
		"counters of alerts": `
			SELECT COUNT(*) FROM (
				SELECT tenant_id, '' AS scope, status || '/' || severity AS status, COUNT(*) AS n FROM alerts GROUP BY tenant_id, status, severity
				UNION ALL
				SELECT tenant_id, pipeline_id, status || '/' || severity, COUNT(*) FROM alerts GROUP BY tenant_id, pipeline_id, status, severity
			) AS real
			FULL JOIN (SELECT * FROM counts WHERE kind = 'alert' AND n <> 0) AS c
				ON c.tenant_id = real.tenant_id AND c.scope = real.scope AND c.status = real.status
			WHERE c.n IS NULL OR real.n IS NULL OR c.n <> real.n`,
		"metrics by the hour": `
			SELECT COUNT(*) FROM (
				SELECT tenant_id, scope AS pipeline_id, ended_at / 3600000000 AS hour, COUNT(*) AS executions, SUM(rows_processed) AS rows_processed,
					SUM(CASE WHEN status = 'COMPLETED' THEN 1 ELSE 0 END) AS completed, COALESCE(SUM(ended_at - started_at), 0) AS duration_micros,
					COUNT(started_at) AS timed, SUM(bytes_processed) AS bytes_processed
				FROM (SELECT e.*, pipeline_id AS scope FROM executions AS e UNION ALL SELECT e.*, '' FROM executions AS e) AS e
				WHERE run_slot IS NULL GROUP BY tenant_id, scope, ended_at / 3600000000
			) AS real
			FULL JOIN pipeline_hours AS h ON h.tenant_id = real.tenant_id AND h.pipeline_id = real.pipeline_id AND h.hour = real.hour
			WHERE h.executions IS NULL OR real.executions IS NULL OR h.executions <> real.executions OR h.completed <> real.completed
				OR h.timed <> real.timed OR h.duration_micros <> real.duration_micros
				OR h.rows_processed <> real.rows_processed OR h.bytes_processed <> real.bytes_processed`,
		"counters of schedules": `
			SELECT COUNT(*) FROM (
				SELECT tenant_id, '' AS scope, COUNT(*) AS n FROM schedules WHERE NOT deleted GROUP BY tenant_id
				UNION ALL
				SELECT tenant_id, pipeline_id, COUNT(*) FROM schedules WHERE NOT deleted GROUP BY tenant_id, pipeline_id
			) AS real
			FULL JOIN (SELECT * FROM counts WHERE kind = 'schedule' AND n <> 0) AS c ON c.tenant_id = real.tenant_id AND c.scope = real.scope
			WHERE c.n IS NULL OR real.n IS NULL OR c.n <> real.n`,
		"counters of backfills": `
			SELECT COUNT(*) FROM (
				SELECT tenant_id, '' AS scope, status, COUNT(*) AS n FROM backfills GROUP BY tenant_id, status
				UNION ALL
				SELECT tenant_id, pipeline_id, status, COUNT(*) FROM backfills GROUP BY tenant_id, pipeline_id, status
			) AS real
			FULL JOIN (SELECT * FROM counts WHERE kind = 'backfill' AND n <> 0) AS c
				ON c.tenant_id = real.tenant_id AND c.scope = real.scope AND c.status = real.status
			WHERE c.n IS NULL OR real.n IS NULL OR c.n <> real.n`,
		"costs of executions, of tasks and by the hour": `
			SELECT COUNT(*) FROM (
				SELECT e.tenant_id, e.pipeline_id, e.ended_at / 3600000000 AS hour, SUM(c.compute_micros + c.storage_micros + c.network_micros) AS micros
				FROM executions AS e JOIN execution_costs AS c ON c.tenant_id = e.tenant_id AND c.execution_id = e.id
				GROUP BY e.tenant_id, e.pipeline_id, e.ended_at / 3600000000
			) AS real
			FULL JOIN (SELECT * FROM pipeline_hours WHERE pipeline_id <> '' AND cost_micros <> 0) AS h
				ON h.tenant_id = real.tenant_id AND h.pipeline_id = real.pipeline_id AND h.hour = real.hour
			FULL JOIN (
				SELECT tenant_id, pipeline_id, hour, SUM(compute_micros + storage_micros + network_micros) AS micros
				FROM task_costs WHERE hours = 1 GROUP BY tenant_id, pipeline_id, hour
			) AS t ON t.tenant_id = real.tenant_id AND t.pipeline_id = real.pipeline_id AND t.hour = real.hour
			WHERE COALESCE(real.micros, 0) <> COALESCE(h.cost_micros, 0) OR COALESCE(real.micros, 0) <> COALESCE(t.micros, 0)`,
		"costs by the hour and by the day": `
			SELECT COUNT(*) FROM (
				SELECT tenant_id, pipeline_id, task, hour / 24 AS day, SUM(compute_micros) AS compute, SUM(attempts) AS attempts, MAX(peak_memory_bytes) AS peak
				FROM task_costs WHERE hours = 1 GROUP BY tenant_id, pipeline_id, task, hour / 24
			) AS h
			FULL JOIN (SELECT * FROM task_costs WHERE hours = 24) AS d
				ON d.tenant_id = h.tenant_id AND d.pipeline_id = h.pipeline_id AND d.task = h.task AND d.hour / 24 = h.day
			WHERE d.attempts IS NULL OR h.attempts IS NULL OR d.attempts <> h.attempts OR d.compute_micros <> h.compute OR d.peak_memory_bytes <> h.peak`,
		"executions that await approvals": `
			SELECT COUNT(*) FROM executions AS e WHERE e.status IN ('QUEUED', 'RUNNING', 'AWAITING_APPROVAL', 'COMPLETED', 'FAILED', 'CANCELLED')
				AND (e.status = 'AWAITING_APPROVAL') <> EXISTS (
					SELECT 1 FROM approvals AS a WHERE a.tenant_id = e.tenant_id AND a.execution_id = e.id AND a.status = 'PENDING')`,
		"run slots": `
			SELECT COUNT(*) FROM executions
			WHERE (run_slot IS NULL) <> (status IN ('COMPLETED', 'FAILED', 'CANCELLED')) OR (ended_at IS NULL) = (run_slot IS NULL)`,
		"sums of executions": `
			SELECT COUNT(*) FROM executions AS e JOIN (
				SELECT tenant_id, execution_id,
					SUM(CASE WHEN state IN ('SUCCEEDED', 'REUSED') THEN 1 ELSE 0 END) AS completed, COUNT(*) AS total,
					SUM(CASE WHEN kind = 'source' AND state <> 'REUSED' THEN rows_in ELSE 0 END) AS rows_in,
					SUM(CASE WHEN kind = 'source' AND state <> 'REUSED' THEN bytes_in ELSE 0 END) AS bytes_in
				FROM task_runs GROUP BY tenant_id, execution_id
			) AS t ON t.tenant_id = e.tenant_id AND t.execution_id = e.id
			WHERE e.completed_tasks <> t.completed OR e.total_tasks <> t.total
				OR e.rows_processed <> t.rows_in OR e.bytes_processed <> t.bytes_in`,
		"tasks of executions that have ended": `
			SELECT COUNT(*) FROM task_runs AS t JOIN executions AS e ON e.tenant_id = t.tenant_id AND e.id = t.execution_id
			WHERE e.run_slot IS NULL AND t.state IN ('PENDING', 'RUNNING')`,
	} {
		var wrong int
		require.NoError(t, s.reader.NewRaw(query).Scan(context.Background(), &wrong), what)
		assert.Zero(t, wrong, "%s disagree", what)
	}
}

func (s *Store) newTenant() *Tenant { return s.ForTenant(models.TenantID(uuid.NewString())) }

// newPipeline makes a pipeline in a tenant; edit may change it before.
func newPipeline(tb testing.TB, t *Tenant, edit ...func(*models.Pipeline)) models.Pipeline {
	tb.Helper()
	id := models.NewID(models.PrefixPipeline)
	p := models.Pipeline{
		ID: id, Name: "name-" + id, Label: "1.0.0", Description: "moves things", Tags: []string{"sales", "daily"},
		Definition: json.RawMessage(`{"sources":{}}`), CreatedBy: "ada",
	}
	for _, e := range edit {
		e(&p)
	}
	created, err := t.CreatePipeline(tb.Context(), p)
	require.NoError(tb, err)
	return created
}

// execution is a submission of a pipeline; edit may change it before.
func execution(p models.Pipeline, edit ...func(*models.Execution)) models.Execution {
	e := models.Execution{
		ID: models.NewID(models.PrefixExecution), PipelineID: p.ID, Version: p.Version,
		Engine: models.EngineTemporal, Priority: models.PriorityNormal, Trigger: models.TriggerManual,
		Parameters: json.RawMessage(`{"day":"2026-02-01"}`), ExecutionDate: time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC),
		EstimatedDuration: 5 * time.Minute, MaxActiveRuns: 1000, SubmittedBy: "ada", SubmittedAt: time.Now(),
	}
	for _, change := range edit {
		change(&e)
	}
	return e
}

func submit(tb testing.TB, t *Tenant, p models.Pipeline, edit ...func(*models.Execution)) models.Execution {
	tb.Helper()
	e, err := t.SubmitExecution(tb.Context(), execution(p, edit...))
	require.NoError(tb, err)
	return e
}

func finish(tb testing.TB, t *Tenant, id string, status models.ExecutionStatus) models.Execution {
	tb.Helper()
	e, err := t.FinishExecution(tb.Context(), id, ExecutionEnd{Status: status})
	require.NoError(tb, err)
	return e
}

// plan stores tasks of an execution: a source, then transformations.
func plan(tb testing.TB, t *Tenant, id string, names ...string) {
	tb.Helper()
	tasks := make([]models.TaskRun, len(names))
	for i, name := range names {
		tasks[i] = models.TaskRun{Name: name, Kind: models.TaskTransformation}
	}
	tasks[0].Kind = models.TaskSource
	require.NoError(tb, t.PlanExecution(tb.Context(), id, tasks))
}

func task(tb testing.TB, t *Tenant, id, name string) models.TaskRun {
	tb.Helper()
	runs, err := t.TaskRuns(tb.Context(), id)
	require.NoError(tb, err)
	for _, run := range runs {
		if run.Name == name {
			return run
		}
	}
	tb.Fatalf("there is no task %s", name)
	return models.TaskRun{}
}

func assertCode(tb testing.TB, want models.Code, err error, context ...any) {
	tb.Helper()
	if assert.Error(tb, err, context...) {
		assert.Equal(tb, want, models.CodeOf(err), "%v %s", err, fmt.Sprint(context...))
	}
}

// rowsOf counts a table's rows in a tenant.
func rowsOf(tb testing.TB, t *Tenant, table string) (n int) {
	tb.Helper()
	err := t.store.reader.NewRaw("SELECT COUNT(*) FROM ? WHERE tenant_id = ?", bun.Ident(table), t.id).Scan(tb.Context(), &n)
	require.NoError(tb, err)
	return n
}

func toJSON(tb testing.TB, v any) string {
	tb.Helper()
	text, err := json.Marshal(v)
	require.NoError(tb, err)
	return string(text)
}
