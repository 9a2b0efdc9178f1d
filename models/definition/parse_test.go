package definition

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/matih/pipeline-service/models"
)

func TestParseBadJSON(t *testing.T) {
	tests := []struct{ name, doc, want string }{
		{"empty", " \n", "d: is empty"},
		{"not an object", "[]", "d: must be an object, not a list"},
		{"syntax", "{\n  \"sources\": {,}\n}", "d: is not JSON: line 2, column 15: invalid character ',' looking for beginning of object key string"},
		{"trailing data", "{} {}", "d: is not JSON: line 1, column 4: invalid character '{' after top-level value"},
		{"duplicate keys", `{"sources":{"a":{"type":"jdbc"},"a":{}},"sources":1}`, "d.sources.a: is given twice"},
		{"lone surrogate", `{"sources":{"\ud800":1}}`, "d.sources[\"\uFFFD\"]: holds half of a surrogate pair"},
		{"invalid UTF-8", "{\"\xff\":1}", "d: is not valid UTF-8"},
		{"number beyond range", `{"orchestration":{"max_active_runs":1e400}}`, `d.orchestration.max_active_runs: "1e400" is beyond the range of numbers`},
		{"deep", strings.Repeat(`[`, 200) + strings.Repeat(`]`, 200), "nested deeper than 100 levels"},
		{"very deep", strings.Repeat(`[`, 100_000), "d: is nested deeper than 100 levels"},
		{"NUL", `{"sources":{"a":{"type":"jdbc","connection":"a\u0000"}}}`, "d.sources.a.connection: holds a NUL character"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := Parse([]byte(test.doc), "d")
			assert.Contains(t, strings.Join(lines(t, err, models.CodeInvalidDefinition), "\n"), test.want)
		})
	}
}

func TestParseExample(t *testing.T) {
	doc, err := os.ReadFile("testdata/example.yaml")
	require.NoError(t, err)
	raw, err := FromYAML(doc)
	require.NoError(t, err)
	d, err := Parse(raw, "")
	require.NoError(t, err)
	got, err := json.MarshalIndent(d, "", "  ")
	require.NoError(t, err)
	want, err := os.ReadFile("testdata/example.json")
	require.NoError(t, err)
	assert.JSONEq(t, string(want), string(got))

	var back Definition
	require.NoError(t, json.Unmarshal(got, &back))
	assert.Equal(t, d.Orchestration, back.Orchestration)
}

func TestParseDefaults(t *testing.T) {
	d := parseYAML(t, `
sources: {raw: {type: cloud_storage, connection: s, format: csv}}
quality_checks: [{name: c, type: referential, input: raw, column: id, reference: raw}]
orchestration: {timeout: 30m, retry_policy: {initial_interval: 10m}}
`)
	assert.Equal(t, Source{
		Name: "raw", Type: SourceCloudStorage, Connection: "s", Mode: ReadFull,
		Storage: &StorageSource{Pattern: "*", Format: FormatCSV, CSV: &CSVOptions{Delimiter: ",", Header: true, QuoteChar: `"`}},
	}, d.Sources[0])
	assert.Equal(t, OnFailureFail, d.QualityChecks[0].OnFailure)
	assert.Equal(t, "id", d.QualityChecks[0].ReferenceColumn)
	assert.Equal(t, "raw", d.Sinks[0].Input)
	assert.Equal(t, WriteAppend, d.Sinks[0].Mode)
	o := d.Orchestration
	assert.Equal(t, Duration(30*time.Minute), o.TaskTimeout, "no attempt outlives the execution")
	assert.Equal(t, RetryPolicy{3, Duration(10 * time.Minute), 2, Duration(10 * time.Minute)}, o.RetryPolicy)
	assert.Equal(t, Approval{Timeout: DefaultApprovalTimeout, OnTimeout: "reject", Required: 1}, o.Approval)
	assert.Equal(t, []int{1, 4}, []int{o.MaxActiveRuns, o.MaxParallelTasks})
	assert.Empty(t, o.Engine)
}

func TestParseTransformations(t *testing.T) {
	d := parseYAML(t, `
sources: {raw: {type: jdbc, connection: db, query: select 1}, other: {type: jdbc, connection: db, table: s.t}}
transformations:
  - {name: a, type: sql_transform, inputs: [raw, other], sql: select 1}
  - {name: b, type: lookup_join, input: a, lookup: other, keys: [id, day], how: inner}
  - {name: c, type: schema_check, inputs: [b], expected_columns: {id: BIGINT, amount: "DECIMAL(18, 2)", at: TIMESTAMP WITH TIME ZONE, tags: "VARCHAR[]"}}
  - {name: d, type: deduplicate, input: c, keys: [id], order_by: [at desc]}
  - {name: e, type: select, input: d, columns: [id, {total: amount}]}
  - {name: f, type: select, input: e, columns: {k: id, total: total}}
  - {name: g, type: aggregate, input: f, measures: {n: count(*), big: max( total ), k: count_distinct(k)}}
`)
	var inputs [][]string
	for _, t := range d.Transformations {
		inputs = append(inputs, t.Inputs)
	}
	assert.Equal(t, [][]string{{"raw", "other"}, {"a", "other"}, {"b"}, {"c"}, {"d"}, {"e"}, {"f"}}, inputs)
	assert.Equal(t, &LookupJoin{Input: "a", Lookup: "other", Keys: []Key{{"id", "id"}, {"day", "day"}}, How: JoinInner}, d.Transformations[1].LookupJoin)
	assert.Equal(t, []ColumnType{{"id", "BIGINT"}, {"amount", "DECIMAL(18, 2)"}, {"at", "TIMESTAMP WITH TIME ZONE"}, {"tags", "VARCHAR[]"}},
		d.Transformations[2].SchemaCheck.ExpectedColumns)
	assert.Equal(t, []SelectColumn{{Column: "id"}, {Column: "amount", As: "total"}}, d.Transformations[4].Select.Columns)
	assert.Equal(t, []SelectColumn{{Column: "id", As: "k"}, {Column: "total", As: "total"}}, d.Transformations[5].Select.Columns)
	assert.Equal(t, []Measure{{"n", "count", ""}, {"big", "max", "total"}, {"k", "count_distinct", "k"}}, d.Transformations[6].Aggregate.Measures)
	assert.Equal(t, "g", d.Sinks[0].Input, "the last transformation is what a sink publishes")
}

