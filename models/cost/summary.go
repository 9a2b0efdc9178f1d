package cost

// Trend is how costs develop.
type Trend string

// The trends.
const (
	TrendRising  Trend = "rising"
	TrendFalling Trend = "falling"
	TrendStable  Trend = "stable"
)

// TrendOf compares the second half of a period with the first: within a tenth of that it is stable.
func TrendOf(first, second int64) Trend {
	switch {
	case 10*second > 11*first:
		return TrendRising
	case 10*second < 9*first:
		return TrendFalling
	default:
		return TrendStable
	}
}

// Execution is what an execution cost, or, where it has not ended, what its attempts that have cost so far.
type Execution struct {
	Charge
	RateVersion string
	Final       bool // it has ended
}

// Summary is what the executions of a pipeline that ended in a period cost.
type Summary struct {
	Parts
	Executions int64
	// FirstMicros and SecondMicros are what those of the period's halves cost.
	FirstMicros, SecondMicros int64
	Tasks                     []Task // the most expensive first
}
