// Package connectortest holds what every connector must do, whatever it leads to: a conformance suite
// that runs real task processes.
package connectortest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/task"
	"github.com/matih/pipeline-service/worker/runner"
)

// processVariable makes a test binary be a task process.
const processVariable = "TASK_RUNNER_TEST_PROCESS"

// Tenant is who all tests run for.
const Tenant = models.TenantID("11111111-2222-4333-8444-555555555555")

// Main lets the test binary serve as the task process too. TestMain calls it first.
func Main() {
	if os.Getenv(processVariable) != "" {
		os.Exit(runner.Main(context.Background(), os.Stdin, os.Stdout, runner.Options{}))
	}
}

// Outcome is how a task ended. Exactly one of Result and Failure is set, none where the process died.
type Outcome struct {
	Result  *task.Result
	Failure *task.Failure
	Logs    []task.Log
	Raw     []byte // everything the process wrote
}

// Process is a running task process.
type Process struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
	lines chan task.Message
	raw   *bytes.Buffer
	err   *bytes.Buffer
}

// Lab gives a test directories and starts its processes.
type Lab struct {
	TB      testing.TB
	Dir     string
	serial  atomic.Int64
	Program []string // the task process; the test binary itself unless given
	Env     []string // further environment of the processes
}

// NewLab makes a lab in a temporary directory.
func NewLab(tb testing.TB) *Lab {
	tb.Helper()
	dir, err := filepath.EvalSymlinks(tb.TempDir())
	if err != nil {
		tb.Fatal(err)
	}
	return &Lab{TB: tb, Dir: dir}
}

// NewDir makes a fresh directory.
func (l *Lab) NewDir(name string) string {
	l.TB.Helper()
	dir := filepath.Join(l.Dir, fmt.Sprintf("%s-%d", name, l.serial.Add(1)))
	if err := os.MkdirAll(dir, 0o750); err != nil {
		l.TB.Fatal(err)
	}
	return dir
}

// Complete fills in what every Spec needs and the test did not set.
func (l *Lab) Complete(spec task.Spec) task.Spec {
	l.TB.Helper()
	if spec.Tenant == "" {
		spec.Tenant = Tenant
	}
	if spec.Execution == "" {
		spec.Execution = "exec-1"
	}
	if spec.Attempt == 0 {
		spec.Attempt = 1
	}
	if spec.Limits.MemoryBytes == 0 {
		spec.Limits = task.Limits{MemoryBytes: 1 << 30, ScratchBytes: 4 << 30, Threads: 2}
	}
	if spec.Scratch == "" {
		spec.Scratch = l.NewDir("scratch")
	}
	return spec
}

// Start begins a task and does not wait for it.
func (l *Lab) Start(spec task.Spec) *Process {
	l.TB.Helper()
	program := l.Program
	if len(program) == 0 {
		program = []string{os.Args[0]}
	}
	p := &Process{cmd: exec.Command(program[0], program[1:]...), lines: make(chan task.Message, 1024), raw: &bytes.Buffer{}, err: &bytes.Buffer{}}
	p.cmd.Env = append(append([]string{processVariable + "=1"}, l.Env...), "PATH="+os.Getenv("PATH"))
	p.cmd.Stderr = p.err
	stdin, err := p.cmd.StdinPipe()
	if err != nil {
		l.TB.Fatal(err)
	}
	p.stdin = stdin
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		l.TB.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		l.TB.Fatal(err)
	}
	line, err := json.Marshal(l.Complete(spec))
	if err != nil {
		l.TB.Fatal(err)
	}
	go p.read(stdout)
	if _, err := p.stdin.Write(append(line, '\n')); err != nil {
		l.TB.Fatalf("%v\n%s", err, p.err)
	}
	return p
}

func (p *Process) read(stdout io.Reader) {
	defer close(p.lines)
	reader := bufio.NewReader(io.TeeReader(stdout, p.raw))
	for {
		line, err := reader.ReadBytes('\n')
		var m task.Message
		if len(line) > 0 && json.Unmarshal(line, &m) == nil {
			p.lines <- m
		}
		if err != nil {
			return
		}
	}
}

// Kill ends the process on the spot.
func (p *Process) Kill() { _ = p.cmd.Process.Kill() }

// Signal sends it a signal.
func (p *Process) Signal(s os.Signal) error { return p.cmd.Process.Signal(s) }

// Send gives it another line of standard input.
func (p *Process) Send(line []byte) error {
	_, err := p.stdin.Write(append(line, '\n'))
	return err
}

// CPUTime is what it used in all. It must have been waited for.
func (p *Process) CPUTime() time.Duration {
	return p.cmd.ProcessState.UserTime() + p.cmd.ProcessState.SystemTime()
}

// CloseStdin is what the process sees when its parent dies.
func (p *Process) CloseStdin() error { return p.stdin.Close() }

// Next waits for a message.
func (p *Process) Next(ctx context.Context) (task.Message, error) {
	select {
	case m, ok := <-p.lines:
		if !ok {
			return m, io.EOF
		}
		return m, nil
	case <-ctx.Done():
		return task.Message{}, ctx.Err()
	}
}

// Wait reads to the end and returns the outcome and the exit code, -1 where a signal ended the process.
func (p *Process) Wait() (Outcome, int) {
	var out Outcome
	for m := range p.lines {
		switch {
		case m.Log != nil:
			out.Logs = append(out.Logs, *m.Log)
		case m.Result != nil:
			out.Result = m.Result
		case m.Failure != nil:
			out.Failure = m.Failure
		}
	}
	err := p.cmd.Wait()
	_ = p.stdin.Close()
	out.Raw = append(p.raw.Bytes(), p.err.Bytes()...)
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return out, exit.ExitCode()
	}
	return out, 0
}

// processTimeout is when a test gives a process up.
const processTimeout = 3 * time.Minute

// Run does a task to its end.
func (l *Lab) Run(spec task.Spec) Outcome {
	l.TB.Helper()
	p := l.Start(spec)
	timer := time.AfterFunc(processTimeout, p.Kill)
	defer timer.Stop()
	out, code := p.Wait()
	if code != 0 || (out.Result == nil) == (out.Failure == nil) {
		l.TB.Fatalf("the task process ended with %d and without a result:\n%s", code, out.Raw)
	}
	return out
}

// MustRun does a task that must succeed.
func (l *Lab) MustRun(spec task.Spec) *task.Result {
	l.TB.Helper()
	out := l.Run(spec)
	if out.Failure != nil {
		l.TB.Fatalf("%s: %s\n%s", out.Failure.Class, out.Failure.Message, out.Failure.Detail)
	}
	return out.Result
}

// MustFail does a task that must fail.
func (l *Lab) MustFail(spec task.Spec) *task.Failure {
	l.TB.Helper()
	out := l.Run(spec)
	if out.Failure == nil {
		l.TB.Fatalf("the task succeeded: %+v", out.Result)
	}
	return out.Failure
}
