package api

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/matih/pipeline-service/models/lineage"
	"github.com/matih/pipeline-service/models/store"
)

// maxRelated bounds the pipelines that one answer names in each direction.
const maxRelated = 500

// RelatedView is another pipeline that data come from or go to.
type RelatedView struct {
	PipelineID string     `json:"pipelineId"`
	Name       string     `json:"name"`
	Depth      int        `json:"depth" doc:"How many pipelines away it is."`
	Links      []LinkView `json:"links" doc:"What it shares with the pipelines that are nearer."`
}

// LinkView is data that one pipeline writes and another reads.
type LinkView struct {
	From   string `json:"from" doc:"The pipeline that writes."`
	To     string `json:"to" doc:"The pipeline that reads."`
	Writes string `json:"writes" doc:"The fqn of the sink."`
	Reads  string `json:"reads" doc:"The fqn of the source: another than that of the sink where a pattern finds its files."`
}

// relate adds the pipelines around a pipeline.
func (v *LineageView) relate(ctx context.Context, t *store.Tenant, id string, sets []lineage.Dataset, depth int) error {
	for direction, into := range map[lineage.Direction]*[]RelatedView{lineage.Writes: &v.Upstream, lineage.Reads: &v.Downstream} {
		w := walk{store: t, wanted: direction, seen: map[string]bool{id: true}}
		found, err := w.run(ctx, map[string][]lineage.Dataset{id: sets}, depth)
		if err != nil {
			return err
		}
		*into, v.Truncated = found, v.Truncated || w.truncated
	}
	return nil
}

// walk goes from pipelines to those that share their data, a level at a time.
type walk struct {
	store *store.Tenant
	// wanted is what the others do with the data: those upstream write it, those downstream read it.
	wanted    lineage.Direction
	seen      map[string]bool
	truncated bool
}

func (w *walk) run(ctx context.Context, near map[string][]lineage.Dataset, depth int) ([]RelatedView, error) {
	var all []RelatedView
	for level := 1; level <= depth && len(near) > 0; level++ {
		found, err := w.level(ctx, near)
		if err != nil {
			return nil, err
		}
		next := make([]string, 0, len(found))
		for i := range found {
			if len(all) == maxRelated {
				w.truncated = true
				return all, nil
			}
			found[i].Depth = level
			w.seen[found[i].PipelineID] = true
			next = append(next, found[i].PipelineID)
			all = append(all, found[i])
		}
		if near, err = w.store.PipelineDatasets(ctx, next...); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// owned is a data set and its pipeline.
type owned struct {
	pipeline string
	set      lineage.Dataset
}

// level finds the pipelines that share data with those that are near.
func (w *walk) level(ctx context.Context, near map[string][]lineage.Dataset) ([]RelatedView, error) {
	byKey := map[string][]owned{}
	for _, id := range slices.Sorted(maps.Keys(near)) {
		for _, set := range near[id] {
			if set.Direction == w.wanted {
				continue
			}
			for _, key := range set.Keys() {
				byKey[key] = append(byKey[key], owned{id, set})
			}
		}
	}
	neighbours, complete, err := w.store.Neighbours(ctx, w.wanted, slices.Sorted(maps.Keys(byKey)))
	if err != nil {
		return nil, err
	}
	w.truncated = w.truncated || !complete
	found := map[string]*RelatedView{}
	for _, n := range neighbours {
		if w.seen[n.PipelineID] {
			continue
		}
		for _, key := range n.Dataset.Keys() {
			for _, own := range byKey[key] {
				w.link(found, own, n)
			}
		}
	}
	related := make([]RelatedView, 0, len(found))
	for _, id := range slices.Sorted(maps.Keys(found)) {
		slices.SortFunc(found[id].Links, func(a, b LinkView) int {
			return strings.Compare(a.From+" "+a.To+" "+a.Writes+" "+a.Reads, b.From+" "+b.To+" "+b.Writes+" "+b.Reads)
		})
		found[id].Links = slices.Compact(found[id].Links)
		related = append(related, *found[id])
	}
	return related, nil
}

// link notes that data go from one to the other, if they do.
func (w *walk) link(found map[string]*RelatedView, own owned, n store.Neighbour) {
	sink, source := owned{n.PipelineID, n.Dataset}, own
	if w.wanted == lineage.Reads {
		sink, source = source, sink
	}
	if !lineage.Feeds(sink.set, source.set) {
		return
	}
	if found[n.PipelineID] == nil {
		found[n.PipelineID] = &RelatedView{PipelineID: n.PipelineID, Name: n.PipelineName}
	}
	found[n.PipelineID].Links = append(found[n.PipelineID].Links,
		LinkView{From: sink.pipeline, To: source.pipeline, Writes: sink.set.FQN, Reads: source.set.FQN})
}
