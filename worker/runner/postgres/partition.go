package postgres

import (
	"context"
	"fmt"
	"math/big"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/worker/runner/fault"
)

// maxConnections bounds how many parts are read at once.
const maxConnections = 8

// partition splits the rows under a condition, or all under "", into ranges of the partition column. Every row is in
// exactly one: the first and the last range are open, and the first takes the nulls.
func (r *reading) partition(ctx context.Context, within string) ([]string, error) {
	if r.src.PartitionColumn == "" || r.src.NumPartitions <= 1 {
		return []string{within}, nil
	}
	index := r.find(r.src.PartitionColumn)
	if index < 0 {
		return nil, fault.Errorf(models.ClassInvalidDefinition, "there is no column %q to partition by", r.src.PartitionColumn)
	}
	name := r.alias(index)
	kind, ok := rangeKinds[r.columns[index].oid]
	if !ok {
		return nil, fault.Errorf(models.ClassInvalidDefinition,
			"the column %s cannot split the rows: partition_column must be an integer, a date or a timestamp", r.src.PartitionColumn)
	}
	var low, high *int64
	where := within
	if kind.finite {
		where = both(within, fmt.Sprintf("isfinite(%s)", name))
	}
	query := fmt.Sprintf("SELECT %s, %s FROM %s",
		fmt.Sprintf(kind.number, "min("+name+")"), fmt.Sprintf(kind.number, "max("+name+")"), r.rowsSQL(where))
	if err := r.conn.QueryRow(ctx, query).Scan(&low, &high); err != nil {
		return nil, r.fault(ctx, err)
	}
	if low == nil || *low == *high {
		return []string{within}, nil
	}
	bounds := split(*low, *high, r.src.NumPartitions)
	parts := make([]string, 0, len(bounds)+1)
	previous := ""
	for _, bound := range bounds {
		value := kind.literal(bound)
		if previous == "" {
			parts = append(parts, both(within, fmt.Sprintf("(%[1]s < %[2]s OR %[1]s IS NULL)", name, value)))
		} else {
			parts = append(parts, both(within, fmt.Sprintf("%[1]s >= %[2]s AND %[1]s < %[3]s", name, previous, value)))
		}
		previous = value
	}
	return append(parts, both(within, fmt.Sprintf("%s >= %s", name, previous))), nil
}

// both joins conditions; an empty one is none.
func both(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + " AND " + b
}

// rangeKind says how a type's values become numbers and back.
type rangeKind struct {
	number  string
	literal func(int64) string
	finite  bool
}

var rangeKinds = map[uint32]rangeKind{
	pgtype.Int2OID:        {number: "%s::bigint", literal: integerLiteral},
	pgtype.Int4OID:        {number: "%s::bigint", literal: integerLiteral},
	pgtype.Int8OID:        {number: "%s::bigint", literal: integerLiteral},
	pgtype.DateOID:        {number: "(%s - date '2000-01-01')::bigint", literal: dateLiteral, finite: true},
	pgtype.TimestampOID:   {number: microsOf, literal: timestampLiteral("timestamp"), finite: true},
	pgtype.TimestamptzOID: {number: microsOf, literal: timestampLiteral("timestamptz"), finite: true},
}

const microsOf = "(extract(epoch FROM %s) * 1000000)::bigint"

func integerLiteral(n int64) string { return fmt.Sprintf("'%d'::bigint", n) }

func dateLiteral(days int64) string { return fmt.Sprintf("(date '2000-01-01' + (%d))", days) }

func timestampLiteral(typ string) func(int64) string {
	zone := ""
	if typ == "timestamptz" {
		zone = "+00"
	}
	return func(micros int64) string {
		at := time.UnixMicro(micros).UTC()
		era := ""
		year := at.Year()
		if year <= 0 {
			year, era = 1-year, " BC"
		}
		return fmt.Sprintf("%s '%04d-%s%s%s'", typ, year, at.Format("01-02 15:04:05.000000"), zone, era)
	}
}

// split returns up to parts-1 bounds that cut low…high into ranges of about the same width.
func split(low, high int64, parts int) []int64 {
	width := new(big.Int).Sub(big.NewInt(high), big.NewInt(low))
	bounds := make([]int64, 0, parts-1)
	for i := 1; i < parts; i++ {
		step := new(big.Int).Mul(width, big.NewInt(int64(i)))
		step.Div(step, big.NewInt(int64(parts))).Add(step, big.NewInt(low))
		if bound := step.Int64(); bound > low && (len(bounds) == 0 || bound > bounds[len(bounds)-1]) {
			bounds = append(bounds, bound)
		}
	}
	if len(bounds) == 0 {
		bounds = append(bounds, high)
	}
	return bounds
}
