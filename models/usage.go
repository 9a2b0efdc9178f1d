package models

import "time"

// Usage is what one attempt of a task used. Its process measures it itself.
type Usage struct {
	// CPUMicros is processor time, the process's own and the system's on its behalf.
	CPUMicros int64 `json:"cpuMicros"`
	// WallMicros is how long the attempt took from getting its task to its end.
	WallMicros int64 `json:"wallMicros"`
	// PeakMemoryBytes and MeanMemoryBytes are memory in use, the latter over WallMicros.
	PeakMemoryBytes int64 `json:"peakMemoryBytes"`
	MeanMemoryBytes int64 `json:"meanMemoryBytes"`
	// NetworkBytes crossed to or from a system outside: what a source read, what a sink wrote.
	NetworkBytes int64 `json:"networkBytes"`
	// StagedBytes are left for later tasks, QuarantinedBytes set aside; both are kept for a time.
	StagedBytes      int64 `json:"stagedBytes"`
	QuarantinedBytes int64 `json:"quarantinedBytes"`
}

// AttemptUsage says which attempt used something, and when it ended.
type AttemptUsage struct {
	Usage
	Task    string
	Attempt int
	EndedAt time.Time
}
