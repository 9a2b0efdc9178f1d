package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/store"
)

const (
	// followEvery is how often a stream looks for new lines.
	followEvery = 300 * time.Millisecond
	// heartbeatEvery is how often a silent stream says that it is alive.
	heartbeatEvery = 15 * time.Second
	// sendTimeout is how long a client may take to accept what is sent.
	sendTimeout = 10 * time.Second
)

// followers counts the open streams of each tenant.
type followers struct {
	mu   sync.Mutex
	most int
	open map[models.TenantID]int
}

func newFollowers(most int) *followers {
	return &followers{most: most, open: map[models.TenantID]int{}}
}

// join counts one more stream until leave is called. The error has CodeRateLimited.
func (f *followers) join(tenant models.TenantID) (leave func(), err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.open[tenant] >= f.most {
		e := models.Errorf(models.CodeRateLimited, "the tenant follows %d logs already", f.most)
		e.RetryAfter = heartbeatEvery
		return nil, e
	}
	f.open[tenant]++
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.open[tenant]--; f.open[tenant] == 0 {
			delete(f.open, tenant)
		}
	}, nil
}

// follow answers with a stream of an execution's log.
func (s *service) follow(r *request, e models.Execution, in *logsInput) (*logsOutput, error) {
	after, err := lastEvent(in.LastEventID)
	if err != nil {
		return nil, err
	}
	leave, err := s.followers.join(r.tenant)
	if err != nil {
		return nil, err
	}
	return &logsOutput{ContentType: eventsMedia, Vary: "Accept", Body: func(hc huma.Context) {
		defer leave()
		_, w := humachi.Unwrap(hc)
		// The stream ends with the token that opened it.
		ctx, cancel := context.WithDeadline(hc.Context(), r.principal.Expires)
		defer cancel()
		stream := &stream{w: w, conn: http.NewResponseController(w), store: r.store, execution: e.ID, task: in.Task, after: after}
		if err := stream.run(ctx, in.Lines, s.Stopping); err != nil && ctx.Err() == nil {
			s.Log.WarnContext(ctx, "a log stream broke off", "requestId", r.id, "execution", e.ID, "error", err)
		}
	}}, nil
}

func lastEvent(id string) (int64, error) {
	if id == "" {
		return 0, nil
	}
	seq, err := strconv.ParseInt(id, 10, 64)
	if err != nil || seq < 0 {
		return 0, invalid([]models.Mistake{{Location: "header.Last-Event-ID", Message: "must be the id of an event of this stream"}})
	}
	return seq, nil
}

// stream sends an execution's log as server-sent events.
type stream struct {
	w         http.ResponseWriter
	conn      *http.ResponseController
	store     *store.Tenant
	execution string
	task      string
	after     int64 // the last line sent
	sent      time.Time
}

// run sends the last lines, then every new one, until the execution has ended, the client has gone, the context
// is over or the service stops.
func (s *stream) run(ctx context.Context, last int, stopping <-chan struct{}) error {
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	if err := s.comment("follow"); err != nil {
		return err
	}
	for {
		// The status is read before the lines: whoever closes the execution has written its last lines by then.
		e, err := s.store.Execution(ctx, s.execution)
		if err != nil {
			return err
		}
		if err := s.lines(ctx, last); err != nil {
			return err
		}
		last = maxLines
		if e.Status.Terminal() {
			return s.event("end", "", map[string]any{"executionId": e.ID, "status": e.Status})
		}
		if time.Since(s.sent) > heartbeatEvery {
			if err := s.comment("still here"); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-stopping:
			return s.comment("the service stops; connect again")
		case <-tick.C:
		}
	}
}

// lines sends the lines that have not been sent, at most so many at a time.
func (s *stream) lines(ctx context.Context, most int) error {
	for {
		found, err := s.store.Logs(ctx, s.execution, store.LogQuery{Task: s.task, Last: most, After: s.after})
		if err != nil {
			return err
		}
		for _, line := range found {
			s.after = max(s.after, line.Seq) // the first ones come in the order of time
			if err := s.event("line", strconv.FormatInt(line.Seq, 10), viewLine(line.LogLine)); err != nil {
				return err
			}
		}
		if len(found) < most || most < maxLines {
			return nil
		}
	}
}

// event sends one event. Its data are JSON, so no line break in them can begin another one.
func (s *stream) event(name, id string, data any) error {
	doc, err := json.Marshal(data)
	if err != nil {
		return err
	}
	if id != "" {
		id = "id: " + id + "\n"
	}
	return s.send(fmt.Sprintf("%sevent: %s\ndata: %s\n\n", id, name, doc))
}

// comment sends what clients ignore.
func (s *stream) comment(text string) error { return s.send(": " + text + "\n\n") }

func (s *stream) send(text string) error {
	s.sent = time.Now()
	// Writers without a connection, as in tests, have no deadline either.
	_ = s.conn.SetWriteDeadline(s.sent.Add(sendTimeout))
	if _, err := s.w.Write([]byte(text)); err != nil {
		return err
	}
	return s.conn.Flush()
}
