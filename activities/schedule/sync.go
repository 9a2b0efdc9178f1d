package schedule

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/contract"
	"github.com/matih/pipeline-service/models/cron"
	"github.com/matih/pipeline-service/models/store"
)

const (
	// syncGrace is how long the API may take to bring a change to Temporal before it is done here.
	syncGrace = 10 * time.Second
	// lateGrace is how late an execution may be made, its jitter apart, before somebody looks for it.
	lateGrace = 2 * time.Minute
	// lostGrace is how late it may be before a due time that Temporal has passed over counts as missed.
	lostGrace = 10 * time.Minute
	page      = 200
)

// Sync keeps Temporal's Schedules like ours and finds due times that made no execution.
type Sync struct {
	Store  *store.Store
	Client client.Client
	Log    *slog.Logger
	Now    func() time.Time
}

// Run repeats changes that did not reach Temporal, and looks for due times of which nothing is known.
func (a *Sync) Run(ctx context.Context) (contract.SyncSchedulesResult, error) {
	var result contract.SyncSchedulesResult
	unsynced, err := a.Store.UnsyncedSchedules(ctx, a.Now().Add(-syncGrace), page)
	if err != nil {
		return result, err
	}
	for _, s := range unsynced {
		activity.RecordHeartbeat(ctx, s.ID)
		if err := a.apply(ctx, s); err != nil {
			a.Log.WarnContext(ctx, "schedule not applied", "tenant", s.Tenant, "schedule", s.ID, "error", err)
			continue
		}
		result.Applied++
	}
	return result, a.look(ctx, &result)
}

func (a *Sync) apply(ctx context.Context, s models.Schedule) error {
	if err := contract.ApplySchedule(ctx, a.Client.ScheduleClient(), s); err != nil {
		return err
	}
	return a.Store.ForTenant(s.Tenant).ScheduleSynced(ctx, s.ID, s.Revision)
}

// look asks Temporal about every schedule that is late.
func (a *Sync) look(ctx context.Context, result *contract.SyncSchedulesResult) error {
	now := a.Now()
	for from := (time.Time{}); ; {
		late, err := a.Store.LateSchedules(ctx, from, now.Add(-lateGrace), page)
		if err != nil {
			return err
		}
		for _, s := range late {
			activity.RecordHeartbeat(ctx, s.ID)
			from = s.Due.Add(time.Microsecond)
			if err := a.explain(ctx, s, now, result); err != nil {
				a.Log.WarnContext(ctx, "late schedule not looked at", "tenant", s.Tenant, "schedule", s.ID, "error", err)
			}
		}
		if len(late) < page {
			return nil
		}
	}
}

// explain finds out why a due time made no execution. Where it may still make one, nothing is said.
func (a *Sync) explain(ctx context.Context, s store.LateSchedule, now time.Time, result *contract.SyncSchedulesResult) error {
	if now.Before(s.Due.Add(s.Jitter + lateGrace)) {
		return nil
	}
	described, err := a.Client.ScheduleClient().GetHandle(ctx, s.ID).Describe(ctx)
	var missing *serviceerror.NotFound
	if errors.As(err, &missing) {
		return a.restore(ctx, s, now)
	}
	if err != nil {
		return err
	}
	times, err := cron.NewTimes(s.Cron, s.Timezone, s.SkipDates)
	if err != nil {
		return err
	}
	t := a.Store.ForTenant(s.Tenant)
	overlapped, err := ranUntilAfter(ctx, t, s)
	if err != nil {
		return err
	}
	due := models.DueTime{DueAt: s.Due}
	next := described.Info.NextActionTimes
	switch {
	case described.Schedule.State.Paused:
		due.Outcome, due.Reason = models.DueMissed, "its Temporal Schedule is paused there: "+described.Schedule.State.Note
	case len(described.Info.RunningWorkflows) > 0, len(next) > 0 && !next[0].After(s.Due):
		return nil // it waits for the one before, or has not been come to
	case overlapped:
		due.Outcome = models.DueSkipped
		due.Reason = "the execution of an earlier due time had not ended"
		result.Skipped++
		return gone(t.RecordDue(ctx, s.ID, due, times.Next(s.Due)))
	case now.After(s.Due.Add(s.CatchupWindow)):
		due.Outcome = models.DueMissed
		due.Reason = fmt.Sprintf("the service was away for longer than the catch-up window of %s", s.CatchupWindow)
	case now.Before(s.Due.Add(s.Jitter + lostGrace)):
		return nil
	default:
		due.Outcome, due.Reason = models.DueMissed, "Temporal has not started it"
	}
	result.Missed++
	return missed(ctx, t, s.Schedule, due, times.Next(s.Due))
}

// ranUntilAfter reports whether the execution that a schedule made last before a due time had not ended by then.
func ranUntilAfter(ctx context.Context, t *store.Tenant, s store.LateSchedule) (bool, error) {
	for _, d := range s.Recent {
		if d.Outcome == models.DueStarted && d.DueAt.Before(s.Due) {
			e, err := t.Execution(ctx, d.ExecutionID)
			return err == nil && (e.EndedAt.IsZero() || e.EndedAt.After(s.Due)), err
		}
	}
	return false, nil
}

// restore makes a Temporal Schedule again that was removed there, and lets it make up for the due times since then.
func (a *Sync) restore(ctx context.Context, s store.LateSchedule, now time.Time) error {
	if err := contract.ApplySchedule(ctx, a.Client.ScheduleClient(), s.Schedule); err != nil {
		return err
	}
	from := s.Due
	if earliest := now.Add(-s.CatchupWindow); from.Before(earliest) {
		from = earliest
	}
	return a.Client.ScheduleClient().GetHandle(ctx, s.ID).Backfill(ctx, client.ScheduleBackfillOptions{
		Backfill: []client.ScheduleBackfill{{Start: from.Add(-time.Second), End: now}},
	})
}
