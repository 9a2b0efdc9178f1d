package api

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/matih/pipeline-service/api/auth"
	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/contract"
	"github.com/matih/pipeline-service/models/store"
)

// WorkflowView is a workflow as the API shows it.
type WorkflowView struct {
	WorkflowID        string                 `json:"workflowId"`
	WorkflowType      string                 `json:"workflowType"`
	RunID             string                 `json:"runId" doc:"Of the latest run."`
	Status            string                 `json:"status" enum:"RUNNING,COMPLETED,FAILED,CANCELED,TERMINATED,TIMED_OUT,CONTINUED_AS_NEW,PAUSED" doc:"Temporal's: the workflow of a FAILED execution is COMPLETED, since it did what it had to."`
	StartedAt         time.Time              `json:"startedAt" doc:"Of the latest run."`
	ClosedAt          *time.Time             `json:"closedAt,omitempty"`
	ExecutionID       string                 `json:"executionId,omitempty" doc:"The execution it belongs to."`
	PipelineID        string                 `json:"pipelineId,omitempty"`
	ExecutionStatus   models.ExecutionStatus `json:"executionStatus,omitempty"`
	PendingActivities []ActivityView         `json:"pendingActivities" doc:"What it waits for; tasks by their names."`
	PendingApprovals  []PendingApprovalView  `json:"pendingApprovals" doc:"The gates of the execution that wait."`
	Progress          *Progress              `json:"progress,omitempty" doc:"Of the execution."`
}

// ActivityView is work that a workflow waits for.
type ActivityView struct {
	Name        string     `json:"name" doc:"The task's, where it is one."`
	State       string     `json:"state" doc:"SCHEDULED while it waits for a worker or for its next attempt, else STARTED or CANCEL_REQUESTED."`
	Attempt     int        `json:"attempt"`
	StartedAt   *time.Time `json:"startedAt,omitempty"`
	LastFailure string     `json:"lastFailure,omitempty" doc:"Why the attempt before failed."`
}

// PendingApprovalView is a gate that waits.
type PendingApprovalView struct {
	ApprovalID string    `json:"approvalId"`
	Gate       string    `json:"gate"`
	Required   int       `json:"required"`
	Approvals  int       `json:"approvals"`
	Deadline   time.Time `json:"deadline"`
}

// CancelledWorkflowView says that a workflow is being cancelled.
type CancelledWorkflowView struct {
	WorkflowID string `json:"workflowId"`
	Status     string `json:"status"`
}

func (s *service) registerWorkflows() {
	register(s, operation{
		Operation: huma.Operation{
			OperationID: "getWorkflowStatus", Method: http.MethodGet, Path: "/v1/pipelines/workflows/{workflowId}/status",
			Tags: []string{"Workflows"}, Summary: "Get a workflow's status",
			Description: "What it does and waits for. An execution's workflow has the execution's id; those of approvals and cancellations are named after it.",
		},
		Scope: auth.ScopeRead, Load: loadWorkflow, Answer: exampleWorkflow,
	}, s.getWorkflowStatus)
	s.registerSignals()
	register(s, operation{
		Operation: huma.Operation{
			OperationID: "cancelWorkflow", Method: http.MethodPost, Path: "/v1/pipelines/workflows/{workflowId}/cancel",
			DefaultStatus: http.StatusAccepted,
			Tags:          []string{"Workflows"}, Summary: "Cancel a workflow",
			Description: "For an execution the same as cancelling the execution. Cancelling an approval cancels its execution. A cancellation cannot be cancelled.",
		},
		Scope: auth.ScopeWorkflows, Load: loadWorkflow, Answer: exampleCancelledWorkflow,
		Codes: []models.Code{models.CodeExecutionClosed, models.CodeApprovalClosed, models.CodeWorkflowClosed, models.CodeConflict},
	}, s.cancelWorkflow)
}

// workflow is what a workflow's id names. Execution and Approval are set for those kinds, and Execution for
// cancellations; for others the tenant was checked with Temporal, which said what Described is.
type workflow struct {
	id           string
	execution    *models.Execution
	approval     *models.Approval
	cancellation bool
	described    *models.Workflow
}

// otherWorkflow is what ids of workflows without a row look like.
var otherWorkflow = regexp.MustCompile(`^[a-z][A-Za-z0-9:._-]{0,199}$`)

func loadWorkflow(ctx context.Context, r *request, param func(string) string) (any, error) {
	found, err := findWorkflow(ctx, r, param("workflowId"))
	if models.CodeOf(err) == models.CodeNotFound {
		return nil, models.NotFound("workflow")
	}
	return found, err
}

