package definition

import (
	"reflect"

	"github.com/matih/pipeline-service/models"
)

// maxTasks bounds a definition's tasks.
const maxTasks = 10_000

// Parse reads a definition document, strict JSON, and checks everything that can be known without
// parameters and connections. All mistakes come back at once in one *models.Error with
// CodeInvalidDefinition, with locations below at.
func Parse(doc []byte, at string) (*Definition, error) {
	var m mistakes
	root := newPath(at)
	var d *Definition
	if tree := readTree(doc, root, &m); tree != nil && fewTasks(tree, &m, root) {
		var parsed document
		decoder := decoder{mistakes: &m}
		decoder.value(reflect.ValueOf(&parsed).Elem(), tree, rules{}, root)
		if tree.kind == kindObject {
			d = build(&m, &parsed, root)
		}
	}
	if err := m.err(models.CodeInvalidDefinition, "the definition"); err != nil {
		return nil, err
	}
	return d, nil
}

// fewTasks turns away documents with too many tasks before they cost more than reading.
func fewTasks(tree *node, m *mistakes, at *path) bool {
	n := 0
	for _, section := range []string{"sources", "transformations", "quality_checks", "sinks"} {
		if tasks := tree.get(section); tasks != nil {
			n += len(tasks.items)
		}
	}
	if n > maxTasks {
		m.add(at, "has %d tasks; at most %d are allowed", n, maxTasks)
		return false
	}
	return true
}

// builder makes the Definition of a document and checks what needs more than one value.
type builder struct {
	*mistakes
	def         Definition
	steps       map[string]step
	suggestions int // made so far for names of steps
}

func build(m *mistakes, doc *document, at *path) *Definition {
	b := builder{mistakes: m, steps: map[string]step{}}
	b.register(doc, at)
	d := &b.def
	d.Parameters = b.parameters(doc.Parameters, at.at("parameters"))
	for _, s := range doc.Sources {
		d.Sources = append(d.Sources, b.source(s.name, s.value, at.at("sources").at(s.name)))
	}
	for i, t := range doc.Transformations {
		d.Transformations = append(d.Transformations, b.transformation(t, at.at("transformations").item(i)))
	}
	for i, c := range doc.QualityChecks {
		d.QualityChecks = append(d.QualityChecks, b.check(c, at.at("quality_checks").item(i)))
	}
	for _, s := range doc.Sinks {
		d.Sinks = append(d.Sinks, b.sink(s.name, s.value, at.at("sinks").at(s.name)))
	}
	d.Orchestration = b.orchestration(doc.Orchestration, at.at("orchestration"))
	b.oneAtATime(doc.Orchestration, at.at("orchestration"))
	b.sections(doc, at)
	b.cycles()
	checkTexts(m, d, at)
	return d
}

// sections checks that there is something to do.
func (b *builder) sections(doc *document, at *path) {
	if doc.adopted() {
		return
	}
	if len(doc.Sources) == 0 {
		b.add(at.at("sources"), "must hold at least one source")
	}
	if len(doc.Sinks) == 0 {
		b.add(at.at("sinks"), "must hold at least one sink")
	}
}
