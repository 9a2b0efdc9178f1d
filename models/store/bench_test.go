package store

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/uptrace/bun/dialect"

	"github.com/matih/pipeline-service/models"
)

// millionEnv makes the benchmarks of lists run over 10^6 executions, too, which takes minutes to make.
const millionEnv = "STORE_BENCH_MILLION"

const seedPipelines = 100

// BenchmarkExecutions measures reading executions, with the query plans, of a tenant that has many, beside
// another one that has a tenth of them.
func BenchmarkExecutions(b *testing.B) {
	sizes := []int{1_000}
	if os.Getenv(millionEnv) != "" {
		sizes = append(sizes, 1_000_000)
	}
	for _, database := range databases {
		for _, size := range sizes {
			b.Run(fmt.Sprintf("%s/rows=%d", database.name, size), func(b *testing.B) {
				s := open(b, database.dsn(b))
				seed(b, s.newTenant(), size/10)
				tenant := s.newTenant()
				seed(b, tenant, size)
				if s.reader.Dialect().Name() == dialect.PG {
					_, err := s.writer.ExecContext(b.Context(), "VACUUM ANALYZE") // as autovacuum does in time
					require.NoError(b, err)
				}
				benchmarkReads(b, tenant, size)
			})
		}
	}
}

func benchmarkReads(b *testing.B, tenant *Tenant, size int) {
	pipeline := seedPipeline(size / 2)
	list := func(f ExecutionFilter, page models.Page) func(context.Context) error {
		return func(ctx context.Context) error {
			got, err := tenant.Executions(ctx, f, page)
			if err == nil && len(got.Items) != page.Size {
				return fmt.Errorf("%d of %d rows", len(got.Items), page.Size)
			}
			return err
		}
	}
	first := models.Page{Size: 20}
	for _, c := range []struct {
		name string
		read func(context.Context) error
	}{
		{"get", func(ctx context.Context) error { _, err := tenant.Execution(ctx, seedExecution(size/2)); return err }},
		{"list", list(ExecutionFilter{}, first)},
		{"list by pipeline", list(ExecutionFilter{PipelineID: pipeline}, models.Page{Size: 5})},
		{"list by status", list(ExecutionFilter{Status: models.ExecutionFailed}, first)},
		{"list by both", list(ExecutionFilter{PipelineID: pipeline, Status: models.ExecutionCompleted}, models.Page{Size: 5})},
		{"list deep", list(ExecutionFilter{}, models.Page{Number: size/20 - 1, Size: 20})},
		{"submit", func(ctx context.Context) error { return submitAndFinish(ctx, tenant, pipeline) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			for _, query := range record(b, tenant.store, func() error { return c.read(b.Context()) }) {
				_, short, _ := strings.Cut(query, " FROM ")
				b.Log(short, "\n", strings.Join(queryPlan(b, tenant.store, query), " | "))
			}
			b.ResetTimer()
			for b.Loop() {
				require.NoError(b, c.read(b.Context()))
			}
		})
	}
}

func submitAndFinish(ctx context.Context, t *Tenant, pipeline string) error {
	e, err := t.SubmitExecution(ctx, execution(models.Pipeline{ID: pipeline, Version: 1}))
	if err != nil {
		return err
	}
	_, err = t.FinishExecution(ctx, e.ID, ExecutionEnd{Status: models.ExecutionCompleted})
	return err
}

