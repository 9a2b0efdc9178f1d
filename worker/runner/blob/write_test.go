package blob_test

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/definition"
	"github.com/matih/pipeline-service/models/task"
	"github.com/matih/pipeline-service/worker/runner/connectortest"
)

func (f *folder) sink(query, execution string, mode definition.WriteMode, s definition.StorageSink) task.Spec {
	connection := localConnection(f.dir)
	return task.Spec{
		Task: "out", Kind: models.TaskSink, Connection: &connection, Access: task.Access{LocalRoots: []string{f.Dir}}, Execution: execution,
		Sink:   &definition.Sink{Name: "out", Type: definition.SinkCloudStorage, Input: "rows", Mode: mode, Storage: &s},
		Inputs: []task.Input{{Name: "rows", Dir: f.Stage(query)}},
	}
}

// published lists what readers see: names that do not begin with a dot or an underscore.
func (f *folder) published() []string {
	f.TB.Helper()
	var names []string
	err := filepath.WalkDir(f.dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if path != f.dir && strings.HasPrefix(entry.Name(), ".") {
			if entry.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if !entry.IsDir() {
			name, err := filepath.Rel(f.dir, path)
			names = append(names, name)
			return err
		}
		return nil
	})
	if err != nil {
		f.TB.Fatal(err)
	}
	return names
}

