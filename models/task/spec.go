// Package task is the protocol between whoever starts a task process (the worker, Airflow) and the
// process: one Spec as a JSON line on standard input, Messages as JSON lines on standard output.
package task

import (
	"encoding/json"
	"time"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/definition"
	"github.com/matih/pipeline-service/models/lineage"
)

// Spec is all a task process needs to know. Exactly one of Source, Transformation, Check and Sink
// is set, by Kind (none for a connection test, Notification for one). Every string in them is rendered.
type Spec struct {
	Tenant    models.TenantID `json:"tenant"`
	Pipeline  string          `json:"pipeline,omitempty"`
	Execution string          `json:"execution,omitempty"`
	Task      string          `json:"task"`
	Kind      models.TaskKind `json:"kind"`
	// Attempt tells attempts of one task apart: 1, 2, …. It also names the output directory, so an
	// attempt that was given up cannot write where another one does.
	Attempt int `json:"attempt"`

	Source         *definition.Source         `json:"source,omitempty"`
	Transformation *definition.Transformation `json:"transformation,omitempty"`
	Check          *definition.QualityCheck   `json:"check,omitempty"`
	Sink           *definition.Sink           `json:"sink,omitempty"`
	// Notification is what a webhook is to be told.
	Notification *Notification `json:"notification,omitempty"`
	// Connection is what Source or Sink names, or what is to be tested.
	Connection *models.Connection `json:"connection,omitempty"`

	// Cursor is where an incremental source reads on from, nil for others. Where it has a pending batch the source
	// reads that again, to the same end.
	Cursor *models.Cursor `json:"cursor,omitempty"`
	// Publication names what a sink publishes: no matter how many attempts or executions try, it is published
	// once. It is the execution's id, or that of the one which first read the batch (see models.Cursor).
	Publication string `json:"publication,omitempty"`

	// Inputs are the staged rows this task reads, by the name the definition gives them.
	Inputs []Input `json:"inputs,omitempty"`
	// Output is the directory for the rows that go on to later tasks; it does not exist yet.
	Output string `json:"output,omitempty"`
	// Quarantine is the directory for rows that a check sets aside; it does not exist yet.
	Quarantine string `json:"quarantine,omitempty"`
	// Scratch is a directory for temporary files. It exists, and whoever starts the process removes it
	// when the process has ended.
	Scratch string `json:"scratch"`
	// Enclosure is the directory of an execution's staged data. Where it is set the task needs nothing
	// else: the process is shut in there, and after it succeeded takes further tasks of the execution
	// that have the same Enclosure, Scratch and Limits. Without it a process does one task.
	Enclosure string `json:"enclosure,omitempty"`

	// Preview is set where the task is only looked at for a plan: it does with little data all it would do, up to
	// publishing. A sink compares its input with what is there.
	Preview *Preview `json:"preview,omitempty"`

	Limits  Limits  `json:"limits"`
	Secrets Secrets `json:"secrets"`
	Access  Access  `json:"access"`
}

// Notification is an event to be told to a webhook.
type Notification struct {
	ID    string          `json:"id"`
	Event models.Event    `json:"event"`
	URL   string          `json:"url"`
	Body  json.RawMessage `json:"body"`
}

// Input is a staged data set: the *.parquet files in a directory, all of one schema.
type Input struct {
	Name string `json:"name"`
	Dir  string `json:"dir"`
}

// Preview bounds what a task looks at for a plan, in rows.
type Preview struct {
	Rows int `json:"rows"` // that are read and handed on at most
	Show int `json:"show"` // of these that the result holds
}

// Limits bound a task process.
type Limits struct {
	MemoryBytes  int64 `json:"memoryBytes"`  // DuckDB's memory_limit; work beyond it spills to Scratch
	ScratchBytes int64 `json:"scratchBytes"` // of temporary files
	Threads      int   `json:"threads"`
}

// Secrets says where a task process finds its tenant's secrets. Dir holds
// <tenant>/<ref>/<key> files; Env lets PIPELINE_SECRET_<TENANT>_<REF>_<KEY> variables serve. A task
// that runs the user's SQL gets neither.
type Secrets struct {
	Dir string `json:"dir,omitempty"`
	Env bool   `json:"env,omitempty"`
}

