package definition

// oneAtATime sees that no two executions read on from the same place at once: both would publish the same rows.
func (b *builder) oneAtATime(doc orchestrationDoc, at *path) {
	if doc.MaxActiveRuns < 2 {
		return
	}
	for i := range b.def.Sources {
		if s := &b.def.Sources[i]; s.Incremental() {
			b.add(at.at("max_active_runs"), "must be 1, because %s reads on where the execution before it ended", s.Name)
			return
		}
	}
}

// IncrementalOf lists the incremental sources that a step is made of, in the document's order: a sink, a
// transformation, or a source itself.
func (d *Definition) IncrementalOf(step string) []string {
	inputs := make(map[string][]string, len(d.Transformations))
	for _, t := range d.Transformations {
		inputs[t.Name] = t.Inputs
	}
	for _, s := range d.Sinks {
		inputs[s.Name] = []string{s.Input}
	}
	made := map[string]bool{}
	for open := []string{step}; len(open) > 0; {
		name := open[len(open)-1]
		open = open[:len(open)-1]
		if !made[name] {
			made[name] = true
			open = append(open, inputs[name]...)
		}
	}
	var sources []string
	for i := range d.Sources {
		if s := &d.Sources[i]; made[s.Name] && s.Incremental() {
			sources = append(sources, s.Name)
		}
	}
	return sources
}
