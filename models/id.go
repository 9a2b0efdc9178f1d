// Package models says what things are: pipelines, executions, connections, their states and the
// errors that speak about them. It does no I/O and imports nothing of ours.
package models

import (
	"crypto/sha256"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/oklog/ulid/v2"
)

// TenantID is a tenant's UUID in its canonical lower-case form. The zero value is no tenant and
// opens nothing.
type TenantID string

// ParseTenantID accepts a UUID in its 36-character form, in either case.
func ParseTenantID(s string) (TenantID, error) {
	id, err := uuid.Parse(s)
	if err != nil || len(s) != 36 || id == uuid.Nil {
		return "", Errorf(CodeInvalidTenant, "the tenant must be a UUID such as 11111111-2222-4333-8444-555555555555")
	}
	return TenantID(id.String()), nil
}

// Prefixes of the ids that users see.
const (
	PrefixPipeline   = "pipeline-"
	PrefixExecution  = "exec-"
	PrefixSchedule   = "schedule-"
	PrefixConnection = "conn-"
	PrefixAlert      = "alert-"
	PrefixBackfill   = "backfill-"
	PrefixPlan       = "plan-"
)

// NewID returns prefix followed by a lower-case ULID: 26 characters that sort by the time they
// were made, in milliseconds, and within one process by the order of the calls.
func NewID(prefix string) string {
	return prefix + strings.ToLower(ulid.Make().String())
}

// DerivedID returns the same id for the same prefix, time and seed: what is made again after a fault is found
// again. Its time part is at, so it sorts as NewID's do.
func DerivedID(prefix string, at time.Time, seed string) string {
	var id ulid.ULID
	sum := sha256.Sum256([]byte(seed))
	_ = id.SetTime(ulid.Timestamp(at)) // fails after the year 10889
	_ = id.SetEntropy(sum[:10])        // fails for other lengths
	return prefix + strings.ToLower(id.String())
}

// IsID reports whether s could have come from NewID(prefix). It lets callers turn away nonsense
// before they ask the database.
func IsID(prefix, s string) bool {
	rest, ok := strings.CutPrefix(s, prefix)
	if !ok || rest != strings.ToLower(rest) {
		return false
	}
	_, err := ulid.ParseStrict(rest)
	return err == nil
}
