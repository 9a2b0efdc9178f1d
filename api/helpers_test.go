package api_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func jsonOf(t *testing.T, v any) string {
	t.Helper()
	doc, err := json.Marshal(v)
	require.NoError(t, err)
	return string(doc)
}

// problemAny requires a failure of a status, whatever its code.
func (a *answer) problemAny(status int) {
	a.Helper()
	a.is(status)
	require.Equal(a, "application/problem+json", a.header.Get("Content-Type"))
}

// fingerprintOf is the fingerprint the API makes of a request.
func fingerprintOf(method, path, query, media, content string) string {
	h := sha256.New()
	for _, part := range []string{method, path, query, media} {
		fmt.Fprintf(h, "%d:%s\n", len(part), part)
	}
	h.Write([]byte(content))
	return hex.EncodeToString(h.Sum(nil))
}

// clock is a time that tests move.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Now()} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}
