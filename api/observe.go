package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"runtime/debug"

	"github.com/go-chi/chi/v5/middleware"

	"github.com/matih/pipeline-service/api/auth"
	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/store"
)

const requestIDHeader = "X-Request-ID"

// saneRequestID is a request id that may be taken over from a client and written to logs.
var saneRequestID = regexp.MustCompile(`^[A-Za-z0-9._:-]{1,128}$`)

// request is what the stages learn about a request and hand on. One goroutine uses it at a time.
type request struct {
	api       *service
	id        string
	method    string
	operation string
	public    bool
	hasToken  bool
	principal *auth.Principal
	tenant    models.TenantID
	store     *store.Tenant
	// body is what arrived, and bodyErr why it did not; receive sets them, checkBody acts on them.
	body    []byte
	bodyErr error
	// claim is the id that the Idempotency-Key stands for; empty without one.
	claim string
	// resource is what the path names.
	resource any
	// mistakes are those found before Huma looks; they are answered together with what it finds.
	mistakes []models.Mistake
}

type requestKey struct{}

// requestOf is the state of the request a context belongs to.
func requestOf(ctx context.Context) *request {
	if r, ok := ctx.Value(requestKey{}).(*request); ok {
		return r
	}
	return &request{}
}

// newID makes the id of a resource this request creates: always the same where an Idempotency-Key
// says that the request may come again.
func (r *request) newID(prefix string) string {
	if r.claim != "" {
		return prefix + r.claim
	}
	return models.NewID(prefix)
}

// observe gives every request an id, a line in the log and its place in the metrics, and turns a panic
// into a 500.
func (s *service) observe(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := s.Now()
		state := &request{api: s, id: r.Header.Get(requestIDHeader), method: r.Method}
		if !saneRequestID.MatchString(state.id) {
			state.id = models.NewID("")
		}
		ctx := context.WithValue(r.Context(), requestKey{}, state)
		r = r.WithContext(ctx)
		seen := middleware.NewWrapResponseWriter(w, r.ProtoMajor)
		seen.Header().Set(requestIDHeader, state.id)
		seen.Header().Set("X-Content-Type-Options", "nosniff")
		seen.Header().Set("Cache-Control", "no-store")

		defer func() {
			fault := recover()
			// An answer that has begun cannot become a 500: the connection is cut, so that nobody takes it for whole.
			err, _ := fault.(error)
			aborted := errors.Is(err, http.ErrAbortHandler)
			cut := aborted || (fault != nil && seen.Status() != 0)
			if fault != nil && !aborted {
				s.Log.ErrorContext(ctx, "panic", "requestId", state.id, "operation", state.operation,
					"panic", fmt.Sprint(fault), "stack", string(debug.Stack()))
				if !cut {
					s.fail(seen, r, &models.Error{Code: models.CodeInternal})
				}
			}
			took := s.Now().Sub(start)
			s.metrics.observe(state.operation, seen.Status(), took)
			attrs := []slog.Attr{
				slog.String("requestId", state.id),
				slog.String("method", r.Method),
				slog.String("path", r.URL.EscapedPath()),
				slog.String("operation", state.operation),
				slog.Int("status", seen.Status()),
				slog.Int("bytes", seen.BytesWritten()),
				slog.Duration("duration", took),
				slog.String("remote", r.RemoteAddr),
				slog.String("tenant", string(state.tenant)),
			}
			if state.principal != nil {
				attrs = append(attrs, slog.String("subject", state.principal.Subject))
			}
			s.Log.LogAttrs(ctx, accessLevel(state), "request", attrs...)
			if cut {
				panic(http.ErrAbortHandler)
			}
		}()
		next.ServeHTTP(seen, r)
	})
}

// accessLevel keeps what machines ask every few seconds out of the ordinary log.
func accessLevel(r *request) slog.Level {
	if r.public {
		return slog.LevelDebug
	}
	return slog.LevelInfo
}
