package quality_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/definition"
	"github.com/matih/pipeline-service/models/task"
	"github.com/matih/pipeline-service/worker/runner/connectortest"
)

func TestMain(m *testing.M) {
	connectortest.Main()
	os.Exit(m.Run())
}

// newest is the latest moment in the rows: a day ago.
var newest = time.Now().UTC().Add(-24 * time.Hour).Format(time.DateTime)

var rows = `SELECT * FROM (VALUES
 (1, 'a@x.org', 10.0::DOUBLE, TIMESTAMP '2024-01-01 00:00:00', 'de'),
 (2, 'b@x.org', 'nan'::DOUBLE, TIMESTAMP '2024-01-02 00:00:00', 'fr'),
 (2, 'broken', -5, TIMESTAMP '2024-01-03 00:00:00', 'xx'),
 (NULL, NULL, NULL, NULL, NULL),
 (2, 'c@x.org', 2000, TIMESTAMP '` + newest + `', 'de')) AS t(id, mail, amount, moment, country)`

const countries = "SELECT * FROM (VALUES ('de'), ('fr')) AS t(code)"

func raw(values ...string) []json.RawMessage {
	out := make([]json.RawMessage, len(values))
	for i, v := range values {
		out[i] = json.RawMessage(v)
	}
	return out
}

func spec(l *connectortest.Lab, c definition.QualityCheck) task.Spec {
	c.Name, c.Input = "the_check", "rows"
	if c.OnFailure == "" {
		c.OnFailure = definition.OnFailureWarn
	}
	return task.Spec{
		Task: c.Name, Kind: models.TaskCheck, Check: &c, Output: l.NewDir("out") + "/rows", Quarantine: l.NewDir("out") + "/aside",
		Inputs: []task.Input{{Name: "rows", Dir: l.Stage(rows)}, {Name: "countries", Dir: l.Stage(countries)}},
	}
}

func TestChecks(t *testing.T) {
	for name, c := range map[string]struct {
		check   definition.QualityCheck
		failing int64
	}{
		"not_null":               {definition.QualityCheck{Type: definition.CheckNotNull, Columns: []string{"id"}}, 1},
		"not_null of two":        {definition.QualityCheck{Type: definition.CheckNotNull, Columns: []string{"id", "mail"}}, 1},
		"unique":                 {definition.QualityCheck{Type: definition.CheckUnique, Columns: []string{"id"}}, 2},
		"unique of two":          {definition.QualityCheck{Type: definition.CheckUnique, Columns: []string{"id", "mail"}}, 0},
		"range":                  {definition.QualityCheck{Type: definition.CheckRange, Columns: []string{"amount"}, Min: json.RawMessage("0"), Max: json.RawMessage("1000")}, 3},
		"range below":            {definition.QualityCheck{Type: definition.CheckRange, Columns: []string{"amount"}, Min: json.RawMessage("0")}, 2},
		"range of times":         {definition.QualityCheck{Type: definition.CheckRange, Columns: []string{"moment"}, Min: json.RawMessage(`"2024-01-02"`)}, 1},
		"accepted values":        {definition.QualityCheck{Type: definition.CheckAcceptedValues, Columns: []string{"country"}, Values: raw(`"de"`, `"fr"`)}, 1},
		"accepted numbers":       {definition.QualityCheck{Type: definition.CheckAcceptedValues, Columns: []string{"id"}, Values: raw("1", "1.5")}, 3},
		"regex":                  {definition.QualityCheck{Type: definition.CheckRegex, Columns: []string{"mail"}, Pattern: `^[^@']+@`}, 1},
		"referential":            {definition.QualityCheck{Type: definition.CheckReferential, Columns: []string{"country"}, Reference: "countries", ReferenceColumn: "code"}, 1},
		"custom sql":             {definition.QualityCheck{Type: definition.CheckCustomSQL, SQL: "SELECT id FROM {{ input }} WHERE amount < 0"}, 1},
		"row count":              {definition.QualityCheck{Type: definition.CheckRowCount, Min: json.RawMessage("5"), Max: json.RawMessage("5")}, 0},
		"row count too small":    {definition.QualityCheck{Type: definition.CheckRowCount, Min: json.RawMessage("6")}, 1},
		"freshness":              {definition.QualityCheck{Type: definition.CheckFreshness, Columns: []string{"moment"}, MaxAge: definition.Duration(25 * time.Hour)}, 0},
		"freshness of old rows":  {definition.QualityCheck{Type: definition.CheckFreshness, Columns: []string{"moment"}, MaxAge: definition.Duration(23 * time.Hour)}, 1},
		"column in another case": {definition.QualityCheck{Type: definition.CheckNotNull, Columns: []string{"ID"}}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			l := connectortest.NewLab(t)
			res := l.MustRun(spec(l, c.check))
			if res.Check == nil || res.Check.Failing != c.failing || res.Check.Rows != 5 || res.Check.Passed != (c.failing == 0) || !res.PassThrough {
				t.Fatalf("got %+v (pass through %t), want %d failing of 5", res.Check, res.PassThrough, c.failing)
			}
			whole := c.check.Type == definition.CheckRowCount || c.check.Type == definition.CheckFreshness
			if !whole && int64(len(res.Check.Sample)) != c.failing {
				t.Errorf("%d rows in the sample, want %d", len(res.Check.Sample), c.failing)
			}
		})
	}
}

func TestThreshold(t *testing.T) {
	for threshold, passed := range map[float64]bool{0.19: false, 0.2: true} {
		l := connectortest.NewLab(t)
		res := l.MustRun(spec(l, definition.QualityCheck{Type: definition.CheckNotNull, Columns: []string{"id"}, Threshold: threshold}))
		if res.Check.Passed != passed || res.Check.Share != 0.2 {
			t.Errorf("threshold %g: got %+v", threshold, res.Check)
		}
	}
}

