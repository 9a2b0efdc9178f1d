package e2e

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/matih/pipeline-service/cmd/internal/harness"
)

// planned is the answer to a plan.
type planned struct {
	Valid bool
	Diff  *struct {
		Against int
		Changed []struct{ Path string }
	}
	Steps []struct {
		Name    string
		Kind    string
		Columns []struct{ Name, Type string }
		Rows    []map[string]*string
		Error   *struct{ Task, Class, Message string }
	}
	Sinks []struct {
		Name               string
		Exists, Compatible bool
		Reason             string
		Changes            []struct{ Column, Change, From, To string }
	}
	Schedules []struct{ ScheduleID, Problem string }
	Estimate  struct{ DurationMs int64 }
}

// plan asks for a plan, which must be a 200.
func (w *world) plan(method, path string, body m) planned {
	w.t.Helper()
	a, err := w.Do(w.ctx, method, path, body)
	require.NoError(w.t, err)
	require.Equal(w.t, http.StatusOK, a.Status, "%s", a.Body)
	var p planned
	require.NoError(w.t, json.Unmarshal(a.Body, &p), "%s", a.Body)
	return p
}

// columns are those of a step as name and type.
func (p planned) columns(t *testing.T, step string) (columns [][2]string) {
	t.Helper()
	for _, s := range p.Steps {
		if s.Name != step {
			continue
		}
		require.Nil(t, s.Error, "%s: %+v", step, s.Error)
		for _, c := range s.Columns {
			columns = append(columns, [2]string{c.Name, c.Type})
		}
		return columns
	}
	t.Fatalf("there is no step %s", step)
	return nil
}

// failed is why a step could not be tried.
func (p planned) failed(t *testing.T, step string) string {
	t.Helper()
	for _, s := range p.Steps {
		if s.Name == step {
			require.NotNil(t, s.Error, "%s should have failed: %+v", step, s)
			assert.Equal(t, step, s.Error.Task)
			return s.Error.Message
		}
	}
	t.Fatalf("there is no step %s", step)
	return ""
}

// sales is a definition that joins a table with files and aggregates, into a table and files.
func sales(sum string) m {
	return m{
		"parameters": []m{{"name": "least", "type": "number", "default": 0}},
		"sources": m{
			"orders":    m{"type": "jdbc", "connection": "db", "table": "public.orders"},
			"countries": m{"type": "cloud_storage", "connection": "files", "prefix": "countries/", "format": "csv"},
		},
		"transformations": []m{
			{"name": "paid", "type": "sql_transform", "input": "orders", "sql": "select * from {{ input }} where amount > ${least}"},
			{"name": "named", "type": "lookup_join", "input": "paid", "lookup": "countries", "keys": m{"country": "code"}, "columns": []string{"title", "population"}},
			{"name": "totals", "type": "aggregate", "input": "named", "group_by": []string{"title"},
				"measures": m{"orders": "count()", "revenue": sum}},
		},
		"quality_checks": []m{
			{"name": "many", "type": "row_count", "input": "totals", "min": 1_000_000, "on_failure": "fail"},
			{"name": "positive", "type": "range", "input": "paid", "column": "amount", "min": 100, "on_failure": "quarantine"},
		},
		"sinks": m{
			"warehouse": m{"type": "jdbc", "connection": "db", "table": "public.totals", "mode": "append", "input": "totals"},
			"report":    m{"type": "cloud_storage", "connection": "files", "prefix": "report/", "format": "parquet", "mode": "append", "input": "totals"},
		},
	}
}

