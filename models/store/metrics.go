package store

import (
	"context"
	"time"

	"github.com/uptrace/bun"

	"github.com/matih/pipeline-service/models"
)

// hourRow sums up the executions of a pipeline, or under everything those of all pipelines, that ended
// in one hour. Hours rather than days let a period of 24 hours be one.
type hourRow struct {
	bun.BaseModel `bun:"table:pipeline_hours,alias:h"`

	TenantID       models.TenantID
	PipelineID     string
	Hour           int64 // since 1970
	Executions     int64
	Completed      int64
	Timed          int64
	DurationMicros int64
	RowsProcessed  int64
	BytesProcessed int64
	CostMicros     int64
	LastStatus     models.ExecutionStatus
	LastEnded      instant
}

const secondsPerHour = int64(time.Hour / time.Second)

func hourOf(t time.Time) int64 { return t.Unix() / secondsPerHour }

// sumUp adds an execution that has just ended to its hour.
func (t *Tenant) sumUp(ctx context.Context, tx bun.Tx, e *executionRow) error {
	hour := hourRow{
		Hour: hourOf(e.EndedAt.Time), Executions: 1, RowsProcessed: e.RowsProcessed, BytesProcessed: e.BytesProcessed,
		LastStatus: e.Status, LastEnded: e.EndedAt,
	}
	if e.Status == models.ExecutionCompleted {
		hour.Completed = 1
	}
	if !e.StartedAt.IsZero() {
		hour.Timed, hour.DurationMicros = 1, e.EndedAt.Sub(e.StartedAt.Time).Microseconds()
	}
	return t.addHour(ctx, tx, e.PipelineID, hour)
}

// addCost adds what an execution of a pipeline cost, in millionths of a dollar, to the metrics of the hour in which it ended.
// Whoever writes an execution's cost calls it in the same transaction, with the difference to what was written
// before.
func (t *Tenant) addCost(ctx context.Context, tx bun.Tx, pipelineID string, ended time.Time, micros int64) error {
	return t.addHour(ctx, tx, pipelineID, hourRow{Hour: hourOf(ended), CostMicros: micros})
}

// addHour adds to the hour of the pipeline and to that of all pipelines, which is the later one in every
// transaction, so that no two wait for each other.
func (t *Tenant) addHour(ctx context.Context, tx bun.Tx, pipelineID string, hour hourRow) error {
	hour.TenantID = t.id
	rows := []hourRow{hour, hour}
	rows[0].PipelineID, rows[1].PipelineID = pipelineID, everything
	_, err := tx.NewInsert().Model(&rows).On("CONFLICT (tenant_id, pipeline_id, hour) DO UPDATE").
		Set("executions = h.executions + EXCLUDED.executions, completed = h.completed + EXCLUDED.completed").
		Set("timed = h.timed + EXCLUDED.timed, duration_micros = h.duration_micros + EXCLUDED.duration_micros").
		Set("rows_processed = h.rows_processed + EXCLUDED.rows_processed, bytes_processed = h.bytes_processed + EXCLUDED.bytes_processed").
		Set("cost_micros = h.cost_micros + EXCLUDED.cost_micros").
		Set("last_status = CASE WHEN EXCLUDED.last_ended >= COALESCE(h.last_ended, 0) THEN EXCLUDED.last_status ELSE h.last_status END").
		Set("last_ended = CASE WHEN EXCLUDED.last_ended >= COALESCE(h.last_ended, 0) THEN EXCLUDED.last_ended ELSE h.last_ended END").
		Exec(ctx)
	return err
}

// Metrics sums up the executions of a pipeline, or with "" those of all pipelines, that have ended since
// the beginning of the hour of a time. It reads a row an hour, however many executions there were. Error: CodeNotFound.
func (t *Tenant) Metrics(ctx context.Context, pipelineID string, since time.Time) (models.Metrics, error) {
	var metrics models.Metrics
	err := t.read(ctx, func(db bun.IDB) error {
		if pipelineID != everything {
			if err := t.checkPipeline(ctx, db, pipelineID); err != nil {
				return err
			}
		}
		days, err := t.days(ctx, db, pipelineID, hourOf(since))
		metrics = models.Metrics{}
		for _, day := range days {
			sum := day.sum()
			date := time.Unix(day.Hour*secondsPerHour, 0).UTC().Truncate(24 * time.Hour)
			metrics.Days = append(metrics.Days, models.MetricsDay{Date: date, Status: day.LastStatus, MetricsSum: sum})
			metrics.Add(sum)
		}
		return err
	})
	return metrics, err
}

// days sums up the hours since one by the UTC day. The hour of a sum is the day's last one in which an execution ended.
func (t *Tenant) days(ctx context.Context, db bun.IDB, pipelineID string, since int64) (days []hourRow, err error) {
	q := db.NewSelect().Model(&days).ColumnExpr("MAX(hour) AS hour").
		Where("tenant_id = ? AND pipeline_id = ? AND hour >= ? AND executions > 0", t.id, pipelineID, since).
		GroupExpr("hour / 24").OrderExpr("MAX(hour)")
	for _, column := range []string{
		"executions", "completed", "timed", "duration_micros", "rows_processed", "bytes_processed", "cost_micros",
	} {
		q.ColumnExpr("CAST(SUM(?0) AS BIGINT) AS ?0", bun.Ident(column))
	}
	if err := q.Scan(ctx); err != nil || len(days) == 0 {
		return nil, err
	}
	last := make([]int64, len(days))
	for i, day := range days {
		last[i] = day.Hour
	}
	var ends []hourRow
	err = db.NewSelect().Model(&ends).Column("last_status").
		Where("tenant_id = ? AND pipeline_id = ? AND hour IN (?)", t.id, pipelineID, bun.List(last)).OrderExpr("hour").Scan(ctx)
	for i := range ends {
		days[i].LastStatus = ends[i].LastStatus
	}
	return days, err
}

func (r *hourRow) sum() models.MetricsSum {
	return models.MetricsSum{
		Executions: r.Executions, Completed: r.Completed, Timed: r.Timed, Duration: time.Duration(r.DurationMicros) * time.Microsecond,
		Rows: r.RowsProcessed, Bytes: r.BytesProcessed, CostMicros: r.CostMicros,
	}
}
