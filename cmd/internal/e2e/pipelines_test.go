package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestFilesThroughEveryTransformation reads CSV and JSON, passes every kind of transformation and
// check, and publishes CSV.
func TestFilesThroughEveryTransformation(t *testing.T) {
	w := newWorld(t)
	w.file("in/orders-1.csv", "id,customer,amount,day\n1,ann,10.50,2026-01-01\n2,bob,20.00,2026-01-02\n2,bob,20.00,2026-01-02\n")
	w.file("in/orders-2.csv", "id,customer,amount,day\n3,ann,30.25,2026-01-03\n4,eve,-1.00,2026-01-04\n5,dan,7.00,2025-12-31\n")
	w.file("ref/customers.json", `{"id":"ann","city":"Rome"}`+"\n"+`{"id":"bob","city":"Oslo"}`+"\n"+`{"id":"dan","city":"Bern"}`+"\n")
	id := w.pipeline("orders", m{
		"parameters": []m{{"name": "start", "type": "date", "required": true}},
		"sources": m{
			"orders":    m{"type": "cloud_storage", "connection": "files", "prefix": "in/", "pattern": "orders-*.csv", "format": "csv"},
			"customers": m{"type": "cloud_storage", "connection": "files", "prefix": "ref/", "format": "json"},
		},
		"transformations": []m{
			{"name": "shape", "type": "schema_check", "input": "orders", "expected_columns": m{"id": "BIGINT", "amount": "DOUBLE"}},
			{"name": "once", "type": "deduplicate", "input": "shape", "keys": []string{"id"}, "order_by": []string{"day"}},
			{"name": "recent", "type": "sql_transform", "input": "once", "sql": "select * from {{ input }} where day >= ${start}"},
			{"name": "positive", "type": "filter", "input": "recent", "condition": "amount > 0"},
			{"name": "enriched", "type": "lookup_join", "input": "positive", "lookup": "customers", "keys": m{"customer": "id"}, "columns": []string{"city"}, "how": "inner"},
			{"name": "slim", "type": "select", "input": "enriched", "columns": []string{"city", "amount"}},
			{"name": "totals", "type": "aggregate", "input": "slim", "group_by": []string{"city"}, "measures": m{"orders": "count(*)", "total": "sum(amount)"}},
		},
		"quality_checks": []m{
			{"name": "has_rows", "type": "row_count", "input": "totals", "min": 1, "on_failure": "fail"},
			{"name": "city_known", "type": "not_null", "input": "totals", "column": "city", "on_failure": "fail"},
			{"name": "city_once", "type": "unique", "input": "totals", "column": "city", "on_failure": "fail"},
		},
		"sinks": m{"out": m{"type": "cloud_storage", "connection": "files", "prefix": "out/", "format": "csv", "mode": "overwrite"}},
	})
	e := w.completed(id, m{"parameters": m{"start": "2026-01-01"}})
	assert.Equal(t, 13, e.Progress.TotalTasks)
	assert.Equal(t, 13, e.Progress.CompletedTasks)
	assert.Equal(t, 100, e.Progress.Percentage)
	assert.EqualValues(t, 9, e.Metrics.RowsProcessed, "six orders and three customers were read")
	lines := strings.Split(strings.TrimSpace(w.read("out")), "\n")
	require.Len(t, lines, 3)
	assert.Equal(t, "city,orders,total", lines[0])
	assert.ElementsMatch(t, []string{"Rome,2,40.75", "Oslo,1,20.0"}, lines[1:])

	w.completed(id, m{"parameters": m{"start": "2025-12-01"}})
	assert.Contains(t, w.read("out"), "Bern,1,7.0", "overwrite leaves only the last execution's file")

	a, err := w.Do(w.ctx, http.MethodPost, "/v1/pipelines/"+id+"/execute", m{"parameters": m{"start": "soon", "end": 1}})
	require.NoError(t, err)
	assert.Equal(t, http.StatusBadRequest, a.Status)
	assert.Contains(t, string(a.Body), "body.parameters.start")
	assert.Contains(t, string(a.Body), "body.parameters.end")
}

// TestDatabaseToDatabase copies a table of many types with and without a key and compares both
// sides in the database.
func TestDatabaseToDatabase(t *testing.T) {
	w := newWorld(t)
	w.withDatabase()
	w.exec(`create table src as select i as id, i % 7 as small, (i * 1.5)::numeric(12,3) as price, 'name ' || i as name,
		date '2020-01-01' + i % 1000 as day, timestamptz '2020-01-01 00:00:00+00' + i * interval '1 minute' as at,
		case when i % 10 = 0 then null else i * 0.25::float8 end as score, i % 2 = 0 as even, md5(i::text)::uuid as key,
		jsonb_build_object('i', i) as doc from generate_series(1, 20000) i`)
	source := func(more m) m {
		s := m{"type": "jdbc", "connection": "db", "table": "public.src"}
		for k, v := range more {
			s[k] = v
		}
		return s
	}
	sink := func(table string, more m) m {
		s := m{"type": "jdbc", "connection": "db", "table": "public." + table, "mode": "append"}
		for k, v := range more {
			s[k] = v
		}
		return m{"dst": s}
	}
	same := func(table string) {
		t.Helper()
		cols := "id, small, price, name, day, at, score, even, key::text, doc::jsonb::text"
		assert.Zero(t, value[int](w, fmt.Sprintf(
			`select count(*) from ((select %[1]s from src except all select %[1]s from %[2]s) union all (select %[1]s from %[2]s except all select %[1]s from src)) d`,
			cols, table)), table)
	}
	w.completed(w.pipeline("append", m{"sources": m{"raw": source(nil)}, "sinks": sink("a", nil)}), nil)
	same("a")
	w.completed(w.pipeline("partitioned", m{
		"sources": m{"raw": source(m{"partition_column": "id", "num_partitions": 4})}, "sinks": sink("p", nil)}), nil)
	same("p")
	merge := w.pipeline("merge", m{
		"sources": m{"raw": source(nil)}, "sinks": sink("m", m{"mode": "merge_on_key", "merge_keys": []string{"id"}})})
	w.completed(merge, nil)
	w.exec("update src set name = name || '!' where id % 3 = 0")
	w.exec("insert into src select 20001, small, price, 'new', day, at, score, even, key, doc from src where id = 1")
	w.completed(merge, nil)
	same("m")
	over := w.pipeline("overwrite", m{"sources": m{"raw": m{"type": "jdbc", "connection": "db", "query": "select * from src where id <= ${most}"}},
		"sinks": sink("o", m{"mode": "overwrite"})})
	w.completed(over, m{"parameters": m{"most": 100}})
	assert.Equal(t, 100, value[int](w, "select count(*) from o"))
	w.completed(over, m{"parameters": m{"most": 7}})
	assert.Equal(t, 7, value[int](w, "select count(*) from o"))
}

