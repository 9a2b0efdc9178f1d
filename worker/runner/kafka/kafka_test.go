package kafka_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hamba/avro/v2"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/definition"
	"github.com/matih/pipeline-service/models/task"
	"github.com/matih/pipeline-service/worker/runner/connectortest"
)

func TestMain(m *testing.M) {
	connectortest.Main()
	os.Exit(m.Run())
}

// topic is a topic of a cluster in this process, and a reader that goes on in it as executions that publish do.
type topic struct {
	*connectortest.Lab
	cluster    *kfake.Cluster
	client     *kgo.Client
	admin      *kadm.Client
	connection models.Connection
	secrets    task.Secrets
	source     definition.KafkaSource
	cursor     models.Cursor
}

func newTopic(t *testing.T, opts ...kfake.Opt) *topic {
	t.Helper()
	cluster, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(2), kfake.SeedTopics(3, "events")}, opts...)...)
	require.NoError(t, err)
	t.Cleanup(cluster.Close)
	client, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	require.NoError(t, err)
	t.Cleanup(client.Close)
	return &topic{
		Lab: connectortest.NewLab(t), cluster: cluster, client: client, admin: kadm.NewClient(client),
		connection: models.Connection{ID: "conn-1", Name: "cluster", Type: models.ConnectionKafka, Host: strings.Join(cluster.ListenAddrs(), ",")},
		source:     definition.KafkaSource{Topic: "events", Format: definition.FormatJSON},
	}
}

// send produces records, each "key=value" into the partition of its number; "key" alone is a tombstone.
func (k *topic) send(records ...string) {
	k.TB.Helper()
	for i, text := range records {
		key, value, ok := strings.Cut(text, "=")
		record := &kgo.Record{Topic: "events", Partition: int32(i % 3), Key: []byte(key), Timestamp: time.UnixMilli(1767225600123)}
		if ok {
			record.Value = []byte(value)
		}
		require.NoError(k.TB, k.client.ProduceSync(k.TB.Context(), record).FirstErr())
	}
}

func (k *topic) spec() task.Spec {
	source, cursor := k.source, k.cursor
	return task.Spec{
		Task: "events", Kind: models.TaskSource, Connection: &k.connection, Secrets: k.secrets, Cursor: &cursor,
		Access: task.Access{EgressAllow: []string{"127.0.0.0/8", "::1"}},
		Source: &definition.Source{Name: "events", Type: definition.SourceKafka, Mode: definition.ReadIncremental, Kafka: &source},
		Output: k.NewDir("out") + "/rows",
	}
}

// next reads, publishes, and compares the values of an expression.
func (k *topic) next(expression, want string) string {
	k.TB.Helper()
	spec := k.spec()
	res := k.MustRun(spec)
	require.Equal(k.TB, want, k.Column(spec.Output, expression))
	k.cursor = models.Cursor{Seq: k.cursor.Seq + 1, Value: res.Cursor}
	return spec.Output
}

func (k *topic) fails(class string, retry bool, words ...string) {
	k.TB.Helper()
	f := k.MustFail(k.spec())
	require.Equal(k.TB, class, f.Class, f.Message+f.Detail)
	require.Equal(k.TB, retry, f.Retry, f.Message)
	for _, w := range words {
		require.Contains(k.TB, f.Message, w)
	}
}

func TestReadsJSONOn(t *testing.T) {
	k := newTopic(t)
	out := k.next("_offset", "")
	require.Equal(t, "_partition INTEGER, _offset BIGINT, _timestamp TIMESTAMP WITH TIME ZONE, _key VARCHAR", k.ContentOf(out).Columns)
	k.send(`a={"id": 1, "amount": 1.5, "tags": ["x"]}`, "b={\n\"id\": 2,\r\n\"at\": \"2026-01-01\"}\n", `c={}`, "d")
	out = k.next("_key || coalesce(id, 0)", "a1 b2 c0 d0")
	require.Equal(t, "0/0/2026-01-01 00:00:00.123+00 1/0/2026-01-01 00:00:00.123+00 2/0/2026-01-01 00:00:00.123+00 0/1/2026-01-01 00:00:00.123+00",
		k.Value(out, "string_agg(_partition || '/' || _offset || '/' || _timestamp, ' ' ORDER BY _offset, _partition)"))
	columns := "_partition INTEGER, _offset BIGINT, _timestamp TIMESTAMP WITH TIME ZONE, _key VARCHAR, id BIGINT, amount DOUBLE, tags VARCHAR[], at DATE"
	sorted := func(list string) []string { return strings.Split(list, ", ") }
	require.ElementsMatch(t, sorted(columns), sorted(k.ContentOf(out).Columns))

	out = k.next("_offset", "")
	require.ElementsMatch(t, sorted(columns), sorted(k.ContentOf(out).Columns), "a batch without records has the columns, too")
	k.send(`e={"amount": 7, "more": true}`)
	out = k.next("_key || amount || more", "e7.0true")
	require.ElementsMatch(t, append(sorted(columns), "more BOOLEAN"), sorted(k.ContentOf(out).Columns))
	k.next("_offset", "")
}

