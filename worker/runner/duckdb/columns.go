package duckdb

import (
	"strings"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/task"
	"github.com/matih/pipeline-service/worker/runner/fault"
)

// Names lists the columns' names.
func Names(columns []task.Column) []string {
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = c.Name
	}
	return names
}

// InputNames lists the inputs' names.
func InputNames(inputs []Input) []string {
	names := make([]string, len(inputs))
	for i, in := range inputs {
		names[i] = in.Name
	}
	return names
}

// Find returns the column that SQL would find under the name.
func Find(columns []task.Column, name string) (task.Column, bool) {
	for _, c := range columns {
		if SameName(c.Name, name) {
			return c, true
		}
	}
	return task.Column{}, false
}

// Require makes sure that a step has the columns and names those it lacks.
func Require(step string, columns []task.Column, names ...string) error {
	var missing []string
	for _, name := range names {
		if _, ok := Find(columns, name); !ok {
			missing = append(missing, name)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	if near := Similar(missing[0], Names(columns)); len(missing) == 1 && len(near) > 0 {
		return fault.Errorf(models.ClassInvalidDefinition, "%s has no column %q; did you mean %s?", step, missing[0], strings.Join(near, ", "))
	}
	return fault.Errorf(models.ClassInvalidDefinition, "%s has no column %s; it has %s", step, Enumerate(missing), Enumerate(Names(columns)))
}

// maxEnumerated bounds the names in a message.
const maxEnumerated = 30

// Enumerate writes names for a message.
func Enumerate(names []string) string {
	more := ""
	if len(names) > maxEnumerated {
		names, more = names[:maxEnumerated], ", …"
	}
	return strings.Join(names, ", ") + more
}
