package definition

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/matih/pipeline-service/models"
)

// Render returns a copy of the definition with every ${name} replaced: by a typed literal in SQL,
// by text elsewhere. $${ becomes ${, and {{ input }} in SQL the quoted name of the single input. A
// value is never looked at for placeholders of its own. In the fields that take any JSON value
// (min, max, values) a text that is nothing but ${name} becomes the value with its type.
//
// v must come from Bind of the same definition; a name it lacks is a *models.Error.
func (d *Definition) Render(v *Values) (*Definition, error) {
	rendered := clone(reflect.ValueOf(*d)).Interface().(Definition)
	var failed error
	rendered.texts(newPath(""), func(f *textField) {
		if err := f.render(v.byName); err != nil && failed == nil {
			failed = err
		}
	})
	if failed != nil {
		return nil, failed
	}
	return &rendered, nil
}

func (f *textField) render(values map[string]value) error {
	if !hasPlaceholder(f.text) && !f.sql {
		return nil
	}
	pieces, err := split(f.text, f.sql)
	if err != nil {
		return models.Errorf(models.CodeInvalidDefinition, "%v: %v", f.at, err)
	}
	for _, p := range pieces {
		if _, ok := values[p.text]; p.kind == pieceParameter && !ok {
			return models.Errorf(models.CodeInvalidParameters, "%v: ${%s} has no value", f.at, p.text)
		}
	}
	switch {
	case f.sql:
		sql, err := renderSQL(pieces, values, f.inputs)
		if err != nil {
			return models.Errorf(models.CodeInvalidDefinition, "%v: %v", f.at, err)
		}
		f.into.SetString(sql)
	case f.raw() && len(pieces) == 1 && pieces[0].kind == pieceParameter:
		f.into.SetBytes(values[pieces[0].text].json())
	case f.raw():
		text := node{kind: kindText, text: renderText(pieces, values)}
		f.into.SetBytes(text.json())
	default:
		f.into.SetString(renderText(pieces, values))
	}
	return nil
}

func renderText(pieces []piece, values map[string]value) string {
	var b strings.Builder
	for _, p := range pieces {
		if p.kind == pieceParameter {
			b.WriteString(values[p.text].text)
		} else {
			b.WriteString(p.text)
		}
	}
	return b.String()
}

func renderSQL(pieces []piece, values map[string]value, inputs []string) (string, error) {
	var b strings.Builder
	for _, p := range pieces {
		switch p.kind {
		case pieceParameter:
			b.WriteString(values[p.text].sql())
		case pieceInput:
			if len(inputs) != 1 {
				return "", fmt.Errorf("%s needs a single input", p)
			}
			b.WriteString(`"` + inputs[0] + `"`) // a step's name holds no quote
		default:
			b.WriteString(p.text)
		}
	}
	return b.String(), nil
}

// clone copies a value and all it points to.
func clone(v reflect.Value) reflect.Value {
	copied := reflect.New(v.Type()).Elem()
	copied.Set(v)
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			copied.Set(reflect.New(v.Type().Elem()))
			copied.Elem().Set(clone(v.Elem()))
		}
	case reflect.Slice:
		if !v.IsNil() {
			copied.Set(reflect.MakeSlice(v.Type(), v.Len(), v.Len()))
			for i := range v.Len() {
				copied.Index(i).Set(clone(v.Index(i)))
			}
		}
	case reflect.Struct:
		for i := range v.NumField() {
			copied.Field(i).Set(clone(v.Field(i)))
		}
	}
	return copied
}