func TestReadsABoundedBatch(t *testing.T) {
	k := newTopic(t)
	for i := range 100 {
		k.send(fmt.Sprintf(`%d={"i": %d}`, i, i))
	}
	k.send(`x={"i": 100}`, `y={"i": 101}`, `z={"i": 102}`)
	k.source.MaxRecords = 40
	var total int
	for total < 103 {
		spec := k.spec()
		res := k.MustRun(spec)
		require.LessOrEqual(t, res.RowsOut, int64(40))
		require.Positive(t, res.RowsOut)
		total += int(res.RowsOut)
		k.cursor = models.Cursor{Seq: k.cursor.Seq + 1, Value: res.Cursor}
	}
	require.Equal(t, 103, total)
	k.next("_offset", "")
}

func TestReadsAPendingBatchAgain(t *testing.T) {
	k := newTopic(t)
	k.send(`a={"i": 1}`, `b={"i": 2}`)
	k.next("i", "1 2")
	k.send(`c={"i": 3}`)
	first := k.MustRun(k.spec())
	k.send(`d={"i": 4}`, `e={"i": 5}`)
	k.cursor.Batch, k.cursor.Pending = "exec-1", first.Cursor
	k.source.MaxRecords = 1
	spec := k.spec()
	again := k.MustRun(spec)
	require.Equal(t, "3", k.Column(spec.Output, "i"))
	require.JSONEq(t, first.Cursor, again.Cursor)
	k.cursor, k.source.MaxRecords = models.Cursor{Seq: 2, Value: again.Cursor}, 0
	k.next("i", "4 5")
}

func TestStartsWhereItIsTold(t *testing.T) {
	for offset, want := range map[string]string{"earliest": "1 2 3", "latest": "3", "2026-01-01T00:00:00.123Z": "1 2 3", "2026-01-01T00:00:01Z": "3"} {
		t.Run(offset, func(t *testing.T) {
			k := newTopic(t)
			k.source.StartOffset = offset
			k.send(`a={"i": 1}`, `b={"i": 2}`)
			res := k.MustRun(k.spec())
			rows := res.RowsOut
			k.cursor = models.Cursor{Seq: 1, Value: res.Cursor}
			k.send(`c={"i": 3}`)
			k.next("i", "3")
			require.Equal(t, int64(strings.Count(want, " ")), rows)
		})
	}
}

