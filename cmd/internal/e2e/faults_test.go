package e2e

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/matih/pipeline-service/cmd/internal/harness"
)

// faultRows is how many rows the source of the fault tests has: enough that every task takes long
// enough to be hit.
const faultRows = 400_000

// faultRounds is how often each kind of task is hit in each way; FAULT_ROUNDS asks for more.
func faultRounds(t *testing.T) int {
	t.Helper()
	rounds := os.Getenv("FAULT_ROUNDS")
	if rounds == "" {
		return 1
	}
	n, err := strconv.Atoi(rounds)
	require.NoError(t, err)
	return n
}

// TestKillNine kills task processes and the whole of standalone in the middle of each kind of task
// and compares what the sinks hold with what they must hold.
func TestKillNine(t *testing.T) {
	w := newWorld(t)
	w.withDatabase()
	w.exec(`create table src as select i as id, md5(i::text) as a, md5((-i)::text) as b, i * 0.5 as c from generate_series(1, $1) i`, faultRows)
	db := m{"type": "jdbc", "connection": "db"}
	with := func(base m, more m) m {
		out := m{}
		for _, part := range []m{base, more} {
			for k, v := range part {
				out[k] = v
			}
		}
		return out
	}
	pipeline := w.pipeline("hit", m{
		"sources": m{"raw": with(db, m{"table": "src"})},
		"transformations": []m{{"name": "wide", "type": "sql_transform", "input": "raw",
			"sql": "select *, row_number() over (partition by id % 1000 order by a) as place, ${execution_id} as execution from raw"}},
		"quality_checks": []m{{"name": "ids", "type": "unique", "input": "wide", "column": "id", "on_failure": "fail"}},
		"sinks": m{
			"appended": with(db, m{"table": "appended", "mode": "append"}),
			"merged":   with(db, m{"table": "merged", "mode": "merge_on_key", "merge_keys": []string{"id"}}),
			"files":    m{"type": "cloud_storage", "connection": "files", "prefix": "out/", "format": "csv", "mode": "append"},
		},
		"orchestration": m{"retry_policy": m{"max_attempts": 3, "initial_interval": "100ms"}},
	})
	completed := 0
	for round := range faultRounds(t) {
		for _, task := range []string{"raw", "wide", "ids", "appended", "merged", "files"} {
			for _, victim := range []string{"task process", "standalone"} {
				t.Run(fmt.Sprintf("%d %s in %s", round, victim, task), func(t *testing.T) {
					w.t = t
					id, err := w.Execute(w.ctx, pipeline, nil)
					require.NoError(t, err)
					w.hit(id, task, victim)
					e, err := w.Await(w.ctx, id)
					require.NoError(t, err)
					require.Equal(t, "COMPLETED", e.Status, "%+v", e.Error)
					completed++
					w.requireOracle(id, completed)
				})
			}
		}
	}
	w.t = t
}

// hit kills its victim while the named task runs, a random moment after it began.
func (w *world) hit(execution, task, victim string) {
	w.t.Helper()
	delay := time.Duration(rand.IntN(150)) * time.Millisecond
	var tasks struct {
		Tasks []struct{ Name, State string }
	}
	require.NoError(w.t, harness.Until(w.ctx, func() (bool, error) {
		if err := w.JSON(w.ctx, "GET", "/v1/pipelines/executions/"+execution+"/tasks", nil, 200, &tasks); err != nil {
			return false, err
		}
		for _, x := range tasks.Tasks {
			if x.Name == task {
				return x.State != "PENDING", nil
			}
		}
		return false, nil
	}))
	<-time.After(delay)
	if victim == "standalone" {
		w.Kill()
		w.restart()
		return
	}
	for _, pid := range w.taskProcesses() {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
}

// requireOracle compares the sinks with what n completed executions of the same source must leave.
func (w *world) requireOracle(execution string, n int) {
	w.t.Helper()
	assert.Equal(w.t, faultRows, value[int](w, "select count(*) from appended where execution = $1", execution), "appended once")
	assert.Equal(w.t, n, value[int](w, "select count(distinct execution) from appended"))
	assert.Equal(w.t, n*faultRows, value[int](w, "select count(*) from appended"))
	assert.Equal(w.t, 0, value[int](w, "select count(*) from (select id, a, b, c from src except all select id, a, b, c from merged) d"))
	assert.Equal(w.t, faultRows, value[int](w, "select count(*) from merged"))
	names := w.published("out")
	require.Len(w.t, names, n, "one file an execution")
	content, err := os.ReadFile(w.dir + "/out/files-" + execution + "-0.csv")
	require.NoError(w.t, err)
	assert.Equal(w.t, faultRows+1, strings.Count(string(content), "\n"), "a header and every row")
}
