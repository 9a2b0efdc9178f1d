package runner

import (
	"context"
	"errors"
	"os"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/definition"
	"github.com/matih/pipeline-service/models/task"
	"github.com/matih/pipeline-service/worker/runner/duckdb"
	"github.com/matih/pipeline-service/worker/runner/fault"
	"github.com/matih/pipeline-service/worker/runner/sandbox"
)

// job is one task with all it works with.
type job struct {
	spec    *task.Spec
	engine  *duckdb.Engine
	out     *emitter
	opts    Options
	walls   walls
	environ []string
	// sample are the rows to show of a preview.
	sample []map[string]*string
	// shutIn says that an earlier task of the same enclosure has shut the process in.
	shutIn bool
}

// do finds what the task asks for. This is the table to extend for a new connector.
func (j *job) do(ctx context.Context) (*task.Result, error) {
	s := j.spec
	switch {
	case s.Kind == models.TaskSource && s.Source != nil && s.Connection != nil:
		switch {
		case s.Source.Type == definition.SourceJDBC && s.Source.JDBC != nil:
			return j.readDatabase(ctx)
		case s.Source.Type == definition.SourceCloudStorage && s.Source.Storage != nil:
			return j.readFiles(ctx)
		case s.Source.Type == definition.SourceKafka && s.Source.Kafka != nil:
			return j.readTopic(ctx)
		}
		return nil, unsupported("source type", string(s.Source.Type))
	case s.Kind == models.TaskTransformation && s.Transformation != nil:
		return j.transform(ctx)
	case s.Kind == models.TaskCheck && s.Check != nil:
		return j.check(ctx)
	case s.Kind == models.TaskSink && s.Sink != nil && s.Connection != nil && len(s.Inputs) == 1:
		switch {
		case s.Sink.Type == definition.SinkJDBC && s.Sink.JDBC != nil && s.Preview != nil:
			return j.compareTable(ctx)
		case s.Sink.Type == definition.SinkCloudStorage && s.Sink.Storage != nil && s.Preview != nil:
			return j.compareFiles(ctx)
		case s.Sink.Type == definition.SinkJDBC && s.Sink.JDBC != nil:
			return j.writeDatabase(ctx)
		case s.Sink.Type == definition.SinkCloudStorage && s.Sink.Storage != nil:
			return j.writeFiles(ctx)
		}
		return nil, unsupported("sink type", string(s.Sink.Type))
	case s.Kind == models.TaskNotification && s.Notification != nil:
		return j.notify(ctx)
	case s.Kind == models.TaskConnectionTest && s.Connection != nil:
		return j.testConnection(ctx)
	}
	return nil, fault.Errorf(models.ClassInternal, "the task is incomplete: %s without what it needs", s.Kind)
}

func unsupported(what, value string) error {
	return fault.Errorf(models.ClassInvalidDefinition, "the %s %q is not supported by this release", what, value)
}

// enclose shuts the process in: from here on it reaches nothing but what the policy and the task's
// directories give it. The environment, which may hold secrets, is emptied.
func (j *job) enclose(policy sandbox.Policy) error {
	if j.shutIn {
		return nil
	}
	os.Clearenv()
	if j.spec.Enclosure != "" {
		policy = sandbox.Policy{WriteDirs: []string{j.spec.Enclosure}}
	}
	for _, in := range j.spec.Inputs {
		policy.ReadDirs = append(policy.ReadDirs, in.Dir)
	}
	policy.WriteDirs = append(policy.WriteDirs, j.spec.Scratch)
	if err := sandbox.Limit(sandbox.Limits{DataBytes: dataLimit(j.spec.Limits)}); err != nil {
		return fault.Internal("set its limits", err)
	}
	if !j.walls.landlock {
		return nil
	}
	err := sandbox.Enforce(policy)
	if errors.Is(err, sandbox.ErrNoLandlock) && j.opts.AllowMissingLandlock {
		j.out.Warnf("this kernel has no Landlock: the task runs behind DuckDB's own restrictions alone")
		return nil
	}
	if errors.Is(err, sandbox.ErrNoLandlock) {
		return fault.Because(fault.Errorf(models.ClassInternal,
			"this machine cannot isolate tasks: its kernel has no Landlock; the operator may start tasks with --allow-missing-landlock"), err)
	}
	if err != nil {
		return fault.Internal("enter its sandbox", err)
	}
	return nil
}

// processOverhead is what a task process may allocate beyond DuckDB's memory_limit: the Go runtime,
// buffers of the Parquet codecs, and what DuckDB does not count.
const processOverhead = 2 << 30

// dataLimit makes a runaway allocation fail instead of the machine.
func dataLimit(l task.Limits) uint64 {
	if l.MemoryBytes <= 0 {
		return 0
	}
	return uint64(l.MemoryBytes) + processOverhead
}

// configure locks DuckDB down to the inputs, scratch and the directories and files given, and binds
// the inputs.
func (j *job) configure(ctx context.Context, dirs ...string) ([]duckdb.Input, error) {
	dirs = append(dirs, j.spec.Scratch)
	hide := []string{j.spec.Scratch, "<scratch>"}
	for _, in := range j.spec.Inputs {
		dirs = append(dirs, in.Dir)
		hide = append(hide, in.Dir, in.Name)
	}
	for _, dir := range dirs[:len(dirs)-1-len(j.spec.Inputs)] {
		hide = append(hide, dir+"/", "")
	}
	j.engine.Hide(hide...)
	if err := j.settle(ctx, dirs); err != nil {
		return nil, err
	}
	var err error
	inputs := make([]duckdb.Input, len(j.spec.Inputs))
	for i, in := range j.spec.Inputs {
		if inputs[i], err = j.engine.BindInput(ctx, in); err != nil {
			return nil, fault.Internal("read its input "+in.Name, err)
		}
		j.out.meter.AddIn(inputs[i].Rows, inputs[i].Bytes)
		j.out.Infof("reads %s: %d rows, %d bytes", in.Name, inputs[i].Rows, inputs[i].Bytes)
	}
	return inputs, nil
}

// settle locks DuckDB down to directories, once in the life of a process.
func (j *job) settle(ctx context.Context, dirs []string) error {
	if j.shutIn {
		return nil
	}
	if j.spec.Enclosure != "" {
		dirs = []string{j.spec.Enclosure, j.spec.Scratch}
	}
	err := j.engine.Configure(ctx, duckdb.Settings{
		Limits:   j.spec.Limits,
		Scratch:  j.spec.Scratch,
		Dirs:     dirs,
		Unlocked: !j.walls.duckdb,
	})
	if err != nil {
		return fault.Internal("configure DuckDB", err)
	}
	return nil
}

// cursor is where an incremental source reads on, nil for one that reads all.
func (j *job) cursor() *models.Cursor {
	if j.spec.Source.Incremental() && j.spec.Cursor == nil {
		return &models.Cursor{}
	}
	return j.spec.Cursor
}

// publication names what a sink publishes.
func (j *job) publication() string {
	if j.spec.Publication == "" {
		return j.spec.Execution
	}
	return j.spec.Publication
}

// result is the task's counts so far.
func (j *job) result() *task.Result {
	return &task.Result{Progress: j.out.meter.progress(), Sample: j.sample}
}
