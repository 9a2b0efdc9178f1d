package record

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/matih/pipeline-service/activities/checks"
	"github.com/matih/pipeline-service/activities/failure"
	"github.com/matih/pipeline-service/activities/plan"
	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/contract"
	"github.com/matih/pipeline-service/models/definition"
	"github.com/matih/pipeline-service/models/store"
)

// Approvals records what happens to approvals.
type Approvals struct {
	Store *store.Store
	Plans *plan.Loader
	// Notifications tells webhooks that a gate waits.
	Notifications *Notifications
	Log           *slog.Logger
}

// Open writes down that a gate waits, with the evidence. Repeating it is harmless.
func (a *Approvals) Open(ctx context.Context, in contract.OpenApprovalInput) error {
	t := a.Store.ForTenant(in.Tenant)
	p, err := a.Plans.Load(ctx, in.Tenant, in.ExecutionID)
	if err != nil {
		if why := plan.Failure(err); why != nil {
			return failure.Final(why)
		}
		return notThere(err)
	}
	evidence, err := evidence(ctx, t, p, in)
	if err != nil {
		return notThere(err)
	}
	doc, hash, err := evidence.Canonical()
	if err != nil {
		return err
	}
	err = t.OpenApproval(ctx, models.Approval{
		ID: in.ID(), ExecutionID: in.ExecutionID, Gate: in.Gate, Required: in.Policy.Required, Groups: in.Policy.Groups,
		AllowSelfApproval: in.Policy.AllowSelfApproval, SubmittedBy: in.SubmittedBy, RequestedAt: in.At, Deadline: in.Deadline,
		Evidence: doc, EvidenceHash: hash,
	})
	if models.CodeOf(err) == models.CodeExecutionClosed {
		return failure.Final(&models.ExecutionError{Class: models.ClassInternal, Message: "the execution has ended"})
	}
	if err != nil {
		return notThere(err)
	}
	if p.Notifies(models.EventApprovalRequested) {
		a.Notifications.Send(ctx, in.Tenant, in.ExecutionID)
	}
	a.Log.InfoContext(ctx, "gate waits", "tenant", in.Tenant, "execution", in.ExecutionID, "gate", in.Gate, "deadline", in.Deadline)
	return nil
}

// Decide writes a person's decision down.
func (a *Approvals) Decide(ctx context.Context, in contract.RecordDecisionInput) error {
	action := models.ActionRejected
	if in.Approved {
		action = models.ActionApproved
	}
	err := a.Store.ForTenant(in.Tenant).StepApproval(ctx, store.ApprovalStep{
		ID: in.ID, Action: action, By: in.By, Reason: in.Reason, At: in.At, Status: in.Status, Closing: in.Closing,
	})
	if err == nil {
		a.Log.InfoContext(ctx, "gate decided", "tenant", in.Tenant, "approval", in.ID, "by", in.By, "action", action, "status", in.Status)
	}
	return notThere(err)
}

// Remind writes down that a gate still waits.
func (a *Approvals) Remind(ctx context.Context, in contract.RemindApprovalInput) error {
	return notThere(a.Store.ForTenant(in.Tenant).StepApproval(ctx, store.ApprovalStep{
		ID: in.ID, Action: models.ActionReminded, At: in.At, Status: models.ApprovalPending,
	}))
}

// Close writes down that a gate was closed without a person's decision.
func (a *Approvals) Close(ctx context.Context, in contract.CloseApprovalInput) error {
	return notThere(a.Store.ForTenant(in.Tenant).StepApproval(ctx, store.ApprovalStep{
		ID: in.ID, Action: in.Action, Reason: in.Reason, At: in.At, Status: in.Status, Closing: in.Reason,
	}))
}

// evidence is what those who decide about a gate are shown. Masked columns were hidden when the checks'
// findings were written down.
func evidence(ctx context.Context, t *store.Tenant, p *plan.Plan, in contract.OpenApprovalInput) (models.Evidence, error) {
	runs, err := t.TaskRuns(ctx, in.ExecutionID)
	if err != nil {
		return models.Evidence{}, err
	}
	byName := make(map[string]models.TaskRun, len(runs))
	for _, run := range runs {
		byName[run.Name] = run
	}
	node, _ := p.Node(in.Gate)
	if node.Kind == models.TaskSink {
		return sinkEvidence(p, node, byName), nil
	}
	check := p.Check(in.Gate)
	if check == nil {
		return models.Evidence{}, errors.New("the gate is neither a check nor a sink")
	}
	found := checks.Found(byName[in.Gate])
	return models.Evidence{
		Check: check.Name, CheckType: string(check.Type), Rows: found.Rows, Failing: found.Failing, Share: found.Share,
		Threshold: check.Threshold, Message: found.Message, Sample: found.Sample,
	}, nil
}

// sinkEvidence says what is about to be published where, and what the checks before found.
func sinkEvidence(p *plan.Plan, node definition.Node, runs map[string]models.TaskRun) models.Evidence {
	e := models.Evidence{Sink: node.Name}
	for _, sink := range p.Definition.Sinks {
		if sink.Name == node.Name {
			e.SinkType, e.Mode = string(sink.Type), string(sink.Mode)
		}
	}
	for _, input := range node.Inputs {
		e.Rows += runs[input.From].RowsOut
	}
	for _, before := range node.After {
		if run := runs[before]; run.Kind == models.TaskCheck {
			found := checks.Found(run)
			e.Checks = append(e.Checks, models.EvidenceCheck{
				Check: run.Name, Passed: found.Passed, Failing: found.Failing, Share: found.Share, Message: found.Message,
			})
		}
	}
	return e
}

// approvalPolicy is what a definition says of its gates.
func approvalPolicy(a definition.Approval) contract.ApprovalPolicy {
	return contract.ApprovalPolicy{
		Timeout: time.Duration(a.Timeout), ApproveOnTimeout: a.OnTimeout == "approve", Required: a.Required,
		Groups: a.Groups, AllowSelfApproval: a.AllowSelfApproval,
	}
}
