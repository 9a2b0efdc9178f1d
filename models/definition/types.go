// Package definition is the pipeline definition: its parts, how a document is read and checked,
// how parameters are put in, and the graph of tasks it stands for.
package definition

import (
	"encoding/json"
	"time"

	"github.com/matih/pipeline-service/models"
)

// Definition is a document that Parse accepted. Everything in it keeps the document's order.
// Strings may still hold ${name} until Render replaced them.
//
// Tags on the types below steer what is done to texts (see texts.go): render:"sql" marks SQL, rule
// names what a text must look like (see rules.go), and at:"-" marks a part that the document does
// not nest, so that its name is no part of locations; at:"Field" marks a list that is an object in
// the document, with that field of its items as the key.
type Definition struct {
	Parameters      []Parameter      `json:"parameters,omitempty"`
	Sources         []Source         `json:"sources"`
	Transformations []Transformation `json:"transformations,omitempty"`
	QualityChecks   []QualityCheck   `json:"quality_checks,omitempty"`
	Sinks           []Sink           `json:"sinks"`
	Orchestration   Orchestration    `json:"orchestration"`
}

// ParameterType is the type a declared parameter's value must have.
type ParameterType string

// The parameter types. A date is YYYY-MM-DD, a timestamp RFC 3339; both arrive as JSON strings.
const (
	ParameterString    ParameterType = "string"
	ParameterInteger   ParameterType = "integer"
	ParameterNumber    ParameterType = "number"
	ParameterBoolean   ParameterType = "boolean"
	ParameterDate      ParameterType = "date"
	ParameterTimestamp ParameterType = "timestamp"
)

// Parameter is one declared parameter.
type Parameter struct {
	Name        string          `json:"name"`
	Type        ParameterType   `json:"type"`
	Required    bool            `json:"required,omitempty"`
	Default     json.RawMessage `json:"default,omitempty"`
	Description string          `json:"description,omitempty"`
}

// SourceType is where a source's rows come from.
type SourceType string

// The source types.
const (
	SourceJDBC         SourceType = "jdbc"
	SourceCloudStorage SourceType = "cloud_storage"
	SourceKafka        SourceType = "kafka"
)

// ReadMode says which rows of a source an execution reads.
type ReadMode string

// The read modes.
const (
	ReadFull        ReadMode = "full"
	ReadIncremental ReadMode = "incremental"
	ReadPartition   ReadMode = "partition"
	ReadSnapshot    ReadMode = "snapshot"
)

// Source is one place rows are read from. Exactly one of JDBC, Storage and Kafka is set, by Type. A kafka source
// is always incremental.
type Source struct {
	Name       string         `json:"name"`
	Type       SourceType     `json:"type"`
	Connection string         `json:"connection" rule:"word"` // a connection's name or id
	Mode       ReadMode       `json:"mode"`
	JDBC       *JDBCSource    `json:"jdbc,omitempty" at:"-"`
	Storage    *StorageSource `json:"storage,omitempty" at:"-"`
	Kafka      *KafkaSource   `json:"kafka,omitempty" at:"-"`
}

// Incremental reports whether an execution reads on where the last published one ended.
func (s *Source) Incremental() bool { return s.Mode == ReadIncremental }

// JDBCSource reads a table or a query of a relational database. Exactly one of Table and Query is
// set. With PartitionColumn and NumPartitions above 1 the rows are read in that many ranges at once.
type JDBCSource struct {
	Table           string `json:"table,omitempty" rule:"table"` // [schema.]table
	Query           string `json:"query,omitempty" render:"sql"`
	WatermarkColumn string `json:"watermark_column,omitempty" rule:"word"`
	FetchSize       int    `json:"fetch_size,omitempty"`
	PartitionColumn string `json:"partition_column,omitempty" rule:"word"`
	NumPartitions   int    `json:"num_partitions,omitempty"`
}

// Format is how rows are written in files and records.
type Format string

// The formats. JSON files are read as lines or one array and written as lines. Avro is for records alone.
const (
	FormatCSV     Format = "csv"
	FormatJSON    Format = "json"
	FormatParquet Format = "parquet"
	FormatAvro    Format = "avro"
)

// Compression is how files are compressed.
type Compression string

