package e2e

import (
	"bufio"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hamba/avro/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/matih/pipeline-service/cmd/internal/harness"
)

// paymentProcessing is the template that is fed by Kafka.
const paymentProcessing = "fintech/payment_processing"

// TestPaymentProcessing makes the pipeline with nothing but what the template requires, sends it the sample payments and
// compares what it decides about them.
func TestPaymentProcessing(t *testing.T) {
	w := newWorld(t)
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(4, "payments"))
	require.NoError(t, err)
	t.Cleanup(cluster.Close)
	registry := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/schemas/ids/1" {
			http.NotFound(w, r)
			return
		}
		_ = json.NewEncoder(w).Encode(m{"schema": paymentSchema(t)})
	}))
	t.Cleanup(registry.Close)
	sendPayments(t, cluster)

	create := "/v1/pipelines/templates/" + paymentProcessing + "/create"
	body := m{"pipelineName": "acme-payment-processing", "parameters": m{"SCHEMA_REGISTRY_URL": registry.URL}}
	a, err := w.Do(w.ctx, http.MethodPost, create, body)
	require.NoError(t, err)
	assert.Equal(t, http.StatusBadRequest, a.Status)
	assert.Contains(t, string(a.Body), `"body.parameters.kafka_connection"`, "the connections it expects are not there yet")
	target := filepath.Join(w.dir, "lake")
	require.NoError(t, os.MkdirAll(target, 0o750))
	for _, c := range []m{
		{"name": "payment-gateway", "type": "kafka", "host": strings.Join(cluster.ListenAddrs(), ",")},
		{"name": "payments-lake", "type": "local", "properties": m{"path": target}},
	} {
		_, err := w.CreateConnection(w.ctx, c)
		require.NoError(t, err)
	}
	body["customizations"] = m{"sources.payment_gateway.partitions": 4, "sinks.decisions.format": "csv", "sinks.settlements.format": "csv"}
	var made harness.Execution
	require.NoError(t, w.JSON(w.ctx, http.MethodPost, create, body, http.StatusCreated, &made))
	e := w.completed(made.PipelineID, nil)
	assert.EqualValues(t, 14, e.Metrics.RowsProcessed)
	expected := tables(t, filepath.Join(templateFiles, paymentProcessing, "expected"), "")
	published := tables(t, target, "-"+e.ExecutionID)
	assert.Equal(t, expected, withoutNumbers(published))
}

// withoutNumbers takes the number of the file out of names, which partitions count on.
func withoutNumbers(tables map[string][]string) map[string][]string {
	renamed := map[string][]string{}
	for name, lines := range tables {
		base, _, _ := strings.Cut(filepath.Base(name), "-")
		renamed[filepath.Join(filepath.Dir(name), strings.TrimSuffix(base, ".csv")+".csv")] = lines
	}
	return renamed
}

// paymentSchema is the Avro schema of the sample payments.
func paymentSchema(t *testing.T) string {
	t.Helper()
	schema, err := os.ReadFile(filepath.Join(templateFiles, paymentProcessing, "sample", "payments.avsc"))
	require.NoError(t, err)
	return string(schema)
}

// sendPayments produces the template's sample data as Avro, of the registry's schema 1.
func sendPayments(t *testing.T, cluster *kfake.Cluster) {
	t.Helper()
	schema, err := avro.Parse(paymentSchema(t))
	require.NoError(t, err)
	client, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...), kgo.DefaultProduceTopic("payments"))
	require.NoError(t, err)
	defer client.Close()
	file, err := os.Open(filepath.Join(templateFiles, paymentProcessing, "sample", "payments.json"))
	require.NoError(t, err)
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		var payment map[string]any
		require.NoError(t, json.Unmarshal(lines.Bytes(), &payment))
		payment["amount_minor"] = int64(payment["amount_minor"].(float64))
		payment["occurred_at"], err = time.Parse(time.RFC3339, payment["occurred_at"].(string))
		require.NoError(t, err)
		value, err := avro.Marshal(schema, payment)
		require.NoError(t, err)
		record := &kgo.Record{Key: []byte(payment["merchant"].(string)), Value: append([]byte{0, 0, 0, 0, 1}, value...)}
		require.NoError(t, client.ProduceSync(t.Context(), record).FirstErr())
	}
}
