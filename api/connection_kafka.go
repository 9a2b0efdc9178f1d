package api

import (
	"encoding/json"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/matih/pipeline-service/models"
)

var (
	securityProtocols = []string{models.KafkaPlaintext, models.KafkaSSL, models.KafkaSASLPlaintext, models.KafkaSASLSSL}
	saslMechanisms    = []string{models.KafkaPlain, models.KafkaScramSHA256, models.KafkaScramSHA512}
)

// kafka checks a cluster.
func (c *connectionCheck) kafka(b *ConnectionBody, properties map[string]json.RawMessage) {
	c.brokers(b.Host)
	if b.Database != "" {
		c.note("database", "means nothing for a kafka connection")
	}
	login, mechanism := false, false
	for _, key := range slices.Sorted(maps.Keys(properties)) {
		field, value := "properties."+key, properties[key]
		switch key {
		case "securityProtocol":
			protocol := c.text(field, value)
			if protocol != "" && !slices.Contains(securityProtocols, protocol) {
				c.note(field, "must be %s", words(securityProtocols))
			}
			login = strings.HasPrefix(protocol, "SASL_")
		case "saslMechanism":
			if m := c.text(field, value); m != "" && !slices.Contains(saslMechanisms, m) {
				c.note(field, "must be %s", words(saslMechanisms))
			}
			mechanism = true
		case "connectionTimeout":
			c.milliseconds(field, value)
		default:
			c.unknown(key, "securityProtocol, saslMechanism and connectionTimeout")
		}
	}
	switch {
	case login && b.CredentialSecretRef == "":
		c.note("credentialSecretRef", "is required where properties.securityProtocol is SASL_PLAINTEXT or SASL_SSL")
	case !login && b.CredentialSecretRef != "":
		c.note("credentialSecretRef", "is for properties.securityProtocol SASL_PLAINTEXT or SASL_SSL, where somebody logs in")
	}
	if mechanism && !login {
		c.note("properties.saslMechanism", "is for properties.securityProtocol SASL_PLAINTEXT or SASL_SSL")
	}
}

// brokers checks a list of hosts, each with a port or without.
func (c *connectionCheck) brokers(list string) {
	if list == "" {
		c.note("host", "is required for a kafka connection")
		return
	}
	for item := range strings.SplitSeq(list, ",") {
		host := strings.TrimSpace(item)
		if name, port, err := net.SplitHostPort(host); err == nil {
			host = name
			if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
				host = ""
			}
		}
		if !isHost(host) {
			c.note("host", "must be host names or IP addresses, with a port or without and commas between; no scheme, path or credentials")
			return
		}
	}
}
