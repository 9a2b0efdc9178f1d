package models

import (
	"encoding/json"
	"net"
	"strconv"
	"strings"
	"time"
)

// ConnectionType is what a connection leads to.
type ConnectionType string

// The types a connection may have. jdbc is a relational database through its native driver, kafka a cluster.
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

// The properties securityProtocol and saslMechanism of a kafka connection. Without them nothing is encrypted, and
// nobody logs in.
const (
	KafkaPlaintext     = "PLAINTEXT"
	KafkaSSL           = "SSL"
	KafkaSASLPlaintext = "SASL_PLAINTEXT"
	KafkaSASLSSL       = "SASL_SSL"

	KafkaPlain       = "PLAIN"
	KafkaScramSHA256 = "SCRAM-SHA-256"
	KafkaScramSHA512 = "SCRAM-SHA-512"
)

// defaultKafkaPort is where brokers listen unless told otherwise.
const defaultKafkaPort = 9092

// KafkaBrokers gives the brokers a kafka connection begins with, as host:port: its host is one or several of
// host or host:port with commas between, its port is that of those without.
func KafkaBrokers(host string, port int) []string {
	if port == 0 {
		port = defaultKafkaPort
	}
	var brokers []string
	for item := range strings.SplitSeq(host, ",") {
		if item = strings.TrimSpace(item); item == "" {
			continue
		}
		if _, _, err := net.SplitHostPort(item); err != nil {
			item = net.JoinHostPort(strings.Trim(item, "[]"), strconv.Itoa(port))
		}
		brokers = append(brokers, item)
	}
	return brokers
}
