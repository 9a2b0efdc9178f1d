package harness

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"
)

// Client speaks /v1 as one subject of one tenant.
type Client struct {
	Base   string // http://host:port
	Tenant string
	Token  string
	HTTP   *http.Client
}

// Client returns a client with a fresh token.
func (s *Standalone) Client(ctx context.Context, tenant, subject, roles string, groups ...string) (*Client, error) {
	token, err := s.Token(ctx, tenant, subject, roles, groups...)
	if err != nil {
		return nil, err
	}
	return &Client{Base: s.API, Tenant: tenant, Token: token, HTTP: &http.Client{Timeout: time.Minute}}, nil
}

// Answer is what the service answered.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// Do sends a request; in is marshalled unless it is nil, a []byte or a string.
func (c *Client) Do(ctx context.Context, method, path string, in any, header ...string) (Answer, error) {
	var body io.Reader
	switch v := in.(type) {
	case nil:
	case []byte:
		body = bytes.NewReader(v)
	case string:
		body = bytes.NewReader([]byte(v))
	default:
		b, err := json.Marshal(in)
		if err != nil {
			return Answer{}, err
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.Base+path, body)
	if err != nil {
		return Answer{}, err
	}
	req.Header.Set("Authorization", "Bearer "+c.Token)
	req.Header.Set("X-Tenant-ID", c.Tenant)
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := c.HTTP.Do(req)
	if err != nil {
		return Answer{}, err
	}
	defer func() { _ = res.Body.Close() }()
	content, err := io.ReadAll(res.Body)
	return Answer{Status: res.StatusCode, Header: res.Header, Body: content}, err
}

// JSON sends a request that must be answered with the status and reads the answer into out, unless
// that is nil.
func (c *Client) JSON(ctx context.Context, method, path string, in any, status int, out any) error {
	a, err := c.Do(ctx, method, path, in)
	if err != nil {
		return err
	}
	if a.Status != status {
		return fmt.Errorf("%s %s: %d instead of %d: %s", method, path, a.Status, status, a.Body)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(a.Body, out)
}

// CreateConnection makes a connection and returns its id.
func (c *Client) CreateConnection(ctx context.Context, body any) (string, error) {
	var out struct {
		ConnectionID string `json:"connectionId"`
	}
	return out.ConnectionID, c.JSON(ctx, http.MethodPost, "/v1/pipelines/connections", body, http.StatusCreated, &out)
}

// CreatePipeline makes a pipeline of a definition and returns its id.
func (c *Client) CreatePipeline(ctx context.Context, name string, definition any) (string, error) {
	var out struct {
		PipelineID string `json:"pipelineId"`
	}
	err := c.JSON(ctx, http.MethodPost, "/v1/pipelines",
		map[string]any{"name": name, "version": "1.0.0", "definition": definition}, http.StatusCreated, &out)
	return out.PipelineID, err
}

// Execution is the status of an execution.
type Execution struct {
	ExecutionID string `json:"executionId"`
	PipelineID  string `json:"pipelineId"`
	Status      string `json:"status"`
	Progress    struct {
		TotalTasks     int    `json:"totalTasks"`
		CompletedTasks int    `json:"completedTasks"`
		CurrentTask    string `json:"currentTask"`
		Percentage     int    `json:"percentage"`
	} `json:"progress"`
	Metrics struct {
		RowsProcessed  int64 `json:"rowsProcessed"`
		BytesProcessed int64 `json:"bytesProcessed"`
		ElapsedMs      int64 `json:"elapsedMs"`
	} `json:"metrics"`
	StatusReason string `json:"statusReason"`
	Error        *struct {
		Task    string `json:"task"`
		Class   string `json:"class"`
		Message string `json:"message"`
	} `json:"error"`
}

// Terminal reports whether the execution has ended.
func (e Execution) Terminal() bool {
	return e.Status == "COMPLETED" || e.Status == "FAILED" || e.Status == "CANCELLED"
}

// Execute starts an execution and returns its id.
func (c *Client) Execute(ctx context.Context, pipeline string, body any) (string, error) {
	if body == nil {
		body = map[string]any{}
	}
	var out Execution
	err := c.JSON(ctx, http.MethodPost, "/v1/pipelines/"+pipeline+"/execute", body, http.StatusAccepted, &out)
	return out.ExecutionID, err
}

// Execution returns an execution's status.
func (c *Client) Execution(ctx context.Context, id string) (Execution, error) {
	var out Execution
	return out, c.JSON(ctx, http.MethodGet, "/v1/pipelines/executions/"+id, nil, http.StatusOK, &out)
}

// Await waits until an execution has ended.
func (c *Client) Await(ctx context.Context, id string) (Execution, error) {
	var last Execution
	err := every(ctx, 25*time.Millisecond, func() (bool, error) {
		var err error
		last, err = c.Execution(ctx, id)
		return last.Terminal(), err
	})
	if err != nil {
		return last, fmt.Errorf("execution %s, last seen %s: %w", id, last.Status, err)
	}
	return last, nil
}

// Run executes a pipeline and waits for its end.
func (c *Client) Run(ctx context.Context, pipeline string, body any) (Execution, error) {
	id, err := c.Execute(ctx, pipeline, body)
	if err != nil {
		return Execution{}, err
	}
	return c.Await(ctx, id)
}
