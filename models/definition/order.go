package definition

import "container/heap"

// edges gives, for each node, the indexes of the nodes it waits for.
func edges(nodes []Node) [][]int {
	index := make(map[string]int, len(nodes))
	for i, n := range nodes {
		if _, taken := index[n.Name]; !taken && n.Name != "" { // both are mistakes of a document
			index[n.Name] = i
		}
	}
	after := make([][]int, len(nodes))
	for i, n := range nodes {
		for _, name := range n.After {
			if j, ok := index[name]; ok {
				after[i] = append(after[i], j)
			}
		}
	}
	return after
}

// topological orders the nodes so that each comes after those it waits for, lower indexes first.
// What waits for itself is left out, and what waits for that.
func topological(nodes []Node) []int {
	after := edges(nodes)
	before := make([][]int, len(nodes))
	waiting := make([]int, len(nodes))
	ready := &intHeap{}
	for i, list := range after {
		waiting[i] = len(list)
		for _, j := range list {
			before[j] = append(before[j], i)
		}
		if len(list) == 0 {
			*ready = append(*ready, i) // ascending, so already a heap
		}
	}
	order := make([]int, 0, len(nodes))
	for ready.Len() > 0 {
		i := heap.Pop(ready).(int)
		order = append(order, i)
		for _, j := range before[i] {
			if waiting[j]--; waiting[j] == 0 {
				heap.Push(ready, j)
			}
		}
	}
	return order
}

// intHeap gives the least number first.
type intHeap []int

func (h intHeap) Len() int           { return len(h) }
func (h intHeap) Less(i, j int) bool { return h[i] < h[j] }
func (h intHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *intHeap) Push(x any)        { *h = append(*h, x.(int)) }
func (h *intHeap) Pop() any {
	last := len(*h) - 1
	x := (*h)[last]
	*h = (*h)[:last]
	return x
}

// cycles finds circles of nodes that wait for each other, at least one of each group, as indexes
// in the direction of the data and beginning with the least.
func cycles(nodes []Node) [][]int {
	left := make([]bool, len(nodes)) // nodes no order was found for
	for i := range left {
		left[i] = true
	}
	for _, i := range topological(nodes) {
		left[i] = false
	}
	after := edges(nodes)
	walked := make([]int, len(nodes)) // which walk came by, from 1
	var found [][]int
	for start := range nodes {
		if !left[start] {
			continue
		}
		// Each node that is left waits for one that is left: walking on ends in a circle.
		var walk []int
		i := start
		for walked[i] == 0 {
			walked[i] = start + 1
			walk = append(walk, i)
			for _, j := range after[i] {
				if left[j] {
					i = j
					break
				}
			}
		}
		if walked[i] == start+1 {
			found = append(found, circle(walk, i))
		}
	}
	return found
}

// circle takes the part of a walk from node i on, turns it round and lets it begin with its least.
func circle(walk []int, i int) []int {
	from := 0
	for walk[from] != i {
		from++
	}
	walk = walk[from:]
	least := 0
	for k, j := range walk {
		if j < walk[least] {
			least = k
		}
	}
	n := len(walk)
	turned := make([]int, 0, n)
	for k := range n {
		turned = append(turned, walk[(least-k+n)%n])
	}
	return turned
}