// TestQualityChecksDecide shows what warn, fail and quarantine do.
func TestQualityChecksDecide(t *testing.T) {
	w := newWorld(t)
	w.file("in/people.csv", "name,age\nann,30\nbob,-1\ncid,200\ndee,\n")
	definition := func(onFailure, out string) m {
		return m{
			"sources": m{"people": m{"type": "cloud_storage", "connection": "files", "prefix": "in/", "format": "csv"}},
			"quality_checks": []m{{"name": "age_sane", "type": "range", "input": "people", "column": "age", "min": 0, "max": 150,
				"on_failure": onFailure}},
			"sinks": m{"out": m{"type": "cloud_storage", "connection": "files", "prefix": out + "/", "format": "csv", "mode": "append"}},
		}
	}
	w.completed(w.pipeline("warn", definition("warn", "warn")), nil)
	assert.Equal(t, 5, strings.Count(w.read("warn"), "\n"))

	e, err := w.Run(w.ctx, w.pipeline("fail", definition("fail", "fail")), nil)
	require.NoError(t, err)
	assert.Equal(t, "FAILED", e.Status)
	require.NotNil(t, e.Error)
	assert.Equal(t, "age_sane", e.Error.Task)
	assert.Equal(t, "quality_check_failed", e.Error.Class)
	assert.Contains(t, e.Error.Message, "2 of 4")
	assert.Empty(t, w.published("fail"), "nothing is published before its gates have passed")

	w.completed(w.pipeline("quarantine", definition("quarantine", "quarantine")), nil)
	got := w.read("quarantine")
	assert.Contains(t, got, "ann,30")
	assert.Contains(t, got, "dee,")
	assert.NotContains(t, got, "bob")
	assert.NotContains(t, got, "cid")
}

// TestFailuresSayWhatToDo looks at the errors users meet most.
func TestFailuresSayWhatToDo(t *testing.T) {
	w := newWorld(t)
	w.file("in/a.csv", "x\n1\n")
	definition := func(sql string) m {
		return m{
			"sources":         m{"a": m{"type": "cloud_storage", "connection": "files", "prefix": "in/", "format": "csv"}},
			"transformations": []m{{"name": "change", "type": "sql_transform", "input": "a", "sql": sql}},
			"sinks":           m{"out": m{"type": "cloud_storage", "connection": "files", "prefix": "out/", "format": "csv", "mode": "append"}},
		}
	}
	for name, c := range map[string]struct{ sql, class, message string }{
		"unknown column": {"select y from a", "sql_error", "y"},
		"reads a file":   {"select * from read_text('/etc/passwd')", "forbidden", ""},
		"two statements": {"select 1; select 2", "sql_error", ""},
		"not a select":   {"create table t as select 1", "sql_error", ""},
	} {
		t.Run(name, func(t *testing.T) {
			e, err := w.Run(w.ctx, w.pipeline(name, definition(c.sql)), nil)
			require.NoError(t, err)
			assert.Equal(t, "FAILED", e.Status)
			require.NotNil(t, e.Error)
			assert.Equal(t, "change", e.Error.Task)
			assert.Equal(t, c.class, e.Error.Class, e.Error.Message)
			assert.Contains(t, e.Error.Message, c.message)
			assert.NotContains(t, e.Error.Message, w.root, "no path of the server in a message")
		})
	}
	assert.Empty(t, w.published("out"))
}

// TestConnectionsAreCheckedAtExecute covers what cannot be known earlier: a connection that a parameter
// names, and one that was deleted.
func TestConnectionsAreCheckedAtExecute(t *testing.T) {
	w := newWorld(t)
	w.file("in/a.csv", "x\n1\n")
	id := w.pipeline("named", m{
		"sources": m{"a": m{"type": "cloud_storage", "connection": "${where}", "prefix": "in/", "format": "csv"}},
		"sinks":   m{"out": m{"type": "cloud_storage", "connection": "files", "prefix": "out/", "format": "csv", "mode": "append"}},
	})
	w.completed(id, m{"parameters": m{"where": "files"}})
	a, err := w.Do(w.ctx, http.MethodPost, "/v1/pipelines/"+id+"/execute", m{"parameters": m{"where": "nowhere"}})
	require.NoError(t, err)
	assert.Equal(t, http.StatusBadRequest, a.Status)
	assert.Contains(t, string(a.Body), "definition.sources.a.connection")
}
