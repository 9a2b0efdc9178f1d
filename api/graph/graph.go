// Package graph draws small directed graphs: as a description for Graphviz, or as an SVG of its own layout. Layout libraries bring
// Graphviz itself along, compiled to WebAssembly; boxes in columns need no such thing.
package graph

import (
	"fmt"
	"io"
	"strings"
	"unicode"
)

// Kind is what a node stands for.
type Kind int

// The kinds of nodes.
const (
	Dataset Kind = iota
	Step
	Pipeline
)

// Graph is nodes and the edges between them, from left to right.
type Graph struct {
	nodes []node
	edges []edge
	index map[string]int
}

type node struct {
	kind  Kind
	label string
	note  string // a second line
}

type edge struct{ from, to int }

// Node adds a node with an id of the caller's, once.
func (g *Graph) Node(id string, kind Kind, label, note string) {
	if g.index == nil {
		g.index = map[string]int{}
	}
	if _, known := g.index[id]; !known {
		g.index[id] = len(g.nodes)
		g.nodes = append(g.nodes, node{kind, clean(label), clean(note)})
	}
}

// Edge adds an edge between nodes that are there.
func (g *Graph) Edge(from, to string) {
	f, known := g.index[from]
	t, both := g.index[to]
	if known && both && f != t {
		g.edges = append(g.edges, edge{f, t})
	}
}

// maxLabel is how many characters of a label are shown.
const maxLabel = 64

// clean is a label without what does not print, and not too long.
func clean(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, strings.ToValidUTF8(s, string(unicode.ReplacementChar)))
	if r := []rune(s); len(r) > maxLabel {
		return string(r[:maxLabel-1]) + "…"
	}
	return s
}

// dotShapes are the shapes of nodes.
var dotShapes = map[Kind]string{Dataset: "cylinder", Step: "box", Pipeline: "component"}

// WriteDOT describes the graph in Graphviz's language.
func (g *Graph) WriteDOT(w io.Writer) error {
	var b strings.Builder
	b.WriteString("digraph lineage {\n  rankdir=LR;\n  node [fontname=\"sans-serif\"];\n")
	for i, n := range g.nodes {
		label := quote(n.label)
		if n.note != "" {
			label += `\n` + quote(n.note)
		}
		fmt.Fprintf(&b, "  n%d [shape=%s, label=\"%s\"];\n", i, dotShapes[n.kind], label)
	}
	for _, e := range g.edges {
		fmt.Fprintf(&b, "  n%d -> n%d;\n", e.from, e.to)
	}
	b.WriteString("}\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// quote escapes a text for double quotes; Graphviz takes a backslash for the beginning of an escape of its own.
func quote(s string) string { return strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) }
