package template

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/definition"
)

func load(t *testing.T) Catalogue {
	t.Helper()
	c, err := Load()
	require.NoError(t, err)
	return c
}

func TestCatalogue(t *testing.T) {
	c := load(t)
	assert.GreaterOrEqual(t, len(c), 12)
	assert.GreaterOrEqual(t, len(c.Industries()), 6)
	assert.True(t, slices.IsSortedFunc(c, func(a, b Template) int { return strings.Compare(a.ID, b.ID) }))
	assert.Len(t, c.Of(""), len(c))
	assert.Empty(t, c.Of("alchemy"))
	for _, one := range c.Of("retail") {
		assert.Equal(t, "retail", one.Industry)
	}
	one, err := c.Get("retail/daily_sales")
	require.NoError(t, err)
	assert.Equal(t, "Daily sales", one.Name)
	assert.Equal(t, []string{"retail", "daily_sales"}, one.Tags())
	for _, id := range []string{"", "retail", "retail/", "retail/nothing", "../template", "retail/daily_sales/template.yaml"} {
		_, err := c.Get(id)
		assert.Equal(t, models.CodeNotFound, models.CodeOf(err), id)
	}
}

// TestEveryTemplate holds each template against what all promise.
func TestEveryTemplate(t *testing.T) {
	for _, one := range load(t) {
		t.Run(one.ID, func(t *testing.T) {
			assert.Regexp(t, `^[a-z][a-z0-9_]*/[a-z][a-z0-9_]*$`, one.ID)
			assert.NotEmpty(t, one.Name)
			assert.Regexp(t, `^\d+\.\d+\.\d+$`, one.Version)
			assert.Greater(t, len(one.Description), 80)
			assert.NotEmpty(t, one.Compliance)

			var names []string
			for _, p := range one.Parameters {
				names = append(names, p.Name)
				assert.NotEmpty(t, p.Description, p.Name)
				assert.True(t, p.Required != (p.Default != nil), "%s is required or has a default", p.Name)
			}
			draft, err := definition.NewDraft(one.Definition)
			require.NoError(t, err)
			assert.Equal(t, slices.Sorted(slices.Values(names)), draft.Waiting(), "every parameter is used, and no other")
			assert.NotRegexp(t, regexp.MustCompile(`"(sql|condition|query)":\{"\$parameter"`), string(one.Definition),
				"a parameter is a value, not SQL")

			instance, err := one.Instantiate(one.Example.Parameters, nil)
			require.NoError(t, err)
			assert.Empty(t, instance.Mistakes)
			parsed, err := definition.Parse(instance.Definition(), "definition")
			require.NoError(t, err)
			_, err = parsed.Bind(one.Example.Execution, definition.Builtins{}, "execution")
			require.NoError(t, err)
			assert.NotEmpty(t, parsed.QualityChecks)
			for _, p := range parsed.Parameters {
				assert.True(t, p.Required != (p.Default != nil), "%s is required or has a default", p.Name)
			}
		})
	}
}

// frame is a small template.
const frame = `
name: Frame
version: 1.0.0
description: Moves rows.
compliance: []
parameters:
  - {name: from, type: connection, required: true}
  - {name: least, type: number, default: 1.5}
  - {name: most, type: integer, default: 100}
  - {name: folder, type: string, default: out/}
example: {parameters: {from: here}, execution: {}}
definition:
  parameters:
    - {name: least, type: number, default: {$parameter: least}}
    - {name: note, type: string, default: {$parameter: folder}}
  sources:
    raw: {type: cloud_storage, connection: {$parameter: from}, format: csv}
  transformations:
    - {name: big, type: sql_transform, input: raw, sql: "select * from {{ input }} where amount > ${least}"}
    - {name: one, type: deduplicate, input: big, keys: [id, day]}
  quality_checks:
    - {name: few, type: row_count, input: one, max: {$parameter: most}}
  sinks:
    out: {type: cloud_storage, connection: {$parameter: from}, prefix: {$parameter: folder}, format: csv}
`

