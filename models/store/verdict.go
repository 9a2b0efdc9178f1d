package store

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/uptrace/bun"

	"github.com/matih/pipeline-service/models"
)

// FailedCheck is a quality check of an execution that found too many failing rows.
type FailedCheck struct {
	Name string
	// Severity goes by what the definition says is to happen then.
	Severity models.Severity
	Message  string
}

// goodRun lists the rules whose alerts a good run resolves, unless it breaks them itself. The others are
// resolved by what they are about.
var goodRun = []models.AlertRule{
	models.AlertExecutionFailed, models.AlertQualityCheckFailed, models.AlertSLAMissed, models.AlertFreshness, models.AlertDurationAnomaly,
}

// judge opens the alerts for the rules that an execution broke by its end, or on the way there, and, where
// it was a good run, resolves the others.
func (t *Tenant) judge(ctx context.Context, tx bun.Tx, e *executionRow, end ExecutionEnd) (tally, error) {
	changes := tally{}
	broken, err := t.broken(ctx, tx, e, end)
	if err != nil {
		return nil, err
	}
	// All of them are locked first, and in one order, so that executions that end at once do not wait for each other.
	open, err := t.lockAlerts(ctx, tx, e.PipelineID, goodRun...)
	if err != nil {
		return nil, err
	}
	for _, a := range broken {
		a.PipelineID, a.Occurrence, a.LastSeen = e.PipelineID, e.ID, e.EndedAt.Time
		change, err := t.openAlert(ctx, tx, a)
		if err != nil {
			return nil, err
		}
		changes.merge(change)
		open = slices.DeleteFunc(open, func(old alertRow) bool { return old.Rule == a.Rule })
	}
	if e.Status == models.ExecutionCompleted {
		change, err := t.resolveAlerts(ctx, tx, open, e.EndedAt.Time)
		if err != nil {
			return nil, err
		}
		changes.merge(change)
	}
	return changes, nil
}

// broken returns the alerts to open, in the order of their rules' names.
func (t *Tenant) broken(ctx context.Context, tx bun.Tx, e *executionRow, end ExecutionEnd) ([]models.Alert, error) {
	var broken []models.Alert
	unusual, err := t.durationAnomaly(ctx, tx, e)
	if err != nil {
		return nil, err
	}
	if unusual != nil {
		broken = append(broken, *unusual)
	}
	if e.Status == models.ExecutionFailed {
		broken = append(broken, models.Alert{Rule: models.AlertExecutionFailed, Severity: models.SeverityCritical, Message: failureWords(end)})
	}
	if len(end.Checks) > 0 {
		broken = append(broken, checksFailed(end.Checks))
	}
	if e.overdue(e.EndedAt.Time) {
		broken = append(broken, e.slaMissed(e.EndedAt.Time))
	}
	return broken, nil
}

func failureWords(end ExecutionEnd) string {
	switch {
	case end.Error != nil && end.Error.Task != "":
		return fmt.Sprintf("task %s: %s: %s", end.Error.Task, end.Error.Class, end.Error.Message)
	case end.Error != nil:
		return fmt.Sprintf("%s: %s", end.Error.Class, end.Error.Message)
	default:
		return cmp.Or(end.Reason, "the execution failed")
	}
}

// checksFailed is one alert for all checks that failed, as urgent as the most urgent of them.
func checksFailed(checks []FailedCheck) models.Alert {
	a := models.Alert{Rule: models.AlertQualityCheckFailed, Severity: models.SeverityInfo}
	var found []string
	for _, c := range checks {
		if slices.Index(models.Severities, c.Severity) < slices.Index(models.Severities, a.Severity) {
			a.Severity = c.Severity
		}
		found = append(found, c.Name+": "+c.Message)
	}
	a.Message = strings.Join(found, "; ")
	return a
}
