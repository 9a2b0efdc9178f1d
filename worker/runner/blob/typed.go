package blob

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/definition"
	"github.com/matih/pipeline-service/worker/runner/duckdb"
	"github.com/matih/pipeline-service/worker/runner/fault"
)

// errNoColumns says that nothing tells what the columns are: the files are empty.
var errNoColumns = errors.New("no columns")

func schemaTypes(schema []definition.ColumnType) map[string]string {
	types := make(map[string]string, len(schema))
	for _, c := range schema {
		types[strings.ToLower(c.Column)] = c.Type
	}
	return types
}

// raw is what files hold before their texts have types.
type raw struct {
	query   string
	columns []string
	types   map[string]string // of the columns that have one already
	open    []undecided       // columns of text that may become something else
	schema  []definition.ColumnType
	scratch string
}

// typedView defines the source's view: the columns with the types of the schema, else those found. The files
// are parsed once, into scratch: what is judged is what is staged, even if a file changes meanwhile.
func typedView(ctx context.Context, e Engine, r raw) error {
	given := schemaTypes(r.schema)
	for _, c := range r.schema {
		if !containsName(r.columns, c.Column) {
			return fault.Errorf(models.ClassData, "the schema names the column %q, which the files do not have; they have %s", c.Column, duckdb.Enumerate(r.columns))
		}
	}
	parsed := filepath.Join(r.scratch, "parsed.parquet")
	if _, err := e.Copy(ctx, r.query, parsed, "FORMAT parquet, COMPRESSION lz4_raw"); err != nil {
		return err
	}
	relation := "read_parquet(" + duckdb.Literal(parsed) + ")"
	types, err := infer(ctx, e, relation, r.open)
	if err != nil {
		return err
	}
	items := make([]string, len(r.columns))
	for i, column := range r.columns {
		t, ok := given[strings.ToLower(column)]
		if !ok {
			if t, ok = types[column]; !ok {
				t = r.types[column]
			}
		}
		items[i] = typed(duckdb.Ident(column), t)
	}
	return e.CreateView(ctx, SourceView, fmt.Sprintf("SELECT %s FROM %s", strings.Join(items, ", "), relation))
}

// typed casts a column. An empty text is no value of any type but text.
func typed(column, t string) string {
	value := column
	nested := strings.HasSuffix(t, "]") || strings.HasPrefix(t, "STRUCT(") || strings.HasPrefix(t, "MAP(")
	if !nested && t != "JSON" && !strings.EqualFold(t, "VARCHAR") {
		value = fmt.Sprintf("nullif(CAST(%s AS VARCHAR), '')", column)
	}
	return fmt.Sprintf("CAST(%s AS %s) AS %s", value, t, column)
}

func containsName(names []string, name string) bool {
	for _, n := range names {
		if duckdb.SameName(n, name) {
			return true
		}
	}
	return false
}
