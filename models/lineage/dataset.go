package lineage

import (
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/bmatcuk/doublestar/v4"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/definition"
)

// Direction says whether a pipeline reads a data set or writes it.
type Direction string

// The directions.
const (
	Reads  Direction = "READS"
	Writes Direction = "WRITES"
)

// DatasetType is what a data set is.
type DatasetType string

// The types of data sets. A TOPIC is one of Kafka. A QUERY is what a source's own query returns: which tables that reads only its database knows.
const (
	Table DatasetType = "TABLE"
	File  DatasetType = "FILE"
	Topic DatasetType = "TOPIC"
	Query DatasetType = "QUERY"
)

// Dataset is what a source reads or a sink writes, outside of the pipeline.
type Dataset struct {
	Step      string      `json:"step"`
	Direction Direction   `json:"direction"`
	Type      DatasetType `json:"type"`
	// FQN is <database>.<schema>.<table>, a file's or a topic's URI, or <database>.<source> for a query. A sink's URI is the prefix of its
	// files, a source's ends in its pattern. A ${name} whose value is not known stands in it as it is written.
	FQN string `json:"fqn"`
	// Namespace and Name identify it as OpenLineage's naming has it.
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	// Path tells which files are meant: a glob of those a source reads, or the path of one as a sink would write it.
	Path string `json:"path,omitempty"`
}

// defaultSchema is where PostgreSQL looks for tables without a schema unless it is told otherwise.
const defaultSchema = "public"

// maxDirectories bounds the directories above a sink's files under which it is found.
const maxDirectories = 32

// Datasets lists what a definition reads and then what it writes, in its order. connections are those it uses, by the name
// the definition has for each; one that is not there is named as the definition does.
func Datasets(d *definition.Definition, connections map[string]models.Connection) []Dataset {
	sets := make([]Dataset, 0, len(d.Sources)+len(d.Sinks))
	for _, s := range d.Sources {
		set := Dataset{Step: s.Name, Direction: Reads}
		c := connections[s.Connection]
		switch {
		case s.JDBC != nil && s.JDBC.Table != "":
			set.table(c, s.Connection, s.JDBC.Table)
		case s.JDBC != nil:
			set.query(c, s.Connection)
		case s.Kafka != nil:
			set.topic(c, s.Connection, s.Kafka.Topic)
		case s.Storage != nil:
			pattern := cmp.Or(s.Storage.Pattern, "*")
			set.files(c, s.Connection, s.Storage.Prefix)
			set.Path = literal.Replace(set.Name) + pattern
			set.Name += pattern
			set.FQN += pattern
		}
		sets = append(sets, set)
	}
	for _, s := range d.Sinks {
		set := Dataset{Step: s.Name, Direction: Writes}
		c := connections[s.Connection]
		switch {
		case s.JDBC != nil:
			set.table(c, s.Connection, s.JDBC.Table)
		case s.Storage != nil:
			set.files(c, s.Connection, s.Storage.Prefix)
			set.Path = set.Name + example(s)
		}
		sets = append(sets, set)
	}
	return sets
}

// Refs lists the connections that a definition uses, by name or id as it has them.
func Refs(d *definition.Definition) []string {
	var refs []string
	for _, s := range d.Sources {
		refs = append(refs, s.Connection)
	}
	for _, s := range d.Sinks {
		refs = append(refs, s.Connection)
	}
	slices.Sort(refs)
	return slices.Compact(refs)
}

// endings are those of compressed text files.
var endings = map[definition.Compression]string{
	definition.CompressionGzip: ".gz", definition.CompressionZstd: ".zst",
}

// example is the name of a file that a sink writes, behind its prefix.
func example(s definition.Sink) string {
	var directories strings.Builder
	for _, column := range s.Storage.PartitionBy {
		directories.WriteString(column + "=value/")
	}
	ending := "." + string(s.Storage.Format)
	if s.Storage.Format != definition.FormatParquet {
		ending += endings[s.Storage.Compression]
	}
	return directories.String() + s.Name + "-execution-0" + ending
}

// properties are those of a connection that tell where it leads.
type properties struct {
	Driver string `json:"driver"`
	Path   string `json:"path"`
}