// BenchmarkMetrics measures the metrics of 90 days, of a pipeline that ended something in every hour of them, and of a
// tenant with 100 of those: 216,000 executions, or however many more ended in the same hours.
func BenchmarkMetrics(b *testing.B) {
	for _, database := range databases {
		b.Run(database.name, func(b *testing.B) {
			s := open(b, database.dsn(b))
			tenant := s.newTenant()
			for i := range seedPipelines {
				newPipeline(b, tenant, func(p *models.Pipeline) { p.ID = seedPipeline(i) })
			}
			db, unlock, err := s.migrating(b.Context())
			require.NoError(b, err)
			for _, statement := range []string{
				`INSERT INTO pipeline_hours
					WITH RECURSIVE hours (h) AS (SELECT 0 UNION ALL SELECT h + 1 FROM hours WHERE h + 1 < 2200)
					SELECT p.tenant_id, p.id, ?1 - h, 1, 1, 1, 300000000, 1000, 10000, 10, 'COMPLETED', (?1 - h) * 3600000000
					FROM pipelines AS p, hours`,
				`INSERT INTO pipeline_hours SELECT tenant_id, '', hour, SUM(executions), SUM(completed), SUM(timed), SUM(duration_micros),
					SUM(rows_processed), SUM(bytes_processed), SUM(cost_micros), 'COMPLETED', MAX(last_ended)
					FROM pipeline_hours WHERE tenant_id = ?0 GROUP BY tenant_id, hour`,
			} {
				_, err := db.NewRaw(statement, tenant.id, hourOf(time.Now())).Exec(b.Context())
				require.NoError(b, err)
			}
			require.NoError(b, unlock())
			for name, pipeline := range map[string]string{"pipeline": seedPipeline(1), "all": everything} {
				b.Run(name, func(b *testing.B) {
					for b.Loop() {
						m, err := tenant.Metrics(b.Context(), pipeline, time.Now().Add(-90*24*time.Hour))
						require.NoError(b, err)
						require.Len(b, m.Days, 91)
					}
				})
			}
		})
	}
}

// BenchmarkCostSummary measures the cost of 90 days of a pipeline of 20 tasks that ended something in every hour of them.
func BenchmarkCostSummary(b *testing.B) {
	for _, database := range databases {
		b.Run(database.name, func(b *testing.B) {
			s := open(b, database.dsn(b))
			tenant := s.newTenant()
			p := newPipeline(b, tenant)
			db, unlock, err := s.migrating(b.Context())
			require.NoError(b, err)
			const series = `WITH RECURSIVE hours (h) AS (SELECT 0 UNION ALL SELECT h + 1 FROM hours WHERE h + 1 < 2200),
				tasks (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM tasks WHERE n < 20)`
			for _, statement := range []string{
				`INSERT INTO pipeline_hours ` + series + `
					SELECT ?0, ?1, ?2 - h, 1, 1, 1, 300000000, 1000, 10000, 600, 'COMPLETED', (?2 - h) * 3600000000 FROM hours`,
				`INSERT INTO task_costs ` + series + `
					SELECT ?0, ?1, 1, ?2 - h, 'task_' || CAST(n AS TEXT), 1, 10, 10, 10, 1000000, 1000000, 1000000, 1000000, 1000000 FROM hours, tasks`,
				`INSERT INTO task_costs SELECT tenant_id, pipeline_id, 24, hour / 24 * 24, task, SUM(attempts), SUM(compute_micros), SUM(storage_micros),
					SUM(network_micros), SUM(cpu_micros), SUM(memory_byte_seconds), SUM(storage_byte_hours), SUM(network_bytes), MAX(peak_memory_bytes)
					FROM task_costs WHERE tenant_id = ?0 GROUP BY tenant_id, pipeline_id, hour / 24, task`,
			} {
				_, err := db.NewRaw(statement, tenant.id, p.ID, hourOf(time.Now())).Exec(b.Context())
				require.NoError(b, err)
			}
			require.NoError(b, unlock())
			for b.Loop() {
				c, err := tenant.CostSummary(b.Context(), p.ID, time.Now(), 90*24*time.Hour)
				require.NoError(b, err)
				require.EqualValues(b, 2161*600, c.Total())
			}
		})
	}
}

