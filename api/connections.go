package api

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/matih/pipeline-service/api/auth"
	"github.com/matih/pipeline-service/models"
)

// ConnectionBody is what a client says of a connection. No field of it may hold a secret.
type ConnectionBody struct {
	Name                string                `json:"name" minLength:"1" maxLength:"200" doc:"Unique among the tenant's connections: 1 to 200 printable characters, no blank at either end."`
	Type                models.ConnectionType `json:"type" enum:"jdbc,local,s3,gcs,azure_blob,sftp,kafka,api,iceberg" doc:"What it leads to. This release supports jdbc (a relational database), kafka (a cluster) and local (a directory of the workers)."`
	Host                string                `json:"host,omitempty" maxLength:"2000" doc:"jdbc: a host name or address, without scheme, port or path. kafka: the brokers to begin with, host or host:port, with commas between."`
	Port                int                   `json:"port,omitempty" minimum:"1" maximum:"65535" doc:"jdbc: 5432 unless given. kafka: of the brokers that have none, 9092 unless given."`
	Database            string                `json:"database,omitempty" maxLength:"63" doc:"jdbc: the database."`
	CredentialSecretRef string                `json:"credentialSecretRef,omitempty" maxLength:"128" doc:"The entry of the tenant in the secret store that holds username and password."`
	Properties          Object                `json:"properties,omitempty" doc:"jdbc: driver, sslMode, connectionTimeout (ms). kafka: securityProtocol, saslMechanism, connectionTimeout (ms). local: path."`
}

// ConnectionView is a connection as the API shows it.
type ConnectionView struct {
	ConnectionID        string                `json:"connectionId"`
	Name                string                `json:"name"`
	Type                models.ConnectionType `json:"type"`
	Host                string                `json:"host,omitempty"`
	Port                int                   `json:"port,omitempty"`
	Database            string                `json:"database,omitempty"`
	CredentialSecretRef string                `json:"credentialSecretRef,omitempty"`
	Properties          Object                `json:"properties,omitempty"`
	CreatedBy           string                `json:"createdBy"`
	CreatedAt           time.Time             `json:"createdAt"`
}

// ConnectionList is one page of connections, newest first.
type ConnectionList struct {
	Connections []ConnectionView `json:"connections"`
	Page        int              `json:"page"`
	Size        int              `json:"size"`
	Total       int64            `json:"total"`
}

// TestView is what a test of a connection found.
type TestView struct {
	Connected bool           `json:"connected"`
	LatencyMs int64          `json:"latencyMs" doc:"How long it took to connect and ask."`
	Version   string         `json:"version,omitempty"`
	Details   map[string]any `json:"details,omitempty" doc:"What can be seen through it."`
	Reason    string         `json:"reason,omitempty" doc:"Why it did not connect."`
}

func (s *service) registerConnections() {
	register(s, operation{
		Operation: huma.Operation{
			OperationID: "createConnection", Method: http.MethodPost, Path: "/v1/pipelines/connections", DefaultStatus: http.StatusCreated,
			Tags: []string{"Connections"}, Summary: "Create a connection",
			Description: "Secrets stay in the secret store: credentialSecretRef names them.",
		},
		Scope: auth.ScopeConnections, Example: exampleConnection, Answer: exampleCreatedConnection,
		Codes: []models.Code{models.CodeNameTaken},
	}, s.createConnection)
	register(s, operation{
		Operation: huma.Operation{
			OperationID: "listConnections", Method: http.MethodGet, Path: "/v1/pipelines/connections",
			Tags: []string{"Connections"}, Summary: "List connections", Description: "Newest first.",
		},
		Scope: auth.ScopeRead,
	}, s.listConnections)
	register(s, operation{
		Operation: huma.Operation{
			OperationID: "getConnection", Method: http.MethodGet, Path: "/v1/pipelines/connections/{connectionId}",
			Tags: []string{"Connections"}, Summary: "Get a connection",
		},
		Scope: auth.ScopeRead, Load: loadConnection, Answer: exampleCreatedConnection,
	}, s.getConnection)
	register(s, operation{
		Operation: huma.Operation{
			OperationID: "testConnection", Method: http.MethodPost, Path: "/v1/pipelines/connections/{connectionId}/test",
			DefaultStatus: http.StatusOK,
			Tags:          []string{"Connections"}, Summary: "Test a connection",
			Description: "Connects from where the tasks run, within 30 seconds. Not connecting is an answer too: connected is false and reason says why.",
		},
		Scope: auth.ScopeConnections, Load: loadConnection, Answer: exampleTest,
	}, s.testConnection)
	register(s, operation{
		Operation: huma.Operation{
			OperationID: "deleteConnection", Method: http.MethodDelete, Path: "/v1/pipelines/connections/{connectionId}",
			DefaultStatus: http.StatusNoContent,
			Tags:          []string{"Connections"}, Summary: "Delete a connection",
			Description: "Executions of pipelines that still use it will fail.",
		},
		Scope: auth.ScopeConnections, Load: loadConnection,
	}, s.deleteConnection)
}

