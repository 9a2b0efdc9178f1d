package definition

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// slot is a place in a document: an item of a list, or the value of a key, which may be missing yet.
type slot struct {
	at     *path
	holder *node
	index  int    // in holder.items; -1 where holder lacks the key
	key    string // of an object
}

// parsePlace reads a dotted path: sources.raw.table, transformations.clean.sql, transformations[0].sql or
// sources.raw.schema["odd key"]. It understands what path.String writes.
func parsePlace(text string) ([]string, error) {
	wrong := fmt.Errorf("is no path; write it as sources.raw.table, transformations.clean.sql or transformations[0].sql")
	var place []string
	for rest := text; ; {
		var part string
		switch {
		case strings.HasPrefix(rest, `["`):
			quoted, err := strconv.QuotedPrefix(rest[1:])
			if err != nil {
				return nil, wrong
			}
			if part, err = strconv.Unquote(quoted); err != nil {
				return nil, wrong
			}
			rest = rest[1+len(quoted):]
			if !strings.HasPrefix(rest, "]") {
				return nil, wrong
			}
			rest = rest[1:]
		case strings.HasPrefix(rest, "["):
			end := strings.IndexByte(rest, ']')
			if end < 0 || !isIndex(rest[1:end]) {
				return nil, wrong
			}
			part, rest = rest[1:end], rest[end+1:]
		default:
			end := strings.IndexAny(rest, ".[")
			if end < 0 {
				end = len(rest)
			}
			if part, rest = rest[:end], rest[end:]; part == "" {
				return nil, wrong
			}
		}
		place = append(place, part)
		if rest == "" {
			return place, nil
		}
		if after, dot := strings.CutPrefix(rest, "."); dot {
			if rest = after; rest == "" || rest[0] == '[' {
				return nil, wrong
			}
		} else if rest[0] != '[' {
			return nil, wrong
		}
	}
}

func isIndex(s string) bool {
	n, err := strconv.Atoi(s)
	return err == nil && n >= 0 && strconv.Itoa(n) == s
}

// locate finds a place below a document's root. All but its last part must be there; the last may be a key that
// its object lacks.
func locate(root *node, place []string) (slot, error) {
	n, at := root, newPath("")
	for i, part := range place {
		s := slot{at: at.at(part), holder: n, key: part}
		var known []string
		switch n.kind {
		case kindObject:
			s.index, known = slices.Index(n.keys, part), n.keys
		case kindList:
			s.index, known = n.item(part)
			s.at = at.item(s.index)
		default:
			return slot{}, fmt.Errorf("there is nothing below %v, which is %v", at, n.kind)
		}
		last := i == len(place)-1
		if s.index < 0 && (!last || n.kind == kindList) {
			return slot{}, fmt.Errorf("there is no %v%s", at.at(part), suggest(part, known))
		}
		if last {
			return s, nil
		}
		n, at = n.items[s.index], s.at
	}
	return slot{}, fmt.Errorf("is empty")
}

// item finds an item of a list by its name or its index, -1 where there is none, and tells the names there are.
func (n *node) item(part string) (index int, names []string) {
	for i, item := range n.items {
		name := itemName(item)
		if name == part {
			return i, nil
		}
		names = append(names, compact(name)...)
	}
	if i, err := strconv.Atoi(part); isIndex(part) && err == nil && i < len(n.items) {
		return i, nil
	}
	return -1, names
}

// itemName is the name of a list's item, "" where it has none.
func itemName(n *node) string {
	if n.kind != kindObject {
		return ""
	}
	if name := n.get("name"); name != nil && name.kind == kindText {
		return name.text
	}
	return ""
}
