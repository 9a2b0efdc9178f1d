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

// AlertView tells that a rule of a pipeline is or was broken.
type AlertView struct {
	AlertID        string             `json:"alertId"`
	PipelineID     string             `json:"pipelineId"`
	ExecutionID    string             `json:"executionId,omitempty" doc:"The execution that broke the rule last, where one did."`
	Rule           models.AlertRule   `json:"rule" enum:"EXECUTION_FAILED,QUALITY_CHECK_FAILED,SLA_MISSED,FRESHNESS,DURATION_ANOMALY,SCHEDULE_MISSED,APPROVAL_PENDING,BUDGET_EXCEEDED"`
	Severity       models.Severity    `json:"severity" enum:"CRITICAL,WARNING,INFO"`
	Status         models.AlertStatus `json:"status" enum:"OPEN,ACKNOWLEDGED,RESOLVED"`
	Message        string             `json:"message" doc:"What is wrong; the last time counts."`
	Count          int64              `json:"count" doc:"How often the rule has been broken since firstSeenAt."`
	FirstSeenAt    time.Time          `json:"firstSeenAt"`
	LastSeenAt     time.Time          `json:"lastSeenAt"`
	AcknowledgedBy string             `json:"acknowledgedBy,omitempty" doc:"The subject of the token."`
	AcknowledgedAt *time.Time         `json:"acknowledgedAt,omitempty"`
	Comment        string             `json:"comment,omitempty" doc:"Of who acknowledged it."`
	ResolvedAt     *time.Time         `json:"resolvedAt,omitempty" doc:"When the next good run came."`
}

// AlertList is one page of alerts, those opened last first.
type AlertList struct {
	Alerts []AlertView `json:"alerts"`
	Page   int         `json:"page"`
	Size   int         `json:"size"`
	Total  int64       `json:"total"`
}

// AcknowledgeBody says that somebody knows of an alert.
type AcknowledgeBody struct {
	Comment string `json:"comment,omitempty" maxLength:"2000"`
}

func (s *service) registerAlerts() {
	register(s, operation{
		Operation: huma.Operation{
			OperationID: "listAlerts", Method: http.MethodGet, Path: "/v1/pipelines/monitoring/alerts",
			Tags: []string{"Monitoring"}, Summary: "List alerts",
			Description: "Those opened last first. A pipeline has at most one alert of a rule that is not resolved: it counts how often the rule was broken.",
		},
		Scope: auth.ScopeRead, Codes: []models.Code{models.CodeNotFound},
	}, s.listAlerts)
	register(s, operation{
		Operation: huma.Operation{
			OperationID: "acknowledgeAlert", Method: http.MethodPost, Path: "/v1/pipelines/monitoring/alerts/{alertId}/acknowledge",
			Tags: []string{"Monitoring"}, Summary: "Acknowledge an alert",
			Description: "Notes who knows since when. The first to acknowledge an alert stays; whoever does so again gets the same answer.",
		},
		Scope: auth.ScopeAlerts, Load: loadAlert, Example: exampleAcknowledge, Answer: exampleAlert,
		Codes: []models.Code{models.CodeAlertResolved},
	}, s.acknowledgeAlert)
}

type listAlertsInput struct {
	Paging
	Severity   models.Severity    `query:"severity" enum:"CRITICAL,WARNING,INFO" doc:"Alerts of this severity."`
	Status     models.AlertStatus `query:"status" enum:"OPEN,ACKNOWLEDGED,RESOLVED" doc:"Alerts in this status."`
	PipelineID string             `query:"pipelineId" doc:"Alerts of this pipeline."`
}

type listAlertsOutput struct{ Body AlertList }

func (s *service) listAlerts(ctx context.Context, in *listAlertsInput) (*listAlertsOutput, error) {
	if in.PipelineID != "" && !models.IsID(models.PrefixPipeline, in.PipelineID) {
		return nil, models.NotFound("pipeline")
	}
	filter := store.AlertFilter{PipelineID: in.PipelineID, Status: in.Status, Severity: in.Severity}
	found, err := requestOf(ctx).store.Alerts(ctx, filter, in.page())
	if err != nil {
		return nil, err
	}
	list := AlertList{Alerts: []AlertView{}, Page: in.Page, Size: in.Size, Total: found.Total}
	for _, a := range found.Items {
		list.Alerts = append(list.Alerts, viewAlert(a))
	}
	return &listAlertsOutput{Body: list}, nil
}

type acknowledgeInput struct {
	AlertID string `path:"alertId" doc:"The alert's id."`
	Body    *AcknowledgeBody
}

// Resolve checks what the schema cannot.
func (in *acknowledgeInput) Resolve(huma.Context) []error {
	if in.Body == nil {
		in.Body = &AcknowledgeBody{}
	}
	if mistakes := checkText("body.comment", in.Body.Comment); len(mistakes) > 0 {
		return []error{invalid(mistakes)}
	}
	return nil
}

type alertOutput struct{ Body AlertView }

func (s *service) acknowledgeAlert(ctx context.Context, in *acknowledgeInput) (*alertOutput, error) {
	r := requestOf(ctx)
	a, err := r.store.AcknowledgeAlert(ctx, in.AlertID, r.principal.Subject, in.Body.Comment, s.Now())
	if err != nil {
		return nil, err
	}
	return &alertOutput{Body: viewAlert(a)}, nil
}

func viewAlert(a models.Alert) AlertView {
	v := AlertView{
		AlertID: a.ID, PipelineID: a.PipelineID, Rule: a.Rule, Severity: a.Severity, Status: a.Status, Message: a.Message,
		Count: a.Count, FirstSeenAt: a.FirstSeen.UTC(), LastSeenAt: a.LastSeen.UTC(),
		AcknowledgedBy: a.AcknowledgedBy, AcknowledgedAt: known(a.AcknowledgedAt), Comment: a.Comment, ResolvedAt: known(a.ResolvedAt),
	}
	if models.IsID(models.PrefixExecution, a.Occurrence) {
		v.ExecutionID = a.Occurrence
	}
	return v
}
