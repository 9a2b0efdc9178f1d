package definition

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func change(path, before, after string) Change {
	c := Change{Path: path}
	if before != "" {
		c.Before = json.RawMessage(before)
	}
	if after != "" {
		c.After = json.RawMessage(after)
	}
	return c
}

func TestDiff(t *testing.T) {
	const before = `{
		"sources": {"a": {"connection": "x", "prefix": "p/"}, "b": {"connection": "y"}, "odd key": {"n": 1}},
		"transformations": [
			{"name": "one", "sql": "select 1", "keys": ["id"]}, {"name": "two", "sql": "select 2"}, {"name": "three", "sql": "select 3"}],
		"orchestration": {"notifications": [{"on": ["failed"]}], "timeout": "1h"}
	}`
	const after = `{
		"orchestration": {"timeout": "2h", "notifications": [{"on": ["failed", "completed"]}]},
		"sources": {"a": {"prefix": "p/", "connection": "x", "format": "csv"}, "c": {"connection": "z"}, "odd key": {"n": 1.0}},
		"transformations": [
			{"name": "three", "sql": "select 3"}, {"name": "one", "keys": ["id", "day"], "sql": "select 11"}, {"name": "four", "sql": "<&>"}],
		"sinks": {}
	}`
	got, err := Diff([]byte(before), []byte(after))
	require.NoError(t, err)
	assert.Equal(t, Difference{
		Added: []Change{
			change("sources.a.format", "", `"csv"`),
			change("sources.c", "", `{"connection":"z"}`),
			change("transformations.four", "", `{"name":"four","sql":"<&>"}`),
			change("sinks", "", `{}`),
		},
		Removed: []Change{
			change("sources.b", `{"connection":"y"}`, ""),
			change("transformations.two", `{"name":"two","sql":"select 2"}`, ""),
		},
		Changed: []Change{
			change(`sources["odd key"].n`, "1", "1.0"),
			change("transformations", `["one","three"]`, `["three","one"]`),
			change("transformations.one.sql", `"select 1"`, `"select 11"`),
			change("transformations.one.keys", `["id"]`, `["id","day"]`),
			change("orchestration.notifications", `[{"on":["failed"]}]`, `[{"on":["failed","completed"]}]`),
			change("orchestration.timeout", `"1h"`, `"2h"`),
		},
	}, got)

	for _, doc := range []string{before, after} {
		same, err := Diff([]byte(doc), []byte(doc))
		require.NoError(t, err)
		assert.Equal(t, Difference{}, same)
	}
	moved, err := Diff([]byte(`{"a":{"x":[{"k":1,"l":2}]}}`), []byte(`{"a":{"x":[{"l":2,"k":1}]}}`))
	require.NoError(t, err)
	assert.Equal(t, Difference{}, moved, "the order of keys is no difference")
	kinds, err := Diff([]byte(`{"a":[],"b":{},"c":null}`), []byte(`{"a":{},"b":[],"c":false}`))
	require.NoError(t, err)
	assert.Len(t, kinds.Changed, 3)
	_, err = Diff([]byte(`{`), []byte(`{}`))
	assert.Error(t, err)
}

// TestPathsOfDifferencesAreThoseOfCustomizations makes the second document of the first by the differences.
func TestPathsOfDifferencesAreThoseOfCustomizations(t *testing.T) {
	const before = `{"sources":{"a":{"n":1},"b":{},"x.y \"z\"":{"n":1}},"transformations":[{"name":"one","sql":"1"},{"name":"two"}],"l":[1,2]}`
	const after = `{"sources":{"a":{"n":2,"m":null},"x.y \"z\"":{"n":2}},"transformations":[{"name":"one","sql":"2"}],"l":[1]}`
	diff, err := Diff([]byte(before), []byte(after))
	require.NoError(t, err)
	changes := node{kind: kindObject}
	put := func(path string, value json.RawMessage) {
		var m mistakes
		changes.keys = append(changes.keys, path)
		changes.items = append(changes.items, readTree(value, newPath(""), &m))
	}
	for _, c := range diff.Removed {
		put(c.Path, json.RawMessage("null"))
	}
	for _, c := range diff.Changed {
		put(c.Path, c.After)
	}
	draft, err := NewDraft([]byte(before))
	require.NoError(t, err)
	require.NoError(t, draft.Customize(changes.json(), "body"))
	rest, err := Diff(draft.JSON(), []byte(after))
	require.NoError(t, err)
	assert.Equal(t, Difference{Added: []Change{change("sources.a.m", "", "null")}}, rest, "null cannot be put in")
}

func TestParsePlace(t *testing.T) {
	for text, want := range map[string][]string{
		"a":                    {"a"},
		"sources.raw.table":    {"sources", "raw", "table"},
		"transformations[0]":   {"transformations", "0"},
		"t[0][12].x":           {"t", "0", "12", "x"},
		"t.0.x":                {"t", "0", "x"},
		`a["b.c\"d"].e["f g"]`: {"a", `b.c"d`, "e", "f g"},
		"a-b.ü":                {"a-b", "ü"},
	} {
		got, err := parsePlace(text)
		require.NoError(t, err, text)
		assert.Equal(t, want, got, text)
	}
	for _, text := range []string{"", ".", "a.", ".a", "a..b", "a[", "a[]", "a[x]", "a[-1]", "a[01]", "a[1", "a[0]b", `a["b`, `a["b"`, `a["b"]c`, "a.[0]", "a[0].", `a["b\q"]`} {
		_, err := parsePlace(text)
		assert.Error(t, err, text)
	}
}

func FuzzParsePlace(f *testing.F) {
	for _, text := range []string{"sources.raw.table", "t[0].x", `a["b.c"].d`, "a..b", `["`} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		place, err := parsePlace(text)
		if err != nil {
			return
		}
		at := newPath("")
		for _, part := range place {
			at = at.at(part)
		}
		if again, err := parsePlace(at.String()); err == nil && len(at.String()) < maxQuoted {
			assert.Equal(t, place, again, "a place is read as it is written: %s", at)
		}
	})
}
