package definition

import (
	"math/bits"

	"github.com/matih/pipeline-service/models"
)

// Node is one task of a definition: a source, transformation, check or sink.
type Node struct {
	Name string
	Kind models.TaskKind
	// After names the tasks that must have succeeded before this one starts. Sinks with the same
	// input share one list: do not change it.
	After []string
	// Inputs are the data sets the task reads.
	Inputs []NodeInput
}

// NodeInput is a data set as a task sees it: Name is the step the definition names, From the task
// whose output stands for it. They differ where a check with on_failure: quarantine set rows of
// the step aside: its output is what goes on.
type NodeInput struct {
	Name string
	From string
}

// Graph lists the tasks so that each comes after those it waits for, and otherwise in the
// document's order: sources, transformations, checks, sinks.
//
// A transformation waits for the tasks that supply its inputs. Checks with on_failure: quarantine
// of one step run one after another, each on what the one before let pass, and whoever reads the
// step reads what the last one let pass; other checks look at the step's own output. A sink waits
// for the supplier of its input and for every check on every step it is made of; quarantine checks
// among them supply the steps on the way, so waiting for the supplier is waiting for them.
func (d *Definition) Graph() []Node {
	nodes := d.dataflow()
	order := topological(nodes)
	d.gate(nodes, order)
	sorted := make([]Node, 0, len(nodes))
	for _, i := range order { // sinks come last, so their gates come before them
		sorted = append(sorted, nodes[i])
	}
	return sorted
}

// dataflow lists the tasks in the document's order, each waiting for the data it reads.
func (d *Definition) dataflow() []Node {
	supplier := map[string]string{} // the last quarantine check of a step, where there is one
	for _, c := range d.QualityChecks {
		if c.OnFailure == OnFailureQuarantine && c.Input != "" {
			supplier[c.Input] = c.Name
		}
	}
	read := func(step string) NodeInput {
		if check, ok := supplier[step]; ok {
			return NodeInput{Name: step, From: check}
		}
		return NodeInput{Name: step, From: step}
	}

	nodes := make([]Node, 0, len(d.Sources)+len(d.Transformations)+len(d.QualityChecks)+len(d.Sinks))
	for _, s := range d.Sources {
		nodes = append(nodes, Node{Name: s.Name, Kind: models.TaskSource})
	}
	for _, t := range d.Transformations {
		n := Node{Name: t.Name, Kind: models.TaskTransformation}
		for _, input := range t.Inputs {
			n.reads(read(input))
		}
		nodes = append(nodes, n)
	}
	chain := map[string]string{} // the quarantine check of a step that is the last so far
	for _, c := range d.QualityChecks {
		n := Node{Name: c.Name, Kind: models.TaskCheck}
		own := NodeInput{Name: c.Input, From: c.Input}
		if c.OnFailure == OnFailureQuarantine {
			if before, ok := chain[c.Input]; ok {
				own.From = before
			}
			chain[c.Input] = c.Name
		}
		n.reads(own)
		if c.Reference != c.Input {
			n.reads(read(c.Reference))
		}
		nodes = append(nodes, n)
	}
	for _, s := range d.Sinks {
		n := Node{Name: s.Name, Kind: models.TaskSink}
		n.reads(read(s.Input))
		nodes = append(nodes, n)
	}
	return nodes
}

// reads adds an input; a name that Parse found no step for is "".
func (n *Node) reads(input NodeInput) {
	if input.Name != "" {
		n.Inputs = append(n.Inputs, input)
		n.After = append(n.After, input.From)
	}
}

// gate makes the sinks wait for the checks on the steps they are made of. Nodes are looked at in the
// given topological order.
//
// The checks of each step and of the steps before it are a bit set, so the cost is bounded by
// edges × checks / 64.
func (d *Definition) gate(nodes []Node, order []int) {
	steps := make(map[string]int, len(d.Sources)+len(d.Transformations)) // name → index in gates
	for _, s := range d.Sources {
		steps[s.Name] = len(steps)
	}
	for _, t := range d.Transformations {
		steps[t.Name] = len(steps)
	}
	var checks []string // those that supply nobody
	own := make([][]int, len(steps))
	for _, c := range d.QualityChecks {
		if c.OnFailure != OnFailureQuarantine {
			own[steps[c.Input]] = append(own[steps[c.Input]], len(checks))
			checks = append(checks, c.Name)
		}
	}
	gates := make([]bitset, len(steps))
	words := (len(checks) + 63) / 64
	for _, i := range order {
		n := nodes[i]
		if n.Kind != models.TaskSource && n.Kind != models.TaskTransformation {
			continue
		}
		gate := make(bitset, words)
		for _, input := range n.Inputs {
			gate.union(gates[steps[input.Name]])
		}
		for _, check := range own[steps[n.Name]] {
			gate.set(check)
		}
		gates[steps[n.Name]] = gate
	}
	after := map[string][]string{} // by the sink's input
	for i := range nodes {
		n := &nodes[i]
		if n.Kind != models.TaskSink {
			continue
		}
		input := n.Inputs[0]
		if after[input.Name] == nil {
			after[input.Name] = gates[steps[input.Name]].names(input.From, checks)
		}
		n.After = after[input.Name]
	}
}

// bitset is a set of small numbers.
type bitset []uint64

func (s bitset) set(i int) { s[i/64] |= 1 << (i % 64) }

func (s bitset) union(other bitset) {
	for i, word := range other {
		s[i] |= word
	}
}

// names gives a first name and the names of the numbers in the set, in their order.
func (s bitset) names(first string, all []string) []string {
	n := 1
	for _, word := range s {
		n += bits.OnesCount64(word)
	}
	names := append(make([]string, 0, n), first)
	for i, word := range s {
		for ; word != 0; word &= word - 1 {
			names = append(names, all[i*64+bits.TrailingZeros64(word)])
		}
	}
	return names
}