// nothingKept makes sure that plans have left nothing behind.
func (w *world) nothingKept(pipelines, executions int) {
	w.t.Helper()
	var list struct{ Total int }
	for path, want := range map[string]int{"/v1/pipelines": pipelines, "/v1/pipelines/executions": executions} {
		a, err := w.Do(w.ctx, http.MethodGet, path, nil)
		require.NoError(w.t, err)
		require.NoError(w.t, json.Unmarshal(a.Body, &list))
		assert.Equal(w.t, want, list.Total, path)
	}
	staging := filepath.Join(w.DataDir, "staging")
	samples, err := filepath.Glob(filepath.Join(staging, tenantA, "plan-*"))
	require.NoError(w.t, err)
	assert.Empty(w.t, samples)
	// A process may wait for another step a little longer.
	require.NoError(w.t, harness.Until(w.ctx, func() (bool, error) {
		scratch, err := filepath.Glob(filepath.Join(staging, ".scratch", "plan-*"))
		return len(scratch) == 0, err
	}))
}

func TestPlanThroughJoinAndAggregate(t *testing.T) {
	w := newWorld(t)
	w.withDatabase()
	w.exec(`create table orders as select i as id, case when i % 2 = 0 then 'DE' else 'US' end as country,
		(i * 1.5)::numeric(12,2) as amount, timestamptz '2026-01-01 00:00:00+00' as placed from generate_series(1, 5000) i`)
	w.exec("create table totals (title text, orders bigint, revenue numeric(10,2), day date not null)")
	w.file("countries/all.csv", "code,title,population\nDE,Germany,84\nUS,United States,340\n")

	p := w.plan(http.MethodPost, "/v1/pipelines/plan", m{"name": "sales", "definition": sales("sum(amount)"), "sample": 3})
	assert.Nil(t, p.Diff, "there is no version before")
	assert.Equal(t, [][2]string{{"id", "INTEGER"}, {"country", "VARCHAR"}, {"amount", "DECIMAL(12,2)"}, {"placed", "TIMESTAMP WITH TIME ZONE"}}, p.columns(t, "orders"))
	assert.Equal(t, [][2]string{{"code", "VARCHAR"}, {"title", "VARCHAR"}, {"population", "BIGINT"}}, p.columns(t, "countries"))
	assert.Equal(t, p.columns(t, "orders"), p.columns(t, "paid"))
	assert.Equal(t, append(p.columns(t, "orders"), [2]string{"title", "VARCHAR"}, [2]string{"population", "BIGINT"}), p.columns(t, "named"))
	totals := [][2]string{{"title", "VARCHAR"}, {"orders", "BIGINT"}, {"revenue", "DECIMAL(38,2)"}}
	for _, step := range []string{"totals", "many", "warehouse", "report"} {
		assert.Equal(t, totals, p.columns(t, step), step)
	}
	for _, s := range p.Steps {
		if s.Kind == "sink" {
			continue
		}
		want := 3
		if s.Name == "countries" || s.Name == "totals" || s.Name == "many" {
			want = 2 // it has no more
		}
		assert.Len(t, s.Rows, want, s.Name)
	}

	require.Len(t, p.Sinks, 2)
	assert.False(t, p.Valid, "the table needs a day")
	for _, s := range p.Sinks {
		if s.Name == "report" {
			assert.False(t, s.Exists)
			assert.True(t, s.Compatible)
			assert.Len(t, s.Changes, 3)
			continue
		}
		assert.True(t, s.Exists)
		assert.False(t, s.Compatible)
		assert.Contains(t, s.Reason, "the table needs values for day")
		assert.Equal(t, []struct{ Column, Change, From, To string }{
			{"revenue", "type_changed", "numeric(10,2)", "numeric"}, {"day", "removed", "date", ""}}, s.Changes)
	}
	w.nothingKept(0, 0)
	assert.Zero(t, value[int](w, "select count(*) from totals"))
	_, err := os.Stat(filepath.Join(w.dir, "report"))
	assert.True(t, os.IsNotExist(err), "not even the directory was made")
	assert.Zero(t, value[int](w, "select count(*) from pg_tables where tablename like '%ledger%' or tablename like '%pipeline%'"))
}

