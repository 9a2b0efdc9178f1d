package task

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/matih/pipeline-service/activities/checks"
	"github.com/matih/pipeline-service/activities/failure"
	"github.com/matih/pipeline-service/activities/plan"
	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/contract"
	"github.com/matih/pipeline-service/models/store"
	protocol "github.com/matih/pipeline-service/models/task"
)

// maxDeliveries is how many webhooks a worker tells at once, each of which costs a process. They are
// short, but a webhook may take its time.
const maxDeliveries = 8

// Notifications tells webhooks of events.
type Notifications struct {
	store  *store.Store
	plans  *plan.Loader
	runner Runner
	specs  *Specs
	log    *slog.Logger
	slots  chan struct{}
}

// NewNotifications makes what tells webhooks by processes of the runner.
func NewNotifications(s *store.Store, plans *plan.Loader, runner Runner, specs *Specs, log *slog.Logger) *Notifications {
	return &Notifications{store: s, plans: plans, runner: runner, specs: specs, log: log, slots: make(chan struct{}, maxDeliveries)}
}

// Deliver makes one attempt to tell a webhook. The attempt is made in a task process, where alone the
// tenant's secrets are known.
func (a *Notifications) Deliver(ctx context.Context, in contract.NotificationInput) (contract.NotificationResult, error) {
	p, err := a.plans.Load(ctx, in.Tenant, in.ExecutionID)
	if err != nil {
		if why := plan.Failure(err); why != nil {
			return contract.NotificationResult{}, failure.Final(why)
		}
		return contract.NotificationResult{}, err
	}
	webhooks := p.Definition.Orchestration.Notifications
	if in.Webhook >= len(webhooks) {
		return contract.NotificationResult{}, failure.Final(&models.ExecutionError{
			Class: models.ClassInternal, Message: "the definition has no such webhook"})
	}
	body, err := a.body(ctx, p, in.Notification)
	if err != nil {
		return contract.NotificationResult{}, err
	}
	select {
	case a.slots <- struct{}{}:
		defer func() { <-a.slots }()
	case <-ctx.Done():
		return contract.NotificationResult{}, ctx.Err()
	}
	result, fail := a.runner.Run(ctx, a.specs.BuildNotification(in.Notification, webhooks[in.Webhook].Webhook, body), func(protocol.Message) {})
	if fail == nil {
		return contract.NotificationResult{Status: result.Status}, nil
	}
	a.log.WarnContext(ctx, "a webhook was not told", "notification", in.ID, "class", fail.Class, "reason", fail.Message, "detail", fail.Detail)
	why := &models.ExecutionError{Class: fail.Class, Message: fail.Message}
	if fail.Retry || ctx.Err() != nil {
		return contract.NotificationResult{}, failure.Retryable(why)
	}
	return contract.NotificationResult{}, failure.Final(why)
}

// message is what a webhook is sent. Slack, and what is compatible with it, shows Text and ignores the rest.
type message struct {
	Text         string                 `json:"text"`
	DeliveryID   string                 `json:"deliveryId"`
	Event        models.Event           `json:"event"`
	OccurredAt   time.Time              `json:"occurredAt"`
	TenantID     models.TenantID        `json:"tenantId"`
	PipelineID   string                 `json:"pipelineId"`
	PipelineName string                 `json:"pipelineName"`
	ExecutionID  string                 `json:"executionId"`
	Status       models.ExecutionStatus `json:"status,omitempty"` // of an execution that has ended
	StatusReason string                 `json:"statusReason,omitempty"`
	Error        *models.ExecutionError `json:"error,omitempty"`
	Gate         string                 `json:"gate,omitempty"`
	FailedChecks []string               `json:"failedChecks,omitempty"`
}

// body is the same in every attempt: it says nothing that may have changed since the event.
func (a *Notifications) body(ctx context.Context, p *plan.Plan, n models.Notification) (json.RawMessage, error) {
	m := message{
		DeliveryID: n.ID, Event: n.Event, OccurredAt: n.At.UTC(), TenantID: n.Tenant, PipelineID: n.PipelineID,
		PipelineName: p.Execution.PipelineName, ExecutionID: n.ExecutionID, Gate: n.Gate,
	}
	t := a.store.ForTenant(n.Tenant)
	what := ""
	switch n.Event {
	case models.EventCompleted, models.EventFailed, models.EventCancelled:
		e, err := t.Execution(ctx, n.ExecutionID)
		if err != nil {
			return nil, err
		}
		m.Status, m.StatusReason, m.Error = e.Status, e.StatusReason, e.Error
		what = ending(e)
	case models.EventStarted:
		what = "has started"
	case models.EventApprovalRequested:
		what = fmt.Sprintf("waits for an approval at the gate %s", n.Gate)
	case models.EventSLAMissed:
		what = fmt.Sprintf("takes longer than the promised %s", p.Definition.Orchestration.SLA.MaxDuration)
	case models.EventQualityCheckFailed:
		failed, err := checks.Failed(ctx, t, p)
		if err != nil {
			return nil, err
		}
		for _, c := range failed {
			m.FailedChecks = append(m.FailedChecks, c.Name)
		}
		what = "failed quality checks: " + strings.Join(m.FailedChecks, ", ")
	}
	m.Text = fmt.Sprintf("*%s*: execution %s %s", slackText.Replace(m.PipelineName), m.ExecutionID, slackText.Replace(what))
	return json.Marshal(m)
}

func ending(e models.Execution) string {
	switch {
	case e.Error != nil && e.Error.Task != "":
		return fmt.Sprintf("is %s: task %s: %s", e.Status, e.Error.Task, e.Error.Message)
	case e.Error != nil:
		return fmt.Sprintf("is %s: %s", e.Status, e.Error.Message)
	case e.StatusReason != "":
		return fmt.Sprintf("is %s: %s", e.Status, e.StatusReason)
	default:
		return fmt.Sprintf("is %s", e.Status)
	}
}

// slackText escapes the three characters that mean something in Slack's text, so that no name or message makes a
// link or calls people.
var slackText = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")
