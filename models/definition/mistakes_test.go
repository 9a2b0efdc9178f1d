package definition

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/matih/pipeline-service/models"
)

// badDocuments are documents with the mistakes that Parse must find, each with its place.
var badDocuments = []struct {
	name string
	yaml string
	want []string
}{
	{"unknown keys, with the one that was meant", `
sources: {raw: {type: jdbc, connection: db, table: t, watermark_colum: x, topic: y}}
extra: 1
`, []string{
		"sources.raw.watermark_colum: is not known here; did you mean watermark_column?",
		"sources.raw.topic: is not known here",
		"extra: is not known here",
	}},
	{"wrong types", `
sources: {raw: {type: jdbc, connection: 5, table: [t], fetch_size: many, num_partitions: 1.5}}
transformations: {}
sinks: [out]
orchestration: {max_active_runs: null, approval: {allow_self_approval: "yes"}}
`, []string{
		"sources.raw.connection: must be text, not a number",
		"sources.raw.table: must be text, not a list",
		"sources.raw.fetch_size: must be a number, not text",
		"sources.raw.num_partitions: must be a whole number",
		"transformations: must be a list, not an object",
		"sinks: must be an object, not a list",
		"orchestration.max_active_runs: must be a number; leave the key out rather than giving null",
		"orchestration.approval.allow_self_approval: must be true or false, not text",
	}},
	{"missing keys", `
sources: {raw: {type: jdbc}, files: {type: cloud_storage, connection: c}, odd: {}}
transformations: [{name: a, type: sql_transform}, {type: filter, input: raw, condition: x}, {}]
quality_checks: [{name: c, type: range, input: a}]
sinks: {out: {type: cloud_storage, connection: c, format: csv}}
`, []string{
		"sources.raw.connection: is required",
		"sources.files.format: is required; it must be csv, json or parquet",
		"sources.odd.type: is required; it must be jdbc, cloud_storage or kafka",
		"transformations[0].sql: is required",
		"transformations[1].name: is required",
		"transformations[2].type: is required; it must be sql_transform, lookup_join, schema_check, deduplicate, filter, select or aggregate",
		"quality_checks[0].column: is required",
		"sources.raw.table: is required, or else query",
		"transformations[0].input: is required, or else inputs",
		"quality_checks[0].min: is required, or else max",
	}},
	{"words that are not allowed", `
sources: {raw: {type: jdbcc, connection: c, nonsense: 1}, b: {type: jdbc, connection: c, table: t, mode: ful}}
transformations: [{name: a, type: sql, input: raw, sql: select 1}]
sinks: {out: {type: jdbc, connection: c, table: t, mode: upsert, merge_keys: [id]}}
orchestration: {engine: prefect}
`, []string{
		`sources.raw.type: "jdbcc" is not allowed; it must be jdbc, cloud_storage or kafka; did you mean jdbc?`,
		`sources.b.mode: "ful" is not allowed; it must be full, incremental, partition or snapshot; did you mean full?`,
		`transformations[0].type: "sql" is not allowed; it must be sql_transform, lookup_join, schema_check, deduplicate, filter, select or aggregate`,
		`sinks.out.mode: "upsert" is not allowed; it must be append, overwrite, merge_on_key or overwrite_partition`,
		`orchestration.engine: "prefect" is not allowed; it must be temporal or airflow`,
	}},
	{"what this release does not support, without mistakes that follow from it", `
sources:
  crm: {type: api, connection: a, url: x}
  raw: {type: jdbc, connection: db, table: t, mode: snapshot, watermark_column: at}
transformations: [{name: a, type: sql_transform, inputs: [crm, raw], sql: select 1}]
sinks:
  lake: {type: iceberg, connection: i, input: a, namespace: n}
  part: {type: jdbc, connection: db, table: t, mode: overwrite_partition, partition_by: [day]}
`, []string{
		"sources.crm.type: api is not supported by this release; use jdbc, cloud_storage or kafka",
		"sinks.lake.type: iceberg is not supported by this release; use jdbc or cloud_storage",
		"sources.raw.mode: mode snapshot is not supported by this release; use full or incremental",
		"sinks.part.mode: mode overwrite_partition is not supported by this release for jdbc; use append, overwrite or merge_on_key",
	}},
	{"sources that are read on", `
sources:
  events: {type: kafka, connection: k, topic: "a b", format: avro, start_offset: yesterday, mode: incremental}
  clicks: {type: kafka, connection: k, topic: ok, format: json, schema_registry: "http://r", max_records: 0, partitions: 1.5}
  views: {type: kafka, connection: k, topic: ok, format: avro, schema_registry: "file:///etc"}
  raw: {type: jdbc, connection: db, table: t, mode: incremental}
  files: {type: cloud_storage, connection: c, format: csv, mode: incremental}
orchestration: {max_active_runs: 2}
sinks: {out: {type: jdbc, connection: db, table: u, input: raw}}
`, []string{
		"sources.events.mode: is not known here",
		"sources.clicks.max_records: must be between 1 and 1e+09",
		"sources.clicks.partitions: must be a whole number",
		"sources.events.schema_registry: is required with format avro",
		"sources.clicks.schema_registry: is for format avro",
		"sources.raw.watermark_column: is required with mode incremental",
		"orchestration.max_active_runs: must be 1, because events reads on where the execution before it ended",
		`sources.events.topic: "a b" cannot be a topic; it must be up to 249 letters, digits, dots, dashes or underscores`,
		`sources.events.start_offset: "yesterday" is neither earliest nor latest nor a time such as 2026-01-31T08:00:00Z`,
		"sources.views.schema_registry: must be an http or https URL",
	}},
	{"names", `
sources: {Raw: {type: jdbc, connection: db, table: t}, "a b\n": {type: jdbc, connection: db, table: t}, ok: {type: jdbc, connection: db, table: t}}
transformations:
  - {name: ok, type: filter, input: Raw, condition: x}
  - {name: 9a, type: filter, input: ok, condition: x}
sinks: {ok: {type: jdbc, connection: db, table: u}}
`, []string{
		`sources.Raw: "Raw" cannot be a name; it must be a lower-case letter and then up to 62 lower-case letters, digits or underscores`,
		`sources["a b\n"]: "a b\n" cannot be a name; it must be a lower-case letter and then up to 62 lower-case letters, digits or underscores`,
		`transformations[1].name: "9a" cannot be a name; it must be a lower-case letter and then up to 62 lower-case letters, digits or underscores`,
		`transformations[0].name: the name "ok" is taken by a source`,
		`sinks.ok: the name "ok" is taken by a source`,
	}},
	{"inputs", `
transformations:
  - {name: a, type: sql_transform, inputs: [raw, rav, out, c, a, raw], sql: select 1}
  - {name: b, type: filter, input: raw, inputs: [raw], condition: x}
  - {name: d, type: filter, inputs: [raw, a], condition: x}
  - {name: e, type: lookup_join, input: raw, lookup: raw, keys: [id]}
  - {name: f, type: sql_transform, inputs: [], sql: select 1}
quality_checks: [{name: c, type: referential, input: c, column: x, reference: nothing}]
sinks: {out: {type: jdbc, connection: db, table: u, input: out}}
`, []string{
		"transformations[4].inputs: must not be empty",
		`transformations[0].inputs[1]: there is no source or transformation "rav"; did you mean raw?`,
		`transformations[0].inputs[2]: "out" is a sink; only sources and transformations can be read`,
		`transformations[0].inputs[3]: "c" is a quality check; only sources and transformations can be read`,
		`transformations[0].inputs[4]: "a" cannot read itself`,
		`transformations[0].inputs[5]: "raw" is given twice`,
		"transformations[1].inputs: cannot be given together with input",
		"transformations[2].inputs: must be a single one for this type",
		"transformations[3].lookup: must be another step than the input",
		`quality_checks[0].input: "c" cannot read itself`,
		`quality_checks[0].reference: there is no source or transformation "nothing"`,
		`sinks.out.input: "out" cannot read itself`,
	}},
	{"cycles", `
transformations:
  - {name: x, type: filter, input: raw, condition: "true"}
  - {name: c, type: filter, input: b, condition: "true"}
  - {name: a, type: sql_transform, inputs: [raw, c], sql: select 1}
  - {name: b, type: sql_transform, inputs: [x, a], sql: select 1}
  - {name: p, type: filter, input: q, condition: "true"}
  - {name: q, type: filter, input: p, condition: "true"}
  - {name: behind, type: filter, input: q, condition: "true"}
`, []string{
		"transformations[1]: is part of a cycle: c → a → b → c",
		"transformations[4]: is part of a cycle: p → q → p",
	}},
	{"a cycle through a quarantine check", `
transformations: [{name: a, type: filter, input: raw, condition: "true"}]
quality_checks: [{name: c, type: referential, input: raw, column: x, reference: a, on_failure: quarantine}]
`, []string{"transformations[0]: is part of a cycle: a → c → a"}},
	{"quarantine checks that refer to each other's steps", `
sources: {p: {type: jdbc, connection: db, table: t}, q: {type: jdbc, connection: db, table: t}}
quality_checks:
  - {name: c, type: referential, input: p, column: x, reference: q, on_failure: quarantine}
  - {name: d, type: referential, input: q, column: x, reference: p, on_failure: quarantine}
sinks: {out: {type: jdbc, connection: db, table: u, input: p}}
`, []string{"quality_checks[0]: is part of a cycle: c → d → c"}},
	{"parameters", `
parameters:
  - {name: a, type: date, default: 2026-02-30}
  - {name: a, type: integer, default: "5"}
  - {name: b, type: integer, default: 1.5}
  - {name: c, type: string, required: true, default: x}
  - {name: 1c, type: text}
  - {name: d, type: timestamp, default: "2026-02-01 10:00"}
  - {name: e, type: boolean, default: [true]}
`, []string{
		`parameters[4].name: "1c" cannot be a parameter's name; it must be a letter or underscore and then up to 62 letters, digits or underscores`,
		`parameters[4].type: "text" is not allowed; it must be string, integer, number, boolean, date or timestamp`,
		"parameters[6].default: must be text, a number or true or false, not a list",
		`parameters[0].default: "2026-02-30" is not a date; write it as 2026-02-01`,
		`parameters[1].name: "a" is declared twice`,
		"parameters[1].default: must be a number (integer), not text",
		`parameters[2].default: "1.5" is not a whole number of 64 bits`,
		"parameters[3].default: is of no use where the parameter is required",
		`parameters[5].default: "2026-02-01 10:00" is not a timestamp; write it as 2026-02-01T06:30:00Z`,
	}},
	{"options of sources that do not go together", `
sources:
  a: {type: jdbc, connection: db, table: t, query: select 1}
  b: {type: jdbc, connection: db, query: select 1, partition_column: id}
  c: {type: jdbc, connection: db, table: a.b.c, num_partitions: 4}
  d: {type: jdbc, connection: db, table: ".t", num_partitions: 65, partition_column: id}
  e: {type: cloud_storage, connection: s, format: json, compression: snappy, csv_options: {header: true}, prefix: ../x}
  f: {type: cloud_storage, connection: s, format: csv, pattern: "[a", csv_options: {delimiter: "||", quote_char: ""}}
  g: {type: cloud_storage, connection: s, format: csv, schema: {id: "INT); drop"}, csv_options: {delimiter: '"'}}
sinks: {out: {type: jdbc, connection: db, table: u, input: a}}
`, []string{
		"sources.d.num_partitions: must be between 1 and 64",
		"sources.f.csv_options.quote_char: must not be empty",
		"sources.a.query: cannot be given together with table",
		"sources.b.num_partitions: is required with partition_column",
		"sources.c.partition_column: is required with num_partitions",
		"sources.e.compression: snappy is for parquet; use none, gzip or zstd",
		"sources.e.csv_options: is for format csv",
		`sources.f.csv_options.delimiter: "||" must be one character`,
		"sources.g.csv_options.quote_char: must differ from delimiter",
		`sources.c.table: "a.b.c" must be a table or schema.table`,
		`sources.d.table: ".t" must be a table or schema.table`,
		"sources.e.prefix: must not hold the path elements . and ..",
		`sources.f.pattern: "[a" is not a pattern; * matches in a name, ** matches directories, {a,b} one of several, [a-z] a character`,
		`sources.g.schema.id: "INT); drop" is not a type; write one of DuckDB's, such as VARCHAR, BIGINT, DECIMAL(18,2) or TIMESTAMP`,
	}},
	{"options of transformations", `
transformations:
  - {name: a, type: aggregate, input: raw, group_by: [d, d], measures: {n: count(), d: sum(x), bad: total(x), s: sum(*)}}
  - {name: b, type: select, input: a, columns: [x, {x: y}, 5, ""]}
  - {name: c, type: deduplicate, input: b, keys: [], order_by: [x, x desc]}
  - {name: d, type: lookup_join, input: c, lookup: raw, keys: {}, how: outer}
  - {name: e, type: schema_check, input: d, expected_columns: 5}
`, []string{
		`transformations[0].measures.bad: "total(x)" is not a measure; write count(), or one of count, count_distinct, sum, avg, min, max, median, stddev, first, last with a column: "sum(amount)"`,
		`transformations[0].measures.s: "sum(*)" is not a measure; write count(), or one of count, count_distinct, sum, avg, min, max, median, stddev, first, last with a column: "sum(amount)"`,
		"transformations[1].columns[2]: must be a column or {new name: column}, not a number",
		"transformations[1].columns[3]: must not be empty",
		"transformations[2].keys: must not be empty",
		"transformations[3].keys: must not be empty",
		`transformations[3].how: "outer" is not allowed; it must be left or inner`,
		"transformations[4].expected_columns: must be a list or an object, not a number",
		`transformations[0].group_by[1]: "d" is given twice`,
		"transformations[0].measures.d: has the name of a column of group_by",
		`transformations[1].columns[1]: "x" is given twice`,
	}},
	{"options of checks", `
quality_checks:
  - {name: a, type: row_count, input: raw, min: 5, max: 2, on_failure: quarantine}
  - {name: b, type: range, input: raw, column: x, min: 1e2, max: 99.5, threshold: 1.5}
  - {name: c, type: range, input: raw, column: x, min: 1, max: "2026-01-01"}
  - {name: d, type: range, input: raw, column: x, min: 2026-02-01, max: 2026-01-01}
  - {name: e, type: not_null, input: raw, column: x, columns: [y]}
  - {name: f, type: unique, input: raw}
  - {name: g, type: regex, input: raw, column: x, pattern: "(a"}
  - {name: h, type: freshness, input: raw, column: x, max_age: 2 days, on_failure: approve}
  - {name: i, type: accepted_values, input: raw, column: x, values: []}
  - {name: j, type: range, input: raw, column: x, min: true}
  - {name: k, type: custom_sql, input: raw, sql: select 1, column: x, on_failure: ignore}
`, []string{
		"quality_checks[1].threshold: must be between 0 and 1",
		`quality_checks[7].max_age: "2 days" is not a time span such as 10s, 5m, 1h30m or 7d`,
		"quality_checks[8].values: must not be empty",
		"quality_checks[9].min: must be a number, or text for a date or time, not true or false",
		"quality_checks[10].column: is not known here",
		`quality_checks[10].on_failure: "ignore" is not allowed; it must be warn, fail, quarantine or approve`,
		"quality_checks[0].on_failure: quarantine sets rows aside, but row_count looks at all rows together; use warn, fail or approve",
		"quality_checks[0].max: must not be less than min",
		"quality_checks[1].max: must not be less than min",
		"quality_checks[2].max: must be a number as min is",
		"quality_checks[3].max: must not be less than min",
		"quality_checks[4].columns: cannot be given together with column",
		"quality_checks[5].column: is required, or else columns",
		"quality_checks[6].pattern: is not a regular expression (RE2): error parsing regexp: missing closing ): `(a`",
	}},
	{"options of sinks", `
sources: {p: {type: jdbc, connection: db, table: t}, q: {type: jdbc, connection: db, table: t}}
sinks:
  a: {type: jdbc, connection: db, table: u, mode: merge_on_key}
  b: {type: jdbc, connection: db, table: u, input: p, merge_keys: [id], partition_by: [d]}
  c: {type: cloud_storage, connection: s, input: p, format: csv, mode: merge_on_key}
  d: {type: cloud_storage, connection: s, input: p, format: csv, mode: overwrite_partition, prefix: x/_y}
  e: {type: jdbc, connection: db, table: u, input: p, mode: merge_on_key, merge_keys: [id, id]}
`, []string{
		`sinks.c.mode: "merge_on_key" is not allowed; it must be append, overwrite or overwrite_partition`,
		"sinks.a.input: is required where there are several sources and no transformation",
		"sinks.a.merge_keys: is required with mode merge_on_key",
		"sinks.b.merge_keys: is for mode merge_on_key, not append",
		"sinks.b.partition_by: is for mode overwrite_partition, not append",
		"sinks.d.partition_by: is required with mode overwrite_partition",
		`sinks.e.merge_keys[1]: "id" is given twice`,
		`sinks.d.prefix: "_y" begins with _, which marks files that are not published`,
	}},
	{"orchestration", `
orchestration:
  engine: temporal
  dag_id: a dag
  retry_policy: {max_attempts: 101, initial_interval: 10m, backoff_coefficient: 0.5, max_interval: 5m}
  timeout: 1h
  task_timeout: 2h
  max_active_runs: 0
  max_parallel_tasks: 1001
  approval: {timeout: 400d, on_timeout: wait, required: 0, before: [raw, ot], groups: [a, a]}
  sla: {max_duration: 30}
  budget: {monthly_usd: 0.1234567, on_exceed: stop, monthly_us: 1}
  notifications: [{on: [failed, failure], webhook: "ftp://x"}, {on: []}]
`, []string{
		"orchestration.retry_policy.max_attempts: must be between 1 and 100",
		"orchestration.retry_policy.backoff_coefficient: must be between 1 and 10",
		"orchestration.max_active_runs: must be between 1 and 1000",
		"orchestration.max_parallel_tasks: must be between 1 and 1000",
		`orchestration.approval.timeout: "400d" is too long; at most 366d`,
		`orchestration.approval.on_timeout: "wait" is not allowed; it must be reject or approve`,
		"orchestration.approval.required: must be between 1 and 100",
		"orchestration.sla.max_duration: must be text, not a number",
		`orchestration.budget.monthly_usd: "0.1234567" has more than 6 decimals`,
		`orchestration.budget.on_exceed: "stop" is not allowed; it must be alert or block`,
		"orchestration.budget.monthly_us: is not known here; did you mean monthly_usd?",
		`orchestration.notifications[0].on[1]: "failure" is not allowed; it must be started, completed, failed, cancelled, approval_requested, quality_check_failed or sla_missed; did you mean failed?`,
		"orchestration.notifications[1].on: must not be empty",
		"orchestration.notifications[1].webhook: is required",
		"orchestration.retry_policy.max_interval: must not be shorter than initial_interval, 10m",
		"orchestration.approval.before[0]: raw is a source, not a sink",
		`orchestration.approval.before[1]: there is no sink "ot"; did you mean out?`,
		`orchestration.approval.groups[1]: "a" is given twice`,
		"orchestration.dag_id: is for engine airflow",
		"orchestration.task_timeout: must not be longer than the execution's timeout, 1h",
		"orchestration.notifications[0].webhook: must be an http or https URL",
	}},
	{"placeholders", `
sources:
  raw: {type: jdbc, connection: db, query: "select * from t where a = '${a}'"}
  odd: {type: jdbc, connection: db, query: "select * from {{ input }}"}
transformations:
  - {name: a, type: filter, input: raw, condition: "x = ${not closed"}
  - {name: b, type: sql_transform, inputs: [raw, a], sql: "select * from {{ input }}"}
  - {name: c, type: sql_transform, input: b, sql: "select 1 -- ${a}"}
  - {name: d, type: filter, input: nothing, condition: "{{ input }}.x > 1"}
sinks: {out: {type: jdbc, connection: db, table: "t_${}"}}
`, []string{
		`transformations[3].input: there is no source or transformation "nothing"`,
		"sources.raw.query: ${a} stands inside quotes: take the quotes away, the value brings its own",
		"sources.odd.query: {{ input }} stands where nothing is read",
		"transformations[0].condition: \"${not closed\" begins no ${name}; write $${ for a literal ${",
		"transformations[1].sql: {{ input }} needs a single input, there are 2; use their names",
		"transformations[2].sql: ${a} stands inside a comment: take it out, or write $${ for a literal ${",
		"sinks.out.table: \"${}\" begins no ${name}; write $${ for a literal ${",
	}},
	{"nothing to do", "sources: {}\nsinks: {}\norchestration: {engine: airflow}", []string{
		"sources: must hold at least one source",
		"sinks: must hold at least one sink",
	}},
}

func TestParseFindsEveryMistake(t *testing.T) {
	for _, test := range badDocuments {
		t.Run(test.name, func(t *testing.T) {
			_, err := Parse(fromYAML(t, test.yaml), "body.definition")
			got := lines(t, err, models.CodeInvalidDefinition)
			for i := range got {
				got[i] = strings.TrimPrefix(got[i], "body.definition.")
			}
			assert.Equal(t, strings.Join(test.want, "\n"), strings.Join(got, "\n"))
		})
	}
}
