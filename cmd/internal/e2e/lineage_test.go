package e2e

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/matih/pipeline-service/activities/openlineage"
	"github.com/matih/pipeline-service/activities/openlineage/openlineagetest"
	"github.com/matih/pipeline-service/api"
	"github.com/matih/pipeline-service/cmd/internal/harness"
	"github.com/matih/pipeline-service/models/lineage"
)

// TestLineage follows columns through a common table expression and a join, and data from one pipeline to the next, and reads what
// OpenLineage's readers are told of executions that complete, fail and are cancelled.
func TestLineage(t *testing.T) {
	events := filepath.Join(t.TempDir(), "events.jsonl")
	w := newWorld(t, "--openlineage-file", events)
	w.withDatabase()
	database := w.db.Config().Database
	w.file("orders/eu/orders.csv", "id,person,amount\n1,10,5.5\n2,11,-1\n3,10,7\n")
	w.exec("create table people (id bigint, name text)")
	w.exec("insert into people values (10, 'ann'), (11, 'bob')")

	first := w.pipeline("first", m{
		"parameters": []m{{"name": "region", "type": "string", "required": true}},
		"sources": m{
			"orders": m{"type": "cloud_storage", "connection": "files", "prefix": "orders/${region}/", "format": "csv"},
			"people": m{"type": "jdbc", "connection": "db", "table": "people"},
		},
		"transformations": []m{
			{"name": "paid", "type": "filter", "input": "orders", "condition": "amount > 0"},
			{"name": "by_name", "type": "sql_transform", "inputs": []string{"paid", "people"}, "sql": `
				with totals as (select person, sum(amount) as total from paid group by person)
				select p.name as who, t.total from totals t join people p on p.id = t.person`},
		},
		"quality_checks": []m{{"name": "positive", "type": "range", "input": "orders", "column": "amount", "min": 0, "on_failure": "warn"}},
		"sinks":          m{"totals": m{"type": "jdbc", "connection": "db", "table": "public.totals", "mode": "overwrite"}},
	})
	second := w.pipeline("second", m{
		"sources": m{"totals": m{"type": "jdbc", "connection": "db", "table": "totals"}},
		"sinks":   m{"copy": m{"type": "cloud_storage", "connection": "files", "prefix": "copy/", "format": "parquet", "mode": "overwrite"}},
	})
	third := w.pipeline("third", m{
		"sources":         m{"copies": m{"type": "cloud_storage", "connection": "files", "prefix": "copy/", "pattern": "*.parquet", "format": "parquet"}},
		"transformations": []m{{"name": "broken", "type": "sql_transform", "input": "copies", "sql": "select error('no') as x from {{ input }}"}},
		"sinks":           m{"out": m{"type": "cloud_storage", "connection": "files", "prefix": "out/", "format": "csv", "mode": "append"}},
	})

	orders, people, totals := "file://"+w.dir+"/orders/${region}/*", database+".public.people", database+".public.totals"
	before := w.lineage(first, "")
	assert.Equal(t, []api.DatasetView{{Type: "FILE", FQN: orders, Step: "orders"}, {Type: "TABLE", FQN: people, Step: "people"}}, before.Sources)
	assert.Empty(t, before.Columns)
	assert.Nil(t, before.LastExecuted)

	completed := w.completed(first, m{"parameters": m{"region": "eu"}})
	orders = "file://" + w.dir + "/orders/eu/*"
	after := w.lineage(first, "")
	assert.Equal(t, orders, after.Sources[0].FQN, "as the execution named it")
	assert.Equal(t, []api.ColumnView{
		{Sink: totals, Column: "who", Inputs: []api.InputView{{Source: people, Column: "name", Kind: lineage.Identity}}},
		{Sink: totals, Column: "total", Inputs: []api.InputView{{Source: orders, Column: "amount", Kind: lineage.Aggregation}}},
	}, after.Columns)
	assert.Equal(t, []api.RowsView{{Sink: totals, Inputs: []api.InputView{
		{Source: orders, Column: "amount", Kind: lineage.Filter},
		{Source: orders, Column: "person", Kind: lineage.Join}, {Source: orders, Column: "person", Kind: lineage.GroupBy},
		{Source: people, Column: "id", Kind: lineage.Join},
	}}}, after.Rows)
	require.NotNil(t, after.LastExecuted)

	chain := w.lineage(first, "?depth=2")
	require.Len(t, chain.Downstream, 2)
	assert.Equal(t, second, chain.Downstream[0].PipelineID)
	assert.Equal(t, third, chain.Downstream[1].PipelineID)
	assert.Equal(t, 2, chain.Downstream[1].Depth)
	assert.Equal(t, first, w.lineage(third, "?depth=2").Upstream[1].PipelineID)
	svg, err := w.Do(w.ctx, http.MethodGet, "/v1/pipelines/"+second+"/lineage?depth=1&format=svg", nil)
	require.NoError(t, err)
	assert.Equal(t, "image/svg+xml", svg.Header.Get("Content-Type"))
	assert.Contains(t, string(svg.Body), "third</text>")

	w.completed(second, nil)
	failed, err := w.Run(w.ctx, third, nil)
	require.NoError(t, err)
	assert.Equal(t, "FAILED", failed.Status)
	slow := w.pipeline("slow", m{
		"sources":         m{"orders": m{"type": "cloud_storage", "connection": "files", "prefix": "orders/eu/", "format": "csv"}},
		"transformations": []m{{"name": "endless", "type": "sql_transform", "input": "orders", "sql": "select count(*) as n from range(10000000000) a, range(10000000000) b"}},
		"sinks":           m{"out": m{"type": "cloud_storage", "connection": "files", "prefix": "never/", "format": "csv", "mode": "append"}},
	})
	cancelled, err := w.Execute(w.ctx, slow, nil)
	require.NoError(t, err)
	require.NoError(t, harness.Until(w.ctx, func() (bool, error) {
		e, err := w.Execution(w.ctx, cancelled)
		return e.Progress.CurrentTask == "endless", err
	}))
	require.NoError(t, w.JSON(w.ctx, http.MethodPost, "/v1/pipelines/executions/"+cancelled+"/cancel", nil, http.StatusAccepted, nil))
	_, err = w.Await(w.ctx, cancelled)
	require.NoError(t, err)

	kinds := func(execution string) []openlineage.EventType { return w.told(events, execution) }
	ends := func(execution string, end openlineage.EventType) {
		t.Helper()
		require.NoError(t, harness.Until(w.ctx, func() (bool, error) {
			told := kinds(execution)
			return len(told) > 0 && told[len(told)-1] == end, nil
		}))
		assert.Equal(t, openlineage.Start, kinds(execution)[0])
	}
	ends(completed.ExecutionID, openlineage.Complete)
	ends(failed.ExecutionID, openlineage.Fail)
	ends(cancelled, openlineage.Abort)
	assert.Contains(t, kinds(completed.ExecutionID), openlineage.Running)
}

// told checks every event of a file and returns the transitions of an execution.
func (w *world) told(path, execution string) (kinds []openlineage.EventType) {
	w.t.Helper()
	content, err := os.ReadFile(path)
	require.NoError(w.t, err)
	for line := range bytes.Lines(content) {
		if !bytes.HasSuffix(line, []byte("\n")) {
			break // it is being written
		}
		if event := openlineagetest.Check(w.t, line); event.Run.RunID == openlineage.RunID(execution) {
			kinds = append(kinds, event.EventType)
		}
	}
	return kinds
}

func (w *world) lineage(pipeline, query string) (view api.LineageView) {
	w.t.Helper()
	require.NoError(w.t, w.JSON(w.ctx, http.MethodGet, "/v1/pipelines/"+pipeline+"/lineage"+query, nil, http.StatusOK, &view))
	return view
}
