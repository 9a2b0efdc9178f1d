package definition

import (
	"slices"

	"github.com/invopop/jsonschema"
)

// sourceDoc is a source as it is written: one of its variants, by the key "type".
type sourceDoc struct {
	Name    string            `json:"-"`
	JDBC    *jdbcSourceDoc    `json:"jdbc"`
	Storage *storageSourceDoc `json:"cloud_storage"`
	Kafka   *kafkaSourceDoc   `json:"kafka"`
}

func (s *sourceDoc) decode(d *decoder, n *node, at *path) { d.variant(s, n, laterSources, at) }

// JSONSchemaExtend makes the variants a choice.
func (sourceDoc) JSONSchemaExtend(s *jsonschema.Schema) { oneOfVariants(s) }

// sourceBase is what all sources have.
type sourceBase struct {
	Connection string   `json:"connection" jsonschema:"required,minLength=1" jsonschema_description:"A connection's name or id."`
	Mode       ReadMode `json:"mode" jsonschema:"enum=full,enum=incremental,enum=partition,enum=snapshot,default=full" jsonschema_description:"Which rows an execution reads."`
}

type jdbcSourceDoc struct {
	Type string `json:"type" jsonschema:"required,enum=jdbc"`
	sourceBase
	Table           string `json:"table" jsonschema:"minLength=1" jsonschema_description:"[schema.]table; either this or query."`
	Query           string `json:"query" jsonschema:"minLength=1" jsonschema_description:"A SELECT in the database's dialect; either this or table."`
	WatermarkColumn string `json:"watermark_column" jsonschema:"minLength=1" jsonschema_description:"The column that grows, for mode incremental."`
	FetchSize       int    `json:"fetch_size" jsonschema:"minimum=1,maximum=1000000" jsonschema_description:"Rows fetched at once."`
	PartitionColumn string `json:"partition_column" jsonschema:"minLength=1" jsonschema_description:"The column by whose ranges the rows are read in parallel."`
	NumPartitions   int    `json:"num_partitions" jsonschema:"minimum=1,maximum=64" jsonschema_description:"How many ranges are read in parallel."`
}

type storageSourceDoc struct {
	Type string `json:"type" jsonschema:"required,enum=cloud_storage"`
	sourceBase
	Bucket  string `json:"bucket" jsonschema:"minLength=1" jsonschema_description:"Not for local connections."`
	Prefix  string `json:"prefix" jsonschema_description:"What the paths begin with."`
	Pattern string `json:"pattern" jsonschema:"minLength=1,default=*" jsonschema_description:"A glob over the paths below prefix; ** matches directories."`
	filesDoc
	Schema     columnTypes `json:"schema" jsonschema_description:"Types that decide instead of inference."`
	AllowEmpty bool        `json:"allow_empty" jsonschema_description:"Whether no file at all is allowed."`
}

func (b *builder) source(name string, doc sourceDoc, at *path) Source {
	s := Source{Name: name}
	switch {
	case doc.JDBC != nil:
		s.Type = SourceJDBC
		s.Connection, s.Mode = b.sourceBase(doc.JDBC.sourceBase, at)
		s.JDBC = b.jdbcSource(*doc.JDBC, at)
	case doc.Storage != nil:
		s.Type = SourceCloudStorage
		s.Connection, s.Mode = b.sourceBase(doc.Storage.sourceBase, at)
		s.Storage = b.storageSource(*doc.Storage, at)
	case doc.Kafka != nil:
		s.Type, s.Mode = SourceKafka, ReadIncremental
		s.Connection = doc.Kafka.Connection
		s.Kafka = b.kafkaSource(*doc.Kafka, at)
	}
	return s
}

func (b *builder) sourceBase(doc sourceBase, at *path) (connection string, mode ReadMode) {
	if doc.Mode == "" {
		doc.Mode = ReadFull
	}
	if slices.Contains(laterReadModes, doc.Mode) {
		b.add(at.at("mode"), "mode %s is not supported by this release; use %s or %s", doc.Mode, ReadFull, ReadIncremental)
	}
	return doc.Connection, doc.Mode
}

func (b *builder) jdbcSource(doc jdbcSourceDoc, at *path) *JDBCSource {
	switch {
	case doc.Table == "" && doc.Query == "" && !b.has(at.at("query")):
		b.add(at.at("table"), "is required, or else query")
	case doc.Table != "" && doc.Query != "":
		b.add(at.at("query"), "cannot be given together with table")
	}
	switch {
	case doc.PartitionColumn != "" && doc.NumPartitions == 0 && !b.has(at.at("num_partitions")):
		b.add(at.at("num_partitions"), "is required with partition_column")
	case doc.PartitionColumn == "" && doc.NumPartitions > 1:
		b.add(at.at("partition_column"), "is required with num_partitions")
	}
	if doc.Mode == ReadIncremental && doc.WatermarkColumn == "" && !b.has(at.at("watermark_column")) {
		b.add(at.at("watermark_column"), "is required with mode incremental")
	}
	return &JDBCSource{
		Table: doc.Table, Query: doc.Query, WatermarkColumn: doc.WatermarkColumn, FetchSize: doc.FetchSize,
		PartitionColumn: doc.PartitionColumn, NumPartitions: doc.NumPartitions,
	}
}

func (b *builder) storageSource(doc storageSourceDoc, at *path) *StorageSource {
	if doc.Pattern == "" {
		doc.Pattern = "*"
	}
	return &StorageSource{
		Bucket: doc.Bucket, Prefix: doc.Prefix, Pattern: doc.Pattern,
		Format: doc.Format, Compression: doc.Compression, CSV: b.files(doc.filesDoc, at),
		Schema: doc.Schema, AllowEmpty: doc.AllowEmpty,
	}
}
