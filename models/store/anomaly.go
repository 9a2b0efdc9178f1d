package store

import (
	"context"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"github.com/matih/pipeline-service/models"
)

const (
	// anomalyRuns is to how many of a pipeline's last good runs a duration is compared, anomalyLeast how many there
	// must be.
	anomalyRuns  = 30
	anomalyLeast = 10
	// anomalyScore is from which modified z-score on a value is an outlier, as Iglewicz and Hoaglin have it.
	anomalyScore = 3.5
	// sigmaOfMAD turns a median absolute deviation into what would be the standard deviation of normally
	// distributed values: 1 / Φ⁻¹(3/4).
	sigmaOfMAD = 1.4826
	// Durations that hardly vary have a MAD near 0, beside which everything is an outlier. So the deviation counts
	// as at least a share of the median, and what nobody would notice is none.
	leastSigma     = 0.05
	leastDeviation = time.Second
)

// anomaly says in words how a duration differs from those before it, "" where it does not or too few are
// known. It is an outlier where
//
//	|d − median| / max(1.4826 · MAD, 5 % of the median) > 3.5  and  |d − median| ≥ 1 s.
//
// Source: B. Iglewicz, D. Hoaglin, "How to Detect and Handle Outliers", ASQC Quality Press, 1993, which for normally
// distributed values is the same as the modified z-score 0.6745 · (d − median) / MAD. Unlike mean and standard deviation,
// median and MAD are hardly moved by outliers among the values themselves.
func anomaly(d time.Duration, before []time.Duration) (message string, slow bool) {
	if len(before) < anomalyLeast {
		return "", false
	}
	micros, deviations := make([]int64, len(before)), make([]int64, len(before))
	for i, b := range before {
		micros[i] = b.Microseconds()
	}
	middle := median(micros)
	for i, m := range micros {
		deviations[i] = max(m-middle, middle-m)
	}
	mad := median(deviations)
	off := d.Microseconds() - middle
	sigma := max(sigmaOfMAD*float64(mad), leastSigma*float64(middle))
	if float64(max(off, -off)) <= anomalyScore*sigma || max(off, -off) < leastDeviation.Microseconds() {
		return "", false
	}
	words := "shorter"
	if slow = off > 0; slow {
		words = "longer"
	}
	short := func(micros int64) time.Duration {
		return (time.Duration(micros) * time.Microsecond).Round(time.Millisecond)
	}
	return fmt.Sprintf("the execution took %s, much %s than usual: the last %d good runs took %s in the median, with a median deviation of %s",
		short(d.Microseconds()), words, len(before), short(middle), short(mad)), slow
}

// goodRuns returns how long the last good runs of an execution's pipeline on its engine took, without itself. Re-runs,
// which need not do everything, and executions that waited for people say nothing about the time the work takes.
func (t *Tenant) goodRuns(ctx context.Context, tx bun.Tx, e *executionRow) ([]time.Duration, error) {
	last := tx.NewSelect().Model((*executionRow)(nil)).Column("id").
		Where("e.tenant_id = ? AND e.pipeline_id = ? AND e.engine = ? AND e.status = 'COMPLETED' AND e.id <> ?", t.id, e.PipelineID, e.Engine, e.ID).
		OrderExpr("e.id DESC").Limit(anomalyRuns)
	var rows []executionRow
	err := tx.NewSelect().Model(&rows).Column("started_at", "ended_at").Where("e.tenant_id = ? AND e.id IN (?)", t.id, last).
		Where("e.rerun_of = '' AND e.started_at IS NOT NULL AND NOT EXISTS (?)", t.waited(tx, "e.id")).Scan(ctx)
	durations := make([]time.Duration, len(rows))
	for i, r := range rows {
		durations[i] = r.EndedAt.Sub(r.StartedAt.Time)
	}
	return durations, err
}

// waited selects the approvals of an execution, given as an SQL expression.
func (t *Tenant) waited(tx bun.Tx, execution string) *bun.SelectQuery {
	return tx.NewSelect().Model((*approvalRow)(nil)).ColumnExpr("1").
		Where("a.tenant_id = ? AND a.execution_id = ?", t.id, bun.Safe(execution))
}

// durationAnomaly is the alert for a good run that took much longer or shorter than those before, nil for
// any other.
func (t *Tenant) durationAnomaly(ctx context.Context, tx bun.Tx, e *executionRow) (*models.Alert, error) {
	if e.Status != models.ExecutionCompleted || e.RerunOf != "" || e.StartedAt.IsZero() {
		return nil, nil
	}
	before, err := t.goodRuns(ctx, tx, e)
	if err != nil || len(before) < anomalyLeast {
		return nil, err
	}
	message, slow := anomaly(e.EndedAt.Sub(e.StartedAt.Time), before)
	if message == "" {
		return nil, nil
	}
	if waited, err := tx.NewSelect().Model((*approvalRow)(nil)).
		Where("tenant_id = ? AND execution_id = ?", t.id, e.ID).Exists(ctx); err != nil || waited {
		return nil, err
	}
	a := &models.Alert{Rule: models.AlertDurationAnomaly, Severity: models.SeverityInfo, Message: message}
	if slow {
		a.Severity = models.SeverityWarning
	}
	return a, nil
}
