package api

import (
	"encoding/json"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/matih/pipeline-service/models"
)

// Object is a JSON object that is handed on as it came.
type Object json.RawMessage

var _ huma.SchemaProvider = Object{}

// MarshalJSON gives the object.
func (o Object) MarshalJSON() ([]byte, error) { return json.RawMessage(o).MarshalJSON() }

// UnmarshalJSON keeps the object.
func (o *Object) UnmarshalJSON(raw []byte) error { return (*json.RawMessage)(o).UnmarshalJSON(raw) }

// Schema is that of any object.
func (o Object) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeObject, AdditionalProperties: true}
}

// given reports whether there is an object, not null and nothing else.
func (o Object) given() bool { return len(o) > 0 && o[0] == '{' }

// describe is the frame of the OpenAPI document.
func describe(version string) huma.Config {
	config := huma.DefaultConfig("Pipeline Service", version)
	config.CreateHooks = nil // no $schema fields in answers
	config.OpenAPIPath, config.DocsPath, config.SchemasPath = "", "", ""
	config.Formats = map[string]huma.Format{jsonMedia: jsonFormat, "json": jsonFormat}
	config.Info.Description = "Multi-tenant data pipelines that run durably on Temporal. Every operation below /v1 but the schemas " +
		"needs a bearer token and names the tenant it acts for in X-Tenant-ID. Failures are RFC 9457 problems with a stable `code`."
	config.Info.License = &huma.License{Name: "Apache-2.0", Identifier: "Apache-2.0"}
	config.Tags = []*huma.Tag{
		{Name: "Pipelines", Description: "Definitions and their versions."},
		{Name: "Templates", Description: "Definitions for an industry, from which pipelines are made."},
		{Name: "Executions", Description: "Runs of pipelines."},
		{Name: "Schedules", Description: "Executions at due times."},
		{Name: "Backfills", Description: "Executions for the due times of a range."},
		{Name: "Approvals", Description: "Gates of executions that people decide about."},
		{Name: "Cost", Description: "What executions and pipelines cost."},
		{Name: "Monitoring", Description: "What executions did over time, and what is wrong."},
		{Name: "Workflows", Description: "What runs in Temporal: executions, approvals, cancellations and others."},
		{Name: "Connections", Description: "How tasks reach databases and files."},
		{Name: "Airflow", Description: "DAGs and their runs."},
		{Name: "Audit", Description: "Who changed what."},
		{Name: "System", Description: "The service itself."},
	}
	config.Components.SecuritySchemes = map[string]*huma.SecurityScheme{bearer: {
		Type: "http", Scheme: "bearer", BearerFormat: "JWT",
		Description: "A token of a trusted issuer. Its claims tenant_id, roles and scope say where it may do what.",
	}}
	return config
}

// jsonFormat is Huma's JSON with the words of encoding/json kept inside.
var jsonFormat = huma.Format{
	Marshal: huma.DefaultJSONFormat.Marshal,
	Unmarshal: func(data []byte, v any) error {
		err := json.Unmarshal(data, v)
		if _, ok := err.(*json.UnmarshalTypeError); ok { //nolint:errorlint // encoding/json does not wrap it
			return models.Errorf(models.CodeInvalidRequest, "a value does not fit its field; write whole numbers without a fraction")
		}
		return err
	},
}

// openAnswers lets the schemas of answers grow: a client must ignore fields it does not know, while
// the service refuses those it does not know in a body.
func (s *service) openAnswers() {
	for name, schema := range s.huma.OpenAPI().Components.Schemas.Map() {
		if !strings.HasSuffix(name, "Body") {
			schema.AdditionalProperties = nil
		}
	}
}

// document is the OpenAPI document as it is published and committed.
func (s *service) document() ([]byte, error) {
	doc, err := json.MarshalIndent(s.huma.OpenAPI(), "", "  ")
	if err != nil {
		return nil, err
	}
	return append(doc, '\n'), nil
}
