package api

import (
	"context"
	"net/http"
	"reflect"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/matih/pipeline-service/api/auth"
	"github.com/matih/pipeline-service/api/graph"
	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/definition"
	"github.com/matih/pipeline-service/models/lineage"
)

const (
	dotMedia = "text/vnd.graphviz"
	svgMedia = "image/svg+xml"
)

// LineageView tells where a pipeline's data come from and go to.
type LineageView struct {
	PipelineID        string               `json:"pipelineId"`
	DefinitionVersion int                  `json:"definitionVersion"`
	Sources           []DatasetView        `json:"sources"`
	Sinks             []DatasetView        `json:"sinks"`
	Transformations   []TransformationView `json:"transformations"`
	Columns           []ColumnView         `json:"columns,omitempty" doc:"What each column of a sink is made of; there once the version has been executed."`
	Rows              []RowsView           `json:"rows,omitempty" doc:"What decides which rows a sink gets, and in what order."`
	Upstream          []RelatedView        `json:"upstream,omitempty" doc:"With depth: pipelines that write what this one reads, and those before them."`
	Downstream        []RelatedView        `json:"downstream,omitempty" doc:"With depth: pipelines that read what this one writes, and those behind them."`
	Truncated         bool                 `json:"truncated,omitempty" doc:"There are more columns or pipelines than one answer names."`
	LastExecuted      *time.Time           `json:"lastExecuted,omitempty" doc:"When the latest execution began."`
}

// DatasetView is what a source reads or a sink writes.
type DatasetView struct {
	Type lineage.DatasetType `json:"type" enum:"TABLE,FILE,TOPIC,QUERY"`
	FQN  string              `json:"fqn" doc:"A table's <database>.<schema>.<table>, a file's or topic's URI, or <database>.<source> for a query. Parameters have the values of the last execution; before the first they stand as they are written."`
	Step string              `json:"step" doc:"The source or sink in the definition."`
}

// TransformationView is a step of a definition.
type TransformationView struct {
	Name string                        `json:"name"`
	Type definition.TransformationType `json:"type"`
}

// ColumnView is a column of a sink.
type ColumnView struct {
	Sink   string      `json:"sink" doc:"The sink's fqn."`
	Column string      `json:"column"`
	Inputs []InputView `json:"inputs"`
}

// RowsView is what decides about the rows of a sink.
type RowsView struct {
	Sink   string      `json:"sink" doc:"The sink's fqn."`
	Inputs []InputView `json:"inputs"`
}

// InputView is a column of a source and how something depends on it.
type InputView struct {
	Source string       `json:"source" doc:"The source's fqn."`
	Column string       `json:"column" doc:"* is any column."`
	Kind   lineage.Kind `json:"kind" enum:"IDENTITY,TRANSFORMATION,AGGREGATION,CONDITIONAL,FILTER,JOIN,GROUP_BY,SORT,WINDOW,UNKNOWN"`
}

// maxLineageInputs bounds the dependencies that one answer names.
const maxLineageInputs = 50_000

func (s *service) registerLineage() {
	op := operation{
		Operation: huma.Operation{
			OperationID: "getLineage", Method: http.MethodGet, Path: "/v1/pipelines/{pipelineId}/lineage",
			Tags: []string{"Pipelines"}, Summary: "Get a pipeline's lineage",
			Description: "What the current version reads, does and writes; once it has been executed, also what each column is made of: " +
				"direct dependencies hand values on (IDENTITY, TRANSFORMATION, AGGREGATION), indirect ones decide about them, and UNKNOWN says " +
				"that more could not be told. `format` draws it instead.",
		},
		Scope: auth.ScopeRead, Load: loadPipeline,
	}
	register(s, op, s.lineage)
	s.documentLineage(op)
}

// documentLineage describes the three forms of a lineage, which Huma cannot know.
func (s *service) documentLineage(op operation) {
	schema := s.huma.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[LineageView](), true, "LineageView")
	text := &huma.Schema{Type: huma.TypeString}
	s.huma.OpenAPI().Paths[op.Path].Get.Responses["200"].Content = map[string]*huma.MediaType{
		jsonMedia: {Schema: schema, Example: exampleLineage},
		dotMedia:  {Schema: text, Example: exampleLineageDOT},
		svgMedia:  {Schema: text},
	}
}

type lineageInput struct {
	PipelineID string `path:"pipelineId" doc:"The pipeline's id."`
	Depth      int    `query:"depth" minimum:"0" maximum:"10" default:"0" doc:"How many pipelines to follow the data upstream and downstream, through tables and files they share."`
	Format     string `query:"format" enum:"json,dot,svg" default:"json" doc:"dot is Graphviz's language, svg a picture."`
}

type lineageOutput struct {
	ContentType string `header:"Content-Type" hidden:"true"`
	Body        func(huma.Context)
}

func (s *service) lineage(ctx context.Context, in *lineageInput) (*lineageOutput, error) {
	r, p := requestOf(ctx), loaded[models.Pipeline](ctx)
	d, err := definition.Parse(p.Definition, "definition")
	if err != nil {
		return nil, err
	}
	sets, err := datasetsOf(ctx, p, d)
	if err != nil {
		return nil, err
	}
	view := viewLineage(p, d, sets)
	if in.Depth > 0 {
		if err := view.relate(ctx, r.store, p.ID, sets, in.Depth); err != nil {
			return nil, err
		}
	}
	if in.Format != "json" {
		return s.drawn(r, view.draw(p, d, sets), in.Format), nil
	}
	steps, err := r.store.ColumnLineage(ctx, p.ID, p.Version)
	if err != nil {
		return nil, err
	}
	view.addColumns(lineage.NewFlow(d, steps), sets)
	last, err := r.store.LastStarted(ctx, p.ID)
	if err != nil {
		return nil, err
	}
	if !last.IsZero() {
		last = last.UTC()
		view.LastExecuted = &last
	}
	return s.written(r, jsonMedia, func(ctx huma.Context) error { return jsonFormat.Marshal(ctx.BodyWriter(), view) }), nil
}

