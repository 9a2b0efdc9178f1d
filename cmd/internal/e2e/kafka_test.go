package e2e

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hamba/avro/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/matih/pipeline-service/cmd/internal/harness"
)

// schemaRegistry speaks as much of Confluent's API as producers and readers of one subject's schemas need.
type schemaRegistry struct {
	*httptest.Server
	schemas []string // by id, from 1
}

func newSchemaRegistry(t *testing.T) *schemaRegistry {
	t.Helper()
	r := &schemaRegistry{}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /subjects/{subject}/versions", func(w http.ResponseWriter, q *http.Request) {
		var in struct{ Schema string }
		if err := json.NewDecoder(q.Body).Decode(&in); err != nil {
			http.Error(w, err.Error(), http.StatusUnprocessableEntity)
			return
		}
		r.schemas = append(r.schemas, in.Schema)
		_ = json.NewEncoder(w).Encode(map[string]int{"id": len(r.schemas)})
	})
	mux.HandleFunc("GET /schemas/ids/{id}", func(w http.ResponseWriter, q *http.Request) {
		id, err := strconv.Atoi(q.PathValue("id"))
		if err != nil || id < 1 || id > len(r.schemas) {
			http.Error(w, `{"error_code":40403,"message":"Schema not found"}`, http.StatusNotFound)
			return
		}
		w.Header().Set("Content-Type", "application/vnd.schemaregistry.v1+json")
		_ = json.NewEncoder(w).Encode(map[string]string{"schema": r.schemas[id-1]})
	})
	r.Server = httptest.NewServer(mux)
	t.Cleanup(r.Close)
	return r
}

// register makes a schema known and returns how values of it are encoded.
func (r *schemaRegistry) register(t *testing.T, subject, schema string) func(value any) []byte {
	t.Helper()
	in, err := json.Marshal(map[string]string{"schema": schema})
	require.NoError(t, err)
	res, err := http.Post(r.URL+"/subjects/"+url.PathEscape(subject)+"/versions", "application/json", strings.NewReader(string(in)))
	require.NoError(t, err)
	defer res.Body.Close()
	var out struct{ ID uint32 }
	require.NoError(t, json.NewDecoder(res.Body).Decode(&out))
	parsed, err := avro.Parse(schema)
	require.NoError(t, err)
	return func(value any) []byte {
		data, err := avro.Marshal(parsed, value)
		require.NoError(t, err)
		return append(binary.BigEndian.AppendUint32([]byte{0}, out.ID), data...)
	}
}

// kafkaWorld is a world with a broker of its own.
type kafkaWorld struct {
	*world
	broker *harness.Kafka
	client *kgo.Client
	admin  *kadm.Client
}

func newKafkaWorld(t *testing.T) *kafkaWorld {
	t.Helper()
	w := newWorld(t)
	w.withDatabase()
	broker, err := harness.StartKafka(w.ctx, t.TempDir())
	require.NoError(t, err)
	t.Cleanup(broker.Stop)
	client, err := kgo.NewClient(kgo.SeedBrokers(broker.Address), kgo.DefaultProduceTopic("events"))
	require.NoError(t, err)
	t.Cleanup(client.Close)
	k := &kafkaWorld{world: w, broker: broker, client: client, admin: kadm.NewClient(client)}
	w.secret(tenantA, "kafka", map[string]string{"username": broker.User, "password": broker.Password})
	_, err = w.CreateConnection(w.ctx, m{
		"name": "cluster", "type": "kafka", "host": broker.SASLAddress, "credentialSecretRef": "kafka",
		"properties": m{"securityProtocol": "SASL_PLAINTEXT", "saslMechanism": "SCRAM-SHA-512"},
	})
	require.NoError(t, err)
	return k
}

// topic makes a topic with three partitions.
func (k *kafkaWorld) topic(name string) {
	k.t.Helper()
	require.NoError(k.t, harness.Until(k.ctx, func() (bool, error) {
		_, err := k.admin.CreateTopic(k.ctx, 3, 1, nil, name)
		return err == nil, nil
	}))
}

