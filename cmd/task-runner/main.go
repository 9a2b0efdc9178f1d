// Command task-runner does tasks of one execution outside the worker. The worker and Airflow start
// it; people rarely do.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/matih/pipeline-service/worker/runner"
)

const usage = `task-runner does one task of a pipeline: a source, a transformation, a quality check or a sink.

It writes {"ready":true} to standard output when it is started, reads one task as a JSON line from
standard input, does it, and writes log lines, progress and the result or failure as JSON lines. Where
the task has an enclosure it then waits for further tasks of the same execution. It exits with 0
whether the task succeeded or failed, and at once when standard input ends. SIGTERM stops the task.

Usage: task-runner [flags]
`

func main() {
	flags := flag.NewFlagSet("task-runner", flag.ExitOnError)
	flags.Usage = func() {
		fmt.Fprint(flags.Output(), usage+"\nFlags:\n")
		flags.PrintDefaults()
	}
	var opts runner.Options
	flags.BoolVar(&opts.AllowMissingLandlock, "allow-missing-landlock", false,
		"run tasks although the kernel has no Landlock, behind DuckDB's own restrictions alone")
	if err := flags.Parse(os.Args[1:]); err != nil {
		os.Exit(2)
	}
	if flags.NArg() > 0 {
		flags.Usage()
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	code := runner.Main(ctx, os.Stdin, os.Stdout, opts)
	stop()
	os.Exit(code)
}
