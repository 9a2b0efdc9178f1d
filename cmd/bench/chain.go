package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/matih/pipeline-service/cmd/internal/harness"
)

// chainLength is the number of tasks in the chain, its source and sink not counted.
const chainLength = 40

// chainDefinition is a source, a chain of trivial transformations and a sink.
func chainDefinition() map[string]any {
	steps := make([]map[string]any, chainLength)
	input := "one"
	for i := range steps {
		name := fmt.Sprintf("step_%d", i)
		steps[i] = map[string]any{"name": name, "type": "sql_transform", "input": input, "sql": "select x + 1 as x from " + input}
		input = name
	}
	return map[string]any{
		"sources":         map[string]any{"one": map[string]any{"type": "cloud_storage", "connection": "files", "prefix": "in/", "format": "csv"}},
		"transformations": steps,
		"sinks":           map[string]any{"out": map[string]any{"type": "cloud_storage", "connection": "files", "prefix": "out/", "format": "csv", "mode": "overwrite"}},
	}
}

func benchChain(ctx context.Context, o options) ([]figure, error) {
	s, c, files, end, err := standalone(ctx, o)
	if err != nil {
		return nil, err
	}
	defer end()
	if err := writeOne(files); err != nil {
		return nil, err
	}
	pipeline, err := c.CreatePipeline(ctx, "chain", chainDefinition())
	if err != nil {
		return nil, err
	}
	bare, stop, err := bareChain(s.Temporal)
	if err != nil {
		return nil, err
	}
	defer stop()
	ours, beside, err := alternate(o.runs,
		func() (time.Duration, error) { return timed(func() error { return complete(ctx, c, pipeline) }) },
		func() (time.Duration, error) { return timed(func() error { return bare(ctx) }) })
	if err != nil {
		return nil, err
	}
	perTask, perActivity := ours/(chainLength+2), beside/chainLength
	return []figure{
		{what: "a task of a chain of 40 sql_transforms, process isolation on", ours: ms(perTask), limit: "25 ms", ok: perTask <= 25*time.Millisecond},
		{what: "the same beside an empty activity of a bare Temporal workflow", ours: ms(perTask), beside: ms(perActivity),
			ratio: times(perTask, perActivity), limit: "3×", ok: perTask <= 3*perActivity},
	}, nil
}

func writeOne(files string) error {
	if err := os.MkdirAll(filepath.Join(files, "in"), 0o750); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(files, "in", "one.csv"), []byte("x\n1\n"), 0o600)
}

// complete runs a pipeline and fails where it does not complete.
func complete(ctx context.Context, c *harness.Client, pipeline string) error {
	e, err := c.Run(ctx, pipeline, nil)
	if err != nil {
		return err
	}
	if e.Status != "COMPLETED" {
		return fmt.Errorf("execution %s is %s: %+v", e.ExecutionID, e.Status, e.Error)
	}
	return nil
}

// bareChain returns a function that runs a workflow of chainLength empty activities on the server.
func bareChain(address string) (run func(context.Context) error, stop func(), err error) {
	const queue = "bench-bare"
	c, err := client.Dial(client.Options{HostPort: address, Logger: quiet{}})
	if err != nil {
		return nil, nil, err
	}
	w := worker.New(c, queue, worker.Options{DisableEagerActivities: true})
	w.RegisterWorkflow(bareWorkflow)
	w.RegisterActivity(emptyActivity)
	if err := w.Start(); err != nil {
		c.Close()
		return nil, nil, err
	}
	run = func(ctx context.Context) error {
		execution, err := c.ExecuteWorkflow(ctx, client.StartWorkflowOptions{TaskQueue: queue}, bareWorkflow)
		if err != nil {
			return err
		}
		return execution.Get(ctx, nil)
	}
	return run, func() { w.Stop(); c.Close() }, nil
}

func bareWorkflow(ctx workflow.Context) error {
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{StartToCloseTimeout: time.Minute, HeartbeatTimeout: 15 * time.Second})
	for range chainLength {
		if err := workflow.ExecuteActivity(ctx, emptyActivity).Get(ctx, nil); err != nil {
			return err
		}
	}
	return nil
}

func emptyActivity(context.Context) error { return nil }

// quiet is a Temporal logger that says nothing.
type quiet struct{}

// Debug drops the line.
func (quiet) Debug(string, ...any) {}

// Info drops the line.
func (quiet) Info(string, ...any) {}

// Warn drops the line.
func (quiet) Warn(string, ...any) {}

// Error drops the line.
func (quiet) Error(string, ...any) {}
