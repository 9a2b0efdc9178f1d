package workflows

import (
	"time"

	"go.temporal.io/sdk/workflow"
)

// clock measures an execution against its timeout. It stands still while approvals are awaited: people
// may take the time that the approval's own timeout gives them.
type clock struct {
	limit    time.Duration
	started  time.Time
	waited   time.Duration // in which it stood still, without the present pause
	paused   time.Time     // since when it stands still; zero while it runs
	selector workflow.Selector
	expired  func()
	stop     workflow.CancelFunc // of the timer, nil without one
}

// run lets time pass.
func (c *clock) run(ctx workflow.Context) {
	if !c.paused.IsZero() {
		c.waited += workflow.Now(ctx).Sub(c.paused)
		c.paused = time.Time{}
	}
	if c.stop != nil {
		return
	}
	left := c.limit - workflow.Now(ctx).Sub(c.started) + c.waited
	// Not the execution's own: where that is cancelled, its tasks and a timer of its would be cancelled in any order,
	// and a replay would come to another one.
	ctx, c.stop = workflow.NewDisconnectedContext(ctx)
	timer := workflow.NewTimerWithOptions(ctx, max(left, time.Millisecond), workflow.TimerOptions{Summary: "execution timeout"})
	c.selector.AddFuture(timer, func(f workflow.Future) {
		if f.Get(ctx, nil) == nil {
			c.expired()
		}
	})
}

// pause lets it stand still.
func (c *clock) pause(ctx workflow.Context) {
	if c.paused.IsZero() {
		c.paused = workflow.Now(ctx)
	}
	c.end()
}

// end stops the timer.
func (c *clock) end() {
	if c.stop != nil {
		c.stop()
		c.stop = nil
	}
}
