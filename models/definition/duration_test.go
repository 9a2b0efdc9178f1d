package definition

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestParseDuration(t *testing.T) {
	tests := []struct {
		text string
		want time.Duration
		back string
	}{
		{"10s", 10 * time.Second, "10s"},
		{"5m", 5 * time.Minute, "5m"},
		{"90m", 90 * time.Minute, "1h30m"},
		{"1h30m", 90 * time.Minute, "1h30m"},
		{"1.5h", 90 * time.Minute, "1h30m"},
		{"7d", 168 * time.Hour, "7d"},
		{"1d12h", 36 * time.Hour, "1d12h"},
		{"250ms", 250 * time.Millisecond, "250ms"},
		{"1.0005s", 1000500 * time.Microsecond, "1s0.5ms"},
		{"366d", 366 * 24 * time.Hour, "366d"},
	}
	for _, test := range tests {
		got, err := ParseDuration(test.text)
		require.NoError(t, err, test.text)
		assert.Equal(t, test.want, time.Duration(got))
		assert.Equal(t, test.back, got.String())
		raw, err := json.Marshal(got)
		require.NoError(t, err)
		var again Duration
		require.NoError(t, json.Unmarshal(raw, &again))
		assert.Equal(t, got, again)
	}
	for _, text := range []string{"", "10", "-5s", "+5s", "0s", "0.1ms", "367d", "9000h", "1y", "5 m", "1m1h", "1h1h", ".5h", "1e3s", "99999999999999999999999d", "1..5s"} {
		_, err := ParseDuration(text)
		assert.Error(t, err, text)
	}
	var d Duration
	require.NoError(t, json.Unmarshal([]byte(`"0s"`), &d))
	assert.Zero(t, d)
	assert.Error(t, json.Unmarshal([]byte(`5`), &d))
}
