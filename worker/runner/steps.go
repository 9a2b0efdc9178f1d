package runner

import (
	"context"
	"time"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/definition"
	"github.com/matih/pipeline-service/models/task"
	"github.com/matih/pipeline-service/worker/runner/duckdb"
	"github.com/matih/pipeline-service/worker/runner/fault"
	"github.com/matih/pipeline-service/worker/runner/lineage"
	"github.com/matih/pipeline-service/worker/runner/quality"
	"github.com/matih/pipeline-service/worker/runner/sandbox"
	"github.com/matih/pipeline-service/worker/runner/staging"
	"github.com/matih/pipeline-service/worker/runner/transform"
)

// part names the Parquet file of outputs that are one file.
const part = "part-0.parquet"

// resultView is what a transformation's SELECT is called; no step can have the name.
const resultView = "_result"

func (j *job) transform(ctx context.Context) (*task.Result, error) {
	out, err := j.createOutput(j.spec.Output)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	if err := j.enclose(sandbox.Policy{WriteDirs: []string{out.Dir()}, RenameDirs: []string{out.Parent()}}); err != nil {
		return nil, err
	}
	inputs, err := j.configure(ctx, out.Dir())
	if err != nil {
		return nil, err
	}
	plan, err := transform.Build(ctx, j.engine, j.spec.Transformation)
	if err != nil {
		return nil, err
	}
	if plan.PassThrough {
		j.out.meter.AddOut(inputs[0].Rows, inputs[0].Bytes)
		if err := j.show(ctx, inputs[0].Name); err != nil {
			return nil, err
		}
		res := j.result()
		res.PassThrough = true
		if res.Columns, err = j.engine.Describe(ctx, inputs[0].Name); err != nil {
			return nil, err
		}
		unchanged := lineage.PassThrough(inputs[0].Name, res.Columns)
		res.Lineage = &unchanged
		return res, nil
	}
	if err := j.engine.CreateView(ctx, resultView, plan.SQL); err != nil {
		return nil, err
	}
	rows, err := j.bounded(ctx, resultView)
	if err != nil {
		return nil, err
	}
	columns, err := j.stage(ctx, out, rows)
	if err != nil {
		return nil, err
	}
	res := j.result()
	res.Columns = columns
	if made, err := lineage.Of(ctx, j.engine, plan.SQL, duckdb.InputNames(inputs), columns); err == nil {
		res.Lineage = &made
	} else { // the rows are right all the same
		j.out.Warnf("the lineage of its columns is not known: %s", fault.Of(err).Message)
	}
	return res, nil
}

func (j *job) check(ctx context.Context) (*task.Result, error) {
	c := j.spec.Check
	var out, aside *staging.Output
	policy := sandbox.Policy{}
	var dirs []string
	if c.OnFailure == definition.OnFailureQuarantine && quality.Splits(c) {
		var err error
		if out, err = j.createOutput(j.spec.Output); err != nil {
			return nil, err
		}
		defer out.Close()
		if aside, err = j.createOutput(j.spec.Quarantine); err != nil {
			return nil, err
		}
		defer aside.Close()
		dirs = []string{out.Dir(), aside.Dir()}
		policy.WriteDirs = append(policy.WriteDirs, dirs...)
		policy.RenameDirs = []string{out.Parent(), aside.Parent()}
	}
	if err := j.enclose(policy); err != nil {
		return nil, err
	}
	inputs, err := j.configure(ctx, dirs...)
	if err != nil {
		return nil, err
	}
	found, err := quality.Run(ctx, j.engine, c, time.Now())
	if err != nil {
		return nil, err
	}
	j.out.Infof("%s", found.Message)
	if !found.Passed && (c.OnFailure == definition.OnFailureFail || c.OnFailure == definition.OnFailureQuarantine && out == nil) {
		f := fault.Errorf(models.ClassQuality, "the check %s failed: %s", c.Name, found.Message)
		f.Check = found
		return nil, f
	}
	if found.Passed || out == nil {
		if err := j.show(ctx, c.Input); err != nil {
			return nil, err
		}
		res := j.result()
		res.Check, res.PassThrough = found, true
		for _, in := range inputs {
			if in.Name == c.Input {
				res.RowsOut, res.BytesOut = in.Rows, in.Bytes
			}
		}
		res.Columns, err = j.engine.Describe(ctx, c.Input)
		return res, err
	}
	return j.setAside(ctx, found, out, aside)
}

// setAside writes the rows that go on and those that do not, and makes sure that they are all.
func (j *job) setAside(ctx context.Context, found *task.CheckResult, out, aside *staging.Output) (*task.Result, error) {
	quarantined, _, err := j.engine.WriteParquet(ctx, quality.FailingView, aside.File(part))
	if err != nil {
		return nil, err
	}
	passed, columns, err := j.engine.WriteParquet(ctx, quality.PassingView, out.File(part))
	if err != nil {
		return nil, err
	}
	if passed+quarantined != found.Rows {
		return nil, fault.Errorf(models.ClassData,
			"the check %s: %d rows went on and %d were set aside, but %s has %d; its SQL must return rows of the input",
			j.spec.Check.Name, passed, quarantined, j.spec.Check.Input, found.Rows)
	}
	size, err := aside.Commit()
	if err != nil {
		return nil, fault.Internal("finish its quarantine", err)
	}
	j.out.meter.quarantined.Add(size)
	if err := j.commit(ctx, out, passed); err != nil {
		return nil, err
	}
	found.Quarantined = quarantined
	res := j.result()
	res.Check, res.Columns = found, columns
	return res, nil
}

func (j *job) createOutput(dir string) (*staging.Output, error) {
	out, err := staging.Create(dir)
	if err != nil {
		return nil, fault.Internal("make its output directory", err)
	}
	return out, nil
}

// stage writes a relation into an output and commits it.
func (j *job) stage(ctx context.Context, out *staging.Output, name string) ([]task.Column, error) {
	rows, columns, err := j.engine.WriteParquet(ctx, name, out.File(part))
	if err != nil {
		return nil, err
	}
	return columns, j.commit(ctx, out, rows)
}

// commit makes an output of so many rows final.
func (j *job) commit(ctx context.Context, out *staging.Output, rows int64) error {
	if err := j.showStaged(ctx, out); err != nil {
		return err
	}
	size, err := out.Commit()
	if err != nil {
		return fault.Internal("finish its output", err)
	}
	j.out.meter.AddOut(rows, size)
	j.out.meter.staged.Add(size)
	return nil
}
