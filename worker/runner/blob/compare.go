package blob

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/definition"
	"github.com/matih/pipeline-service/models/task"
	"github.com/matih/pipeline-service/worker/runner/duckdb"
)

// Compare tells how the rows of a view differ from the file a sink published last, and whether both can be one data set. It
// changes nothing. Text files have no types, so there only names count.
func (s *Store) Compare(ctx context.Context, e Engine, sink *definition.Sink, input string) (*models.SinkFinding, error) {
	w, err := s.newWriter(e, Load{Sink: sink, Input: input})
	if err != nil {
		return nil, err
	}
	columns, err := e.Describe(ctx, input)
	if err != nil {
		return nil, err
	}
	partitions := sink.Storage.PartitionBy
	if err := duckdb.Require(input, columns, partitions...); err != nil {
		return nil, err
	}
	columns = slices.DeleteFunc(columns, func(c task.Column) bool { return containsName(partitions, c.Name) }) // they name directories
	last, err := w.last()
	if err != nil {
		return nil, readFault(err)
	}
	found := &models.SinkFinding{Exists: last != "", Compatible: true}
	var there []task.Column
	if last != "" {
		if there, err = w.columnsOf(ctx, last); err != nil {
			return nil, err
		}
		if len(there) == 0 {
			return found, nil // the file does not tell
		}
	}
	found.Changes = changes(there, columns)
	if sink.Mode != definition.WriteOverwrite {
		for _, c := range found.Changes {
			if c.Change == models.ColumnTypeChanged {
				found.Compatible = false
				found.Reason = fmt.Sprintf("%s is %s in the published files, which stay, and would be %s", c.Column, c.From, c.To)
				break
			}
		}
	}
	return found, nil
}

// last is the file of the sink's format that was published last, "" where there is none.
func (w *writer) last() (string, error) {
	own, err := w.own()
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	last := ""
	for _, name := range own {
		// The ids of executions sort by time.
		if strings.HasSuffix(name, w.ending) && (last == "" || path.Base(name) > path.Base(last)) {
			last = name
		}
	}
	return last, err
}

// columnsOf reads the columns of a published file; text files have no types.
func (w *writer) columnsOf(ctx context.Context, name string) ([]task.Column, error) {
	if w.format == definition.FormatParquet {
		columns, err := w.engine.DescribeQuery(ctx, fmt.Sprintf("SELECT * FROM read_parquet(%s, hive_partitioning = false)",
			duckdb.List([]string{w.store.path(name)})))
		return columns, ofData(err)
	}
	opened, err := w.store.root.Open(name)
	if err != nil {
		return nil, readFault(err)
	}
	defer opened.Close()
	plain, err := decompress(opened, compressionOf(definition.CompressionAuto, name))
	if err != nil {
		return nil, damaged(file{Name: name}, err)
	}
	defer plain.Close()
	names, err := w.names(bufio.NewReader(io.LimitReader(plain, maxHeader)))
	if err != nil {
		return nil, damaged(file{Name: name}, err)
	}
	columns := make([]task.Column, len(names))
	for i, name := range names {
		columns[i].Name = name
	}
	return columns, nil
}

// names reads the columns' names from the first line of a text file. A CSV file without a header has none.
func (w *writer) names(r *bufio.Reader) ([]string, error) {
	if w.format == definition.FormatCSV {
		d, err := dialectOf(w.load.Sink.Storage.CSV)
		if err != nil || !d.header {
			return nil, err
		}
		names, err := parseRecord(r, d)
		if errors.Is(err, io.EOF) {
			return nil, nil
		}
		return names, err
	}
	line, err := r.ReadBytes('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return keys(line)
}

// keys lists the keys of a JSON object in their order.
func keys(object []byte) ([]string, error) {
	d := json.NewDecoder(bytes.NewReader(object))
	if _, err := d.Token(); err != nil { // {
		if errors.Is(err, io.EOF) {
			return nil, nil
		}
		return nil, err
	}
	var names []string
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, err
		}
		names = append(names, fmt.Sprint(name))
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, err
		}
	}
	return names, nil
}

// changes lists what would differ: the columns that come in their order, then those that go. Types count where both
// are known.
func changes(from, to []task.Column) []models.ColumnChange {
	var changes []models.ColumnChange
	for _, c := range to {
		old, ok := duckdb.Find(from, c.Name)
		switch {
		case !ok:
			changes = append(changes, models.ColumnChange{Column: c.Name, Change: models.ColumnAdded, To: c.Type})
		case old.Type != "" && old.Type != c.Type:
			changes = append(changes, models.ColumnChange{Column: c.Name, Change: models.ColumnTypeChanged, From: old.Type, To: c.Type})
		}
	}
	for _, c := range from {
		if _, ok := duckdb.Find(to, c.Name); !ok {
			changes = append(changes, models.ColumnChange{Column: c.Name, Change: models.ColumnRemoved, From: c.Type})
		}
	}
	return changes
}
