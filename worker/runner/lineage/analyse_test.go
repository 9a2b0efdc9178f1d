package lineage_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	model "github.com/matih/pipeline-service/models/lineage"
	"github.com/matih/pipeline-service/models/task"
	"github.com/matih/pipeline-service/worker/runner/duckdb"
	"github.com/matih/pipeline-service/worker/runner/lineage"
)

var tables = map[string]string{
	"t": "a INTEGER, b INTEGER, c INTEGER, id INTEGER, s STRUCT(f INTEGER, g INTEGER), l INTEGER[]",
	"u": "a INTEGER, x INTEGER, id INTEGER",
	"v": "id INTEGER, y INTEGER",
}

func engine(tb testing.TB) *duckdb.Engine {
	tb.Helper()
	e, err := duckdb.Open(context.Background())
	require.NoError(tb, err)
	for name, columns := range tables {
		require.NoError(tb, e.Exec(context.Background(), "CREATE TABLE "+name+" ("+columns+")"))
	}
	return e
}

// of analyses a query as a transformation does: as the view it becomes.
func of(tb testing.TB, e *duckdb.Engine, query string) (model.Step, error) {
	tb.Helper()
	ctx := context.Background()
	if err := e.CheckSelect(ctx, query); err != nil {
		return model.Step{}, err
	}
	if err := e.CreateView(ctx, "_result", query); err != nil {
		return model.Step{}, err
	}
	output, err := e.Describe(ctx, "_result")
	if err != nil {
		return model.Step{}, err
	}
	return lineage.Of(ctx, e, query, []string{"t", "u", "v"}, output)
}

var letters = map[model.Kind]string{
	model.Identity: "i", model.Transformation: "t", model.Aggregation: "a", model.Conditional: "c", model.Filter: "f",
	model.Join: "j", model.GroupBy: "g", model.Sort: "s", model.Window: "w", model.Unknown: "?",
}

func inputs(list []model.Input) string {
	var b strings.Builder
	last := ""
	for _, in := range list {
		if ref := in.Step + "." + in.Column; ref != last {
			fmt.Fprintf(&b, " %s:", ref)
			last = ref
		}
		b.WriteString(letters[in.Kind])
	}
	return b.String()
}

func text(step model.Step) string {
	var b strings.Builder
	for _, c := range step.Columns {
		fmt.Fprintf(&b, "%s =%s\n", c.Name, inputs(c.Inputs))
	}
	if len(step.Rows) > 0 {
		fmt.Fprintf(&b, "ROWS%s\n", inputs(step.Rows))
	}
	return b.String()
}

// TestQueries compares the lineage of each query of testdata/queries.txt with the lines below it: a column and what it is made
// of, each with the letters of its kinds, and what decides about the rows.
func TestQueries(t *testing.T) {
	e := engine(t)
	content, err := os.ReadFile("testdata/queries.txt")
	require.NoError(t, err)
	cases := strings.Split(string(content), "-- ")[1:]
	require.Greater(t, len(cases), 100)
	for _, c := range cases {
		query, want, _ := strings.Cut(c, "\n")
		t.Run(query, func(t *testing.T) {
			step, err := of(t, e, query)
			require.NoError(t, err)
			assert.Equal(t, want, text(step))
		})
	}
}