func TestReadsCommittedTransactionsOnly(t *testing.T) {
	k := newTopic(t)
	ctx := t.Context()
	writer, err := kgo.NewClient(kgo.SeedBrokers(k.cluster.ListenAddrs()...), kgo.TransactionalID("tx"), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	require.NoError(t, err)
	defer writer.Close()
	transact := func(end kgo.TransactionEndTry, values ...string) {
		t.Helper()
		require.NoError(t, writer.BeginTransaction())
		for _, v := range values {
			require.NoError(t, writer.ProduceSync(ctx, &kgo.Record{Topic: "events", Value: []byte(v)}).FirstErr())
		}
		require.NoError(t, writer.EndTransaction(ctx, end))
	}
	transact(kgo.TryCommit, `{"i": 1}`, `{"i": 2}`)
	transact(kgo.TryAbort, `{"i": 3}`, `no JSON`)
	k.next("i", "1 2")
	transact(kgo.TryAbort, `{"i": 4}`)
	k.next("_offset", "")
	require.NoError(t, writer.BeginTransaction())
	require.NoError(t, writer.ProduceSync(ctx, &kgo.Record{Topic: "events", Value: []byte(`{"i": 5}`)}).FirstErr())
	k.send(`a={"i": 6}`, `b={"i": 7}`)
	k.next("i", "7") // what comes after an open transaction waits for it
	require.NoError(t, writer.EndTransaction(ctx, kgo.TryCommit))
	k.next("i", "5 6")
}

func TestPoisonIsLocated(t *testing.T) {
	for value, words := range map[string]string{
		"[1]": "no JSON object", `{"a": }`: "no JSON object", `"x"`: "no JSON object", `{"_OFFSET": 1}`: "_OFFSET", "{\"a\": \"\xff\"}": "not UTF-8",
		`{"a":` + strings.Repeat("[", 20000) + strings.Repeat("]", 20000) + "}": "no JSON object",
	} {
		t.Run(fmt.Sprintf("%.20q", value), func(t *testing.T) {
			k := newTopic(t)
			k.send(`a={"i": 1}`, `b={"i": 2}`, `c={"i": 3}`, `d={"i": 4}`, "e="+value)
			k.fails(models.ClassData, false, "offset 1 of partition 1 of the topic events", words)
		})
	}
}

func TestRefusesWhatIsLost(t *testing.T) {
	k := newTopic(t)
	k.source.Topic = "event"
	k.fails(models.ClassSource, false, "no topic event", "did you mean events")
	k.source.Topic = "events"
	k.send(`a={"i": 1}`, `b={"i": 2}`)
	k.next("i", "1 2")
	k.send(`c={"i": 3}`, `d={"i": 4}`)
	k.send(`e={"i": 5}`)
	offsets := kadm.Offsets{}
	offsets.AddOffset("events", 0, 2, -1)
	_, err := k.admin.DeleteRecords(t.Context(), offsets)
	require.NoError(t, err)
	k.fails(models.ClassSource, false, "from offset 1 up to 2 of partition 0", "retention")

	_, err = k.admin.DeleteTopics(t.Context(), "events")
	require.NoError(t, err)
	_, err = k.admin.CreateTopic(t.Context(), 3, 1, nil, "events")
	require.NoError(t, err)
	k.fails(models.ClassSource, false, "made again")
}

func TestNewPartitionsAreReadFromTheirBeginning(t *testing.T) {
	k := newTopic(t)
	k.source.StartOffset = "latest"
	k.next("_offset", "")
	_, err := k.admin.CreatePartitions(t.Context(), 2, "events")
	require.NoError(t, err)
	k.client.ForceMetadataRefresh()
	require.Eventually(t, func() bool {
		return k.client.ProduceSync(t.Context(), &kgo.Record{Topic: "events", Partition: 4, Value: []byte(`{"i": 9}`)}).FirstErr() == nil
	}, 10*time.Second, 50*time.Millisecond)
	k.next("i", "9")
}

func TestTellsTheConsumerGroup(t *testing.T) {
	k := newTopic(t)
	k.source.ConsumerGroup = "watchers"
	k.send(`a={"i": 1}`, `b={"i": 2}`, `c={"i": 3}`, `d={"i": 4}`)
	k.next("i", "1 2 3 4")
	k.next("_offset", "")
	committed, err := k.admin.FetchOffsets(t.Context(), "watchers")
	require.NoError(t, err)
	at, ok := committed.Lookup("events", 0)
	require.True(t, ok)
	require.EqualValues(t, 2, at.At)
}

func TestLogsIn(t *testing.T) {
	for _, mechanism := range []string{"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"} {
		t.Run(mechanism, func(t *testing.T) {
			cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "events"), kfake.EnableSASL(), kfake.Superuser(mechanism, "reader-one", "s3cret-word"))
			require.NoError(t, err)
			defer cluster.Close()
			l := connectortest.NewLab(t)
			secrets := t.TempDir()
			put := func(key, value string) {
				dir := filepath.Join(secrets, string(connectortest.Tenant), "kafka")
				require.NoError(t, os.MkdirAll(dir, 0o700))
				require.NoError(t, os.WriteFile(filepath.Join(dir, key), []byte(value), 0o600))
			}
			put("username", "reader-one")
			put("password", "s3cret-word")
			properties, err := json.Marshal(map[string]string{"securityProtocol": "SASL_PLAINTEXT", "saslMechanism": mechanism})
			require.NoError(t, err)
			test := func() task.Spec {
				return task.Spec{
					Task: "cluster", Kind: models.TaskConnectionTest, Secrets: task.Secrets{Dir: secrets},
					Connection: &models.Connection{Name: "cluster", Type: models.ConnectionKafka, Host: cluster.ListenAddrs()[0], CredentialSecretRef: "kafka", Properties: properties},
					Access:     task.Access{EgressAllow: []string{"127.0.0.0/8"}},
				}
			}
			found := l.MustRun(test()).Test
			require.True(t, found.Connected, found.Reason)
			require.Contains(t, found.Version, "Kafka")
			require.Equal(t, []any{"events"}, found.Details["names"])
			put("password", "other-word")
			out := l.Run(test())
			require.False(t, out.Result.Test.Connected)
			require.Contains(t, out.Result.Test.Reason, "right user name and password") // this cluster hangs up without a word
			require.NotContains(t, string(out.Raw), "other-word")
		})
	}
}

