package store

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/uptrace/bun"

	"github.com/matih/pipeline-service/models"
)

// notificationRow is a notification whose workflow has not been started yet.
type notificationRow struct {
	bun.BaseModel `bun:"table:notifications,alias:n"`

	TenantID    models.TenantID
	ID          string
	ExecutionID string
	PipelineID  string
	Event       models.Event
	Webhook     int
	Gate        string
	HappenedAt  instant
}

func (r *notificationRow) model() models.Notification {
	return models.Notification{
		ID: r.ID, Tenant: r.TenantID, ExecutionID: r.ExecutionID, PipelineID: r.PipelineID,
		Event: r.Event, Webhook: r.Webhook, Gate: r.Gate, At: r.HappenedAt.Time,
	}
}

// Watch is what is looked for while an execution is under way.
type Watch struct {
	// MaxDuration is how long it may take from its start to its end; 0 is as long as it likes.
	MaxDuration time.Duration
	// Notify holds the events that each of its webhooks is told of.
	Notify [][]models.Event
}

// Watch notes what is to be looked for in an execution, before it starts. Errors: CodeNotFound, CodeExecutionClosed.
func (t *Tenant) Watch(ctx context.Context, id string, w Watch) error {
	notify, err := json.Marshal(w.Notify)
	if err != nil {
		return fmt.Errorf("store: events: %w", err)
	}
	return t.write(ctx, func(ctx context.Context, tx bun.Tx) error {
		row, err := t.lockOpenExecution(ctx, tx, id)
		if err != nil {
			return err
		}
		row.Notify, row.SLAMicros = string(notify), w.MaxDuration.Microseconds()
		return t.saveExecution(ctx, tx, row, "notify", "sla_micros")
	})
}

// notify writes down that the webhooks that want to know of an event are to be told.
func (t *Tenant) notify(ctx context.Context, tx bun.Tx, e *executionRow, event models.Event, gate string, now time.Time) error {
	var wanted [][]models.Event
	if e.Notify == "" || json.Unmarshal([]byte(e.Notify), &wanted) != nil {
		return nil // only Watch writes the column
	}
	var rows []notificationRow
	for webhook, events := range wanted {
		if !slices.Contains(events, event) {
			continue
		}
		id := fmt.Sprintf("notify-%s-%s-%d", e.ID, event, webhook)
		if gate != "" {
			id += "-" + gate
		}
		rows = append(rows, notificationRow{
			TenantID: t.id, ID: id, ExecutionID: e.ID, PipelineID: e.PipelineID, Event: event, Webhook: webhook, Gate: gate, HappenedAt: at(now),
		})
	}
	if len(rows) == 0 {
		return nil
	}
	_, err := tx.NewInsert().Model(&rows).On("CONFLICT DO NOTHING").Exec(ctx)
	return err
}

// endEvents are the events that an execution's end may be.
var endEvents = map[models.ExecutionStatus]models.Event{
	models.ExecutionCompleted: models.EventCompleted,
	models.ExecutionFailed:    models.EventFailed,
	models.ExecutionCancelled: models.EventCancelled,
}

// notifyEnd tells of an execution's end and of what nobody could tell before.
func (t *Tenant) notifyEnd(ctx context.Context, tx bun.Tx, e *executionRow, end ExecutionEnd) error {
	events := []models.Event{endEvents[e.Status]}
	if len(end.Checks) > 0 {
		events = append(events, models.EventQualityCheckFailed)
	}
	if e.overdue(e.EndedAt.Time) && !e.SLADue.IsZero() {
		events = append(events, models.EventSLAMissed)
	}
	for _, event := range events {
		if err := t.notify(ctx, tx, e, event, "", end.At); err != nil {
			return err
		}
	}
	return nil
}

// Notifications returns what is to be told of an execution and no workflow does yet, in the order of the ids.
func (t *Tenant) Notifications(ctx context.Context, executionID string) (found []models.Notification, err error) {
	err = t.read(ctx, func(db bun.IDB) error {
		var rows []notificationRow
		err := db.NewSelect().Model(&rows).Where("tenant_id = ? AND execution_id = ?", t.id, executionID).OrderExpr("id").Scan(ctx)
		found = notificationModels(rows)
		return err
	})
	return found, err
}

// Notifications returns up to limit notifications of all tenants that no workflow tells although they
// happened before a time, the oldest first.
func (s *Store) Notifications(ctx context.Context, before time.Time, limit int) (found []models.Notification, err error) {
	err = s.read(ctx, func(db bun.IDB) error {
		var rows []notificationRow
		err := db.NewSelect().Model(&rows).Where("happened_at < ?", at(before)).OrderExpr("happened_at, id").Limit(int64(limit)).Scan(ctx)
		found = notificationModels(rows)
		return err
	})
	return found, err
}

func notificationModels(rows []notificationRow) []models.Notification {
	found := make([]models.Notification, len(rows))
	for i := range rows {
		found[i] = rows[i].model()
	}
	return found
}

// NotificationStarted notes that a workflow tells what is to be told. Again changes nothing.
func (t *Tenant) NotificationStarted(ctx context.Context, id string) error {
	return t.write(ctx, func(ctx context.Context, tx bun.Tx) error {
		_, err := tx.NewDelete().Model((*notificationRow)(nil)).Where("tenant_id = ? AND id = ?", t.id, id).Exec(ctx)
		return err
	})
}
