package definition

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestFreshnessOf(t *testing.T) {
	for doc, want := range map[string]time.Duration{
		`{"orchestration": {"sla": {"freshness": "26h", "max_duration": "30m"}}}`: 26 * time.Hour,
		`{"orchestration": {"sla": {"max_duration": "30m"}}}`:                     0,
		`{"orchestration": {}}`: 0,
		`{}`:                    0,
	} {
		assert.Equal(t, want, FreshnessOf([]byte(doc)), doc)
	}
}
