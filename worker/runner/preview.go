package runner

import (
	"context"
	"fmt"

	"github.com/matih/pipeline-service/models/task"
	"github.com/matih/pipeline-service/worker/runner/blob"
	"github.com/matih/pipeline-service/worker/runner/duckdb"
	"github.com/matih/pipeline-service/worker/runner/fault"
	"github.com/matih/pipeline-service/worker/runner/sandbox"
	"github.com/matih/pipeline-service/worker/runner/staging"
)

// Names of relations that a preview makes; no step can have them.
const (
	boundedView = "_bounded"
	stagedView  = "_staged"
)

// maxRows is how many rows a source reads at most; 0 is all.
func (j *job) maxRows() int {
	if j.spec.Preview == nil {
		return 0
	}
	return j.spec.Preview.Rows
}

// bounded names the relation, or under a preview as many of its rows as are handed on: a join of samples may have
// many more rows than these.
func (j *job) bounded(ctx context.Context, relation string) (string, error) {
	if j.spec.Preview == nil {
		return relation, nil
	}
	query := fmt.Sprintf("SELECT * FROM %s LIMIT %d", duckdb.Ident(relation), j.spec.Preview.Rows)
	return boundedView, j.engine.CreateView(ctx, boundedView, query)
}

// show keeps the rows of a relation that a preview shows.
func (j *job) show(ctx context.Context, relation string) error {
	if j.spec.Preview == nil || j.spec.Preview.Show == 0 {
		return nil
	}
	var err error
	j.sample, err = duckdb.Sample(ctx, j.engine, relation, j.spec.Preview.Show)
	return err
}

// showStaged shows an output that is whole but not committed: where it goes then the process cannot read it.
func (j *job) showStaged(ctx context.Context, out *staging.Output) error {
	if j.spec.Preview == nil || j.spec.Preview.Show == 0 {
		return nil
	}
	if _, err := j.engine.BindInput(ctx, task.Input{Name: stagedView, Dir: out.Dir()}); err != nil {
		return fault.Internal("read its output", err)
	}
	return j.show(ctx, stagedView)
}

// compareTable compares the input of a sink with its table.
func (j *job) compareTable(ctx context.Context) (*task.Result, error) {
	target, err := j.database(sandbox.Policy{})
	if err != nil {
		return nil, err
	}
	files, _, err := staging.Files(j.spec.Inputs[0].Dir)
	if err != nil {
		return nil, fault.Internal("read its input", err)
	}
	found, err := target.Compare(ctx, j.spec.Sink, files)
	if err != nil {
		return nil, err
	}
	res := j.result()
	res.Sink = found
	return res, nil
}

// compareFiles compares the input of a sink with the files it published last.
func (j *job) compareFiles(ctx context.Context) (*task.Result, error) {
	store, err := blob.Open(j.spec.Connection, j.spec.Access.LocalRoots)
	if err != nil {
		return nil, err
	}
	defer store.Close()
	if err := j.enclose(sandbox.Policy{ReadDirs: []string{store.Dir()}}); err != nil {
		return nil, err
	}
	inputs, err := j.configure(ctx, store.Dir())
	if err != nil {
		return nil, err
	}
	found, err := store.Compare(ctx, j.engine, j.spec.Sink, inputs[0].Name)
	if err != nil {
		return nil, err
	}
	res := j.result()
	res.Sink = found
	return res, nil
}
