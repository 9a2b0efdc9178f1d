package definition

import "time"

// Where a topic is read from while nothing of it is published.
const (
	OffsetEarliest = "earliest"
	OffsetLatest   = "latest"
)

// kafkaSourceDoc has no mode: a topic is always read on from where the last published execution ended.
type kafkaSourceDoc struct {
	Type           string `json:"type" jsonschema:"required,enum=kafka"`
	Connection     string `json:"connection" jsonschema:"required,minLength=1" jsonschema_description:"A connection's name or id."`
	Topic          string `json:"topic" jsonschema:"required,minLength=1" jsonschema_description:"The topic's name."`
	ConsumerGroup  string `json:"consumer_group" jsonschema:"minLength=1" jsonschema_description:"The group that is told the published offsets, so that its lag can be watched."`
	Format         Format `json:"format" jsonschema:"required,enum=json,enum=avro" jsonschema_description:"What a record's value is: a JSON object, or Avro in the schema registry's form."`
	SchemaRegistry string `json:"schema_registry" jsonschema:"minLength=1" jsonschema_description:"The registry's http or https URL, for format avro."`
	StartOffset    string `json:"start_offset" jsonschema:"minLength=1,default=earliest" jsonschema_description:"Where to begin while nothing is published: earliest, latest or a time as RFC 3339."`
	MaxRecords     int    `json:"max_records" jsonschema:"minimum=1,maximum=1000000000" jsonschema_description:"The most records that one execution reads; the next one goes on from there."`
	Partitions     int    `json:"partitions" jsonschema:"minimum=1,maximum=100000" jsonschema_description:"How many of the topic's partitions are read at once; 4 unless given, and never more than 32."`
}

func (b *builder) kafkaSource(doc kafkaSourceDoc, at *path) *KafkaSource {
	registry := at.at("schema_registry")
	switch {
	case doc.Format == FormatAvro && doc.SchemaRegistry == "" && !b.has(registry):
		b.add(registry, "is required with format avro")
	case doc.Format == FormatJSON && doc.SchemaRegistry != "":
		b.add(registry, "is for format avro")
	}
	return &KafkaSource{
		Topic: doc.Topic, ConsumerGroup: doc.ConsumerGroup, Format: doc.Format, SchemaRegistry: doc.SchemaRegistry,
		StartOffset: orElse(doc.StartOffset, OffsetEarliest), MaxRecords: doc.MaxRecords, Partitions: doc.Partitions,
	}
}

// checkOffset is for where a topic is read from first.
func checkOffset(s string) string {
	if s == OffsetEarliest || s == OffsetLatest {
		return ""
	}
	if _, err := time.Parse(time.RFC3339Nano, s); err != nil {
		return quote(s) + " is neither earliest nor latest nor a time such as 2026-01-31T08:00:00Z"
	}
	return ""
}
