package models

import "time"

// Metrics sums up the executions that ended in a period, of one pipeline or of all of a tenant's.
type Metrics struct {
	MetricsSum
	// Days are the UTC days on which executions ended, the earliest first.
	Days []MetricsDay
}

// MetricsDay sums up the executions that ended on a UTC day.
type MetricsDay struct {
	MetricsSum
	Date time.Time // its midnight
	// Status is that of the execution that ended last.
	Status ExecutionStatus
}

// MetricsSum sums up executions that have ended.
type MetricsSum struct {
	Executions int64
	Completed  int64
	// Timed is how many of them ran at all, and Duration how long those did, from start to end.
	Timed    int64
	Duration time.Duration
	Rows     int64 // that sources read
	Bytes    int64
	// CostMicros is what they cost, in millionths of a dollar.
	CostMicros int64
}

// Add takes over another sum.
func (s *MetricsSum) Add(other MetricsSum) {
	s.Executions += other.Executions
	s.Completed += other.Completed
	s.Timed += other.Timed
	s.Duration += other.Duration
	s.Rows += other.Rows
	s.Bytes += other.Bytes
	s.CostMicros += other.CostMicros
}

// SuccessRate is the share of the executions that COMPLETED, 0 where there are none.
func (s MetricsSum) SuccessRate() float64 {
	if s.Executions == 0 {
		return 0
	}
	return float64(s.Completed) / float64(s.Executions)
}

// MeanDuration is that of the executions that ran, 0 where none did.
func (s MetricsSum) MeanDuration() time.Duration {
	if s.Timed == 0 {
		return 0
	}
	return s.Duration / time.Duration(s.Timed)
}
