// Record makes the histories that workflows/replay_test.go replays: it starts the built standalone on an empty directory,
// brings every workflow into each state that it can wait in and to each of its ends, and writes what Temporal has of
// them to <out>/<release>/<workflow>-<state>.json, large ones compressed. Histories of that release that are there
// already give way; those of other releases stay.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/matih/pipeline-service/cmd/internal/harness"
)

func main() {
	bin := flag.String("bin", "bin", "directory of the built programs")
	out := flag.String("out", "workflows/testdata/replay", "directory of the histories")
	release := flag.String("release", "", "name of the release that the programs are")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, *bin, *out, *release)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// limit is how long recording may take on a busy machine.
const limit = 20 * time.Minute

func run(ctx context.Context, bin, out, release string) (err error) {
	if release == "" || release != filepath.Base(release) {
		return errors.New("-release must name the release, such as v1.2.0")
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	root, err := os.MkdirTemp("", "record-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(root)) }()
	files := filepath.Join(root, "files")
	if err := os.Mkdir(files, 0o750); err != nil {
		return err
	}
	s, err := harness.StartStandalone(ctx, bin, filepath.Join(root, "data"), "--local-root", files, "--rate-limit", "0",
		"--egress-allow", "127.0.0.0/8", "--log-level", "error")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Stop()) }()
	w, err := newWorld(ctx, s, root, files)
	if err != nil {
		return err
	}
	defer w.temporal.Close()
	// What takes long begins first.
	long := w.beginLong()
	for _, scenario := range []func(*world){executions, approvals, cancellations, schedules, backfills, connectionTests, plans, notifications, maintenance} {
		scenario(w)
	}
	w.endLong(long)
	if w.err != nil {
		return w.err
	}
	host, err := os.Hostname()
	if err != nil {
		return err
	}
	return write(filepath.Join(out, release), w.histories, []string{secret, root, "@" + host, host + ":"})
}
