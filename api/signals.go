package api

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/matih/pipeline-service/api/auth"
	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/contract"
)

// SignalBody is a signal to a workflow.
type SignalBody struct {
	SignalName string        `json:"signalName" enum:"approval" doc:"What is signalled."`
	Data       *DecisionBody `json:"data" doc:"What the signal says."`
}

// DecisionBody is what the signal approval says.
type DecisionBody struct {
	Approved   bool   `json:"approved" doc:"Whether the gate may open."`
	ApprovedBy string `json:"approvedBy,omitempty" doc:"Must be the subject of the token, which decides who approved."`
	Reason     string `json:"reason,omitempty" maxLength:"2000"`
	Gate       string `json:"gate,omitempty" maxLength:"63" doc:"Which gate is meant, where several of an execution wait."`
}

// SignalledView is what became of a decision.
type SignalledView struct {
	WorkflowID string                `json:"workflowId"`
	SignalName string                `json:"signalName"`
	ApprovalID string                `json:"approvalId"`
	Gate       string                `json:"gate"`
	Status     models.ApprovalStatus `json:"status" doc:"Of the approval, this decision counted in."`
	Approvals  int                   `json:"approvals" doc:"How many it has."`
	Required   int                   `json:"required" doc:"How many it needs."`
}

func (s *service) registerSignals() {
	register(s, operation{
		Operation: huma.Operation{
			OperationID: "signalWorkflow", Method: http.MethodPost, Path: "/v1/pipelines/workflows/{workflowId}/signal",
			DefaultStatus: http.StatusAccepted,
			Tags:          []string{"Workflows"}, Summary: "Signal a workflow",
			Description: "The signal approval decides about the gate that an execution waits at, by the execution's id or the approval's. " +
				"The answer says whether the decision counted. It needs approvals:decide; other signals need workflows:operate.",
		},
		Scope: auth.ScopeDecide, OrScope: auth.ScopeWorkflows, Load: loadWorkflow, Example: exampleSignal, Answer: exampleSignalled,
		Codes: []models.Code{
			models.CodeNothingWaiting, models.CodeSeveralWaiting, models.CodeApprovalClosed, models.CodeAlreadyDecided,
			models.CodeSelfApproval, models.CodeExecutionClosed,
		},
	}, s.signalWorkflow)
}

type signalInput struct {
	WorkflowID string `path:"workflowId" doc:"The workflow's id: an execution's or an approval's."`
	Body       SignalBody
}

type signalOutput struct {
	Location string `header:"Location"`
	Body     SignalledView
}

// signalWorkflow decides about a gate. The workflow itself judges whether the decision counts, so
// that it is the same for whoever comes by another way.
func (s *service) signalWorkflow(ctx context.Context, in *signalInput) (*signalOutput, error) {
	r, w, d := requestOf(ctx), loaded[*workflow](ctx), in.Body.Data
	if err := r.require(auth.ScopeDecide); err != nil {
		return nil, err
	}
	if d.ApprovedBy != "" && d.ApprovedBy != r.principal.Subject {
		return nil, models.Errorf(models.CodeForbidden, "approvedBy names somebody else than the token's subject; leave it out")
	}
	a, err := s.gateOf(ctx, w, d.Gate)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitTimeout)
	defer cancel()
	decided, err := s.Gateway.Decide(ctx, a.ID, r.newID("decision-"), contract.Decision{
		Approved: &d.Approved, ApprovedBy: r.principal.Subject, Reason: d.Reason, Groups: r.principal.Groups,
	})
	if models.CodeOf(err) == models.CodeNotFound {
		return nil, s.closedMeanwhile(ctx, a)
	}
	if err != nil {
		return nil, err
	}
	return &signalOutput{Location: "/v1/pipelines/approvals/" + a.ID, Body: SignalledView{
		WorkflowID: w.id, SignalName: in.Body.SignalName, ApprovalID: a.ID, Gate: a.Gate,
		Status: decided.Status, Approvals: decided.Approvals, Required: decided.Required,
	}}, nil
}

// gateOf is the approval that a signal to a workflow means.
func (s *service) gateOf(ctx context.Context, w *workflow, gate string) (models.Approval, error) {
	switch {
	case w.approval != nil && gate != "" && gate != w.approval.Gate:
		return models.Approval{}, invalid([]models.Mistake{{Location: "body.data.gate",
			Message: fmt.Sprintf("must be %s, or left out: this is the approval of that gate", w.approval.Gate)}})
	case w.approval != nil && w.approval.Status != models.ApprovalPending:
		return models.Approval{}, approvalClosed(*w.approval)
	case w.approval != nil:
		return *w.approval, nil
	case w.execution == nil || w.cancellation:
		return models.Approval{}, models.Errorf(models.CodeNothingWaiting, "this workflow waits for no approval")
	case w.execution.Status.Terminal():
		return models.Approval{}, models.Errorf(models.CodeExecutionClosed, "the execution has ended: it is %s", w.execution.Status)
	}
	t := requestOf(ctx).store
	waiting, err := pendingApprovals(ctx, t, w)
	if err != nil {
		return models.Approval{}, err
	}
	var gates []string
	for _, a := range waiting {
		if a.Gate == gate || gate == "" && len(waiting) == 1 {
			return a, nil
		}
		gates = append(gates, a.Gate)
	}
	switch {
	case gate != "":
		if a, err := t.Approval(ctx, contract.ApprovalID(w.execution.ID, gate)); err == nil {
			return models.Approval{}, approvalClosed(a)
		}
		return models.Approval{}, models.Errorf(models.CodeNothingWaiting, "the execution does not wait at a gate of this name")
	case len(gates) > 1:
		err := models.Errorf(models.CodeSeveralWaiting, "several gates wait; name one of them in data.gate: %s", strings.Join(gates, ", "))
		err.IDs = gates
		return models.Approval{}, err
	default:
		return models.Approval{}, models.Errorf(models.CodeNothingWaiting, "the execution waits for no approval")
	}
}

// closedMeanwhile says why an approval that was PENDING has no workflow that would take a decision.
func (s *service) closedMeanwhile(ctx context.Context, a models.Approval) error {
	now, err := requestOf(ctx).store.Approval(ctx, a.ID)
	switch {
	case err != nil:
		return err
	case now.Status != models.ApprovalPending:
		return approvalClosed(now)
	default:
		return models.Errorf(models.CodeNothingWaiting, "the approval is about to be closed")
	}
}
