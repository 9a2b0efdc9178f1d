package workflows

import "github.com/matih/pipeline-service/models/contract"

// graph tells which tasks are ready, running and done. Tasks become ready in the plan's order, so
// that a replay starts them in the same one.
type graph struct {
	tasks   []contract.PlannedTask
	unmet   []int   // by task, how many of the tasks before it have not succeeded
	after   [][]int // by task, the tasks that wait for it
	state   []taskState
	ready   []int // queue
	running int
	holding int
	success int
}

type taskState uint8

const (
	waiting taskState = iota
	running
	held // back at a gate
	succeeded
	ended // without success
)

func newGraph(tasks []contract.PlannedTask) *graph {
	g := &graph{tasks: tasks, unmet: make([]int, len(tasks)), after: make([][]int, len(tasks)), state: make([]taskState, len(tasks))}
	for i, t := range tasks {
		g.unmet[i] = len(t.After)
		for _, before := range t.After {
			g.after[before] = append(g.after[before], i)
		}
	}
	for i := range tasks {
		if g.unmet[i] == 0 {
			g.ready = append(g.ready, i)
		}
	}
	for i, t := range tasks {
		if t.Reused {
			g.pass(i)
		}
	}
	return g
}

// pass counts a task as succeeded that does not run.
func (g *graph) pass(i int) {
	if g.state[i] == waiting {
		g.state[i] = running
		g.running++
		g.succeed(i)
	}
}

// resume marks the tasks that an earlier run of the workflow saw succeed.
func (g *graph) resume(names []string) {
	done := make(map[string]bool, len(names))
	for _, name := range names {
		done[name] = true
	}
	for i, t := range g.tasks {
		if done[t.Name] {
			g.pass(i)
		}
	}
}

// next takes the first ready task and counts it as running.
func (g *graph) next() (int, bool) {
	for len(g.ready) > 0 {
		i := g.ready[0]
		g.ready = g.ready[1:]
		if g.state[i] == waiting {
			g.state[i] = running
			g.running++
			return i, true
		}
	}
	return 0, false
}

func (g *graph) succeed(i int) {
	g.state[i] = succeeded
	g.running--
	g.success++
	for _, j := range g.after[i] {
		if g.unmet[j]--; g.unmet[j] == 0 {
			g.ready = append(g.ready, j)
		}
	}
}

func (g *graph) fail(i int) {
	g.state[i] = ended
	g.running--
}

// hold keeps a running task back at a gate: one that has run, or one that was about to.
func (g *graph) hold(i int) {
	g.state[i] = held
	g.running--
	g.holding++
}

// release lets what waits for a held task, which has run, go on.
func (g *graph) release(i int) {
	g.resumeRunning(i)
	g.succeed(i)
}

// readmit puts a held task, which has not run, back in the queue.
func (g *graph) readmit(i int) {
	g.resumeRunning(i)
	g.state[i] = waiting
	g.running--
	g.ready = append(g.ready, i)
}

// drop gives a held task up.
func (g *graph) drop(i int) {
	g.resumeRunning(i)
	g.fail(i)
}

func (g *graph) resumeRunning(i int) {
	g.state[i] = running
	g.holding--
	g.running++
}

func (g *graph) runningCount() int { return g.running }

// heldCount is how many tasks are held back at gates.
func (g *graph) heldCount() int { return g.holding }

// finished reports whether every task has succeeded.
func (g *graph) finished() bool { return g.success == len(g.tasks) }

func (g *graph) done() []string { return g.names(succeeded) }

func (g *graph) progress() contract.Progress {
	return contract.Progress{TotalTasks: len(g.tasks), CompletedTasks: g.success, RunningTasks: g.names(running)}
}

func (g *graph) names(state taskState) []string {
	var names []string
	for i, t := range g.tasks {
		if g.state[i] == state {
			names = append(names, t.Name)
		}
	}
	return names
}
