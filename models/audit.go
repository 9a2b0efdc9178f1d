package models

import "time"

// AuditEntry tells of one request that meant to change something: who, when, what, and how it was answered.
type AuditEntry struct {
	ID        string
	Tenant    TenantID
	At        time.Time
	Subject   string // of the token
	Operation string // the operation's id in the API's description
	Method    string
	Path      string
	// Resource is the id of what was made or changed, "" where nothing was.
	Resource string
	// Status is the answer's HTTP status; 0 where the process ended before it answered.
	Status    int
	RequestID string
}
