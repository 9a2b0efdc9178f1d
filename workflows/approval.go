package workflows

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/contract"
)

// Approval waits until enough people have approved a gate of an execution, one has rejected it, or time
// is up. It holds no worker slot while it waits, and one goroutine.
func Approval(ctx workflow.Context, in contract.ApprovalInput) (contract.ApprovalResult, error) {
	a := &approval{in: in, status: models.ApprovalPending}
	if err := a.setup(ctx); err != nil {
		return contract.ApprovalResult{}, err
	}
	return a.run(ctx)
}

// approval is the state of a gate.
type approval struct {
	in     contract.ApprovalInput
	status models.ApprovalStatus
	reason string
	// by holds who has decided; approvals is how many of them approved.
	by        []string
	approvals int
	// mutex is held by whoever changes the state: decisions come by updates, signals and timers.
	mutex workflow.Mutex
	// settled is ready once the gate is no longer PENDING.
	settled workflow.Future
	settle  workflow.Settable
}

func (a *approval) setup(ctx workflow.Context) error {
	a.mutex = workflow.NewMutex(ctx)
	a.settled, a.settle = workflow.NewFuture(ctx)
	if err := a.mutex.Lock(ctx); err != nil {
		return err
	}
	defer a.mutex.Unlock()
	// Whoever decides at once waits for the mutex until the gate is in the database.
	err := workflow.SetUpdateHandlerWithOptions(ctx, contract.DecideUpdate, a.decide, workflow.UpdateHandlerOptions{
		Description: "approve or reject this gate",
		Validator:   func(d contract.Decision) error { return a.validate(d) },
	})
	if err != nil {
		return err
	}
	now := workflow.Now(ctx)
	a.show(ctx)
	return workflow.ExecuteLocalActivity(withRecordPolicy(ctx, "open gate "+a.in.Gate), contract.OpenApprovalActivity,
		contract.OpenApprovalInput{ApprovalInput: a.in, At: now, Deadline: now.Add(a.in.Policy.Timeout)}).Get(ctx, nil)
}

// run waits for what comes first.
func (a *approval) run(ctx workflow.Context) (contract.ApprovalResult, error) {
	timers, stop := workflow.WithCancel(ctx)
	defer stop()
	recording, _ := workflow.NewDisconnectedContext(ctx)
	selector := workflow.NewSelector(ctx)
	var err error
	on := func(f workflow.Future, do func(workflow.Context) error) {
		selector.AddFuture(f, func(f workflow.Future) {
			if f.Get(ctx, nil) == nil {
				err = do(recording)
			}
		})
	}
	on(workflow.NewTimerWithOptions(timers, a.in.Policy.Timeout/2, workflow.TimerOptions{Summary: "reminder"}), a.remind)
	on(workflow.NewTimerWithOptions(timers, a.in.Policy.Timeout, workflow.TimerOptions{Summary: "deadline"}), a.expire)
	on(a.settled, func(workflow.Context) error { return nil })
	selector.AddReceive(workflow.GetSignalChannel(ctx, contract.ApprovalSignal), func(c workflow.ReceiveChannel, _ bool) {
		var d contract.Decision
		if c.ReceiveAsync(&d) {
			a.signalled(recording, d)
		}
	})
	selector.AddReceive(ctx.Done(), func(workflow.ReceiveChannel, bool) {
		err = a.close(recording, models.ApprovalCancelled, models.ActionCancelled, "cancelled before it was decided")
	})
	for a.status == models.ApprovalPending && err == nil {
		selector.Select(ctx)
	}
	if err != nil {
		return contract.ApprovalResult{}, err
	}
	if err := workflow.Await(recording, func() bool { return workflow.AllHandlersFinished(recording) }); err != nil {
		return contract.ApprovalResult{}, err
	}
	err = workflow.UpsertTypedSearchAttributes(recording, contract.SearchPipelineStatus.ValueSet(string(a.status)))
	return contract.ApprovalResult{Status: a.status, Reason: a.reason}, err
}

// validate refuses a decision that does not count, before it enters the history.
func (a *approval) validate(d contract.Decision) error {
	refuse := func(code models.Code, format string, args ...any) error {
		return temporal.NewNonRetryableApplicationError(fmt.Sprintf(format, args...), string(code), nil)
	}
	member := func(group string) bool { return slices.Contains(d.Groups, group) }
	switch {
	case a.status != models.ApprovalPending:
		return refuse(models.CodeApprovalClosed, "the gate %s is %s already", a.in.Gate, a.status)
	case d.Approved == nil:
		return refuse(models.CodeInvalidRequest, "approved must be true or false")
	case d.ApprovedBy == "":
		return refuse(models.CodeInvalidRequest, "approvedBy must name who decides")
	case utf8.RuneCountInString(d.Reason) > contract.MaxReason:
		return refuse(models.CodeInvalidRequest, "the reason may have %d characters", contract.MaxReason)
	case d.Gate != "" && d.Gate != a.in.Gate:
		return refuse(models.CodeInvalidRequest, "this is the gate %s, not %s", a.in.Gate, d.Gate)
	case *d.Approved && d.ApprovedBy == a.in.SubmittedBy && !a.in.Policy.AllowSelfApproval:
		return refuse(models.CodeSelfApproval, "whoever started an execution cannot approve it")
	case len(a.in.Policy.Groups) > 0 && !slices.ContainsFunc(a.in.Policy.Groups, member):
		return refuse(models.CodeForbidden, "members of these groups decide about this gate: %s", strings.Join(a.in.Policy.Groups, ", "))
	case slices.Contains(a.by, d.ApprovedBy):
		return refuse(models.CodeAlreadyDecided, "%s has decided already", d.ApprovedBy)
	default:
		return nil
	}
}

