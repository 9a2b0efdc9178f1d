package connectortest

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/definition"
	"github.com/matih/pipeline-service/models/task"
)

// Connector is what the suite needs to know of one.
type Connector struct {
	Connection models.Connection
	Access     task.Access
	Secrets    task.Secrets
	// Source and Sink address a data set by a name that is unique in the test.
	Source func(dataset string) *definition.Source
	Sink   func(dataset string, mode definition.WriteMode, keys ...string) *definition.Sink
	Merges bool // merge_on_key is supported
	// Types is a query (DuckDB's SQL) of rows whose types and values must come back as they were.
	Types string
}

// Run checks a connector.
func Run(t *testing.T, c Connector) {
	s := &suite{c: c}
	t.Run("round trips", s.roundTrips)
	t.Run("append adds", s.appends)
	t.Run("overwrite replaces", s.overwrites)
	t.Run("one execution publishes once", s.once)
	t.Run("attempts at the same time publish once", s.concurrently)
	t.Run("one publication is published once", s.oncePerPublication)
	t.Run("a killed attempt leaves nothing or everything", s.killed)
	t.Run("what does not exist is said so", s.missing)
	if c.Merges {
		t.Run("merge updates and inserts", s.merges)
		t.Run("merge refuses bad keys", s.refusesKeys)
	}
}

type suite struct {
	c      Connector
	mu     sync.Mutex
	serial int
}

func (s *suite) dataset() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.serial++
	return fmt.Sprintf("set%d", s.serial)
}

func (s *suite) sinkSpec(sink *definition.Sink, input, execution string, attempt int) task.Spec {
	return task.Spec{
		Task: sink.Name, Kind: models.TaskSink, Sink: sink, Connection: &s.c.Connection, Execution: execution, Attempt: attempt,
		Inputs: []task.Input{{Name: sink.Input, Dir: input}}, Access: s.c.Access, Secrets: s.c.Secrets,
	}
}

func (s *suite) sourceSpec(l *Lab, dataset string) task.Spec {
	source := s.c.Source(dataset)
	return task.Spec{
		Task: source.Name, Kind: models.TaskSource, Source: source, Connection: &s.c.Connection,
		Output: l.NewDir("out") + "/rows", Access: s.c.Access, Secrets: s.c.Secrets,
	}
}

// write publishes a query's rows and returns what it published.
func (s *suite) write(l *Lab, dataset, query string, mode definition.WriteMode, execution string, keys ...string) *task.Result {
	l.TB.Helper()
	return l.MustRun(s.sinkSpec(s.c.Sink(dataset, mode, keys...), l.Stage(query), execution, 1))
}

// read gives the content of what is published.
func (s *suite) read(l *Lab, dataset string) Content {
	l.TB.Helper()
	spec := s.sourceSpec(l, dataset)
	res := l.MustRun(spec)
	c := l.ContentOf(spec.Output)
	if res.RowsOut != c.Rows || res.RowsIn != c.Rows {
		l.TB.Errorf("the source reports %d rows in and %d out, but there are %d", res.RowsIn, res.RowsOut, c.Rows)
	}
	return c
}

func (s *suite) roundTrips(t *testing.T) {
	for name, query := range map[string]string{
		"types":   s.c.Types,
		"empty":   "SELECT * FROM (" + s.c.Types + ") WHERE false",
		"unicode": Values(`"näme 🦆", "a ""quoted"" one", "select"`, "('naïve 🦆', E'tab\\tand\\nnewline', 'comma, \"quote\"')", "('', ' ', '\u202eright to left')"),
		"wide":    "SELECT " + wide(300),
		"one":     Values("a", "('x')", "(NULL)", "('')", "(' ')", "(NULL)"),
		"many":    "SELECT i AS id, 'row ' || i AS label, i % 7 = 0 AS flag, i / 8 AS part FROM range(200000) AS t(i)",
	} {
		t.Run(name, func(t *testing.T) {
			l, dataset := NewLab(t), s.dataset()
			res := s.write(l, dataset, query, definition.WriteOverwrite, "exec-1")
			want := l.ContentOfQuery(query)
			if res.RowsOut != want.Rows {
				t.Errorf("the sink reports %d rows, want %d", res.RowsOut, want.Rows)
			}
			got := s.read(l, dataset)
			if name == "empty" {
				got.Columns, want.Columns = "", "" // nothing shows the types of no values in a text file
			}
			if got != want {
				t.Errorf("came back as\n%+v\nwas\n%+v", got, want)
			}
		})
	}
}

