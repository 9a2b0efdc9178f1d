package cost

import (
	"fmt"
	"math/big"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/matih/pipeline-service/models"
)

var end = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

// randomAttempts are attempts of up to six tasks, some of them tiny, others of days and terabytes.
func randomAttempts(r *rand.Rand) []models.AttemptUsage {
	amount := func(most int64) int64 { return r.Int64N(max(most>>r.IntN(40), 1)) }
	attempts := make([]models.AttemptUsage, r.IntN(20))
	for i := range attempts {
		attempts[i] = models.AttemptUsage{
			Task: fmt.Sprintf("task_%d", r.IntN(6)), Attempt: i, EndedAt: end.Add(-time.Duration(amount(int64(24 * time.Hour)))),
			Usage: models.Usage{
				CPUMicros: amount(4e11), WallMicros: amount(8e10), MeanMemoryBytes: amount(1 << 38), PeakMemoryBytes: amount(1 << 38),
				NetworkBytes: amount(1 << 42), StagedBytes: amount(1 << 42), QuarantinedBytes: amount(1 << 38),
			},
		}
	}
	return attempts
}

// exact is what attempts cost in millionths of a dollar, by part, without any rounding.
func exact(rate Rate, attempts []models.AttemptUsage, keep Retention) map[string][3]*big.Rat {
	number := func(n int64) *big.Rat { return new(big.Rat).SetInt64(n) }
	times := func(a *big.Rat, b ...*big.Rat) *big.Rat {
		p := new(big.Rat).Set(a)
		for _, f := range b {
			p.Mul(p, f)
		}
		return p
	}
	price := func(p Price) *big.Rat { return big.NewRat(int64(p), 1e6) } // in millionths
	costs := map[string][3]*big.Rat{}
	for _, a := range attempts {
		parts, known := costs[a.Task]
		if !known {
			parts = [3]*big.Rat{new(big.Rat), new(big.Rat), new(big.Rat)}
		}
		parts[0].Add(parts[0], times(big.NewRat(a.CPUMicros, 1e6), price(rate.CPUSecond)))
		parts[0].Add(parts[0], times(number(a.MeanMemoryBytes), big.NewRat(1, 1e9), big.NewRat(a.WallMicros, 1e6), price(rate.MemoryGBSecond)))
		held := end.Sub(a.EndedAt)
		for _, kept := range []struct {
			bytes int64
			until time.Duration
		}{{a.StagedBytes, keep.Staging}, {a.QuarantinedBytes, keep.Quarantine}} {
			parts[1].Add(parts[1], times(number(kept.bytes), big.NewRat(1, 1e9),
				big.NewRat((held+kept.until).Microseconds(), 3600*1e6), price(rate.StorageGBHour)))
		}
		parts[2].Add(parts[2], times(number(a.NetworkBytes), big.NewRat(1, 1e9), price(rate.NetworkGB)))
		costs[a.Task] = parts
	}
	return costs
}

// Whatever was used, the parts add up to the total and the tasks to both, and nothing is off by more than what rounding once
// makes it.
func TestChargesAddUpAndAreExact(t *testing.T) {
	keep := Retention{Staging: 24 * time.Hour, Quarantine: 30 * 24 * time.Hour}
	for seed := range uint64(500) {
		r := rand.New(rand.NewPCG(seed, 1))
		attempts := randomAttempts(r)
		c := Of(DefaultRate, attempts, keep, end)
		want := exact(DefaultRate, attempts, keep)
		require.Len(t, c.Tasks, len(want))

		var sum Parts
		var n int64
		wantSum := [3]*big.Rat{new(big.Rat), new(big.Rat), new(big.Rat)}
		for _, task := range c.Tasks {
			sum.Add(task.Parts)
			n += task.Attempts
			for i, part := range []int64{task.ComputeMicros, task.StorageMicros, task.NetworkMicros} {
				off := new(big.Rat).Sub(new(big.Rat).SetInt64(part), want[task.Name][i])
				require.Equal(t, -1, off.Abs(off).Cmp(big.NewRat(1, 1)), "seed %d: part %d of %s is off by a millionth or more", seed, i, task.Name)
				wantSum[i].Add(wantSum[i], want[task.Name][i])
			}
		}
		require.EqualValues(t, len(attempts), n)
		require.Equal(t, c.Parts, sum, "seed %d", seed)
		require.Equal(t, c.Total(), c.ComputeMicros+c.StorageMicros+c.NetworkMicros)
		for i, part := range []int64{c.ComputeMicros, c.StorageMicros, c.NetworkMicros} {
			off := new(big.Rat).Sub(new(big.Rat).SetInt64(part), wantSum[i])
			require.NotEqual(t, 1, off.Abs(off).Cmp(big.NewRat(1, 2)), "seed %d: part %d", seed, i)
		}
	}
}

