package store

import (
	"encoding/json"
	"fmt"

	"github.com/uptrace/bun"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/cost"
)

// usageRow is what an attempt used.
type usageRow struct {
	bun.BaseModel `bun:"table:task_usage,alias:us"`

	TenantID         models.TenantID
	ExecutionID      string
	Task             string
	Attempt          int
	EndedAt          instant
	CPUMicros        int64 `bun:"cpu_micros"`
	WallMicros       int64
	PeakMemoryBytes  int64
	MeanMemoryBytes  int64
	NetworkBytes     int64
	StagedBytes      int64
	QuarantinedBytes int64
}

func newUsageRow(tenant models.TenantID, execution string, run models.TaskRun) *usageRow {
	u := run.Usage
	return &usageRow{
		TenantID: tenant, ExecutionID: execution, Task: run.Name, Attempt: run.Attempts, EndedAt: at(run.EndedAt),
		CPUMicros: u.CPUMicros, WallMicros: u.WallMicros, PeakMemoryBytes: u.PeakMemoryBytes, MeanMemoryBytes: u.MeanMemoryBytes,
		NetworkBytes: u.NetworkBytes, StagedBytes: u.StagedBytes, QuarantinedBytes: u.QuarantinedBytes,
	}
}

func (r *usageRow) model() models.AttemptUsage {
	return models.AttemptUsage{Task: r.Task, Attempt: r.Attempt, EndedAt: r.EndedAt.Time, Usage: models.Usage{
		CPUMicros: r.CPUMicros, WallMicros: r.WallMicros, PeakMemoryBytes: r.PeakMemoryBytes, MeanMemoryBytes: r.MeanMemoryBytes,
		NetworkBytes: r.NetworkBytes, StagedBytes: r.StagedBytes, QuarantinedBytes: r.QuarantinedBytes,
	}}
}

// costRow is what an execution that has ended cost.
type costRow struct {
	bun.BaseModel `bun:"table:execution_costs,alias:co"`

	TenantID      models.TenantID
	ExecutionID   string
	RateVersion   string
	ComputeMicros int64
	StorageMicros int64
	NetworkMicros int64
	Tasks         string // JSON
}

func newCostRow(tenant models.TenantID, execution, rateVersion string, c cost.Charge) (*costRow, error) {
	tasks, err := json.Marshal(c.Tasks)
	if err != nil {
		return nil, fmt.Errorf("store: the costs of tasks: %w", err)
	}
	return &costRow{
		TenantID: tenant, ExecutionID: execution, RateVersion: rateVersion, ComputeMicros: c.ComputeMicros,
		StorageMicros: c.StorageMicros, NetworkMicros: c.NetworkMicros, Tasks: string(tasks),
	}, nil
}

func (r *costRow) model() (cost.Execution, error) {
	e := cost.Execution{RateVersion: r.RateVersion, Final: true, Charge: cost.Charge{
		Parts: cost.Parts{ComputeMicros: r.ComputeMicros, StorageMicros: r.StorageMicros, NetworkMicros: r.NetworkMicros},
	}}
	if err := json.Unmarshal([]byte(r.Tasks), &e.Tasks); err != nil {
		return e, fmt.Errorf("store: the costs of tasks: %w", err)
	}
	return e, nil
}

// taskCostRow sums up a task of a pipeline over the executions that ended in some hours.
type taskCostRow struct {
	bun.BaseModel `bun:"table:task_costs,alias:tc"`

	TenantID          models.TenantID
	PipelineID        string
	Hours             int   // 1 or hoursOfDay
	Hour              int64 // the first of them, since 1970
	Task              string
	Attempts          int64
	ComputeMicros     int64
	StorageMicros     int64
	NetworkMicros     int64
	CPUMicros         int64 `bun:"cpu_micros"`
	MemoryByteSeconds int64
	StorageByteHours  int64
	NetworkBytes      int64
	PeakMemoryBytes   int64
}

// taskSums are the columns that are sums.
var taskSums = []string{
	"attempts", "compute_micros", "storage_micros", "network_micros", "cpu_micros", "memory_byte_seconds", "storage_byte_hours", "network_bytes",
}

// newTaskCostRow holds what a task adds to what it had added before.
func newTaskCostRow(now, before cost.Task) taskCostRow {
	parts := now.Minus(before.Parts)
	return taskCostRow{
		Task: now.Name, Attempts: now.Attempts - before.Attempts,
		ComputeMicros: parts.ComputeMicros, StorageMicros: parts.StorageMicros, NetworkMicros: parts.NetworkMicros,
		CPUMicros: now.CPUMicros - before.CPUMicros, MemoryByteSeconds: now.MemoryByteSeconds - before.MemoryByteSeconds,
		StorageByteHours: now.StorageByteHours - before.StorageByteHours, NetworkBytes: now.NetworkBytes - before.NetworkBytes,
		PeakMemoryBytes: now.PeakMemoryBytes,
	}
}

func (r *taskCostRow) model() cost.Task {
	return cost.Task{
		Name: r.Task, Attempts: r.Attempts,
		Parts:     cost.Parts{ComputeMicros: r.ComputeMicros, StorageMicros: r.StorageMicros, NetworkMicros: r.NetworkMicros},
		CPUMicros: r.CPUMicros, MemoryByteSeconds: r.MemoryByteSeconds, StorageByteHours: r.StorageByteHours,
		NetworkBytes: r.NetworkBytes, PeakMemoryBytes: r.PeakMemoryBytes,
	}
}
