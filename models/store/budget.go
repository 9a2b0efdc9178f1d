package store

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/uptrace/bun"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/cost"
)

// takeBudget takes over what the pipeline's definition says of its budget.
func (r *pipelineRow) takeBudget(b models.Budget) {
	r.BudgetMicros, r.BudgetBlocks = b.MonthlyMicros, b.OnExceed == models.ExceedBlock
}

func (r *pipelineRow) budget() models.Budget {
	b := models.Budget{MonthlyMicros: r.BudgetMicros, OnExceed: models.ExceedAlert}
	if r.BudgetBlocks {
		b.OnExceed = models.ExceedBlock
	}
	return b
}

// checkBudgets sees that no budget that blocks is used up in the month of a time. It holds nothing back for what is under way,
// so executions that run when a budget is used up spend more than that. Error: CodeBudgetExceeded.
func (t *Tenant) checkBudgets(ctx context.Context, tx bun.Tx, p *pipelineRow, now time.Time) error {
	words, err := t.budgetsUsedUp(ctx, tx, p, now, func(b models.Budget) bool { return b.OnExceed == models.ExceedBlock })
	if err == nil && words != "" {
		return models.Errorf(models.CodeBudgetExceeded, "%s", words)
	}
	return err
}

// judgeBudgets opens an alert, once a month, where the pipeline of an execution that has ended spends beyond a budget, and
// resolves it with a good run after that.
func (t *Tenant) judgeBudgets(ctx context.Context, tx bun.Tx, e *executionRow) (tally, error) {
	p := new(pipelineRow)
	err := tx.NewSelect().Model(p).Column("id", "budget_micros", "budget_blocks").Where("tenant_id = ? AND id = ?", t.id, e.PipelineID).Scan(ctx)
	if err != nil {
		return nil, err
	}
	words, err := t.budgetsUsedUp(ctx, tx, p, e.EndedAt.Time, func(models.Budget) bool { return true })
	switch {
	case err != nil:
		return nil, err
	case words != "":
		return t.openAlert(ctx, tx, models.Alert{
			PipelineID: e.PipelineID, Rule: models.AlertBudgetExceeded, Severity: models.SeverityWarning, Message: words,
			Occurrence: e.EndedAt.UTC().Format("2006-01"), LastSeen: e.EndedAt.Time,
		})
	case e.Status == models.ExecutionCompleted:
		return t.resolveAlert(ctx, tx, e.PipelineID, models.AlertBudgetExceeded, e.EndedAt.Time)
	default:
		return nil, nil
	}
}

// budgetsUsedUp says of those budgets that count which are used up in the month of a time, "" for none.
func (t *Tenant) budgetsUsedUp(ctx context.Context, tx bun.Tx, p *pipelineRow, now time.Time, counts func(models.Budget) bool) (string, error) {
	var words []string
	for _, b := range []struct {
		models.Budget
		whose, scope string
	}{
		{p.budget(), "pipeline", p.ID}, {t.store.Budgets[t.id], "tenant", everything},
	} {
		if b.MonthlyMicros == 0 || !counts(b.Budget) {
			continue
		}
		spent, err := t.spent(ctx, tx, b.scope, now)
		if err != nil {
			return "", err
		}
		if b.UsedUp(spent) {
			words = append(words, fmt.Sprintf("the %s's budget of %s USD for %s is used up: %s USD are spent",
				b.whose, cost.FormatUSD(b.MonthlyMicros), now.UTC().Format("January 2006"), cost.FormatUSD(spent)))
		}
	}
	return strings.Join(words, "; "), nil
}

// spent is what the executions of a pipeline, or of all, cost that ended in the month of a time.
func (t *Tenant) spent(ctx context.Context, tx bun.Tx, scope string, now time.Time) (micros int64, err error) {
	now = now.UTC()
	month := time.Date(now.Year(), now.Month(), 1, 0, 0, 0, 0, time.UTC)
	err = tx.NewSelect().Model((*hourRow)(nil)).ColumnExpr("CAST(COALESCE(SUM(cost_micros), 0) AS BIGINT)").
		Where("tenant_id = ? AND pipeline_id = ? AND hour >= ? AND hour < ?", t.id, scope, hourOf(month), hourOf(month.AddDate(0, 1, 0))).
		Scan(ctx, &micros)
	return micros, err
}