func TestParseAdoptedDAG(t *testing.T) {
	d, err := Parse([]byte(`{"orchestration":{"engine":"airflow","dag_id":"legacy.daily"}}`), "")
	require.NoError(t, err)
	assert.Empty(t, d.Graph())
	_, err = Parse([]byte(`{"orchestration":{"engine":"temporal"}}`), "")
	assert.Equal(t, []string{"sources: must hold at least one source", "sinks: must hold at least one sink"},
		lines(t, err, models.CodeInvalidDefinition))
}

func TestParseBounds(t *testing.T) {
	_, err := Parse(chain(maxTasks+1), "")
	assert.Equal(t, []string{": has 10001 tasks; at most 10000 are allowed"}, lines(t, err, models.CodeInvalidDefinition))

	hostile := map[string]func() string{
		"100,000 steps": func() string { return string(chain(100_000)) },
		"100,000 inputs that do not exist": func() string {
			return `{"sources":{"raw":{"type":"jdbc","connection":"c","table":"t"}},"transformations":[{"name":"a","type":"sql_transform","sql":"select 1","inputs":["` +
				strings.Join(numbered("n%d", 100_000), `","`) + `"]}],"sinks":{"out":{"type":"jdbc","connection":"c","table":"t"}}}`
		},
		"long keys over many values": func() string {
			return `{"` + strings.Repeat("k", 500_000) + `":{` + `"` + strings.Join(numbered("u%d", 30_000), `":1,"`) + `":1}}`
		},
		"a circle of 9,998": func() string {
			return strings.Replace(string(chain(maxTasks)), `"inputs":["raw"]`, `"inputs":["s9997"]`, 1)
		},
		"a long expression": func() string {
			return `{"sources":{"raw":{"type":"jdbc","connection":"c","query":"select ` + strings.Repeat("(", 300_000) + strings.Repeat("/*", 100_000) + `"}}}`
		},
	}
	for name, doc := range hostile {
		t.Run(name, func(t *testing.T) {
			doc := doc()
			start := time.Now()
			_, err := Parse([]byte(doc), "body.definition")
			require.Error(t, err)
			assert.Less(t, time.Since(start), 30*time.Second)
			assert.LessOrEqual(t, len(lines(t, err, models.CodeInvalidDefinition)), maxMistakes)
		})
	}
}

// chain is a definition of n tasks: a source, a chain of transformations and a sink.
func chain(n int) []byte {
	var b strings.Builder
	b.WriteString(`{"sources":{"raw":{"type":"jdbc","connection":"c","table":"t"}},"transformations":[`)
	input := "raw"
	for i := range n - 2 {
		if i > 0 {
			b.WriteByte(',')
		}
		name := fmt.Sprintf("s%d", i)
		fmt.Fprintf(&b, `{"name":"%s","type":"sql_transform","inputs":["%s"],"sql":"select *, %d as n from {{ input }} where day >= ${day}"}`, name, input, i)
		input = name
	}
	b.WriteString(`],"sinks":{"out":{"type":"jdbc","connection":"c","table":"u"}}}`)
	return []byte(b.String())
}

func numbered(format string, n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf(format, i)
	}
	return list
}

func TestConnections(t *testing.T) {
	d := parseYAML(t, `
sources: {raw: {type: jdbc, connection: db, table: t}, files: {type: cloud_storage, connection: conn-1, format: csv}}
sinks: {out: {type: jdbc, connection: "${target}", input: raw, table: u}, lake: {type: cloud_storage, input: raw, connection: s, format: parquet}}
`)
	jdbc, local := []models.ConnectionType{models.ConnectionJDBC}, []models.ConnectionType{models.ConnectionLocal}
	uses := []ConnectionUse{
		{"body.definition.sources.raw.connection", "db", jdbc},
		{"body.definition.sources.files.connection", "conn-1", local},
		{"body.definition.sinks.lake.connection", "s", local},
	}
	assert.Equal(t, uses, d.Connections("body.definition"))

	v, err := d.Bind(json.RawMessage(`{"target":"dwh"}`), Builtins{}, "")
	require.NoError(t, err)
	rendered, err := d.Render(v)
	require.NoError(t, err)
	assert.Contains(t, rendered.Connections(""), ConnectionUse{"sinks.out.connection", "dwh", jdbc})
}
