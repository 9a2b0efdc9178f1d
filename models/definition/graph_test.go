package definition

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/matih/pipeline-service/models"
)

// draw writes a graph as lines "name: inputs | after", an input as step or step=supplier.
func draw(nodes []Node) string {
	var b strings.Builder
	for _, n := range nodes {
		var inputs []string
		for _, in := range n.Inputs {
			if in.Name == in.From {
				inputs = append(inputs, in.Name)
			} else {
				inputs = append(inputs, in.Name+"="+in.From)
			}
		}
		fmt.Fprintf(&b, "%s: %s | %s\n", n.Name, strings.Join(inputs, " "), strings.Join(n.After, " "))
	}
	return b.String()
}

func TestGraph(t *testing.T) {
	tests := []struct{ name, yaml, want string }{
		{"the document's order holds where nothing else does", `
sources: {b: {type: jdbc, connection: c, table: t}, a: {type: jdbc, connection: c, table: t}}
transformations:
  - {name: late, type: sql_transform, inputs: [early, a], sql: select 1}
  - {name: early, type: filter, input: b, condition: x}
  - {name: alone, type: filter, input: a, condition: x}
sinks: {z: {type: jdbc, connection: c, table: t, input: b}, y: {type: jdbc, connection: c, table: t, input: late}}
`, `
b:  | 
a:  | 
early: b | b
late: early a | early a
alone: a | a
z: b | b
y: late | late
`},
		{"a sink waits for the checks on every step it is made of, and for no others", `
sources: {raw: {type: jdbc, connection: c, table: t}, other: {type: jdbc, connection: c, table: t}}
transformations:
  - {name: a, type: filter, input: raw, condition: x}
  - {name: b, type: filter, input: a, condition: x}
quality_checks:
  - {name: on_b, type: not_null, input: b, column: x}
  - {name: on_raw, type: row_count, input: raw, min: 1, on_failure: approve}
  - {name: on_other, type: unique, input: other, column: x, on_failure: warn}
sinks:
  early: {type: jdbc, connection: c, table: t, input: a}
  last: {type: jdbc, connection: c, table: t}
  apart: {type: jdbc, connection: c, table: t, input: other}
`, `
raw:  | 
other:  | 
a: raw | raw
b: a | a
on_b: b | b
on_raw: raw | raw
on_other: other | other
early: a | a on_raw
last: b | b on_b on_raw
apart: other | other on_other
`},
		{"quarantine checks of a step form a chain, whose end every reader reads", `
sources: {raw: {type: jdbc, connection: c, table: t}}
transformations:
  - {name: a, type: filter, input: raw, condition: x}
quality_checks:
  - {name: q1, type: not_null, input: raw, column: x, on_failure: quarantine}
  - {name: plain, type: not_null, input: raw, column: y}
  - {name: q2, type: range, input: raw, column: x, min: 0, on_failure: quarantine}
  - {name: below, type: not_null, input: a, column: x}
sinks:
  out: {type: jdbc, connection: c, table: t}
  copy: {type: jdbc, connection: c, table: t, input: raw}
`, `
raw:  | 
q1: raw | raw
plain: raw | raw
q2: raw=q1 | q1
a: raw=q2 | q2
below: a | a
out: a | a plain below
copy: raw=q2 | q2 plain
`},
		{"a referential check reads what goes on of its reference", `
sources: {raw: {type: jdbc, connection: c, table: t}, ref: {type: jdbc, connection: c, table: t}}
quality_checks:
  - {name: q, type: not_null, input: ref, column: id, on_failure: quarantine}
  - {name: fk, type: referential, input: raw, column: id, reference: ref, on_failure: quarantine}
  - {name: self, type: referential, input: raw, column: parent, reference: raw, reference_column: id, on_failure: quarantine}
sinks: {out: {type: jdbc, connection: c, table: t, input: raw}}
`, `
raw:  | 
ref:  | 
q: ref | ref
fk: raw ref=q | raw q
self: raw=fk | fk
out: raw=self | self
`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			assert.Equal(t, strings.TrimPrefix(test.want, "\n"), draw(parseYAML(t, test.yaml).Graph()))
		})
	}
}

func TestGraphKinds(t *testing.T) {
	d := parseYAML(t, `
transformations: [{name: a, type: filter, input: raw, condition: x}]
quality_checks: [{name: c, type: not_null, input: a, column: x}]
`)
	var kinds []models.TaskKind
	for _, n := range d.Graph() {
		kinds = append(kinds, n.Kind)
	}
	assert.Equal(t, []models.TaskKind{models.TaskSource, models.TaskTransformation, models.TaskCheck, models.TaskSink}, kinds)
}

// TestGraphIsComplete looks at large graphs: each task stands once and behind all it waits for.
func TestGraphIsComplete(t *testing.T) {
	for name, doc := range map[string][]byte{"chain": chain(maxTasks), "wide": wide(maxTasks)} {
		t.Run(name, func(t *testing.T) {
			d, err := Parse(doc, "")
			require.NoError(t, err)
			start := time.Now()
			nodes := d.Graph()
			assert.Less(t, time.Since(start), 10*time.Second)
			assert.Len(t, nodes, maxTasks)
			done := map[string]bool{}
			for _, n := range nodes {
				for _, name := range n.After {
					if !done[name] {
						t.Fatalf("%s waits for %s, which comes later", n.Name, name)
					}
				}
				done[n.Name] = true
			}
			assert.Len(t, done, maxTasks)
		})
	}
}