func TestChargeByHand(t *testing.T) {
	rate := Rate{CPUSecond: 10_000_000_000, MemoryGBSecond: 1_000_000_000, StorageGBHour: 2_000_000_000, NetworkGB: 90_000_000_000}
	attempts := []models.AttemptUsage{
		{Task: "raw", Attempt: 1, EndedAt: end.Add(-time.Hour), Usage: models.Usage{CPUMicros: 1_500_000}},
		{Task: "raw", Attempt: 2, EndedAt: end.Add(-time.Hour), Usage: models.Usage{
			CPUMicros: 500_000, WallMicros: 2_000_000, MeanMemoryBytes: 500_000_000, PeakMemoryBytes: 7, NetworkBytes: 2_000_000_000, StagedBytes: 1e9,
		}},
		{Task: "check", Attempt: 1, EndedAt: end.Add(time.Second), Usage: models.Usage{QuarantinedBytes: 1e9}},
	}
	c := Of(rate, attempts, Retention{Staging: 23 * time.Hour, Quarantine: time.Hour}, end)
	assert.Equal(t, Parts{ComputeMicros: 21_000, StorageMicros: 48_000 + 46_000, NetworkMicros: 180_000}, c.Parts)
	assert.Equal(t, []Task{
		{Name: "raw", Parts: Parts{21_000, 48_000, 180_000}, Attempts: 2, CPUMicros: 2_000_000, MemoryByteSeconds: 1e9,
			StorageByteHours: 24e9, NetworkBytes: 2e9, PeakMemoryBytes: 7},
		{Name: "check", Parts: Parts{0, 46_000, 0}, Attempts: 1, StorageByteHours: 23e9},
	}, c.Tasks, "quarantined rows stay as long as staged ones at least, and nothing is kept for less than no time")
}

// Of two tasks that cost 0.4 millionths each one is charged, of two that cost a quarter none is, for their sum is half and zero
// is even.
func TestRoundingIsOnceAPartHalfToEven(t *testing.T) {
	for bytes, want := range map[int64][]int64{400: {1, 0}, 250: {0, 0}, 750: {1, 1}, 600: {1, 0}, 0: {0, 0}} {
		var attempts []models.AttemptUsage
		for _, task := range []string{"a", "b"} {
			attempts = append(attempts, models.AttemptUsage{Task: task, EndedAt: end, Usage: models.Usage{NetworkBytes: bytes}})
		}
		c := Of(Rate{NetworkGB: 1e12}, attempts, Retention{}, end)
		assert.Equal(t, want, []int64{c.Tasks[0].NetworkMicros, c.Tasks[1].NetworkMicros}, "%d bytes at 1 USD a GB", bytes)
	}
	assert.EqualValues(t, 2, Mean(5, 2))
	assert.EqualValues(t, 4, Mean(7, 2))
	assert.EqualValues(t, 483333, Mean(14_500_000, 30))
	assert.Zero(t, Mean(0, 0))
}

