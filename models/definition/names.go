package definition

import (
	"reflect"
	"regexp"

	"github.com/invopop/jsonschema"
)

const (
	namePattern      = `^[a-z][a-z0-9_]{0,62}$`
	parameterPattern = `^[A-Za-z_][A-Za-z0-9_]{0,62}$`
)

var (
	nameForm      = regexp.MustCompile(namePattern)
	parameterForm = regexp.MustCompile(parameterPattern)
)

// stepName is the name of a source, transformation, check or sink.
type stepName string

func (s *stepName) decode(d *decoder, n *node, at *path) {
	if d.is(n, kindText, at) {
		checkName(d.mistakes, n.text, at)
		*s = stepName(n.text)
	}
}

func checkName(m *mistakes, name string, at *path) {
	if !nameForm.MatchString(name) {
		m.add(at, "%s cannot be a name; it must be a lower-case letter and then up to 62 lower-case letters, digits or underscores", quote(name))
	}
}

// JSONSchema describes the form of names.
func (stepName) JSONSchema() *jsonschema.Schema {
	return &jsonschema.Schema{
		Type: "string", Pattern: namePattern,
		Description: "A name, unique over all sources, transformations, quality checks and sinks.",
	}
}

// parameterName is the name of a parameter. Upper case is allowed: parameters are often named as
// environment variables are.
type parameterName string

func (p *parameterName) decode(d *decoder, n *node, at *path) {
	if !d.is(n, kindText, at) {
		return
	}
	if !parameterForm.MatchString(n.text) {
		d.add(at, "%s cannot be a parameter's name; it must be a letter or underscore and then up to 62 letters, digits or underscores", quote(n.text))
	}
	*p = parameterName(n.text)
}

// JSONSchema describes the form of parameters' names.
func (parameterName) JSONSchema() *jsonschema.Schema {
	return &jsonschema.Schema{Type: "string", Pattern: parameterPattern}
}

// named is an object whose keys are names; it keeps the document's order.
type named[T any] []entry[T]

type entry[T any] struct {
	name  string
	value T
}

func (l *named[T]) decode(d *decoder, n *node, at *path) {
	if !d.is(n, kindObject, at) {
		return
	}
	*l = make(named[T], len(n.items))
	for i, key := range n.keys {
		e := &(*l)[i]
		e.name = key
		checkName(d.mistakes, key, at.at(key))
		d.value(reflect.ValueOf(&e.value).Elem(), n.items[i], rules{}, at.at(key))
	}
}

// JSONSchemaAlias makes the schema that of an object.
func (named[T]) JSONSchemaAlias() any { return map[string]T{} }
