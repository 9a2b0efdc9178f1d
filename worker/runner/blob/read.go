package blob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/definition"
	"github.com/matih/pipeline-service/models/task"
	"github.com/matih/pipeline-service/worker/runner/duckdb"
	"github.com/matih/pipeline-service/worker/runner/fault"
)

// Meter counts what is moved.
type Meter interface {
	AddIn(rows, bytes int64)
}

// Dest is where a source's rows go.
type Dest struct {
	Dir     string // an empty directory for Parquet files
	MaxRows int    // that are read; 0 is all
	Scratch string // a directory for temporary files
	// ScratchBytes bounds what is unpacked there; 0 leaves it open.
	ScratchBytes int64
	Meter        Meter
}

// Found is what a source held.
type Found struct {
	Files   []string
	Rows    int64
	Columns []task.Column
	// Cursor is where an incremental read has ended. Gone counts the files of a batch that is read again which are
	// not there any more as they were.
	Cursor string
	Gone   int
}

// SourceView is what a source's rows are called in SQL.
const SourceView = "_source"

// Read stages the rows of the files that match: of all, or, with a cursor, of those that it leaves.
func (s *Store) Read(ctx context.Context, e Engine, src *definition.StorageSource, from *models.Cursor, to Dest) (*Found, error) {
	files, err := s.list(src.Prefix, src.Pattern)
	if err != nil {
		return nil, err
	}
	if to.MaxRows > 0 {
		files = first(files)
	}
	found := &Found{}
	if from != nil {
		return found, s.readOn(ctx, e, files, src, from, to, found)
	}
	if len(files) == 0 && !src.AllowEmpty {
		return nil, fault.Errorf(models.ClassSource, "no file matches the pattern %q below %q (allow_empty: true accepts that)", orStar(src.Pattern), src.Prefix)
	}
	return found, s.stage(ctx, e, files, src, to, found)
}

// stage stages the rows of files.
func (s *Store) stage(ctx context.Context, e Engine, files []file, src *definition.StorageSource, to Dest, found *Found) error {
	var bytes int64
	for _, f := range files {
		found.Files = append(found.Files, f.Name)
		bytes += f.Size
	}
	if len(files) == 0 {
		return emptySet(ctx, e, src.Schema, to, found)
	}
	read := s.stageText
	if src.Format == definition.FormatParquet {
		read = s.stageParquet
	}
	if err := read(ctx, e, files, src, to, found); err != nil {
		return err
	}
	to.Meter.AddIn(found.Rows, bytes)
	return nil
}

// firstBytes is how much of a source's files a bounded read looks at: the first of them, until they are that large.
const firstBytes = 1 << 20

// first are the files that a bounded read looks at.
func first(files []file) []file {
	var size int64
	for i, f := range files {
		if size += f.Size; size >= firstBytes {
			return files[:i+1]
		}
	}
	return files
}

// bounded is a query for as many of the rows as are read.
func (d Dest) bounded(query string) string {
	if d.MaxRows == 0 {
		return query
	}
	return fmt.Sprintf("SELECT * FROM (\n%s\n) LIMIT %d", query, d.MaxRows)
}

func orStar(pattern string) string {
	if pattern == "" {
		return "*"
	}
	return pattern
}

// emptySet stages no rows: with the schema's columns, or, where nothing is known of them, no file.
func emptySet(ctx context.Context, e Engine, schema []definition.ColumnType, to Dest, found *Found) error {
	if len(schema) == 0 {
		return nil
	}
	items := make([]string, len(schema))
	for i, c := range schema {
		items[i] = fmt.Sprintf("CAST(NULL AS %s) AS %s", c.Type, duckdb.Ident(c.Column))
	}
	if err := e.CreateView(ctx, SourceView, "SELECT "+strings.Join(items, ", ")+" WHERE false"); err != nil {
		return ofData(err)
	}
	return stageView(ctx, e, to, found)
}