func TestTrend(t *testing.T) {
	for halves, want := range map[[2]int64]Trend{
		{0, 0}: TrendStable, {0, 1}: TrendRising, {1, 0}: TrendFalling, {100, 110}: TrendStable, {100, 111}: TrendRising,
		{100, 90}: TrendStable, {100, 89}: TrendFalling,
	} {
		assert.Equal(t, want, TrendOf(halves[0], halves[1]), "%v", halves)
	}
}

func TestUSD(t *testing.T) {
	for text, micros := range map[string]int64{"0": 0, "12": 12_000_000, "0.25": 250_000, "0.000001": 1, "1000000": 1e12, "007.50": 7_500_000} {
		got, err := ParseUSD(text)
		require.NoError(t, err, text)
		assert.Equal(t, micros, got, text)
	}
	for _, text := range []string{"", "-1", "+1", "1e3", ".5", "1.", "0.0000001", "1000000.000001", "99999999999999999999", "1,5", "NaN", " 1"} {
		_, err := ParseUSD(text)
		assert.Error(t, err, text)
	}
	for micros, text := range map[int64]string{0: "0.00", 1: "0.000001", 250_000: "0.25", 12_345_600: "12.3456", -1_500_000: "-1.50"} {
		assert.Equal(t, text, FormatUSD(micros))
	}
}

func TestRates(t *testing.T) {
	rates, err := ParseRates([]byte(`
versions:
  - {version: a, valid_from: 2026-01-01, cpu_second: 0.000011244, memory_gb_second: "0.000001", storage_gb_hour: 0, network_gb: 0.01}
  - {version: b, valid_from: 2026-02-01T06:00:00+01:00, cpu_second: 1, memory_gb_second: 0.000000000001, storage_gb_hour: 0.5, network_gb: 2}
`))
	require.NoError(t, err)
	first := Rate{"a", time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), 11_244_000, 1_000_000, 0, 10_000_000_000}
	second := Rate{"b", time.Date(2026, 2, 1, 5, 0, 0, 0, time.UTC), 1e12, 1, 5e11, 2e12}
	assert.Equal(t, DefaultRate, rates.At(first.ValidFrom.Add(-1)))
	assert.Equal(t, first, rates.At(first.ValidFrom))
	assert.Equal(t, first, rates.At(second.ValidFrom.Add(-1)))
	assert.Equal(t, second, rates.At(second.ValidFrom.AddDate(1, 0, 0)))
	assert.Equal(t, DefaultRate, Rates{}.At(end))

	_, err = ParseRates([]byte(`
versions:
  - {version: a, valid_from: 2026-02-01, cpu_second: 1e-5, memory_gb_second: -1, storage_gb_hour: 0.0000000000001}
  - {version: a, valid_from: 2026-02-01, cpu_second: 1, memory_gb_second: 1, storage_gb_hour: 1, network_gb: 1}
  - {version: default-1, valid_from: soon, cpu_second: 2000000, memory_gb_second: 1, storage_gb_hour: 1, network_gb: 1}
`))
	require.Error(t, err)
	for _, says := range []string{
		`versions[0].cpu_second: "1e-5" is not an amount`, `versions[0].memory_gb_second: "-1"`, `versions[0].storage_gb_hour: "0.0000000000001" has more than 12`,
		"versions[0].network_gb: is required", "versions[1].valid_from: must be after", `versions[1].version: "a" is named twice`,
		`versions[2].version: "default-1" is the built-in one`, `versions[2].valid_from: "soon" is not a date`, "versions[2].cpu_second: \"2000000\" is more than",
	} {
		assert.ErrorContains(t, err, says)
	}
	for doc, says := range map[string]string{"": "must not be empty", "versions: []": "must not be empty", "version: 1": "version", "versions: [{cpu: 1}]": "cpu"} {
		_, err := ParseRates([]byte(doc))
		assert.ErrorContains(t, err, says, doc)
	}
}
