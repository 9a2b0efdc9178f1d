package workflows

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/matih/pipeline-service/models/contract"
)

// TestGraphRunsEveryTaskOnceInOrder runs random graphs with random ends and an interruption.
func TestGraphRunsEveryTaskOnceInOrder(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		tasks := make([]contract.PlannedTask, 1+random.IntN(30))
		for i := range tasks {
			tasks[i].Name = string(rune('a' + i))
			for before := range i {
				if random.IntN(4) == 0 {
					tasks[i].After = append(tasks[i].After, before)
				}
			}
		}
		g, ran, active := newGraph(tasks), map[int]bool{}, []int(nil)
		interruptAt := random.IntN(len(tasks))
		for !g.finished() {
			if i, ok := g.next(); ok {
				require.False(t, ran[i], "a task starts once")
				ran[i] = true
				active = append(active, i)
			} else {
				require.NotEmpty(t, active, "somebody runs while tasks are left")
				k := random.IntN(len(active))
				i := active[k]
				active = append(active[:k], active[k+1:]...)
				for _, before := range tasks[i].After {
					require.Equal(t, succeeded, g.state[before])
				}
				g.succeed(i)
			}
			if len(ran) == interruptAt && len(active) == 0 {
				done := g.done()
				g = newGraph(tasks)
				g.resume(done)
				interruptAt = -1
			}
		}
		assert.Len(t, ran, len(tasks))
		assert.Zero(t, g.runningCount())
	}
}
