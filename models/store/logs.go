package store

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/uptrace/bun"

	"github.com/matih/pipeline-service/models"
)

// LogQuery asks for lines of an execution's log.
type LogQuery struct {
	Task string // only this task's; "" is all
	Last int    // at most so many: 100 unless given, never more than 10,000
	// After asks for the first lines after a Seq instead of the last ones.
	After int64
}

// StoredLine is a line with its place in the log. Seq grows from 1 in the order the lines were stored,
// and a line is never stored before one that has been read, so following by Seq misses nothing.
type StoredLine struct {
	Seq int64
	models.LogLine
}

const (
	defaultLogLines = 100
	maxLogLines     = 10_000
	// maxMessage bounds a line in bytes; the rest of a longer one is cut off.
	maxMessage = 64 << 10
	cutMark    = "… (cut)"
)

type logRow struct {
	bun.BaseModel `bun:"table:execution_logs,alias:l"`

	TenantID    models.TenantID
	ExecutionID string
	Seq         int64
	Task        string
	Level       string
	LoggedAt    instant
	Message     string
}

// AppendLogs adds lines to an execution's log, of one that has ended, too. Error: CodeNotFound.
func (t *Tenant) AppendLogs(ctx context.Context, id string, lines []models.LogLine) error {
	return t.write(ctx, func(ctx context.Context, tx bun.Tx) error {
		e, err := t.lockExecution(ctx, tx, id)
		if err != nil || len(lines) == 0 {
			return err
		}
		if err := t.insertLogs(ctx, tx, e, lines); err != nil {
			return err
		}
		return t.saveExecution(ctx, tx, e)
	})
}

// insertLogs writes lines in one statement and moves e.LogSeq on, which the caller saves. Numbers are given
// under the execution's lock: those of a sequence could become visible out of order.
func (t *Tenant) insertLogs(ctx context.Context, tx bun.Tx, e *executionRow, lines []models.LogLine) error {
	if len(lines) == 0 {
		return nil
	}
	now := time.Now()
	rows := make([]logRow, len(lines))
	for i, line := range lines {
		e.LogSeq++
		if line.Time.IsZero() {
			line.Time = now
		}
		rows[i] = logRow{
			TenantID: t.id, ExecutionID: e.ID, Seq: e.LogSeq,
			Task: line.Task, Level: line.Level, LoggedAt: at(line.Time), Message: cut(line.Message),
		}
	}
	_, err := tx.NewInsert().Model(&rows).Exec(ctx)
	return err
}

func cut(message string) string {
	if len(message) <= maxMessage {
		return message
	}
	return strings.ToValidUTF8(message[:maxMessage-len(cutMark)], "") + cutMark
}

// Logs returns the last lines of an execution's log in the order of their times, or those after a Seq in the
// order they were stored. Error: CodeNotFound.
func (t *Tenant) Logs(ctx context.Context, id string, q LogQuery) ([]StoredLine, error) {
	limit := q.Last
	if limit <= 0 {
		limit = defaultLogLines
	}
	var lines []StoredLine
	err := t.read(ctx, func(db bun.IDB) error {
		var rows []logRow
		query := db.NewSelect().Model(&rows).Column("seq", "task", "level", "logged_at", "message").
			Where("tenant_id = ? AND execution_id = ?", t.id, id).Limit(int64(min(limit, maxLogLines)))
		if q.Task != "" {
			query.Where("task = ?", q.Task)
		}
		if q.After > 0 {
			query.Where("seq > ?", q.After).OrderExpr("seq")
		} else {
			query.OrderExpr("seq DESC")
		}
		if err := query.Scan(ctx); err != nil {
			return err
		}
		if len(rows) == 0 {
			return t.checkExecution(ctx, db, id)
		}
		if q.After <= 0 {
			slices.SortFunc(rows, func(a, b logRow) int {
				return cmp.Or(a.LoggedAt.Compare(b.LoggedAt.Time), cmp.Compare(a.Seq, b.Seq))
			})
		}
		lines = make([]StoredLine, len(rows))
		for i, r := range rows {
			lines[i] = StoredLine{r.Seq, models.LogLine{Time: r.LoggedAt.Time, Level: r.Level, Task: r.Task, Message: r.Message}}
		}
		return nil
	})
	return lines, err
}