func TestFailStops(t *testing.T) {
	l := connectortest.NewLab(t)
	f := l.MustFail(spec(l, definition.QualityCheck{Type: definition.CheckNotNull, Columns: []string{"id"}, OnFailure: definition.OnFailureFail}))
	if f.Class != models.ClassQuality || f.Retry || f.Check == nil || f.Check.Failing != 1 || !strings.Contains(f.Message, "1 of 5 rows (20 %)") {
		t.Errorf("got %+v, check %+v", f, f.Check)
	}
}

// TestQuarantine: every row of the input is afterwards in exactly one of the two places.
func TestQuarantine(t *testing.T) {
	for name, c := range map[string]struct {
		check definition.QualityCheck
		aside int64
	}{
		"not_null":    {definition.QualityCheck{Type: definition.CheckNotNull, Columns: []string{"id"}}, 1},
		"unique":      {definition.QualityCheck{Type: definition.CheckUnique, Columns: []string{"id"}}, 2},
		"range":       {definition.QualityCheck{Type: definition.CheckRange, Columns: []string{"amount"}, Min: json.RawMessage("0"), Max: json.RawMessage("1000")}, 3},
		"referential": {definition.QualityCheck{Type: definition.CheckReferential, Columns: []string{"country"}, Reference: "countries", ReferenceColumn: "code"}, 1},
		"custom sql":  {definition.QualityCheck{Type: definition.CheckCustomSQL, SQL: "SELECT * FROM rows WHERE amount < 0 -- bad;"}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			l := connectortest.NewLab(t)
			c.check.OnFailure = definition.OnFailureQuarantine
			s := spec(l, c.check)
			res := l.MustRun(s)
			if res.Check.Quarantined != c.aside || res.RowsOut != 5-c.aside || res.PassThrough {
				t.Fatalf("got %+v, check %+v", res, res.Check)
			}
			both := fmt.Sprintf("SELECT * FROM '%s/*.parquet' UNION ALL BY NAME SELECT * EXCLUDE (_check, _reason) FROM '%s/*.parquet'", s.Output, s.Quarantine)
			if got, want := l.ContentOfQuery(both), l.ContentOfQuery(rows); got != want {
				t.Errorf("together they are %+v, want %+v", got, want)
			}
			var named int64
			l.Query(fmt.Sprintf("SELECT count(*) FROM '%s/*.parquet' WHERE _check = 'the_check' AND _reason <> ''", s.Quarantine), []any{&named})
			if named != c.aside {
				t.Errorf("%d rows name check and reason, want %d", named, c.aside)
			}
		})
	}
}

func TestQuarantineWithNothingToSetAside(t *testing.T) {
	l := connectortest.NewLab(t)
	s := spec(l, definition.QualityCheck{Type: definition.CheckNotNull, Columns: []string{"id"}, Threshold: 0.5, OnFailure: definition.OnFailureQuarantine})
	if res := l.MustRun(s); !res.PassThrough || res.Check.Quarantined != 0 {
		t.Errorf("got %+v", res)
	}
	for _, dir := range []string{s.Output, s.Quarantine, s.Output + ".tmp", s.Quarantine + ".tmp"} {
		if _, err := os.Stat(dir); err == nil {
			t.Errorf("%s was left behind", filepath.Base(dir))
		}
	}
}

func TestMistakes(t *testing.T) {
	for name, c := range map[string]struct {
		check definition.QualityCheck
		class string
		words string
	}{
		"unknown column":     {definition.QualityCheck{Type: definition.CheckNotNull, Columns: []string{"idd"}}, models.ClassInvalidDefinition, "did you mean id"},
		"truth in a range":   {definition.QualityCheck{Type: definition.CheckRange, Columns: []string{"id"}, Min: json.RawMessage("true")}, models.ClassInvalidDefinition, "INTEGER"},
		"no number":          {definition.QualityCheck{Type: definition.CheckRange, Columns: []string{"id"}, Min: json.RawMessage(`"1 OR 1=1"`)}, models.ClassInvalidDefinition, "not a number"},
		"bad pattern":        {definition.QualityCheck{Type: definition.CheckRegex, Columns: []string{"mail"}, Pattern: "("}, models.ClassData, "missing )"},
		"custom statements":  {definition.QualityCheck{Type: definition.CheckCustomSQL, SQL: "SELECT 1; SELECT 2"}, models.ClassSQL, "one SELECT"},
		"custom projection":  {definition.QualityCheck{Type: definition.CheckCustomSQL, SQL: "SELECT id FROM rows", OnFailure: definition.OnFailureQuarantine}, models.ClassInvalidDefinition, "whole rows"},
		"custom foreign row": {definition.QualityCheck{Type: definition.CheckCustomSQL, SQL: "SELECT * REPLACE (id + 1 AS id) FROM rows WHERE id = 1", OnFailure: definition.OnFailureQuarantine}, models.ClassData, "rows of the input"},
		"freshness of text":  {definition.QualityCheck{Type: definition.CheckFreshness, Columns: []string{"mail"}}, models.ClassInvalidDefinition, "VARCHAR"},
	} {
		t.Run(name, func(t *testing.T) {
			l := connectortest.NewLab(t)
			if f := l.MustFail(spec(l, c.check)); f.Class != c.class || f.Retry || !strings.Contains(f.Message, c.words) {
				t.Errorf("got %s: %s, want %s with %q", f.Class, f.Message, c.class, c.words)
			}
		})
	}
}
