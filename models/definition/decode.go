package definition

import (
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// decoder fills the document structs (sourceDoc and its like) from a tree, strictly: a key that a
// struct does not have, a wrong type or a missing value is a mistake at its place.
//
// The tags json and jsonschema say what a field accepts. Schema reads the same tags, so that the
// published JSON Schema and this decoder cannot drift apart. Understood are required, enum,
// minimum, maximum, minLength and minItems.
type decoder struct {
	*mistakes
	structs map[reflect.Type][]field
}

// decodable is a type with a form of its own.
type decodable interface {
	decode(d *decoder, n *node, at *path)
}

// field is one key of a document struct.
type field struct {
	key   string
	index []int
	rules rules
}

// rules are what a tag jsonschema asks for. Of a list, enum and minLength count for its items.
type rules struct {
	required  bool
	enum      []string
	minimum   float64
	maximum   float64
	minLength int
	minItems  int
}

func parseRules(tag string) rules {
	r := rules{minimum: math.Inf(-1), maximum: math.Inf(1)}
	for _, part := range strings.Split(tag, ",") {
		name, value, _ := strings.Cut(part, "=")
		switch name {
		case "required":
			r.required = true
		case "enum":
			r.enum = append(r.enum, value)
		case "minimum":
			r.minimum, _ = strconv.ParseFloat(value, 64)
		case "maximum":
			r.maximum, _ = strconv.ParseFloat(value, 64)
		case "minLength":
			r.minLength, _ = strconv.Atoi(value)
		case "minItems":
			r.minItems, _ = strconv.Atoi(value)
		}
	}
	return r
}

// fields lists the keys of a document struct, embedded structs' among them.
func (d *decoder) fields(t reflect.Type) []field {
	if known, ok := d.structs[t]; ok {
		return known
	}
	var fields []field
	for _, f := range reflect.VisibleFields(t) {
		key, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous || key == "-" {
			continue
		}
		fields = append(fields, field{key: key, index: f.Index, rules: parseRules(f.Tag.Get("jsonschema"))})
	}
	if d.structs == nil {
		d.structs = map[reflect.Type][]field{}
	}
	d.structs[t] = fields
	return fields
}

// is reports whether a value is of a kind and says so where it is not.
func (d *decoder) is(n *node, want kind, at *path) bool {
	if n.kind == want {
		return true
	}
	if n.kind == kindNull {
		d.add(at, "must be %v; leave the key out rather than giving null", want)
	} else {
		d.add(at, "must be %v, not %v", want, n.kind)
	}
	return false
}

func (d *decoder) value(into reflect.Value, n *node, r rules, at *path) {
	if own, ok := into.Addr().Interface().(decodable); ok {
		own.decode(d, n, at)
		return
	}
	switch into.Kind() {
	case reflect.Pointer:
		into.Set(reflect.New(into.Type().Elem()))
		d.value(into.Elem(), n, r, at)
	case reflect.Struct:
		d.object(into, n, at)
	case reflect.Slice:
		d.list(into, n, r, at)
	case reflect.String:
		if d.is(n, kindText, at) {
			d.text(into, n.text, r, at)
		}
	case reflect.Bool:
		if d.is(n, kindBoolean, at) {
			into.SetBool(n.text == "true")
		}
	case reflect.Int, reflect.Float64:
		if d.is(n, kindNumber, at) {
			d.number(into, n.text, r, at)
		}
	default:
		panic("definition: no document field may be a " + into.Type().String())
	}
}

func (d *decoder) object(into reflect.Value, n *node, at *path) {
	if !d.is(n, kindObject, at) {
		return
	}
	fields := d.fields(into.Type())
	for i, key := range n.keys {
		if !d.setField(into, fields, key, n.items[i], at) {
			d.unknownKey(fields, key, at)
		}
	}
	for _, f := range fields {
		if f.rules.required && n.get(f.key) == nil {
			d.add(at.at(f.key), "is required%s", oneOf(f.rules.enum))
		}
	}
}

func (d *decoder) setField(into reflect.Value, fields []field, key string, n *node, at *path) bool {
	for _, f := range fields {
		if f.key == key {
			d.value(into.FieldByIndex(f.index), n, f.rules, at.at(key))
			return true
		}
	}
	return false
}

func (d *decoder) unknownKey(fields []field, key string, at *path) {
	known := make([]string, len(fields))
	for i, f := range fields {
		known[i] = f.key
	}
	d.add(at.at(key), "is not known here%s", suggest(key, known))
}

func (d *decoder) list(into reflect.Value, n *node, r rules, at *path) {
	if !d.is(n, kindList, at) {
		return
	}
	if len(n.items) < r.minItems {
		d.add(at, "must not be empty")
	}
	if len(n.items) == 0 {
		return
	}
	into.Set(reflect.MakeSlice(into.Type(), len(n.items), len(n.items)))
	for i, item := range n.items {
		d.value(into.Index(i), item, r, at.item(i))
	}
}

func (d *decoder) text(into reflect.Value, s string, r rules, at *path) {
	if len(s) < r.minLength {
		d.add(at, "must not be empty")
		return
	}
	if len(r.enum) > 0 && !slices.Contains(r.enum, s) {
		d.add(at, "%s is not allowed%s%s", quote(s), oneOf(r.enum), suggest(s, r.enum))
		return
	}
	into.SetString(s)
}

func (d *decoder) number(into reflect.Value, digits string, r rules, at *path) {
	f, err := strconv.ParseFloat(digits, 64)
	if err != nil {
		return // the tree reader has said so
	}
	if into.Kind() == reflect.Int && (f != math.Trunc(f) || math.Abs(f) > 1<<53) {
		d.add(at, "must be a whole number")
		return
	}
	switch {
	case f < r.minimum && math.IsInf(r.maximum, 1):
		d.add(at, "must be at least %v", r.minimum)
	case f < r.minimum || f > r.maximum:
		d.add(at, "must be between %v and %v", r.minimum, r.maximum)
	case into.Kind() == reflect.Int:
		into.SetInt(int64(f))
	default:
		into.SetFloat(f)
	}
}

// variant fills the one pointer field of a union struct whose json tag the key "type" names, and
// its field Name with the text of the key "name". Types in later exist, but not in this release.
func (d *decoder) variant(union any, n *node, later []string, at *path) {
	if !d.is(n, kindObject, at) {
		return
	}
	into := reflect.ValueOf(union).Elem()
	if name := n.get("name"); name != nil && name.kind == kindText {
		into.FieldByName("Name").SetString(name.text)
	}
	var types []string
	var variant reflect.Value
	chosen := n.get("type")
	for i := range into.NumField() {
		if into.Field(i).Kind() != reflect.Pointer {
			continue
		}
		typ := into.Type().Field(i).Tag.Get("json")
		types = append(types, typ)
		if chosen != nil && chosen.text == typ {
			variant = into.Field(i)
		}
	}
	switch {
	case chosen == nil:
		d.add(at.at("type"), "is required%s", oneOf(types))
	case !d.is(chosen, kindText, at.at("type")):
	case slices.Contains(later, chosen.text):
		d.add(at.at("type"), "%s is not supported by this release; use %s", chosen.text, or(types))
	case !variant.IsValid():
		d.add(at.at("type"), "%s is not allowed%s%s", quote(chosen.text), oneOf(types), suggest(chosen.text, types))
	default:
		d.value(variant, n, rules{}, at)
	}
}
