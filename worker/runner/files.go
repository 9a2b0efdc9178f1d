package runner

import (
	"context"

	"github.com/matih/pipeline-service/models/task"
	"github.com/matih/pipeline-service/worker/runner/blob"
	"github.com/matih/pipeline-service/worker/runner/sandbox"
)

func (j *job) readFiles(ctx context.Context) (*task.Result, error) {
	out, err := j.createOutput(j.spec.Output)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	store, err := blob.Open(j.spec.Connection, j.spec.Access.LocalRoots)
	if err != nil {
		return nil, err
	}
	defer store.Close()
	err = j.enclose(sandbox.Policy{
		ReadDirs:   []string{store.Dir()},
		WriteDirs:  []string{out.Dir()},
		RenameDirs: []string{out.Parent()},
	})
	if err != nil {
		return nil, err
	}
	if _, err := j.configure(ctx, store.Dir(), out.Dir()); err != nil {
		return nil, err
	}
	found, err := store.Read(ctx, j.engine, j.spec.Source.Storage, j.cursor(),
		blob.Dest{Dir: out.Dir(), MaxRows: j.maxRows(), Scratch: j.spec.Scratch, ScratchBytes: j.spec.Limits.ScratchBytes, Meter: outside{&j.out.meter}})
	if err != nil {
		return nil, err
	}
	j.out.Infof("read %d rows of %d files", found.Rows, len(found.Files))
	if found.Gone > 0 {
		j.out.Warnf("%d files that an execution before began to publish are gone or were changed: sinks that had not published them do not get them", found.Gone)
	}
	if err := j.commit(ctx, out, found.Rows); err != nil {
		return nil, err
	}
	res := j.result()
	res.Columns, res.Cursor = found.Columns, found.Cursor
	return res, nil
}

// maxNamed bounds the files a log names.
const maxNamed = 10

func (j *job) writeFiles(ctx context.Context) (*task.Result, error) {
	store, err := blob.Open(j.spec.Connection, j.spec.Access.LocalRoots)
	if err != nil {
		return nil, err
	}
	defer store.Close()
	if err := store.Prepare(j.spec.Sink); err != nil {
		return nil, err
	}
	if err := j.enclose(sandbox.Policy{WriteDirs: []string{store.Dir()}}); err != nil {
		return nil, err
	}
	inputs, err := j.configure(ctx, store.Dir())
	if err != nil {
		return nil, err
	}
	published, err := store.Write(ctx, j.engine, blob.Load{
		Sink:        j.spec.Sink,
		Publication: j.publication(),
		Execution:   j.spec.Execution,
		Attempt:     j.spec.Attempt,
		Input:       inputs[0].Name,
		Empty:       len(inputs[0].Files) == 0,
	})
	if err != nil {
		return nil, err
	}
	if published.Already {
		j.out.Infof("the data had been published before")
		j.out.meter.AddOut(published.Rows, published.Bytes)
	} else {
		outside{&j.out.meter}.AddOut(published.Rows, published.Bytes)
	}
	for _, name := range published.Files[:min(len(published.Files), maxNamed)] {
		j.out.Infof("published %s", name)
	}
	if more := len(published.Files) - maxNamed; more > 0 {
		j.out.Infof("published %d more files", more)
	}
	res := j.result()
	res.Files, res.AlreadyPublished = published.Files, published.Already
	return res, nil
}
