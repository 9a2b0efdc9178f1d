// Command bench measures the built programs side by side with what they are made of: every figure
// is a ratio of medians taken alternately in one run, so that the machine's mood hits both sides.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"

	"github.com/matih/pipeline-service/cmd/internal/harness"
)

// options are what the user chose.
type options struct {
	bin     string
	flights string
	runs    int
	only    string
}

// figure is one measured line of the report.
type figure struct {
	what   string
	ours   string
	beside string // what stands beside it, and its figure
	ratio  string
	limit  string
	ok     bool
}

// benchmark is one thing that is measured. Its run may start servers; it ends what it started.
type benchmark struct {
	name, about string
	run         func(ctx context.Context, o options) ([]figure, error)
}

// benchmarks lists everything, in the order of the report.
func benchmarks() []benchmark {
	return []benchmark{
		{"process", "starting a task process, and taking one that waits", benchProcess},
		{"chain", "40 trivial sql_transforms in a row, beside 40 empty activities of a bare Temporal workflow", benchChain},
		{"rate", "200 executions of a three-task pipeline", benchRate},
		{"status", "GET of an execution's status while executions run at half the rate above", benchStatus},
		{"flights", "3 million flights through clean, join, aggregate and Parquet, beside the same SQL in DuckDB", benchFlights},
		{"schedules", "10,000 schedules: listing, triggering, and many due at once", benchSchedules},
		{"fairness", "the start delay of one tenant while another has 2,000 executions waiting", benchFairness},
		{"approvals", "the memory of 1,000 executions that wait for an approval", benchApprovals},
		{"postgres", "PostgreSQL to Parquet and back, beside COPY in binary format", benchPostgres},
	}
}

func main() {
	var o options
	flag.StringVar(&o.bin, "bin", "bin", "directory of the built programs")
	flag.StringVar(&o.flights, "flights", "", "Parquet file of flights; without it deploy/samples' are repeated up to 3 million rows")
	flag.IntVar(&o.runs, "runs", 5, "runs of each side, after one to warm up")
	flag.StringVar(&o.only, "only", "", "comma-separated names; all unless given")
	flag.Usage = func() {
		fmt.Fprintf(flag.CommandLine.Output(), "usage: bench [flags]\n\nBenchmarks:\n")
		for _, b := range benchmarks() {
			fmt.Fprintf(flag.CommandLine.Output(), "  %-9s %s\n", b.name, b.about)
		}
		fmt.Fprintln(flag.CommandLine.Output(), "\nFlags:")
		flag.PrintDefaults()
	}
	flag.Parse()
	if err := run(o); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(o options) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	bin, err := filepath.Abs(o.bin)
	if err != nil {
		return err
	}
	o.bin = bin
	var only []string
	if o.only != "" {
		only = strings.Split(o.only, ",")
	}
	var figures []figure
	for _, b := range benchmarks() {
		if only != nil && !slices.Contains(only, b.name) {
			continue
		}
		fmt.Fprintf(os.Stderr, "%s: %s…\n", b.name, b.about)
		got, err := b.run(ctx, o)
		if err != nil {
			return fmt.Errorf("%s: %w", b.name, err)
		}
		figures = append(figures, got...)
	}
	return report(figures)
}

// report prints the figures as a Markdown table, in the form README shows.
func report(figures []figure) error {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 1, ' ', 0)
	fmt.Fprintln(w, "| what\t| ours\t| beside it\t| ratio\t| limit\t|")
	fmt.Fprintln(w, "|---\t|---\t|---\t|---\t|---\t|")
	for _, f := range figures {
		limit := f.limit
		if limit != "" && !f.ok {
			limit += " (missed)"
		}
		fmt.Fprintf(w, "| %s\t| %s\t| %s\t| %s\t| %s\t|\n", f.what, f.ours, f.beside, f.ratio, limit)
	}
	return w.Flush()
}

// standalone starts bin/standalone on an empty directory with a local connection "files" and a
// client; end stops it and removes the directory.
func standalone(ctx context.Context, o options, args ...string) (s *harness.Standalone, c *harness.Client, files string, end func(), err error) {
	root, err := os.MkdirTemp("", "bench-")
	if err != nil {
		return nil, nil, "", nil, err
	}
	remove := func() { _ = os.RemoveAll(root) }
	files = filepath.Join(root, "files")
	if err := os.Mkdir(files, 0o750); err != nil {
		remove()
		return nil, nil, "", nil, err
	}
	s, err = harness.StartStandalone(ctx, o.bin, filepath.Join(root, "data"),
		append([]string{"--local-root", files, "--rate-limit", "0", "--log-level", "warn"}, args...)...)
	if err != nil {
		remove()
		return nil, nil, "", nil, err
	}
	end = func() {
		_ = s.Stop()
		remove()
	}
	c, err = s.Client(ctx, benchTenant, "bench", "DATA_ENGINEER,OPERATOR")
	if err == nil {
		_, err = c.CreateConnection(ctx, map[string]any{"name": "files", "type": "local", "properties": map[string]any{"path": files}})
	}
	if err != nil {
		end()
		return nil, nil, "", nil, err
	}
	return s, c, files, end, nil
}

const benchTenant = "11111111-2222-4333-8444-555555555555"
