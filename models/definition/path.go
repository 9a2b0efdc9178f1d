package definition

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// path is a place in a document. It is a chain, written out only where there is a mistake to
// report: a hostile document with long keys and many values must not cost their product.
type path struct {
	up    *path
	key   string
	index int
	list  bool // index counts, not key
}

func newPath(at string) *path        { return &path{key: at} }
func (p *path) at(key string) *path  { return &path{up: p, key: key} }
func (p *path) item(index int) *path { return &path{up: p, index: index, list: true} }

// String writes map items by key and list items by index: sources.raw.table, transformations[0].
func (p *path) String() string {
	var b strings.Builder
	p.write(&b)
	return b.String()
}

func (p *path) write(b *strings.Builder) {
	if p.up == nil {
		b.WriteString(p.key)
		return
	}
	p.up.write(b)
	switch {
	case p.list:
		fmt.Fprintf(b, "[%d]", p.index)
	case !plain(p.key):
		b.WriteString("[" + quote(p.key) + "]")
	default:
		if b.Len() > 0 {
			b.WriteByte('.')
		}
		b.WriteString(p.key)
	}
}

// plain reports whether a key can stand in a location as it is.
func plain(key string) bool {
	for _, c := range []byte(key) {
		if !isWordByte(c) && c != '-' || c >= utf8.RuneSelf || c == '$' {
			return false
		}
	}
	return key != "" && len(key) <= maxQuoted
}

// maxQuoted is how many bytes of a document's own text a message repeats.
const maxQuoted = 64

// quote repeats text of a document in a message: short, and without control characters.
func quote(s string) string {
	if len(s) > maxQuoted {
		s = s[:maxQuoted]
		for len(s) > 0 && !utf8.ValidString(s) {
			s = s[:len(s)-1]
		}
		s += "…"
	}
	return strconv.Quote(s)
}
