package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/matih/pipeline-service/api/auth"
	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/store"
)

const (
	idempotencyHeader = "Idempotency-Key"
	replayedHeader    = "Idempotency-Replayed"
	// settleTimeout bounds how long the outcome of a request may take to be written down after its client left.
	settleTimeout = 5 * time.Second
)

// replayed are the headers that are part of an answer and come again with it.
var replayed = []string{"Content-Type", "Location", "ETag"}

// idempotent makes a POST with an Idempotency-Key happen once: the same request again gets the first answer
// again, another request with the same key a 409. The key stands for the id of what the request
// creates, so a retry after a crash finds what was created instead of creating a second one.
func (s *service) idempotent(op *operation, next http.Handler) http.Handler {
	if op.Method != http.MethodPost || op.Scope == auth.Public {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		state := requestOf(r.Context())
		values := r.Header.Values(idempotencyHeader)
		// A body that did not arrive has no fingerprint; the request fails anyway.
		if len(values) == 0 || state.bodyErr != nil {
			next.ServeHTTP(w, r)
			return
		}
		key := values[0]
		if len(values) > 1 || !visible(key, 255) {
			s.fail(w, r, invalid([]models.Mistake{{
				Location: "header." + idempotencyHeader, Message: "must be one value of 1 to 255 visible ASCII characters",
			}}))
			return
		}
		claim, err := state.store.ClaimKey(r.Context(), key, fingerprint(r, state.body), models.NewID(""), s.Now())
		if err != nil {
			s.fail(w, r, err)
			return
		}
		if claim.Answer != nil {
			replay(w, claim.Answer)
			return
		}
		state.claim = claim.ID
		s.answerOnce(w, r, key, next)
	})
}

// answerOnce serves a request whose key is ours and writes its answer down before it is sent.
func (s *service) answerOnce(w http.ResponseWriter, r *http.Request, key string, next http.Handler) {
	answer := &recorder{header: w.Header()}
	settled := false
	settle := func(write func(context.Context, *store.Tenant) error) {
		settled = true
		ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), settleTimeout)
		defer cancel()
		state := requestOf(ctx)
		if err := write(ctx, state.store); err != nil {
			s.Log.ErrorContext(ctx, "the outcome of an idempotent request could not be kept",
				"requestId", state.id, "tenant", state.tenant, "error", err)
		}
	}
	release := func(ctx context.Context, t *store.Tenant) error { return t.ReleaseKey(ctx, key) }
	defer func() {
		if !settled { // a panic is on its way
			settle(release)
		}
	}()
	next.ServeHTTP(answer, r)
	if answer.status >= http.StatusInternalServerError || answer.status == http.StatusTooManyRequests {
		settle(release) // nothing happened that a retry should be told again
	} else {
		kept := store.Answer{Status: answer.status, Header: map[string]string{}, Body: answer.body.Bytes()}
		for _, name := range replayed {
			if value := w.Header().Get(name); value != "" {
				kept.Header[name] = value
			}
		}
		settle(func(ctx context.Context, t *store.Tenant) error { return t.AnswerKey(ctx, key, kept) })
	}
	w.WriteHeader(answer.status)
	_, _ = w.Write(answer.body.Bytes()) // a client that has gone asks again with its key
}

// replay sends a kept answer.
func replay(w http.ResponseWriter, a *store.Answer) {
	for name, value := range a.Header {
		w.Header().Set(name, value)
	}
	w.Header().Set(replayedHeader, "true")
	w.WriteHeader(a.Status)
	_, _ = w.Write(a.Body)
}

// fingerprint tells requests apart: method, path, query, media type and body.
func fingerprint(r *http.Request, body []byte) string {
	h := sha256.New()
	for _, part := range []string{r.Method, r.URL.EscapedPath(), r.URL.RawQuery, r.Header.Get("Content-Type")} {
		fmt.Fprintf(h, "%d:%s\n", len(part), part)
	}
	h.Write(body)
	return hex.EncodeToString(h.Sum(nil))
}

// visible reports whether s is 1 to n visible ASCII characters.
func visible(s string, n int) bool {
	return s != "" && len(s) <= n && !strings.ContainsFunc(s, func(c rune) bool { return c <= ' ' || c > '~' })
}

// recorder holds an answer back.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// Header gives the headers of the answer.
func (a *recorder) Header() http.Header { return a.header }

// WriteHeader keeps the first status.
func (a *recorder) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
}

// Write keeps a part of the body.
func (a *recorder) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.body.Write(p)
}
