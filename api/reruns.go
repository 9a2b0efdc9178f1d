package api

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/matih/pipeline-service/api/auth"
	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/definition"
	"github.com/matih/pipeline-service/models/store"
	protocol "github.com/matih/pipeline-service/models/task"
)

// RerunFrom is where a re-run begins.
type RerunFrom string

// What a re-run runs: what had not succeeded, one task and all after it, or everything.
const (
	RerunFromFailed RerunFrom = "failed"
	RerunFromTask   RerunFrom = "task"
	RerunFromStart  RerunFrom = "start"
)

// RerunBody asks for a re-run.
type RerunBody struct {
	From RerunFrom `json:"from" enum:"failed,task,start" doc:"failed runs what had not succeeded, task one task and everything after it, start everything."`
	Task string    `json:"task,omitempty" doc:"The task to begin with, where from is task."`
}

func (s *service) registerReruns() {
	register(s, operation{
		Operation: huma.Operation{
			OperationID: "rerunExecution", Method: http.MethodPost, Path: "/v1/pipelines/executions/{executionId}/rerun",
			DefaultStatus: http.StatusAccepted,
			Tags:          []string{"Executions"}, Summary: "Run an execution again",
			Description: "Starts a new execution of the same version with the same parameters and execution date. Tasks that " +
				"need not run again are REUSED: their staged output is read where it lies, and sinks among them publish nothing.",
		},
		Scope: auth.ScopeExecute, Load: loadExecution, Example: exampleRerun, Answer: exampleRerunSubmitted,
		Codes: []models.Code{
			models.CodeExecutionRunning, models.CodeStagedDataExpired, models.CodePipelineRunning, models.CodePipelinePaused,
			models.CodeBudgetExceeded, models.CodeQuotaExceeded, models.CodeAirflowNotConfigured,
		},
	}, s.rerun)
}

type rerunInput struct {
	ExecutionID string    `path:"executionId" doc:"The execution's id."`
	Body        RerunBody `required:"true"`
}

// Resolve sees that a task is named exactly where one is needed.
func (in *rerunInput) Resolve(huma.Context) []error {
	switch {
	case in.Body.From == RerunFromTask && in.Body.Task == "":
		return []error{&huma.ErrorDetail{Location: "body.task", Message: "name the task to begin with"}}
	case in.Body.From != RerunFromTask && in.Body.Task != "":
		return []error{&huma.ErrorDetail{Location: "body.task", Message: "a task is named only where from is task"}}
	default:
		return nil
	}
}

func (s *service) rerun(ctx context.Context, in *rerunInput) (*executeOutput, error) {
	r, old := requestOf(ctx), loaded[models.Execution](ctx)
	if !old.Status.Terminal() {
		return nil, models.Errorf(models.CodeExecutionRunning, "the execution is %s: it can be run again when it has ended", old.Status)
	}
	version, err := r.store.PipelineVersion(ctx, old.PipelineID, old.Version)
	if err != nil {
		return nil, err
	}
	d, err := definition.Parse(version.Definition, "definition")
	if err != nil {
		return nil, err
	}
	if _, err := s.Submission.EngineOf(old.Engine, d); err != nil {
		return nil, err
	}
	plan, err := s.planRerun(ctx, r.store, old, d, in.Body)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitTimeout)
	defer cancel()
	e, err := r.store.SubmitRerun(ctx, models.Execution{
		ID: r.newID(models.PrefixExecution), Tenant: r.tenant, PipelineID: old.PipelineID, Version: old.Version,
		Engine: old.Engine, Priority: old.Priority, Trigger: models.TriggerRerun, RerunOf: old.ID,
		Parameters: old.Parameters, ExecutionDate: old.ExecutionDate, LastRun: old.LastRun,
		EstimatedDuration: s.Submission.Estimate, MaxActiveRuns: d.Orchestration.MaxActiveRuns,
		SubmittedBy: r.principal.Subject, SubmittedAt: s.Now().UTC(),
	}, plan.tasks, plan.read)
	if err != nil {
		return nil, err
	}
	if !e.Status.Terminal() {
		if err := s.start(ctx, r.store, e); err != nil {
			return nil, err
		}
	}
	return submitted(e), nil
}

// rerunPlan is what a re-run does.
type rerunPlan struct {
	tasks []models.TaskRun // all, in their order: REUSED or PENDING
	read  []string         // the REUSED tasks whose output a PENDING one reads
}

// planRerun decides which tasks run again. Whatever waits for one of them does, too; a sink is reused only with
// all that it is made of, so nothing is published twice.
func (s *service) planRerun(ctx context.Context, t *store.Tenant, old models.Execution, d *definition.Definition, body RerunBody) (rerunPlan, error) {
	runs, err := t.TaskRuns(ctx, old.ID)
	if err != nil {
		return rerunPlan{}, err
	}
	before := make(map[string]models.TaskRun, len(runs))
	for _, run := range runs {
		before[run.Name] = run
	}
	nodes, known := d.Graph(), false
	approvals := map[string]bool{}
	for _, c := range d.QualityChecks {
		approvals[c.Name] = c.OnFailure == definition.OnFailureApprove
	}
	again := definition.Again(nodes, func(n definition.Node) bool {
		known = known || n.Name == body.Task
		run := before[n.Name]
		return body.From == RerunFromStart || n.Name == body.Task || !succeeded(run) ||
			approvals[n.Name] && !passed(run) // what people decided about it was about that execution
	})
	if body.Task != "" && !known {
		return rerunPlan{}, invalid([]models.Mistake{{Location: "body.task", Message: "the execution has no such task"}})
	}
	var plan rerunPlan
	read := map[string]bool{}
	for _, n := range nodes {
		run := models.TaskRun{Name: n.Name, Kind: n.Kind, State: models.TaskPending}
		if !again[n.Name] {
			run = before[n.Name]
			run.State = models.TaskReused
		}
		plan.tasks = append(plan.tasks, run)
		for _, input := range n.Inputs {
			if again[n.Name] && !again[input.From] && !read[input.From] {
				read[input.From] = true
				plan.read = append(plan.read, input.From)
			}
		}
	}
	var lost []string
	for _, name := range plan.read {
		if s.Staged != nil && !s.Staged(before[name].Output) {
			lost = append(lost, name)
		}
	}
	if len(lost) > 0 {
		return rerunPlan{}, store.StagedDataExpired(lost)
	}
	return plan, nil
}

func succeeded(run models.TaskRun) bool {
	return run.State == models.TaskSucceeded || run.State == models.TaskReused
}

// passed reports what a check that succeeded found.
func passed(run models.TaskRun) bool {
	var found protocol.CheckResult
	return json.Unmarshal(run.Detail, &found) == nil && found.Passed
}