func (f *folder) expect(want ...string) {
	f.TB.Helper()
	if got := f.published(); strings.Join(got, "\n") != strings.Join(want, "\n") {
		f.TB.Errorf("published are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestNames(t *testing.T) {
	for name, c := range map[string]struct {
		sink definition.StorageSink
		want string
	}{
		"top":           {definition.StorageSink{Format: definition.FormatCSV}, "out-exec-1-0.csv"},
		"directory":     {definition.StorageSink{Prefix: "a/b/", Format: definition.FormatJSON, Compression: definition.CompressionGzip}, "a/b/out-exec-1-0.json.gz"},
		"partial name":  {definition.StorageSink{Prefix: "a/day-", Format: definition.FormatParquet, Compression: definition.CompressionZstd}, "a/day-out-exec-1-0.parquet"},
		"snappy":        {definition.StorageSink{Format: definition.FormatCSV, Compression: definition.CompressionSnappy}, "out-exec-1-0.csv.sz"},
		"leading slash": {definition.StorageSink{Prefix: "/a/", Format: definition.FormatCSV, Compression: definition.CompressionNone}, "a/out-exec-1-0.csv"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFolder(t, nil)
			res := f.MustRun(f.sink("SELECT 1 AS a", "exec-1", definition.WriteAppend, c.sink))
			if len(res.Files) != 1 || res.Files[0] != c.want {
				t.Errorf("reports %v, want %s", res.Files, c.want)
			}
			f.expect(c.want)
		})
	}
}

func TestModes(t *testing.T) {
	f := newFolder(t, map[string]string{"d/other.csv": "a\n0\n", "d/out-2-exec-9-0.csv": "a\n0\n", "d/sub/out-exec-9-0.csv": "a\n0\n"})
	s := definition.StorageSink{Prefix: "d/", Format: definition.FormatCSV}
	foreign := []string{"d/other.csv", "d/out-2-exec-9-0.csv"}
	f.MustRun(f.sink("SELECT 1 AS a", "exec-1", definition.WriteAppend, s))
	f.MustRun(f.sink("SELECT 2 AS a", "exec-2", definition.WriteAppend, s))
	f.expect(append(foreign, "d/out-exec-1-0.csv", "d/out-exec-2-0.csv", "d/sub/out-exec-9-0.csv")...)
	f.MustRun(f.sink("SELECT 3 AS a WHERE false", "exec-3", definition.WriteOverwrite, s))
	f.expect(append(foreign, "d/out-exec-3-0.csv", "d/sub/out-exec-9-0.csv")...)
	if got, err := os.ReadFile(filepath.Join(f.dir, "d/out-exec-3-0.csv")); err != nil || string(got) != "a\n" {
		t.Errorf("without rows the file holds %q (%v), want the header", got, err)
	}
	if failure := f.MustFail(f.sink("SELECT 1 AS a", "exec-4", definition.WriteMergeOnKey, s)); failure.Class != models.ClassInvalidDefinition {
		t.Errorf("got %+v", failure)
	}
}

func TestPartitions(t *testing.T) {
	f := newFolder(t, nil)
	s := definition.StorageSink{Prefix: "p/", Format: definition.FormatParquet, PartitionBy: []string{"k"}}
	f.MustRun(f.sink("SELECT * FROM (VALUES ('a/b=ü', 1), ('..', 2), (NULL, 3), ('plain', 4)) AS t(k, v)", "exec-1", definition.WriteOverwrite, s))
	f.expect("p/k=../out-exec-1-0.parquet", "p/k=__HIVE_DEFAULT_PARTITION__/out-exec-1-1.parquet", "p/k=a%2Fb%3D%C3%BC/out-exec-1-2.parquet", "p/k=plain/out-exec-1-3.parquet")
	f.MustRun(f.sink("SELECT 'plain' AS k, 5 AS v", "exec-2", definition.WriteOverwritePartition, s))
	names := f.published()
	if len(names) != 4 || names[3] != "p/k=plain/out-exec-2-0.parquet" {
		t.Errorf("after overwriting one partition: %v", names)
	}
	f.MustRun(f.sink("SELECT 'other' AS k, 6 AS v", "exec-3", definition.WriteOverwrite, s))
	f.expect("p/k=other/out-exec-3-0.parquet")
}

// TestUnfinishedPublication: between commit and rename readers see all of an execution's files, and the
// next attempt finishes.
func TestUnfinishedPublication(t *testing.T) {
	f := newFolder(t, map[string]string{
		"d/out-exec-0-0.csv":                      "a\n1\n",
		"d/out-exec-1-0.csv":                      "a\n10\n", // already in place
		"d/.pipeline/out-exec-1-a1/1.csv":         "a\n20\n", // still aside
		"d/.pipeline/out-exec-1-a1/manifest.json": "{}",
	})
	manifest, err := json.Marshal(map[string]any{
		"sink": "out", "execution": "exec-1", "attempt": 1, "rows": 2, "bytes": 10,
		"files": []map[string]string{
			{"name": "d/out-exec-1-0.csv", "staged": "d/.pipeline/out-exec-1-a1/0.csv"},
			{"name": "d/out-exec-1-1.csv", "staged": "d/.pipeline/out-exec-1-a1/1.csv"},
		},
		"remove": []string{"d/out-exec-0-0.csv"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(f.dir, "d/.pipeline/out-exec-1.pending.json"), manifest, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, prefix := range []string{"d/", "", "d/out-exec-1"} {
		s := f.source(definition.StorageSource{Format: definition.FormatCSV, Prefix: prefix, Pattern: "**"})
		f.MustRun(s)
		if got, want := f.ContentOf(s.Output), f.ContentOfQuery("SELECT * FROM (VALUES (10::BIGINT), (20)) AS t(a)"); got != want {
			t.Errorf("prefix %q: got %+v, want %+v", prefix, got, want)
		}
	}
	for _, name := range []string{"d/.pipeline/out-exec-0-a1/0.csv", "d/.pipeline/out-exec-0-a1/.alive"} { // of an attempt that died
		if err := os.MkdirAll(filepath.Dir(filepath.Join(f.dir, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(f.dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	second := f.sink("SELECT 99 AS a", "exec-1", definition.WriteOverwrite, definition.StorageSink{Prefix: "d/", Format: definition.FormatCSV})
	second.Attempt = 2
	if res := f.MustRun(second); !res.AlreadyPublished || res.RowsOut != 2 || len(res.Files) != 2 {
		t.Errorf("the next attempt says %+v", res)
	}
	f.expect("d/out-exec-1-0.csv", "d/out-exec-1-1.csv")
	entries, err := os.ReadDir(filepath.Join(f.dir, "d/.pipeline"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.IsDir() {
			t.Errorf("%s was left behind", e.Name())
		}
	}
}

// TestConcurrentOverwrites: of executions that overwrite at once exactly one is left.
func TestConcurrentOverwrites(t *testing.T) {
	f := newFolder(t, nil)
	var processes []*connectortest.Process
	for i := range 4 {
		processes = append(processes, f.Start(f.sink("SELECT i FROM range(20000) AS t(i)", fmt.Sprintf("exec-%d", i), definition.WriteOverwrite,
			definition.StorageSink{Format: definition.FormatCSV})))
	}
	for _, p := range processes {
		if out, _ := p.Wait(); out.Failure != nil {
			t.Error(out.Failure)
		}
	}
	if names := f.published(); len(names) != 1 {
		t.Errorf("published are %v, want one file", names)
	}
}

func TestSinkFailures(t *testing.T) {
	for name, c := range map[string]struct {
		query string
		sink  definition.StorageSink
		class string
		words string
	}{
		"NaN in JSON":       {"SELECT 'nan'::DOUBLE AS x", definition.StorageSink{Format: definition.FormatJSON}, models.ClassData, "the column x holds NaN"},
		"unknown partition": {"SELECT 1 AS a", definition.StorageSink{Format: definition.FormatCSV, PartitionBy: []string{"b"}}, models.ClassInvalidDefinition, `"b"`},
		"only partitions":   {"SELECT 1 AS a", definition.StorageSink{Format: definition.FormatCSV, PartitionBy: []string{"a"}}, models.ClassInvalidDefinition, "nothing would be left"},
		"climbing prefix":   {"SELECT 1 AS a", definition.StorageSink{Format: definition.FormatCSV, Prefix: "../x/"}, models.ClassForbidden, "leads out"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFolder(t, nil)
			failure := f.MustFail(f.sink(c.query, "exec-1", definition.WriteAppend, c.sink))
			if failure.Class != c.class || failure.Retry || !strings.Contains(failure.Message, c.words) {
				t.Errorf("got %s: %s (%s), want %s with %q", failure.Class, failure.Message, failure.Detail, c.class, c.words)
			}
			f.expect()
		})
	}
	t.Run("link out of the connection", func(t *testing.T) {
		f := newFolder(t, nil)
		outside := f.NewDir("outside")
		if err := os.Symlink(outside, filepath.Join(f.dir, "way-out")); err != nil {
			t.Fatal(err)
		}
		failure := f.MustFail(f.sink("SELECT 1 AS a", "exec-1", definition.WriteAppend, definition.StorageSink{Prefix: "way-out/", Format: definition.FormatCSV}))
		if entries, _ := os.ReadDir(outside); len(entries) > 0 {
			t.Errorf("outside there is now %v (%v)", entries, failure)
		}
	})
}
