// Package demo sets up the sample pipeline through the public API, executes it and shows what came out.
package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"reflect"

	"gopkg.in/yaml.v3"

	"github.com/matih/pipeline-service/models"
)

// Tenant is who the sample belongs to.
const Tenant = "11111111-2222-4333-8444-555555555555"

const (
	pipelineFile = "flights.yaml"
	pipelineName = "flights"
	// resultPattern are the files of the sink that is shown, below Results.
	resultPattern = "routes/routes_csv-%s-*.csv"
)

// Config says where the sample runs.
type Config struct {
	API     string // base URL, without /v1
	Token   string // of an engineer of Tenant
	Samples string // directory with flights.yaml and its data
	Results string // directory the pipeline writes to
	Out     io.Writer
	// Terminal says that Out is one, so that progress can be drawn.
	Terminal bool
}

type demo struct {
	Config
	client
}

// ErrFailed says that the sample's execution did not complete; what happened has been shown.
var ErrFailed = errors.New("the sample pipeline did not complete")

// Run sets the sample up, executes it and shows the result. Where it is set up already it is used as it is.
func Run(ctx context.Context, c Config) error {
	d := &demo{Config: c, client: client{api: c.API, token: c.Token, tenant: Tenant}}
	for name, dir := range map[string]string{"samples": c.Samples, "results": c.Results} {
		if err := d.connection(ctx, name, dir); err != nil {
			return err
		}
	}
	pipeline, err := d.pipeline(ctx)
	if err != nil {
		return err
	}
	execution, err := d.execute(ctx, pipeline)
	if err != nil {
		return err
	}
	end, err := d.follow(ctx, execution)
	if err != nil {
		return err
	}
	return d.show(ctx, end)
}

type connection struct {
	ID         string `json:"connectionId"`
	Name       string `json:"name"`
	Type       string `json:"type"`
	Properties struct {
		Path string `json:"path"`
	} `json:"properties"`
}

// connection makes sure that a local connection leads to a directory.
func (d *demo) connection(ctx context.Context, name, dir string) error {
	old, err := d.findConnection(ctx, name)
	if err != nil {
		return err
	}
	if old != nil && old.Properties.Path == dir {
		return nil
	}
	if old != nil { // the samples have been moved
		if err := d.send(ctx, http.MethodDelete, "/v1/pipelines/connections/"+old.ID, nil, nil); err != nil {
			return err
		}
	}
	return d.send(ctx, http.MethodPost, "/v1/pipelines/connections", map[string]any{
		"name": name, "type": models.ConnectionLocal, "properties": map[string]string{"path": dir},
	}, nil)
}

func (d *demo) findConnection(ctx context.Context, name string) (*connection, error) {
	const size = 200
	for page := 0; ; page++ {
		var list struct {
			Connections []connection `json:"connections"`
		}
		if err := d.get(ctx, fmt.Sprintf("/v1/pipelines/connections?page=%d&size=%d", page, size), &list); err != nil {
			return nil, err
		}
		for _, c := range list.Connections {
			if c.Name == name {
				return &c, nil
			}
		}
		if len(list.Connections) < size {
			return nil, nil
		}
	}
}

type pipeline struct {
	ID         string          `json:"pipelineId"`
	Definition json.RawMessage `json:"definition"`
}

// pipeline makes sure that the sample pipeline is the one of the file and returns its id.
func (d *demo) pipeline(ctx context.Context) (string, error) {
	document, err := os.ReadFile(filepath.Join(d.Samples, pipelineFile))
	if err != nil {
		return "", err
	}
	var list struct {
		Pipelines []pipeline `json:"pipelines"`
	}
	if err := d.get(ctx, "/v1/pipelines?name="+url.QueryEscape(pipelineName), &list); err != nil {
		return "", err
	}
	var found pipeline
	if len(list.Pipelines) == 0 {
		err := d.sendYAML(ctx, http.MethodPost, "/v1/pipelines", document, &found)
		return found.ID, err
	}
	path := "/v1/pipelines/" + list.Pipelines[0].ID
	if err := d.get(ctx, path, &found); err != nil {
		return "", err
	}
	same, err := sameDefinition(document, found.Definition)
	if err != nil || same {
		return found.ID, err
	}
	return found.ID, d.sendYAML(ctx, http.MethodPut, path, document, nil)
}

// sameDefinition compares the definition in a YAML document with one in JSON.
func sameDefinition(document []byte, definition json.RawMessage) (bool, error) {
	var file struct {
		Definition any `yaml:"definition"`
	}
	if err := yaml.Unmarshal(document, &file); err != nil {
		return false, fmt.Errorf("%s: %w", pipelineFile, err)
	}
	content, err := json.Marshal(file.Definition)
	if err != nil {
		return false, fmt.Errorf("%s: %w", pipelineFile, err)
	}
	var a, b any
	if err := errors.Join(decode(content, &a), decode(definition, &b)); err != nil {
		return false, err
	}
	return reflect.DeepEqual(a, b), nil
}

func decode(content []byte, into any) error {
	return json.NewDecoder(bytes.NewReader(content)).Decode(into)
}

// execute starts an execution and returns its id. Where one is running, as after a restart, it is that one's.
func (d *demo) execute(ctx context.Context, pipeline string) (string, error) {
	var started struct {
		ID string `json:"executionId"`
	}
	err := d.send(ctx, http.MethodPost, "/v1/pipelines/"+pipeline+"/execute", struct{}{}, &started)
	var p *problem
	if errors.As(err, &p) && p.Code == models.CodePipelineRunning && len(p.ExecutionIDs) > 0 {
		return p.ExecutionIDs[0], nil
	}
	return started.ID, err
}
