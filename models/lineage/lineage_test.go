package lineage_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/definition"
	"github.com/matih/pipeline-service/models/lineage"
)

func TestKindsCompose(t *testing.T) {
	for _, c := range []struct{ inner, outer, want lineage.Kind }{
		{lineage.Identity, lineage.Identity, lineage.Identity},
		{lineage.Identity, lineage.Transformation, lineage.Transformation},
		{lineage.Transformation, lineage.Identity, lineage.Transformation},
		{lineage.Aggregation, lineage.Transformation, lineage.Aggregation},
		{lineage.Transformation, lineage.Aggregation, lineage.Aggregation},
		{lineage.Identity, lineage.Filter, lineage.Filter},
		{lineage.Window, lineage.Identity, lineage.Window},
		{lineage.Window, lineage.Filter, lineage.Filter},
		{lineage.Unknown, lineage.Filter, lineage.Unknown},
		{lineage.Identity, lineage.Unknown, lineage.Unknown},
		{lineage.Identity, "NEW", lineage.Unknown},
	} {
		assert.Equal(t, []lineage.Kind{c.want}, lineage.Of(c.inner).Then(c.outer).List(), "%s then %s", c.inner, c.outer)
	}
	both := lineage.Of(lineage.Identity) | lineage.Of(lineage.Aggregation) | lineage.Of(lineage.Conditional)
	assert.Equal(t, []lineage.Kind{lineage.Aggregation, lineage.Conditional}, both.List())
	assert.Equal(t, []lineage.Kind{lineage.Unknown}, (both | lineage.Of(lineage.Unknown)).List())
	assert.True(t, lineage.Aggregation.Direct())
	assert.False(t, lineage.Unknown.Direct())
}

func parse(t *testing.T, doc string) *definition.Definition {
	t.Helper()
	d, err := definition.Parse(json.RawMessage(doc), "definition")
	require.NoError(t, err)
	return d
}

func column(name string, inputs ...lineage.Input) lineage.Column {
	return lineage.Column{Name: name, Inputs: inputs}
}

const chain = `{
	"sources": {"orders": {"type": "cloud_storage", "connection": "c", "format": "csv"},
		"people": {"type": "cloud_storage", "connection": "c", "format": "csv"}},
	"transformations": [
		{"name": "joined", "type": "sql_transform", "inputs": ["orders", "people"], "sql": "select 1"},
		{"name": "summed", "type": "sql_transform", "inputs": ["joined"], "sql": "select 1"}],
	"quality_checks": [
		{"name": "sane", "type": "range", "input": "orders", "column": "amount", "min": 0, "on_failure": "quarantine"},
		{"name": "odd", "type": "custom_sql", "input": "people", "sql": "select 1", "on_failure": "quarantine"},
		{"name": "told", "type": "not_null", "input": "joined", "column": "name", "on_failure": "warn"}],
	"sinks": {
		"report": {"type": "cloud_storage", "connection": "c", "input": "summed", "format": "csv", "mode": "append"},
		"copy": {"type": "cloud_storage", "connection": "c", "input": "orders", "format": "csv", "mode": "append"}}}`

