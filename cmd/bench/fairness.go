package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/matih/pipeline-service/cmd/internal/harness"
)

const (
	// crowd is how many executions of one tenant wait while another submits one a second, visits times.
	crowd  = 2000
	visits = 30
	// mostActiveRuns is what a definition may allow, and threeTasks does.
	mostActiveRuns = 1000

	visitorTenant = "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"
)

func benchFairness(ctx context.Context, o options) ([]figure, error) {
	s, c, files, end, err := standalone(ctx, o, "--max-open-executions", "0")
	if err != nil {
		return nil, err
	}
	defer end()
	visitor, err := s.Client(ctx, visitorTenant, "bench", "DATA_ENGINEER,OPERATOR")
	if err != nil {
		return nil, err
	}
	_, err = visitor.CreateConnection(ctx, map[string]any{"name": "files", "type": "local", "properties": map[string]any{"path": files}})
	if err != nil {
		return nil, err
	}
	theirs, err := threeTaskPipeline(ctx, visitor, files)
	if err != nil {
		return nil, err
	}
	alone, err := startDelays(ctx, visitor, theirs)
	if err != nil {
		return nil, err
	}
	for i := range crowd / mostActiveRuns {
		crowded, err := c.CreatePipeline(ctx, fmt.Sprintf("crowd-%d", i), threeTasks())
		if err != nil {
			return nil, err
		}
		err = each(ctx, mostActiveRuns, func(ctx context.Context, _ int) error {
			_, err := c.Execute(ctx, crowded, nil)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	beside, err := startDelays(ctx, visitor, theirs)
	if err != nil {
		return nil, err
	}
	left, err := total(ctx, c, "QUEUED")
	if err != nil {
		return nil, err
	}
	a, b := percentile(beside, 99), percentile(alone, 99)
	return []figure{{
		what: fmt.Sprintf("tenant B's start delay, p99, one a second, while tenant A has up to %d executions waiting (%d at the end)", crowd, left),
		ours: ms(a), beside: "B alone: " + ms(b), ratio: times(a, b), limit: "3×", ok: float64(a) <= 3*float64(b),
	}}, nil
}

// startDelays submits executions, one a second, and returns how long each waited until its first task started.
func startDelays(ctx context.Context, c *harness.Client, pipeline string) ([]time.Duration, error) {
	var ids []string
	_, err := latencies(visits, time.Second, func(int) error {
		id, err := c.Execute(ctx, pipeline, nil)
		ids = append(ids, id)
		return err
	})
	if err != nil {
		return nil, err
	}
	var delays []time.Duration
	for _, id := range ids {
		var e struct{ SubmittedAt, StartedAt time.Time }
		err := poll(ctx, time.Now().Add(5*time.Minute), func() (bool, error) {
			err := c.JSON(ctx, http.MethodGet, "/v1/pipelines/executions/"+id, nil, http.StatusOK, &e)
			return !e.StartedAt.IsZero(), err
		})
		if err != nil {
			return nil, err
		}
		delays = append(delays, e.StartedAt.Sub(e.SubmittedAt))
	}
	return delays, nil
}
