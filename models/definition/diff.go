package definition

import (
	"encoding/json"
	"slices"

	"github.com/matih/pipeline-service/models"
)

// Change is one difference between two documents at a dotted path, in the words of customizations: what is there
// before (nil where it is added) and after (nil where it is removed).
type Change struct {
	Path   string
	Before json.RawMessage
	After  json.RawMessage
}

// Difference is how one document becomes another: what is removed and changed in the order of the first, what is
// added in the order of the second.
type Difference struct {
	Added, Removed, Changed []Change
}

// Diff compares two definitions' documents. Lists whose items all have names are compared by name, and where the
// items that both have stand in another order, that is a change of the list, told by the names. Other lists are
// compared as a whole. The order of an object's keys is no difference.
func Diff(before, after []byte) (Difference, error) {
	var m mistakes
	a, b := readTree(before, newPath("before"), &m), readTree(after, newPath("after"), &m)
	if err := m.err(models.CodeInvalidRequest, "the JSON documents"); err != nil {
		return Difference{}, err
	}
	d := differ{}
	d.compare(a, b, newPath(""))
	return d.Difference, nil
}

type differ struct{ Difference }

func (d *differ) compare(a, b *node, at *path) {
	switch {
	case a.kind == kindObject && b.kind == kindObject:
		d.parts(a.keys, a.items, b.keys, b.items, at)
	case a.kind == kindList && b.kind == kindList:
		d.lists(a, b, at)
	case !same(a, b):
		d.change(a, b, at)
	}
}

func (d *differ) change(a, b *node, at *path) {
	d.Changed = append(d.Changed, Change{Path: at.String(), Before: a.json(), After: b.json()})
}

func (d *differ) lists(a, b *node, at *path) {
	namesA, okA := itemNames(a)
	namesB, okB := itemNames(b)
	if !okA || !okB {
		if !same(a, b) {
			d.change(a, b, at)
		}
		return
	}
	if common := both(namesA, namesB); !slices.Equal(common, both(namesB, namesA)) {
		d.change(texts(common), texts(both(namesB, namesA)), at)
	}
	d.parts(namesA, a.items, namesB, b.items, at)
}

// parts compares values that have names.
func (d *differ) parts(namesA []string, a []*node, namesB []string, b []*node, at *path) {
	inA, inB := byName(namesA, a), byName(namesB, b)
	for i, name := range namesA {
		if other, ok := inB[name]; ok {
			d.compare(a[i], other, at.at(name))
		} else {
			d.Removed = append(d.Removed, Change{Path: at.at(name).String(), Before: a[i].json()})
		}
	}
	for i, name := range namesB {
		if _, ok := inA[name]; !ok {
			d.Added = append(d.Added, Change{Path: at.at(name).String(), After: b[i].json()})
		}
	}
}

// itemNames gives the names of a list's items; not ok where one has none, or another's.
func itemNames(n *node) (names []string, ok bool) {
	seen := map[string]bool{"": true}
	for _, item := range n.items {
		name := itemName(item)
		if seen[name] {
			return nil, false
		}
		seen[name] = true
		names = append(names, name)
	}
	return names, true
}

func byName(names []string, items []*node) map[string]*node {
	m := make(map[string]*node, len(names))
	for i, name := range names {
		m[name] = items[i]
	}
	return m
}

// both gives those of the names that the others have, too, in their own order.
func both(names, others []string) []string {
	known := make(map[string]bool, len(others))
	for _, name := range others {
		known[name] = true
	}
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return !known[name] })
}

func texts(words []string) *node {
	n := &node{kind: kindList}
	for _, w := range words {
		n.items = append(n.items, &node{kind: kindText, text: w})
	}
	return n
}

// same reports whether two values are equal; the order of keys does not count.
func same(a, b *node) bool {
	if a.kind != b.kind || a.text != b.text || len(a.items) != len(b.items) {
		return false
	}
	if a.kind == kindList {
		return slices.EqualFunc(a.items, b.items, same)
	}
	other := byName(b.keys, b.items)
	for i, key := range a.keys {
		if n, ok := other[key]; !ok || !same(a.items[i], n) {
			return false
		}
	}
	return true
}
