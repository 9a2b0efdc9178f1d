// Package checks reads what the quality checks of an execution found.
package checks

import (
	"context"
	"encoding/json"

	"github.com/matih/pipeline-service/activities/plan"
	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/definition"
	"github.com/matih/pipeline-service/models/store"
	"github.com/matih/pipeline-service/models/task"
)

// severities say how urgent it is that a check failed. One about which people decide has told them already.
var severities = map[definition.OnFailure]models.Severity{
	definition.OnFailureFail:       models.SeverityCritical,
	definition.OnFailureQuarantine: models.SeverityWarning,
	definition.OnFailureWarn:       models.SeverityInfo,
}

// Failed returns the checks of an execution that failed and are worth an alert, in the order of its tasks.
func Failed(ctx context.Context, t *store.Tenant, p *plan.Plan) ([]store.FailedCheck, error) {
	if len(p.Definition.QualityChecks) == 0 {
		return nil, nil
	}
	runs, err := t.TaskRuns(ctx, p.Execution.ID)
	if err != nil {
		return nil, err
	}
	var failed []store.FailedCheck
	for _, run := range runs {
		check := p.Check(run.Name)
		if check == nil || len(run.Detail) == 0 {
			continue
		}
		severity, worth := severities[check.OnFailure]
		if found := Found(run); worth && !found.Passed {
			failed = append(failed, store.FailedCheck{Name: run.Name, Severity: severity, Message: found.Message})
		}
	}
	return failed, nil
}

// Found is what a check found; nothing where it has not run.
func Found(run models.TaskRun) task.CheckResult {
	var found task.CheckResult
	_ = json.Unmarshal(run.Detail, &found) // written by the task activity alone
	return found
}
