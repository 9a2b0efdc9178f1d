package main

import (
	"fmt"
	"slices"
	"time"
)

// alternate runs both sides in turn, after one run of each that does not count, and returns the
// medians.
func alternate(runs int, ours, beside func() (time.Duration, error)) (a, b time.Duration, err error) {
	var as, bs []time.Duration
	for i := range runs + 1 {
		x, err := ours()
		if err != nil {
			return 0, 0, err
		}
		y, err := beside()
		if err != nil {
			return 0, 0, err
		}
		if i > 0 {
			as, bs = append(as, x), append(bs, y)
		}
	}
	return median(as), median(bs), nil
}

func median(d []time.Duration) time.Duration { return percentile(d, 50) }

// percentile is the smallest duration that at least p percent are not above.
func percentile(d []time.Duration, p int) time.Duration {
	if len(d) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(d))
	return sorted[max(0, (len(sorted)*p+99)/100-1)]
}

// timed returns how long f took.
func timed(f func() error) (time.Duration, error) {
	start := time.Now()
	err := f()
	return time.Since(start), err
}

func ms(d time.Duration) string { return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000) }

func seconds(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }

func times(a, b time.Duration) string { return fmt.Sprintf("%.2f×", float64(a)/float64(b)) }
