package role

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/matih/pipeline-service/models/cost"
	"github.com/matih/pipeline-service/models/store"
)

func TestRateOptions(t *testing.T) {
	var s store.Store
	require.NoError(t, (&RateOptions{}).Apply(&s))
	assert.Equal(t, cost.DefaultRate, s.Pricing.Rates.At(time.Now()))

	path := filepath.Join(t.TempDir(), "rates.yaml")
	write := func(text string) { require.NoError(t, os.WriteFile(path, []byte(text), 0o600)) }
	o := RateOptions{File: path}
	require.ErrorContains(t, o.Apply(&s), "--rates")
	write("versions: [{version: a, valid_from: 2026-01-01, cpu_second: x}]")
	require.ErrorContains(t, o.Apply(&s), "--rates "+path+": versions[0].cpu_second: ")
	write("versions: [{version: a, valid_from: 2026-01-01, cpu_second: 1, memory_gb_second: 1, storage_gb_hour: 1, network_gb: 1}]")
	require.NoError(t, o.Apply(&s))
	assert.Equal(t, "a", s.Pricing.Rates.At(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)).Version)
}