// TestSpeaksTLS has a broker whose certificate is trusted, and then is not.
func TestSpeaksTLS(t *testing.T) {
	server := httptest.NewUnstartedServer(nil)
	server.StartTLS()
	certificate := server.TLS.Certificates[0]
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	server.Close()
	k := newTopic(t, kfake.TLS(&tls.Config{Certificates: []tls.Certificate{certificate}}))
	k.connection.Properties = json.RawMessage(`{"securityProtocol": "SSL"}`)
	spec := task.Spec{Task: "cluster", Kind: models.TaskConnectionTest, Connection: &k.connection, Access: k.spec().Access}
	require.Contains(t, k.MustRun(spec).Test.Reason, "certificate was not accepted")

	file := filepath.Join(t.TempDir(), "authority.pem")
	require.NoError(t, os.WriteFile(file, authority, 0o600))
	k.Env = []string{"SSL_CERT_FILE=" + file}
	found := k.MustRun(spec).Test
	require.True(t, found.Connected, found.Reason)
	k.next("_offset", "")
}

func TestEgressRulesHoldForBrokersAndRegistry(t *testing.T) {
	k := newTopic(t)
	spec := k.spec()
	spec.Access = task.Access{}
	f := k.MustFail(spec)
	require.Equal(t, models.ClassForbidden, f.Class, f.Message+f.Detail)

	// The brokers are allowed by address, the registry is denied by name.
	k.source.Format, k.source.SchemaRegistry = definition.FormatAvro, "http://localhost:1"
	k.send("a=\x00\x00\x00\x00\x01x")
	spec = k.spec()
	spec.Access.EgressDeny = []string{"localhost"}
	f = k.MustFail(spec)
	require.Equal(t, models.ClassForbidden, f.Class, f.Message+f.Detail)
}

// registry is a schema registry that answers from a map of ids.
func registry(t *testing.T, schemas map[int]string) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/subjects/address-value/versions/1" {
			_ = json.NewEncoder(w).Encode(map[string]any{"schema": `{"type":"record","name":"Address","fields":[{"name":"city","type":"string"}]}`})
			return
		}
		id, err := strconv.Atoi(strings.TrimPrefix(r.URL.Path, "/schemas/ids/"))
		schema, ok := schemas[id]
		if err != nil || !ok {
			http.Error(w, `{"error_code":40403}`, http.StatusNotFound)
			return
		}
		answer := map[string]any{"schema": schema}
		if strings.Contains(schema, `"Address"`) {
			answer["references"] = []map[string]any{{"name": "Address", "subject": "address-value", "version": 1}}
		}
		_ = json.NewEncoder(w).Encode(answer)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// encoded is a value in the registry's form.
func encoded(t *testing.T, id int, schema string, value any) string {
	t.Helper()
	parsed, err := avro.Parse(schema)
	require.NoError(t, err)
	data, err := avro.Marshal(parsed, value)
	require.NoError(t, err)
	return string(append([]byte{0, byte(id >> 24), byte(id >> 16), byte(id >> 8), byte(id)}, data...))
}