// send produces values of records from an id up to another, both included.
func (k *kafkaWorld) send(topic string, from, to int, value func(id int) []byte) {
	k.t.Helper()
	var records []*kgo.Record
	for id := from; id <= to; id++ {
		records = append(records, &kgo.Record{Topic: topic, Key: []byte(strconv.Itoa(id)), Value: value(id)})
	}
	require.NoError(k.t, k.client.ProduceSync(k.ctx, records...).FirstErr())
}

// requireIDs compares a table with what was sent: the ids from 1 on, each once, with their names.
func (k *kafkaWorld) requireIDs(table string, last int) {
	k.t.Helper()
	require.Zero(k.t, value[int](k.world, fmt.Sprintf(
		`select count(*) from ((select i::bigint as id, 'name ' || i as name from generate_series(1, $1) i except all select id::bigint, name from %[1]s)
		 union all (select id::bigint, name from %[1]s except all select i::bigint, 'name ' || i from generate_series(1, $1) i)) d`, table), last))
}

// TestKafkaReadsOn runs pipelines over JSON and Avro again and again while records come, kills what it can meanwhile, and
// compares with what was sent. The broker is a real one.
func TestKafkaReadsOn(t *testing.T) {
	k := newKafkaWorld(t)
	registry := newSchemaRegistry(t)
	one := registry.register(t, "avro-value", `{"type":"record","name":"Event","fields":[{"name":"id","type":"int"},{"name":"name","type":"string"}]}`)
	two := registry.register(t, "avro-value", `{"type":"record","name":"Event","fields":[{"name":"id","type":"long"},{"name":"name","type":["null","string"]},{"name":"more","type":["null","double"],"default":null}]}`)
	for format, encode := range map[string]func(id int) []byte{
		"json": func(id int) []byte { return fmt.Appendf(nil, `{"id": %d, "name": "name %d"}`, id, id) },
		"avro": func(id int) []byte {
			if id%2 == 0 {
				return two(map[string]any{"id": int64(id), "name": map[string]any{"string": fmt.Sprint("name ", id)}, "more": nil})
			}
			return one(map[string]any{"id": id, "name": fmt.Sprint("name ", id)})
		},
	} {
		t.Run(format, func(t *testing.T) {
			k.t = t
			k.topic(format)
			source := m{"type": "kafka", "connection": "cluster", "topic": format, "format": format, "consumer_group": "watch-" + format, "partitions": 3}
			if format == "avro" {
				source["schema_registry"] = registry.URL
			}
			k.exec("create table " + format + "_out (id bigint, name text, part integer, at timestamptz)")
			pipeline := k.pipeline(format, m{
				"sources": m{"events": source},
				"transformations": []m{{"name": "named", "type": "sql_transform", "input": "events",
					"sql": "select id::bigint as id, name::varchar as name, _partition as part, _timestamp as at from events"}},
				"sinks": m{
					"table": m{"type": "jdbc", "connection": "db", "table": "public." + format + "_out", "mode": "append"},
					"files": m{"type": "cloud_storage", "connection": "files", "prefix": format + "/", "format": "csv", "mode": "append"},
				},
				"orchestration": m{"retry_policy": m{"max_attempts": 3, "initial_interval": "100ms"}, "max_parallel_tasks": 1},
			})
			sent := 0
			for _, victim := range []string{"", "events", "table"} {
				k.send(format, sent+1, sent+30_000, encode)
				sent += 30_000
				id, err := k.Execute(k.ctx, pipeline, nil)
				require.NoError(t, err)
				if victim != "" {
					k.hit(id, victim, "task process")
				}
				e := k.await(id, "COMPLETED")
				assert.EqualValues(t, 30_000, e.Metrics.RowsProcessed)
				k.requireIDs(format+"_out", sent)
			}
			assert.Zero(t, k.completed(pipeline, nil).Metrics.RowsProcessed)
			k.requireIDs(format+"_out", sent)
			lags, err := k.admin.Lag(k.ctx, "watch-"+format)
			require.NoError(t, err)
			assert.Zero(t, lags["watch-"+format].Lag.Total(), "the group knows what is published")
			assert.Equal(t, 3, value[int](k.world, "select count(distinct part) from "+format+"_out"))
		})
	}
	k.t = t
}

