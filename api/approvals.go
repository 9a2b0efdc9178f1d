package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/matih/pipeline-service/api/auth"
	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/store"
)

// ApprovalView is a gate of an execution with what was decided about it.
type ApprovalView struct {
	ApprovalID        string                `json:"approvalId" doc:"Also the id of its workflow."`
	ExecutionID       string                `json:"executionId"`
	PipelineID        string                `json:"pipelineId"`
	Gate              string                `json:"gate" doc:"The quality check that failed, or the sink that waits to be published."`
	Status            models.ApprovalStatus `json:"status" enum:"PENDING,APPROVED,REJECTED,CANCELLED"`
	StatusReason      string                `json:"statusReason,omitempty"`
	Required          int                   `json:"required" doc:"How many approvals it needs."`
	Approvals         int                   `json:"approvals" doc:"How many it has."`
	Groups            []string              `json:"groups" doc:"Groups of which an approver must be a member of one; anybody's where empty."`
	AllowSelfApproval bool                  `json:"allowSelfApproval" doc:"Whether whoever started the execution may approve."`
	SubmittedBy       string                `json:"submittedBy" doc:"Who started the execution."`
	RequestedAt       time.Time             `json:"requestedAt"`
	Deadline          time.Time             `json:"deadline" doc:"When it is decided by timeout."`
	RemindedAt        *time.Time            `json:"remindedAt,omitempty"`
	ClosedAt          *time.Time            `json:"closedAt,omitempty"`
	Evidence          Object                `json:"evidence" doc:"What the check found, with up to 10 failing rows, or what the sink is about to publish. Masked columns show ***."`
	EvidenceHash      string                `json:"evidenceHash" doc:"SHA-256 of the evidence as JSON without blanks, keys sorted."`
	Decisions         []DecisionView        `json:"decisions" doc:"Those that counted, in their order."`
}

// DecisionView is one person's decision.
type DecisionView struct {
	Approved     bool      `json:"approved"`
	ApprovedBy   string    `json:"approvedBy" doc:"Who decided: the subject of the token."`
	Reason       string    `json:"reason,omitempty"`
	DecidedAt    time.Time `json:"decidedAt"`
	EvidenceHash string    `json:"evidenceHash" doc:"What the person was shown."`
}

// ApprovalList is one page of approvals, newest first.
type ApprovalList struct {
	Approvals []ApprovalView `json:"approvals"`
	Page      int            `json:"page"`
	Size      int            `json:"size"`
	Total     int64          `json:"total"`
}

func (s *service) registerApprovals() {
	register(s, operation{
		Operation: huma.Operation{
			OperationID: "listApprovals", Method: http.MethodGet, Path: "/v1/pipelines/approvals",
			Tags: []string{"Approvals"}, Summary: "List approvals",
			Description: "Gates that wait or have waited, newest first. Decide with the signal `approval` to the approval's or the execution's workflow.",
		},
		Scope: auth.ScopeRead, Codes: []models.Code{models.CodeNotFound},
	}, s.listApprovals)
	register(s, operation{
		Operation: huma.Operation{
			OperationID: "getApproval", Method: http.MethodGet, Path: "/v1/pipelines/approvals/{approvalId}",
			Tags: []string{"Approvals"}, Summary: "Get an approval",
		},
		Scope: auth.ScopeRead, Load: loadApproval, Answer: exampleApproval,
	}, s.getApproval)
}

type listApprovalsInput struct {
	Paging
	Status      models.ApprovalStatus `query:"status" enum:"PENDING,APPROVED,REJECTED,CANCELLED" doc:"Approvals in this status."`
	ExecutionID string                `query:"executionId" doc:"Approvals of this execution."`
}

type listApprovalsOutput struct{ Body ApprovalList }

func (s *service) listApprovals(ctx context.Context, in *listApprovalsInput) (*listApprovalsOutput, error) {
	if in.ExecutionID != "" && !models.IsID(models.PrefixExecution, in.ExecutionID) {
		return nil, models.NotFound("execution")
	}
	found, err := requestOf(ctx).store.Approvals(ctx, store.ApprovalFilter{Status: in.Status, ExecutionID: in.ExecutionID}, in.page())
	if err != nil {
		return nil, err
	}
	list := ApprovalList{Approvals: []ApprovalView{}, Page: in.Page, Size: in.Size, Total: found.Total}
	for _, a := range found.Items {
		list.Approvals = append(list.Approvals, viewApproval(a))
	}
	return &listApprovalsOutput{Body: list}, nil
}

type approvalInput struct {
	ApprovalID string `path:"approvalId" doc:"The approval's id."`
}

type approvalOutput struct{ Body ApprovalView }

func (s *service) getApproval(ctx context.Context, _ *approvalInput) (*approvalOutput, error) {
	return &approvalOutput{Body: viewApproval(loaded[models.Approval](ctx))}, nil
}

func viewApproval(a models.Approval) ApprovalView {
	v := ApprovalView{
		ApprovalID: a.ID, ExecutionID: a.ExecutionID, PipelineID: a.PipelineID, Gate: a.Gate,
		Status: a.Status, StatusReason: a.Reason, Required: a.Required, Approvals: a.Approvals,
		Groups: append([]string{}, a.Groups...), AllowSelfApproval: a.AllowSelfApproval, SubmittedBy: a.SubmittedBy,
		RequestedAt: a.RequestedAt.UTC(), Deadline: a.Deadline.UTC(), RemindedAt: known(a.RemindedAt), ClosedAt: known(a.ClosedAt),
		Evidence: Object(a.Evidence), EvidenceHash: a.EvidenceHash, Decisions: []DecisionView{},
	}
	for _, d := range a.Decisions {
		v.Decisions = append(v.Decisions, DecisionView{
			Approved: d.Action == models.ActionApproved, ApprovedBy: d.By, Reason: d.Reason, DecidedAt: d.At.UTC(), EvidenceHash: d.EvidenceHash,
		})
	}
	return v
}
