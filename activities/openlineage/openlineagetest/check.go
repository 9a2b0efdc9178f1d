// Package openlineagetest checks OpenLineage events. The rules here are what the published schemas demand of the events and facets
// that this service makes, written down by hand; where OPENLINEAGE_SPEC names a directory that holds the published schemas (the
// folder spec of OpenLineage's repository), events are validated against those as well.
package openlineagetest

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/matih/pipeline-service/activities/openlineage"
)

// Event is an event as a reader sees it.
type Event = openlineage.Event

// required are the facets there may be, by where they stand and their key, with the version of their schema and the fields that
// it requires.
var required = map[string]struct {
	schema string
	fields []string
}{
	"run.parent":                  {"1-2-0/ParentRunFacet", []string{"run", "job"}},
	"run.nominalTime":             {"1-0-1/NominalTimeRunFacet", []string{"nominalStartTime"}},
	"run.errorMessage":            {"1-0-1/ErrorMessageRunFacet", []string{"message", "programmingLanguage"}},
	"job.jobType":                 {"2-0-4/JobTypeJobFacet", []string{"processingType", "integration"}},
	"dataset.schema":              {"1-2-0/SchemaDatasetFacet", []string{"fields"}},
	"dataset.columnLineage":       {"1-2-0/ColumnLineageDatasetFacet", []string{"fields"}},
	"input.inputStatistics":       {"1-0-0/InputStatisticsInputDatasetFacet", []string{"rowCount", "size"}},
	"input.dataQualityAssertions": {"1-1-0/DataQualityAssertionsDatasetFacet", []string{"assertions"}},
	"input.dataQualityMetrics":    {"1-0-3/DataQualityMetricsInputDatasetFacet", []string{"columnMetrics"}},
	"output.outputStatistics":     {"1-0-2/OutputStatisticsOutputDatasetFacet", []string{"rowCount", "size"}},
}

// Check requires an event to be as the specification has it, and returns it.
func Check(tb testing.TB, line []byte) Event {
	tb.Helper()
	var raw map[string]any
	require.NoError(tb, json.Unmarshal(line, &raw), "%s", line)
	var event Event
	require.NoError(tb, json.Unmarshal(line, &event), "%s", line)
	_, err := time.Parse(time.RFC3339Nano, raw["eventTime"].(string))
	require.NoError(tb, err)
	assert.NotZero(tb, event.EventTime.Year())
	assert.Contains(tb, []openlineage.EventType{"START", "RUNNING", "COMPLETE", "FAIL", "ABORT"}, event.EventType)
	assert.Equal(tb, "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent", event.SchemaURL)
	assert.Regexp(tb, "^https://", event.Producer)
	assert.NotEqual(tb, uuid.Nil, event.Run.RunID)
	assert.NotEmpty(tb, event.Job.Namespace)
	assert.NotEmpty(tb, event.Job.Name)
	facets(tb, "run", event.Run.Facets)
	facets(tb, "job", event.Job.Facets)
	for _, set := range append(append([]openlineage.Dataset{}, event.Inputs...), event.Outputs...) {
		assert.NotEmpty(tb, set.Namespace)
		assert.NotEmpty(tb, set.Name)
		facets(tb, "dataset", set.Facets)
		facets(tb, "input", set.InputFacets)
		facets(tb, "output", set.OutputFacets)
	}
	if dir := os.Getenv("OPENLINEAGE_SPEC"); dir != "" {
		validate(tb, dir, raw)
	}
	return event
}

func facets(tb testing.TB, place string, found map[string]any) {
	tb.Helper()
	for key, value := range found {
		rule, known := required[place+"."+key]
		require.True(tb, known, "%s.%s is no facet of this service", place, key)
		facet, ok := value.(map[string]any)
		require.True(tb, ok, key)
		version, name, _ := strings.Cut(rule.schema, "/")
		assert.Equal(tb, "https://openlineage.io/spec/facets/"+version+"/"+name+".json#/$defs/"+name, facet["_schemaURL"])
		assert.Regexp(tb, "^https://", facet["_producer"])
		for _, field := range rule.fields {
			assert.NotNil(tb, facet[field], "%s.%s of %s", place, field, key)
		}
	}
}

var schemaID = regexp.MustCompile(`"\$id": *"([^"]+)"`)

// validate validates an event, and each of its facets, against the published schemas.
func validate(tb testing.TB, dir string, event map[string]any) {
	tb.Helper()
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	paths, err := filepath.Glob(filepath.Join(dir, "facets", "*.json"))
	require.NoError(tb, err)
	for _, path := range append(paths, filepath.Join(dir, "OpenLineage.json")) {
		content, err := os.ReadFile(path) //nolint:gosec // the directory is the one that whoever runs the test names
		require.NoError(tb, err)
		id := schemaID.FindSubmatch(content)
		require.NotNil(tb, id, path)
		doc, err := jsonschema.UnmarshalJSON(strings.NewReader(string(content)))
		require.NoError(tb, err)
		require.NoError(tb, compiler.AddResource(string(id[1]), doc))
	}
	against := func(url string, value any) {
		schema, err := compiler.Compile(url)
		require.NoError(tb, err, url)
		require.NoError(tb, schema.Validate(value), url)
	}
	against(event["schemaURL"].(string), event)
	each := func(holder any, key string) {
		object, _ := holder.(map[string]any)
		found, _ := object[key].(map[string]any)
		for _, facet := range found {
			against(facet.(map[string]any)["_schemaURL"].(string), facet)
		}
	}
	each(event["run"], "facets")
	each(event["job"], "facets")
	for _, side := range []string{"inputs", "outputs"} {
		sets, _ := event[side].([]any)
		for _, set := range sets {
			each(set, "facets")
			each(set, "inputFacets")
			each(set, "outputFacets")
		}
	}
}