func TestColumnsAreFollowedToTheSources(t *testing.T) {
	d := parse(t, chain)
	steps := map[string]lineage.Step{
		"orders": {Columns: []lineage.Column{column("id"), column("Amount")}},
		"people": {Columns: []lineage.Column{column("id"), column("name")}},
		"joined": {
			Columns: []lineage.Column{
				column("name", lineage.Input{Step: "people", Column: "name", Kind: lineage.Identity}),
				column("amount", lineage.Input{Step: "orders", Column: "Amount", Kind: lineage.Transformation}),
				column("any", lineage.Input{Step: "people", Column: lineage.AllColumns, Kind: lineage.Unknown}),
			},
			Rows: []lineage.Input{{Step: "orders", Column: "id", Kind: lineage.Join}},
		},
		"summed": {
			Columns: []lineage.Column{
				column("who", lineage.Input{Step: "joined", Column: "NAME", Kind: lineage.Identity}),
				column("total", lineage.Input{Step: "joined", Column: "amount", Kind: lineage.Aggregation},
					lineage.Input{Step: "joined", Column: "name", Kind: lineage.Conditional}),
				column("any", lineage.Input{Step: "joined", Column: "any", Kind: lineage.Identity}),
			},
			Rows: []lineage.Input{{Step: "joined", Column: "name", Kind: lineage.GroupBy}},
		},
	}
	sinks, complete := lineage.NewFlow(d, steps).Sinks()
	assert.True(t, complete)
	require.Len(t, sinks, 2)
	assert.Equal(t, "report", sinks[0].Sink)
	assert.Equal(t, []lineage.Column{
		column("who", lineage.Input{Step: "people", Column: "name", Kind: lineage.Identity}),
		column("total", lineage.Input{Step: "orders", Column: "Amount", Kind: lineage.Aggregation},
			lineage.Input{Step: "people", Column: "name", Kind: lineage.Conditional}),
		column("any", lineage.Input{Step: "people", Column: "id", Kind: lineage.Unknown},
			lineage.Input{Step: "people", Column: "name", Kind: lineage.Unknown}),
	}, sinks[0].Columns)
	assert.Equal(t, []lineage.Input{
		{Step: "orders", Column: "amount", Kind: lineage.Filter}, // set aside by the check
		{Step: "orders", Column: "id", Kind: lineage.Join},
		{Step: "people", Column: "id", Kind: lineage.Unknown},
		{Step: "people", Column: "name", Kind: lineage.Unknown},
	}, sinks[0].Rows)
	assert.Equal(t, "copy", sinks[1].Sink)
	assert.Equal(t, []lineage.Input{{Step: "orders", Column: "Amount", Kind: lineage.Identity}}, sinks[1].Columns[1].Inputs)

	delete(steps, "summed")
	delete(steps, "people")
	sinks, _ = lineage.NewFlow(d, steps).Sinks()
	require.Len(t, sinks, 1, "what has not run is not known")
	assert.Equal(t, "copy", sinks[0].Sink)
}

func TestALargeStepIsBounded(t *testing.T) {
	step := lineage.Step{}
	for i := range 200 {
		c := column(fmt.Sprint("c", i))
		for j := range 200 {
			c.Inputs = append(c.Inputs, lineage.Input{Step: "t", Column: fmt.Sprint("c", j), Kind: lineage.Identity})
		}
		step.Columns = append(step.Columns, c)
	}
	bounded := step.Bounded()
	require.Len(t, bounded.Columns, 200)
	assert.Equal(t, []lineage.Input{{Step: "t", Column: lineage.AllColumns, Kind: lineage.Unknown}}, bounded.Columns[7].Inputs)
	step.Columns = step.Columns[:10]
	assert.Equal(t, step, step.Bounded())
}

func datasets(t *testing.T, doc string) []lineage.Dataset {
	t.Helper()
	return lineage.Datasets(parse(t, doc), map[string]models.Connection{
		"db":      {Type: models.ConnectionJDBC, Host: "DB.internal", Database: "sales"},
		"my":      {Type: models.ConnectionJDBC, Host: "db", Port: 3306, Database: "shop"},
		"cluster": {Type: models.ConnectionKafka, Host: "b-1:9092,b-2:9092"},
		"files":   {Type: models.ConnectionLocal, Properties: json.RawMessage(`{"path": "/srv/data[1]/"}`)},
	})
}

func TestNames(t *testing.T) {
	sets := datasets(t, `{
		"sources": {
			"a": {"type": "jdbc", "connection": "db", "table": "\"Odd\".t"},
			"b": {"type": "jdbc", "connection": "my", "table": "t"},
			"c": {"type": "jdbc", "connection": "gone", "table": "t"},
			"d": {"type": "jdbc", "connection": "db", "query": "select 1"},
			"k": {"type": "kafka", "connection": "cluster", "topic": "events", "format": "json"},
			"e": {"type": "cloud_storage", "connection": "files", "prefix": "in/x-", "pattern": "*.csv", "format": "csv"}},
		"sinks": {"out": {"type": "cloud_storage", "connection": "files", "prefix": "out", "input": "a", "format": "json", "compression": "gzip",
			"mode": "overwrite_partition", "partition_by": ["day"]}}}`)
	var got []string
	for _, set := range sets {
		got = append(got, fmt.Sprintf("%s %s %s %s %s", set.Step, set.Direction, set.Type, set.FQN, set.Namespace))
	}
	assert.Equal(t, []string{
		"a READS TABLE sales.Odd.t postgres://db.internal:5432",
		"b READS TABLE shop.t mysql://db:3306",
		"c READS TABLE gone.public.t postgres://gone",
		"d READS QUERY sales.d postgres://db.internal:5432",
		"k READS TOPIC kafka://b-1:9092/events kafka://b-1:9092",
		"e READS FILE file:///srv/data[1]/in/x-*.csv file",
		"out WRITES FILE file:///srv/data[1]/out file",
	}, got)
	assert.Equal(t, "/srv/data[1]/outday=value/out-execution-0.json.gz", sets[6].Path)
	assert.Equal(t, []string{"file:/srv/data[1]/in"}, sets[5].Keys())
	assert.Equal(t, []string{"file:/srv/data[1]/outday=value", "file:/srv/data[1]", "file:/srv", "file:/"}, sets[6].Keys())
	assert.Empty(t, sets[3].Keys())
	assert.Empty(t, sets[4].Keys())
}

