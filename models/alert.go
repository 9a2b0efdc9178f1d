package models

import "time"

// AlertRule is what an alert is about.
type AlertRule string

// The rules. A pipeline has at most one alert of a rule that is not resolved.
const (
	AlertExecutionFailed    AlertRule = "EXECUTION_FAILED"
	AlertQualityCheckFailed AlertRule = "QUALITY_CHECK_FAILED"
	AlertSLAMissed          AlertRule = "SLA_MISSED"
	AlertFreshness          AlertRule = "FRESHNESS"
	AlertDurationAnomaly    AlertRule = "DURATION_ANOMALY"
	AlertScheduleMissed     AlertRule = "SCHEDULE_MISSED"
	AlertApprovalPending    AlertRule = "APPROVAL_PENDING"
	AlertBudgetExceeded     AlertRule = "BUDGET_EXCEEDED"
)

// Severity says how soon somebody should look.
type Severity string

// From most to least urgent.
const (
	SeverityCritical Severity = "CRITICAL"
	SeverityWarning  Severity = "WARNING"
	SeverityInfo     Severity = "INFO"
)

// Severities lists every severity, the most urgent first.
var Severities = []Severity{SeverityCritical, SeverityWarning, SeverityInfo}

// AlertStatus is where an alert stands.
type AlertStatus string

// OPEN becomes ACKNOWLEDGED by a person, and RESOLVED, from either, by the next good run.
const (
	AlertOpen         AlertStatus = "OPEN"
	AlertAcknowledged AlertStatus = "ACKNOWLEDGED"
	AlertResolved     AlertStatus = "RESOLVED"
)

// AlertStatuses lists every status, in the order of an alert's life.
var AlertStatuses = []AlertStatus{AlertOpen, AlertAcknowledged, AlertResolved}

// Alert tells that a rule of a pipeline is broken, and how often it has been since it was first seen.
type Alert struct {
	ID         string
	Tenant     TenantID
	PipelineID string
	Rule       AlertRule
	Severity   Severity
	Status     AlertStatus
	// Message says in a person's words what is wrong; the latest occurrence's counts.
	Message string
	// Occurrence names what broke the rule last: an execution's id, a due time. Telling of the same
	// one again does not count.
	Occurrence string
	Count      int64
	FirstSeen  time.Time
	LastSeen   time.Time
	// AcknowledgedBy is who said that they know, with a Comment or without; empty until somebody has.
	AcknowledgedBy string
	AcknowledgedAt time.Time
	Comment        string
	ResolvedAt     time.Time // zero until RESOLVED
}
