package definition

import (
	"maps"
	"slices"
	"strings"

	"github.com/matih/pipeline-service/models"
)

// step is a name of the one namespace of sources, transformations, checks and sinks.
type step struct {
	kind models.TaskKind
	at   *path
}

// register takes every name, so that steps can be named before they stand in the document.
func (b *builder) register(doc *document, at *path) {
	for _, s := range doc.Sources {
		place := at.at("sources").at(s.name)
		b.take(s.name, models.TaskSource, place, place)
	}
	for i, t := range doc.Transformations {
		place := at.at("transformations").item(i)
		b.take(t.Name, models.TaskTransformation, place, place.at("name"))
	}
	for i, c := range doc.QualityChecks {
		place := at.at("quality_checks").item(i)
		b.take(c.Name, models.TaskCheck, place, place.at("name"))
	}
	for _, s := range doc.Sinks {
		place := at.at("sinks").at(s.name)
		b.take(s.name, models.TaskSink, place, place)
	}
}

func (b *builder) take(name string, kind models.TaskKind, place, nameAt *path) {
	if name == "" {
		return // its absence is a mistake already
	}
	if first, taken := b.steps[name]; taken {
		b.add(nameAt, "the name %s is taken by a %s", quote(name), kindWords(first.kind))
		return
	}
	b.steps[name] = step{kind: kind, at: place}
}

// dataset gives the name of a source or transformation that a step reads, "" with a mistake where
// there is none.
func (b *builder) dataset(name, reader string, at *path) string {
	s, known := b.steps[name]
	switch {
	case name == reader:
		b.add(at, "%s cannot read itself", quote(name))
	case !known:
		b.add(at, "there is no source or transformation %s%s", quote(name), b.suggestStep(name))
	case s.kind != models.TaskSource && s.kind != models.TaskTransformation:
		b.add(at, "%s is a %s; only sources and transformations can be read", quote(name), kindWords(s.kind))
	default:
		return name
	}
	return ""
}

// suggestStep looks for the step that was meant. It compares all names, so it does that only for
// the first few mistakes.
func (b *builder) suggestStep(name string) string {
	const most = 20
	if b.suggestions++; b.suggestions > most {
		return ""
	}
	// Sorted, because the map's order must not decide between equally near names.
	return suggest(name, slices.Sorted(maps.Keys(b.steps)))
}

func kindWords(k models.TaskKind) string { return strings.ReplaceAll(string(k), "_", " ") }

// distinct checks that no text of a list stands in it twice.
func (b *builder) distinct(list []string, at *path) {
	seen := make(map[string]bool, len(list))
	for i, s := range list {
		if seen[s] && s != "" {
			b.add(at.item(i), "%s is given twice", quote(s))
		}
		seen[s] = true
	}
}

// cycles reports each circle of steps that wait for each other.
func (b *builder) cycles() {
	const shown = 10
	nodes := b.def.dataflow()
	for _, circle := range cycles(nodes) {
		names := make([]string, 0, shown+2)
		for _, i := range circle {
			if len(names) == shown {
				names = append(names, "…")
				break
			}
			names = append(names, nodes[i].Name)
		}
		first := nodes[circle[0]].Name
		b.add(b.steps[first].at, "is part of a cycle: %s", strings.Join(append(names, first), " → "))
	}
}