func TestFeeds(t *testing.T) {
	sink := func(prefix, more string) lineage.Dataset {
		return datasets(t, `{"sources": {"s": {"type": "jdbc", "connection": "db", "table": "t"}}, "sinks": {"out": {"type": "cloud_storage",
			"connection": "files", "prefix": "`+prefix+`", "format": "csv", "mode": "append"`+more+`}}}`)[1]
	}
	source := func(prefix, pattern string) lineage.Dataset {
		return datasets(t, `{"sources": {"s": {"type": "cloud_storage", "connection": "files", "prefix": "`+prefix+`", "pattern": "`+pattern+`",
			"format": "csv"}}, "sinks": {"out": {"type": "jdbc", "connection": "db", "table": "t"}}}`)[0]
	}
	byDay := `, "partition_by": ["day"]`
	for _, c := range []struct {
		sink, source lineage.Dataset
		want         bool
	}{
		{sink("a/", ""), source("a/", "*"), true},
		{sink("a/", ""), source("a/", "*.csv"), true},
		{sink("a/", ""), source("a/", "*.json"), false},
		{sink("a/", ""), source("a/", "out-*.csv"), true},
		{sink("a/", ""), source("a/out", "*"), true},
		{sink("a/x-", ""), source("a/", "x-*"), true},
		{sink("a/b/", ""), source("a/", "*.csv"), false},
		{sink("a/b/", ""), source("a/", "**/*.csv"), true},
		{sink("a/b/", ""), source("", "**"), true},
		{sink("a/", ""), source("b/", "*"), false},
		{sink("a/", ""), source("a/", "other-*.csv"), false},
		{sink("a/", byDay), source("a/", "**/*.csv"), true},
		{sink("a/", byDay), source("a/", "day=*/*.csv"), true},
		{sink("a/", byDay), source("a/", "*.csv"), false},
		{source("a/", "*"), sink("a/", ""), false},
	} {
		assert.Equal(t, c.want, lineage.Feeds(c.sink, c.source), "%s to %s", c.sink.FQN, c.source.FQN)
		if c.want { // then it must be found, too
			assert.Subset(t, c.sink.Keys(), c.source.Keys(), "%s to %s", c.sink.FQN, c.source.FQN)
		}
	}
}

func TestTablesFeedByTheirNames(t *testing.T) {
	sets := datasets(t, `{"sources": {"a": {"type": "jdbc", "connection": "db", "table": "t"}, "b": {"type": "jdbc", "connection": "my", "table": "t"},
			"c": {"type": "jdbc", "connection": "db", "table": "${name}"}},
		"sinks": {"out": {"type": "jdbc", "connection": "db", "input": "a", "table": "public.t", "mode": "append"}}}`)
	assert.True(t, lineage.Feeds(sets[3], sets[0]))
	assert.Equal(t, sets[0].Keys(), sets[3].Keys())
	assert.False(t, lineage.Feeds(sets[3], sets[1]))
	assert.Empty(t, sets[2].Keys(), "its name is not known yet")
}

func TestKeysFitAnIndex(t *testing.T) {
	set := lineage.Dataset{Direction: lineage.Writes, Type: lineage.File, Namespace: "file", Path: strings.Repeat("/"+strings.Repeat("d", 100), 100) + "/f"}
	keys := set.Keys()
	assert.Len(t, keys, 32)
	for _, key := range keys {
		assert.LessOrEqual(t, len(key), 500)
	}
}
