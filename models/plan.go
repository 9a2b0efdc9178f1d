package models

import (
	"encoding/json"
	"time"
)

// Plan is a definition that is looked at before it is saved or executed: what its steps would bring and its sinks
// would change. It is kept no longer than somebody waits for it.
type Plan struct {
	ID     string
	Tenant TenantID
	// PipelineID is the pipeline that the definition is meant for, "" for a new one.
	PipelineID string
	Definition json.RawMessage
	Parameters json.RawMessage // a JSON object or nil
	Sample     int             // how many rows of each step are shown
	CreatedAt  time.Time
}

// PlannedStep is what a plan found out about a step.
type PlannedStep struct {
	Name string
	// Output is where the step's sample lies below the staging directory, "" where there is none.
	Output string
	Finding
}

// Finding is what is known of a step without its execution.
type Finding struct {
	Columns []Column `json:"columns,omitempty"`
	// Rows are some of the step's rows, their values as text; nil values are NULL.
	Rows []map[string]*string `json:"rows,omitempty"`
	// Sink is set for a sink that could be looked at.
	Sink  *SinkFinding    `json:"sink,omitempty"`
	Error *ExecutionError `json:"error,omitempty"`
}

// Column is a column's name and its DuckDB type.
type Column struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

// SinkFinding compares what a sink would get with what is there.
type SinkFinding struct {
	// Exists says that there is something to compare with.
	Exists  bool           `json:"exists"`
	Changes []ColumnChange `json:"changes,omitempty"`
	// Compatible says that the rows could be published. Reason says why not.
	Compatible bool   `json:"compatible"`
	Reason     string `json:"reason,omitempty"`
}

// ChangeKind is how a column at a sink would differ from what is there.
type ChangeKind string

// The kinds of changes.
const (
	ColumnAdded       ChangeKind = "added"
	ColumnRemoved     ChangeKind = "removed"
	ColumnTypeChanged ChangeKind = "type_changed"
)

// ColumnChange is one difference at a sink, in the words of its system.
type ColumnChange struct {
	Column string     `json:"column"`
	Change ChangeKind `json:"change"`
	From   string     `json:"from,omitempty"` // type that is there
	To     string     `json:"to,omitempty"`   // type that would come
}
