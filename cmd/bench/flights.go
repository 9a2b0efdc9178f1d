package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	// DuckDB stands beside our own task processes here; nothing that ships links it this way.
	_ "github.com/duckdb/duckdb-go/v2"
)

// flightRows is how many flights the sample is repeated up to.
const flightRows = 3_000_000

const samplesDir = "deploy/samples"

// The statements of both sides.
const (
	cleanSQL = "select date, origin, destination, distance, delay from flights where distance > 0 and delay between -120 and 1440"
	joinSQL  = "select c.*, a.name, a.city, a.state from clean c left join airports a on c.origin = a.iata"
	routeSQL = `select origin, destination, city, count(*) as flights, avg(delay) as mean_delay, max(distance) as distance
		from enriched group by origin, destination, city`
)

func benchFlights(ctx context.Context, o options) (figures []figure, err error) {
	_, c, files, end, err := standalone(ctx, o)
	if err != nil {
		return nil, err
	}
	defer end()
	db, err := sql.Open("duckdb", "")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	db.SetMaxOpenConns(1)
	if err := prepareFlights(ctx, db, o, files); err != nil {
		return nil, err
	}
	parquet := map[string]any{"type": "cloud_storage", "connection": "files", "format": "parquet"}
	pipeline, err := c.CreatePipeline(ctx, "flights", map[string]any{
		"sources": map[string]any{
			"flights":  merged(parquet, map[string]any{"prefix": "flights/"}),
			"airports": merged(parquet, map[string]any{"prefix": "airports/", "format": "csv"}),
		},
		"transformations": []map[string]any{
			{"name": "clean", "type": "sql_transform", "input": "flights", "sql": cleanSQL},
			{"name": "enriched", "type": "lookup_join", "input": "clean", "lookup": "airports", "keys": map[string]any{"origin": "iata"},
				"columns": []string{"name", "city", "state"}},
			{"name": "routes", "type": "sql_transform", "input": "enriched", "sql": routeSQL},
		},
		"sinks": map[string]any{"out": merged(parquet, map[string]any{"prefix": "out/", "mode": "overwrite"})},
	})
	if err != nil {
		return nil, err
	}
	run := func() (time.Duration, error) { return timed(func() error { return complete(ctx, c, pipeline) }) }
	ours, steps, err := alternate(o.runs, run, func() (time.Duration, error) {
		return timed(func() error { return stepByStep(ctx, db, files) })
	})
	if err != nil {
		return nil, err
	}
	again, fused, err := alternate(o.runs, run, func() (time.Duration, error) {
		return timed(func() error { return inOneQuery(ctx, db, files) })
	})
	if err != nil {
		return nil, err
	}
	return []figure{
		{what: "3 million flights: clean, join, aggregate, Parquet; a whole execution", ours: seconds(ours),
			beside: "the same statements in DuckDB, each to Parquet: " + seconds(steps), ratio: times(ours, steps), limit: "1.3×", ok: float64(ours) <= 1.3*float64(steps)},
		{what: "the same", ours: seconds(again), beside: "fused into one DuckDB query, nothing kept between: " + seconds(fused), ratio: times(again, fused)},
	}, nil
}

// merged returns base with more laid over it.
func merged(base, more map[string]any) map[string]any {
	out := map[string]any{}
	for _, part := range []map[string]any{base, more} {
		for k, v := range part {
			out[k] = v
		}
	}
	return out
}

// prepareFlights puts the flights and the airports where both sides read them.
func prepareFlights(ctx context.Context, db *sql.DB, o options, files string) error {
	for _, dir := range []string{"flights", "airports", "duckdb"} {
		if err := os.MkdirAll(filepath.Join(files, dir), 0o750); err != nil {
			return err
		}
	}
	if err := copyFile(filepath.Join(samplesDir, "airports.csv"), filepath.Join(files, "airports", "airports.csv")); err != nil {
		return err
	}
	target := filepath.Join(files, "flights", "flights.parquet")
	if o.flights != "" {
		return copyFile(o.flights, target)
	}
	_, err := db.ExecContext(ctx, fmt.Sprintf(
		"copy (select f.* from read_parquet(%s) f, range(1000) limit %d) to %s (format parquet)",
		quoted(filepath.Join(samplesDir, "flights.parquet")), flightRows, quoted(target)))
	return err
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// stepByStep keeps the result of every statement as Parquet, as tasks do.
func stepByStep(ctx context.Context, db *sql.DB, files string) error {
	file := func(name string) string { return quoted(filepath.Join(files, "duckdb", name+".parquet")) }
	for _, statement := range []string{
		"create or replace view flights as from read_parquet(" + quoted(filepath.Join(files, "flights", "*.parquet")) + ")",
		"create or replace view airports as from read_csv(" + quoted(filepath.Join(files, "airports", "*.csv")) + ")",
		"copy (" + cleanSQL + ") to " + file("clean") + " (format parquet)",
		"create or replace view clean as from read_parquet(" + file("clean") + ")",
		"copy (" + joinSQL + ") to " + file("enriched") + " (format parquet)",
		"create or replace view enriched as from read_parquet(" + file("enriched") + ")",
		"copy (" + routeSQL + ") to " + file("routes") + " (format parquet)",
	} {
		if _, err := db.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}

// inOneQuery lets DuckDB plan everything at once.
func inOneQuery(ctx context.Context, db *sql.DB, files string) error {
	_, err := db.ExecContext(ctx, "copy (with clean as ("+cleanSQL+"), enriched as ("+joinSQL+") "+routeSQL+") to "+
		quoted(filepath.Join(files, "duckdb", "fused.parquet"))+" (format parquet)")
	return err
}

func quoted(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
