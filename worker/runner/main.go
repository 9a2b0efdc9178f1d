// Package runner is the task process: it waits for one task, shuts itself in with what the task needs,
// does it, and reports in JSON lines. The worker and Airflow both start it.
package runner

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/task"
	"github.com/matih/pipeline-service/worker/runner/duckdb"
	"github.com/matih/pipeline-service/worker/runner/fault"
)

// Options are the operator's choices.
type Options struct {
	// AllowMissingLandlock lets tasks run on a kernel without Landlock, behind DuckDB's own wall alone.
	AllowMissingLandlock bool
}

// Exit codes. A task that failed is not a failure of the process.
const (
	exitOK         = 0
	exitCrash      = 1 // the process could not report
	exitOrphaned   = 3 // the parent died
	exitOutOfGrace = 4 // the task did not end in time after it was stopped
)

const (
	// maxSpec bounds the line that holds the Spec.
	maxSpec = 64 << 20
	// grace is how long a stopped task may take to end.
	grace = 10 * time.Second
)

// Main reads a task.Spec from stdin, runs the task and writes task.Messages to stdout; then it takes
// further tasks if the Spec has an Enclosure. It returns the exit code. When stdin ends, the parent is gone and the process exits on the spot.
func Main(ctx context.Context, stdin io.Reader, stdout io.Writer, opts Options) int {
	p := process{opts: opts, walls: allWalls, exit: os.Exit}
	return p.run(ctx, stdin, stdout)
}

// walls are the barriers between the user's SQL and the machine. Tests try each alone.
type walls struct{ duckdb, landlock bool }

var allWalls = walls{duckdb: true, landlock: true}

type process struct {
	opts  Options
	walls walls
	exit  func(code int)
	// busy says that a task runs, first is the one that the walls went up for.
	busy  atomic.Bool
	first *task.Spec
	// accounts measures the tasks.
	accounts *accounts
}

func (p *process) run(ctx context.Context, stdin io.Reader, stdout io.Writer) int {
	engine, err := duckdb.Open(ctx)
	if err != nil {
		fmt.Fprintln(os.Stderr, "task-runner: open DuckDB:", err)
		return exitCrash
	}
	p.accounts, err = openAccounts()
	if err != nil {
		fmt.Fprintln(os.Stderr, "task-runner: measure:", err)
		return exitCrash
	}
	// The engine is never closed: its memory goes with the process, which is several milliseconds faster.
	if err := (&emitter{out: stdout}).send(task.Message{Ready: true}); err != nil {
		fmt.Fprintln(os.Stderr, "task-runner:", err)
		return exitCrash
	}
	stopGrace := context.AfterFunc(ctx, func() {
		time.AfterFunc(grace, func() { p.exit(exitOutOfGrace) })
	})
	defer stopGrace()
	lines := p.receive(stdin)
	for {
		var next received
		select {
		case <-ctx.Done():
			return exitOK
		case next = <-lines:
		}
		switch {
		case errors.Is(next.err, io.EOF) && len(next.line) == 0:
			return exitOK // nobody needs this process any more
		case next.err != nil:
			fmt.Fprintln(os.Stderr, "task-runner: read the task:", next.err)
			return exitCrash
		}
		out := &emitter{out: stdout}
		used := p.accounts.begin(&out.meter)
		message, again := p.perform(ctx, next.line, engine, out, used)
		if message.Failure != nil {
			message.Failure.Usage = used.end()
		} else {
			message.Result.Usage = used.end()
		}
		p.busy.Store(false)
		if err := out.send(message); err != nil {
			fmt.Fprintln(os.Stderr, "task-runner:", err)
			return exitCrash
		}
		if !again {
			return exitOK
		}
	}
}

// received is a line of standard input.
type received struct {
	line []byte
	err  error
}

// receive reads line after line. When standard input ends while a task runs, the parent is gone and
// nobody would hear how it went: the process exits on the spot.
func (p *process) receive(stdin io.Reader) <-chan received {
	lines := make(chan received)
	go func() {
		reader := bufio.NewReader(stdin)
		for {
			line, err := readLine(reader)
			if err != nil && p.busy.Load() {
				p.exit(exitOrphaned)
			}
			p.busy.Store(err == nil)
			lines <- received{line, err}
			if err != nil {
				return
			}
		}
	}()
	return lines
}

// readLine reads one line.
func readLine(reader *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := reader.ReadSlice('\n')
		line = append(line, part...)
		if len(line) > maxSpec {
			return line, fmt.Errorf("the task is longer than %d bytes", maxSpec)
		}
		if err == nil || !errors.Is(err, bufio.ErrBufferFull) {
			return line, err
		}
	}
}

// perform does a task and turns every way it can end into the last message. again says that the
// process may take another task of the same enclosure.
func (p *process) perform(ctx context.Context, line []byte, engine *duckdb.Engine, out *emitter, used *account) (last task.Message, again bool) {
	defer func() {
		if r := recover(); r != nil {
			f := fault.Errorf(models.ClassInternal, "the task process met an unexpected fault")
			f.Detail = fmt.Sprintf("panic: %v\n%s", r, debug.Stack())
			last, again = task.Message{Failure: f}, false
		}
	}()
	spec, err := decodeSpec(line)
	if err != nil {
		return task.Message{Failure: fault.Because(fault.Errorf(models.ClassInternal, "the task could not be read"), err)}, false
	}
	if p.first != nil && !sameEnclosure(p.first, spec) {
		return task.Message{Failure: fault.Errorf(models.ClassInternal, "the task belongs to another enclosure than the process")}, false
	}
	stop := out.reportProgress(used)
	defer stop()

	started := time.Now()
	out.Infof("%s %s starts (attempt %d)", kindWords[spec.Kind], spec.Task, spec.Attempt)
	j := &job{spec: spec, engine: engine, out: out, opts: p.opts, walls: p.walls, environ: os.Environ(), shutIn: p.first != nil}
	result, err := j.do(ctx)
	if err != nil {
		f := fault.Of(err)
		f.Message = oneLine(f.Message)
		out.log("ERROR", "failed after %s: %s", since(started), f.Message)
		return task.Message{Failure: f}, false
	}
	out.Infof("done in %s: %d rows (%d bytes) in, %d rows (%d bytes) out",
		since(started), result.RowsIn, result.BytesIn, result.RowsOut, result.BytesOut)
	p.first = spec
	return task.Message{Result: result}, spec.Enclosure != "" && engine.Reset(ctx) == nil
}

// sameEnclosure reports whether the walls that went up for one task are right for another.
func sameEnclosure(a, b *task.Spec) bool {
	return a.Enclosure != "" && a.Enclosure == b.Enclosure && a.Tenant == b.Tenant && a.Execution == b.Execution &&
		a.Scratch == b.Scratch && a.Limits == b.Limits
}

func since(t time.Time) time.Duration { return time.Since(t).Round(time.Millisecond) }

func decodeSpec(line []byte) (*task.Spec, error) {
	decoder := json.NewDecoder(bytes.NewReader(line))
	decoder.DisallowUnknownFields()
	spec := &task.Spec{}
	if err := decoder.Decode(spec); err != nil {
		return nil, err
	}
	return spec, nil
}

var kindWords = map[models.TaskKind]string{
	models.TaskSource:         "source",
	models.TaskTransformation: "transformation",
	models.TaskCheck:          "quality check",
	models.TaskSink:           "sink",
	models.TaskConnectionTest: "connection test",
	models.TaskNotification:   "notification",
}
