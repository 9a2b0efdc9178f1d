package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/matih/pipeline-service/cmd/internal/harness"
)

// warmApprovals executions wait at a gate before waitingApprovals more do: a thousand in all.
const (
	warmApprovals    = 100
	waitingApprovals = 900
)

func benchApprovals(ctx context.Context, o options) ([]figure, error) {
	s, c, files, end, err := standalone(ctx, o, "--max-open-executions", "0")
	if err != nil {
		return nil, err
	}
	defer end()
	if err := writeOne(files); err != nil {
		return nil, err
	}
	gated, err := c.CreatePipeline(ctx, "gated", map[string]any{
		"sources": map[string]any{"one": map[string]any{"type": "cloud_storage", "connection": "files", "prefix": "in/", "format": "csv"}},
		"sinks":   map[string]any{"out": map[string]any{"type": "cloud_storage", "connection": "files", "prefix": "out/", "format": "csv", "mode": "append"}},
		"orchestration": map[string]any{"max_active_runs": mostActiveRuns,
			"approval": map[string]any{"timeout": "7d", "before": []string{"out"}}},
	})
	if err != nil {
		return nil, err
	}
	// The first hundred warm up what is there however many wait: caches, pools, the memory of the runtime.
	if err := awaitGates(ctx, c, gated, warmApprovals, warmApprovals); err != nil {
		return nil, err
	}
	before, err := settledMemory(ctx, s.Pid())
	if err != nil {
		return nil, err
	}
	if err := awaitGates(ctx, c, gated, waitingApprovals, waitingApprovals+warmApprovals); err != nil {
		return nil, err
	}
	after, err := settledMemory(ctx, s.Pid())
	if err != nil {
		return nil, err
	}
	added := float64(after-before) / (1 << 20)
	return []figure{{
		what: fmt.Sprintf("%d executions more that wait for an approval: memory of standalone", waitingApprovals),
		ours: fmt.Sprintf("+%.0f MB", added), beside: fmt.Sprintf("with %d: %d MB", warmApprovals, before>>20),
		limit: "50 MB", ok: added <= 50,
	}}, nil
}

// awaitGates submits n executions and waits until so many in all wait at their gates.
func awaitGates(ctx context.Context, c *harness.Client, pipeline string, n, inAll int) error {
	err := each(ctx, n, func(ctx context.Context, _ int) error {
		_, err := c.Execute(ctx, pipeline, nil)
		return err
	})
	if err != nil {
		return err
	}
	return poll(ctx, time.Now().Add(10*time.Minute), func() (bool, error) {
		var list struct{ Total int }
		err := c.JSON(ctx, http.MethodGet, "/v1/pipelines/approvals?size=1&status=PENDING", nil, http.StatusOK, &list)
		return list.Total == inAll, err
	})
}

// settledMemory is the least memory that a process holds while it is left alone for some seconds, in bytes: the runtime
// gives back slowly what it no longer needs.
func settledMemory(ctx context.Context, pid int) (int64, error) {
	least := int64(0)
	for range 30 {
		now, err := residentMemory(pid)
		if err != nil {
			return 0, err
		}
		if least == 0 || now < least {
			least = now
		}
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(time.Second):
		}
	}
	return least, nil
}

// residentMemory reads VmRSS of proc(5).
func residentMemory(pid int) (int64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(status), "VmRSS:")
	line, _, _ := strings.Cut(rest, "kB")
	kilobytes, err := strconv.ParseInt(strings.TrimSpace(line), 10, 64)
	return kilobytes << 10, err
}
