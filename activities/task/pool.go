package task

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"sync"

	"golang.org/x/sys/unix"

	protocol "github.com/matih/pipeline-service/models/task"
)

// Pool starts task processes ahead of need, because a start costs more than a small task does. A
// process serves one task and ends, or, where tasks need nothing but their execution's staged data,
// goes on with the next task of that execution.
type Pool struct {
	binary string
	env    []string
	log    *slog.Logger
	starts chan startRequest
	// warm holds processes that are started and ready. room has a token for each one that may
	// still be added.
	warm    chan *process
	room    chan struct{}
	done    chan struct{}
	filling sync.WaitGroup
	// kept are processes between two tasks of an execution.
	kept *kept
}

// niceness is how far tasks stand back: however busy they are, the worker's heartbeats and the API answer.
const niceness = 5

type startRequest struct {
	reply chan<- started
}

type started struct {
	process *process
	err     error
}

// ErrClosed is returned by a pool after Close.
var ErrClosed = errors.New("the worker is shutting down")

// NewPool returns a pool that keeps size processes of the binary waiting.
func NewPool(binary string, size int, env []string, log *slog.Logger) *Pool {
	p := &Pool{binary: binary, env: env, log: log, starts: make(chan startRequest),
		warm: make(chan *process, size), room: make(chan struct{}, size), done: make(chan struct{}),
		kept: &kept{max: max(size, 1)}}
	go p.serveStarts()
	p.filling.Go(p.fill)
	for range size {
		p.room <- struct{}{}
	}
	return p
}

// Run runs one task in a process of the pool and returns when the process has ended.
func (p *Pool) Run(ctx context.Context, spec protocol.Spec, on func(protocol.Message)) (*protocol.Result, *protocol.Failure) {
	proc, err := p.takeFor(ctx, spec)
	if err != nil {
		if ctx.Err() != nil {
			return nil, &protocol.Failure{Class: "cancelled", Message: "the task was cancelled"}
		}
		return nil, internal(err.Error())
	}
	result, fail := proc.run(ctx, spec, on)
	if result != nil {
		p.release(proc, spec)
	}
	return result, fail
}

// takeFor returns a process that is shut in with the task's execution already, else a fresh one.
func (p *Pool) takeFor(ctx context.Context, spec protocol.Spec) (*process, error) {
	if spec.Enclosure != "" {
		if proc := p.kept.take(spec.Enclosure); proc != nil {
			return proc, nil
		}
	}
	return p.take(ctx)
}

// release keeps a process for the next task of its execution, or lets it end. A task that succeeded
// left only memory to give back, which nobody need wait for.
func (p *Pool) release(proc *process, spec protocol.Spec) {
	if spec.Enclosure == "" {
		go proc.close()
		return
	}
	p.kept.put(spec.Enclosure, proc)
}

// Close ends the processes that wait. One that still runs a task ends too, since the thread that
// started it does.
func (p *Pool) Close() {
	close(p.done)
	p.kept.close()
	p.filling.Wait()
	close(p.warm)
	for proc := range p.warm {
		proc.kill()
	}
}

// take returns a waiting process, or starts one where none waits.
func (p *Pool) take(ctx context.Context) (*process, error) {
	for {
		select {
		case proc, open := <-p.warm:
			if !open {
				return nil, ErrClosed
			}
			p.room <- struct{}{}
			if proc.alive() {
				return proc, nil
			}
			proc.close()
		case <-ctx.Done():
			return nil, ctx.Err()
		default:
			return p.startReady()
		}
	}
}

// fill keeps the pool full, one start at a time.
func (p *Pool) fill() {
	for {
		select {
		case <-p.done:
			return
		case <-p.room:
		}
		proc, err := p.startReady()
		if err != nil {
			if !errors.Is(err, ErrClosed) {
				p.log.Error("no task process could be started ahead of need", "error", err)
			}
			continue // the next task starts its own and reports what is wrong
		}
		select {
		case <-p.done:
			proc.kill()
			return
		case p.warm <- proc:
		}
	}
}

func (p *Pool) startReady() (*process, error) {
	reply := make(chan started, 1)
	select {
	case <-p.done:
		return nil, ErrClosed
	case p.starts <- startRequest{reply}:
	}
	s := <-reply
	if s.err != nil {
		return nil, s.err
	}
	return s.process, s.process.awaitReady()
}

// serveStarts starts every process from one thread that lives as long as the pool: a child gets its
// parent-death signal when the thread that started it ends, not when the process does. A child also takes
// over the thread's priority.
func (p *Pool) serveStarts() {
	runtime.LockOSThread()
	if err := unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), niceness); err != nil {
		p.log.Warn("tasks run with the worker's own priority", "error", err)
	}
	for {
		select {
		case <-p.done:
			return // and with this goroutine its thread, which was never unlocked
		case r := <-p.starts:
			proc, err := start(p.binary, p.env)
			r.reply <- started{proc, err}
		}
	}
}