func TestReadsAvro(t *testing.T) {
	one := `{"type":"record","name":"Order","fields":[
		{"name":"id","type":"int"},{"name":"amount","type":{"type":"bytes","logicalType":"decimal","precision":30,"scale":4}},
		{"name":"at","type":{"type":"long","logicalType":"timestamp-micros"}},{"name":"day","type":["null",{"type":"int","logicalType":"date"}]},
		{"name":"clock","type":{"type":"long","logicalType":"time-micros"}},{"name":"raw","type":"bytes"},{"name":"score","type":"double"},
		{"name":"state","type":{"type":"enum","name":"State","symbols":["NEW","OLD"]}},
		{"name":"tags","type":{"type":"array","items":"string"}},{"name":"counts","type":{"type":"map","values":"long"}},
		{"name":"inner","type":{"type":"record","name":"Inner","fields":[{"name":"x","type":"long"},{"name":"y","type":["null","string"]}]}}]}`
	two := `{"type":"record","name":"Order","fields":[{"name":"id","type":"long"},{"name":"more","type":["null","string","long"]},{"name":"address","type":"Address"}]}`
	k := newTopic(t)
	k.source.Format = definition.FormatAvro
	k.source.SchemaRegistry = registry(t, map[int]string{1: one, 2: two, 3: `"string"`})
	k.next("_offset", "")
	amount, ok := new(big.Rat).SetString("-12345678901234567890.0001")
	require.True(t, ok)
	k.send("a=" + encoded(t, 1, one, map[string]any{
		"id": 7, "amount": amount, "at": time.Date(2026, 1, 2, 3, 4, 5, 678901000, time.UTC), "day": map[string]any{"int.date": time.Date(2024, 2, 29, 0, 0, 0, 0, time.UTC)},
		"clock": time.Duration(86399999999) * time.Microsecond, "raw": []byte{0, 255}, "score": 0.1, "state": "OLD", "tags": []string{"x", "ü"},
		"counts": map[string]any{"k": int64(9007199254740993)}, "inner": map[string]any{"x": int64(1), "y": nil},
	}))
	out := k.next("id", "7")
	require.Equal(t, "_partition INTEGER, _offset BIGINT, _timestamp TIMESTAMP WITH TIME ZONE, _key VARCHAR, id INTEGER, amount DECIMAL(30,4), at TIMESTAMP WITH TIME ZONE, "+
		"day DATE, clock TIME, raw BLOB, score DOUBLE, state VARCHAR, tags VARCHAR[], counts MAP(VARCHAR, BIGINT), inner STRUCT(x BIGINT, y VARCHAR)", k.ContentOf(out).Columns)
	require.Equal(t, `7|-12345678901234567890.0001|2026-01-02 03:04:05.678901+00|2024-02-29|23:59:59.999999|\x00\xFF|0.1|OLD|[x, ü]|{k=9007199254740993}|{'x': 1, 'y': NULL}`,
		k.Value(out, `any_value(concat_ws('|', id, amount, "at", "day", clock, "raw", score, state, tags, counts, "inner"))`))

	data := encoded(t, 2, strings.Replace(two, `"Address"`, `{"type":"record","name":"Address","fields":[{"name":"city","type":"string"}]}`, 1),
		map[string]any{"id": int64(1) << 40, "more": map[string]any{"long": int64(5)}, "address": map[string]any{"city": "Rome"}})
	k.send("b=" + data)
	out = k.next("id || more || address.city", "10995116277765Rome")
	require.Equal(t, "0", k.Value(out, "count(amount)"), "columns of the batch before are there, too")

	for value, words := range map[string]string{
		"x=plain": "schema registry's form", "x=\x00\x00\x00\x00\x09abc": "does not know", "x=\x00\x00\x00\x00\x01\x02": "does not follow its schema",
		"x=" + data + "more": "longer than its schema", "x=\x00\x00\x00\x00\x03\x02a": "no record",
	} {
		k.send(value)
		k.fails(models.ClassData, false, "of partition 0 of the topic events", words)
		ends, err := k.admin.ListEndOffsets(context.Background(), "events")
		require.NoError(t, err)
		end, _ := ends.Lookup("events", 0)
		k.cursor.Value = strings.Replace(k.cursor.Value, fmt.Sprintf(`"0":%d`, end.Offset-1), fmt.Sprintf(`"0":%d`, end.Offset), 1)
	}
}
