package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/worker/runner/fault"
)

// A read that goes on takes, in one snapshot, the rows above the last watermark up to the highest that is there. At
// the highest itself rows may still come later: those that were read are remembered by a digest of the whole row, so
// that the next read takes from this value those that are not among them. A row that comes later with a watermark
// below the highest is not read; nothing in it tells that it is new.

// maxTies bounds the rows that are remembered, 8 bytes each.
const maxTies = 1_000_000

// maxSkipped bounds the count of rows without a usable watermark; counting them all can mean to read the table.
const maxSkipped = 1000

// place is what the cursor of a database source holds.
type place struct {
	Column string `json:"column"`
	Type   string `json:"type"`
	// Last is the highest watermark that was read, as the server writes it; nil where there was no row.
	Last *string `json:"last"`
	// Ties are the digests of the rows with that watermark that were read, over Columns.
	Ties    digests  `json:"ties,omitempty"`
	Columns []string `json:"columns,omitempty"`
}

func parsePlace(text string) (*place, error) {
	p := &place{}
	if text == "" {
		return p, nil
	}
	if err := json.Unmarshal([]byte(text), p); err != nil {
		return nil, fault.Internal("read its cursor", err)
	}
	return p, nil
}

// watermarkTypes are the types a watermark may have, by that of the column.
var watermarkTypes = map[uint32]string{
	pgtype.Int2OID: "bigint", pgtype.Int4OID: "bigint", pgtype.Int8OID: "bigint", pgtype.NumericOID: "numeric",
	pgtype.DateOID: "date", pgtype.TimestampOID: "timestamp", pgtype.TimestamptzOID: "timestamptz",
	pgtype.TextOID: "text", pgtype.VarcharOID: "text", pgtype.BPCharOID: "bpchar",
}

// unordered are the values of a type above or below which there is no other, so that nothing could follow them.
func (r *reading) unordered(typ string) []string {
	switch typ {
	case "date", "timestamp", "timestamptz":
		return []string{"infinity", "-infinity"}
	case "numeric":
		major, _, _ := strings.Cut(r.conn.PgConn().ParameterStatus("server_version"), ".")
		if n, err := strconv.Atoi(major); err == nil && n < 14 {
			return []string{"NaN"} // it knows no others
		}
		return []string{"NaN", "Infinity", "-Infinity"}
	}
	return nil
}

// watermark is the column that grows.
type watermark struct {
	name  string // in SQL
	typ   string
	valid string // condition of a value that has an order
	odd   string // condition of one that has none
}

func (w *watermark) compare(operator, value string) string {
	return w.name + " " + operator + " " + w.literal(value)
}

func (w *watermark) literal(value string) string { return literal(value) + "::" + w.typ }

// watermark finds the column and sees that the cursor is one of it.
func (r *reading) watermark(places ...*place) (*watermark, *place, error) {
	i := r.find(r.src.WatermarkColumn)
	if i < 0 {
		return nil, nil, fault.Errorf(models.ClassInvalidDefinition, "there is no column %q to be the watermark", r.src.WatermarkColumn)
	}
	c := r.columns[i]
	typ, ok := watermarkTypes[c.oid]
	if !ok {
		return nil, nil, fault.Errorf(models.ClassInvalidDefinition,
			"the column %s cannot be the watermark: it must be an integer, a numeric, a date, a timestamp or text", c.name)
	}
	for _, p := range places {
		if p.Column != "" && (p.Column != c.name || p.Type != typ) {
			return nil, nil, fault.Errorf(models.ClassInvalidDefinition,
				"what is published of this source is known by the column %s (%s), not by %s (%s): give the source another name to begin anew", p.Column, p.Type, c.name, typ)
		}
	}
	w := &watermark{name: r.alias(i), typ: typ}
	var odd []string
	for _, v := range r.unordered(typ) {
		odd = append(odd, w.literal(v))
	}
	w.valid, w.odd = w.name+" IS NOT NULL", w.name+" IS NULL"
	if len(odd) > 0 {
		w.valid = both(w.valid, fmt.Sprintf("%s NOT IN (%s)", w.name, strings.Join(odd, ", ")))
		w.odd += fmt.Sprintf(" OR %s IN (%s)", w.name, strings.Join(odd, ", "))
	}
	next := &place{Column: c.name, Type: typ}
	for _, c := range r.columns {
		next.Columns = append(next.Columns, c.name)
	}
	return w, next, nil
}

