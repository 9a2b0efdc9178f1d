// Package template is the industry templates: definitions with parameters of their own, from which pipelines are
// made.
//
// A template is a directory <industry>/<name> with template.yaml, which is part of the programs; sample, files that its
// sources read; and expected, what its sinks publish of them. In the definition of template.yaml
//
//	{$parameter: name}
//
// is a place for the value of the template's parameter, which is put in when a pipeline is made; it is always a whole
// value, never a part of a text. ${name} is what it is in every definition: a parameter of the pipeline's executions.
// A template's parameter reaches SQL as the default of such a parameter.
package template

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/definition"
)

//go:embed */*/template.yaml
var files embed.FS

// typeConnection is the type of parameters whose value is a connection's name or id. The others are those of a
// definition's parameters.
const typeConnection definition.ParameterType = "connection"

// Template is a frame for pipelines.
type Template struct {
	ID          string                 `json:"-"` // <industry>/<name>
	Industry    string                 `json:"-"`
	Name        string                 `json:"name"` // for people
	Version     string                 `json:"version"`
	Description string                 `json:"description"`
	Compliance  []string               `json:"compliance"` // what its rules help to comply with
	Parameters  []definition.Parameter `json:"parameters"` // their type may be connection, too
	Example     Example                `json:"example"`
	Definition  json.RawMessage        `json:"definition"`
}

// Example is what makes a pipeline and an execution of the sample data.
type Example struct {
	Parameters json.RawMessage `json:"parameters"`
	Execution  json.RawMessage `json:"execution"` // parameters of the execution
}

// Catalogue is all templates, by industry and name.
type Catalogue []Template

// Load reads the templates that are part of the program.
func Load() (Catalogue, error) {
	paths, err := fs.Glob(files, "*/*/template.yaml")
	if err != nil {
		return nil, fmt.Errorf("template: %w", err)
	}
	var c Catalogue
	for _, p := range paths {
		text, err := files.ReadFile(p)
		if err != nil {
			return nil, fmt.Errorf("template: %w", err)
		}
		t, err := parse(text)
		if err != nil {
			return nil, fmt.Errorf("template: %s: %w", p, err)
		}
		t.ID = path.Dir(p)
		t.Industry = path.Dir(t.ID)
		c = append(c, t)
	}
	return c, nil
}

func parse(text []byte) (t Template, err error) {
	doc, err := definition.FromYAML(text)
	if err != nil {
		return t, err
	}
	strict := json.NewDecoder(bytes.NewReader(doc))
	strict.DisallowUnknownFields()
	return t, strict.Decode(&t)
}

// Get gives a template; the error has CodeNotFound.
func (c Catalogue) Get(id string) (Template, error) {
	i := slices.IndexFunc(c, func(t Template) bool { return t.ID == id })
	if i < 0 {
		return Template{}, models.NotFound("template")
	}
	return c[i], nil
}

// Industries lists the industries that have templates, sorted.
func (c Catalogue) Industries() []string {
	var list []string
	for _, t := range c {
		list = append(list, t.Industry)
	}
	return slices.Compact(slices.Sorted(slices.Values(list)))
}

// Of gives the templates of an industry, all where it is empty.
func (c Catalogue) Of(industry string) Catalogue {
	return slices.DeleteFunc(slices.Clone(c), func(t Template) bool { return industry != "" && t.Industry != industry })
}

// Tags are words to find the pipelines of a template by.
func (t Template) Tags() []string {
	return []string{t.Industry, strings.TrimPrefix(t.ID, t.Industry+"/")}
}