func propertiesOf(c models.Connection) properties {
	var p properties
	_ = json.Unmarshal(c.Properties, &p) // what does not fit, the connection's test tells
	return p
}

// server names the database server a connection leads to, as OpenLineage does, and whether it is MySQL, whose databases have
// no schemas. A connection that does not exist leads to the server of its name.
func server(c models.Connection, ref string) (namespace string, mysql bool) {
	mysql = propertiesOf(c).Driver == "mysql" || c.Port == 3306
	scheme, port := "postgres", cmp.Or(c.Port, 5432)
	if mysql {
		scheme, port = "mysql", cmp.Or(c.Port, 3306)
	}
	if c.Host == "" {
		return scheme + "://" + ref, mysql
	}
	return scheme + "://" + net.JoinHostPort(strings.ToLower(c.Host), strconv.Itoa(port)), mysql
}

func (d *Dataset) table(c models.Connection, ref, table string) {
	namespace, mysql := server(c, ref)
	name := strings.ReplaceAll(table, `"`, "")
	if !mysql && !strings.Contains(name, ".") {
		name = defaultSchema + "." + name
	}
	d.Type, d.Namespace, d.Name = Table, namespace, cmp.Or(c.Database, ref)+"."+name
	d.FQN = d.Name
}

func (d *Dataset) query(c models.Connection, ref string) {
	namespace, _ := server(c, ref)
	d.Type, d.Namespace, d.Name = Query, namespace, cmp.Or(c.Database, ref)+"."+d.Step
	d.FQN = d.Name
}

func (d *Dataset) topic(c models.Connection, ref, topic string) {
	broker := ref
	if brokers := models.KafkaBrokers(c.Host, c.Port); len(brokers) > 0 {
		broker = brokers[0]
	}
	d.Type, d.Namespace, d.Name = Topic, "kafka://"+broker, topic
	d.FQN = d.Namespace + "/" + topic
}

// files names the files below a prefix, which need not end with a directory's name.
func (d *Dataset) files(c models.Connection, ref, prefix string) {
	root := path.Clean("/" + cmp.Or(propertiesOf(c).Path, ref))
	d.Type, d.Namespace = File, "file"
	d.Name = strings.TrimSuffix(root, "/") + "/" + strings.TrimLeft(prefix, "/")
	d.FQN = "file://" + d.Name
}

// literal makes a text a glob that matches just it.
var literal = strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`, "]", `\]`, "{", `\{`, "}", `\}`)

// Keys are what the data set is found by. What two pipelines share has a key in common; whether they really do is for Feeds
// to say. A query, a topic, which nobody writes, and a
// name that holds a parameter are found by nothing.
func (d Dataset) Keys() []string {
	switch {
	case d.Type == Query, d.Type == Topic, strings.Contains(d.Name, "${"), strings.Contains(d.Namespace, "${"):
		return nil
	case d.Type == Table:
		return []string{key(d.Namespace + "/" + d.Name)}
	case d.Direction == Reads:
		return []string{key("file:" + fixedDirectory(d.Path))}
	}
	var keys []string
	for dir := path.Dir(d.Path); len(keys) < maxDirectories; dir = path.Dir(dir) {
		keys = append(keys, key("file:"+dir))
		if dir == "/" {
			break
		}
	}
	return keys
}

// maxKey bounds a key in bytes: an index does not take them as long as a path may be.
const maxKey = 500

// key is what a text is found by.
func key(text string) string {
	if len(text) <= maxKey {
		return text
	}
	return fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(text)))
}

// fixedDirectory is the directory below which all files lie that a glob matches.
func fixedDirectory(glob string) string {
	base, _ := doublestar.SplitPattern(glob)
	return path.Clean("/" + base)
}

// Feeds reports whether a source reads what a sink writes: the same table, or files that its pattern matches. A sink's
// partitions match whatever their values are.
func Feeds(sink, source Dataset) bool {
	switch {
	case sink.Direction != Writes || source.Direction != Reads || sink.Type != source.Type || sink.Namespace != source.Namespace:
		return false
	case sink.Type == Table:
		return sink.Name == source.Name
	case sink.Type == File:
		matched, err := doublestar.Match(source.Path, sink.Path)
		return err == nil && matched
	default:
		return false
	}
}
