package definition

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/matih/pipeline-service/models"
)

// parameterKey marks a place of a draft that waits for a value: {"$parameter": "name"}.
const parameterKey = "$parameter"

// Draft is a definition's document in the making: values and customizations are put into a frame. It works on
// the document's tree, so that a value is never more than a value, and it remembers where each came from, so that
// what is wrong with the outcome can be said of it.
type Draft struct {
	tree    *node
	origins map[*node]*path
}

// NewDraft begins a draft with a frame, strict JSON.
func NewDraft(frame []byte) (*Draft, error) {
	var m mistakes
	tree := readTree(frame, newPath("definition"), &m)
	if err := m.err(models.CodeInvalidRequest, "the JSON document"); err != nil {
		return nil, err
	}
	return &Draft{tree: tree, origins: map[*node]*path{}}, nil
}

// Fill puts a value in every place {"$parameter": name}; each is said to come from below at. A place whose value is
// missing stays, and the definition is wrong there. A text is put in as it is: a ${ in it is no parameter of the
// pipeline's executions.
func (d *Draft) Fill(values map[string]json.RawMessage, at string) {
	f := filler{Draft: d, values: values, at: newPath(at)}
	if d.tree.kind != kindObject {
		return
	}
	for i, section := range d.tree.keys {
		f.plain = section == "parameters"
		d.tree.items[i] = f.fill(d.tree.items[i])
	}
}

type filler struct {
	*Draft
	values map[string]json.RawMessage
	at     *path
	plain  bool // no ${name} is looked for where the value goes
}

func (f *filler) fill(n *node) *node {
	name, waits := n.waitsFor()
	if !waits {
		for i, item := range n.items {
			n.items[i] = f.fill(item)
		}
		return n
	}
	if raw, ok := f.values[name]; ok {
		var m mistakes
		if value := readTree(raw, f.at, &m); value != nil {
			n = value
		}
	}
	if n.kind == kindText && !f.plain {
		n.text = strings.ReplaceAll(n.text, "${", "$${")
	}
	f.origins[n] = f.at.at(name)
	return n
}

// waitsFor gives the name of the parameter that a node stands for.
func (n *node) waitsFor() (name string, ok bool) {
	if n.kind != kindObject || len(n.keys) != 1 || n.keys[0] != parameterKey || n.items[0].kind != kindText {
		return "", false
	}
	return n.items[0].text, true
}

// Waiting lists the names of the parameters that the draft has places for, sorted.
func (d *Draft) Waiting() []string {
	names := map[string]bool{}
	var walk func(*node)
	walk = func(n *node) {
		if name, waits := n.waitsFor(); waits {
			names[name] = true
		}
		for _, item := range n.items {
			walk(item)
		}
	}
	walk(d.tree)
	return slices.Sorted(maps.Keys(names))
}

// JSON is the document.
func (d *Draft) JSON() json.RawMessage { return d.tree.json() }

// Blame gives mistakes that were found in the document below at the location of what was put there: of a
// parameter or a customization. Others, such as a step that lacks its input since another was taken out, stay at
// their place in the document.
func (d *Draft) Blame(found []models.Mistake, at string) []models.Mistake {
	origins := map[string]string{}
	d.walk(d.tree, newPath(at), func(n *node, at *path) {
		if origin, ok := d.origins[n]; ok {
			origins[at.String()] = origin.String()
		}
	})
	blamed := slices.Clone(found)
	for i, m := range found {
		for end := len(m.Location); end > 0; end = strings.LastIndexAny(m.Location[:end], ".[") {
			if origin, ok := origins[m.Location[:end]]; ok {
				blamed[i].Location = origin + m.Location[end:]
				break
			}
		}
	}
	return blamed
}

func (d *Draft) walk(n *node, at *path, visit func(*node, *path)) {
	visit(n, at)
	for i, item := range n.items {
		below := at.item(i)
		if n.kind == kindObject {
			below = at.at(n.keys[i])
		}
		d.walk(item, below, visit)
	}
}
