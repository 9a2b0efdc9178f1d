package blob

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"

	"github.com/matih/pipeline-service/worker/runner/duckdb"
)

// candidate is a type that a column of text may become. holds is true for a text (%[1]s) that the type keeps
// whole: what is read back from it says the same. looks is true for every such text and for others too; it costs
// next to nothing, where each holds is compiled into a query.
type candidate struct {
	typ   string
	holds string
	looks func(text string) bool
}

// A number with more than 15 significant digits is kept by DOUBLE only if it is written the way DuckDB
// writes that very DOUBLE.
const doubleHolds = `regexp_full_match(%[1]s, '-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]{1,2})?')
 AND (length(%[1]s) <= 16
  OR CAST(TRY_CAST(%[1]s AS DOUBLE) AS VARCHAR) = %[1]s
  OR length(regexp_replace(regexp_replace(split_part(lower(%[1]s), 'e', 1), '(\.[0-9]*?)0+$', '\1'), '^-?0?\.?0*|\.', '', 'g')) <= 15)`

// candidates in order of preference. Times with an offset other than UTC stay text, because no type
// keeps the offset.
var candidates = []candidate{
	{"BOOLEAN", `lower(%[1]s) IN ('true', 'false')`, looksBoolean},
	{"BIGINT", `CAST(TRY_CAST(%[1]s AS BIGINT) AS VARCHAR) = %[1]s`, looksInteger},
	{"DOUBLE", doubleHolds, looksNumber},
	{"DATE", `CAST(TRY_CAST(%[1]s AS DATE) AS VARCHAR) = %[1]s`, looksDate},
	{"TIMESTAMP", `regexp_full_match(%[1]s, '\d{4}-\d{2}-\d{2}[ T]\d{2}:\d{2}:\d{2}(\.\d{1,6})?') AND TRY_CAST(%[1]s AS TIMESTAMP) IS NOT NULL`, looksTimestamp},
	{"TIMESTAMP WITH TIME ZONE", `regexp_full_match(%[1]s, '\d{4}-\d{2}-\d{2}[ T]\d{2}:\d{2}:\d{2}(\.\d{1,6})?(Z|[+-]00(:?00)?)') AND TRY_CAST(%[1]s AS TIMESTAMPTZ) IS NOT NULL`, looksTimestamp},
	{"TIME", `regexp_full_match(%[1]s, '\d{2}:\d{2}:\d{2}(\.\d{1,6})?') AND TRY_CAST(%[1]s AS TIME) IS NOT NULL`, looksTime},
}

func looksBoolean(text string) bool {
	return strings.EqualFold(text, "true") || strings.EqualFold(text, "false")
}

func looksInteger(text string) bool { return strings.Trim(text, "-0123456789") == "" }

func looksNumber(text string) bool { return strings.Trim(text, "-+.eE0123456789") == "" }

// looksDate knows that DuckDB also reads "infinity" and years before Christ.
func looksDate(text string) bool {
	return strings.Count(text, "-") >= 2 || strings.HasSuffix(text, "infinity")
}

func looksTimestamp(text string) bool { return len(text) >= 19 && text[4] == '-' && text[13] == ':' }

func looksTime(text string) bool { return len(text) >= 8 && text[2] == ':' }

// inferSample is how many rows decide which candidates are worth the look at all rows, inferColumns how
// many columns are looked at in one query: each candidate is compiled into it.
const (
	inferSample  = 500
	inferColumns = 24
)

// undecided is a column of text and the types it may become.
type undecided struct {
	column string
	among  []candidate
}

// infer finds the narrowest type that keeps every value of each column, over all rows of the relation,
// whose columns are text. Columns that hold nothing stay text.
func infer(ctx context.Context, e Engine, relation string, columns []undecided) (map[string]string, error) {
	types := map[string]string{}
	for _, c := range columns {
		types[c.column] = "VARCHAR"
	}
	for len(columns) > 0 {
		n := min(len(columns), inferColumns)
		alive, err := plausible(ctx, e, relation, columns[:n])
		if err != nil {
			return nil, err
		}
		if alive, err = survivors(ctx, e, relation, alive); err != nil {
			return nil, err
		}
		for _, c := range alive {
			types[c.column] = c.among[0].typ
		}
		columns = columns[n:]
	}
	return types, nil
}

// plausible keeps the candidates that the first rows do not rule out, and the columns that have any left.
func plausible(ctx context.Context, e Engine, relation string, columns []undecided) ([]undecided, error) {
	left := make([]undecided, len(columns))
	names := make([]string, len(columns))
	texts := make([]sql.NullString, len(columns))
	into := make([]any, len(columns))
	for i, c := range columns {
		left[i] = undecided{column: c.column, among: slices.Clone(c.among)}
		names[i], into[i] = c.column, &texts[i]
	}
	query := fmt.Sprintf("SELECT %s FROM %s LIMIT %d", duckdb.Idents(names), relation, inferSample)
	err := e.QueryEach(ctx, query, func(scan func(...any) error) error {
		if err := scan(into...); err != nil {
			return err
		}
		for i := range left {
			if text := texts[i].String; text != "" {
				left[i].among = slices.DeleteFunc(left[i].among, func(k candidate) bool { return !k.looks(text) })
			}
		}
		return nil
	})
	return slices.DeleteFunc(left, func(c undecided) bool { return len(c.among) == 0 }), err
}

// survivors keeps the candidates that hold every value of all rows, and the columns that have a value and any
// candidate left.
func survivors(ctx context.Context, e Engine, relation string, columns []undecided) ([]undecided, error) {
	var items []string
	for _, c := range columns {
		name := duckdb.Ident(c.column)
		items = append(items, fmt.Sprintf("count(nullif(%s, '')) > 0", name))
		for _, k := range c.among {
			items = append(items, fmt.Sprintf("coalesce(bool_and(coalesce(%s, false)) FILTER (WHERE %s <> ''), true)", fmt.Sprintf(k.holds, name), name))
		}
	}
	if len(items) == 0 {
		return nil, nil
	}
	answers := make([]bool, len(items))
	into := make([]any, len(items))
	for i := range answers {
		into[i] = &answers[i]
	}
	if err := e.QueryRow(ctx, fmt.Sprintf("SELECT %s FROM %s", strings.Join(items, ", "), relation), into...); err != nil {
		return nil, err
	}
	var alive []undecided
	next := 0
	for _, c := range columns {
		hasValue := answers[next]
		next++
		left := undecided{column: c.column}
		for _, k := range c.among {
			if answers[next] {
				left.among = append(left.among, k)
			}
			next++
		}
		if hasValue && len(left.among) > 0 {
			alive = append(alive, left)
		}
	}
	return alive, nil
}

// only picks candidates by type.
func only(types ...string) []candidate {
	var picked []candidate
	for _, c := range candidates {
		for _, t := range types {
			if c.typ == t {
				picked = append(picked, c)
			}
		}
	}
	return picked
}
