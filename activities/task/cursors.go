package task

import (
	"context"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/definition"
	protocol "github.com/matih/pipeline-service/models/task"
)

// addCursor tells an incremental source where to read on.
func (s *Specs) addCursor(ctx context.Context, spec *protocol.Spec) error {
	if !spec.Source.Incremental() {
		return nil
	}
	c, err := s.Store.ForTenant(spec.Tenant).Cursor(ctx, spec.Pipeline, spec.Source.Name)
	spec.Cursor = &c
	return err
}

// batchOf is what an incremental source has read; nil for other tasks.
func batchOf(spec protocol.Spec, result *protocol.Result) *models.Batch {
	if spec.Cursor == nil {
		return nil
	}
	name := spec.Cursor.Batch
	if name == "" {
		name = spec.Execution
	}
	return &models.Batch{Source: spec.Task, Name: name, Base: spec.Cursor.Seq, End: result.Cursor}
}

// addPublication names what a sink publishes. Of several batches the latest names it: none goes before all are
// published, so the others are always the same ones.
func (s *Specs) addPublication(ctx context.Context, spec *protocol.Spec, d *definition.Definition) error {
	batches, err := s.Store.ForTenant(spec.Tenant).Batches(ctx, spec.Execution, d.IncrementalOf(spec.Sink.Name))
	if err != nil {
		return err
	}
	spec.Publication = spec.Execution
	for i, b := range batches {
		if b.Stale {
			return models.Errorf(models.CodeStagedDataExpired,
				"what %s had read has been published or read anew since: run it again from the start", b.Source)
		}
		if i == 0 || b.Name > spec.Publication {
			spec.Publication = b.Name
		}
	}
	return nil
}
