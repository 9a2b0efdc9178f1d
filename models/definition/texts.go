package definition

import (
	"encoding/json"
	"reflect"
	"strings"
)

// textField is one text of a definition: where it stands and what it may be.
type textField struct {
	at     *path
	text   string
	sql    bool
	rule   string
	inputs []string      // of the step it belongs to
	into   reflect.Value // a string, or a json.RawMessage that holds JSON text
}

// raw reports whether the field can hold other JSON values than text.
func (f *textField) raw() bool { return f.into.Kind() != reflect.String }

// texts visits every text of a definition in which a placeholder may stand or that has a rule.
// Parameters are not among them: their defaults are values, not templates.
func (d *Definition) texts(at *path, visit func(*textField)) {
	w := textWalker{visit: visit}
	for i := range d.Sources {
		w.walk(reflect.ValueOf(&d.Sources[i]).Elem(), "", at.at("sources").at(d.Sources[i].Name))
	}
	for i := range d.Transformations {
		t := &d.Transformations[i]
		if w.inputs = t.Inputs; len(t.Inputs) == 0 {
			w.inputs = []string{""} // its absence is a mistake of its own
		}
		w.walk(reflect.ValueOf(t).Elem(), "", at.at("transformations").item(i))
	}
	for i := range d.QualityChecks {
		c := &d.QualityChecks[i]
		w.inputs = []string{c.Input}
		w.walk(reflect.ValueOf(c).Elem(), "", at.at("quality_checks").item(i))
	}
	w.inputs = nil
	for i := range d.Sinks {
		w.walk(reflect.ValueOf(&d.Sinks[i]).Elem(), "", at.at("sinks").at(d.Sinks[i].Name))
	}
	w.walk(reflect.ValueOf(&d.Orchestration).Elem(), "", at.at("orchestration"))
}

type textWalker struct {
	visit  func(*textField)
	inputs []string
}

var rawType = reflect.TypeFor[json.RawMessage]()

// walk visits the texts of v, which a field with the given tag holds.
func (w *textWalker) walk(v reflect.Value, tag reflect.StructTag, at *path) {
	switch v.Kind() {
	case reflect.String:
		w.text(v.String(), v, tag, at)
	case reflect.Pointer:
		if !v.IsNil() {
			w.walk(v.Elem(), tag, at)
		}
	case reflect.Slice:
		if v.Type() == rawType {
			w.rawText(v, tag, at)
			return
		}
		for i := range v.Len() {
			item := at.item(i)
			if key := tag.Get("at"); key != "" && key != "-" {
				item = at.at(v.Index(i).FieldByName(key).String())
			}
			w.walk(v.Index(i), tag, item)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			f := v.Type().Field(i)
			below := at
			if f.Tag.Get("at") != "-" {
				key, _, _ := strings.Cut(f.Tag.Get("json"), ",")
				below = at.at(key)
			}
			w.walk(v.Field(i), f.Tag, below)
		}
	}
}

func (w *textWalker) rawText(v reflect.Value, tag reflect.StructTag, at *path) {
	var text string
	if raw := v.Bytes(); len(raw) > 0 && raw[0] == '"' && json.Unmarshal(raw, &text) == nil {
		w.text(text, v, tag, at)
	}
}

func (w *textWalker) text(s string, v reflect.Value, tag reflect.StructTag, at *path) {
	f := textField{at: at, text: s, sql: tag.Get("render") == "sql", rule: tag.Get("rule"), inputs: w.inputs, into: v}
	if s != "" && (f.sql || f.rule != "" || hasPlaceholder(s)) {
		w.visit(&f)
	}
}

// checkTexts checks what can be known of the texts before they are rendered.
func checkTexts(m *mistakes, d *Definition, at *path) {
	d.texts(at, func(f *textField) {
		if !hasPlaceholder(f.text) && !f.sql {
			if problem := checkRule(f.rule, f.text); problem != "" {
				m.add(f.at, "%s", problem)
			}
			return
		}
		pieces, err := split(f.text, f.sql)
		if err == nil && f.sql {
			err = checkSQL(pieces, len(f.inputs))
		}
		if err != nil {
			m.add(f.at, "%v", err)
		}
	})
}
