package graph

import (
	"fmt"
	"html"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// Sizes in pixels.
const (
	charWidth  = 7
	padding    = 12
	boxHeight  = 44
	gapBelow   = 18
	gapBetween = 70
	margin     = 20
)

// sweeps is how often the nodes of each column are put in order by their neighbours.
const sweeps = 4

type box struct{ x, y, width int }

// WriteSVG draws the graph.
func (g *Graph) WriteSVG(w io.Writer) error {
	boxes, width, height := g.layout()
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">`+"\n",
		width, height, width, height)
	b.WriteString(`<defs><marker id="arrow" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" orient="auto">` +
		`<path d="M0 0L8 4L0 8z" fill="#667"/></marker></defs>` + "\n")
	for _, e := range g.edges {
		from, to := boxes[e.from], boxes[e.to]
		x1, y1, x2, y2 := from.x+from.width, from.y+boxHeight/2, to.x, to.y+boxHeight/2
		bend := max((x2-x1)/2, gapBetween/2)
		fmt.Fprintf(&b, `<path d="M%d %dC%d %d %d %d %d %d" fill="none" stroke="#667" marker-end="url(#arrow)"/>`+"\n",
			x1, y1, x1+bend, y1, x2-bend, y2, x2, y2)
	}
	for i, n := range g.nodes {
		n.draw(&b, boxes[i])
	}
	b.WriteString("</svg>\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// fills are the colours of nodes, corners how round they are.
var (
	fills   = map[Kind]string{Dataset: "#dbeafe", Step: "#f3f4f6", Pipeline: "#fef3c7"}
	corners = map[Kind]int{Dataset: 20, Step: 3, Pipeline: 8}
)

func (n node) draw(b *strings.Builder, at box) {
	fmt.Fprintf(b, `<rect x="%d" y="%d" width="%d" height="%d" rx="%d" fill="%s" stroke="#667"/>`,
		at.x, at.y, at.width, boxHeight, corners[n.kind], fills[n.kind])
	line := func(y int, style, text string) {
		fmt.Fprintf(b, `<text x="%d" y="%d" text-anchor="middle"%s>%s</text>`, at.x+at.width/2, at.y+y, style, html.EscapeString(text))
	}
	if n.note == "" {
		line(boxHeight/2+4, "", n.label)
	} else {
		line(boxHeight/2-2, "", n.label)
		line(boxHeight/2+14, ` fill="#667"`, n.note)
	}
	b.WriteString("\n")
}

// layout puts every node in a column behind all that lead to it, and orders the columns so that few edges cross.
func (g *Graph) layout() (boxes []box, width, height int) {
	columns := g.columns()
	place := make([]int, len(g.nodes)) // in its column
	for _, column := range columns {
		for i, n := range column {
			place[n] = i
		}
	}
	before, after := g.neighbours()
	for sweep := range sweeps {
		beside := before
		order := slices.All(columns)
		if sweep%2 == 1 {
			beside, order = after, slices.Backward(columns)
		}
		for _, column := range order {
			arrange(column, beside, place)
		}
	}
	boxes = make([]box, len(g.nodes))
	x := margin
	for _, column := range columns {
		widest, y := 0, margin
		for _, n := range column {
			chars := max(utf8.RuneCountInString(g.nodes[n].label), utf8.RuneCountInString(g.nodes[n].note))
			boxes[n] = box{x: x, y: y, width: chars*charWidth + 2*padding}
			widest = max(widest, boxes[n].width)
			y += boxHeight + gapBelow
		}
		x += widest + gapBetween
		height = max(height, y-gapBelow+margin)
	}
	return boxes, max(x-gapBetween+margin, 2*margin), max(height, 2*margin)
}

// arrange orders a column by where the neighbours of its nodes are on average.
func arrange(column []int, beside [][]int, place []int) {
	weight := make(map[int]float64, len(column))
	for _, n := range column {
		weight[n] = float64(place[n])
		if len(beside[n]) == 0 {
			continue
		}
		sum := 0
		for _, other := range beside[n] {
			sum += place[other]
		}
		weight[n] = float64(sum) / float64(len(beside[n]))
	}
	slices.SortStableFunc(column, func(a, b int) int {
		switch {
		case weight[a] < weight[b]:
			return -1
		case weight[a] > weight[b]:
			return 1
		default:
			return 0
		}
	})
	for i, n := range column {
		place[n] = i
	}
}

func (g *Graph) neighbours() (before, after [][]int) {
	before, after = make([][]int, len(g.nodes)), make([][]int, len(g.nodes))
	for _, e := range g.edges {
		before[e.to] = append(before[e.to], e.from)
		after[e.from] = append(after[e.from], e.to)
	}
	return before, after
}

// columns gives each node the length of the longest way to it. Pipelines may feed each other in circles: there the node that was
// added first comes first.
func (g *Graph) columns() [][]int {
	before, after := g.neighbours()
	waiting := make([]int, len(g.nodes))
	column := make([]int, len(g.nodes))
	placed := make([]bool, len(g.nodes))
	var ready []int
	for n := range g.nodes {
		if waiting[n] = len(before[n]); waiting[n] == 0 {
			ready = append(ready, n)
		}
	}
	var columns [][]int
	next := 0 // the first that may not be placed
	for done := 0; done < len(g.nodes); done++ {
		if len(ready) == 0 { // what is left waits for itself
			for placed[next] {
				next++
			}
			ready = append(ready, next)
		}
		n := ready[0]
		ready = ready[1:]
		if placed[n] {
			done--
			continue
		}
		placed[n] = true
		for len(columns) <= column[n] {
			columns = append(columns, nil)
		}
		columns[column[n]] = append(columns[column[n]], n)
		for _, m := range after[n] {
			if placed[m] {
				continue
			}
			column[m] = max(column[m], column[n]+1)
			if waiting[m]--; waiting[m] == 0 {
				ready = append(ready, m)
			}
		}
	}
	return columns
}
