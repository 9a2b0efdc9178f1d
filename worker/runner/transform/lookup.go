package transform

import (
	"context"
	"fmt"
	"strings"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/definition"
	"github.com/matih/pipeline-service/worker/runner/duckdb"
	"github.com/matih/pipeline-service/worker/runner/fault"
)

func buildLookupJoin(ctx context.Context, e Engine, j *definition.LookupJoin) (Plan, error) {
	in, err := describe(ctx, e, j.Input)
	if err != nil {
		return Plan{}, err
	}
	lookup, err := describe(ctx, e, j.Lookup)
	if err != nil {
		return Plan{}, err
	}
	if err := checkKeys(in, lookup, j.Keys); err != nil {
		return Plan{}, err
	}
	columns, err := lookupColumns(in, lookup, j)
	if err != nil {
		return Plan{}, err
	}
	if err := checkUnique(ctx, e, lookup, j.Keys); err != nil {
		return Plan{}, err
	}
	items := []string{"i.*"}
	for _, c := range columns {
		items = append(items, "l."+duckdb.Ident(c))
	}
	conditions := make([]string, len(j.Keys))
	for i, k := range j.Keys {
		conditions[i] = fmt.Sprintf("i.%s = l.%s", duckdb.Ident(k.Left), duckdb.Ident(k.Right))
	}
	join := "LEFT JOIN"
	if j.How == definition.JoinInner {
		join = "JOIN"
	}
	return Plan{SQL: fmt.Sprintf("SELECT %s FROM %s AS i %s %s AS l ON %s", strings.Join(items, ", "),
		duckdb.Ident(in.name), join, duckdb.Ident(lookup.name), strings.Join(conditions, " AND "))}, nil
}

// checkKeys makes sure that the keys exist and that text is not compared with something else, which
// would only fail at the first row that does not convert.
func checkKeys(in, lookup step, keys []definition.Key) error {
	for _, k := range keys {
		if err := in.require(k.Left); err != nil {
			return err
		}
		if err := lookup.require(k.Right); err != nil {
			return err
		}
		left, _ := duckdb.Find(in.columns, k.Left)
		right, _ := duckdb.Find(lookup.columns, k.Right)
		if (left.Type == "VARCHAR") != (right.Type == "VARCHAR") {
			return fault.Errorf(models.ClassInvalidDefinition, "the keys %s.%s (%s) and %s.%s (%s) have different types; cast one of them in a step before",
				in.name, k.Left, left.Type, lookup.name, k.Right, right.Type)
		}
	}
	return nil
}

// lookupColumns are the columns that the lookup adds: those listed, else all but its keys.
func lookupColumns(in, lookup step, j *definition.LookupJoin) ([]string, error) {
	columns := j.Columns
	if err := lookup.require(columns...); err != nil {
		return nil, err
	}
	if len(columns) == 0 {
		for _, c := range lookup.columns {
			isKey := false
			for _, k := range j.Keys {
				isKey = isKey || duckdb.SameName(k.Right, c.Name)
			}
			if !isKey {
				columns = append(columns, c.Name)
			}
		}
	}
	var clashes []string
	for _, c := range columns {
		if _, ok := duckdb.Find(in.columns, c); ok {
			clashes = append(clashes, c)
		}
	}
	if len(clashes) > 0 {
		return nil, fault.Errorf(models.ClassInvalidDefinition,
			"%s and %s both have the column %s; list the lookup's columns you want with columns, or rename with select before",
			in.name, lookup.name, duckdb.Enumerate(clashes))
	}
	return columns, nil
}

// checkUnique makes sure that no key of the lookup has several rows, so that no row is multiplied.
func checkUnique(ctx context.Context, e Engine, lookup step, keys []definition.Key) error {
	var names, texts, present []string
	for _, k := range keys {
		names = append(names, k.Right)
		texts = append(texts, fmt.Sprintf("%s || coalesce(CAST(%s AS VARCHAR), 'null')", duckdb.Literal(k.Right+" = "), duckdb.Ident(k.Right)))
		present = append(present, duckdb.Ident(k.Right)+" IS NOT NULL")
	}
	var (
		example string
		count   int64
	)
	err := e.QueryEach(ctx, fmt.Sprintf("SELECT %s, count(*) FROM %s WHERE %s GROUP BY %s HAVING count(*) > 1 LIMIT 1",
		strings.Join(texts, " || ', ' || "), duckdb.Ident(lookup.name), strings.Join(present, " AND "), duckdb.Idents(names)),
		func(scan func(...any) error) error { return scan(&example, &count) })
	if err != nil {
		return err
	}
	if count > 0 {
		return fault.Errorf(models.ClassData, "the lookup %s has %d rows for the key %s, which would multiply rows; deduplicate it before",
			lookup.name, count, example)
	}
	return nil
}
