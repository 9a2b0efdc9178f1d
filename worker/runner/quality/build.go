package quality

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/matih/pipeline-service/models/definition"
	"github.com/matih/pipeline-service/models/task"
	"github.com/matih/pipeline-service/worker/runner/duckdb"
)

// build plans a check. Columns that are null pass every check but not_null.
func build(ctx context.Context, e Engine, c *definition.QualityCheck, now time.Time) (plan, error) {
	columns, err := e.Describe(ctx, c.Input)
	if err != nil {
		return plan{}, err
	}
	if err := duckdb.Require(c.Input, columns, c.Columns...); err != nil {
		return plan{}, err
	}
	var column task.Column
	if len(c.Columns) > 0 {
		column, _ = duckdb.Find(columns, c.Columns[0])
	} else if c.Type != definition.CheckRowCount && c.Type != definition.CheckCustomSQL {
		return plan{}, mistake(c, "it names no column")
	}
	switch c.Type {
	case definition.CheckNotNull:
		return notNull(c), nil
	case definition.CheckUnique:
		return unique(c), nil
	case definition.CheckRange:
		return rangeOf(c, column)
	case definition.CheckAcceptedValues:
		return acceptedValues(c, column)
	case definition.CheckRegex:
		return regex(c, column), nil
	case definition.CheckReferential:
		return referential(ctx, e, c, column)
	case definition.CheckCustomSQL:
		return customSQL(ctx, e, c, columns)
	case definition.CheckRowCount:
		return rowCount(c)
	case definition.CheckFreshness:
		return freshness(e, c, column, now)
	}
	return plan{}, mistake(c, "the type %q is not supported by this release", c.Type)
}

// predicate plans a check of single rows: fails is true for those that fail, and may be null.
func predicate(c *definition.QualityCheck, fails, words string) plan {
	input := duckdb.Ident(c.Input)
	return plan{
		count:   fmt.Sprintf("SELECT count(*), count(*) FILTER (WHERE %s) FROM %s", fails, input),
		failing: fmt.Sprintf("SELECT * FROM %s WHERE %s", input, fails),
		passing: fmt.Sprintf("SELECT * FROM %s WHERE NOT coalesce(%s, false)", input, fails),
		words:   words,
	}
}

func notNull(c *definition.QualityCheck) plan {
	terms := make([]string, len(c.Columns))
	for i, name := range c.Columns {
		terms[i] = duckdb.Ident(name) + " IS NULL"
	}
	return predicate(c, "("+strings.Join(terms, " OR ")+")", "have no value in "+strings.Join(c.Columns, " or "))
}

// unique counts every row of a repeated key but its first. As in SQL, rows with a null in the key
// repeat nothing.
func unique(c *definition.QualityCheck) plan {
	input, keys := duckdb.Ident(c.Input), duckdb.Idents(c.Columns)
	present := make([]string, len(c.Columns))
	for i, name := range c.Columns {
		present[i] = duckdb.Ident(name) + " IS NOT NULL"
	}
	whole := strings.Join(present, " AND ")
	p := plan{
		count: fmt.Sprintf("SELECT (SELECT count(*) FROM %[1]s), (SELECT coalesce(sum(n - 1), 0)::BIGINT FROM (SELECT count(*) AS n FROM %[1]s WHERE %[2]s GROUP BY %[3]s))",
			input, whole, keys),
		failing: fmt.Sprintf("SELECT * FROM %s WHERE %s QUALIFY row_number() OVER (PARTITION BY %s) > 1", input, whole, keys),
		words:   "repeat the key " + strings.Join(c.Columns, ", ") + " of another row",
	}
	if c.OnFailure == definition.OnFailureQuarantine {
		// Which row of a key is the first is open, so it is decided once and kept.
		p.keptAs = flaggedRows
		p.kept = fmt.Sprintf("SELECT *, (%s) AND row_number() OVER (PARTITION BY %s) > 1 AS %s FROM %s", whole, keys, flagColumn, input)
		p.count = fmt.Sprintf("SELECT count(*), count(*) FILTER (WHERE %s) FROM %s", flagColumn, flaggedRows)
		p.failing = fmt.Sprintf("SELECT * EXCLUDE (%[1]s) FROM %[2]s WHERE %[1]s", flagColumn, flaggedRows)
		p.passing = fmt.Sprintf("SELECT * EXCLUDE (%[1]s) FROM %[2]s WHERE NOT %[1]s", flagColumn, flaggedRows)
	}
	return p
}

