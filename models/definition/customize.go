package definition

import (
	"encoding/json"

	"github.com/matih/pipeline-service/models"
)

// customization is one change of a draft.
type customization struct {
	slot
	given *path // the key of the customizations
	path  string
	value *node
}

// Customize changes the draft by a JSON object of dotted paths and values: sources.raw.table,
// transformations.clean.sql or transformations[0].sql. A value takes the place of what is there, null takes it out,
// and an object may get a key that it lacks; whether that key means anything the definition's parser says. All
// customizations see the draft as it was before, so their order means nothing. Mistakes come back at once in one
// *models.Error with CodeInvalidRequest, with locations below at; the customizations without one are made.
func (d *Draft) Customize(given json.RawMessage, at string) error {
	var m mistakes
	root := newPath(at)
	tree := readTree(given, root, &m)
	if tree != nil && tree.kind != kindObject {
		m.add(root, "must be an object of paths and values, not %v", tree.kind)
		tree = nil
	}
	if tree != nil {
		d.apply(d.customizations(tree, root, &m))
	}
	return m.err(models.CodeInvalidRequest, "the customizations")
}

// customizations finds what each of them changes.
func (d *Draft) customizations(tree *node, root *path, m *mistakes) []customization {
	var list []customization
	byPlace := map[string]string{}
	for i, text := range tree.keys {
		c := customization{given: root.at(text), path: text, value: tree.items[i]}
		place, err := parsePlace(text)
		if err == nil {
			c.slot, err = locate(d.tree, place)
		}
		if err != nil {
			m.add(c.given, "%v", err)
			continue
		}
		at := c.at.String()
		if other, again := byPlace[at]; again {
			m.add(c.given, "names the same place as %s", quote(other))
			continue
		}
		if c.value.kind == kindNull && c.index < 0 {
			m.add(c.given, "there is no %s to take out%s", at, suggest(c.key, c.holder.keys))
			continue
		}
		byPlace[at] = text
		list = append(list, c)
	}
	kept := list[:0]
	for _, c := range list {
		if outer := c.within(byPlace); outer != "" {
			m.add(c.given, "lies within %s, which is customized, too", quote(outer))
			continue
		}
		kept = append(kept, c)
	}
	return kept
}

// within finds the customization of something that a customization's place is a part of.
func (c customization) within(byPlace map[string]string) string {
	for up := c.at.up; up != nil && up.up != nil; up = up.up {
		if outer, ok := byPlace[up.String()]; ok {
			return outer
		}
	}
	return ""
}

// apply makes changes that do not touch each other. What is taken out goes last, for it moves what stands behind.
func (d *Draft) apply(changes []customization) {
	thinned := map[*node]bool{}
	for _, c := range changes {
		switch {
		case c.value.kind == kindNull:
			c.holder.items[c.index] = nil
			thinned[c.holder] = true
			continue
		case c.index < 0:
			c.holder.keys = append(c.holder.keys, c.key)
			c.holder.items = append(c.holder.items, c.value)
		default:
			c.holder.items[c.index] = c.value
		}
		d.origins[c.value] = c.given
	}
	for holder := range thinned {
		holder.compact()
	}
}

// compact leaves out the items that are nil, and their keys.
func (n *node) compact() {
	kept := 0
	for i, item := range n.items {
		if item == nil {
			continue
		}
		n.items[kept] = item
		if n.kind == kindObject {
			n.keys[kept] = n.keys[i]
		}
		kept++
	}
	n.items = n.items[:kept]
	n.keys = n.keys[:min(kept, len(n.keys))]
}