// Access says what a task process may reach.
type Access struct {
	// LocalRoots are the directories local connections of this tenant may lie in.
	LocalRoots []string `json:"localRoots,omitempty"`
	// EgressAllow and EgressDeny are CIDR ranges or host names. What neither names is allowed unless it is a
	// loopback, link-local, metadata or unspecified address.
	EgressAllow []string `json:"egressAllow,omitempty"`
	EgressDeny  []string `json:"egressDeny,omitempty"`
}

// Message is one line from a task process. Exactly one of its fields is set.
type Message struct {
	// Ready says that the process is started and waits for its Spec.
	Ready    bool      `json:"ready,omitempty"`
	Log      *Log      `json:"log,omitempty"`
	Progress *Progress `json:"progress,omitempty"`
	// Usage is what the task has used so far, about every second, for where the process dies without a last word.
	Usage   *models.Usage `json:"usage,omitempty"`
	Result  *Result       `json:"result,omitempty"`
	Failure *Failure      `json:"failure,omitempty"`
}

// Log is one line for the execution's log.
type Log struct {
	Time    time.Time `json:"time"`
	Level   string    `json:"level"`
	Message string    `json:"message"`
}

// Progress is how far a task is. Counts only grow.
type Progress struct {
	RowsIn   int64 `json:"rowsIn"`
	RowsOut  int64 `json:"rowsOut"`
	BytesIn  int64 `json:"bytesIn"`
	BytesOut int64 `json:"bytesOut"`
}

// Result is what a task that succeeded did.
type Result struct {
	Progress
	// Columns of the output, where there is one.
	Columns []Column `json:"columns,omitempty"`
	// Lineage says what columns of its inputs a transformation's are made of.
	Lineage *lineage.Step `json:"lineage,omitempty"`
	// Check is a quality check's finding.
	Check *CheckResult `json:"check,omitempty"`
	// Test is a connection test's finding.
	Test *models.ConnectionTest `json:"test,omitempty"`
	// Status is what a webhook answered: an HTTP status, 2xx.
	Status int `json:"status,omitempty"`
	// Files are the names a file sink published, below the connection's path.
	Files []string `json:"files,omitempty"`
	// AlreadyPublished says that an earlier attempt had published the data, so this one did nothing.
	AlreadyPublished bool `json:"alreadyPublished,omitempty"`
	// Cursor is the place up to which an incremental source has read: the Value of its cursor once that is published.
	Cursor string `json:"cursor,omitempty"`
	// Sample are the rows that a Preview shows, their values as text.
	Sample []map[string]*string `json:"sample,omitempty"`
	// Sink is what a sink found under a Preview.
	Sink *models.SinkFinding `json:"sink,omitempty"`
	// PassThrough says that the output is the (single) input, unchanged, so nothing was written.
	PassThrough bool `json:"passThrough,omitempty"`
	// Usage is what the task used.
	Usage *models.Usage `json:"usage,omitempty"`
}

// Column is a column's name and its DuckDB type.
type Column = models.Column

// CheckResult is what a quality check found.
type CheckResult struct {
	Passed      bool    `json:"passed"`
	Rows        int64   `json:"rows"`        // looked at
	Failing     int64   `json:"failing"`     // rows that fail
	Share       float64 `json:"share"`       // Failing / Rows; 0 without rows
	Quarantined int64   `json:"quarantined"` // rows set aside
	// Message says in words what was found.
	Message string `json:"message"`
	// Sample is up to 10 failing rows, as JSON objects with values as text.
	Sample []map[string]*string `json:"sample,omitempty"`
}

// Failure is why a task failed.
type Failure struct {
	Class   string `json:"class"`   // a models.Class…
	Message string `json:"message"` // for users: actionable, without secrets
	// Retry says that another attempt may succeed.
	Retry bool `json:"retry"`
	// Check is set where a quality check with on_failure: fail found too many failing rows.
	Check *CheckResult `json:"check,omitempty"`
	// Detail is for the service's own log.
	Detail string `json:"detail,omitempty"`
	// Usage is what the task used, nil where nobody knows.
	Usage *models.Usage `json:"usage,omitempty"`
}

// Error makes a Failure an error.
func (f *Failure) Error() string { return f.Class + ": " + f.Message }
