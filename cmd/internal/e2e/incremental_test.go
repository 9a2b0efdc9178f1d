package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// incremental makes a pipeline that reads the table src on and publishes to the table dst and to files.
func (w *world) incremental(name string, more m) string {
	w.t.Helper()
	source := m{"type": "jdbc", "connection": "db", "table": "public.src", "mode": "incremental", "watermark_column": "at"}
	for k, v := range more {
		source[k] = v
	}
	return w.pipeline(name, m{
		"sources":         m{"raw": source},
		"transformations": []m{{"name": "tagged", "type": "sql_transform", "input": "raw", "sql": "select id, ${execution_id} as execution from raw"}},
		"sinks": m{
			"files": m{"type": "cloud_storage", "connection": "files", "prefix": "out/", "format": "csv", "mode": "append"},
			"table": m{"type": "jdbc", "connection": "out", "table": "public.dst", "mode": "append"},
		},
		"orchestration": m{"retry_policy": m{"max_attempts": 3, "initial_interval": "100ms"}, "max_parallel_tasks": 1},
	})
}

// withOutput adds the connection "out" to the database, whose secret a test can spoil.
func (w *world) withOutput() {
	w.t.Helper()
	w.secret(tenantA, "out", map[string]string{"username": postgres.User, "password": postgres.Password})
	_, err := w.CreateConnection(w.ctx, m{
		"name": "out", "type": "jdbc", "host": postgres.Host, "port": postgres.Port, "database": w.db.Config().Database,
		"credentialSecretRef": "out", "properties": m{"sslMode": "disable"},
	})
	require.NoError(w.t, err)
	w.exec("create table src (id bigint, at timestamptz)")
	w.exec("create table dst (id bigint, execution text)")
}

// fileIDs counts how often each id stands in the published files.
func (w *world) fileIDs() map[string]int {
	w.t.Helper()
	ids := map[string]int{}
	for _, name := range w.published("out") {
		content, err := os.ReadFile(filepath.Join(w.dir, "out", name))
		require.NoError(w.t, err)
		for _, line := range strings.Split(strings.TrimSpace(string(content)), "\n")[1:] {
			id, _, _ := strings.Cut(line, ",")
			ids[id]++
		}
	}
	return ids
}

// requireOnce compares both sinks with what there is in src under a condition: every row, once.
func (w *world) requireOnce(condition string) {
	w.t.Helper()
	const difference = `select count(*) from ((select id from src where %[1]s except all select id from dst) union all (select id from dst except all select id from src where %[1]s)) d`
	require.Zero(w.t, value[int](w, fmt.Sprintf(difference, condition)), "rows that the table lacks or has too often")
	want := value[int](w, "select count(*) from src where "+condition)
	ids := w.fileIDs()
	require.Len(w.t, ids, want, "the files hold every row")
	for id, n := range ids {
		require.Equal(w.t, 1, n, "row %s in the files", id)
	}
}

// TestIncrementalReadsOn runs a pipeline again and again while rows come, many of them at the moment of the last.
func TestIncrementalReadsOn(t *testing.T) {
	w := newWorld(t)
	w.withDatabase()
	w.withOutput()
	pipeline := w.incremental("on", m{"partition_column": "id", "num_partitions": 3})
	e := w.completed(pipeline, nil)
	assert.Zero(t, e.Metrics.RowsProcessed)
	for round := range 4 {
		w.exec("insert into src select $1 * 1000 + i, timestamptz '2026-01-01 00:00:00.000001+00' + ($1 * 100 + i / 50) * interval '1 microsecond' from generate_series(1, 500) i", round)
		e := w.completed(pipeline, nil)
		assert.EqualValues(t, 500, e.Metrics.RowsProcessed)
		w.requireOnce("true")
		w.exec("insert into src select 1000000 + $1, max(at) from src", round)
		e = w.completed(pipeline, nil)
		assert.EqualValues(t, 1, e.Metrics.RowsProcessed)
		w.requireOnce("true")
	}
	assert.Zero(t, w.completed(pipeline, nil).Metrics.RowsProcessed)

	a, err := w.Do(w.ctx, http.MethodPost, "/v1/pipelines", m{"name": "two", "version": "1", "definition": m{
		"sources":       m{"raw": m{"type": "jdbc", "connection": "db", "table": "src", "mode": "incremental", "watermark_column": "at"}},
		"sinks":         m{"out": m{"type": "jdbc", "connection": "db", "table": "x"}},
		"orchestration": m{"max_active_runs": 2},
	}})
	require.NoError(t, err)
	assert.Equal(t, http.StatusBadRequest, a.Status)
	assert.Contains(t, string(a.Body), "body.definition.orchestration.max_active_runs")
}

