// Package task runs the tasks of executions in processes of their own, started from
// bin/task-runner, so that a user's SQL and a source's data never share memory with the worker.
package task

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
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/matih/pipeline-service/models"
	protocol "github.com/matih/pipeline-service/models/task"
)

// endGrace is how long a process may take to end after SIGTERM before it is killed.
const endGrace = 5 * time.Second

// maxLine bounds one message of a task process; results carry samples and file names, never data.
const maxLine = 16 << 20

// maxStderr is how much of a process's standard error is kept for the service's log.
const maxStderr = 16 << 10

// process is one started task-runner. It serves one task, or several of one execution.
type process struct {
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	lines  *bufio.Scanner
	stdout io.Closer
	stderr *tail
	// scratch is the process's directory for temporary files; empty before its first task.
	scratch string
	// accounted is the processor time, in microseconds, that the tasks it has done have told of.
	accounted int64
	once      sync.Once
	exited    chan struct{}
	ending    atomic.Bool // it was asked to end
	err       error       // of Wait, once exited is closed
}

// start starts a process and returns without waiting until it is ready. It must be called from a
// thread that lives as long as the worker: the kernel ends the child when the thread that started
// it ends.
func start(binary string, env []string) (*process, error) {
	cmd := exec.Command(binary)
	cmd.Env = env
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	// An own pipe, because StdoutPipe's is closed by Wait while lines may still be unread.
	stdout, childOut, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	p := &process{cmd: cmd, stdin: stdin, stdout: stdout, stderr: &tail{max: maxStderr}, exited: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = childOut, p.stderr
	err = cmd.Start()
	_ = childOut.Close()
	if err != nil {
		_ = stdout.Close()
		return nil, fmt.Errorf("start the task process %s: %w", binary, err)
	}
	p.lines = bufio.NewScanner(stdout)
	p.lines.Buffer(make([]byte, 0, 64<<10), maxLine)
	go func() {
		p.err = cmd.Wait()
		close(p.exited)
	}()
	return p, nil
}

// receive returns the next message, or io.EOF when the process has said its last.
func (p *process) receive() (protocol.Message, error) {
	var m protocol.Message
	if !p.lines.Scan() {
		if err := p.lines.Err(); err != nil {
			return m, err
		}
		return m, io.EOF
	}
	if err := json.Unmarshal(p.lines.Bytes(), &m); err != nil {
		return m, fmt.Errorf("the task process wrote what is not a message: %w", err)
	}
	return m, nil
}

// awaitReady waits until the process can take a task.
func (p *process) awaitReady() error {
	m, err := p.receive()
	if err == nil && !m.Ready {
		err = errors.New("its first message was not that it is ready")
	}
	if err != nil {
		p.kill()
		return fmt.Errorf("the task process did not start: %w; %s", err, p.stderr)
	}
	return nil
}

// run gives the process its task and passes on its messages until it has said how the task ended.
// When the context ends the process is asked to end, then killed. Unless the task succeeded, it
// returns only when the process has ended, so that the next attempt has the field to itself.
func (p *process) run(ctx context.Context, spec protocol.Spec, on func(protocol.Message)) (result *protocol.Result, fail *protocol.Failure) {
	defer func() {
		if result == nil {
			p.close()
		}
	}()
	if p.scratch == "" {
		p.scratch = spec.Scratch
		if err := os.MkdirAll(p.scratch, 0o700); err != nil {
			return nil, &protocol.Failure{Class: models.ClassResources, Retry: true, Detail: err.Error(),
				Message: "the worker's staging area cannot be written"}
		}
	}
	spec.Scratch = p.scratch
	stop := context.AfterFunc(ctx, p.end)
	defer stop()
	begun := time.Now()
	var used models.Usage
	line, err := json.Marshal(spec)
	if err != nil {
		return nil, internal("task description: " + err.Error())
	}
	if _, err := p.stdin.Write(append(line, '\n')); err != nil {
		return nil, p.died(ctx, used, begun)
	}
	for {
		m, err := p.receive()
		switch {
		case errors.Is(err, io.EOF):
			return nil, p.died(ctx, used, begun)
		case err != nil:
			return nil, internal(err.Error())
		case m.Usage != nil:
			used = *m.Usage
		case m.Result != nil:
			if m.Result.Usage != nil {
				p.accounted += m.Result.Usage.CPUMicros
			}
			return m.Result, nil
		case m.Failure != nil:
			return nil, m.Failure
		default:
			on(m)
		}
	}
}

// end asks the process to end and kills it after the grace time.
func (p *process) end() {
	p.ending.Store(true)
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.exited:
	case <-time.After(endGrace):
		p.kill()
	}
}

func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	p.close()
}

// close ends the conversation and waits until the process is gone.
func (p *process) close() {
	p.once.Do(func() {
		_ = p.stdin.Close()
		select {
		case <-p.exited:
		case <-time.After(endGrace):
			_ = p.cmd.Process.Kill()
			<-p.exited
		}
		_ = p.stdout.Close()
		if p.scratch != "" {
			_ = os.RemoveAll(p.scratch)
		}
	})
}

// alive reports whether the process has not ended yet and will not soon.
func (p *process) alive() bool {
	if p.ending.Load() {
		return false
	}
	select {
	case <-p.exited:
		return false
	default:
		return true
	}
}

// tail keeps the last bytes written to it.
type tail struct {
	mu  sync.Mutex
	max int
	buf []byte
}

// Write keeps the end of what was written so far.
func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, b...)
	if over := len(t.buf) - t.max; over > 0 {
		t.buf = append(t.buf[:0], t.buf[over:]...)
	}
	return len(b), nil
}

// String returns the kept text.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(bytes.TrimSpace(t.buf))
}
