package definition

import "github.com/matih/pipeline-service/models"

// ConnectionUse is a place where a definition names a connection.
type ConnectionUse struct {
	Location string
	// Ref is the connection's name or id.
	Ref string
	// Types are the types of connections that serve there.
	Types []models.ConnectionType
}

// Connections lists every use of a connection, with locations below at. A use whose name still
// holds a ${name} is left out: only the rendered definition can tell what it means.
func (d *Definition) Connections(at string) []ConnectionUse {
	var uses []ConnectionUse
	add := func(section, step, ref string, types []models.ConnectionType) {
		if !hasPlaceholder(ref) {
			location := newPath(at).at(section).at(step).at("connection").String()
			uses = append(uses, ConnectionUse{Location: location, Ref: ref, Types: types})
		}
	}
	for _, s := range d.Sources {
		types := storageConnections
		if s.Type == SourceJDBC {
			types = databaseConnections
		}
		add("sources", s.Name, s.Connection, types)
	}
	for _, s := range d.Sinks {
		types := storageConnections
		if s.Type == SinkJDBC {
			types = databaseConnections
		}
		add("sinks", s.Name, s.Connection, types)
	}
	return uses
}
