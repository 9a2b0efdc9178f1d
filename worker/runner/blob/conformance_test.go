package blob_test

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/definition"
	"github.com/matih/pipeline-service/models/task"
	"github.com/matih/pipeline-service/worker/runner/connectortest"
)

func TestMain(m *testing.M) {
	connectortest.Main()
	os.Exit(m.Run())
}

func localConnection(dir string) models.Connection {
	properties, _ := json.Marshal(map[string]string{"path": dir})
	return models.Connection{ID: "conn-1", Tenant: connectortest.Tenant, Name: "landing", Type: models.ConnectionLocal, Properties: properties}
}

// plainTypes is what text files give back as it was.
const plainTypes = `SELECT * FROM (VALUES
 (true, 1::BIGINT, 1.5::DOUBLE, 'text', DATE '2024-02-29', TIMESTAMP '2024-02-29 12:34:56.789012', TIMESTAMPTZ '2024-02-29 12:34:56+00', TIME '23:59:59', '007'),
 (false, -9223372036854775808, 0.1, 'x', DATE '0001-01-01', TIMESTAMP '1969-12-31 23:59:59', TIMESTAMPTZ '2024-01-01 00:00:00.5+00', TIME '00:00:00.000001', '12345678901234567890'),
 (NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)) AS t(b, i, d, s, day, moment, instant, clock, code)`

// parquetTypes is every type a task can hand over.
const parquetTypes = `SELECT * EXCLUDE (hugeint, uhugeint, bignum, bit, time_tz, interval, small_enum, medium_enum, large_enum, "union", timestamp_s, timestamp_ms, geometry,
 fixed_int_array, fixed_varchar_array, fixed_nested_int_array, fixed_nested_varchar_array, fixed_struct_array, struct_of_fixed_array,
 fixed_array_of_int_list, list_of_fixed_int_array) FROM test_all_types()`

func TestConformance(t *testing.T) {
	for _, c := range []struct {
		format      definition.Format
		compression definition.Compression
		types       string
	}{
		{definition.FormatCSV, definition.CompressionAuto, plainTypes},
		{definition.FormatJSON, definition.CompressionGzip, plainTypes},
		{definition.FormatParquet, definition.CompressionZstd, parquetTypes},
	} {
		t.Run(string(c.format), func(t *testing.T) {
			dir := t.TempDir()
			connectortest.Run(t, connectortest.Connector{
				Connection: localConnection(dir),
				Access:     task.Access{LocalRoots: []string{dir}},
				Types:      c.types,
				Source: func(dataset string) *definition.Source {
					return &definition.Source{Name: "files", Type: definition.SourceCloudStorage, Mode: definition.ReadFull,
						Storage: &definition.StorageSource{Prefix: dataset + "/", Pattern: "*", Format: c.format}}
				},
				Sink: func(dataset string, mode definition.WriteMode, _ ...string) *definition.Sink {
					return &definition.Sink{Name: "files", Type: definition.SinkCloudStorage, Input: "rows", Mode: mode,
						Storage: &definition.StorageSink{Prefix: dataset + "/", Format: c.format, Compression: c.compression}}
				},
			})
		})
	}
}