// readOn reads what follows the cursor: up to the end of its pending batch, or else to the highest watermark there is.
func (r *reading) readOn(ctx context.Context, from *models.Cursor, found *Found) error {
	last, err := parsePlace(from.Value)
	if err != nil {
		return err
	}
	pending, err := parsePlace(from.Pending)
	if err != nil {
		return err
	}
	w, next, err := r.watermark(last, pending)
	if err != nil {
		return err
	}
	again := from.Batch != ""
	if again {
		next = pending
	} else if err := r.findEnd(ctx, w, last, next); err != nil {
		return err
	}
	if err := r.countOdd(ctx, w, found); err != nil {
		return err
	}
	if found.Rows, err = r.copyRange(ctx, w, last, next, again); err != nil {
		return err
	}
	value, err := json.Marshal(next)
	found.Cursor = string(value)
	return err
}

// findEnd sets the end of a read, and which rows there have been read when it is done.
func (r *reading) findEnd(ctx context.Context, w *watermark, last, next *place) error {
	condition := w.valid
	if last.Last != nil {
		condition = both(condition, w.compare(">=", *last.Last))
	}
	// The subquery keeps the order of the column's own type, whatever its text's is.
	query := fmt.Sprintf("SELECT m::text FROM (SELECT max(%s) AS m FROM %s) AS highest", w.name, r.rowsSQL(condition))
	if err := r.conn.QueryRow(ctx, query).Scan(&next.Last); err != nil {
		return r.fault(ctx, err)
	}
	if next.Last == nil { // nothing follows
		columns := next.Columns
		*next = *last
		next.Column, next.Type = r.columns[r.find(r.src.WatermarkColumn)].name, w.typ
		if last.Last == nil {
			next.Columns = columns
		}
		return nil
	}
	same, err := r.same(ctx, w, last.Last, next.Last)
	if err != nil {
		return err
	}
	if same && len(last.Columns) > 0 {
		next.Columns = last.Columns // what is remembered is told apart by them
	}
	digest, err := r.digest(next.Columns)
	if err != nil {
		return err
	}
	rows, err := r.conn.Query(ctx, fmt.Sprintf("SELECT %s FROM %s LIMIT %d", digest, r.rowsSQL(w.compare("=", *next.Last)), maxTies+1))
	if err != nil {
		return r.fault(ctx, err)
	}
	for rows.Next() {
		var d int64
		if err := rows.Scan(&d); err != nil {
			rows.Close()
			return r.fault(ctx, err)
		}
		next.Ties = append(next.Ties, d)
	}
	if err := rows.Err(); err != nil {
		return r.fault(ctx, err)
	}
	if len(next.Ties) > maxTies {
		return fault.Errorf(models.ClassInvalidDefinition,
			"more than %d rows have the highest value of %s, %s, and each is remembered so that it is published once; use a column in which fewer are equal",
			maxTies, next.Column, *next.Last)
	}
	next.Ties.sort()
	if same {
		next.Ties = next.Ties.union(last.Ties)
	}
	return nil
}

// same reports whether the server takes two watermarks for equal, which texts need not look.
func (r *reading) same(ctx context.Context, w *watermark, a, b *string) (same bool, err error) {
	if a == nil || b == nil {
		return false, nil
	}
	if err := r.conn.QueryRow(ctx, fmt.Sprintf("SELECT %s = %s", w.literal(*a), w.literal(*b))).Scan(&same); err != nil {
		return false, r.fault(ctx, err)
	}
	return same, nil
}