// TestKafkaReadsCommittedRecords has transactions that end in all ways, also as the last thing in the topic.
func TestKafkaReadsCommittedRecords(t *testing.T) {
	k := newKafkaWorld(t)
	k.topic("events")
	k.exec("create table out (id bigint, name text)")
	pipeline := k.pipeline("transactions", m{
		"sources":         m{"events": m{"type": "kafka", "connection": "cluster", "topic": "events", "format": "json"}},
		"transformations": []m{{"name": "named", "type": "select", "input": "events", "columns": []string{"id", "name"}}},
		"sinks":           m{"table": m{"type": "jdbc", "connection": "db", "table": "public.out", "mode": "append"}},
	})
	writer, err := kgo.NewClient(kgo.SeedBrokers(k.broker.Address), kgo.TransactionalID("writer"), kgo.DefaultProduceTopic("events"))
	require.NoError(t, err)
	defer writer.Close()
	last := 0
	for _, end := range []kgo.TransactionEndTry{kgo.TryCommit, kgo.TryAbort, kgo.TryCommit, kgo.TryAbort} {
		require.NoError(t, writer.BeginTransaction())
		for i := range 10 {
			id := last + 1 + i
			require.NoError(t, writer.ProduceSync(k.ctx, kgo.StringRecord(fmt.Sprintf(`{"id": %d, "name": "name %d"}`, id, id))).FirstErr())
		}
		require.NoError(t, writer.EndTransaction(k.ctx, end))
		if end == kgo.TryCommit {
			last += 10
		}
		k.completed(pipeline, nil)
		k.requireIDs("out", last)
	}
	k.send("events", 1, 1, func(int) []byte { return []byte("no JSON") })
	id, err := k.Execute(k.ctx, pipeline, nil)
	require.NoError(t, err)
	e := k.await(id, "FAILED")
	assert.Equal(t, "data_error", e.Error.Class)
	assert.Regexp(t, `the record at offset \d+ of partition \d of the topic events is no JSON object`, e.Error.Message)
}

// TestKafkaConnectionIsTested asks a real broker, with the right password and with a wrong one.
func TestKafkaConnectionIsTested(t *testing.T) {
	k := newKafkaWorld(t)
	k.topic("events")
	for _, mechanism := range []string{"PLAIN", "SCRAM-SHA-256"} {
		for _, password := range []string{k.broker.Password, "wrong-password"} {
			k.secret(tenantA, "kafka", map[string]string{"password": password})
			id, err := k.CreateConnection(k.ctx, m{
				"name": mechanism + password[:3], "type": "kafka", "host": k.broker.SASLAddress, "credentialSecretRef": "kafka",
				"properties": m{"securityProtocol": "SASL_PLAINTEXT", "saslMechanism": mechanism},
			})
			require.NoError(t, err)
			var test struct {
				Connected       bool
				Version, Reason string
				LatencyMs       int
				Details         struct{ Names []string }
			}
			began := time.Now()
			require.NoError(t, k.JSON(k.ctx, http.MethodPost, "/v1/pipelines/connections/"+id+"/test", nil, http.StatusOK, &test))
			if password == "wrong-password" {
				assert.False(t, test.Connected)
				assert.Contains(t, test.Reason, "refused the user name or password")
				continue
			}
			require.True(t, test.Connected, "%s after %s", test.Reason, time.Since(began))
			assert.Contains(t, test.Version, "Kafka v")
			assert.Contains(t, test.Details.Names, "events")
		}
	}
}
