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

// Main runs one task: it reads a task.Spec from stdin and writes task.Messages to stdout. It returns
// the exit code. When stdin ends, the parent is gone and the process exits on the spot.
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
}

func (p *process) run(ctx context.Context, stdin io.Reader, stdout io.Writer) int {
	out := &emitter{out: stdout}
	engine, err := duckdb.Open(ctx)
	if err != nil {
		fmt.Fprintln(os.Stderr, "task-runner: open DuckDB:", err)
		return exitCrash
	}
	// The engine is never closed: its memory goes with the process, which is several milliseconds faster.
	if err := out.send(task.Message{Ready: true}); err != nil {
		fmt.Fprintln(os.Stderr, "task-runner:", err)
		return exitCrash
	}
	reader := bufio.NewReader(stdin)
	line, err := readLine(ctx, reader)
	switch {
	case ctx.Err() != nil, errors.Is(err, io.EOF) && len(line) == 0:
		return exitOK // nobody needed this process
	case err != nil:
		fmt.Fprintln(os.Stderr, "task-runner: read the task:", err)
		return exitCrash
	}
	go func() {
		_, _ = io.Copy(io.Discard, reader)
		p.exit(exitOrphaned)
	}()
	stopGrace := context.AfterFunc(ctx, func() {
		time.AfterFunc(grace, func() { p.exit(exitOutOfGrace) })
	})
	defer stopGrace()

	message := p.perform(ctx, line, engine, out)
	if err := out.send(message); err != nil {
		fmt.Fprintln(os.Stderr, "task-runner:", err)
		return exitCrash
	}
	return exitOK
}

// readLine reads one line, or gives up when the context ends.
func readLine(ctx context.Context, reader *bufio.Reader) ([]byte, error) {
	type read struct {
		line []byte
		err  error
	}
	done := make(chan read, 1)
	go func() {
		var r read
		for {
			part, err := reader.ReadSlice('\n')
			r.line = append(r.line, part...)
			if len(r.line) > maxSpec {
				r.err = fmt.Errorf("the task is longer than %d bytes", maxSpec)
				break
			}
			if err == nil || !errors.Is(err, bufio.ErrBufferFull) {
				r.err = err
				break
			}
		}
		done <- r
	}()
	select {
	case r := <-done:
		return r.line, r.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// perform does the task and turns every way it can end into the last message.
func (p *process) perform(ctx context.Context, line []byte, engine *duckdb.Engine, out *emitter) (last task.Message) {
	defer func() {
		if r := recover(); r != nil {
			f := fault.Errorf(models.ClassInternal, "the task process met an unexpected fault")
			f.Detail = fmt.Sprintf("panic: %v\n%s", r, debug.Stack())
			last = task.Message{Failure: f}
		}
	}()
	spec, err := decodeSpec(line)
	if err != nil {
		return task.Message{Failure: fault.Because(fault.Errorf(models.ClassInternal, "the task could not be read"), err)}
	}
	stop := make(chan struct{})
	defer close(stop)
	go out.reportProgress(stop)

	started := time.Now()
	out.Infof("%s %s starts (attempt %d)", kindWords[spec.Kind], spec.Task, spec.Attempt)
	j := &job{spec: spec, engine: engine, out: out, opts: p.opts, walls: p.walls, environ: os.Environ()}
	result, err := j.do(ctx)
	if err != nil {
		f := fault.Of(err)
		f.Message = oneLine(f.Message)
		out.log("ERROR", "failed after %s: %s", since(started), f.Message)
		return task.Message{Failure: f}
	}
	out.Infof("done in %s: %d rows (%d bytes) in, %d rows (%d bytes) out",
		since(started), result.RowsIn, result.BytesIn, result.RowsOut, result.BytesOut)
	return task.Message{Result: result}
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
}