// TestIncrementalAfterASinkFailed publishes to one sink and fails at the other. Whatever comes next, a new execution or a
// re-run, brings the rest to the other sink and nothing twice to the first.
func TestIncrementalAfterASinkFailed(t *testing.T) {
	for _, next := range []string{"execute", "rerun from failed", "rerun from start"} {
		t.Run(next, func(t *testing.T) {
			w := newWorld(t)
			w.withDatabase()
			w.withOutput()
			pipeline := w.incremental("half", nil)
			w.exec("insert into src select i, '2026-01-01' from generate_series(1, 10) i")
			w.completed(pipeline, nil)

			w.exec("insert into src values (11, '2026-01-01'), (12, '2026-01-02'), (13, '2026-01-03'), (14, '2026-01-03')")
			w.secret(tenantA, "out", map[string]string{"password": "wrong"})
			id, err := w.Execute(w.ctx, pipeline, nil)
			require.NoError(t, err)
			require.Equal(t, "table", w.await(id, "FAILED").Error.Task)
			require.Len(t, w.fileIDs(), 14, "the other sink has published")
			// It stays broken for another execution, while rows come.
			w.exec("insert into src values (15, '2026-01-03'), (16, '2026-01-04')")
			second, err := w.Execute(w.ctx, pipeline, nil)
			require.NoError(t, err)
			w.await(second, "FAILED")
			require.Len(t, w.fileIDs(), 14, "what had been published is not published again")

			w.secret(tenantA, "out", map[string]string{"password": postgres.Password})
			switch next {
			case "execute":
				w.completed(pipeline, nil)
			case "rerun from failed":
				w.await(w.rerun(id, m{"from": "failed"}), "COMPLETED")
			case "rerun from start":
				w.await(w.rerun(second, m{"from": "start"}), "COMPLETED")
			}
			w.requireOnce("id < 15")
			w.completed(pipeline, nil)
			w.requireOnce("true")
			assert.Contains(t, w.problem(http.MethodPost, "/v1/pipelines/executions/"+second+"/rerun", m{"from": "failed"},
				http.StatusConflict, "staged_data_expired"), "raw", "what it had read is published")
			w.requireOnce("true")
		})
	}
}

// TestIncrementalSurvivesKills kills task processes and standalone in every task of executions that read on.
func TestIncrementalSurvivesKills(t *testing.T) {
	w := newWorld(t)
	w.withDatabase()
	w.withOutput()
	pipeline := w.incremental("hit", nil)
	round := 0
	for range faultRounds(t) {
		for _, task := range []string{"raw", "tagged", "files", "table"} {
			for _, victim := range []string{"task process", "standalone"} {
				t.Run(fmt.Sprintf("%d %s in %s", round, victim, task), func(t *testing.T) {
					w.t = t
					w.exec("insert into src select $1 * 1000000 + i, timestamptz '2026-01-01' + ($1 * 2 + i / 50000) * interval '1 s' from generate_series(1, 100000) i", round)
					id, err := w.Execute(w.ctx, pipeline, nil)
					require.NoError(t, err)
					w.hit(id, task, victim)
					w.await(id, "COMPLETED")
					w.requireOnce("true")
				})
				round++
			}
		}
	}
	w.t = t
}

// TestIncrementalFiles publishes each file once, also where a sink failed between.
func TestIncrementalFiles(t *testing.T) {
	w := newWorld(t)
	w.withDatabase()
	w.withOutput()
	pipeline := w.pipeline("files", m{
		"sources": m{"raw": m{"type": "cloud_storage", "connection": "files", "prefix": "in/", "pattern": "*.csv", "format": "csv", "mode": "incremental"}},
		"sinks": m{
			"files": m{"type": "cloud_storage", "connection": "files", "prefix": "out/", "format": "csv", "mode": "append"},
			"table": m{"type": "jdbc", "connection": "out", "table": "public.dst", "mode": "append"},
		},
		"orchestration": m{"retry_policy": m{"max_attempts": 1}, "max_parallel_tasks": 1},
	})
	put := func(name string, ids ...int) {
		content := "id,execution\n"
		for _, id := range ids {
			content += fmt.Sprintf("%d,x\n", id)
			w.exec("insert into src values ($1, now())", id)
		}
		w.file("in/"+name, content)
	}
	w.completed(pipeline, nil)
	put("a.csv", 1, 2)
	w.completed(pipeline, nil)
	w.requireOnce("true")
	put("b.csv", 3)
	w.secret(tenantA, "out", map[string]string{"password": "wrong"})
	id, err := w.Execute(w.ctx, pipeline, nil)
	require.NoError(t, err)
	w.await(id, "FAILED")
	put("c.csv", 4)
	w.secret(tenantA, "out", map[string]string{"password": postgres.Password})
	w.completed(pipeline, nil)
	w.requireOnce("id < 4")
	w.completed(pipeline, nil)
	w.requireOnce("true")
	assert.Zero(t, w.completed(pipeline, nil).Metrics.RowsProcessed)
}