// datasetsOf are what a pipeline reads and writes, as its last execution named them.
func datasetsOf(ctx context.Context, p models.Pipeline, d *definition.Definition) ([]lineage.Dataset, error) {
	t := requestOf(ctx).store
	known, err := t.PipelineDatasets(ctx, p.ID)
	if err != nil || len(known[p.ID]) > 0 {
		return known[p.ID], err
	}
	// It is archived, or older than the table of data sets.
	connections, err := t.ConnectionsByRef(ctx, lineage.Refs(d))
	return lineage.Datasets(d, connections), err
}

func viewLineage(p models.Pipeline, d *definition.Definition, sets []lineage.Dataset) *LineageView {
	view := &LineageView{PipelineID: p.ID, DefinitionVersion: p.Version,
		Sources: []DatasetView{}, Sinks: []DatasetView{}, Transformations: []TransformationView{}}
	for _, set := range sets {
		shown := DatasetView{Type: set.Type, FQN: set.FQN, Step: set.Step}
		if set.Direction == lineage.Reads {
			view.Sources = append(view.Sources, shown)
		} else {
			view.Sinks = append(view.Sinks, shown)
		}
	}
	for _, t := range d.Transformations {
		view.Transformations = append(view.Transformations, TransformationView{Name: t.Name, Type: t.Type})
	}
	return view
}

// addColumns adds what the columns and rows of each sink are made of, as far as an answer takes them.
func (v *LineageView) addColumns(flow *lineage.Flow, sets []lineage.Dataset) {
	names := map[string]string{} // by step
	for _, set := range sets {
		names[set.Step] = set.FQN
	}
	sinks, complete := flow.Sinks()
	v.Truncated = v.Truncated || !complete
	left := maxLineageInputs
	view := func(inputs []lineage.Input) []InputView {
		shown := make([]InputView, 0, len(inputs))
		for _, in := range inputs {
			shown = append(shown, InputView{Source: names[in.Step], Column: in.Column, Kind: in.Kind})
		}
		left -= len(inputs) + 1
		return shown
	}
	for _, sink := range sinks {
		for _, c := range sink.Columns {
			if left <= 0 {
				v.Truncated = true
				return
			}
			v.Columns = append(v.Columns, ColumnView{Sink: names[sink.Sink], Column: c.Name, Inputs: view(c.Inputs)})
		}
		if len(sink.Rows) > 0 {
			v.Rows = append(v.Rows, RowsView{Sink: names[sink.Sink], Inputs: view(sink.Rows)})
		}
	}
}

func (s *service) drawn(r *request, g *graph.Graph, format string) *lineageOutput {
	if format == "svg" {
		return s.written(r, svgMedia, func(ctx huma.Context) error { return g.WriteSVG(ctx.BodyWriter()) })
	}
	return s.written(r, dotMedia+"; charset=utf-8", func(ctx huma.Context) error { return g.WriteDOT(ctx.BodyWriter()) })
}

// written is an answer of a media type that is not always JSON.
func (s *service) written(r *request, media string, write func(huma.Context) error) *lineageOutput {
	return &lineageOutput{ContentType: media, Body: func(ctx huma.Context) {
		if err := write(ctx); err != nil {
			s.Log.DebugContext(ctx.Context(), "the lineage could not be sent", "requestId", r.id, "error", err)
		}
	}}
}

// draw makes a graph of the pipeline's steps between its data sets, and of the pipelines around it.
func (v *LineageView) draw(p models.Pipeline, d *definition.Definition, sets []lineage.Dataset) *graph.Graph {
	g := &graph.Graph{}
	ids := map[string]string{} // of the node that stands for a step
	for _, set := range sets {
		ids[set.Step] = "dataset " + set.FQN
		if set.Direction == lineage.Reads {
			g.Node(ids[set.Step], graph.Dataset, set.FQN, "")
		}
	}
	for _, t := range d.Transformations {
		ids[t.Name] = "step " + t.Name
		g.Node(ids[t.Name], graph.Step, t.Name, string(t.Type))
	}
	for _, set := range sets {
		if set.Direction == lineage.Writes {
			g.Node(ids[set.Step], graph.Dataset, set.FQN, "")
		}
	}
	for _, t := range d.Transformations {
		for _, input := range t.Inputs {
			g.Edge(ids[input], ids[t.Name])
		}
	}
	for _, sink := range d.Sinks {
		g.Edge(ids[sink.Input], ids[sink.Name])
	}
	for _, related := range append(append([]RelatedView{}, v.Upstream...), v.Downstream...) {
		g.Node(related.PipelineID, graph.Pipeline, related.Name, "")
	}
	for _, related := range append(append([]RelatedView{}, v.Upstream...), v.Downstream...) {
		for _, link := range related.Links {
			written, read := "dataset "+link.Writes, "dataset "+link.Reads
			g.Node(written, graph.Dataset, link.Writes, "")
			g.Node(read, graph.Dataset, link.Reads, "")
			g.Edge(written, read) // a pattern is another node than the files it finds
			if link.From != p.ID {
				g.Edge(link.From, written)
			}
			if link.To != p.ID {
				g.Edge(read, link.To)
			}
		}
	}
	return g
}
