package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/matih/pipeline-service/cmd/internal/harness"
)

// rateExecutions is how many executions are submitted at once.
const rateExecutions = 200

// threeTasks is a source, a transformation and a sink, of which many may run at once.
func threeTasks() map[string]any {
	return map[string]any{
		"sources":         map[string]any{"one": map[string]any{"type": "cloud_storage", "connection": "files", "prefix": "in/", "format": "csv"}},
		"transformations": []map[string]any{{"name": "next", "type": "sql_transform", "input": "one", "sql": "select x + 1 as x from one"}},
		"sinks":           map[string]any{"out": map[string]any{"type": "cloud_storage", "connection": "files", "prefix": "out/", "format": "csv", "mode": "append"}},
		"orchestration":   map[string]any{"max_active_runs": 1000},
	}
}

func benchRate(ctx context.Context, o options) ([]figure, error) {
	_, c, files, end, err := standalone(ctx, o)
	if err != nil {
		return nil, err
	}
	defer end()
	pipeline, err := threeTaskPipeline(ctx, c, files)
	if err != nil {
		return nil, err
	}
	var all []time.Duration
	for i := range max(3, o.runs-2) {
		took, err := timed(func() error { return burst(ctx, c, pipeline, rateExecutions) })
		if err != nil {
			return nil, err
		}
		if i > 0 {
			all = append(all, took)
		}
	}
	rate := rateExecutions / median(all).Seconds()
	return []figure{{what: "200 executions of three tasks, submitted at once", ours: fmt.Sprintf("%.1f executions/s", rate),
		limit: "10 executions/s", ok: rate >= 10}}, nil
}

func threeTaskPipeline(ctx context.Context, c *harness.Client, files string) (string, error) {
	if err := writeOne(files); err != nil {
		return "", err
	}
	pipeline, err := c.CreatePipeline(ctx, "three", threeTasks())
	if err != nil {
		return "", err
	}
	return pipeline, complete(ctx, c, pipeline)
}

// burst submits n executions, eight at a time, and waits until none is open.
func burst(ctx context.Context, c *harness.Client, pipeline string, n int) error {
	before, err := total(ctx, c, "COMPLETED")
	if err != nil {
		return err
	}
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(8)
	for range n {
		g.Go(func() error {
			_, err := c.Execute(gctx, pipeline, nil)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		now, err := total(ctx, c, "COMPLETED")
		if err != nil {
			return err
		}
		if now-before >= n {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("only %d of %d executions completed: %w", now-before, n, ctx.Err())
		case <-tick.C:
		}
	}
}

// total is the number of executions of a status.
func total(ctx context.Context, c *harness.Client, status string) (int, error) {
	var list struct {
		Total int `json:"total"`
	}
	err := c.JSON(ctx, http.MethodGet, "/v1/pipelines/executions?size=1&status="+status, nil, http.StatusOK, &list)
	return list.Total, err
}

// statusSamples is how many answers are timed.
const statusSamples = 1000

// halfRate is half of the executions a second that the rate benchmark asks for.
const halfRate = 5

func benchStatus(ctx context.Context, o options) ([]figure, error) {
	_, c, files, end, err := standalone(ctx, o)
	if err != nil {
		return nil, err
	}
	defer end()
	pipeline, err := threeTaskPipeline(ctx, c, files)
	if err != nil {
		return nil, err
	}
	load, stop := context.WithCancel(ctx)
	g, load := errgroup.WithContext(load)
	ids := make(chan string, 1)
	g.Go(func() error { return submitAtRate(load, c, pipeline, ids) })
	var took []time.Duration
	id := <-ids
	for range statusSamples {
		select {
		case id = <-ids:
		default:
		}
		d, err := timed(func() error { _, err := c.Execution(ctx, id); return err })
		if err != nil {
			stop()
			return nil, err
		}
		took = append(took, d)
		time.Sleep(10 * time.Millisecond)
	}
	stop()
	if err := g.Wait(); err != nil {
		return nil, err
	}
	p99 := percentile(took, 99)
	return []figure{{what: fmt.Sprintf("GET of a status at %d executions/s, p99 (median %s)", halfRate, ms(median(took))),
		ours: ms(p99), limit: "20 ms", ok: p99 <= 20*time.Millisecond}}, nil
}

// submitAtRate submits executions at halfRate until the context ends and tells their ids to whoever
// listens.
func submitAtRate(ctx context.Context, c *harness.Client, pipeline string, ids chan<- string) error {
	tick := time.NewTicker(time.Second / halfRate)
	defer tick.Stop()
	for {
		id, err := c.Execute(ctx, pipeline, nil)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // the benchmark is over
		}
		if err != nil {
			return err
		}
		select {
		case ids <- id:
		default:
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}
