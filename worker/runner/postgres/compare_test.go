package postgres_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/definition"
	"github.com/matih/pipeline-service/models/task"
	"github.com/matih/pipeline-service/worker/runner/connectortest"
)

// TestPreviewReadsFewRows reads what has an error in its 5000th row: the server must not come so far.
func TestPreviewReadsFewRows(t *testing.T) {
	d := newDatabase(t)
	d.exec("CREATE TABLE many AS SELECT i AS id, i * 1.25 AS amount FROM generate_series(1, 20000) i")
	broken := "SELECT id, 1 / (5000 - id) AS inverse, amount FROM (SELECT * FROM many ORDER BY id) AS m"
	for name, src := range map[string]definition.JDBCSource{
		"query": {Query: broken + ";"}, "partitioned": {Query: broken, PartitionColumn: "id", NumPartitions: 4}, "table": {Table: "many"},
	} {
		t.Run(name, func(t *testing.T) {
			l := connectortest.NewLab(t)
			spec := d.source(l, src)
			spec.Preview = &task.Preview{Rows: 1000, Show: 3}
			res := l.MustRun(spec)
			assert.EqualValues(t, 1000, res.RowsIn)
			assert.Len(t, res.Sample, 3)
			assert.Contains(t, res.Columns, models.Column{Name: "amount", Type: "DECIMAL(38,2)"})
			var staged int
			l.Query("SELECT count(*) FROM '"+spec.Output+"/*.parquet'", []any{&staged})
			assert.Equal(t, 1000, staged)
		})
	}
}

// compare has a sink compare the rows of a query with a table.
func (d *database) compare(t *testing.T, query string, mode definition.WriteMode, sink definition.JDBCSink) *models.SinkFinding {
	t.Helper()
	l := connectortest.NewLab(t)
	spec := d.sink(l.Stage(query), mode, "plan-1", sink)
	spec.Preview = &task.Preview{Rows: 10}
	res := l.MustRun(spec)
	require.NotNil(t, res.Sink)
	assert.Zero(t, res.RowsOut)
	return res.Sink
}

func TestCompareTellsWhatWouldChange(t *testing.T) {
	d := newDatabase(t)
	d.exec("CREATE TABLE there (id bigint NOT NULL, name varchar(10), amount numeric(10,2), seen timestamptz, total numeric GENERATED ALWAYS AS (amount * 2) STORED)")
	before := d.text("SELECT relname FROM pg_class ORDER BY 1")
	added := func(column, to string) models.ColumnChange {
		return models.ColumnChange{Column: column, Change: models.ColumnAdded, To: to}
	}
	retyped := func(column, from, to string) models.ColumnChange {
		return models.ColumnChange{Column: column, Change: models.ColumnTypeChanged, From: from, To: to}
	}
	removed := func(column, from string) models.ColumnChange {
		return models.ColumnChange{Column: column, Change: models.ColumnRemoved, From: from}
	}
	for _, c := range []struct {
		query, table string
		want         models.SinkFinding
		reason       string
	}{
		{"SELECT 1::BIGINT AS id, 'x' AS name", "fresh", models.SinkFinding{Compatible: true,
			Changes: []models.ColumnChange{added("id", "bigint"), added("name", "text")}}, ""},
		{"SELECT 1::BIGINT AS id", "nowhere.fresh", models.SinkFinding{Changes: []models.ColumnChange{added("id", "bigint")}}, "there is no schema nowhere"},
		{"SELECT 1::BIGINT AS id, 'x' AS name, 1.5::DECIMAL(10,2) AS amount, now() AS seen", "there", models.SinkFinding{Exists: true, Compatible: true,
			Changes: []models.ColumnChange{retyped("name", "character varying(10)", "text"), removed("total", "numeric")}}, ""},
		{"SELECT 'x' AS name, 1 AS extra", "public.there", models.SinkFinding{Exists: true, Changes: []models.ColumnChange{
			retyped("name", "character varying(10)", "text"), added("extra", "integer"), removed("id", "bigint"), removed("amount", "numeric(10,2)"),
			removed("seen", "timestamp with time zone"), removed("total", "numeric")}}, "no column extra"},
		{"SELECT 1::BIGINT AS id, true AS seen", "there", models.SinkFinding{Exists: true, Changes: []models.ColumnChange{
			retyped("seen", "timestamp with time zone", "boolean"), removed("name", "character varying(10)"), removed("amount", "numeric(10,2)"),
			removed("total", "numeric")}}, "the column seen is boolean, which does not become the table's timestamp with time zone"},
		{"SELECT 1::BIGINT AS id, 1.5::DOUBLE AS total", "there", models.SinkFinding{Exists: true, Changes: []models.ColumnChange{
			retyped("total", "numeric", "double precision"), removed("name", "character varying(10)"), removed("amount", "numeric(10,2)"),
			removed("seen", "timestamp with time zone")}}, "the database itself makes the values of total"},
	} {
		t.Run(fmt.Sprintf("%s into %s", c.query, c.table), func(t *testing.T) {
			found := *d.compare(t, c.query, definition.WriteAppend, definition.JDBCSink{Table: c.table})
			assert.Contains(t, found.Reason, c.reason)
			assert.Equal(t, c.reason == "", found.Reason == "")
			found.Reason = ""
			assert.Equal(t, c.want, found)
		})
	}
	l := connectortest.NewLab(t)
	keyless := d.sink(l.Stage("SELECT 1 AS id"), definition.WriteMergeOnKey, "plan-1", definition.JDBCSink{Table: "there", MergeKeys: []string{"key"}})
	keyless.Preview = &task.Preview{Rows: 10}
	assert.Contains(t, l.MustFail(keyless).Message, `no column "key"`)
	assert.Equal(t, before, d.text("SELECT relname FROM pg_class ORDER BY 1"), "nothing was made")
}
