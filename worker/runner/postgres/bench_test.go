package postgres_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/matih/pipeline-service/models/definition"
	"github.com/matih/pipeline-service/worker/runner/connectortest"
)

// benchRows is the size of the table that is moved.
const benchRows = 1_000_000

const benchTable = `CREATE TABLE flights AS SELECT i AS id, timestamp '2001-01-01' + i * interval '10 seconds' AS moment, (hashint4(i) %% 200)::bigint AS delay,
 (hashint4(i + 1) %% 2500)::bigint AS distance, chr(65 + i %% 26) || chr(65 + i %% 25) || chr(65 + i %% 24) AS origin, chr(65 + i %% 23) || chr(65 + i %% 22) || 'X' AS destination,
 (i %% 100000 / 100.0)::numeric(12,2) AS fare FROM generate_series(1, %d) AS i`

// ratios runs ours and theirs in turn and reports the medians and theirs / ours: 1 is as fast, above is faster.
func ratios(b *testing.B, ours, theirs func()) {
	b.Helper()
	var mine, other []time.Duration
	for b.Loop() {
		for _, side := range []struct {
			do    func()
			times *[]time.Duration
		}{{ours, &mine}, {theirs, &other}} {
			begun := time.Now()
			side.do()
			*side.times = append(*side.times, time.Since(begun))
		}
	}
	slices.Sort(mine)
	slices.Sort(other)
	m, o := mine[len(mine)/2], other[len(other)/2]
	b.ReportMetric(float64(benchRows)/m.Seconds(), "rows/s")
	b.ReportMetric(o.Seconds()/m.Seconds(), "x-of-bare-COPY")
}

func benchDatabase(b *testing.B) (*database, *pgx.Conn) {
	b.Helper()
	d := newDatabase(b)
	d.exec(fmt.Sprintf(benchTable, benchRows), "VACUUM ANALYZE flights")
	conn, err := pgx.Connect(b.Context(), d.dsn)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = conn.Close(context.Background()) })
	return d, conn
}

func BenchmarkExtract(b *testing.B) {
	d, conn := benchDatabase(b)
	l := connectortest.NewLab(b)
	ratios(b, func() {
		s := d.source(l, definition.JDBCSource{Table: "flights"})
		l.MustRun(s)
		_ = os.RemoveAll(s.Output)
	}, func() {
		if _, err := conn.PgConn().CopyTo(b.Context(), io.Discard, "COPY flights TO STDOUT (FORMAT binary)"); err != nil {
			b.Fatal(err)
		}
	})
}

func BenchmarkLoad(b *testing.B) {
	d, conn := benchDatabase(b)
	l := connectortest.NewLab(b)
	s := d.source(l, definition.JDBCSource{Table: "flights"})
	l.MustRun(s)
	var ready bytes.Buffer
	if _, err := conn.PgConn().CopyTo(b.Context(), &ready, "COPY flights TO STDOUT (FORMAT binary)"); err != nil {
		b.Fatal(err)
	}
	round := 0
	ratios(b, func() {
		round++
		table := fmt.Sprintf("loaded_%d", round)
		l.MustRun(d.sink(s.Output, definition.WriteAppend, fmt.Sprintf("exec-%d", round), definition.JDBCSink{Table: table}))
		d.exec("DROP TABLE " + table)
	}, func() {
		d.exec("CREATE TABLE bare (LIKE flights)")
		if _, err := conn.PgConn().CopyFrom(b.Context(), bytes.NewReader(ready.Bytes()), "COPY bare FROM STDIN (FORMAT binary)"); err != nil {
			b.Fatal(err)
		}
		d.exec("DROP TABLE bare")
	})
}
