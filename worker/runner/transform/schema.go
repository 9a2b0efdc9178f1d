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

// checkSchema reports every expected column that is missing or of another type.
func checkSchema(ctx context.Context, e Engine, in step, s *definition.SchemaCheck) error {
	var problems []string
	for _, want := range s.ExpectedColumns {
		got, ok := duckdb.Find(in.columns, want.Column)
		if !ok {
			problems = append(problems, fmt.Sprintf("%s is missing", want.Column))
			continue
		}
		if want.Type == "" {
			continue
		}
		canonical, err := CanonicalType(ctx, e, want.Type)
		if err != nil {
			return err
		}
		if got.Type != canonical {
			problems = append(problems, fmt.Sprintf("%s is %s, expected %s", want.Column, got.Type, canonical))
		}
	}
	if len(problems) > 0 {
		return fault.Errorf(models.ClassData, "%s does not have the expected columns: %s", in.name, strings.Join(problems, "; "))
	}
	return nil
}

// CanonicalType is how DuckDB writes a type, so that int, integer and INT4 are one.
func CanonicalType(ctx context.Context, e Engine, name string) (string, error) {
	query := "SELECT CAST(NULL AS " + name + "\n) AS c"
	invalid := fault.Errorf(models.ClassInvalidDefinition, "%q is not a type; use DuckDB's names such as BIGINT, DOUBLE, DECIMAL(18,2), VARCHAR, DATE, TIMESTAMP", name)
	if strings.ContainsAny(name, ";'") || e.CheckSelect(ctx, query) != nil {
		return "", invalid
	}
	columns, err := e.DescribeQuery(ctx, query)
	if err != nil || len(columns) != 1 {
		return "", invalid
	}
	return columns[0].Type, nil
}
