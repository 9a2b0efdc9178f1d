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

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/contract"
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

// gate has an execution wait at a gate and returns the approval's id.
func (e *env) gate(execution, gate string, change ...func(*models.Approval)) string {
	e.Helper()
	evidence, hash, err := models.Evidence{Check: gate, CheckType: "range", Rows: 3, Failing: 1, Share: 1. / 3}.Canonical()
	require.NoError(e, err)
	a := models.Approval{
		ID: contract.ApprovalID(execution, gate), ExecutionID: execution, Gate: gate, Required: 2, Groups: []string{"finance"},
		SubmittedBy: "engineer@acme.com", RequestedAt: time.Now(), Deadline: time.Now().Add(time.Hour), Evidence: evidence, EvidenceHash: hash,
	}
	for _, f := range change {
		f(&a)
	}
	require.NoError(e, e.store.ForTenant(e.tenant).OpenApproval(e.Context(), a))
	return a.ID
}