func regex(c *definition.QualityCheck, column task.Column) plan {
	return predicate(c,
		fmt.Sprintf("NOT regexp_matches(CAST(%s AS VARCHAR), %s)", duckdb.Ident(column.Name), duckdb.Literal(c.Pattern)),
		fmt.Sprintf("do not match %s in %s", c.Pattern, column.Name))
}

func referential(ctx context.Context, e Engine, c *definition.QualityCheck, column task.Column) (plan, error) {
	reference, err := e.Describe(ctx, c.Reference)
	if err != nil {
		return plan{}, err
	}
	if err := duckdb.Require(c.Reference, reference, c.ReferenceColumn); err != nil {
		return plan{}, err
	}
	target, _ := duckdb.Find(reference, c.ReferenceColumn)
	if (target.Type == "VARCHAR") != (column.Type == "VARCHAR") {
		return plan{}, mistake(c, "%s is %s but %s.%s is %s; cast one of them in a step before",
			column.Name, column.Type, c.Reference, target.Name, target.Type)
	}
	join := fmt.Sprintf("FROM %s AS i %%s JOIN %s AS r ON i.%s = r.%s", duckdb.Ident(c.Input), duckdb.Ident(c.Reference),
		duckdb.Ident(column.Name), duckdb.Ident(target.Name))
	missing := fmt.Sprintf("%s WHERE i.%s IS NOT NULL", fmt.Sprintf(join, "ANTI"), duckdb.Ident(column.Name))
	return plan{
		count:   fmt.Sprintf("SELECT (SELECT count(*) FROM %s), (SELECT count(*) %s)", duckdb.Ident(c.Input), missing),
		failing: "SELECT i.* " + missing,
		passing: fmt.Sprintf("SELECT i.* %s UNION ALL SELECT * FROM %s WHERE %s IS NULL",
			fmt.Sprintf(join, "SEMI"), duckdb.Ident(c.Input), duckdb.Ident(column.Name)),
		words: fmt.Sprintf("have a %s that %s.%s does not hold", column.Name, c.Reference, target.Name),
	}, nil
}

// customSQL takes the rows a query returns as the failing ones. Where they are to be set aside they
// must be rows of the input: those that go on are the input EXCEPT ALL them.
func customSQL(ctx context.Context, e Engine, c *definition.QualityCheck, columns []task.Column) (plan, error) {
	text := duckdb.NameInput(c.SQL, c.Input)
	if err := e.CheckSelect(ctx, text); err != nil {
		return plan{}, err
	}
	p := plan{
		kept: text, keptAs: failingRows,
		count:   fmt.Sprintf("SELECT (SELECT count(*) FROM %s), (SELECT count(*) FROM %s)", duckdb.Ident(c.Input), failingRows),
		failing: "SELECT * FROM " + failingRows,
		words:   "are returned by the check's SQL",
	}
	if c.OnFailure != definition.OnFailureQuarantine {
		return p, nil
	}
	if err := e.CreateView(ctx, "_probe", text); err != nil {
		return plan{}, err
	}
	returned, err := e.Describe(ctx, "_probe")
	if err != nil {
		return plan{}, err
	}
	if !sameColumns(columns, returned) {
		return plan{}, mistake(c, "with on_failure: quarantine its SQL must return whole rows of %s (%s), but it returns %s",
			c.Input, duckdb.Enumerate(duckdb.Names(columns)), duckdb.Enumerate(duckdb.Names(returned)))
	}
	p.passing = fmt.Sprintf("SELECT * FROM %s EXCEPT ALL SELECT %s FROM %s", duckdb.Ident(c.Input), duckdb.Idents(duckdb.Names(columns)), failingRows)
	p.kept = fmt.Sprintf("SELECT %s FROM (\n%s\n)", duckdb.Idents(duckdb.Names(columns)), strings.TrimRight(strings.TrimSpace(text), "; \n\t"))
	return p, e.CheckSelect(ctx, p.kept)
}

func sameColumns(a, b []task.Column) bool {
	if len(a) != len(b) {
		return false
	}
	for _, c := range a {
		if other, ok := duckdb.Find(b, c.Name); !ok || other.Type != c.Type {
			return false
		}
	}
	return true
}
