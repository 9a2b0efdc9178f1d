package models

import "time"

// Event is something that happens to an execution and that webhooks can be told of.
type Event string

// The events; a definition names them in orchestration.notifications.
const (
	EventStarted            Event = "started"
	EventCompleted          Event = "completed"
	EventFailed             Event = "failed"
	EventCancelled          Event = "cancelled"
	EventApprovalRequested  Event = "approval_requested"
	EventQualityCheckFailed Event = "quality_check_failed"
	EventSLAMissed          Event = "sla_missed"
)

// Notification is one event to be told to one webhook.
type Notification struct {
	// ID is also the id of the workflow that does it, notify-<execution>-<event>-<webhook>, and -<gate> where there is one.
	ID          string
	Tenant      TenantID
	ExecutionID string
	PipelineID  string
	Event       Event
	// Webhook is its place in the definition's notifications, from 0. Its address may hold a secret, so it is
	// nowhere else.
	Webhook int
	// Gate is the one that waits, of an approval that is requested.
	Gate string
	At   time.Time
}