func instantiate(t *testing.T, parameters, customizations string) (doc map[string]any, mistakes map[string]string) {
	t.Helper()
	one, err := parse([]byte(frame))
	require.NoError(t, err)
	instance, err := one.Instantiate(json.RawMessage(parameters), json.RawMessage(customizations))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(instance.Definition(), &doc))
	found := instance.Mistakes
	if _, err := definition.Parse(instance.Definition(), "definition"); err != nil {
		var known *models.Error
		require.ErrorAs(t, err, &known)
		found = append(found, instance.Blame(known.Mistakes, "definition")...)
	}
	mistakes = map[string]string{}
	for _, m := range found {
		if _, again := mistakes[m.Location]; !again {
			mistakes[m.Location] = m.Message
		}
	}
	return doc, mistakes
}

// at follows keys and indexes into a document.
func at(doc any, place ...any) any {
	for _, part := range place {
		switch part := part.(type) {
		case string:
			doc = doc.(map[string]any)[part]
		case int:
			doc = doc.([]any)[part]
		}
	}
	return doc
}

func TestParametersArePutInWithTheirTypes(t *testing.T) {
	doc, mistakes := instantiate(t, `{"from": "landing", "most": 7}`, "")
	assert.Empty(t, mistakes)
	assert.Equal(t, "landing", at(doc, "sources", "raw", "connection"))
	assert.Equal(t, "landing", at(doc, "sinks", "out", "connection"))
	assert.Equal(t, 7.0, at(doc, "quality_checks", 0, "max"))
	assert.Equal(t, 1.5, at(doc, "parameters", 0, "default"))
	assert.Equal(t, "out/", at(doc, "sinks", "out", "prefix"))
	assert.Contains(t, at(doc, "transformations", 0, "sql"), "${least}", "what executions are given stays")
}

// TestParametersAreNothingButValues tries to smuggle more than a value in.
func TestParametersAreNothingButValues(t *testing.T) {
	doc, mistakes := instantiate(t, `{"from": "x\", \"mode\": \"append", "folder": "a/${tenant_id}/$${b}/{{ input }}/"}`, "")
	assert.Empty(t, mistakes)
	assert.Equal(t, `x", "mode": "append`, at(doc, "sources", "raw", "connection"))
	assert.Equal(t, "a/$${tenant_id}/$$${b}/{{ input }}/", at(doc, "sinks", "out", "prefix"))
	assert.Equal(t, "a/${tenant_id}/$${b}/{{ input }}/", at(doc, "parameters", 1, "default"), "a default is a value already")

	raw, err := json.Marshal(doc)
	require.NoError(t, err)
	d, err := definition.Parse(raw, "definition")
	require.NoError(t, err)
	values, err := d.Bind(nil, definition.Builtins{Tenant: "t"}, "")
	require.NoError(t, err)
	rendered, err := d.Render(values)
	require.NoError(t, err)
	assert.Equal(t, "a/${tenant_id}/$${b}/{{ input }}/", rendered.Sinks[0].Storage.Prefix, "it ends as it was given")

	for _, value := range []string{`{"$parameter": "least"}`, `["a"]`, `null`, `1`} {
		_, mistakes = instantiate(t, `{"from": "x", "folder": `+value+`}`, "")
		assert.Contains(t, mistakes, "body.parameters.folder", value)
		assert.Len(t, mistakes, 1, value)
	}
}

