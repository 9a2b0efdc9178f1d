package definition

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/matih/pipeline-service/models"
)

// defaultSections stand where a test's document leaves a section out.
var defaultSections = map[string]string{
	"sources": "sources: {raw: {type: jdbc, connection: db, table: t}}\n",
	"sinks":   "sinks: {out: {type: jdbc, connection: db, table: u}}\n",
}

// fromYAML makes the JSON document of some sections, written in YAML.
func fromYAML(t testing.TB, sections string) []byte {
	t.Helper()
	for name, text := range defaultSections {
		if !strings.HasPrefix(sections, name+":") && !strings.Contains(sections, "\n"+name+":") {
			sections = strings.TrimRight(sections, "\n") + "\n" + text
		}
	}
	doc, err := FromYAML([]byte(sections))
	require.NoError(t, err, sections)
	return doc
}

func parseYAML(t testing.TB, sections string) *Definition {
	t.Helper()
	d, err := Parse(fromYAML(t, sections), "")
	require.NoError(t, err, sections)
	return d
}

// lines gives an error's mistakes as "location: message".
func lines(t testing.TB, err error, code models.Code) []string {
	t.Helper()
	if err == nil {
		return nil
	}
	var e *models.Error
	require.True(t, errors.As(err, &e), "%T is no *models.Error", err)
	require.Equal(t, code, e.Code)
	var list []string
	for _, m := range e.Mistakes {
		list = append(list, m.Location+": "+m.Message)
	}
	return list
}