// findWorkflow looks an id up where its owner is known: in the store for what has a row, else in Temporal.
func findWorkflow(ctx context.Context, r *request, id string) (*workflow, error) {
	w := &workflow{id: id}
	execution, cancels := strings.CutPrefix(id, contract.CancellationPrefix)
	if _, _, ok := contract.SplitApprovalID(id); ok {
		a, err := r.store.Approval(ctx, id)
		w.approval = &a
		return w, err
	}
	if models.IsID(models.PrefixExecution, execution) {
		e, err := r.store.Execution(ctx, execution)
		w.execution, w.cancellation = &e, cancels
		return w, err
	}
	if !otherWorkflow.MatchString(id) {
		return nil, models.NotFound("workflow")
	}
	d, err := r.api.Gateway.Describe(ctx, id)
	if err == nil && d.Tenant != r.tenant {
		return nil, models.NotFound("workflow")
	}
	w.described = &d
	return w, err
}

type workflowInput struct {
	WorkflowID string `path:"workflowId" doc:"The workflow's id: an execution's, an approval's, or another's."`
}

type workflowOutput struct{ Body WorkflowView }

func (s *service) getWorkflowStatus(ctx context.Context, _ *workflowInput) (*workflowOutput, error) {
	r, w := requestOf(ctx), loaded[*workflow](ctx)
	if w.described == nil {
		d, err := s.Gateway.Describe(ctx, w.id)
		if models.CodeOf(err) == models.CodeNotFound {
			return nil, models.NotFound("workflow")
		}
		if err != nil {
			return nil, err
		}
		w.described = &d
	}
	view := viewWorkflow(*w.described)
	e := w.execution
	if w.approval != nil {
		found, err := r.store.Execution(ctx, w.approval.ExecutionID)
		if err != nil {
			return nil, err
		}
		e = &found
	}
	if e == nil {
		return &workflowOutput{Body: view}, nil
	}
	executed := s.viewExecution(*e)
	view.ExecutionID, view.PipelineID, view.ExecutionStatus, view.Progress = e.ID, e.PipelineID, e.Status, &executed.Progress
	waiting, err := pendingApprovals(ctx, r.store, w)
	if err != nil {
		return nil, err
	}
	for _, a := range waiting {
		view.PendingApprovals = append(view.PendingApprovals, PendingApprovalView{
			ApprovalID: a.ID, Gate: a.Gate, Required: a.Required, Approvals: a.Approvals, Deadline: a.Deadline.UTC(),
		})
	}
	return &workflowOutput{Body: view}, nil
}

// pendingApprovals are the gates that a workflow waits for: an execution's all, an approval's itself.
func pendingApprovals(ctx context.Context, t *store.Tenant, w *workflow) ([]models.Approval, error) {
	if w.approval != nil {
		if w.approval.Status != models.ApprovalPending {
			return nil, nil
		}
		return []models.Approval{*w.approval}, nil
	}
	if w.execution == nil || w.cancellation {
		return nil, nil
	}
	found, err := t.Approvals(ctx, store.ApprovalFilter{ExecutionID: w.execution.ID, Status: models.ApprovalPending}, models.Page{Size: 200})
	return found.Items, err
}

type cancelWorkflowOutput struct{ Body CancelledWorkflowView }

func (s *service) cancelWorkflow(ctx context.Context, _ *workflowInput) (*cancelWorkflowOutput, error) {
	w := loaded[*workflow](ctx)
	cancelling := &cancelWorkflowOutput{Body: CancelledWorkflowView{WorkflowID: w.id, Status: string(models.ExecutionCancelling)}}
	switch {
	case w.cancellation:
		return nil, models.Errorf(models.CodeConflict, "a cancellation cannot be taken back")
	case w.execution != nil:
		_, err := s.cancel(ctx, w.id)
		return cancelling, err
	case w.approval != nil && w.approval.Status != models.ApprovalPending:
		return nil, approvalClosed(*w.approval)
	case w.described != nil && !w.described.Running():
		return nil, workflowClosed(w.described.Status)
	}
	err := s.Gateway.CancelWorkflow(ctx, w.id)
	if models.CodeOf(err) == models.CodeNotFound {
		return nil, workflowClosed("closed")
	}
	return cancelling, err
}

func workflowClosed(status string) error {
	return models.Errorf(models.CodeWorkflowClosed, "the workflow has ended: it is %s", status)
}

func approvalClosed(a models.Approval) error {
	message := fmt.Sprintf("the gate %s is %s already", a.Gate, a.Status)
	if a.Reason != "" {
		message += ": " + a.Reason
	}
	return models.Errorf(models.CodeApprovalClosed, "%s", message)
}

func viewWorkflow(w models.Workflow) WorkflowView {
	v := WorkflowView{
		WorkflowID: w.ID, WorkflowType: w.Type, RunID: w.RunID, Status: w.Status,
		StartedAt: w.StartedAt.UTC(), ClosedAt: known(w.ClosedAt),
		PendingActivities: []ActivityView{}, PendingApprovals: []PendingApprovalView{},
	}
	for _, a := range w.Activities {
		v.PendingActivities = append(v.PendingActivities, ActivityView{
			Name: a.Name, State: a.State, Attempt: a.Attempt, StartedAt: known(a.StartedAt), LastFailure: a.LastFailure,
		})
	}
	return v
}