// decide counts a decision. Decisions come one after the other, so that what validate says still holds
// when they are recorded; once recorded they count, whatever becomes of the workflow meanwhile.
func (a *approval) decide(ctx workflow.Context, d contract.Decision) (contract.Decided, error) {
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	if err := a.mutex.Lock(ctx); err != nil {
		return contract.Decided{}, err
	}
	defer a.mutex.Unlock()
	if err := a.validate(d); err != nil {
		return contract.Decided{}, err
	}
	in := contract.RecordDecisionInput{Tenant: a.in.Tenant, ID: a.in.ID(), By: d.ApprovedBy, Approved: *d.Approved, Reason: d.Reason,
		At: workflow.Now(ctx), Status: models.ApprovalPending}
	approvals := a.approvals
	switch {
	case !in.Approved:
		in.Status, in.Closing = models.ApprovalRejected, worded("rejected by "+d.ApprovedBy, d.Reason)
	default:
		if approvals++; approvals >= a.in.Policy.Required {
			in.Status, in.Closing = models.ApprovalApproved, worded("approved by "+strings.Join(append(slices.Clone(a.by), d.ApprovedBy), ", "), d.Reason)
		}
	}
	err := workflow.ExecuteLocalActivity(withRecordPolicy(ctx, "record decision of "+d.ApprovedBy),
		contract.RecordDecisionActivity, in).Get(ctx, nil)
	if err != nil {
		return contract.Decided{}, err
	}
	a.by, a.approvals = append(a.by, d.ApprovedBy), approvals
	if in.Status != models.ApprovalPending {
		a.end(in.Status, in.Closing)
	}
	a.show(ctx)
	return contract.Decided{Status: a.status, Approvals: a.approvals, Required: a.in.Policy.Required}, nil
}

// signalled lets a plain signal decide by the same rules; one that does not count is dropped, and the
// log says so.
func (a *approval) signalled(ctx workflow.Context, d contract.Decision) {
	if _, err := a.decide(ctx, d); err != nil {
		workflow.GetLogger(ctx).Warn("a signalled decision does not count", "by", d.ApprovedBy, "error", err)
	}
}

// expire closes a gate about which nobody, or not enough people, decided in time.
func (a *approval) expire(ctx workflow.Context) error {
	within := fmt.Sprintf("%d of %d approvals came within %s", a.approvals, a.in.Policy.Required, a.in.Policy.Timeout)
	if a.in.Policy.ApproveOnTimeout {
		return a.close(ctx, models.ApprovalApproved, models.ActionExpired, "approved by timeout: "+within)
	}
	return a.close(ctx, models.ApprovalRejected, models.ActionExpired, "rejected by timeout: "+within)
}

// close ends a gate that is still PENDING when it is its turn.
func (a *approval) close(ctx workflow.Context, status models.ApprovalStatus, action models.ApprovalAction, reason string) error {
	if err := a.mutex.Lock(ctx); err != nil {
		return err
	}
	defer a.mutex.Unlock()
	if a.status != models.ApprovalPending {
		return nil
	}
	err := workflow.ExecuteLocalActivity(withRecordPolicy(ctx, "close gate "+a.in.Gate), contract.CloseApprovalActivity,
		contract.CloseApprovalInput{Tenant: a.in.Tenant, ID: a.in.ID(), Status: status, Action: action, Reason: reason, At: workflow.Now(ctx)}).Get(ctx, nil)
	if err != nil {
		return err
	}
	a.end(status, reason)
	a.show(ctx)
	return nil
}

func (a *approval) end(status models.ApprovalStatus, reason string) {
	a.status, a.reason = status, reason
	a.settle.SetValue(nil)
}

// remind says once, at half time, that a gate waits.
func (a *approval) remind(ctx workflow.Context) error {
	return workflow.ExecuteLocalActivity(withRecordPolicy(ctx, "remind of gate "+a.in.Gate), contract.RemindApprovalActivity,
		contract.RemindApprovalInput{Tenant: a.in.Tenant, ID: a.in.ID(), At: workflow.Now(ctx)}).Get(ctx, nil)
}

// show tells the Web UI how things stand.
func (a *approval) show(ctx workflow.Context) {
	text := fmt.Sprintf("%s: %d of %d approvals", a.status, a.approvals, a.in.Policy.Required)
	if len(a.by) > 0 {
		text += "; decided: " + strings.Join(a.by, ", ")
	}
	workflow.SetCurrentDetails(ctx, worded(text, a.reason))
}

func worded(what, reason string) string {
	if reason == "" {
		return what
	}
	return what + ": " + reason
}
