package definition

// Again returns the names of the tasks that have to run when those do that stale names: they and all that
// wait for one of them. The nodes are in the order Graph gives them.
func Again(nodes []Node, stale func(Node) bool) map[string]bool {
	again := map[string]bool{}
	for _, n := range nodes {
		runs := stale(n)
		for _, before := range n.After {
			runs = runs || again[before]
		}
		if runs {
			again[n.Name] = true
		}
	}
	return again
}
