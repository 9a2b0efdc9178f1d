// Package kafka reads topics in bounded batches: from the published offsets to the end at the start of the read.
package kafka

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"net"
	"slices"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/worker/runner/egress"
	"github.com/matih/pipeline-service/worker/runner/fault"
	"github.com/matih/pipeline-service/worker/runner/secret"
)

const (
	defaultTimeout = 10 * time.Second
	// retryTimeout is how long a request is tried again before the task fails, to be tried again itself.
	retryTimeout = 20 * time.Second
	// maxResponse bounds an answer of a broker, maxBatch what one batch of records unpacks to.
	maxResponse = 128 << 20
	maxBatch    = 128 << 20
)

// Target is a cluster and how to reach it.
type Target struct {
	name  string // of the connection, for messages
	seeds []string
	rules *egress.Policy
	opts  []kgo.Opt
	sasl  bool
}

// properties are what a connection may set.
type properties struct {
	SecurityProtocol  string `json:"securityProtocol"`
	SASLMechanism     string `json:"saslMechanism"`
	ConnectionTimeout int64  `json:"connectionTimeout"` // milliseconds
}

// NeedsCredentials reports whether a connection logs in.
func NeedsCredentials(conn *models.Connection) bool { return conn.CredentialSecretRef != "" }

// NewTarget checks a connection's settings.
func NewTarget(conn *models.Connection, c secret.Credentials, rules *egress.Policy) (*Target, error) {
	var p properties
	if len(conn.Properties) > 0 {
		decoder := json.NewDecoder(bytes.NewReader(conn.Properties))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&p); err != nil {
			return nil, fault.Because(fault.Errorf(models.ClassInvalidDefinition,
				"the connection %s: its properties may be securityProtocol, saslMechanism and connectionTimeout (milliseconds), nothing else", conn.Name), err)
		}
	}
	timeout := defaultTimeout
	if p.ConnectionTimeout > 0 {
		timeout = time.Duration(p.ConnectionTimeout) * time.Millisecond
	}
	t := &Target{name: conn.Name, seeds: models.KafkaBrokers(conn.Host, conn.Port), rules: rules}
	if len(t.seeds) == 0 {
		return nil, fault.Errorf(models.ClassInvalidDefinition, "the connection %s names no broker", conn.Name)
	}
	var secure *tls.Config
	switch p.SecurityProtocol {
	case "", models.KafkaPlaintext:
	case models.KafkaSASLPlaintext:
		t.sasl = true
	case models.KafkaSSL, models.KafkaSASLSSL:
		secure, t.sasl = &tls.Config{MinVersion: tls.VersionTLS12}, p.SecurityProtocol == models.KafkaSASLSSL
	default:
		return nil, fault.Errorf(models.ClassInvalidDefinition, "the connection %s: properties.securityProtocol %q is not known", conn.Name, p.SecurityProtocol)
	}
	t.opts = []kgo.Opt{
		kgo.SeedBrokers(t.seeds...), kgo.ClientID("pipeline-service"), kgo.Dialer(dialer(rules, timeout, secure)),
		kgo.RetryTimeout(retryTimeout), kgo.RequestRetries(4), kgo.BrokerMaxReadBytes(maxResponse), kgo.MaxDecompressBatchBytes(maxBatch),
		kgo.DisableClientMetrics(),
	}
	if t.sasl {
		m, err := mechanism(conn, p.SASLMechanism, c)
		if err != nil {
			return nil, err
		}
		t.opts = append(t.opts, kgo.SASL(m))
	}
	return t, nil
}

func mechanism(conn *models.Connection, name string, c secret.Credentials) (sasl.Mechanism, error) {
	switch name {
	case "", models.KafkaPlain:
		return plain.Auth{User: c.Username, Pass: c.Password}.AsMechanism(), nil
	case models.KafkaScramSHA256:
		return scram.Auth{User: c.Username, Pass: c.Password}.AsSha256Mechanism(), nil
	case models.KafkaScramSHA512:
		return scram.Auth{User: c.Username, Pass: c.Password}.AsSha512Mechanism(), nil
	}
	return nil, fault.Errorf(models.ClassInvalidDefinition, "the connection %s: properties.saslMechanism %q is not known", conn.Name, name)
}

// dialer connects to brokers, whose addresses the cluster itself tells, under the egress rules.
func dialer(rules *egress.Policy, timeout time.Duration, secure *tls.Config) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		ctx, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		conn, err := rules.Dialer(host, timeout).DialContext(ctx, network, address)
		if err != nil || secure == nil {
			return conn, err
		}
		config := secure.Clone()
		config.ServerName = host
		wrapped := tls.Client(conn, config)
		if err := wrapped.HandshakeContext(ctx); err != nil {
			_ = conn.Close()
			return nil, err
		}
		return wrapped, nil
	}
}

// connect makes a client; it connects when it is asked something.
func (t *Target) connect(more ...kgo.Opt) (*kgo.Client, error) {
	client, err := kgo.NewClient(append(slices.Clone(t.opts), more...)...)
	if err != nil {
		return nil, fault.Because(fault.Errorf(models.ClassInvalidDefinition, "the connection %s: its settings do not go together", t.name), err)
	}
	return client, nil
}

// Ports asks the cluster where its brokers listen, so that the sandbox can leave the way there open.
func (t *Target) Ports(ctx context.Context) ([]uint16, error) {
	client, err := t.connect()
	if err != nil {
		return nil, err
	}
	defer client.Close()
	brokers, err := kadm.NewClient(client).ListBrokers(ctx)
	if err != nil {
		return nil, t.fault(ctx, err)
	}
	var ports []uint16
	for _, b := range brokers {
		ports = append(ports, uint16(b.Port))
	}
	for _, seed := range t.seeds {
		if _, port, err := net.SplitHostPort(seed); err == nil {
			if n, err := strconv.ParseUint(port, 10, 16); err == nil {
				ports = append(ports, uint16(n))
			}
		}
	}
	slices.Sort(ports)
	return slices.Compact(ports), nil
}

// maxListed bounds the topics that a connection test shows.
const maxListed = 100

// Test connects and says what is there.
func (t *Target) Test(ctx context.Context) (*models.ConnectionTest, error) {
	client, err := t.connect()
	if err != nil {
		return nil, err
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	metadata, err := admin.BrokerMetadata(ctx)
	if err != nil {
		return nil, t.fault(ctx, err)
	}
	topics, err := admin.ListTopics(ctx)
	if err != nil {
		return nil, t.fault(ctx, err)
	}
	version := "Kafka"
	versions, err := admin.ApiVersions(ctx)
	if err != nil {
		return nil, t.fault(ctx, err)
	}
	for _, b := range versions.Sorted() {
		if b.Err == nil {
			version += " " + b.VersionGuess()
			break
		}
	}
	names := topics.Names()
	slices.Sort(names)
	return &models.ConnectionTest{
		Connected: true, Version: version,
		Details: map[string]any{"brokers": len(metadata.Brokers), "topics": len(names), "names": names[:min(len(names), maxListed)]},
	}, nil
}
