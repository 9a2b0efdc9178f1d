package kafka

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/task"
	"github.com/matih/pipeline-service/worker/runner/fault"
)

// fault says in words why a cluster did not do what it was asked.
func (t *Target) fault(ctx context.Context, err error) error {
	var known *task.Failure
	if errors.As(err, &known) {
		return known
	}
	if ctx.Err() != nil {
		return fault.Of(ctx.Err())
	}
	var auth *kadm.AuthError
	if errors.As(err, &auth) {
		err = auth.Err
	}
	var dns *net.DNSError
	var record tls.RecordHeaderError
	var unknown x509.UnknownAuthorityError
	var host x509.HostnameError
	switch {
	case errors.Is(err, kerr.SaslAuthenticationFailed):
		return fault.Because(fault.Errorf(models.ClassConnection,
			"the connection %s: the cluster refused the user name or password: correct the secret it names", t.name), err)
	case errors.Is(err, kerr.UnsupportedSaslMechanism):
		return fault.Because(fault.Errorf(models.ClassConnection,
			"the connection %s: the cluster does not have this properties.saslMechanism", t.name), err)
	case errors.Is(err, kerr.TopicAuthorizationFailed), errors.Is(err, kerr.ClusterAuthorizationFailed):
		return fault.Because(fault.Errorf(models.ClassSource, "the connection %s: its user may not read this: grant READ and DESCRIBE on the topic", t.name), err)
	case errors.As(err, &dns) && dns.IsNotFound:
		return fault.Because(fault.Errorf(models.ClassConnection, "the connection %s: the host %q is unknown", t.name, dns.Name), err)
	case errors.As(err, &unknown), errors.As(err, &host):
		return fault.Because(fault.Errorf(models.ClassConnection, "the connection %s: the broker's certificate was not accepted", t.name), err)
	case errors.As(err, &record):
		return fault.Because(fault.Errorf(models.ClassConnection,
			"the connection %s: the broker does not speak TLS there; properties.securityProtocol says what is spoken", t.name), err)
	}
	advice := "see that properties.securityProtocol is what it speaks"
	if t.sasl {
		advice += ", and that the secret has the right user name and password"
	}
	return fault.Because(fault.Transientf(models.ClassConnection,
		"the connection %s: the cluster at %s cannot be reached, or broke off; if it is there, %s", t.name, strings.Join(t.seeds, ", "), advice), err)
}

// poison is the failure of a record that is not what the definition says.
func poison(topic string, partition int32, offset int64, format string, args ...any) *task.Failure {
	f := fault.Errorf(models.ClassData, format, args...)
	f.Message = "the record at offset " + itoa(offset) + " of partition " + itoa(int64(partition)) + " of the topic " + topic + " " + f.Message
	return f
}