func (r *reading) countOdd(ctx context.Context, w *watermark, found *Found) error {
	query := fmt.Sprintf("SELECT count(*) FROM (SELECT 1 FROM %s LIMIT %d) AS odd", r.rowsSQL(w.odd), maxSkipped)
	if err := r.conn.QueryRow(ctx, query).Scan(&found.Skipped); err != nil {
		return r.fault(ctx, err)
	}
	return nil
}

// copyRange stages the rows between two places: those in between, what has come to the first since, and, at the
// second, all there are or, where the range is read again, those that were there the first time.
func (r *reading) copyRange(ctx context.Context, w *watermark, last, next *place, again bool) (int64, error) {
	if next.Last == nil { // there is no row yet
		return r.copyPart(ctx, r.conn, r.selectSQL("false"))
	}
	same, err := r.same(ctx, w, last.Last, next.Last)
	if err != nil {
		return 0, err
	}
	var total int64
	if !same {
		between := both(w.valid, w.compare("<", *next.Last))
		if last.Last != nil {
			between = both(between, w.compare(">", *last.Last))
		}
		if total, err = r.copyWhere(ctx, between); err != nil {
			return 0, err
		}
	}
	var ends []tie
	if last.Last != nil {
		ends = append(ends, tie{value: *last.Last, columns: last.Columns, without: last.Ties})
	}
	switch {
	case same && again:
		ends[0].only = next.Ties
	case !same && again:
		ends = append(ends, tie{value: *next.Last, columns: next.Columns, only: next.Ties})
	case !same:
		ends = append(ends, tie{value: *next.Last})
	}
	for _, e := range ends {
		query, err := r.tieSQL(w, e)
		if err != nil {
			return 0, err
		}
		n, err := r.copyPart(ctx, r.conn, query)
		if err != nil {
			return 0, err
		}
		total += n
	}
	return total, nil
}

// tie selects among the rows of one watermark: without those that are remembered, or only them.
type tie struct {
	value         string
	columns       []string
	without, only digests
}

// tieSQL counts equal rows, so that of several that look alike as many are left out as are remembered.
func (r *reading) tieSQL(w *watermark, e tie) (string, error) {
	at := r.rowsSQL(w.compare("=", e.value))
	if e.without == nil && e.only == nil {
		return "SELECT " + r.staged() + " FROM " + at, nil
	}
	digest, err := r.digest(e.columns)
	if err != nil {
		return "", err
	}
	query := fmt.Sprintf(`SELECT %s FROM (SELECT *, row_number() OVER (PARTITION BY digest) AS number FROM (SELECT *, %s AS digest FROM %s) AS d) AS n`,
		r.staged(), digest, at)
	var conditions []string
	for _, known := range []struct {
		set       digests
		name      string
		condition string
	}{{e.without, "w", "n.number > coalesce(w.count, 0)"}, {e.only, "o", "n.number <= coalesce(o.count, 0)"}} {
		if known.set == nil {
			continue
		}
		query += fmt.Sprintf("\nLEFT JOIN (SELECT d, count(*) AS count FROM unnest(%s::bigint[]) AS d GROUP BY d) AS %[2]s ON %[2]s.d = n.digest",
			literal(known.set.array()), known.name)
		conditions = append(conditions, known.condition)
	}
	return query + "\nWHERE " + strings.Join(conditions, " AND "), nil
}

// digest tells rows apart by their columns: 64 bits, of which a million leave two that are alike less than once
// in thirty million times.
func (r *reading) digest(columns []string) (string, error) {
	names := make([]string, len(columns))
	for i, c := range columns {
		at := r.find(c)
		if at < 0 {
			return "", fault.Errorf(models.ClassInvalidDefinition,
				"the column %s, which tells the rows apart that are published of the last watermark, is gone: give the source another name to begin anew", c)
		}
		names[i] = r.alias(at)
	}
	return fmt.Sprintf("('x' || left(md5(ROW(%s)::text), 16))::bit(64)::bigint", strings.Join(names, ", ")), nil
}
