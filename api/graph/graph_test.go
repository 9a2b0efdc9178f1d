package graph

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func draw(t *testing.T, g *Graph) (dot, svg string) {
	t.Helper()
	var d, s strings.Builder
	require.NoError(t, g.WriteDOT(&d))
	require.NoError(t, g.WriteSVG(&s))
	for decoder := xml.NewDecoder(strings.NewReader(s.String())); ; {
		_, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return d.String(), s.String()
		}
		require.NoError(t, err, "the SVG is well-formed")
	}
}

func TestDrawing(t *testing.T) {
	g := &Graph{}
	g.Node("a", Dataset, "sales.public.orders", "")
	g.Node("b", Step, "clean", "filter")
	g.Node("c", Pipeline, "report", "")
	g.Node("a", Step, "not again", "")
	g.Edge("a", "b")
	g.Edge("b", "c")
	g.Edge("b", "nowhere")
	dot, svg := draw(t, g)
	assert.Equal(t, `digraph lineage {
  rankdir=LR;
  node [fontname="sans-serif"];
  n0 [shape=cylinder, label="sales.public.orders"];
  n1 [shape=box, label="clean\nfilter"];
  n2 [shape=component, label="report"];
  n0 -> n1;
  n1 -> n2;
}
`, dot)
	assert.Equal(t, 2, strings.Count(svg, "<path d=\"M")-1, "two edges beside the arrow's head")
	assert.Equal(t, 3, strings.Count(svg, "<rect"))
	boxes, _, _ := g.layout()
	assert.Less(t, boxes[0].x+boxes[0].width, boxes[1].x)
	assert.Less(t, boxes[1].x+boxes[1].width, boxes[2].x)
}

func TestLabelsAreEscaped(t *testing.T) {
	g := &Graph{}
	g.Node("a", Dataset, `</text><script>alert("x")</script>\`, "a\x00b\x1b[31m\u202e\xff")
	dot, svg := draw(t, g)
	assert.NotContains(t, svg, "<script")
	assert.Contains(t, dot, `alert(\"x\")</script>\\\n`)
	for _, text := range []string{dot, svg} {
		assert.NotContains(t, text, "\x1b")
		assert.NotContains(t, text, "\u202e")
	}
	g = &Graph{}
	g.Node("a", Dataset, strings.Repeat("ä", 500), "")
	dot, _ = draw(t, g)
	assert.Contains(t, dot, "ä…")
	assert.Less(t, len(dot), 300)
}

func TestNothingAndCircles(t *testing.T) {
	draw(t, &Graph{})
	g := &Graph{}
	for _, id := range []string{"a", "b", "c", "d"} {
		g.Node(id, Pipeline, id, "")
	}
	for _, e := range []string{"ab", "ba", "bc", "cb", "cd", "aa"} {
		g.Edge(e[:1], e[1:])
	}
	_, svg := draw(t, g)
	assert.Equal(t, 4, strings.Count(svg, "<rect"))
}

func TestCrossingsAreAvoided(t *testing.T) {
	g := &Graph{}
	for i := range 3 {
		g.Node(fmt.Sprint("l", i), Dataset, "left", "")
	}
	for i := range 3 {
		g.Node(fmt.Sprint("r", i), Dataset, "right", "")
		g.Edge(fmt.Sprint("l", 2-i), fmt.Sprint("r", i))
	}
	boxes, _, _ := g.layout()
	for i := range 3 {
		assert.Equal(t, boxes[2-i].y, boxes[3+i].y, "each beside its neighbour")
	}
}

func TestLargeGraphs(t *testing.T) {
	g := &Graph{}
	for i := range 10_000 {
		g.Node(fmt.Sprint(i), Step, fmt.Sprint("step ", i), "filter")
		g.Edge(fmt.Sprint(i/2), fmt.Sprint(i))
		g.Edge(fmt.Sprint(i-1), fmt.Sprint(i))
	}
	started := time.Now()
	draw(t, g)
	assert.Less(t, time.Since(started), 20*time.Second)
}