// The compressions. The empty one means by file ending (reading), none (writing csv, json) or
// snappy (writing parquet).
const (
	CompressionAuto   Compression = ""
	CompressionNone   Compression = "none"
	CompressionGzip   Compression = "gzip"
	CompressionZstd   Compression = "zstd"
	CompressionSnappy Compression = "snappy"
)

// CSVOptions is the dialect of CSV files.
type CSVOptions struct {
	Delimiter string `json:"delimiter"`  // one character, "," unless given
	Header    bool   `json:"header"`     // true unless given
	QuoteChar string `json:"quote_char"` // one character, `"` unless given
}

// StorageSource reads files below a prefix whose path matches a pattern.
type StorageSource struct {
	Bucket      string       `json:"bucket,omitempty" rule:"word"` // not for local
	Prefix      string       `json:"prefix,omitempty" rule:"prefix"`
	Pattern     string       `json:"pattern,omitempty" rule:"glob"` // glob over the path below prefix; * and ** as in doublestar; "*" unless given
	Format      Format       `json:"format"`
	Compression Compression  `json:"compression,omitempty"`
	CSV         *CSVOptions  `json:"csv_options,omitempty"`
	Schema      []ColumnType `json:"schema,omitempty" at:"Column"` // decides the types; in the document's order
	AllowEmpty  bool         `json:"allow_empty,omitempty"`
}

// KafkaSource reads a topic from the last published offsets to its end at the start of the read.
type KafkaSource struct {
	Topic          string `json:"topic" rule:"topic"`
	ConsumerGroup  string `json:"consumer_group,omitempty" rule:"word"` // is told the published offsets
	Format         Format `json:"format"`
	SchemaRegistry string `json:"schema_registry,omitempty" rule:"registry"` // its URL, for avro
	StartOffset    string `json:"start_offset" rule:"offset"`                // where nothing is published yet: earliest, latest or a time
	MaxRecords     int    `json:"max_records,omitempty"`                     // of one execution; 0 is no limit
	Partitions     int    `json:"partitions,omitempty"`                      // how many are read at once; 0 leaves it to the task
}

// ColumnType gives a column the type it is read as, in DuckDB's names.
type ColumnType struct {
	Column string `json:"column" rule:"word" at:"-"`
	Type   string `json:"type" rule:"type" at:"-"`
}

// TransformationType is what a transformation does.
type TransformationType string

// The transformation types.
const (
	TransformSQL         TransformationType = "sql_transform"
	TransformLookupJoin  TransformationType = "lookup_join"
	TransformSchemaCheck TransformationType = "schema_check"
	TransformDeduplicate TransformationType = "deduplicate"
	TransformFilter      TransformationType = "filter"
	TransformSelect      TransformationType = "select"
	TransformAggregate   TransformationType = "aggregate"
)

// Transformation makes rows out of earlier steps' rows. Inputs names the steps it reads: for a
// lookup_join the input and then the lookup. The field of its type is set, the others are nil.
type Transformation struct {
	Name        string             `json:"name"`
	Type        TransformationType `json:"type"`
	Inputs      []string           `json:"inputs"`
	SQL         *SQLTransform      `json:"sql_transform,omitempty" at:"-"`
	LookupJoin  *LookupJoin        `json:"lookup_join,omitempty" at:"-"`
	SchemaCheck *SchemaCheck       `json:"schema_check,omitempty" at:"-"`
	Deduplicate *Deduplicate       `json:"deduplicate,omitempty" at:"-"`
	Filter      *Filter            `json:"filter,omitempty" at:"-"`
	Select      *Select            `json:"select,omitempty" at:"-"`
	Aggregate   *Aggregate         `json:"aggregate,omitempty" at:"-"`
}

// SQLTransform is one SELECT in DuckDB's dialect over the names of its inputs. {{ input }} is the
// single input's name.
type SQLTransform struct {
	SQL string `json:"sql" render:"sql"`
}

// LookupJoin adds columns of the lookup to the input's rows where the keys are equal. A lookup with
// several rows for one key is an error of the data: a lookup never multiplies rows.
type LookupJoin struct {
	Input   string   `json:"input"`
	Lookup  string   `json:"lookup"`
	Keys    []Key    `json:"keys" at:"Left"`
	Columns []string `json:"columns" rule:"word"` // of the lookup; all but its keys unless given
	How     JoinHow  `json:"how"`
}

