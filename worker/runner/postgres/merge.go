package postgres

import (
	"context"
	"fmt"
	"strings"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/worker/runner/fault"
)

// merge updates the rows whose keys the target has and inserts the others.
func (w *writing) merge(ctx context.Context) error {
	keys := w.load.Sink.JDBC.MergeKeys
	if err := w.checkKeys(ctx, keys); err != nil {
		return err
	}
	unique, err := w.hasUniqueIndex(ctx, keys)
	if err != nil {
		return err
	}
	if unique {
		return w.upsert(ctx, keys)
	}
	return w.updateThenInsert(ctx, keys)
}

// upsert lets the unique index decide, so that other writers need not wait.
func (w *writing) upsert(ctx context.Context, keys []string) error {
	var sets []string
	for _, f := range w.data.fields {
		if !contains(keys, f.name) {
			sets = append(sets, fmt.Sprintf("%s = EXCLUDED.%s", ident(f.name), ident(f.name)))
		}
	}
	action := "NOTHING"
	if len(sets) > 0 {
		action = "UPDATE SET " + strings.Join(sets, ", ")
	}
	// In order of the keys, so that two merges into one table take their row locks in the same order.
	_, err := w.exec(ctx, "INSERT INTO %s (%s) SELECT %s FROM %s AS s ORDER BY %s ON CONFLICT (%s) DO %s",
		w.name.sql(), idents(w.data.names()), w.converted(), stageTable, idents(keys), idents(keys), action)
	return err
}

// updateThenInsert is for targets without a unique index on the keys. No other writer may come in between.
func (w *writing) updateThenInsert(ctx context.Context, keys []string) error {
	if err := w.lockWriters(ctx); err != nil {
		return err
	}
	conditions := make([]string, len(keys))
	for i, key := range keys {
		f := w.data.fields[w.data.find(key)]
		conditions[i] = fmt.Sprintf("t.%s = %s", ident(key), w.table.convert(f, "s."+ident(key)))
	}
	match := strings.Join(conditions, " AND ")
	var sets []string
	for _, f := range w.data.fields {
		if !contains(keys, f.name) {
			sets = append(sets, fmt.Sprintf("%s = %s", ident(f.name), w.table.convert(f, "s."+ident(f.name))))
		}
	}
	if len(sets) > 0 {
		if _, err := w.exec(ctx, "UPDATE %s AS t SET %s FROM %s AS s WHERE %s", w.name.sql(), strings.Join(sets, ", "), stageTable, match); err != nil {
			return err
		}
	}
	_, err := w.exec(ctx, "INSERT INTO %s (%s) SELECT %s FROM %s AS s WHERE NOT EXISTS (SELECT FROM %s AS t WHERE %s)",
		w.name.sql(), idents(w.data.names()), w.converted(), stageTable, w.name.sql(), match)
	return err
}

// checkKeys refuses keys that are null or repeated: which row should win would be chance.
func (w *writing) checkKeys(ctx context.Context, keys []string) error {
	nulls := make([]string, len(keys))
	values := make([]string, len(keys))
	for i, key := range keys {
		nulls[i] = ident(key) + " IS NULL"
		f := w.data.fields[w.data.find(key)]
		values[i] = w.table.convert(f, "s."+ident(key))
	}
	var count int64
	if err := w.conn.QueryRow(ctx, fmt.Sprintf("SELECT count(*) FROM %s WHERE %s", stageTable, strings.Join(nulls, " OR "))).Scan(&count); err != nil {
		return err
	}
	if count > 0 {
		return fault.Errorf(models.ClassData, "the sink %s: %d rows have no value in the merge keys %s", w.load.Sink.Name, count, strings.Join(keys, ", "))
	}
	rows, err := w.conn.Query(ctx, fmt.Sprintf("SELECT left(concat_ws(', ', %s), 200), count(*) FROM %s AS s GROUP BY %s HAVING count(*) > 1 LIMIT 1",
		strings.Join(values, ", "), stageTable, strings.Join(values, ", ")))
	if err != nil {
		return err
	}
	defer rows.Close()
	if rows.Next() {
		var example string
		if err := rows.Scan(&example, &count); err != nil {
			return err
		}
		return fault.Errorf(models.ClassData, "the sink %s: %d rows have the merge key %s = %s; deduplicate them before",
			w.load.Sink.Name, count, strings.Join(keys, ", "), example)
	}
	return rows.Err()
}

// hasUniqueIndex reports whether an index makes exactly these columns unique, at once and for all rows.
func (w *writing) hasUniqueIndex(ctx context.Context, keys []string) (bool, error) {
	var found bool
	err := w.conn.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = to_regclass($1)
 AND i.indisunique AND i.indimmediate AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL
 AND (SELECT array_agg(a.attname::text ORDER BY a.attname::text) FROM pg_attribute a
  WHERE a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey[0:i.indnkeyatts - 1]))
 = (SELECT array_agg(k ORDER BY k) FROM unnest($2::text[]) AS k))`, w.name.sql(), keys).Scan(&found)
	return found, err
}

func contains(names []string, name string) bool {
	for _, n := range names {
		if n == name {
			return true
		}
	}
	return false
}
