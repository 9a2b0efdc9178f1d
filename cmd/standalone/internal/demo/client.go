package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/matih/pipeline-service/models"
)

// client speaks to the API as any user's program would.
type client struct {
	api    string // base URL
	token  string
	tenant string
}

// problem is a failure as the API tells it.
type problem struct {
	Status       int              `json:"status"`
	Code         models.Code      `json:"code"`
	Detail       string           `json:"detail"`
	Errors       []models.Mistake `json:"errors"`
	ExecutionIDs []string         `json:"executionIds"`
}

// Error gives the detail and every mistake.
func (p *problem) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d %s: %s", p.Status, p.Code, p.Detail)
	for _, m := range p.Errors {
		fmt.Fprintf(&b, "\n  %s: %s", m.Location, m.Message)
	}
	return b.String()
}

// get asks for a resource.
func (c *client) get(ctx context.Context, path string, into any) error {
	return c.do(ctx, http.MethodGet, path, "", nil, into)
}

// send sends a body as JSON.
func (c *client) send(ctx context.Context, method, path string, body, into any) error {
	content, err := json.Marshal(body)
	if err != nil {
		return err
	}
	return c.do(ctx, method, path, "application/json", content, into)
}

// sendYAML sends a body that is YAML.
func (c *client) sendYAML(ctx context.Context, method, path string, body []byte, into any) error {
	return c.do(ctx, method, path, "application/yaml", body, into)
}

// do makes a request. The error is a *problem where the API refused it.
func (c *client) do(ctx context.Context, method, path, media string, body []byte, into any) error {
	request, err := http.NewRequestWithContext(ctx, method, c.api+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+c.token)
	request.Header.Set("X-Tenant-ID", c.tenant)
	if media != "" {
		request.Header.Set("Content-Type", media)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	if response.StatusCode >= http.StatusBadRequest {
		p := &problem{}
		if err := json.Unmarshal(content, p); err != nil {
			return fmt.Errorf("%s %s: %s", method, path, response.Status)
		}
		return fmt.Errorf("%s %s: %w", method, path, p)
	}
	if into == nil {
		return nil
	}
	if err := json.Unmarshal(content, into); err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	return nil
}
