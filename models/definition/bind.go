package definition

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"time"

	"github.com/matih/pipeline-service/models"
)

// maxRendered bounds, in bytes, what the texts of a definition may grow to with their parameters.
const maxRendered = 16 << 20

// Builtins are the values that every execution has: ${execution_id}, ${execution_date},
// ${last_run} and ${tenant_id}.
type Builtins struct {
	ExecutionID string
	// ExecutionDate is the time the execution stands for.
	ExecutionDate time.Time
	// LastRun is the start of the last COMPLETED execution; zero, for none, is rendered as 1970.
	LastRun time.Time
	Tenant  models.TenantID
}

func (b Builtins) values() map[string]value {
	if b.LastRun.IsZero() {
		b.LastRun = time.Unix(0, 0)
	}
	return map[string]value{
		"execution_id":   {typ: ParameterString, text: b.ExecutionID},
		"execution_date": timestampValue(b.ExecutionDate),
		"last_run":       timestampValue(b.LastRun),
		"tenant_id":      {typ: ParameterString, text: string(b.Tenant)},
	}
}

// Bind checks the parameters given to an execution, a JSON object or nil, and that every ${name}
// of the definition has a value that fits where it stands: a given one, a declared default or a
// built-in, in this order. All mistakes come back at once in one *models.Error with
// CodeInvalidParameters, with locations below at.
func (d *Definition) Bind(given json.RawMessage, b Builtins, at string) (*Values, error) {
	binder := newBinder(b.values(), "pipeline", at)
	binder.take(d.Parameters, given)
	d.texts(newPath(""), binder.use)
	if err := binder.err(models.CodeInvalidParameters, "the execution's parameters"); err != nil {
		return nil, err
	}
	return &Values{byName: binder.values}, nil
}

// CheckParameters checks values, a JSON object or nil, that are given for the declared parameters of something, named
// as in a sentence. All mistakes come back at once in one *models.Error with CodeInvalidParameters, with locations
// below at.
func CheckParameters(declared []Parameter, given json.RawMessage, of, at string) error {
	binder := newBinder(map[string]value{}, of, at)
	binder.take(declared, given)
	return binder.err(models.CodeInvalidParameters, "the "+of+"'s parameters")
}

type binder struct {
	mistakes
	of       string // what has the parameters
	root     *path
	values   map[string]value
	bad      map[string]bool // names whose mistake is known
	declared map[string]Parameter
	rendered int // bytes
}

func newBinder(values map[string]value, of, at string) *binder {
	return &binder{of: of, root: newPath(at), values: values, bad: map[string]bool{}}
}

// take gives the declared parameters their values.
func (b *binder) take(declared []Parameter, given json.RawMessage) {
	b.defaults(declared)
	if len(bytes.TrimSpace(given)) > 0 {
		b.given(declared, given)
	}
	b.required(declared)
}

func (b *binder) defaults(declared []Parameter) {
	b.declared = make(map[string]Parameter, len(declared))
	for _, p := range declared {
		b.declared[p.Name] = p
		delete(b.values, p.Name) // a declaration hides a built-in
		if p.Default == nil {
			continue
		}
		var m mistakes
		n := readTree(p.Default, b.root.at(p.Name), &m)
		if v, err := newValue(p.Type, n.kind, n.text); err == nil { // Parse has checked it
			b.values[p.Name] = v
		}
	}
}

func (b *binder) given(declared []Parameter, given json.RawMessage) {
	tree := readTree(given, b.root, &b.mistakes)
	if tree == nil || tree.kind == kindNull {
		return
	}
	if tree.kind != kindObject {
		b.add(b.root, "must be an object, not %v", tree.kind)
		return
	}
	for i, name := range tree.keys {
		n, at := tree.items[i], b.root.at(name)
		p, known := b.declared[name]
		var v value
		var err error
		switch {
		case known:
			v, err = newValue(p.Type, n.kind, n.text)
		case len(declared) > 0:
			b.add(at, "is not a parameter of this %s%s", b.of, suggest(name, slices.Sorted(maps.Keys(b.declared))))
			b.bad[name] = true
			continue
		default:
			v, err = undeclared(n)
		}
		if err != nil || b.has(at) {
			b.bad[name] = true
			if err != nil {
				b.add(at, "%v", err)
			}
			continue
		}
		b.values[name] = v
	}
}

func (b *binder) required(declared []Parameter) {
	for _, p := range declared {
		if _, ok := b.values[p.Name]; p.Required && !ok && !b.bad[p.Name] {
			b.add(b.root.at(p.Name), "is required (%s)", p.Type)
			b.bad[p.Name] = true
		}
	}
}

// use checks one text of the definition with the values put in.
func (b *binder) use(f *textField) {
	if !hasPlaceholder(f.text) {
		return
	}
	pieces, err := split(f.text, f.sql)
	if err != nil {
		return // Parse does not let it through
	}
	complete, first := true, ""
	for _, p := range pieces {
		b.rendered += len(p.text)
		if p.kind != pieceParameter {
			continue
		}
		if first == "" {
			first = p.text
		}
		v, ok := b.values[p.text]
		switch {
		case b.bad[p.text]:
			complete = false
		case !ok:
			b.missing(p.text, f.at)
			complete = false
		case v.typ == "" && !f.sql:
			b.add(b.root.at(p.text), "must not be null, because it stands in %v", f.at)
			complete = false
		default:
			b.rendered += len(v.text)
		}
	}
	if b.rendered > maxRendered {
		b.add(b.root, "make the definition longer than %d MiB", maxRendered>>20)
		return
	}
	if !complete || f.sql || first == "" {
		return
	}
	if problem := checkRule(f.rule, renderText(pieces, b.values)); problem != "" {
		b.add(b.root.at(first), "does not fit %v: %s", f.at, problem)
	}
}

// missing reports a name without a value.
func (b *binder) missing(name string, at *path) {
	b.bad[name] = true
	_, known := b.declared[name]
	if known || len(b.declared) == 0 {
		b.add(b.root.at(name), "is needed: ${%s} stands in %v", name, at)
		return
	}
	b.add(b.root.at(name), "is needed, because ${%s} stands in %v, but the definition does not declare it", name, at)
}
