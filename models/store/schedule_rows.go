package store

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/uptrace/bun"

	"github.com/matih/pipeline-service/models"
)

// recentDueTimes is how many due times that have passed a schedule remembers.
const recentDueTimes = 5

type scheduleRow struct {
	bun.BaseModel `bun:"table:schedules,alias:sc"`

	TenantID      models.TenantID
	ID            string
	PipelineID    string
	Cron          string
	Timezone      string
	Parameters    string
	Enabled       bool
	Note          string
	Overlap       models.OverlapPolicy
	CatchupMicros int64
	JitterMicros  int64
	SkipDates     string // JSON
	Revision      int64
	Synced        int64 // the revision that Temporal has
	Deleted       bool
	NextDue       instant
	Recent        string // JSON
	CreatedBy     string
	CreatedAt     instant
	UpdatedAt     instant
}

// set takes over what a user says of a schedule.
func (r *scheduleRow) set(s models.Schedule) error {
	skip, err := marshalTags(s.SkipDates)
	r.Cron, r.Timezone, r.Parameters, r.Enabled, r.Note, r.Overlap = s.Cron, s.Timezone, string(s.Parameters), s.Enabled, s.Note, s.Overlap
	r.CatchupMicros, r.JitterMicros, r.SkipDates = s.CatchupWindow.Microseconds(), s.Jitter.Microseconds(), skip
	return err
}

func (r *scheduleRow) model() models.Schedule {
	s := models.Schedule{
		ID: r.ID, Tenant: r.TenantID, PipelineID: r.PipelineID, Cron: r.Cron, Timezone: r.Timezone, Parameters: rawJSON(r.Parameters),
		Enabled: r.Enabled, Note: r.Note, Overlap: r.Overlap,
		CatchupWindow: time.Duration(r.CatchupMicros) * time.Microsecond, Jitter: time.Duration(r.JitterMicros) * time.Microsecond,
		SkipDates: unmarshalTags(r.SkipDates), Revision: r.Revision, Deleted: r.Deleted,
		CreatedBy: r.CreatedBy, CreatedAt: r.CreatedAt.Time, UpdatedAt: r.UpdatedAt.Time,
	}
	if r.Recent != "" && json.Unmarshal([]byte(r.Recent), &s.Recent) != nil {
		s.Recent = nil // only remember writes the column
	}
	return s
}

// remember notes what became of a due time. What was said of it before gives way.
func (r *scheduleRow) remember(due models.DueTime) error {
	due.DueAt = due.DueAt.UTC()
	recent := slices.DeleteFunc(r.model().Recent, func(d models.DueTime) bool { return d.DueAt.Equal(due.DueAt) })
	recent = append(recent, due)
	slices.SortFunc(recent, func(a, b models.DueTime) int { return b.DueAt.Compare(a.DueAt) })
	text, err := json.Marshal(recent[:min(len(recent), recentDueTimes)])
	if err != nil {
		return fmt.Errorf("store: due times: %w", err)
	}
	r.Recent = string(text)
	return nil
}

func (r *scheduleRow) checkRevision(want int64) error {
	if want == 0 || want == r.Revision {
		return nil
	}
	return models.Errorf(models.CodePreconditionFailed, "the schedule has changed since: it is at revision %d", r.Revision)
}
