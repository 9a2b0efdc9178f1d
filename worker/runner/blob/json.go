package blob

import (
	"context"
	"fmt"
	"strings"

	"github.com/matih/pipeline-service/models/definition"
	"github.com/matih/pipeline-service/worker/runner/duckdb"
)

// judged are the types DuckDB guesses in JSON that it may have guessed with a loss: a DOUBLE may be a longer number, a
// time may have had an offset, a text may be a time it did not recognize. They are read as text, and the
// candidates decide.
var judged = map[string][]candidate{
	"DOUBLE":                   only("DOUBLE"),
	"HUGEINT":                  {only("BIGINT")[0], {"HUGEINT", `CAST(TRY_CAST(%[1]s AS HUGEINT) AS VARCHAR) = %[1]s`, looksInteger}},
	"VARCHAR":                  times,
	"DATE":                     times,
	"TIME":                     times,
	"TIMESTAMP":                times,
	"TIMESTAMP WITH TIME ZONE": times,
	"UUID":                     nil,
}

var times = only("DATE", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE", "TIME")

// nestedAsText is what becomes of times inside lists and structs, which are not judged one by one.
var nestedAsText = map[string]string{
	"DATE":                     "VARCHAR",
	"TIME":                     "VARCHAR",
	"TIMESTAMP":                "VARCHAR",
	"TIMESTAMP WITH TIME ZONE": "VARCHAR",
	"UUID":                     "VARCHAR",
}

// readJSON defines the view over JSON files: lines or one array of objects.
func (s *Store) readJSON(ctx context.Context, e Engine, files []file, src *definition.StorageSource, to Dest) error {
	var filled []file
	for _, f := range files {
		if f.Size > 0 {
			filled = append(filled, f)
		}
	}
	if len(filled) == 0 {
		return errNoColumns
	}
	return ViewJSON(ctx, e, s.paths(filled), src.Schema, to)
}

// ViewJSON defines the view SourceView over JSON files of lines or one array of objects: the columns are the union
// of the objects' keys, with the types of the schema, else those that hold all values without loss.
func ViewJSON(ctx context.Context, e Engine, paths []string, schema []definition.ColumnType, to Dest) error {
	from := duckdb.List(paths) + ", format = 'auto', compression = 'uncompressed'"
	looked := -1 // at all rows
	if to.MaxRows > 0 {
		looked = to.MaxRows
	}
	detected, err := e.DescribeQuery(ctx, fmt.Sprintf(
		"SELECT * FROM read_json(%s, sample_size = %d, union_by_name = true, map_inference_threshold = -1, field_appearance_threshold = 0)", from, looked))
	if err != nil {
		return err
	}
	given := schemaTypes(schema)
	var (
		pairs   [][2]string
		columns []string
		open    []undecided
		types   = map[string]string{}
	)
	for _, c := range detected {
		columns = append(columns, c.Name)
		among, judge := judged[c.Type]
		_, decided := given[strings.ToLower(c.Name)]
		read := duckdb.MapType(c.Type, nestedAsText)
		if judge || decided && !strings.ContainsAny(read, "[(") {
			read = "VARCHAR"
		}
		pairs = append(pairs, [2]string{c.Name, read})
		if judge && !decided {
			open = append(open, undecided{c.Name, among})
		}
		types[c.Name] = read
	}
	return typedView(ctx, e, raw{
		query:   to.bounded(fmt.Sprintf("SELECT * FROM read_json(%s, columns = %s)", from, duckdb.Struct(pairs))),
		columns: columns, types: types, open: open, schema: schema, scratch: to.Scratch,
	})
}
