package store

import (
	"github.com/uptrace/bun"

	"github.com/matih/pipeline-service/models"
)

type backfillRow struct {
	bun.BaseModel `bun:"table:backfills,alias:bf"`

	TenantID     models.TenantID
	ID           string
	PipelineID   string
	ScheduleID   string
	Cron         string
	Timezone     string
	SkipDates    string // JSON
	RangeFrom    instant
	RangeTo      instant
	Version      int
	Parameters   string
	Priority     models.Priority
	MaxParallel  int
	Status       models.BackfillStatus
	StatusReason string
	Total        int
	Completed    int
	Failed       int
	Cancelled    int
	Running      int
	Attempt      int
	SubmittedBy  string
	SubmittedAt  instant
	EndedAt      instant
}

func newBackfillRow(b models.Backfill) (*backfillRow, error) {
	skip, err := marshalTags(b.SkipDates)
	return &backfillRow{
		TenantID: b.Tenant, ID: b.ID, PipelineID: b.PipelineID, ScheduleID: b.ScheduleID, Cron: b.Cron, Timezone: b.Timezone,
		SkipDates: skip, RangeFrom: at(b.From), RangeTo: at(b.To), Version: b.Version, Parameters: string(b.Parameters),
		Priority: b.Priority, MaxParallel: b.MaxParallel, Status: b.Status, StatusReason: b.StatusReason, Total: b.Total,
		Attempt: b.Attempt, SubmittedBy: b.SubmittedBy, SubmittedAt: at(b.SubmittedAt),
	}, err
}

func (r *backfillRow) model() models.Backfill {
	return models.Backfill{
		ID: r.ID, Tenant: r.TenantID, PipelineID: r.PipelineID, ScheduleID: r.ScheduleID, Cron: r.Cron, Timezone: r.Timezone,
		SkipDates: unmarshalTags(r.SkipDates), From: r.RangeFrom.Time, To: r.RangeTo.Time, Version: r.Version, Parameters: rawJSON(r.Parameters),
		Priority: r.Priority, MaxParallel: r.MaxParallel, Status: r.Status, StatusReason: r.StatusReason, Total: r.Total,
		Completed: r.Completed, Failed: r.Failed, Cancelled: r.Cancelled, Running: r.Running, Attempt: r.Attempt,
		SubmittedBy: r.SubmittedBy, SubmittedAt: r.SubmittedAt.Time, EndedAt: r.EndedAt.Time,
	}
}

// move changes a backfill's status and returns what that changes in the counters.
func (r *backfillRow) move(to models.BackfillStatus) tally {
	changes := tally{}
	changes.backfill(r.PipelineID, r.Status, -1)
	changes.backfill(r.PipelineID, to, 1)
	r.Status = to
	return changes
}
