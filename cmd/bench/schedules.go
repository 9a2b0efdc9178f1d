package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/matih/pipeline-service/cmd/internal/harness"
)

const (
	// schedules is how many there are, dueSchedules how many of them are due at the same time.
	schedules    = 10_000
	dueSchedules = 60
	// dueWithin is what 30 a second leaves for as many.
	dueWithin = 2 * time.Second
	// scheduleSamples is how many answers are timed, triggers a quarter as many.
	scheduleSamples = 400
)

func benchSchedules(ctx context.Context, o options) ([]figure, error) {
	_, c, files, end, err := standalone(ctx, o, "--max-open-executions", "0")
	if err != nil {
		return nil, err
	}
	defer end()
	pipeline, err := threeTaskPipeline(ctx, c, files)
	if err != nil {
		return nil, err
	}
	ids := make([]string, schedules)
	created, err := timed(func() error {
		return each(ctx, schedules, func(ctx context.Context, i int) (err error) {
			ids[i], err = createSchedule(ctx, c, pipeline, "0 0 1 1 *")
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	list, err := latencies(scheduleSamples, 0, func(i int) error {
		return c.JSON(ctx, http.MethodGet, fmt.Sprintf("/v1/pipelines/schedules?page=%d", i%20), nil, http.StatusOK, nil)
	})
	if err != nil {
		return nil, err
	}
	trigger, err := latencies(scheduleSamples/4, time.Second/halfRate, func(i int) error {
		return c.JSON(ctx, http.MethodPost, "/v1/pipelines/schedules/"+ids[i*97]+"/trigger", nil, http.StatusAccepted, nil)
	})
	if err != nil {
		return nil, err
	}
	late, err := lateness(ctx, c, pipeline)
	if err != nil {
		return nil, err
	}
	listed, triggered := percentile(list, 99), percentile(trigger, 99)
	return []figure{
		{what: "making 10,000 schedules", ours: fmt.Sprintf("%.0f schedules/s", schedules/created.Seconds())},
		{what: "a page of 10,000 schedules with their due times, p99", ours: ms(listed), limit: "50 ms", ok: listed <= 50*time.Millisecond},
		{what: "triggering one of 10,000 schedules at 5 a second, p99", ours: ms(triggered), limit: "50 ms", ok: triggered <= 50*time.Millisecond},
		{what: fmt.Sprintf("%d schedules due at the same moment: the last execution is submitted after", dueSchedules), ours: seconds(late),
			limit: fmt.Sprintf("%s (30/s)", seconds(dueWithin)), ok: late <= dueWithin},
	}, nil
}

// lateness makes schedules that are due at the next full minute and returns how long after it the last of their executions
// was submitted.
func lateness(ctx context.Context, c *harness.Client, pipeline string) (time.Duration, error) {
	// What the triggers have begun must not be measured, nor what becomes due while schedules are still being made.
	if err := none(ctx, c); err != nil {
		return 0, err
	}
	due := time.Now().Truncate(time.Minute).Add(time.Minute)
	if time.Until(due) < 20*time.Second {
		due = due.Add(time.Minute)
	}
	ids := make([]string, dueSchedules)
	err := each(ctx, dueSchedules, func(ctx context.Context, i int) (err error) {
		ids[i], err = createSchedule(ctx, c, pipeline, fmt.Sprintf("%d %d * * *", due.UTC().Minute(), due.UTC().Hour()))
		return err
	})
	if err != nil {
		return 0, err
	}
	var last time.Duration
	for _, id := range ids {
		var e struct{ SubmittedAt time.Time }
		err := poll(ctx, due.Add(2*time.Minute), func() (bool, error) {
			var s struct {
				RecentDueTimes []struct{ ExecutionID string }
			}
			if err := c.JSON(ctx, http.MethodGet, "/v1/pipelines/schedules/"+id, nil, http.StatusOK, &s); err != nil || len(s.RecentDueTimes) == 0 {
				return false, err
			}
			return true, c.JSON(ctx, http.MethodGet, "/v1/pipelines/executions/"+s.RecentDueTimes[0].ExecutionID, nil, http.StatusOK, &e)
		})
		if err != nil {
			return 0, err
		}
		last = max(last, e.SubmittedAt.Sub(due))
	}
	return last, nil
}

func createSchedule(ctx context.Context, c *harness.Client, pipeline, cron string) (string, error) {
	var s struct{ ScheduleID string }
	err := c.JSON(ctx, http.MethodPost, "/v1/pipelines/schedules", map[string]any{"pipelineId": pipeline, "cronExpression": cron},
		http.StatusCreated, &s)
	return s.ScheduleID, err
}

// each calls f for 0 to n-1, eight at a time.
func each(ctx context.Context, n int, f func(ctx context.Context, i int) error) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(8)
	for i := range n {
		g.Go(func() error { return f(ctx, i) })
	}
	return g.Wait()
}

// latencies times n calls, one every so often, however long they take; without a pause they follow each other.
func latencies(n int, every time.Duration, f func(i int) error) ([]time.Duration, error) {
	all := make([]time.Duration, 0, n)
	start := time.Now()
	for i := range n {
		time.Sleep(time.Until(start.Add(time.Duration(i) * every)))
		took, err := timed(func() error { return f(i) })
		if err != nil {
			return nil, err
		}
		all = append(all, took)
	}
	return all, nil
}

// poll asks until the answer is yes, at most until a time.
func poll(ctx context.Context, until time.Time, f func() (bool, error)) error {
	ctx, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	return harness.Until(ctx, f)
}

// none waits until no execution is open.
func none(ctx context.Context, c *harness.Client) error {
	return poll(ctx, time.Now().Add(10*time.Minute), func() (bool, error) {
		open := 0
		for _, status := range []string{"QUEUED", "RUNNING"} {
			n, err := total(ctx, c, status)
			if err != nil {
				return false, err
			}
			open += n
		}
		return open == 0, nil
	})
}
