package definition

import (
	"encoding/json"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/matih/pipeline-service/models"
)

var builtins = Builtins{
	ExecutionID:   "exec-1",
	ExecutionDate: time.Date(2026, 2, 12, 7, 30, 0, 0, time.FixedZone("", 3600)),
	LastRun:       time.Date(2026, 2, 11, 6, 30, 0, 123456789, time.UTC),
	Tenant:        "11111111-2222-4333-8444-555555555555",
}

// render gives the SQL of a filter and the prefix of a sink, rendered.
func render(t *testing.T, declared, given string, b Builtins, sql, prefix string) (string, string) {
	t.Helper()
	quoted := func(s string) string { raw, _ := json.Marshal(s); return string(raw) }
	d := parseYAML(t, declared+"\ntransformations: [{name: a, type: filter, input: raw, condition: "+quoted(sql)+"}]\n"+
		"sinks: {out: {type: cloud_storage, connection: s, format: csv, prefix: "+quoted(prefix)+"}}\n")
	v, err := d.Bind(json.RawMessage(given), b, "body.parameters")
	require.NoError(t, err)
	r, err := d.Render(v)
	require.NoError(t, err)
	return r.Transformations[0].Filter.Condition, r.Sinks[0].Storage.Prefix
}

func TestRender(t *testing.T) {
	const all = `parameters:
  - {name: s, type: string}
  - {name: i, type: integer}
  - {name: n, type: number}
  - {name: b, type: boolean}
  - {name: d, type: date}
  - {name: t, type: timestamp}
`
	tests := []struct{ declared, given, text, sql, plain string }{
		{all, `{"s":"it's"}`, "${s}", "'it''s'", "it's"},
		{all, `{"s":"'; drop table x; --"}`, "${s}", "'''; drop table x; --'", "'; drop table x; --"},
		{all, `{"s":"\\"}`, "${s}", `'\'`, `\`},
		{all, `{"s":"${i} $${ {{ input }}"}`, "${s}", "'${i} $${ {{ input }}'", "${i} $${ {{ input }}"},
		{all, `{"s":""}`, "a${s}", "", "a"},
		{all, `{"i":42}`, "${i}", "42", "42"},
		{all, `{"i":-5}`, "${i}", "(-5)", "-5"},
		{all, `{"n":1.50}`, "${n}", "1.50", "1.50"},
		{all, `{"n":-1e5}`, "x -${n}", "x -(-1e5)", "x --1e5"},
		{all, `{"b":true}`, "${b}", "TRUE", "true"},
		{all, `{"d":"2026-02-01"}`, "${d}", "DATE '2026-02-01'", "2026-02-01"},
		{all, `{"t":"2026-02-01T08:00:00.1234567+01:00"}`, "${t}", "TIMESTAMPTZ '2026-02-01 07:00:00.123456+00'", "2026-02-01T08:00:00.1234567+01:00"},
		{"", `{"x":"2026-02-01"}`, "${x}", "'2026-02-01'", "2026-02-01"},
		{"", `{"x":7}`, "${x}", "7", "7"},
		{"", `{"x":false}`, "${x}", "FALSE", "false"},
		{"", ``, "$${x} {{ other }}", "${x} {{ other }}", "${x} {{ other }}"},
		{"", ``, "${execution_id}", "'exec-1'", "exec-1"},
		{"", ``, "${tenant_id}", "'11111111-2222-4333-8444-555555555555'", "11111111-2222-4333-8444-555555555555"},
		{"", ``, "${execution_date}", "TIMESTAMPTZ '2026-02-12 06:30:00.000000+00'", "2026-02-12T06:30:00Z"},
		{"", ``, "${last_run}", "TIMESTAMPTZ '2026-02-11 06:30:00.123456+00'", "2026-02-11T06:30:00.123456789Z"},
		{"", `{"last_run":1}`, "${last_run}", "1", "1"},
		{"parameters: [{name: tenant_id, type: string, default: x}]", ``, "${tenant_id}", "'x'", "x"},
		{"parameters: [{name: x, type: integer, default: 3}]", `{}`, "${x}", "3", "3"},
		{"parameters: [{name: x, type: integer, default: 3}]", `{"x":4}`, "${x}", "4", "4"},
	}
	for _, test := range tests {
		sql := test.text
		if test.sql == "" {
			sql = "true"
		}
		gotSQL, gotPlain := render(t, test.declared, test.given, builtins, sql, test.text)
		if test.sql != "" {
			assert.Equal(t, test.sql, gotSQL, test.given)
		}
		assert.Equal(t, test.plain, gotPlain, test.given)
	}

	sql, _ := render(t, "", "", Builtins{}, "x > ${last_run}", "")
	assert.Equal(t, "x > TIMESTAMPTZ '1970-01-01 00:00:00.000000+00'", sql, "nothing has completed yet")
	sql, _ = render(t, "", `{"x":null}`, Builtins{}, "x is ${x} -- {{ input }}", "")
	assert.Equal(t, `x is NULL -- "raw"`, sql)
}

func TestRenderKeepsTypesInJSONFields(t *testing.T) {
	d := parseYAML(t, `
quality_checks:
  - {name: a, type: range, input: raw, column: x, min: "${low}", max: "${day}"}
  - {name: b, type: accepted_values, input: raw, column: x, values: ["${low}", "v${low}", "a\"${day}", 3, "$${x}"]}
`)
	v, err := d.Bind(json.RawMessage(`{"low":-1.5,"day":"2026-02-01"}`), builtins, "")
	require.NoError(t, err)
	r, err := d.Render(v)
	require.NoError(t, err)
	assert.JSONEq(t, `-1.5`, string(r.QualityChecks[0].Min))
	assert.JSONEq(t, `"2026-02-01"`, string(r.QualityChecks[0].Max))
	values, err := json.Marshal(r.QualityChecks[1].Values)
	require.NoError(t, err)
	assert.JSONEq(t, `[-1.5,"v-1.5","a\"2026-02-01",3,"${x}"]`, string(values))
	assert.JSONEq(t, `"${low}"`, string(d.QualityChecks[0].Min), "the definition itself stays as it is")
}

func TestRenderLeavesTheDefinitionAlone(t *testing.T) {
	raw, err := os.ReadFile("testdata/example.yaml")
	require.NoError(t, err)
	d := parseYAML(t, strings.Replace(string(raw), "type: date, required: true}", "type: date, required: true}\n  - {name: HOOK_URL, type: string, required: true}", 1))
	before, err := json.Marshal(d)
	require.NoError(t, err)
	v, err := d.Bind(json.RawMessage(`{"start_date":"2026-02-01","HOOK_URL":"https://hooks.example/x"}`), builtins, "")
	require.NoError(t, err)
	r, err := d.Render(v)
	require.NoError(t, err)
	after, err := json.Marshal(d)
	require.NoError(t, err)
	assert.Equal(t, string(before), string(after))
	assert.Equal(t, "select * from raw_transactions where amount > 0 and day >= DATE '2026-02-01'", r.Transformations[0].SQL.SQL)
	assert.Equal(t, "https://hooks.example/x", r.Orchestration.Notifications[0].Webhook)
	assert.Equal(t, draw(d.Graph()), draw(r.Graph()))
}

func TestRenderNeedsValuesOfTheSameDefinition(t *testing.T) {
	d := parseYAML(t, "transformations: [{name: a, type: filter, input: raw, condition: 'x > ${x}'}]")
	_, err := d.Render(&Values{})
	assert.Equal(t, models.CodeInvalidParameters, models.CodeOf(err))
}

func TestBind(t *testing.T) {
	const declared = `parameters:
  - {name: start_date, type: date, required: true}
  - {name: limit, type: integer, default: 10}
  - {name: at, type: timestamp}
  - {name: flag, type: boolean}
  - {name: text, type: string}
`
	const free = "transformations: [{name: a, type: filter, input: raw, condition: 'x > ${x} and y > ${y}'}]"
	tests := []struct {
		name, yaml, given string
		want              []string
	}{
		{"all that is required", declared, `{"start_date":"2026-02-01"}`, nil},
		{"nothing", declared, ``, []string{"start_date: is required (date)"}},
		{"null", declared, `null`, []string{"start_date: is required (date)"}},
		{"types", declared, `{"start_date":"2026-2-1","limit":"5","at":"2026-02-01T25:00:00Z","flag":1,"text":{"a":1}}`, []string{
			`start_date: "2026-2-1" is not a date; write it as 2026-02-01`,
			"limit: must be a number (integer), not text",
			`at: "2026-02-01T25:00:00Z" is not a timestamp; write it as 2026-02-01T06:30:00Z`,
			"flag: must be true or false (boolean), not a number",
			"text: must be text (string), not an object",
		}},
		{"others", declared, `{"start_date":"2026-02-01","limt":5}`, []string{"limt: is not a parameter of this pipeline; did you mean limit?"}},
		{"not an object", declared, `[1]`, []string{"must be an object, not a list", "start_date: is required (date)"}},
		{"not JSON", free, `{"x":}`, []string{
			"is not JSON: line 1, column 6: invalid character '}' looking for beginning of value",
			"x: is needed: ${x} stands in transformations[0].condition", "y: is needed: ${y} stands in transformations[0].condition",
		}},
		{"twice", free, `{"x":1,"x":2,"y":1}`, []string{"x: is given twice"}},
		{"unknown names", free, `{"x":1}`, []string{"y: is needed: ${y} stands in transformations[0].condition"}},
		{"undeclared names", declared + free, `{"start_date":"2026-02-01"}`, []string{
			"x: is needed, because ${x} stands in transformations[0].condition, but the definition does not declare it",
			"y: is needed, because ${y} stands in transformations[0].condition, but the definition does not declare it",
		}},
		{"values without a literal", free, `{"x":[1],"y":{"a":1}}`, []string{
			"x: must be text, a number, true or false, or null; not a list",
			"y: must be text, a number, true or false, or null; not an object",
		}},
		{"null in text", "sinks: {out: {type: jdbc, connection: c, table: 't_${x}'}}", `{"x":null}`, []string{
			"x: must not be null, because it stands in sinks.out.table",
		}},
		{"values that do not fit where they stand", `
sources: {raw: {type: cloud_storage, connection: c, format: csv, prefix: "in/${day}/", pattern: "${glob}"}}
sinks: {out: {type: jdbc, connection: c, table: "${table}"}}
orchestration: {notifications: [{on: [failed], webhook: "${hook}"}]}`,
			`{"day":"../..","glob":"[a","table":"a.b.c","hook":"file:///etc/passwd"}`, []string{
				"day: does not fit sources.raw.prefix: must not hold the path elements . and ..",
				`glob: does not fit sources.raw.pattern: "[a" is not a pattern; * matches in a name, ** matches directories, {a,b} one of several, [a-z] a character`,
				`table: does not fit sinks.out.table: "a.b.c" must be a table or schema.table`,
				"hook: does not fit orchestration.notifications[0].webhook: must be an http or https URL",
			}},
		{"a NUL", free, `{"x":"\u0000","y":1}`, []string{"x: holds a NUL character"}},
		{"numbers", "parameters: [{name: i, type: integer}, {name: n, type: number}]", `{"i":9223372036854775808,"n":1e400}`, []string{
			`n: "1e400" is beyond the range of numbers`,
			`i: "9223372036854775808" is not a whole number of 64 bits`,
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := parseYAML(t, test.yaml).Bind(json.RawMessage(test.given), builtins, "body.parameters")
			got := lines(t, err, models.CodeInvalidParameters)
			for i := range got {
				got[i] = strings.TrimPrefix(strings.TrimPrefix(got[i], "body.parameters"), ".")
				got[i] = strings.TrimPrefix(got[i], ": ")
			}
			assert.Equal(t, strings.Join(test.want, "\n"), strings.Join(got, "\n"))
		})
	}
}

func TestBindBoundsWhatRenderMakes(t *testing.T) {
	d, err := Parse([]byte(strings.ReplaceAll(string(chain(1000)), "${day}", "${a} || ${a}")), "")
	require.NoError(t, err)
	_, err = d.Bind(json.RawMessage(`{"a":"`+strings.Repeat("x", 1<<20)+`"}`), builtins, "p")
	assert.Equal(t, []string{"p: make the definition longer than 16 MiB"}, lines(t, err, models.CodeInvalidParameters))
}

// TestEveryTextIsRendered guards against a field of the types that the walk over the texts misses.
func TestEveryTextIsRendered(t *testing.T) {
	var d Definition
	fill(reflect.ValueOf(&d).Elem())
	d.Parameters = nil
	for i := range d.Transformations {
		d.Transformations[i].Inputs = []string{"a"}
	}
	r, err := d.Render(&Values{byName: map[string]value{"x": {typ: ParameterString, text: "y"}}})
	require.NoError(t, err)
	raw, err := json.Marshal(r)
	require.NoError(t, err)
	assert.NotContains(t, string(raw), "${x}")
	assert.Equal(t, 4, strings.Count(string(raw), "'y'"), "the fields with SQL: %s", raw)
}

// fill sets every text below v to a placeholder, every pointer and every list to one item.
func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString("${x}")
	case reflect.Int64:
		v.SetInt(int64(time.Hour))
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem())
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i))
		}
	case reflect.Slice:
		if v.Type() == rawType {
			v.SetBytes([]byte(`"${x}"`))
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0))
	}
}
