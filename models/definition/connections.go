package definition

import (
	"fmt"
	"slices"

	"github.com/matih/pipeline-service/models"
)

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

// ConnectionMistakes tells which uses are of connections that are not among those found, by ref, or are of the wrong type.
func ConnectionMistakes(uses []ConnectionUse, found map[string]models.Connection) []models.Mistake {
	var mistakes []models.Mistake
	for _, use := range uses {
		c, ok := found[use.Ref]
		switch {
		case !ok:
			mistakes = append(mistakes, models.Mistake{
				Location: use.Location, Message: fmt.Sprintf("there is no connection %q", use.Ref),
			})
		case use.Types != nil && !slices.Contains(use.Types, c.Type):
			types := make([]string, len(use.Types))
			for i, t := range use.Types {
				types[i] = string(t)
			}
			mistakes = append(mistakes, models.Mistake{
				Location: use.Location,
				Message:  fmt.Sprintf("connection %q has type %s; this needs %s", use.Ref, c.Type, or(types)),
			})
		}
	}
	return mistakes
}
