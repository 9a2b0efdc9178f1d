package duckdb

import (
	"context"
	"fmt"
	"strings"

	"github.com/matih/pipeline-service/models/task"
)

// sampleChars bounds each value of a sample, in characters.
const sampleChars = 200

// sampled is what Sample needs of an engine.
type sampled interface {
	Describe(ctx context.Context, name string) ([]task.Column, error)
	QueryEach(ctx context.Context, query string, each func(scan func(...any) error) error) error
}

var _ sampled = (*Engine)(nil)

// Sample returns up to a number of rows of a view or table to be shown: values as text, long ones cut off, nil for NULL.
func Sample(ctx context.Context, e sampled, name string, rows int) ([]map[string]*string, error) {
	columns, err := e.Describe(ctx, name)
	if err != nil {
		return nil, err
	}
	items := make([]string, len(columns))
	for i, c := range columns {
		items[i] = fmt.Sprintf("left(CAST(%s AS VARCHAR), %d)", Ident(c.Name), sampleChars)
	}
	var sample []map[string]*string
	err = e.QueryEach(ctx, fmt.Sprintf("SELECT %s FROM %s LIMIT %d", strings.Join(items, ", "), Ident(name), rows),
		func(scan func(...any) error) error {
			values := make([]*string, len(columns))
			into := make([]any, len(columns))
			for i := range values {
				into[i] = &values[i]
			}
			if err := scan(into...); err != nil {
				return err
			}
			row := make(map[string]*string, len(columns))
			for i, c := range columns {
				row[c.Name] = values[i]
			}
			sample = append(sample, row)
			return nil
		})
	return sample, err
}