// Key pairs a column of the input (Left) with one of the lookup (Right).
type Key struct {
	Left  string `json:"left" rule:"word" at:"-"`
	Right string `json:"right" rule:"word" at:"-"`
}

// JoinHow says what becomes of rows without a match.
type JoinHow string

// left keeps them with nulls, inner drops them.
const (
	JoinLeft  JoinHow = "left"
	JoinInner JoinHow = "inner"
)

// SchemaCheck passes its input through where its columns are the expected ones and fails otherwise.
type SchemaCheck struct {
	ExpectedColumns []ColumnType `json:"expected_columns" at:"Column"` // an empty type accepts any
}

// Deduplicate keeps one row for each value of the keys: the first in the given order.
type Deduplicate struct {
	Keys    []string `json:"keys" rule:"word"`
	OrderBy []string `json:"order_by,omitempty" rule:"word"` // a column, or a column with asc or desc
}

// Filter keeps the rows for which a condition is true.
type Filter struct {
	Condition string `json:"condition" render:"sql"`
}

// Select keeps columns, in the given order; As renames.
type Select struct {
	Columns []SelectColumn `json:"columns"`
}

// SelectColumn is a column and the name it gets; an empty As keeps it.
type SelectColumn struct {
	Column string `json:"column" rule:"word"`
	As     string `json:"as,omitempty" rule:"word"`
}

// Aggregate groups rows and measures each group.
type Aggregate struct {
	GroupBy  []string  `json:"group_by" rule:"word"`
	Measures []Measure `json:"measures" at:"Name"`
}

// Measure is a column of an aggregate: a function of a column, or of rows for count.
type Measure struct {
	Name     string `json:"name" at:"-"`
	Function string `json:"function"` // count count_distinct sum avg min max median stddev first last
	Column   string `json:"column,omitempty" rule:"word" at:"-"`
}

// CheckType is what a quality check looks at.
type CheckType string

// The check types.
const (
	CheckNotNull        CheckType = "not_null"
	CheckUnique         CheckType = "unique"
	CheckRowCount       CheckType = "row_count"
	CheckRange          CheckType = "range"
	CheckAcceptedValues CheckType = "accepted_values"
	CheckRegex          CheckType = "regex"
	CheckFreshness      CheckType = "freshness"
	CheckReferential    CheckType = "referential"
	CheckCustomSQL      CheckType = "custom_sql"
)

// OnFailure says what a failing check does.
type OnFailure string

// warn goes on and says so, fail ends the execution, quarantine sets failing rows aside, approve
// waits for a steward.
const (
	OnFailureWarn       OnFailure = "warn"
	OnFailureFail       OnFailure = "fail"
	OnFailureQuarantine OnFailure = "quarantine"
	OnFailureApprove    OnFailure = "approve"
)

// QualityCheck looks at the rows of a step. Which of the other fields count depends on Type.
type QualityCheck struct {
	Name      string    `json:"name"`
	Type      CheckType `json:"type"`
	Input     string    `json:"input"`
	OnFailure OnFailure `json:"on_failure"`
	// Threshold is the share of rows, 0 to 1, that may fail.
	Threshold float64 `json:"threshold"`

	Columns         []string          `json:"columns,omitempty" rule:"word"` // not_null, unique; the others use the first
	Min             json.RawMessage   `json:"min,omitempty"`                 // row_count, range: a number, or a string for dates and times
	Max             json.RawMessage   `json:"max,omitempty"`
	Values          []json.RawMessage `json:"values,omitempty"` // accepted_values
	Pattern         string            `json:"pattern,omitempty" rule:"regex"`
	MaxAge          Duration          `json:"max_age,omitempty"`
	Reference       string            `json:"reference,omitempty"` // referential: a step
	ReferenceColumn string            `json:"reference_column,omitempty" rule:"word"`
	SQL             string            `json:"sql,omitempty" render:"sql"` // custom_sql: returns the failing rows
}

// SinkType is where a sink's rows go.
type SinkType string

// The sink types.
const (
	SinkJDBC         SinkType = "jdbc"
	SinkCloudStorage SinkType = "cloud_storage"
)

// WriteMode says what becomes of what the destination holds.
type WriteMode string