func stageView(ctx context.Context, e Engine, to Dest, found *Found) error {
	var err error
	found.Rows, found.Columns, err = e.WriteParquet(ctx, SourceView, filepath.Join(to.Dir, "part-0.parquet"))
	return ofData(err)
}

func (s *Store) stageText(ctx context.Context, e Engine, files []file, src *definition.StorageSource, to Dest, found *Found) error {
	files, err := s.unpack(files, src.Compression, to)
	if err != nil {
		return err
	}
	read := s.readCSV
	if src.Format == definition.FormatJSON {
		read = s.readJSON
	}
	err = read(ctx, e, files, src, to)
	if errors.Is(err, errNoColumns) {
		return emptySet(ctx, e, src.Schema, to, found)
	}
	if err != nil {
		return s.placed(err, files)
	}
	return stageView(ctx, e, to, found)
}

// unpack writes what is compressed into scratch: DuckDB takes a gzip file that was cut off for a whole
// one, and reads plain files with all its threads.
func (s *Store) unpack(files []file, c definition.Compression, to Dest) ([]file, error) {
	left := to.ScratchBytes
	if left <= 0 {
		left = math.MaxInt64 - 1
	}
	for i, f := range files {
		kind := compressionOf(c, f.Name)
		if kind == definition.CompressionNone {
			continue
		}
		at := filepath.Join(to.Scratch, fmt.Sprintf("plain-%d", i))
		n, err := s.unpackFile(f, kind, at, left)
		if err != nil {
			return nil, err
		}
		left -= n
		files[i].At, files[i].Size = at, n
	}
	return files, nil
}

func (s *Store) unpackFile(f file, kind definition.Compression, at string, most int64) (int64, error) {
	in, err := s.open(f)
	if err != nil {
		return 0, readFault(err)
	}
	defer in.Close()
	plain, err := decompress(in, kind)
	if err != nil {
		return 0, damaged(f, err)
	}
	defer plain.Close()
	out, err := os.OpenFile(at, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o640)
	if err != nil {
		return 0, fault.Internal("unpack "+f.Name, err)
	}
	defer out.Close()
	n, err := io.Copy(out, io.LimitReader(plain, most+1))
	switch {
	case n > most:
		return 0, fault.Errorf(models.ClassResources, "%s needs more temporary disk space than the task may use when it is unpacked", f.Name)
	case errors.As(err, new(*fs.PathError)): // writing failed
		return 0, fault.Internal("unpack "+f.Name, err)
	case err != nil:
		return 0, damaged(f, err)
	}
	return n, nil
}

func copyTo(path string, from io.Reader) error {
	out, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o640)
	if err != nil {
		return err
	}
	defer out.Close()
	if _, err := io.Copy(out, from); err != nil {
		return err
	}
	return out.Close()
}

