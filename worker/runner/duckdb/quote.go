package duckdb

import (
	"sort"
	"strings"
)

// Ident quotes a name for SQL.
func Ident(name string) string {
	return `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
}

// Idents quotes names and joins them by commas.
func Idents(names []string) string {
	quoted := make([]string, len(names))
	for i, name := range names {
		quoted[i] = Ident(name)
	}
	return strings.Join(quoted, ", ")
}

// Literal quotes text for SQL.
func Literal(text string) string {
	return "'" + strings.ReplaceAll(text, "'", "''") + "'"
}

// List is a SQL list of texts.
func List(texts []string) string {
	quoted := make([]string, len(texts))
	for i, text := range texts {
		quoted[i] = Literal(text)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

// Struct is a SQL struct of texts, in order of the keys.
func Struct(pairs [][2]string) string {
	fields := make([]string, len(pairs))
	for i, pair := range pairs {
		fields[i] = Literal(pair[0]) + ": " + Literal(pair[1])
	}
	return "{" + strings.Join(fields, ", ") + "}"
}

// SameName reports whether SQL takes two names for one: case does not count.
func SameName(a, b string) bool { return strings.EqualFold(a, b) }

// Similar returns up to three of the candidates that are closest to name, to help whoever mistyped.
func Similar(name string, candidates []string) []string {
	type scored struct {
		name     string
		distance int
	}
	var near []scored
	limit := max(2, len(name)/3)
	for _, c := range candidates {
		if d := distance(strings.ToLower(name), strings.ToLower(c)); d <= limit {
			near = append(near, scored{c, d})
		}
	}
	sort.SliceStable(near, func(i, j int) bool { return near[i].distance < near[j].distance })
	names := make([]string, 0, 3)
	for _, s := range near[:min(3, len(near))] {
		names = append(names, s.name)
	}
	return names
}

// distance is the Levenshtein distance, in bytes.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}
