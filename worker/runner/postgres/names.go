package postgres

import (
	"context"
	"strings"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/worker/runner/duckdb"
	"github.com/matih/pipeline-service/worker/runner/fault"
)

// maxIdentifier is the length of a PostgreSQL name in bytes; longer ones the server would cut off.
const maxIdentifier = 63

// tableName is [schema.]table. Names count as they are written, case included; one that holds a dot is
// written in double quotes.
type tableName struct{ schema, table string }

func parseTable(text string) (tableName, error) {
	var parts []string
	for rest := text; ; {
		part, after, ok := nextName(rest)
		if !ok {
			return tableName{}, fault.Errorf(models.ClassInvalidDefinition, "%q is not a table's name: it is [schema.]table", text)
		}
		parts = append(parts, part)
		if after == "" {
			break
		}
		rest = after[1:]
	}
	for _, p := range parts {
		if err := checkIdentifier(p); err != nil {
			return tableName{}, err
		}
	}
	switch len(parts) {
	case 1:
		return tableName{table: parts[0]}, nil
	case 2:
		return tableName{schema: parts[0], table: parts[1]}, nil
	}
	return tableName{}, fault.Errorf(models.ClassInvalidDefinition, "%q is not a table's name: it is [schema.]table", text)
}

// nextName reads a name and returns what follows, which is empty or begins with a dot.
func nextName(s string) (name, rest string, ok bool) {
	if !strings.HasPrefix(s, `"`) {
		i := strings.IndexByte(s, '.')
		if i < 0 {
			return s, "", s != ""
		}
		return s[:i], s[i:], i > 0
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		if s[i] != '"' {
			b.WriteByte(s[i])
			continue
		}
		if i+1 < len(s) && s[i+1] == '"' {
			b.WriteByte('"')
			i++
			continue
		}
		rest = s[i+1:]
		return b.String(), rest, b.Len() > 0 && (rest == "" || rest[0] == '.')
	}
	return "", "", false
}

func checkIdentifier(name string) error {
	if strings.ContainsRune(name, 0) {
		return fault.Errorf(models.ClassInvalidDefinition, "the name %q holds a zero byte", name)
	}
	if len(name) > maxIdentifier {
		return fault.Errorf(models.ClassInvalidDefinition, "the name %q is longer than the %d bytes PostgreSQL keeps", name, maxIdentifier)
	}
	return nil
}

func (n tableName) sql() string {
	if n.schema == "" {
		return ident(n.table)
	}
	return ident(n.schema) + "." + ident(n.table)
}

func (n tableName) String() string {
	if n.schema == "" {
		return n.table
	}
	return n.schema + "." + n.table
}

func ident(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

func idents(names []string) string {
	quoted := make([]string, len(names))
	for i, name := range names {
		quoted[i] = ident(name)
	}
	return strings.Join(quoted, ", ")
}

// literal quotes text; sessions have standard_conforming_strings on.
func literal(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }

// unknownTable names the tables that are close to the one that is not there.
func (t *Target) unknownTable(ctx context.Context, table string) error {
	missing := fault.Errorf(models.ClassSource, "the connection %s: there is no table %s", t.name, table)
	conn, err := t.connect(ctx)
	if err != nil {
		return missing
	}
	defer closeConn(conn)
	rows, err := conn.Query(ctx, `SELECT n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' ORDER BY 1 LIMIT 10000`)
	if err != nil {
		return missing
	}
	defer rows.Close()
	var names []string
	for rows.Next() {
		var name string
		if rows.Scan(&name) == nil {
			names = append(names, name)
		}
	}
	wanted := table
	if !strings.Contains(table, ".") {
		wanted = "public." + table
	}
	if near := duckdb.Similar(wanted, names); len(near) > 0 {
		missing.Message += "; did you mean " + strings.Join(near, ", ") + "?"
	}
	return missing
}
