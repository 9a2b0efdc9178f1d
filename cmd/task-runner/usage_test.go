package main

import (
	"context"
	"encoding/json"
	"io"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/task"
	"github.com/matih/pipeline-service/worker/runner/connectortest"
)

// More work uses more, in every way that it is measured.
func TestUsageGrowsWithWork(t *testing.T) {
	l := newLab(t)
	run := func(sql string) *models.Usage {
		used := l.MustRun(transformation(l, sql)).Usage
		require.NotNil(t, used)
		return used
	}
	small, large := run("SELECT 1 AS n"), run("SELECT hash(a.i, b.j) AS n, repeat('x', 100) AS filler FROM range(2000) AS a(i), range(1000) AS b(j) ORDER BY n")
	for _, used := range []*models.Usage{small, large} {
		assert.Positive(t, used.CPUMicros)
		assert.Positive(t, used.WallMicros)
		assert.Greater(t, used.MeanMemoryBytes, int64(1<<20))
		assert.GreaterOrEqual(t, used.PeakMemoryBytes, used.MeanMemoryBytes)
		assert.Zero(t, used.NetworkBytes, "nothing came from outside")
	}
	assert.Greater(t, large.CPUMicros, 2*small.CPUMicros)
	assert.Greater(t, large.WallMicros, small.WallMicros)
	assert.Greater(t, large.PeakMemoryBytes, small.PeakMemoryBytes+64<<20)
	assert.Greater(t, large.MeanMemoryBytes, small.MeanMemoryBytes)
	assert.Greater(t, large.StagedBytes, small.StagedBytes)
	assert.Positive(t, small.StagedBytes)
}

func TestATaskThatFailedHasUsedSomething(t *testing.T) {
	l := newLab(t)
	failed := l.MustFail(transformation(l, "SELECT error('no') FROM range(10)"))
	require.NotNil(t, failed.Usage)
	assert.Positive(t, failed.Usage.CPUMicros)
	assert.Positive(t, failed.Usage.MeanMemoryBytes)
	assert.Zero(t, failed.Usage.StagedBytes, "it has left nothing")
}

// The tasks of one process use what the process does, each its own part.
func TestUsageOfTheTasksOfOneProcess(t *testing.T) {
	l := newLab(t)
	enclosure, scratch := l.NewDir("enclosure"), l.NewDir("scratch")
	enclosed := func(name, sql string) task.Spec {
		spec := transformation(l, sql)
		spec.Task, spec.Enclosure, spec.Scratch, spec.Output = name, enclosure, scratch, filepath.Join(enclosure, name)
		return l.Complete(spec)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	p := l.Start(enclosed("heavy", "SELECT sum(hash(a.i, b.j)) AS n FROM range(3000) AS a(i), range(20000) AS b(j)"))
	heavy := ended(ctx, t, p)
	line, err := json.Marshal(enclosed("light", "SELECT 1 AS n"))
	require.NoError(t, err)
	require.NoError(t, p.Send(line))
	light := ended(ctx, t, p)
	assert.Greater(t, heavy.CPUMicros, 2*light.CPUMicros, "the work of the first task is not the second's")
	assert.Positive(t, light.CPUMicros)
	require.NoError(t, p.CloseStdin())
	_, err = p.Next(ctx)
	require.ErrorIs(t, err, io.EOF)
	_, code := p.Wait()
	require.Zero(t, code)
	whole := p.CPUTime().Microseconds()
	told := heavy.CPUMicros + light.CPUMicros
	assert.LessOrEqual(t, told, whole)
	assert.Less(t, whole-told, int64(200_000), "all but the process's end is somebody's")
}

// ended is what the next task used that ends.
func ended(ctx context.Context, t *testing.T, p *connectortest.Process) *models.Usage {
	t.Helper()
	for {
		m, err := p.Next(ctx)
		require.NoError(t, err)
		require.Nil(t, m.Failure)
		if m.Result != nil {
			return m.Result.Usage
		}
	}
}