// TestPlanFindsWhatAChangeBreaks plans changes of a pipeline that has published, and of the tables it reads.
func TestPlanFindsWhatAChangeBreaks(t *testing.T) {
	w := newWorld(t)
	w.withDatabase()
	w.exec(`create table orders as select i as id, case when i % 2 = 0 then 'DE' else 'US' end as country,
		(i * 1.5)::numeric(12,2) as amount from generate_series(1, 5000) i`)
	w.file("countries/all.csv", "code,title,population\nDE,Germany,84\nUS,United States,340\n")
	before := sales("sum(amount)")
	delete(before, "quality_checks")
	id := w.pipeline("sales", before)
	w.completed(id, nil)
	etag, err := w.Do(w.ctx, http.MethodGet, "/v1/pipelines/"+id, nil)
	require.NoError(t, err)

	p := w.plan(http.MethodPost, "/v1/pipelines/plan", m{"pipelineId": id, "definition": before})
	assert.True(t, p.Valid, "%+v", p)
	require.NotNil(t, p.Diff)
	assert.Equal(t, 1, p.Diff.Against)
	assert.Empty(t, p.Diff.Changed)
	for _, s := range p.Sinks {
		assert.True(t, s.Exists, s.Name)
		assert.Empty(t, s.Changes, s.Name)
	}
	for _, s := range p.Steps {
		assert.Empty(t, s.Rows, "nobody asked for rows of %s", s.Name)
	}
	assert.Less(t, p.Estimate.DurationMs, int64(300_000), "measured")

	// The measure becomes another type: the table would take it, the Parquet files that stay would not.
	after := sales("avg(amount)")
	delete(after, "quality_checks")
	update := m{"name": "sales", "definition": after}
	for _, p := range []planned{
		w.plan(http.MethodPost, "/v1/pipelines/plan", m{"pipelineId": id, "definition": after}),
		w.plan(http.MethodPut, "/v1/pipelines/"+id+"?dryRun=true", update),
	} {
		require.Len(t, p.Diff.Changed, 1)
		assert.Equal(t, "transformations.totals.measures.revenue", p.Diff.Changed[0].Path)
		assert.False(t, p.Valid)
		require.Len(t, p.Sinks, 2)
		for _, s := range p.Sinks {
			require.Len(t, s.Changes, 1, s.Name)
			assert.Equal(t, "revenue", s.Changes[0].Column)
			assert.Equal(t, "type_changed", s.Changes[0].Change)
			assert.Equal(t, s.Name == "warehouse", s.Compatible, s.Reason)
		}
	}
	created := w.plan(http.MethodPost, "/v1/pipelines?dryRun=true", m{"name": "another", "definition": before})
	assert.True(t, created.Valid)
	assert.Nil(t, created.Diff)
	unchanged, err := w.Do(w.ctx, http.MethodGet, "/v1/pipelines/"+id, nil)
	require.NoError(t, err)
	assert.Equal(t, string(etag.Body), string(unchanged.Body))

	// A column that a step needs is renamed, and a connection is away: the steps say so, the others still come.
	w.exec("alter table orders rename column amount to total")
	_, err = w.CreateConnection(w.ctx, m{"name": "gone", "type": "jdbc", "host": "127.0.0.1", "port": 1, "database": "x",
		"credentialSecretRef": "db", "properties": m{"sslMode": "disable"}})
	require.NoError(t, err)
	before["sources"].(m)["elsewhere"] = m{"type": "jdbc", "connection": "gone", "table": "t"}
	p = w.plan(http.MethodPost, "/v1/pipelines/plan", m{"pipelineId": id, "definition": before, "sample": 100})
	assert.False(t, p.Valid)
	assert.Contains(t, p.failed(t, "paid"), "amount")
	assert.Contains(t, p.failed(t, "named"), "without the columns of paid")
	assert.Contains(t, p.failed(t, "warehouse"), "without the columns of totals")
	assert.Contains(t, p.failed(t, "elsewhere"), "127.0.0.1:1 cannot be reached")
	assert.Contains(t, p.columns(t, "orders"), [2]string{"total", "DECIMAL(12,2)"})
	assert.Len(t, p.columns(t, "countries"), 3)
	for _, s := range p.Steps {
		assert.LessOrEqual(t, len(s.Rows), 100, s.Name)
	}
	w.nothingKept(1, 1)
}