// BenchmarkTask measures what each task of an execution costs: a start and an end with five log lines.
func BenchmarkTask(b *testing.B) {
	for _, database := range databases {
		b.Run(database.name, func(b *testing.B) {
			s := open(b, database.dsn(b))
			tenant := s.newTenant()
			names := make([]string, 2000)
			for i := range names {
				names[i] = fmt.Sprintf("task_%d", i)
			}
			e := newExecution(b, tenant, names...)
			lines := make([]models.LogLine, 5)
			for i := range lines {
				lines[i] = models.LogLine{Time: time.Now(), Level: "INFO", Task: "task", Message: "read 100000 rows, 8000000 bytes in 1.2 s"}
			}
			run := func(i int) models.TaskRun {
				return models.TaskRun{Name: names[i%len(names)], Attempts: 1 + i/len(names), StartedAt: time.Now()}
			}
			for _, operation := range []struct {
				name string
				do   func(i int) error
			}{
				{"start", func(i int) error { return tenant.StartTask(b.Context(), e.ID, run(i)) }},
				{"start and finish", func(i int) error {
					r := run(1_000_000 + i)
					if err := tenant.StartTask(b.Context(), e.ID, r); err != nil {
						return err
					}
					r.State, r.RowsIn = models.TaskSucceeded, 100
					return tenant.FinishTask(b.Context(), e.ID, r, lines)
				}},
			} {
				b.Run(operation.name, func(b *testing.B) {
					for i := 0; b.Loop(); i++ {
						require.NoError(b, operation.do(i))
					}
				})
			}
		})
	}
}

func seedPipeline(i int) string  { return fmt.Sprintf("pipeline-01kbench%018d", i%seedPipelines) }
func seedExecution(i int) string { return fmt.Sprintf("exec-01kbench%018d", i) }

// seed gives a tenant executions, one in ten of them FAILED and the others COMPLETED, of seedPipelines
// pipelines, by bulk SQL.
func seed(b *testing.B, t *Tenant, size int) {
	b.Helper()
	ctx := b.Context()
	for i := range seedPipelines {
		newPipeline(b, t, func(p *models.Pipeline) { p.ID = seedPipeline(i) })
	}
	const padded = "substr('000000000000000000', 1, 18 - length(CAST(? AS TEXT))) || CAST(? AS TEXT)"
	pad := func(expr string) string { return strings.ReplaceAll(padded, "?", expr) }
	for _, statement := range []string{
		`INSERT INTO executions (tenant_id, id, pipeline_id, pipeline_name, version, status, status_reason, engine, priority, trigger_type,
				parameters, execution_date, last_run, estimated_micros, max_active_runs, run_slot, total_tasks, completed_tasks, current_task,
				rows_processed, bytes_processed, error, log_seq, submitted_by, submitted_at, started_at, ended_at)
			WITH RECURSIVE seq (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM seq WHERE i + 1 < ?1)
			SELECT ?0, 'exec-01kbench' || ` + pad("i") + `, 'pipeline-01kbench' || ` + pad(fmt.Sprintf("(i %% %d)", seedPipelines)) + `,
				'daily sales', 1, CASE WHEN i % 7 = 0 THEN 'FAILED' ELSE 'COMPLETED' END, '', 'temporal', 'NORMAL', 'MANUAL',
				'{"start_date":"2026-02-01","end_date":"2026-02-12"}', 1770000000000000 + i, NULL, 300000000, 1, NULL,
				5, 5, 'warehouse', 1234567, 536870912, '', 42, 'ada@example.com',
				1770000000000000 + i, 1770000001000000 + i, 1770000301000000 + i
			FROM seq`,
		`INSERT INTO counts SELECT tenant_id, 'execution', '', status, COUNT(*) FROM executions WHERE tenant_id = ?0 GROUP BY tenant_id, status`,
		`INSERT INTO counts SELECT tenant_id, 'execution', pipeline_id, status, COUNT(*) FROM executions WHERE tenant_id = ?0
			GROUP BY tenant_id, pipeline_id, status`,
	} {
		// Longer than a request may take, so on the connection that migrations use.
		db, unlock, err := t.store.migrating(ctx)
		require.NoError(b, err)
		_, err = db.NewRaw(statement, t.id, size).Exec(ctx)
		require.NoError(b, err)
		require.NoError(b, unlock())
	}
}
