package definition

import (
	"slices"

	"github.com/invopop/jsonschema"
)

// sinkDoc is a sink as it is written: one of its variants, by the key "type".
type sinkDoc struct {
	Name    string          `json:"-"`
	JDBC    *jdbcSinkDoc    `json:"jdbc"`
	Storage *storageSinkDoc `json:"cloud_storage"`
}

func (s *sinkDoc) decode(d *decoder, n *node, at *path) { d.variant(s, n, laterSinks, at) }

// JSONSchemaExtend makes the variants a choice.
func (sinkDoc) JSONSchemaExtend(s *jsonschema.Schema) { oneOfVariants(s) }

// sinkBase is what all sinks have.
type sinkBase struct {
	Connection string `json:"connection" jsonschema:"required,minLength=1" jsonschema_description:"A connection's name or id."`
	Input      string `json:"input" jsonschema:"minLength=1" jsonschema_description:"The step to publish; the last transformation, else the only source, unless given."`
}

type jdbcSinkDoc struct {
	Type string `json:"type" jsonschema:"required,enum=jdbc"`
	sinkBase
	Mode        WriteMode `json:"mode" jsonschema:"enum=append,enum=overwrite,enum=merge_on_key,enum=overwrite_partition,default=append" jsonschema_description:"What becomes of the rows that are there."`
	Table       string    `json:"table" jsonschema:"required,minLength=1" jsonschema_description:"[schema.]table; made where it does not exist."`
	MergeKeys   []string  `json:"merge_keys" jsonschema:"minItems=1,minLength=1" jsonschema_description:"The columns that tell rows apart, for mode merge_on_key."`
	PartitionBy []string  `json:"partition_by" jsonschema:"minItems=1,minLength=1" jsonschema_description:"The columns whose values are replaced, for mode overwrite_partition."`
}

type storageSinkDoc struct {
	Type string `json:"type" jsonschema:"required,enum=cloud_storage"`
	sinkBase
	Mode   WriteMode `json:"mode" jsonschema:"enum=append,enum=overwrite,enum=overwrite_partition,default=append" jsonschema_description:"What becomes of the files that are there."`
	Bucket string    `json:"bucket" jsonschema:"minLength=1" jsonschema_description:"Not for local connections."`
	Prefix string    `json:"prefix" jsonschema_description:"What the files' paths begin with."`
	filesDoc
	PartitionBy []string `json:"partition_by" jsonschema:"minItems=1,minLength=1" jsonschema_description:"Columns whose values become directories."`
}

func (b *builder) sink(name string, doc sinkDoc, at *path) Sink {
	s := Sink{Name: name, Mode: WriteAppend}
	switch {
	case doc.JDBC != nil:
		s.Type = SinkJDBC
		s.Connection, s.Input = doc.JDBC.Connection, b.sinkInput(doc.JDBC.sinkBase, name, at)
		if doc.JDBC.Mode != "" {
			s.Mode = doc.JDBC.Mode
		}
		s.JDBC = b.jdbcSink(*doc.JDBC, s.Mode, at)
	case doc.Storage != nil:
		s.Type = SinkCloudStorage
		s.Connection, s.Input = doc.Storage.Connection, b.sinkInput(doc.Storage.sinkBase, name, at)
		if doc.Storage.Mode != "" {
			s.Mode = doc.Storage.Mode
		}
		s.Storage = b.storageSink(*doc.Storage, s.Mode, at)
	}
	return s
}

// sinkInput gives the step a sink publishes: the named one, else the last transformation, else the
// only source.
func (b *builder) sinkInput(doc sinkBase, name string, at *path) string {
	switch {
	case doc.Input != "":
		return b.dataset(doc.Input, name, at.at("input"))
	case b.has(at.at("input")):
	case len(b.def.Transformations) > 0:
		return b.def.Transformations[len(b.def.Transformations)-1].Name
	case len(b.def.Sources) == 1:
		return b.def.Sources[0].Name
	case len(b.def.Sources) > 1:
		b.add(at.at("input"), "is required where there are several sources and no transformation")
	}
	return ""
}

func (b *builder) jdbcSink(doc jdbcSinkDoc, mode WriteMode, at *path) *JDBCSink {
	switch {
	case b.has(at.at("mode")): // what goes with an unknown mode is unknown
	case slices.Contains(laterJDBCModes, mode):
		b.add(at.at("mode"), "mode %s is not supported by this release for jdbc; use append, overwrite or merge_on_key", mode)
	default:
		switch {
		case mode == WriteMergeOnKey && doc.MergeKeys == nil && !b.has(at.at("merge_keys")):
			b.add(at.at("merge_keys"), "is required with mode merge_on_key")
		case mode != WriteMergeOnKey && doc.MergeKeys != nil:
			b.add(at.at("merge_keys"), "is for mode merge_on_key, not %s", mode)
		}
		if doc.PartitionBy != nil {
			b.add(at.at("partition_by"), "is for mode overwrite_partition, not %s", mode)
		}
	}
	b.distinct(doc.MergeKeys, at.at("merge_keys"))
	b.distinct(doc.PartitionBy, at.at("partition_by"))
	return &JDBCSink{Table: doc.Table, MergeKeys: doc.MergeKeys, PartitionBy: doc.PartitionBy}
}

func (b *builder) storageSink(doc storageSinkDoc, mode WriteMode, at *path) *StorageSink {
	if mode == WriteOverwritePartition && doc.PartitionBy == nil && !b.has(at.at("partition_by")) {
		b.add(at.at("partition_by"), "is required with mode overwrite_partition")
	}
	b.distinct(doc.PartitionBy, at.at("partition_by"))
	return &StorageSink{
		Bucket: doc.Bucket, Prefix: doc.Prefix, Format: doc.Format, Compression: doc.Compression,
		CSV: b.files(doc.filesDoc, at), PartitionBy: doc.PartitionBy,
	}
}