func TestCustomizations(t *testing.T) {
	doc, mistakes := instantiate(t, `{"from": "landing"}`, `{
		"sources.raw.format": "json",
		"sources.raw.allow_empty": true,
		"transformations.big.sql": "select 1 as id",
		"transformations[1].keys[1]": "hour",
		"quality_checks.0.max": null,
		"quality_checks.few.min": 1,
		"orchestration": {"timeout": "2h"}
	}`)
	assert.Empty(t, mistakes)
	assert.Equal(t, "json", at(doc, "sources", "raw", "format"))
	assert.Equal(t, true, at(doc, "sources", "raw", "allow_empty"))
	assert.Equal(t, "select 1 as id", at(doc, "transformations", 0, "sql"))
	assert.Equal(t, []any{"id", "hour"}, at(doc, "transformations", 1, "keys"))
	assert.Equal(t, map[string]any{"name": "few", "type": "row_count", "input": "one", "min": 1.0}, at(doc, "quality_checks", 0))
	assert.Equal(t, "2h", at(doc, "orchestration", "timeout"))

	doc, mistakes = instantiate(t, `{"from": "landing"}`, `{"transformations[0]": null, "transformations.one.input": "raw", "quality_checks.few": null}`)
	assert.Empty(t, mistakes, "what is taken out does not move what others name")
	assert.Len(t, at(doc, "transformations"), 1)
	assert.Equal(t, "raw", at(doc, "transformations", 0, "input"))
	assert.Empty(t, at(doc, "quality_checks"))
}

// TestAllMistakesAtOnce has mistakes of every kind in one request.
func TestAllMistakesAtOnce(t *testing.T) {
	_, mistakes := instantiate(t, `{"frm": "landing", "least": "2", "most": -1}`, `{
		"sources.row.format": "json",
		"sources.raw.format": "xml",
		"sources.raw.colour": "red",
		"sources.raw.mode": null,
		"sources.raw.format.deeper": 1,
		"transformations.big": {"name": "big", "type": "filter", "input": "raw", "colour": 1},
		"transformations.two": null,
		"transformations[2]": {},
		"transformations[0].name": "huge",
		"sinks.out": null,
		"sinks..prefix": 1,
		"quality_checks[0].input": "nothing",
		"": 1
	}`)
	want := map[string]string{
		"body.parameters.frm":                                  "is not a parameter of this template; did you mean from?",
		"body.parameters.from":                                 "is required (string)",
		"body.parameters.least":                                "must be a number (number), not text",
		"body.parameters.most":                                 "must be at least 0",
		`body.customizations["sources.row.format"]`:            "there is no sources.row; did you mean raw?",
		`body.customizations["sources.raw.format"]`:            `"xml" is not allowed; it must be csv, json or parquet`,
		`body.customizations["sources.raw.colour"]`:            "is not known here",
		`body.customizations["sources.raw.mode"]`:              "there is no sources.raw.mode to take out",
		`body.customizations["sources.raw.format.deeper"]`:     "there is nothing below sources.raw.format, which is text",
		`body.customizations["transformations.big"].colour`:    "is not known here",
		`body.customizations["transformations.two"]`:           "there is no transformations.two",
		`body.customizations["transformations[2]"]`:            "there is no transformations.2",
		`body.customizations["transformations[0].name"]`:       `lies within "transformations.big", which is customized, too`,
		`body.customizations["sinks..prefix"]`:                 "is no path; write it as sources.raw.table, transformations.clean.sql or transformations[0].sql",
		`body.customizations[""]`:                              "is no path; write it as sources.raw.table, transformations.clean.sql or transformations[0].sql",
		`body.customizations["quality_checks[0].input"]`:       `there is no source or transformation "nothing"`,
		`body.customizations["transformations.big"].condition`: "is required",
		"definition.sinks":                                     "must hold at least one sink",
	}
	for location, message := range want {
		if assert.Contains(t, mistakes, location) {
			assert.Contains(t, mistakes[location], message, location)
		}
	}
	assert.Len(t, mistakes, len(want), "%v", mistakes)

	_, mistakes = instantiate(t, `{"from": "x"}`, `{"transformations.big.sql": "select 1", "transformations[0].sql": "select 2"}`)
	assert.Equal(t, map[string]string{`body.customizations["transformations[0].sql"]`: `names the same place as "transformations.big.sql"`}, mistakes)
}
