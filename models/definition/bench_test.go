package definition

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// BenchmarkParseAndGraph is what creating and preparing a pipeline of so many tasks costs.
func BenchmarkParseAndGraph(b *testing.B) {
	for _, n := range []int{600, 2_000, 10_000} {
		for shape, doc := range map[string][]byte{"chain": chain(n), "wide": wide(n)} {
			b.Run(fmt.Sprintf("%s/%d", shape, n), func(b *testing.B) {
				b.SetBytes(int64(len(doc)))
				b.ReportAllocs()
				for b.Loop() {
					d, err := Parse(doc, "body.definition")
					if err != nil {
						b.Fatal(err)
					}
					if len(d.Graph()) != n {
						b.Fatal("tasks are missing")
					}
				}
			})
		}
	}
}

// BenchmarkBindAndRender is what each execution costs.
func BenchmarkBindAndRender(b *testing.B) {
	for _, n := range []int{600, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			d, err := Parse(chain(n), "")
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				v, err := d.Bind([]byte(`{"day":"2026-02-01"}`), Builtins{ExecutionDate: time.Now()}, "")
				if err != nil {
					b.Fatal(err)
				}
				if _, err := d.Render(v); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// wide is a definition of n tasks where the sinks wait for many checks: a chain of steps, each with
// a check and a sink of its own.
func wide(n int) []byte {
	steps := (n - 1) / 3
	var transformations, checks, sinks []string
	input := "raw"
	for i := range steps {
		transformations = append(transformations, fmt.Sprintf(`{"name":"t%d","type":"filter","input":"%s","condition":"x > %d"}`, i, input, i))
		input = fmt.Sprintf("t%d", i)
		checks = append(checks, fmt.Sprintf(`{"name":"c%d","type":"not_null","input":"%s","column":"x"}`, i, input))
		sinks = append(sinks, fmt.Sprintf(`"s%d":{"type":"jdbc","connection":"c","input":"%s","table":"u"}`, i, input))
	}
	for i := 1 + 3*steps; i < n; i++ {
		sinks = append(sinks, fmt.Sprintf(`"more%d":{"type":"jdbc","connection":"c","input":"raw","table":"u"}`, i))
	}
	return []byte(`{"sources":{"raw":{"type":"jdbc","connection":"c","table":"t"}},"transformations":[` + strings.Join(transformations, ",") +
		`],"quality_checks":[` + strings.Join(checks, ",") + `],"sinks":{` + strings.Join(sinks, ",") + `}}`)
}
