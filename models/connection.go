package models

import (
	"encoding/json"
	"time"
)

// ConnectionType is what a connection leads to.
type ConnectionType string

// The types a connection may have. jdbc is a relational database through its native driver.
const (
	ConnectionJDBC  ConnectionType = "jdbc"
	ConnectionLocal ConnectionType = "local"
	ConnectionKafka ConnectionType = "kafka"
)

// ConnectionTypes lists the types this release can use.
var ConnectionTypes = []ConnectionType{ConnectionJDBC, ConnectionLocal, ConnectionKafka}

// Connection is how a tenant's tasks reach a system. It holds no secret: CredentialSecretRef names
// an entry of the tenant in the secret store.
type Connection struct {
	ID                  string         `json:"id"`
	Tenant              TenantID       `json:"tenant"`
	Name                string         `json:"name"`
	Type                ConnectionType `json:"type"`
	Host                string         `json:"host,omitempty"`
	Port                int            `json:"port,omitempty"`
	Database            string         `json:"database,omitempty"`
	CredentialSecretRef string         `json:"credentialSecretRef,omitempty"`
	// Properties is a JSON object of settings such as sslMode, connectionTimeout (ms), path.
	Properties json.RawMessage `json:"properties,omitempty"`
	CreatedBy  string          `json:"createdBy,omitempty"`
	CreatedAt  time.Time       `json:"createdAt"`
}

// ConnectionTest is what a test of a connection found.
type ConnectionTest struct {
	Connected bool           `json:"connected"`
	LatencyMs int64          `json:"latencyMs"`
	Version   string         `json:"version,omitempty"`
	Details   map[string]any `json:"details,omitempty"`
	// Reason says why it did not connect, in words without secrets.
	Reason string `json:"reason,omitempty"`
}
