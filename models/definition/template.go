package definition

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// pieceKind is what a piece of a text with placeholders is.
type pieceKind uint8

const (
	pieceText      pieceKind = iota
	pieceParameter           // ${name}
	pieceInput               // {{ input }}, in SQL
)

// piece is a part of a text: text that stays (with $${ already ${), or a placeholder.
type piece struct {
	kind pieceKind
	text string // what stays, or a parameter's name
}

var (
	parameterUse = regexp.MustCompile(`^\$\{([A-Za-z_][A-Za-z0-9_]{0,62})\}`)
	inputUse     = regexp.MustCompile(`^\{\{[ \t\r\n]*input[ \t\r\n]*\}\}`)
)

// split takes a text apart.
func split(s string, sql bool) ([]piece, error) {
	var pieces []piece
	var text strings.Builder
	add := func(kind pieceKind, name string) {
		if text.Len() > 0 {
			pieces = append(pieces, piece{kind: pieceText, text: text.String()})
			text.Reset()
		}
		pieces = append(pieces, piece{kind: kind, text: name})
	}
	for len(s) > 0 {
		next := strings.IndexAny(s, "${")
		if next < 0 {
			break
		}
		text.WriteString(s[:next])
		s = s[next:]
		if strings.HasPrefix(s, "$${") {
			text.WriteString("${")
			s = s[len("$${"):]
			continue
		}
		if strings.HasPrefix(s, "${") {
			match := parameterUse.FindStringSubmatch(s)
			if match == nil {
				return nil, fmt.Errorf("%s begins no ${name}; write $${ for a literal ${", quote(s[:min(len(s), 20)]))
			}
			add(pieceParameter, match[1])
			s = s[len(match[0]):]
			continue
		}
		if input := inputUse.FindString(s); sql && input != "" {
			add(pieceInput, "")
			s = s[len(input):]
			continue
		}
		text.WriteByte(s[0])
		s = s[1:]
	}
	text.WriteString(s)
	if text.Len() > 0 {
		pieces = append(pieces, piece{kind: pieceText, text: text.String()})
	}
	return pieces, nil
}

// hasPlaceholder reports whether a text may hold a ${name} or a $${.
func hasPlaceholder(s string) bool { return strings.Contains(s, "${") }

// mark stands for a placeholder in SQL that is looked at; no document holds a NUL.
const mark = "\x00"

// checkSQL checks that every placeholder in SQL stands where a value can: a literal or a quoted
// name that got into quotes, or that melted with what stands beside it, would be broken SQL or, in
// the worst case, let a parameter's value become SQL.
func checkSQL(pieces []piece, inputs int) error {
	var placeholders []piece
	var marked strings.Builder
	for _, p := range pieces {
		if p.kind == pieceText {
			marked.WriteString(p.text)
			continue
		}
		marked.WriteString(mark)
		placeholders = append(placeholders, p)
	}
	sql := marked.String()
	if strings.Count(sql, mark) != len(placeholders) {
		return errors.New("holds a NUL character")
	}
	if err := checkPlaces(sql, placeholders, inputs); err != nil {
		return err
	}
	if plain := strings.Map(plainSpace, sql); plain != sql {
		return checkPlaces(plain, placeholders, inputs)
	}
	return nil
}

// plainSpace makes the spaces of Unicode plain. DuckDB does that before it reads SQL, PostgreSQL
// takes them for letters; a placeholder must be safe either way.
func plainSpace(r rune) rune {
	if r >= utf8.RuneSelf && unicode.IsSpace(r) || r >= 0x200b && r <= 0x200f || r == 0xfeff {
		return ' '
	}
	return r
}

// checkPlaces checks SQL in which marks stand for the placeholders.
func checkPlaces(sql string, placeholders []piece, inputs int) error {
	next := func() piece {
		p := placeholders[0]
		placeholders = placeholders[1:]
		return p
	}

	lexer := sqlLexer{sql: sql}
	afterString := false
	for {
		token := lexer.next()
		switch token.kind {
		case sqlEnd:
			return nil
		case sqlSpace:
		case sqlPlaceholder:
			p := next()
			if err := checkPlaceholder(p, sql, token, inputs, afterString); err != nil {
				return err
			}
			afterString = p.kind == pieceParameter
		case sqlString, sqlName, sqlComment:
			for range strings.Count(token.text(sql), mark) {
				if p := next(); p.kind == pieceParameter || token.kind != sqlComment {
					return fmt.Errorf("%s stands inside %s", p, token.kind)
				}
			}
			if token.kind != sqlComment {
				afterString = token.kind == sqlString
			}
		default:
			afterString = false
		}
	}
}

// checkPlaceholder looks at a placeholder that stands outside of quotes and comments.
func checkPlaceholder(p piece, sql string, token sqlToken, inputs int, afterString bool) error {
	if p.kind == pieceInput && inputs == 0 {
		return fmt.Errorf("%s stands where nothing is read", p)
	}
	if p.kind == pieceInput && inputs > 1 {
		return fmt.Errorf("%s needs a single input, there are %d; use their names", p, inputs)
	}
	before, behind := sql[:token.start], sql[token.end:]
	if before != "" && melts(before[len(before)-1]) || behind != "" && melts(behind[0]) ||
		strings.HasSuffix(strings.ToLower(before), "u&") {
		return fmt.Errorf("%s must not touch a letter, digit, quote or other placeholder; put a space between", p)
	}
	if p.kind == pieceParameter && afterString {
		return fmt.Errorf("%s follows a string directly, and SQL would make them one; put || or a comma between", p)
	}
	return nil
}

// melts reports whether a byte beside a literal or a quoted name could become part of it.
func melts(c byte) bool {
	return isWordByte(c) || c == '\'' || c == '"' || c == mark[0]
}

// String writes a placeholder as the document does.
func (p piece) String() string {
	if p.kind == pieceInput {
		return "{{ input }}"
	}
	return "${" + p.text + "}"
}
