package e2e

import (
	"context"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/matih/pipeline-service/cmd/internal/harness"
)

// templateFiles is where templates keep their sample data and what is expected of them.
const templateFiles = "../../../models/template"

// templateDoc is what a client sees of a template.
type templateDoc struct {
	ID         string `json:"id"`
	Parameters []struct {
		Name string `json:"name"`
		Type string `json:"type"`
	} `json:"parameters"`
	Example struct {
		Parameters          map[string]any `json:"parameters"`
		ExecutionParameters map[string]any `json:"executionParameters"`
	} `json:"example"`
	Definition struct {
		Sinks map[string]any `json:"sinks"`
	} `json:"definition"`
}

// TestTemplatesRunOnTheirSamples makes a pipeline of every template, executes it on the template's sample data and
// compares all that it publishes with what is expected. Only the sinks' format is changed: text can be compared.
func TestTemplatesRunOnTheirSamples(t *testing.T) {
	w := newWorld(t)
	var list struct{ Templates []templateDoc }
	require.NoError(t, w.JSON(w.ctx, http.MethodGet, "/v1/pipelines/templates", nil, http.StatusOK, &list))
	require.NotEmpty(t, list.Templates)
	for _, listed := range list.Templates {
		if listed.ID == paymentProcessing {
			continue // TestPaymentProcessing has the cluster it needs
		}
		t.Run(listed.ID, func(t *testing.T) {
			w := *w
			w.t = t
			var cancel context.CancelFunc
			w.ctx, cancel = context.WithTimeout(w.ctx, time.Minute) // no gate holds an example up
			defer cancel()
			var doc templateDoc
			require.NoError(t, w.JSON(w.ctx, http.MethodGet, "/v1/pipelines/templates/"+listed.ID, nil, http.StatusOK, &doc))
			e := w.completed(w.fromTemplate(doc), m{"parameters": doc.Example.ExecutionParameters})
			assert.Equal(t, 100, e.Progress.Percentage)
			published := tables(t, filepath.Join(w.dir, doc.ID, "target"), "-"+e.ExecutionID+"-0")
			assert.Equal(t, tables(t, filepath.Join(templateFiles, doc.ID, "expected"), ""), published)
		})
	}
}

// fromTemplate makes a pipeline of a template as its example does, on copies of its sample data.
func (w *world) fromTemplate(doc templateDoc) string {
	w.t.Helper()
	base := filepath.Join(w.dir, doc.ID)
	require.NoError(w.t, os.CopyFS(filepath.Join(base, "source"), os.DirFS(filepath.Join(templateFiles, doc.ID, "sample"))))
	require.NoError(w.t, os.MkdirAll(filepath.Join(base, "target"), 0o750))
	for _, p := range doc.Parameters {
		if p.Type != "connection" {
			continue
		}
		kind, _, _ := strings.Cut(p.Name, "_")
		name := strings.ReplaceAll(doc.ID, "/", "-") + "-" + kind
		_, err := w.CreateConnection(w.ctx, m{"name": name, "type": "local", "properties": m{"path": filepath.Join(base, kind)}})
		require.NoError(w.t, err)
		doc.Example.Parameters[p.Name] = name
	}
	customizations := m{}
	for sink := range doc.Definition.Sinks {
		customizations["sinks."+sink+".format"] = "csv"
	}
	var made harness.Execution
	require.NoError(w.t, w.JSON(w.ctx, http.MethodPost, "/v1/pipelines/templates/"+doc.ID+"/create", m{
		"pipelineName": doc.ID, "parameters": doc.Example.Parameters, "customizations": customizations,
	}, http.StatusCreated, &made))
	return made.PipelineID
}

// tables reads the CSV files below a directory, by their names without the mark of the execution. The order of rows
// means nothing, so they are sorted below the header.
func tables(t *testing.T, dir, mark string) map[string][]string {
	t.Helper()
	found := map[string][]string{}
	require.NoError(t, filepath.WalkDir(dir, func(at string, entry fs.DirEntry, err error) error {
		if entry.IsDir() && strings.HasPrefix(entry.Name(), ".") {
			return fs.SkipDir
		}
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(at)
		lines := strings.Split(strings.TrimSpace(string(content)), "\n")
		slices.Sort(lines[1:])
		name, _ := filepath.Rel(dir, at)
		found[strings.Replace(name, mark, "", 1)] = lines
		return err
	}))
	return found
}
