package openlineage

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/matih/pipeline-service/activities/plan"
	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/store"
)

const (
	// queued is how many events may wait to be sent. Beyond them the newest are dropped.
	queued = 10_000
	// tries is how often an event is sent at most, firstPause the wait after the first time, which doubles.
	tries      = 5
	firstPause = 200 * time.Millisecond
	// drainTime is how long Close waits for what is queued.
	drainTime = 5 * time.Second
)

// Emitter sends events, one after another, while executions go on. A nil Emitter sends none.
type Emitter struct {
	store      *store.Store
	plans      *plan.Loader
	log        *slog.Logger
	transports []transport
	queue      chan notice
	dropped    atomic.Int64
	closing    chan struct{}
	ended      chan struct{}
	stop       context.CancelFunc
	once       sync.Once
}

// notice is an event in few words; what it says beside them is in the store.
type notice struct {
	tenant    models.TenantID
	execution string
	kind      EventType
	at        time.Time
	task      string // empty for the execution's own
	attempt   int
	why       *models.ExecutionError
}

// NewEmitter returns an emitter that is at work until Close, or nil where nobody is to be told.
func NewEmitter(o Options, s *store.Store, plans *plan.Loader, log *slog.Logger) (*Emitter, error) {
	transports, err := o.transports()
	if err != nil || len(transports) == 0 {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	e := &Emitter{store: s, plans: plans, log: log, transports: transports,
		queue: make(chan notice, queued), closing: make(chan struct{}), ended: make(chan struct{}), stop: stop}
	go e.run(ctx)
	return e, nil
}

// ExecutionStarted tells that an execution begins.
func (e *Emitter) ExecutionStarted(tenant models.TenantID, execution string) {
	e.tell(notice{tenant: tenant, execution: execution, kind: Start, at: time.Now()})
}

// ExecutionEnded tells how an execution has ended.
func (e *Emitter) ExecutionEnded(x models.Execution) {
	kinds := map[models.ExecutionStatus]EventType{
		models.ExecutionCompleted: Complete, models.ExecutionFailed: Fail, models.ExecutionCancelled: Abort,
	}
	if kind, ended := kinds[x.Status]; ended {
		e.tell(notice{tenant: x.Tenant, execution: x.ID, kind: kind, at: x.EndedAt})
	}
}

// TaskStarted tells that an attempt of a task begins.
func (e *Emitter) TaskStarted(tenant models.TenantID, execution string, run models.TaskRun) {
	e.tell(notice{tenant: tenant, execution: execution, kind: Start, at: run.StartedAt, task: run.Name, attempt: run.Attempts})
}

// TaskEnded tells how an attempt of a task has ended, and that the execution goes on.
func (e *Emitter) TaskEnded(tenant models.TenantID, execution string, run models.TaskRun) {
	kinds := map[models.TaskState]EventType{
		models.TaskSucceeded: Complete, models.TaskFailed: Fail, models.TaskCancelled: Abort,
	}
	n := notice{tenant: tenant, execution: execution, kind: kinds[run.State], at: run.EndedAt, task: run.Name, attempt: run.Attempts, why: run.Error}
	e.tell(n)
	if n.kind == Complete {
		e.tell(notice{tenant: tenant, execution: execution, kind: Running, at: run.EndedAt})
	}
}

func (e *Emitter) tell(n notice) {
	if e == nil {
		return
	}
	select {
	case e.queue <- n:
	default:
		e.dropped.Add(1)
	}
}

// Close sends what is queued, for a while, and ends.
func (e *Emitter) Close() {
	if e == nil {
		return
	}
	e.once.Do(func() { close(e.closing) })
	timer := time.NewTimer(drainTime)
	defer timer.Stop()
	select {
	case <-e.ended:
	case <-timer.C:
	}
	e.stop()
	<-e.ended
}

func (e *Emitter) run(ctx context.Context) {
	defer close(e.ended)
	for {
		select {
		case n := <-e.queue:
			e.deliver(ctx, n)
			continue
		default:
		}
		select {
		case n := <-e.queue:
			e.deliver(ctx, n)
		case <-e.closing:
			if len(e.queue) == 0 {
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

func (e *Emitter) deliver(ctx context.Context, n notice) {
	if ctx.Err() != nil {
		return
	}
	if dropped := e.dropped.Swap(0); dropped > 0 {
		e.log.WarnContext(ctx, "OpenLineage events were dropped: they came faster than they could be sent", "events", dropped)
	}
	body, err := e.body(ctx, n)
	if err != nil {
		e.log.WarnContext(ctx, "an OpenLineage event could not be made", "execution", n.execution, "event", n.kind, "error", err)
		return
	}
	for _, t := range e.transports {
		if err := attempt(ctx, t, body); err != nil {
			e.log.WarnContext(ctx, "an OpenLineage event was not sent", "execution", n.execution, "event", n.kind, "error", err)
		}
	}
}

func (e *Emitter) body(ctx context.Context, n notice) ([]byte, error) {
	b, err := load(ctx, e.store, e.plans, n.tenant, n.execution)
	if err != nil {
		return nil, err
	}
	if n.task != "" {
		return json.Marshal(b.ofTask(n.kind, n.at, n.task, n.attempt, n.why))
	}
	return json.Marshal(b.ofExecution(n.kind, n.at))
}

// attempt sends an event until it is taken, refused or was tried often enough.
func attempt(ctx context.Context, t transport, body []byte) error {
	wait := firstPause
	for try := 1; ; try++ {
		err := t.send(ctx, body)
		if err == nil || errors.Is(err, errRefused) || try == tries {
			return err
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return err
		case <-timer.C:
		}
		wait *= 2
	}
}
