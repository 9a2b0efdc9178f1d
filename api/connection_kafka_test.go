package api_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestKafkaConnections(t *testing.T) {
	e := newEnv(t)
	kafka := func(more string) string { return `{"name": "cluster", "type": "kafka"` + more + `}` }
	for name, c := range map[string]struct{ body, location, says string }{
		"no host":              {kafka(``), "body.host", "required"},
		"host with scheme":     {kafka(`, "host": "a:9092,PLAINTEXT://b:9092"`), "body.host", "commas"},
		"host with path":       {kafka(`, "host": "/etc/passwd"`), "body.host", "commas"},
		"empty broker":         {kafka(`, "host": "a,,b"`), "body.host", "commas"},
		"port of a broker":     {kafka(`, "host": "a:0"`), "body.host", "commas"},
		"database":             {kafka(`, "host": "a", "database": "x"`), "body.database", "nothing"},
		"protocol":             {kafka(`, "host": "a", "properties": {"securityProtocol": "TLS"}`), "body.properties.securityProtocol", "PLAINTEXT, SSL"},
		"mechanism":            {kafka(`, "host": "a", "credentialSecretRef": "k", "properties": {"securityProtocol": "SASL_SSL", "saslMechanism": "GSSAPI"}`), "body.properties.saslMechanism", "SCRAM-SHA-256"},
		"mechanism for none":   {kafka(`, "host": "a", "properties": {"saslMechanism": "PLAIN"}`), "body.properties.saslMechanism", "SASL_SSL"},
		"nobody logs in":       {kafka(`, "host": "a", "properties": {"securityProtocol": "SASL_SSL"}`), "body.credentialSecretRef", "required"},
		"secret without use":   {kafka(`, "host": "a", "credentialSecretRef": "k"`), "body.credentialSecretRef", "logs in"},
		"timeout":              {kafka(`, "host": "a", "properties": {"connectionTimeout": 0}`), "body.properties.connectionTimeout", "1 to 600000"},
		"JAAS":                 {kafka(`, "host": "a", "properties": {"sasl.jaas.config": "x"}`), "body.properties.sasl.jaas.config", "no property"},
		"password":             {kafka(`, "host": "a", "properties": {"sasl.password": "x"}`), "body.properties.sasl.password", "credentialSecretRef"},
		"truststore of theirs": {kafka(`, "host": "a", "properties": {"ssl.truststore.location": "/etc/passwd"}`), "body.properties.ssl.truststore.location", "no property"},
	} {
		t.Run(name, func(t *testing.T) {
			found := e.on(t).do("POST", "/v1/pipelines/connections", body(c.body)).mistakes()
			require.Contains(t, found, c.location)
			assert.Contains(t, found[c.location], c.says)
			assert.Len(t, found, 1)
		})
	}
	for i, more := range []string{
		`, "host": "broker"`, `, "host": "b-1.kafka:9092, b-2.kafka:9093,10.0.0.1,[2001:db8::1]:9092", "port": 9095`,
		`, "host": "b", "credentialSecretRef": "k", "properties": {"securityProtocol": "SASL_SSL", "saslMechanism": "SCRAM-SHA-512", "connectionTimeout": 5000}`,
	} {
		doc := `{"name": "cluster` + string(rune('a'+i)) + `", "type": "kafka"` + more + `}`
		e.do("POST", "/v1/pipelines/connections", body(doc)).is(http.StatusCreated)
	}
}
