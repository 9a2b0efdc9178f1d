package openlineage

import (
	"time"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/definition"
	"github.com/matih/pipeline-service/models/lineage"
	"github.com/matih/pipeline-service/models/task"
)

// facet is what every facet has.
type facet struct {
	Producer  string `json:"_producer"`
	SchemaURL string `json:"_schemaURL"`
}

// published names a facet by the version of its published schema.
func published(version, name string) facet {
	return facet{producer, "https://openlineage.io/spec/facets/" + version + "/" + name + ".json#/$defs/" + name}
}

type runRef struct {
	RunID string `json:"runId"`
}

type jobRef struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
}

type rootFacet struct {
	Run runRef `json:"run"`
	Job jobRef `json:"job"`
}

type parentFacet struct {
	facet
	Run  runRef    `json:"run"`
	Job  jobRef    `json:"job"`
	Root rootFacet `json:"root"`
}

// parent is the run of an execution, as what a run below it, or one that repeats it, comes from.
func parent(e models.Execution, execution string) parentFacet {
	run, job := runRef{RunID(execution).String()}, jobRef{jobNamespace(e.Tenant), e.PipelineName}
	return parentFacet{published("1-2-0", "ParentRunFacet"), run, job, rootFacet{run, job}}
}

type nominalTimeFacet struct {
	facet
	Start time.Time `json:"nominalStartTime"`
}

func nominalTime(at time.Time) nominalTimeFacet {
	return nominalTimeFacet{published("1-0-1", "NominalTimeRunFacet"), at.UTC()}
}

type errorFacet struct {
	facet
	Message  string `json:"message"`
	Language string `json:"programmingLanguage"`
}

func errorMessage(e *models.ExecutionError) errorFacet {
	return errorFacet{published("1-0-1", "ErrorMessageRunFacet"), e.Class + ": " + e.Message, "SQL"}
}

type jobTypeFacet struct {
	facet
	ProcessingType string `json:"processingType"`
	Integration    string `json:"integration"`
	JobType        string `json:"jobType"`
}

func jobType(kind string) map[string]any {
	return map[string]any{"jobType": jobTypeFacet{published("2-0-4", "JobTypeJobFacet"), "BATCH", "PIPELINE_SERVICE", kind}}
}

type schemaField struct {
	Name string `json:"name"`
	Type string `json:"type,omitempty"`
}

type schemaFacet struct {
	facet
	Fields []schemaField `json:"fields"`
}

func schema(columns []lineage.Column) schemaFacet {
	s := schemaFacet{published("1-2-0", "SchemaDatasetFacet"), make([]schemaField, len(columns))}
	for i, c := range columns {
		s.Fields[i] = schemaField{c.Name, c.Type}
	}
	return s
}

type transformation struct {
	Type    string `json:"type"`
	Subtype string `json:"subtype"`
}

type inputField struct {
	Namespace       string           `json:"namespace"`
	Name            string           `json:"name"`
	Field           string           `json:"field"`
	Transformations []transformation `json:"transformations,omitempty"` // none where it is not known how
}

type fieldLineage struct {
	InputFields []inputField `json:"inputFields"`
}

type columnLineageFacet struct {
	facet
	Fields  map[string]fieldLineage `json:"fields"`
	Dataset []inputField            `json:"dataset,omitempty"`
}

// columnLineage is the facet of a step's columns, where name tells the data set that a step of its inputs stands for.
func columnLineage(step lineage.Step, name func(step string) jobRef) columnLineageFacet {
	c := columnLineageFacet{facet: published("1-2-0", "ColumnLineageDatasetFacet"),
		Fields: make(map[string]fieldLineage, len(step.Columns)), Dataset: inputFields(step.Rows, name)}
	for _, column := range step.Columns {
		c.Fields[column.Name] = fieldLineage{inputFields(column.Inputs, name)}
	}
	return c
}

// inputFields puts the kinds of one column together. The inputs come in order.
func inputFields(inputs []lineage.Input, name func(step string) jobRef) []inputField {
	fields := []inputField{}
	for i, in := range inputs {
		if i == 0 || inputs[i-1].Step != in.Step || inputs[i-1].Column != in.Column {
			set := name(in.Step)
			fields = append(fields, inputField{Namespace: set.Namespace, Name: set.Name, Field: in.Column})
		}
		last := &fields[len(fields)-1]
		switch {
		case in.Kind == lineage.Unknown:
		case in.Kind.Direct():
			last.Transformations = append(last.Transformations, transformation{"DIRECT", string(in.Kind)})
		default:
			last.Transformations = append(last.Transformations, transformation{"INDIRECT", string(in.Kind)})
		}
	}
	return fields
}

type statisticsFacet struct {
	facet
	RowCount int64 `json:"rowCount"`
	Size     int64 `json:"size"`
}

func inputStatistics(rows, size int64) statisticsFacet {
	return statisticsFacet{published("1-0-0", "InputStatisticsInputDatasetFacet"), rows, size}
}

func outputStatistics(rows, size int64) statisticsFacet {
	return statisticsFacet{published("1-0-2", "OutputStatisticsOutputDatasetFacet"), rows, size}
}

type assertion struct {
	Assertion string `json:"assertion"`
	Success   bool   `json:"success"`
	Column    string `json:"column,omitempty"`
	Severity  string `json:"severity"`
	Name      string `json:"name"`
}

type assertionsFacet struct {
	facet
	Assertions []assertion `json:"assertions"`
}

// assertions tells what quality checks found: that, and never a value of the data.
func assertions(found []checked) assertionsFacet {
	f := assertionsFacet{facet: published("1-1-0", "DataQualityAssertionsDatasetFacet")}
	for _, c := range found {
		a := assertion{Assertion: string(c.check.Type), Success: c.result.Passed, Severity: "error", Name: c.check.Name}
		if c.check.OnFailure == definition.OnFailureWarn {
			a.Severity = "warn"
		}
		if len(c.check.Columns) == 1 {
			a.Column = c.check.Columns[0]
		}
		f.Assertions = append(f.Assertions, a)
	}
	return f
}

// checked is a quality check and what it found.
type checked struct {
	check  *definition.QualityCheck
	result task.CheckResult
}

type metricsFacet struct {
	facet
	RowCount      int64          `json:"rowCount"`
	ColumnMetrics map[string]any `json:"columnMetrics"`
}

func metrics(rows int64) metricsFacet {
	return metricsFacet{published("1-0-3", "DataQualityMetricsInputDatasetFacet"), rows, map[string]any{}}
}
