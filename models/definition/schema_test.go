package definition

import (
	"bytes"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func compiledSchema(t testing.TB) *jsonschema.Schema {
	t.Helper()
	raw, err := jsonschema.UnmarshalJSON(bytes.NewReader(Schema()))
	require.NoError(t, err)
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft2020)
	require.NoError(t, compiler.AddResource("definition.json", raw))
	schema, err := compiler.Compile("definition.json")
	require.NoError(t, err)
	return schema
}

func validate(t testing.TB, schema *jsonschema.Schema, doc []byte) error {
	t.Helper()
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(doc))
	require.NoError(t, err)
	return schema.Validate(value)
}

// TestSchemaAgreesWithParse checks that schema and parser say the same of a document's shape. What
// the schema cannot say (names that must exist, options that exclude each other) only Parse knows.
func TestSchemaAgreesWithParse(t *testing.T) {
	schema := compiledSchema(t)
	const step = "transformations: [{name: a, input: raw, type: "
	const check = "quality_checks: [{name: a, input: raw, type: "
	good := []string{
		"", "parameters: [{name: HOOK, type: string, default: x, description: y}, {name: b, type: number, required: true}]",
		"sources: {raw: {type: jdbc, connection: c, query: select 1, fetch_size: 5, partition_column: x, num_partitions: 64}}",
		"sources: {raw: {type: cloud_storage, connection: c, format: csv, csv_options: {delimiter: ;, header: false}, schema: {a: INT}, allow_empty: true}}",
		"sources: {raw: {type: jdbc, connection: c, table: t, mode: incremental, watermark_column: at}}",
		"sources: {raw: {type: kafka, connection: c, topic: t, format: json, consumer_group: g, start_offset: latest, max_records: 10, partitions: 128}}",
		"sources: {raw: {type: kafka, connection: c, topic: t, format: avro, schema_registry: 'http://registry:8081', start_offset: 2026-01-31T08:00:00Z}}",
		step + "sql_transform, sql: select 1}]", step + "lookup_join, lookup: b, keys: {x: y}}, {name: b, type: filter, inputs: [raw], condition: x}]",
		step + "lookup_join, lookup: b, keys: [x], columns: [y], how: inner}, {name: b, type: filter, inputs: [raw], condition: x}]",
		step + "schema_check, expected_columns: [a]}]", step + "schema_check, expected_columns: {a: INT}}]",
		step + "deduplicate, keys: [a], order_by: [b desc]}]", step + "select, columns: [a, {b: c}]}]", step + "select, columns: {b: c}}]",
		step + "aggregate, group_by: [], measures: {n: count()}}]",
		check + "not_null, column: x}]", check + "unique, columns: [x, y], threshold: 0.5, on_failure: quarantine}]", check + "row_count, min: 1}]",
		check + "range, column: x, min: 0, max: 1.5}]", check + "range, column: x, min: 2026-01-01}]", check + "accepted_values, column: x, values: [a, 1, true]}]",
		check + "regex, column: x, pattern: ^a}]", check + "freshness, column: x, max_age: 1d12h}]",
		check + "referential, column: x, reference: raw}]", check + "custom_sql, sql: select 1, on_failure: approve}]",
		"sinks: {out: {type: cloud_storage, connection: c, format: parquet, mode: overwrite_partition, partition_by: [x], compression: zstd}}",
		"sinks: {out: {type: jdbc, connection: c, table: t, mode: merge_on_key, merge_keys: [x]}}",
		"orchestration: {budget: {monthly_usd: 12.5, on_exceed: block}}", "orchestration: {budget: {monthly_usd: 1000000}}",
		"orchestration: {engine: airflow, dag_id: x, sla: {freshness: 1h}, notifications: [{on: [failed], webhook: \"${HOOK}\"}], approval: {before: [out], mask: [x], groups: [g], required: 2}}",
	}
	for _, text := range good {
		doc := fromYAML(t, text)
		_, err := Parse(doc, "")
		assert.NoError(t, err, text)
		assert.NoError(t, validate(t, schema, doc), text)
	}
	assert.NoError(t, validate(t, schema, []byte(`{"orchestration":{"engine":"airflow","dag_id":"x"}}`)))

	bad := []string{
		"extra: 1", "sources: []", "sources: {raw: {type: jdbc}}", "sources: {raw: {connection: c, table: t}}", "sources: {Raw: {type: jdbc, connection: c, table: t}}",
		"sources: {raw: {type: jdbc, connection: c, table: t, topic: x}}", "sources: {raw: {type: jdbc, connection: c, table: ''}}",
		"sources: {raw: {type: jdbc, connection: c, table: t, num_partitions: 65, partition_column: x}}", "sources: {raw: {type: jdbc, connection: c, table: t, fetch_size: 1.5}}",
		"sources: {raw: {type: jdbc, connection: c, table: t, mode: all}}", "sources: {raw: {type: kafka, connection: c, topic: t}}", "sources: {raw: {type: api, connection: c}}",
		"sources: {raw: {type: kafka, connection: c, topic: t, format: csv}}", "sources: {raw: {type: kafka, connection: c, topic: t, format: json, mode: full}}",
		"sources: {raw: {type: cloud_storage, connection: c, format: xml}}", "sources: {raw: {type: cloud_storage, connection: c, format: csv, schema: {}}}",
		"sources: {raw: {type: cloud_storage, connection: c, format: csv, schema: {a: 5}}}", "sources: {raw: {type: cloud_storage, connection: c, format: csv, csv_options: {quote: x}}}",
		step + "sql_transform}]", step + "sql, sql: x}]", step + "filter, condition: x, sql: y}]", step + "lookup_join, lookup: raw, keys: []}]", step + "lookup_join, lookup: raw, keys: {}}]",
		step + "lookup_join, lookup: raw, keys: {a: 1}}]", step + "select, columns: []}]", step + "select, columns: [1]}]", step + "aggregate, measures: {n: total(x)}}]",
		step + "aggregate, measures: [n]}]", step + "deduplicate, keys: x}]", step + "deduplicate, keys: ['']}]", "transformations: [{type: filter, input: raw, condition: x}]", "transformations: [5]",
		"transformations: [{name: A, type: filter, input: raw, condition: x}]", "transformations: [{name: a, type: filter, inputs: [], condition: x}]",
		check + "row_count, min: -1}]", check + "row_count, min: '1'}]", check + "range, column: x, min: true}]", check + "accepted_values, column: x, values: [null]}]",
		check + "freshness, column: x, max_age: 5}]", check + "freshness, column: x, max_age: 5 days}]", check + "not_null, column: x, threshold: 2}]", check + "not_null, column: x, on_failure: ignore}]",
		"sinks: {out: {type: cloud_storage, connection: c, format: csv, mode: merge_on_key}}", "sinks: {out: {type: jdbc, connection: c}}", "sinks: {out: {type: jdbc, connection: c, table: t, merge_keys: []}}",
		"orchestration: {engine: x}", "orchestration: {max_active_runs: 0}", "orchestration: {timeout: ''}", "orchestration: {retry_policy: {max_attempts: 101}}", "orchestration: null",
		"orchestration: {notifications: [{on: [x], webhook: y}]}", "orchestration: {approval: {groups: [1]}}", "parameters: [{name: a, type: text}]", "parameters: [{name: a-b, type: string}]",
		"orchestration: {budget: {}}", "orchestration: {budget: {monthly_usd: 0}}", "orchestration: {budget: {monthly_usd: -1}}",
		"orchestration: {budget: {monthly_usd: '5'}}", "orchestration: {budget: {monthly_usd: 5, on_exceed: stop}}", "orchestration: {budget: {monthly_usd: 1000001}}",
		"parameters: [{name: a, type: string, default: [x]}]", "parameters: [{type: string}]",
	}
	for _, text := range bad {
		doc := fromYAML(t, text)
		_, err := Parse(doc, "")
		assert.Error(t, err, text)
		assert.Error(t, validate(t, schema, doc), text)
	}
	assert.Error(t, validate(t, schema, []byte(`{"orchestration":{"engine":"temporal","dag_id":"x"}}`)))
	assert.Error(t, validate(t, schema, []byte(`[]`)))
}

// TestSchemaDescribes checks that someone who completes a definition in an editor finds help.
func TestSchemaDescribes(t *testing.T) {
	text := string(Schema())
	assert.Contains(t, text, `"$schema":"https://json-schema.org/draft/2020-12/schema"`)
	for _, word := range []string{"watermark_column", "sql_transform", "merge_on_key", "custom_sql", "backoff_coefficient", "RE2"} {
		assert.Contains(t, text, word)
	}
	assert.NotContains(t, text, "Doc", "names of Go types stay inside")
	assert.Less(t, strings.Count(text, `"$defs"`), 2)
}
