package store

import (
	"github.com/uptrace/bun"

	"github.com/matih/pipeline-service/models"
)

type alertRow struct {
	bun.BaseModel `bun:"table:alerts,alias:al"`

	TenantID       models.TenantID
	ID             string
	PipelineID     string
	Rule           models.AlertRule
	Severity       models.Severity
	Status         models.AlertStatus
	Message        string
	Occurrence     string
	N              int64
	FirstSeen      instant
	LastSeen       instant
	AcknowledgedBy string
	AcknowledgedAt instant
	Comment        string
	ResolvedAt     instant
}

func (r *alertRow) model() models.Alert {
	return models.Alert{
		ID: r.ID, Tenant: r.TenantID, PipelineID: r.PipelineID, Rule: r.Rule, Severity: r.Severity, Status: r.Status,
		Message: r.Message, Occurrence: r.Occurrence, Count: r.N, FirstSeen: r.FirstSeen.Time, LastSeen: r.LastSeen.Time,
		AcknowledgedBy: r.AcknowledgedBy, AcknowledgedAt: r.AcknowledgedAt.Time, Comment: r.Comment, ResolvedAt: r.ResolvedAt.Time,
	}
}