type createConnectionInput struct{ Body ConnectionBody }

// Resolve checks what the schema cannot.
func (in *createConnectionInput) Resolve(huma.Context) []error {
	if mistakes := in.Body.check(); len(mistakes) > 0 {
		return []error{invalid(mistakes)}
	}
	return nil
}

type createConnectionOutput struct {
	Location string `header:"Location"`
	Body     ConnectionView
}

func (s *service) createConnection(ctx context.Context, in *createConnectionInput) (*createConnectionOutput, error) {
	r, b := requestOf(ctx), in.Body
	if b.Type == models.ConnectionJDBC && b.Port == 0 {
		b.Port = defaultPort
	}
	c := models.Connection{
		ID: r.newID(models.PrefixConnection), Tenant: r.tenant, Name: b.Name, Type: b.Type, Host: b.Host, Port: b.Port,
		Database: b.Database, CredentialSecretRef: b.CredentialSecretRef, CreatedBy: r.principal.Subject,
	}
	if b.Properties.given() {
		c.Properties = json.RawMessage(b.Properties)
	}
	c, err := r.store.CreateConnection(ctx, c)
	if err != nil {
		return nil, err
	}
	return &createConnectionOutput{Location: "/v1/pipelines/connections/" + c.ID, Body: viewConnection(c)}, nil
}

type listConnectionsInput struct{ Paging }

type listConnectionsOutput struct{ Body ConnectionList }

func (s *service) listConnections(ctx context.Context, in *listConnectionsInput) (*listConnectionsOutput, error) {
	found, err := requestOf(ctx).store.Connections(ctx, in.page())
	if err != nil {
		return nil, err
	}
	list := ConnectionList{Connections: []ConnectionView{}, Page: in.Page, Size: in.Size, Total: found.Total}
	for _, c := range found.Items {
		list.Connections = append(list.Connections, viewConnection(c))
	}
	return &listConnectionsOutput{Body: list}, nil
}

type connectionInput struct {
	ConnectionID string `path:"connectionId" doc:"The connection's id."`
}

type connectionOutput struct{ Body ConnectionView }

func (s *service) getConnection(ctx context.Context, _ *connectionInput) (*connectionOutput, error) {
	return &connectionOutput{Body: viewConnection(loaded[models.Connection](ctx))}, nil
}

type testOutput struct{ Body TestView }

func (s *service) testConnection(ctx context.Context, _ *connectionInput) (*testOutput, error) {
	c := loaded[models.Connection](ctx)
	found, err := s.Gateway.TestConnection(ctx, c.Tenant, c.ID)
	if err != nil {
		return nil, err
	}
	return &testOutput{Body: TestView(found)}, nil
}

func (s *service) deleteConnection(ctx context.Context, _ *connectionInput) (*struct{}, error) {
	return nil, requestOf(ctx).store.DeleteConnection(ctx, loaded[models.Connection](ctx).ID)
}

func viewConnection(c models.Connection) ConnectionView {
	v := ConnectionView{
		ConnectionID: c.ID, Name: c.Name, Type: c.Type, Host: c.Host, Port: c.Port, Database: c.Database,
		CredentialSecretRef: c.CredentialSecretRef, CreatedBy: c.CreatedBy, CreatedAt: c.CreatedAt.UTC(),
	}
	if properties := Object(c.Properties); properties.given() {
		v.Properties = properties
	}
	return v
}
