package definition

import "github.com/invopop/jsonschema"

// document is a definition as it is written. Its parts stand with what is built of them: sourceDoc
// in sources.go, sinkDoc in sinks.go and so on.
type document struct {
	Parameters      []parameterDoc      `json:"parameters" jsonschema_description:"Values that an execution may be given; where none is declared, any may be."`
	Sources         named[sourceDoc]    `json:"sources" jsonschema_description:"Where rows are read from, by name."`
	Transformations []transformationDoc `json:"transformations" jsonschema_description:"What is made of the rows."`
	QualityChecks   []checkDoc          `json:"quality_checks" jsonschema_description:"What must hold for the rows of a step."`
	Sinks           named[sinkDoc]      `json:"sinks" jsonschema_description:"Where rows are published to, by name."`
	Orchestration   orchestrationDoc    `json:"orchestration" jsonschema_description:"How the tasks are run."`
}

// adopted reports whether the document stands for a DAG that Airflow has already.
func (d *document) adopted() bool {
	steps := len(d.Sources) + len(d.Transformations) + len(d.QualityChecks) + len(d.Sinks)
	return steps == 0 && d.Orchestration.Engine == "airflow" && d.Orchestration.DagID != ""
}

// JSONSchemaExtend says what the structs cannot: names are keys, and a document has sources and
// sinks unless it adopts a DAG.
func (document) JSONSchemaExtend(s *jsonschema.Schema) {
	for _, section := range []string{"sources", "sinks"} {
		property := s.Properties.Value(section)
		property.PropertyNames = &jsonschema.Schema{Pattern: namePattern}
	}
	engine := jsonschema.NewProperties()
	engine.Set("engine", &jsonschema.Schema{Const: "airflow"})
	properties := jsonschema.NewProperties()
	properties.Set("orchestration", &jsonschema.Schema{Properties: engine, Required: []string{"engine", "dag_id"}})
	s.AnyOf = []*jsonschema.Schema{
		{Required: []string{"sources", "sinks"}},
		{Properties: properties, Required: []string{"orchestration"}},
	}
}

// oneOfVariants makes a union's schema, which the reflector sees as a struct with a pointer field
// for each variant, a choice between them.
func oneOfVariants(s *jsonschema.Schema) {
	for variant := range s.Properties.ValuesFromOldest() {
		s.OneOf = append(s.OneOf, variant)
	}
	s.Type, s.Properties, s.AdditionalProperties = "", nil, nil
}
