package transform_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/matih/pipeline-service/worker/runner/connectortest"
)

// BenchmarkTransform runs a clean, join and aggregate over 3 million rows as a task, process included, and
// as the same SQL in a DuckDB alone that is open already.
func BenchmarkTransform(b *testing.B) {
	l := connectortest.NewLab(b)
	flights := `SELECT TIMESTAMP '2001-01-01' + INTERVAL (i) SECOND AS moment, (hash(i) % 200)::BIGINT - 30 AS delay, (hash(i + 1) % 2500)::BIGINT AS distance,
 'A' || hash(i + 2) % 229 AS origin, 'A' || hash(i + 3) % 229 AS destination FROM range(3000000) AS t(i)`
	airports := "SELECT 'A' || i AS iata, 'City ' || i AS city, 'S' || i % 50 AS state FROM range(229) AS t(i)"
	text := `SELECT f.*, a.city, a.state FROM flights AS f JOIN airports AS a ON f.origin = a.iata WHERE delay > 0 AND distance > 100`
	for name, query := range map[string]string{
		"join":      text,
		"aggregate": "SELECT origin, city, count(*) AS flights, avg(delay) AS mean, sum(distance) AS total FROM (" + text + ") GROUP BY ALL ORDER BY flights DESC, origin",
	} {
		b.Run(name, func(b *testing.B) {
			steps := map[string]string{"flights": flights, "airports": airports}
			staged := spec(l, sqlOf(query, "flights", "airports"), steps)
			with := ""
			for _, in := range staged.Inputs {
				with += fmt.Sprintf("CREATE VIEW %s AS SELECT * FROM read_parquet('%s/*.parquet'); ", in.Name, in.Dir)
			}
			target := filepath.Join(l.NewDir("alone"), "rows.parquet")
			alone := fmt.Sprintf("SET threads = 2; %s COPY (%s) TO '%s' (FORMAT parquet)", with, query, target)
			var ours, theirs []time.Duration
			for b.Loop() {
				s := staged
				s.Output, s.Scratch = l.NewDir("out")+"/rows", ""
				begun := time.Now()
				l.MustRun(s)
				ours = append(ours, time.Since(begun))
				_ = os.RemoveAll(s.Output)
				begun = time.Now()
				l.Query(alone, nil)
				theirs = append(theirs, time.Since(begun))
			}
			slices.Sort(ours)
			slices.Sort(theirs)
			b.ReportMetric(ours[len(ours)/2].Seconds()/theirs[len(theirs)/2].Seconds(), "x-of-DuckDB-alone")
		})
	}
}
