package blob_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/definition"
	"github.com/matih/pipeline-service/models/task"
)

// TestPreviewReadsTheFirstFiles has files that are damaged beyond the first megabyte, and in later files.
func TestPreviewReadsTheFirstFiles(t *testing.T) {
	var large, lines strings.Builder
	large.WriteString("id,text\n")
	for i := range 60_000 {
		fmt.Fprintf(&large, "%d,%s\n", i, "some text that fills the file")
		fmt.Fprintf(&lines, `{"id": %d, "text": "some text that fills the file"}`+"\n", i)
	}
	f := newFolder(t, map[string]string{
		"csv/a.csv": "id,text,more\n1,one,x\n", "csv/b.csv": large.String() + "broken,\"", "csv/c.csv": "id,id\n1,2\n",
		"json/a.json": lines.String() + "{", "json/b.json": "[",
	})
	for format, columns := range map[definition.Format]int{definition.FormatCSV: 3, definition.FormatJSON: 2} {
		spec := f.source(definition.StorageSource{Prefix: string(format) + "/", Format: format})
		spec.Preview = &task.Preview{Rows: 100, Show: 5}
		res := f.MustRun(spec)
		assert.EqualValues(t, 100, res.RowsIn, format)
		assert.Len(t, res.Sample, 5, format)
		require.Len(t, res.Columns, columns, format)
		assert.Equal(t, models.Column{Name: "id", Type: "BIGINT"}, res.Columns[0], format)
	}
}

func TestPreviewReadsFewRowsOfParquet(t *testing.T) {
	f := newFolder(t, nil)
	f.MustRun(f.sink("SELECT i AS id FROM range(5000) AS r(i)", "exec-1", definition.WriteAppend, definition.StorageSink{Prefix: "rows/", Format: definition.FormatParquet}))
	spec := f.source(definition.StorageSource{Prefix: "rows/", Format: definition.FormatParquet})
	spec.Preview = &task.Preview{Rows: 7}
	res := f.MustRun(spec)
	assert.EqualValues(t, 7, res.RowsIn)
	assert.Empty(t, res.Sample)
	assert.Equal(t, []models.Column{{Name: "id", Type: "BIGINT"}}, res.Columns)
}

// TestCompareWithWhatWasPublishedLast compares what every format tells of its columns.
func TestCompareWithWhatWasPublishedLast(t *testing.T) {
	for _, c := range []struct {
		sink  definition.StorageSink
		types bool
	}{
		{definition.StorageSink{Format: definition.FormatParquet}, true},
		{definition.StorageSink{Format: definition.FormatCSV}, false},
		{definition.StorageSink{Format: definition.FormatCSV, Compression: definition.CompressionSnappy, CSV: &definition.CSVOptions{Delimiter: ";", Header: true}}, false},
		{definition.StorageSink{Format: definition.FormatJSON, Compression: definition.CompressionGzip}, false},
		{definition.StorageSink{Format: definition.FormatParquet, PartitionBy: []string{"day"}}, true},
	} {
		t.Run(fmt.Sprintf("%s %s by %s", c.sink.Format, c.sink.Compression, c.sink.PartitionBy), func(t *testing.T) {
			f := newFolder(t, nil)
			c.sink.Prefix = "out/"
			compare := func(query string, mode definition.WriteMode) models.SinkFinding {
				t.Helper()
				spec := f.sink(query, "plan-1", mode, c.sink)
				spec.Preview = &task.Preview{Rows: 10}
				res := f.MustRun(spec)
				require.NotNil(t, res.Sink)
				return *res.Sink
			}
			first := compare("SELECT 1 AS id, 'x' AS name, '2026-01-01' AS day", definition.WriteAppend)
			assert.False(t, first.Exists)
			assert.True(t, first.Compatible)
			entries, err := os.ReadDir(f.dir)
			require.NoError(t, err)
			assert.Empty(t, entries, "nothing was made")

			f.MustRun(f.sink("SELECT 1 AS old", "exec-1", definition.WriteAppend, definition.StorageSink{Prefix: "out/", Format: c.sink.Format, Compression: c.sink.Compression, CSV: c.sink.CSV}))
			f.MustRun(f.sink("SELECT 1 AS id, 'x' AS name, '2026-01-01' AS day", "exec-2", definition.WriteAppend, c.sink))
			same := compare("SELECT 1 AS id, 'x' AS name, '2026-01-01' AS day", definition.WriteAppend)
			assert.Equal(t, models.SinkFinding{Exists: true, Compatible: true}, same)

			changed := "SELECT 'a' AS id, 2.5::DOUBLE AS amount, '2026-01-01' AS day"
			found := compare(changed, definition.WriteAppend)
			var kinds []string
			for _, change := range found.Changes {
				kinds = append(kinds, change.Column+" "+string(change.Change))
			}
			want := []string{"amount added", "name removed"}
			if c.types {
				want = []string{"id type_changed", "amount added", "name removed"}
				assert.Equal(t, models.ColumnChange{Column: "id", Change: models.ColumnTypeChanged, From: "INTEGER", To: "VARCHAR"}, found.Changes[0])
				assert.Contains(t, found.Reason, "id is INTEGER in the published files")
			}
			assert.Equal(t, want, kinds)
			assert.Equal(t, !c.types, found.Compatible)
			assert.True(t, compare(changed, definition.WriteOverwrite).Compatible, "the files before go")
		})
	}
}