func wide(n int) string {
	items := make([]string, n)
	for i := range items {
		items[i] = fmt.Sprintf("'value %d' AS column_%d", i, i)
	}
	return strings.Join(items, ", ")
}

func (s *suite) appends(t *testing.T) {
	l, dataset := NewLab(t), s.dataset()
	s.write(l, dataset, "SELECT 1 AS a, 'x' AS b", definition.WriteAppend, "exec-1")
	s.write(l, dataset, "SELECT 2 AS a, 'y' AS b", definition.WriteAppend, "exec-2")
	if got, want := s.read(l, dataset).Rows, int64(2); got != want {
		t.Errorf("%d rows, want %d", got, want)
	}
}

func (s *suite) overwrites(t *testing.T) {
	l, dataset := NewLab(t), s.dataset()
	s.write(l, dataset, "SELECT i::BIGINT AS a FROM range(10) AS t(i)", definition.WriteOverwrite, "exec-1")
	s.write(l, dataset, "SELECT 42::BIGINT AS a", definition.WriteOverwrite, "exec-2")
	if got, want := s.read(l, dataset), l.ContentOfQuery("SELECT 42::BIGINT AS a"); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func (s *suite) once(t *testing.T) {
	l, dataset := NewLab(t), s.dataset()
	input := l.Stage("SELECT i AS a FROM range(1000) AS t(i)")
	sink := s.c.Sink(dataset, definition.WriteAppend)
	for attempt := 1; attempt <= 3; attempt++ {
		res := l.MustRun(s.sinkSpec(sink, input, "exec-1", attempt))
		if res.AlreadyPublished != (attempt > 1) || res.RowsOut != 1000 {
			t.Errorf("attempt %d: already published %t, %d rows", attempt, res.AlreadyPublished, res.RowsOut)
		}
	}
	if got := s.read(l, dataset).Rows; got != 1000 {
		t.Errorf("%d rows, want 1000", got)
	}
}

// oncePerPublication lets two executions bring the same publication, one after the other and at once.
func (s *suite) oncePerPublication(t *testing.T) {
	const rows = 20_000
	l, dataset := NewLab(t), s.dataset()
	input := l.Stage(fmt.Sprintf("SELECT i AS a FROM range(%d) AS t(i)", rows))
	spec := func(execution, publication string) task.Spec {
		spec := s.sinkSpec(s.c.Sink(dataset, definition.WriteAppend), input, execution, 1)
		spec.Publication = publication
		return spec
	}
	for i, execution := range []string{"exec-1", "exec-2"} {
		if res := l.MustRun(spec(execution, "exec-1")); res.AlreadyPublished != (i > 0) || res.RowsOut != rows {
			t.Errorf("%s: already published %t, %d rows", execution, res.AlreadyPublished, res.RowsOut)
		}
	}
	first, second := l.Start(spec("exec-3", "exec-3")), l.Start(spec("exec-4", "exec-3"))
	firsts := 0
	for _, p := range []*Process{first, second} {
		out, _ := p.Wait()
		switch {
		case out.Result != nil && !out.Result.AlreadyPublished:
			firsts++
		case out.Failure != nil && !out.Failure.Retry:
			t.Errorf("failed for good: %v %s", out.Failure, out.Failure.Detail)
		}
	}
	if firsts != 1 {
		t.Errorf("%d executions say that they published, want 1", firsts)
	}
	if got := s.read(l, dataset).Rows; got != 2*rows {
		t.Errorf("%d rows, want %d", got, 2*rows)
	}
}

func (s *suite) concurrently(t *testing.T) {
	l, dataset := NewLab(t), s.dataset()
	const rows = 50_000
	input := l.Stage(fmt.Sprintf("SELECT i AS a, 'text ' || i AS b FROM range(%d) AS t(i)", rows))
	sink := s.c.Sink(dataset, definition.WriteAppend)
	processes := make([]*Process, 4)
	for i := range processes {
		processes[i] = l.Start(s.sinkSpec(sink, input, "exec-1", i+1))
	}
	firsts := 0
	for i, p := range processes {
		out, _ := p.Wait()
		switch {
		case out.Result != nil && !out.Result.AlreadyPublished:
			firsts++
		case out.Failure != nil && !out.Failure.Retry:
			t.Errorf("attempt %d failed for good: %v %s", i+1, out.Failure, out.Failure.Detail)
		}
	}
	if firsts != 1 {
		t.Errorf("%d attempts say that they published, want 1", firsts)
	}
	if got := s.read(l, dataset).Rows; got != rows {
		t.Errorf("%d rows, want %d", got, rows)
	}
}

// killed ends attempts at different moments and lets one more finish.
func (s *suite) killed(t *testing.T) {
	const rows = 60_000
	query := fmt.Sprintf("SELECT i AS a, repeat('text ' || i, 10) AS b FROM range(%d) AS t(i)", rows)
	l, dataset := NewLab(t), s.dataset()
	s.write(l, dataset, query, definition.WriteOverwrite, "exec-0")
	input := l.Stage(query)
	sink := s.c.Sink(dataset, definition.WriteAppend)
	published := int64(rows)
	for round := range 5 {
		execution := fmt.Sprintf("exec-1%d", round)
		p := l.Start(s.sinkSpec(sink, input, execution, 1))
		timer := time.AfterFunc(time.Duration(30+25*round)*time.Millisecond, p.Kill)
		p.Wait()
		timer.Stop()
		if got := s.read(l, dataset).Rows; got != published && got != published+rows {
			t.Fatalf("after the kill there are %d rows, want %d or %d", got, published, published+rows)
		}
		if res := l.MustRun(s.sinkSpec(sink, input, execution, 2)); res.RowsOut != rows {
			t.Errorf("the second attempt reports %d rows, want %d", res.RowsOut, rows)
		}
		published += rows
		if got := s.read(l, dataset).Rows; got != published {
			t.Fatalf("after the second attempt there are %d rows, want %d", got, published)
		}
	}
}

func (s *suite) missing(t *testing.T) {
	l := NewLab(t)
	f := l.MustFail(s.sourceSpec(l, "never_written"))
	if f.Class != models.ClassSource || f.Retry || !strings.Contains(f.Message, "never_written") {
		t.Errorf("got %+v, want a source_error that names it", f)
	}
}

func (s *suite) merges(t *testing.T) {
	l, dataset := NewLab(t), s.dataset()
	s.write(l, dataset, Values("id, v", "(1, 'a')", "(2, 'b')"), definition.WriteMergeOnKey, "exec-1", "id")
	s.write(l, dataset, Values("id, v", "(2, 'B')", "(3, 'c')"), definition.WriteMergeOnKey, "exec-2", "id")
	want := l.ContentOfQuery(Values("id, v", "(1, 'a')", "(2, 'B')", "(3, 'c')"))
	if got := s.read(l, dataset); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func (s *suite) refusesKeys(t *testing.T) {
	for name, query := range map[string]string{
		"repeated": Values("id, v", "(7, 'a')", "(7, 'b')"),
		"null":     Values("id, v", "(7, 'a')", "(NULL, 'b')"),
	} {
		t.Run(name, func(t *testing.T) {
			l := NewLab(t)
			f := l.MustFail(s.sinkSpec(s.c.Sink(s.dataset(), definition.WriteMergeOnKey, "id"), l.Stage(query), "exec-1", 1))
			if f.Class != models.ClassData || f.Retry || !strings.Contains(f.Message, "id") {
				t.Errorf("got %+v, want a data_error that names the key", f)
			}
		})
	}
}
