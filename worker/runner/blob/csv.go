package blob

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/definition"
	"github.com/matih/pipeline-service/worker/runner/duckdb"
	"github.com/matih/pipeline-service/worker/runner/fault"
)

// maxHeader bounds the first line of a CSV file.
const maxHeader = 1 << 20

// dialect is a CSV file's form.
type dialect struct {
	delimiter, quote string
	header           bool
}

func dialectOf(o *definition.CSVOptions) (dialect, error) {
	d := dialect{delimiter: ",", quote: `"`, header: true}
	if o != nil {
		d.header = o.Header
		if o.Delimiter != "" {
			d.delimiter = o.Delimiter
		}
		if o.QuoteChar != "" {
			d.quote = o.QuoteChar
		}
	}
	if len(d.delimiter) != 1 || len(d.quote) != 1 || d.delimiter == d.quote || strings.ContainsAny(d.delimiter+d.quote, "\r\n") {
		return d, fault.Errorf(models.ClassInvalidDefinition, "csv_options: delimiter and quote_char must be two different ASCII characters")
	}
	return d, nil
}

// csvGroup is files with the same columns.
type csvGroup struct {
	columns []string
	files   []file
}

// csvQuery reads the files as text, united by the names of their columns.
func (s *Store) csvQuery(files []file, d dialect, schema []definition.ColumnType) (string, []string, error) {
	groups, err := s.csvGroups(files, d, schema)
	if err != nil {
		return "", nil, err
	}
	var (
		queries []string
		all     []string
		known   = map[string]bool{}
	)
	for _, g := range groups {
		pairs := make([][2]string, len(g.columns))
		for i, name := range g.columns {
			pairs[i] = [2]string{name, "VARCHAR"}
			if !known[strings.ToLower(name)] {
				known[strings.ToLower(name)] = true
				all = append(all, name)
			}
		}
		queries = append(queries, fmt.Sprintf("SELECT * FROM read_csv(%s, auto_detect = false, columns = %s, header = %t, delim = %s, quote = %s, escape = %s, "+
			"nullstr = '', allow_quoted_nulls = false, strict_mode = true, compression = 'none')",
			duckdb.List(s.paths(g.files)), duckdb.Struct(pairs), d.header, duckdb.Literal(d.delimiter), duckdb.Literal(d.quote), duckdb.Literal(d.quote)))
	}
	return strings.Join(queries, "\nUNION ALL BY NAME\n"), all, nil
}

// csvGroups reads the first line of every file and groups files by columns.
func (s *Store) csvGroups(files []file, d dialect, schema []definition.ColumnType) ([]*csvGroup, error) {
	var groups []*csvGroup
	byKey := map[string]*csvGroup{}
	for _, f := range files {
		record, err := s.firstRecord(f, d)
		if errors.Is(err, io.EOF) {
			continue // an empty file has no columns and no rows
		}
		if err != nil {
			return nil, err
		}
		columns, err := columnNames(f, record, d, schema)
		if err != nil {
			return nil, err
		}
		key := strings.Join(columns, "\x00")
		if byKey[key] == nil {
			byKey[key] = &csvGroup{columns: columns}
			groups = append(groups, byKey[key])
		}
		byKey[key].files = append(byKey[key].files, f)
	}
	return groups, nil
}

// columnNames keeps the names of the header as they are. Without one the schema names the columns in
// its order, else they are column0, column1, …
func columnNames(f file, record []string, d dialect, schema []definition.ColumnType) ([]string, error) {
	names := make([]string, len(record))
	seen := map[string]bool{}
	for i, field := range record {
		switch {
		case d.header && field != "":
			names[i] = field
		case !d.header && len(schema) == len(record):
			names[i] = schema[i].Column
		default:
			names[i] = fmt.Sprintf("column%d", i)
		}
		key := strings.ToLower(names[i])
		if seen[key] {
			return nil, fault.Errorf(models.ClassData, "%s, line 1: two columns are named %q; columns need different names (case does not count)", f.Name, names[i])
		}
		seen[key] = true
	}
	return names, nil
}

// firstRecord reads the fields of a file's first line.
func (s *Store) firstRecord(f file, d dialect) ([]string, error) {
	opened, err := s.open(f)
	if err != nil {
		return nil, readFault(err)
	}
	defer opened.Close()
	reader := bufio.NewReader(io.LimitReader(opened, maxHeader))
	if mark, _ := reader.Peek(3); len(mark) >= 2 {
		if string(mark) == "\xef\xbb\xbf" {
			_, _ = reader.Discard(3)
		} else if string(mark[:2]) == "\xff\xfe" || string(mark[:2]) == "\xfe\xff" {
			return nil, fault.Errorf(models.ClassData, "%s is UTF-16; files must be UTF-8", f.Name)
		}
	}
	record, err := parseRecord(reader, d)
	switch {
	case errors.Is(err, io.EOF):
		return nil, io.EOF
	case errors.Is(err, errQuote):
		return nil, fault.Errorf(models.ClassData, "%s, line 1: a quote is opened and not closed", f.Name)
	case err != nil:
		return nil, damaged(f, err)
	}
	for _, field := range record {
		if !utf8.ValidString(field) {
			return nil, fault.Errorf(models.ClassData, "%s, line 1: it is not UTF-8", f.Name)
		}
	}
	return record, nil
}

var errQuote = errors.New("unclosed quote")

// parseRecord reads one record: fields between delimiters, quoted ones with doubled quotes inside. It
// returns io.EOF where there is nothing.
func parseRecord(r *bufio.Reader, d dialect) ([]string, error) {
	var (
		record []string
		field  strings.Builder
		quoted bool
		any    bool
	)
	for {
		b, err := r.ReadByte()
		if errors.Is(err, io.EOF) {
			if quoted {
				return nil, errQuote
			}
			if !any {
				return nil, io.EOF
			}
			return append(record, field.String()), nil
		}
		if err != nil {
			return nil, err
		}
		any = true
		switch {
		case quoted && b == d.quote[0]:
			if next, _ := r.Peek(1); len(next) == 1 && next[0] == d.quote[0] {
				_, _ = r.Discard(1)
				field.WriteByte(b)
			} else {
				quoted = false
			}
		case quoted:
			field.WriteByte(b)
		case b == d.quote[0] && field.Len() == 0:
			quoted = true
		case b == d.delimiter[0]:
			record = append(record, field.String())
			field.Reset()
		case b == '\r':
			if next, _ := r.Peek(1); len(next) == 1 && next[0] == '\n' {
				_, _ = r.Discard(1)
			}
			return append(record, field.String()), nil
		case b == '\n':
			return append(record, field.String()), nil
		default:
			field.WriteByte(b)
		}
	}
}

// readCSV defines the view over CSV files with the types that keep every value.
func (s *Store) readCSV(ctx context.Context, e Engine, files []file, src *definition.StorageSource, to Dest) error {
	d, err := dialectOf(src.CSV)
	if err != nil {
		return err
	}
	query, columns, err := s.csvQuery(files, d, src.Schema)
	if err != nil {
		return err
	}
	if len(columns) == 0 {
		return errNoColumns
	}
	var open []undecided
	given := schemaTypes(src.Schema)
	for _, column := range columns {
		if _, ok := given[strings.ToLower(column)]; !ok {
			open = append(open, undecided{column: column, among: candidates})
		}
	}
	return typedView(ctx, e, raw{query: to.bounded(query), columns: columns, open: open, schema: src.Schema, scratch: to.Scratch})
}