// The write modes.
const (
	WriteAppend             WriteMode = "append"
	WriteOverwrite          WriteMode = "overwrite"
	WriteMergeOnKey         WriteMode = "merge_on_key"
	WriteOverwritePartition WriteMode = "overwrite_partition"
)

// Sink is one place a step's rows are published to.
type Sink struct {
	Name       string       `json:"name"`
	Type       SinkType     `json:"type"`
	Connection string       `json:"connection" rule:"word"`
	Input      string       `json:"input"` // the last transformation, else the only source, unless given
	Mode       WriteMode    `json:"mode"`
	JDBC       *JDBCSink    `json:"jdbc,omitempty" at:"-"`
	Storage    *StorageSink `json:"storage,omitempty" at:"-"`
}

// JDBCSink writes a table of a relational database, which is made where it does not exist.
type JDBCSink struct {
	Table       string   `json:"table" rule:"table"` // [schema.]table
	MergeKeys   []string `json:"merge_keys,omitempty" rule:"word"`
	PartitionBy []string `json:"partition_by,omitempty" rule:"word"` // overwrite_partition
}

// StorageSink writes files named <prefix><sink>-<execution>-<n>.<ending>.
type StorageSink struct {
	Bucket      string      `json:"bucket,omitempty" rule:"word"`
	Prefix      string      `json:"prefix,omitempty" rule:"published_prefix"`
	Format      Format      `json:"format"`
	Compression Compression `json:"compression,omitempty"`
	CSV         *CSVOptions `json:"csv_options,omitempty"`
	PartitionBy []string    `json:"partition_by,omitempty" rule:"word"`
}

// Orchestration says how the tasks are run.
type Orchestration struct {
	Engine           models.Engine  `json:"engine,omitempty"` // the service's default unless given
	DagID            string         `json:"dag_id,omitempty" rule:"dag"`
	RetryPolicy      RetryPolicy    `json:"retry_policy"`
	Timeout          Duration       `json:"timeout"`      // of the execution
	TaskTimeout      Duration       `json:"task_timeout"` // of one attempt of a task
	MaxActiveRuns    int            `json:"max_active_runs"`
	MaxParallelTasks int            `json:"max_parallel_tasks"`
	Approval         Approval       `json:"approval"`
	SLA              *SLA           `json:"sla,omitempty"`
	Notifications    []Notification `json:"notifications,omitempty"`
	Budget           *Budget        `json:"budget,omitempty"`
}

// RetryPolicy says how often and when a task that failed is tried again.
type RetryPolicy struct {
	MaxAttempts        int      `json:"max_attempts"`
	InitialInterval    Duration `json:"initial_interval"`
	BackoffCoefficient float64  `json:"backoff_coefficient"`
	MaxInterval        Duration `json:"max_interval"`
}

// Approval says who decides about a gate and by when.
type Approval struct {
	Timeout           Duration `json:"timeout"`
	OnTimeout         string   `json:"on_timeout"` // reject | approve
	Required          int      `json:"required"`
	Groups            []string `json:"groups,omitempty" rule:"word"`
	AllowSelfApproval bool     `json:"allow_self_approval"`
	Before            []string `json:"before,omitempty"`           // sinks that wait for an approval
	Mask              []string `json:"mask,omitempty" rule:"word"` // columns hidden in evidence
}

// SLA is what a pipeline promises.
type SLA struct {
	MaxDuration Duration `json:"max_duration,omitempty"`
	Freshness   Duration `json:"freshness,omitempty"`
}

// Notification is a webhook that is told of events.
type Notification struct {
	On      []string `json:"on"`
	Webhook string   `json:"webhook" rule:"webhook"`
}

// Duration is a time span written as in Go: 10s, 5m, 2h, 1h30m; also days as 7d.
type Duration time.Duration

// The values that hold where a document is silent.
const (
	DefaultMaxAttempts        = 3
	DefaultInitialInterval    = Duration(time.Second)
	DefaultBackoffCoefficient = 2.0
	DefaultMaxInterval        = Duration(5 * time.Minute)
	DefaultTimeout            = Duration(24 * time.Hour)
	DefaultTaskTimeout        = Duration(2 * time.Hour)
	DefaultMaxActiveRuns      = 1
	DefaultMaxParallelTasks   = 4
	DefaultApprovalTimeout    = Duration(24 * time.Hour)
)