// TestWhatIsNotUnderstoodIsUnknown gives trees that no DuckDB writes today, or whose columns are not those that were bound.
func TestWhatIsNotUnderstoodIsUnknown(t *testing.T) {
	tables := []lineage.Table{{Name: "t", Columns: []string{"a"}}}
	output := []task.Column{{Name: "a", Type: "INTEGER"}}
	want := "a = t.*:?\nROWS t.*:?\n"
	for name, tree := range map[string]string{
		"nothing":         ``,
		"an error":        `{"error": true}`,
		"no statement":    `{"error": false, "statements": []}`,
		"no query":        `{"statements": [{}]}`,
		"another node":    `{"statements": [{"node": {"type": "MERGE_NODE"}}]}`,
		"another field":   `{"statements": [{"node": {"type": "SELECT_NODE", "select_list": [{"class": "CONSTANT", "new_child": {}}]}}]}`,
		"other columns":   `{"statements": [{"node": {"type": "SELECT_NODE", "select_list": [{"class": "CONSTANT", "alias": "b"}]}}]}`,
		"too few columns": `{"statements": [{"node": {"type": "SELECT_NODE"}}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, want, text(lineage.Analyse([]byte(tree), tables, output)))
		})
	}
	other := `{"statements": [{"node": {"type": "SELECT_NODE", "select_list": [{"class": "NEW"}], "from_table": {"type": "BASE_TABLE", "table_name": "t"}}}]}`
	assert.Equal(t, "a = t.a:?\n", text(lineage.Analyse([]byte(other), tables, output)), "a class nobody knows may hold any column in sight")
}

// TestWorkIsBounded has each common table expression read the one before it many times.
func TestWorkIsBounded(t *testing.T) {
	var items, names []string
	for i := range 100 {
		items = append(items, fmt.Sprintf("coalesce(*columns(*)) as c%d", i))
		names = append(names, fmt.Sprintf("c%d", i))
	}
	query := "with s0 as (select * from t)"
	for i := range 50 {
		query += fmt.Sprintf(", s%d as (select %s from s%d)", i+1, strings.Join(items, ", "), i)
	}
	query += " select c0 from s50"
	e := engine(t)
	raw, err := e.ParseTree(t.Context(), query)
	require.NoError(t, err)
	started := time.Now()
	step := lineage.Analyse(raw, []lineage.Table{{Name: "t", Columns: names}}, []task.Column{{Name: "c0"}})
	assert.Equal(t, "c0 = t.*:?\nROWS t.*:?\n", text(step))
	assert.Less(t, time.Since(started), time.Minute)
}

// TestAggregatesAreDuckDBs holds the list of aggregates current.
func TestAggregatesAreDuckDBs(t *testing.T) {
	e := engine(t)
	var names []string
	err := e.QueryEach(t.Context(), "SELECT DISTINCT function_name FROM duckdb_functions() WHERE function_type = 'aggregate'",
		func(scan func(...any) error) error {
			names = append(names, "")
			return scan(&names[len(names)-1])
		})
	require.NoError(t, err)
	require.NotEmpty(t, names)
	for _, name := range names {
		assert.True(t, lineage.IsAggregate(name), name)
	}
	assert.False(t, lineage.IsAggregate("lower"))
}

// FuzzAnalyse analyses whatever DuckDB can parse, and looks whether what is said of it is of the inputs.
func FuzzAnalyse(f *testing.F) {
	content, err := os.ReadFile("testdata/queries.txt")
	require.NoError(f, err)
	for _, c := range strings.Split(string(content), "-- ")[1:] {
		query, _, _ := strings.Cut(c, "\n")
		f.Add(query, 1)
	}
	e := engine(f)
	inputs := []lineage.Table{
		{Name: "t", Columns: []string{"a", "b", "c", "id", "s", "l"}}, {Name: "u", Columns: []string{"a", "x", "id"}},
		{Name: "v", Columns: []string{"id", "y"}},
	}
	f.Fuzz(func(t *testing.T, query string, width int) {
		raw, err := e.ParseTree(context.Background(), query)
		if err != nil {
			return
		}
		output := make([]task.Column, width&15)
		step := lineage.Analyse(raw, inputs, output)
		require.Len(t, step.Columns, len(output))
		for _, c := range step.Columns {
			for _, in := range c.Inputs {
				require.Contains(t, []string{"t", "u", "v"}, in.Step)
				require.NotEmpty(t, in.Column)
			}
		}
	})
}

// FuzzTree gives the analyser trees that are none of DuckDB's.
func FuzzTree(f *testing.F) {
	e := engine(f)
	for _, query := range []string{"select a from t join u using (id)", "with r as (select 1) select * from r union select 2", "pivot t on a in (1) using sum(b)"} {
		raw, err := e.ParseTree(context.Background(), query)
		require.NoError(f, err)
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		step := lineage.Analyse(raw, []lineage.Table{{Name: "t", Columns: []string{"a"}}}, []task.Column{{Name: "a"}})
		require.Len(t, step.Columns, 1)
	})
}
