package definition

import (
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAgain(t *testing.T) {
	doc, err := FromYAML([]byte(`
sources: {raw: {type: jdbc, connection: c, table: t}, other: {type: jdbc, connection: c, table: t}}
transformations:
  - {name: a, type: filter, input: raw, condition: x}
  - {name: b, type: filter, input: other, condition: x}
quality_checks:
  - {name: on_raw, type: row_count, input: raw, min: 1}
  - {name: clean_b, type: not_null, input: b, column: x, on_failure: quarantine}
sinks:
  from_a: {type: jdbc, connection: c, table: t, input: a}
  from_b: {type: jdbc, connection: c, table: t, input: b}
`))
	require.NoError(t, err)
	d, err := Parse(doc, "definition")
	require.NoError(t, err)
	for _, c := range []struct {
		stale string
		want  []string
	}{
		{"raw", []string{"a", "from_a", "on_raw", "raw"}},
		{"on_raw", []string{"from_a", "on_raw"}},
		{"b", []string{"b", "clean_b", "from_b"}},
		{"clean_b", []string{"clean_b", "from_b"}},
		{"from_a", []string{"from_a"}},
		{"none", nil},
	} {
		again := Again(d.Graph(), func(n Node) bool { return n.Name == c.stale })
		assert.Equal(t, c.want, slices.Sorted(maps.Keys(again)), c.stale)
	}
}
