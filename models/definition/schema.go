package definition

import (
	"encoding/json"
	"reflect"
	"strings"

	"github.com/invopop/jsonschema"
)

// Schema returns the JSON Schema (2020-12) of the document. It is made of the structs that Parse
// decodes into and describes the document's shape; what needs more than one value, such as names
// that must exist, only Parse can check.
func Schema() json.RawMessage {
	reflector := jsonschema.Reflector{
		Anonymous:                  true,
		ExpandedStruct:             true,
		RequiredFromJSONSchemaTags: true,
		Namer:                      func(t reflect.Type) string { return strings.TrimSuffix(t.Name(), "Doc") },
	}
	schema := reflector.Reflect(document{})
	schema.Title = "Pipeline definition"
	schema.Description = "What a pipeline reads, makes of it, checks and publishes. ${name} in any text is a parameter, $${ a literal ${."
	raw, err := json.Marshal(schema)
	if err != nil {
		panic(err) // it is made of constants
	}
	return raw
}
