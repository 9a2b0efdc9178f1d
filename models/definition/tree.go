package definition

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxDepth bounds how deep a document may nest, and with it every recursion over one.
const maxDepth = 100

// kind is what a JSON value is.
type kind uint8

const (
	kindNull kind = iota
	kindBoolean
	kindNumber
	kindText
	kindList
	kindObject
)

func (k kind) String() string {
	return [...]string{"null", "true or false", "a number", "text", "a list", "an object"}[k]
}

// node is a JSON value that keeps the document's order and its numbers as written.
type node struct {
	kind  kind
	text  string   // text's content, a number's digits, true or false
	keys  []string // an object's keys
	items []*node  // a list's items, or an object's values in the order of its keys
}

// get gives the value of a key, nil where there is none. It is for objects of a few keys.
func (n *node) get(key string) *node {
	for i, k := range n.keys {
		if k == key {
			return n.items[i]
		}
	}
	return nil
}

// json writes the value in its canonical form.
func (n *node) json() json.RawMessage {
	var b bytes.Buffer
	n.write(&b)
	return b.Bytes()
}

func (n *node) write(b *bytes.Buffer) {
	switch n.kind {
	case kindNull:
		b.WriteString("null")
	case kindBoolean, kindNumber:
		b.WriteString(n.text)
	case kindText:
		writeText(b, n.text)
	case kindList:
		b.WriteByte('[')
		for i, item := range n.items {
			if i > 0 {
				b.WriteByte(',')
			}
			item.write(b)
		}
		b.WriteByte(']')
	case kindObject:
		b.WriteByte('{')
		for i, item := range n.items {
			if i > 0 {
				b.WriteByte(',')
			}
			writeText(b, n.keys[i])
			b.WriteByte(':')
			item.write(b)
		}
		b.WriteByte('}')
	}
}

// writeText writes a JSON string without the HTML escapes of json.Marshal, which would make SQL
// with < and > unreadable.
func writeText(b *bytes.Buffer, s string) {
	enc := json.NewEncoder(b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(s)       // a string into memory cannot fail
	b.Truncate(b.Len() - 1) // Encode ends with a newline
}

// readTree reads a JSON document and collects what is wrong with it. It gives nil where there is
// no tree to look at further.
func readTree(doc []byte, at *path, m *mistakes) *node {
	if !utf8.Valid(doc) {
		m.add(at, "is not valid UTF-8")
		return nil
	}
	var raw json.RawMessage
	if err := json.Unmarshal(doc, &raw); err != nil {
		var syntax *json.SyntaxError
		switch {
		case len(bytes.TrimSpace(doc)) == 0:
			m.add(at, "is empty")
		case !errors.As(err, &syntax):
			m.add(at, "is not JSON")
		case strings.Contains(err.Error(), "max depth"):
			m.add(at, "is nested deeper than %d levels", maxDepth)
		default:
			before := doc[:min(max(syntax.Offset-1, 0), int64(len(doc)))]
			line := bytes.Count(before, []byte("\n")) + 1
			column := utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:]) + 1
			m.add(at, "is not JSON: line %d, column %d: %v", line, column, syntax)
		}
		return nil
	}
	r := treeReader{mistakes: m, doc: doc, dec: json.NewDecoder(bytes.NewReader(doc))}
	r.dec.UseNumber()
	tree := r.value(at, 0)
	if r.stopped {
		return nil
	}
	return tree
}

// treeReader builds a tree from the tokens of a document that is known to be JSON.
type treeReader struct {
	*mistakes
	doc     []byte
	dec     *json.Decoder
	stopped bool
}

func (r *treeReader) value(at *path, depth int) *node {
	start := r.dec.InputOffset()
	token, err := r.dec.Token()
	if err != nil || depth > maxDepth {
		r.add(at, "is nested deeper than %d levels", maxDepth)
		r.stopped = true
		return &node{}
	}
	switch token := token.(type) {
	case string:
		r.checkText(token, start, at)
		return &node{kind: kindText, text: token}
	case json.Number:
		if !finite(token.String()) {
			r.add(at, "%s is beyond the range of numbers", quote(token.String()))
		}
		return &node{kind: kindNumber, text: token.String()}
	case bool:
		return &node{kind: kindBoolean, text: strconv.FormatBool(token)}
	case json.Delim:
		if token == '[' {
			return r.list(at, depth)
		}
		return r.object(at, depth)
	default:
		return &node{kind: kindNull}
	}
}

func (r *treeReader) list(at *path, depth int) *node {
	n := &node{kind: kindList}
	for !r.stopped && r.dec.More() {
		n.items = append(n.items, r.value(at.item(len(n.items)), depth+1))
	}
	r.end()
	return n
}

func (r *treeReader) object(at *path, depth int) *node {
	n := &node{kind: kindObject}
	seen := map[string]bool{}
	for !r.stopped && r.dec.More() {
		start := r.dec.InputOffset()
		token, _ := r.dec.Token()
		key, _ := token.(string)
		below := at.at(key)
		r.checkText(key, start, below)
		value := r.value(below, depth+1)
		if seen[key] {
			r.add(below, "is given twice")
			continue
		}
		seen[key] = true
		n.keys = append(n.keys, key)
		n.items = append(n.items, value)
	}
	r.end()
	return n
}

// end takes the closing bracket.
func (r *treeReader) end() {
	if !r.stopped {
		_, _ = r.dec.Token()
	}
}

// checkText refuses what Go or PostgreSQL would silently change or not hold: a NUL, and half of a
// surrogate pair, which the decoder has replaced already and so is looked for in the raw document.
func (r *treeReader) checkText(s string, start int64, at *path) {
	if strings.IndexByte(s, 0) >= 0 {
		r.add(at, "holds a NUL character")
	}
	if strings.ContainsRune(s, utf8.RuneError) && hasLoneSurrogate(r.doc[start:r.dec.InputOffset()]) {
		r.add(at, "holds half of a surrogate pair")
	}
}

// finite reports whether a number is one that 64 bits of floating point hold.
func finite(number string) bool {
	_, err := strconv.ParseFloat(number, 64)
	return err == nil
}

// hasLoneSurrogate looks for \ud800 to \udfff escapes that are not one high and then one low.
func hasLoneSurrogate(raw []byte) bool {
	for i := 0; i < len(raw); i++ {
		if raw[i] != '\\' {
			continue
		}
		unit, ok := escapedUnit(raw[i:])
		switch {
		case !ok:
			i++ // what is escaped is no escape itself
		case unit>>10 == 0xd800>>10:
			low, ok := escapedUnit(raw[i+6:])
			if !ok || low>>10 != 0xdc00>>10 {
				return true
			}
			i += 11
		case unit>>10 == 0xdc00>>10:
			return true
		default:
			i += 5
		}
	}
	return false
}

// escapedUnit reads the \uXXXX that raw begins with.
func escapedUnit(raw []byte) (uint64, bool) {
	if len(raw) < 6 || raw[0] != '\\' || raw[1] != 'u' {
		return 0, false
	}
	unit, err := strconv.ParseUint(string(raw[2:6]), 16, 16)
	return unit, err == nil
}
