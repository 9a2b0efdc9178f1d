package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/definition"
	"github.com/matih/pipeline-service/models/task"
)

// processSamples is how many processes are started, one after the other.
const processSamples = 50

func benchProcess(ctx context.Context, o options) ([]figure, error) {
	dir, err := os.MkdirTemp("", "bench-process-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	var ready, first []time.Duration
	for i := range processSamples + 1 {
		r, f, err := oneProcess(ctx, o, dir)
		if err != nil {
			return nil, err
		}
		if i > 0 {
			ready, first = append(ready, r), append(first, f)
		}
	}
	start, waiting := median(ready), median(first)
	return []figure{
		{what: "task process, start to ready", ours: ms(start), limit: "40 ms", ok: start <= 40*time.Millisecond},
		{what: "task process that waits, task given to task begun", ours: ms(waiting), limit: "5 ms", ok: waiting <= 5*time.Millisecond},
	}, nil
}

// oneProcess starts a task process and gives it a task that ends at once. It returns the times from
// start to ready and from the task to its first log line.
func oneProcess(ctx context.Context, o options, dir string) (ready, first time.Duration, err error) {
	cmd := exec.CommandContext(ctx, filepath.Join(o.bin, "task-runner"))
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return 0, 0, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return 0, 0, err
	}
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return 0, 0, err
	}
	lines := bufio.NewScanner(stdout)
	if err := next(lines, func(m task.Message) bool { return m.Ready }); err != nil {
		return 0, 0, err
	}
	ready = time.Since(began)
	spec, err := json.Marshal(task.Spec{
		Tenant: benchTenant, Execution: models.NewID(models.PrefixExecution), Task: "one", Kind: models.TaskTransformation, Attempt: 1,
		Transformation: &definition.Transformation{Name: "one", Type: definition.TransformSQL, SQL: &definition.SQLTransform{SQL: "select 1 as x"}},
		Output:         filepath.Join(dir, models.NewID("out-")), Scratch: dir,
		Limits: task.Limits{MemoryBytes: 1 << 30, ScratchBytes: 1 << 30, Threads: 2},
	})
	if err != nil {
		return 0, 0, err
	}
	began = time.Now()
	if _, err := stdin.Write(append(spec, '\n')); err != nil {
		return 0, 0, err
	}
	if err := next(lines, func(m task.Message) bool { return m.Log != nil }); err != nil {
		return 0, 0, err
	}
	first = time.Since(began)
	if err := next(lines, func(m task.Message) bool { return m.Result != nil }); err != nil {
		return 0, 0, err
	}
	_, _ = io.Copy(io.Discard, stdout)
	return ready, first, cmd.Wait()
}

// next reads messages until one is wanted.
func next(lines *bufio.Scanner, wanted func(task.Message) bool) error {
	for lines.Scan() {
		var m task.Message
		if err := json.Unmarshal(lines.Bytes(), &m); err != nil {
			return err
		}
		if m.Failure != nil {
			return m.Failure
		}
		if wanted(m) {
			return nil
		}
	}
	return errors.Join(lines.Err(), io.ErrUnexpectedEOF)
}
