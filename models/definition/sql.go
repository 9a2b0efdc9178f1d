package definition

import (
	"regexp"
	"strings"
)

// sqlKind is what a token of SQL is, as far as it matters for placing literals.
type sqlKind uint8

const (
	sqlEnd sqlKind = iota
	sqlSpace
	sqlComment     // -- to the end of the line, /* nested */
	sqlString      // '…', E'…', $tag$…$tag$
	sqlName        // "…"
	sqlPlaceholder // mark
	sqlOther       // a word, a number or a sign
)

// String says where a placeholder stands, and what to do about it.
func (k sqlKind) String() string {
	switch k {
	case sqlComment:
		return "a comment: take it out, or write $${ for a literal ${"
	case sqlName:
		return "a quoted name, where only a name can stand"
	default:
		return "quotes: take the quotes away, the value brings its own"
	}
}

// sqlToken is sql[start:end].
type sqlToken struct {
	kind       sqlKind
	start, end int
}

func (t sqlToken) text(sql string) string { return sql[t.start:t.end] }

// sqlLexer takes SQL apart by the lexical rules that PostgreSQL and DuckDB share
// (src/backend/parser/scan.l; DuckDB's parser descends from it), with standard_conforming_strings
// on. Quotes and comments that are not closed reach to the end.
type sqlLexer struct {
	sql string
	pos int
}

var (
	sqlNumber   = regexp.MustCompile(`^[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?`)
	sqlDollar   = regexp.MustCompile(`^\$(?:[A-Za-z_\x{80}-\x{10FFFF}][A-Za-z0-9_\x{80}-\x{10FFFF}]*)?\$`)
	sqlContinue = regexp.MustCompile(`^(?:[ \t\f\v]|--[^\r\n]*)*[\r\n](?:\s|\v|--[^\r\n]*[\r\n])*'`)
)

func (l *sqlLexer) next() sqlToken {
	start := l.pos
	rest := l.sql[start:]
	if rest == "" {
		return sqlToken{kind: sqlEnd, start: start, end: start}
	}
	kind, length := sqlOther, 1
	switch c := rest[0]; {
	case c == mark[0]:
		kind = sqlPlaceholder
	case isSpace(c):
		kind = sqlSpace
	case c == '\'':
		kind, length = sqlString, quoted(rest, '\'', false)
	case (c == 'e' || c == 'E') && strings.HasPrefix(rest[1:], "'"):
		kind, length = sqlString, escapeString(rest)
	case c == '"':
		kind, length = sqlName, quoted(rest, '"', false)
	case c == '$':
		if tag := sqlDollar.FindString(rest); tag != "" {
			kind, length = sqlString, closed(rest, len(tag), tag)
		}
	case strings.HasPrefix(rest, "--"):
		kind, length = sqlComment, strings.IndexAny(rest, "\r\n")
		if length < 0 {
			length = len(rest)
		}
	case strings.HasPrefix(rest, "/*"):
		kind, length = sqlComment, blockComment(rest)
	case c >= '0' && c <= '9':
		length = len(sqlNumber.FindString(rest))
	case isWordByte(c):
		for length < len(rest) && isWordByte(rest[length]) {
			length++
		}
	}
	l.pos += length
	return sqlToken{kind: kind, start: start, end: l.pos}
}

// quoted gives the length of what s begins with: a quote to its end, where a doubled quote is none
// and, with escapes, neither is one behind a backslash.
func quoted(s string, quote byte, escapes bool) int {
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '\\' && escapes:
			i++
		case s[i] != quote:
		case i+1 < len(s) && s[i+1] == quote:
			i++
		default:
			return i + 1
		}
	}
	return len(s)
}

// escapeString gives the length of E'…', which goes on, still with escapes, where another string
// follows on a later line.
func escapeString(s string) int {
	length := 1 + quoted(s[1:], '\'', true)
	for {
		more := sqlContinue.FindString(s[length:])
		if more == "" {
			return length
		}
		length += len(more) - 1
		length += quoted(s[length:], '\'', true)
	}
}

// closed gives the length of what s begins with, up to the end of the first closing behind from.
func closed(s string, from int, closing string) int {
	end := strings.Index(s[from:], closing)
	if end < 0 {
		return len(s)
	}
	return from + end + len(closing)
}

// blockComment gives the length of a comment, which may hold others.
func blockComment(s string) int {
	depth := 0
	for i := 0; i+1 < len(s); i++ {
		switch s[i : i+2] {
		case "/*":
			depth++
			i++
		case "*/":
			depth--
			i++
		}
		if depth == 0 {
			return i + 1
		}
	}
	return len(s)
}

func isSpace(c byte) bool {
	return c == ' ' || c >= '\t' && c <= '\r'
}

// isWordByte reports whether a byte can be part of a name without quotes.
func isWordByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' ||
		c == '_' || c == '$' || c >= 0x80
}