// stageParquet copies files of one schema as they are, and unites others by the names of their columns.
func (s *Store) stageParquet(ctx context.Context, e Engine, files []file, src *definition.StorageSource, to Dest, found *Found) error {
	paths := duckdb.List(s.paths(files))
	query := to.bounded(fmt.Sprintf("SELECT * FROM read_parquet(%s, union_by_name = true, hive_partitioning = false)", paths))
	columns, err := e.DescribeQuery(ctx, query)
	if err != nil {
		return s.damagedParquet(ctx, e, files, err)
	}
	var schemas int64
	err = e.QueryRow(ctx, fmt.Sprintf(`SELECT count(DISTINCT signature) FROM (
SELECT file_name, list((name, type, type_length, repetition_type, num_children, converted_type, scale, precision, logical_type)) AS signature
FROM parquet_schema(%s) GROUP BY file_name)`, paths), &schemas)
	if err != nil {
		return ofData(err)
	}
	if schemas > 1 || len(src.Schema) > 0 || to.MaxRows > 0 {
		if err := castView(ctx, e, SourceView, query, columns, src.Schema); err != nil {
			return ofData(err)
		}
		return stageView(ctx, e, to, found)
	}
	if err := e.QueryRow(ctx, fmt.Sprintf("SELECT sum(num_rows)::BIGINT FROM parquet_file_metadata(%s)", paths), &found.Rows); err != nil {
		return ofData(err)
	}
	found.Columns = columns
	for i, f := range files {
		in, err := s.open(f)
		if err != nil {
			return readFault(err)
		}
		err = copyTo(filepath.Join(to.Dir, fmt.Sprintf("part-%06d.parquet", i)), in)
		_ = in.Close() // it was only read
		if err != nil {
			return fault.Internal("copy "+f.Name, err)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return nil
}

// castView gives columns the types of the schema.
func castView(ctx context.Context, e Engine, name, query string, columns []task.Column, schema []definition.ColumnType) error {
	given := schemaTypes(schema)
	for _, c := range schema {
		if _, ok := duckdb.Find(columns, c.Column); !ok {
			return fault.Errorf(models.ClassData, "the schema names the column %q, which the files do not have; they have %s",
				c.Column, duckdb.Enumerate(duckdb.Names(columns)))
		}
	}
	items := make([]string, len(columns))
	for i, c := range columns {
		items[i] = duckdb.Ident(c.Name)
		if t, ok := given[strings.ToLower(c.Name)]; ok {
			items[i] = fmt.Sprintf("CAST(%s AS %s) AS %s", items[i], t, items[i])
		}
	}
	return e.CreateView(ctx, name, fmt.Sprintf("SELECT %s FROM (%s)", strings.Join(items, ", "), query))
}

// paths are where the files lie on this machine.
func (s *Store) paths(files []file) []string {
	paths := make([]string, len(files))
	for i, f := range files {
		paths[i] = f.At
		if !filepath.IsAbs(f.At) {
			paths[i] = s.path(f.At)
		}
	}
	return paths
}

// open opens a file's bytes; an absolute At is a file of ours in scratch.
func (s *Store) open(f file) (*os.File, error) {
	if filepath.IsAbs(f.At) {
		return os.Open(f.At)
	}
	return s.root.Open(f.At)
}

// damagedParquet finds the file that cannot be read.
func (s *Store) damagedParquet(ctx context.Context, e Engine, files []file, err error) error {
	for _, f := range files {
		if _, err := e.DescribeQuery(ctx, "SELECT * FROM read_parquet("+duckdb.List(s.paths([]file{f}))+")"); err != nil {
			return fault.Because(fault.Errorf(models.ClassData, "%s cannot be read: it is not a Parquet file or damaged", f.Name), err)
		}
	}
	return ofData(err)
}

var (
	csvLine = regexp.MustCompile(`CSV Error on Line: (\d+)`)
	csvFile = regexp.MustCompile(`(?m)^\s*file = (.+)$`)
)

// placed says in which file and line a CSV file is wrong.
func (s *Store) placed(err error, files []file) error {
	var f *task.Failure
	if !errors.As(ofData(err), &f) {
		return err
	}
	line, at := csvLine.FindStringSubmatch(f.Detail), csvFile.FindStringSubmatch(f.Detail)
	if line == nil || at == nil {
		return f
	}
	for i, path := range s.paths(files) {
		if path == strings.TrimSpace(at[1]) {
			_, reason, _ := strings.Cut(f.Message, "Line: "+line[1]+" ")
			f.Message = fmt.Sprintf("%s, line %s: %s", files[i].Name, line[1], reason)
		}
	}
	return f
}

// ofData says that what DuckDB could not read is the data's fault, not that of a statement, which was ours.
func ofData(err error) error {
	var f *task.Failure
	if errors.As(err, &f) && (f.Class == models.ClassSQL || f.Class == models.ClassInternal && !f.Retry) {
		f.Class = models.ClassData
	}
	return err
}
