package blob

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/definition"
	"github.com/matih/pipeline-service/models/task"
	"github.com/matih/pipeline-service/worker/runner/duckdb"
	"github.com/matih/pipeline-service/worker/runner/fault"
)

// Load is one execution's data for a sink.
type Load struct {
	Sink *definition.Sink
	// Publication names the data: however many executions bring them, they are published once.
	Publication string
	Execution   string
	Attempt     int
	// Input is the view with the rows. A data set without columns has no rows to write.
	Input string
	Empty bool
}

// Published is what is in place after a load.
type Published struct {
	Files   []string
	Rows    int64
	Bytes   int64
	Already bool
}

var (
	plainName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]*$`)
	// The names of the executions' files end like this, after prefix and sink.
	publishedName = `exec-[0-9a-z]+-[0-9]+\.[a-z0-9.]+$`
)

// Prepare makes the directory the sink writes below, so that the sandbox can name it.
func (s *Store) Prepare(sink *definition.Sink) error {
	prefix, err := s.cleanPrefix(sink.Storage.Prefix)
	if err != nil {
		return err
	}
	if err := s.root.MkdirAll(path.Join(directory(prefix), metaDir), 0o750); err != nil {
		return writeFault(err)
	}
	return nil
}

// Write publishes the rows of the input so that readers see all files of the execution or none, once,
// however often it is attempted.
func (s *Store) Write(ctx context.Context, e Engine, l Load) (*Published, error) {
	if !plainName.MatchString(l.Sink.Name) || !plainName.MatchString(l.Execution) || !plainName.MatchString(l.Publication) {
		return nil, fault.Errorf(models.ClassInternal, "the sink or the execution has an unexpected name")
	}
	w, err := s.newWriter(e, l)
	if err != nil {
		return nil, err
	}
	if done, err := w.published(); err != nil {
		return nil, writeFault(err)
	} else if done != nil {
		return &Published{Files: done.names(), Rows: done.Rows, Bytes: done.Bytes, Already: true}, nil
	}
	release, err := w.hold()
	if err != nil {
		return nil, writeFault(err)
	}
	defer release()
	rows, err := w.stageFiles(ctx)
	if err != nil {
		return nil, err
	}
	m, err := w.manifest(rows)
	if err != nil {
		return nil, writeFault(err)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	published, already, err := w.commit(m, func() ([]string, error) { return w.replaced(m) })
	if err != nil {
		return nil, writeFault(err)
	}
	return &Published{Files: published.names(), Rows: published.Rows, Bytes: published.Bytes, Already: already}, nil
}

// writer writes one load's files aside and knows the names they get.
type writer struct {
	publisher
	engine Engine
	load   Load
	format definition.Format
	base   string // what file names begin with: the prefix's last part and the sink
	ending string
}

func (s *Store) newWriter(e Engine, l Load) (*writer, error) {
	o := l.Sink.Storage
	prefix, err := s.cleanPrefix(o.Prefix)
	if err != nil {
		return nil, err
	}
	w := &writer{
		publisher: publisher{store: s, dir: directory(prefix), sink: l.Sink.Name, publication: l.Publication, execution: l.Execution, attempt: l.Attempt},
		engine:    e, load: l, format: o.Format,
		base: path.Base("/" + prefix),
	}
	if strings.HasSuffix(prefix, "/") || prefix == "" {
		w.base = ""
	}
	w.base += l.Sink.Name + "-"
	w.ending = "." + string(o.Format)
	if o.Format != definition.FormatParquet {
		w.ending += endings[o.Compression]
	}
	if l.Sink.Mode == definition.WriteMergeOnKey {
		return nil, fault.Errorf(models.ClassInvalidDefinition, "the sink %s: merge_on_key is for databases, not files", l.Sink.Name)
	}
	if l.Sink.Mode == definition.WriteOverwritePartition && len(o.PartitionBy) == 0 {
		return nil, fault.Errorf(models.ClassInvalidDefinition, "the sink %s: overwrite_partition needs partition_by", l.Sink.Name)
	}
	return w, nil
}

// stageFiles writes the rows into the attempt's own directory.
func (w *writer) stageFiles(ctx context.Context) (int64, error) {
	stage := w.stage()
	if w.load.Empty {
		return 0, nil
	}
	columns, err := w.engine.Describe(ctx, w.load.Input)
	if err != nil {
		return 0, err
	}
	partitions := w.load.Sink.Storage.PartitionBy
	if err := duckdb.Require(w.load.Input, columns, partitions...); err != nil {
		return 0, err
	}
	if len(partitions) == len(columns) && len(partitions) > 0 {
		return 0, fault.Errorf(models.ClassInvalidDefinition, "the sink %s: partition_by names every column, so nothing would be left in the files", w.sink)
	}
	options, err := w.options()
	if err != nil {
		return 0, err
	}
	target := w.store.path(path.Join(stage, "0"+w.plainEnding()))
	if len(partitions) > 0 {
		target = w.store.path(stage)
		options += fmt.Sprintf(", PARTITION_BY (%s), OVERWRITE_OR_IGNORE, FILENAME_PATTERN 'part-{i}'", duckdb.Idents(partitions))
		if ending := w.plainEnding(); ending != "" {
			options += ", FILE_EXTENSION " + duckdb.Literal(strings.TrimPrefix(ending, "."))
		}
	}
	rows, err := w.engine.Copy(ctx, w.query(columns), target, options)
	if err != nil {
		return 0, err
	}
	return rows, w.packSnappy()
}

// plainEnding is the ending of what DuckDB writes: snappy text it cannot.
func (w *writer) plainEnding() string { return strings.TrimSuffix(w.ending, ".sz") }

// query selects the rows. JSON has no number for NaN and the infinities, so they are an error there.
func (w *writer) query(columns []task.Column) string {
	if w.format != definition.FormatJSON {
		return "SELECT * FROM " + duckdb.Ident(w.load.Input)
	}
	items := make([]string, len(columns))
	for i, c := range columns {
		items[i] = duckdb.Ident(c.Name)
		if c.Type == "DOUBLE" || c.Type == "FLOAT" {
			items[i] = fmt.Sprintf("CASE WHEN isfinite(%[1]s) OR %[1]s IS NULL THEN %[1]s ELSE error(%[2]s) END AS %[1]s",
				duckdb.Ident(c.Name), duckdb.Literal("the column "+c.Name+" holds NaN or infinity, which JSON cannot write; replace it before, or write Parquet"))
		}
	}
	return fmt.Sprintf("SELECT %s FROM %s", strings.Join(items, ", "), duckdb.Ident(w.load.Input))
}

func (w *writer) options() (string, error) {
	o := w.load.Sink.Storage
	compression := o.Compression
	switch o.Format {
	case definition.FormatParquet:
		if compression == definition.CompressionAuto {
			compression = definition.CompressionSnappy
		}
		if compression == definition.CompressionNone {
			return "FORMAT parquet, COMPRESSION uncompressed", nil
		}
		return "FORMAT parquet, COMPRESSION " + string(compression), nil
	case definition.FormatCSV:
		d, err := dialectOf(o.CSV)
		if err != nil {
			return "", err
		}
		return fmt.Sprintf("FORMAT csv, HEADER %t, DELIMITER %s, QUOTE %s, ESCAPE %s, COMPRESSION %s", d.header, duckdb.Literal(d.delimiter),
			duckdb.Literal(d.quote), duckdb.Literal(d.quote), duckWriting(compression)), nil
	case definition.FormatJSON:
		return "FORMAT json, COMPRESSION " + duckWriting(compression), nil
	}
	return "", fault.Errorf(models.ClassInvalidDefinition, "the format %q is not supported by this release", o.Format)
}

// duckWriting is DuckDB's name for a compression of text files; snappy it does not know, see packSnappy.
func duckWriting(c definition.Compression) string {
	if c == definition.CompressionGzip || c == definition.CompressionZstd {
		return string(c)
	}
	return "none"
}

// packSnappy compresses what DuckDB wrote plain.
func (w *writer) packSnappy() error {
	if !strings.HasSuffix(w.ending, ".sz") {
		return nil
	}
	names, _, err := w.staged()
	if err != nil {
		return writeFault(err)
	}
	for _, name := range names {
		plain := w.store.path(path.Join(w.stage(), name))
		if err := snappyCompress(plain, plain+".sz"); err != nil {
			return writeFault(err)
		}
		if err := os.Remove(plain); err != nil {
			return writeFault(err)
		}
	}
	return nil
}

// manifest gives every staged file its name: below the directory of its partition, numbered in order.
func (w *writer) manifest(rows int64) (*manifest, error) {
	names, size, err := w.staged()
	if err != nil {
		return nil, err
	}
	m := &manifest{Sink: w.sink, Publication: w.publication, Execution: w.execution, Attempt: w.attempt, Rows: rows, Bytes: size, Files: []publication{}}
	for i, name := range names {
		m.Files = append(m.Files, publication{
			Name:   path.Join(w.dir, path.Dir(name), fmt.Sprintf("%s%s-%d%s", w.base, w.execution, i, w.ending)),
			Staged: path.Join(w.stage(), name),
		})
	}
	return m, nil
}

// replaced lists the files of the sink's earlier executions that this publication replaces.
func (w *writer) replaced(m *manifest) ([]string, error) {
	dirs := map[string]bool{}
	switch w.load.Sink.Mode {
	case definition.WriteOverwrite:
	case definition.WriteOverwritePartition:
		for _, f := range m.Files {
			dirs[path.Dir(f.Name)] = true
		}
	default:
		return nil, nil
	}
	fresh := map[string]bool{}
	for _, f := range m.Files {
		fresh[f.Name] = true
	}
	all, err := w.own()
	return slices.DeleteFunc(all, func(at string) bool {
		whole := len(dirs) == 0 && w.load.Sink.Mode == definition.WriteOverwrite
		return fresh[at] || !whole && !dirs[path.Dir(at)]
	}), err
}

// own lists the files that the sink's executions have published.
func (w *writer) own() ([]string, error) {
	name, err := regexp.Compile("^" + regexp.QuoteMeta(w.base) + publishedName)
	if err != nil {
		return nil, err
	}
	var own []string
	err = fs.WalkDir(w.store.root.FS(), w.dir, func(at string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			// Below the sink's directory only partitions are its own.
			if at != w.dir && (hidden(entry.Name()) || !strings.Contains(entry.Name(), "=")) {
				return fs.SkipDir
			}
			return nil
		}
		if name.MatchString(entry.Name()) {
			own = append(own, at)
		}
		return nil
	})
	return own, err
}

// writeFault is the failure of writing files.
func writeFault(err error) error {
	f := fault.Of(err)
	if f.Class != models.ClassInternal {
		return f
	}
	if errors.Is(err, fs.ErrPermission) {
		return fault.Because(fault.Errorf(models.ClassSink, "the connection's directory cannot be written to: permission denied"), err)
	}
	return fault.Because(fault.Transientf(models.ClassSink, "the files could not be published"), err)
}
