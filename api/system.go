package api

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/matih/pipeline-service/api/auth"
	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/definition"
)

// schemaMedia is the media type of JSON Schemas.
const schemaMedia = "application/schema+json"

// readyTimeout bounds how long the service may take to say that it is ready.
const readyTimeout = 5 * time.Second

// HealthView says that the service lives.
type HealthView struct {
	Status string `json:"status" example:"ok"`
}

type healthOutput struct{ Body HealthView }

type schemaOutput struct {
	ContentType string `header:"Content-Type" hidden:"true"`
	Body        Object
}

// registerSystem adds what needs no token: health, readiness, metrics, schemas and the documentation of all
// operations, so it comes last.
func (s *service) registerSystem() error {
	register(s, operation{
		Operation: huma.Operation{
			OperationID: "getHealth", Method: http.MethodGet, Path: "/healthz",
			Tags: []string{"System"}, Summary: "Is the process alive?", Description: "Answers as long as it can; it asks nothing that the process depends on.",
		},
		Scope: auth.Public,
	}, func(context.Context, *struct{}) (*healthOutput, error) {
		return &healthOutput{Body: HealthView{Status: "ok"}}, nil
	})
	register(s, operation{
		Operation: huma.Operation{
			OperationID: "getReadiness", Method: http.MethodGet, Path: "/readyz",
			Tags: []string{"System"}, Summary: "Can it serve requests?", Description: "503 while the database or Temporal does not answer.",
		},
		Scope: auth.Public, Codes: []models.Code{models.CodeUnavailable},
	}, s.ready)
	register(s, operation{
		Operation: huma.Operation{
			OperationID: "getDefinitionSchema", Method: http.MethodGet, Path: "/v1/schemas/definition.json",
			Tags: []string{"System"}, Summary: "Get the JSON Schema of definitions", Description: "For editors and other tools that write definitions.",
		},
		Scope: auth.Public,
	}, func(context.Context, *struct{}) (*schemaOutput, error) {
		return &schemaOutput{ContentType: schemaMedia, Body: Object(definition.Schema())}, nil
	})
	published := s.huma.OpenAPI().Paths["/v1/schemas/definition.json"].Get.Responses["200"]
	published.Content = map[string]*huma.MediaType{schemaMedia: published.Content[jsonMedia]}

	doc, err := s.document()
	if err != nil {
		return fmt.Errorf("api: OpenAPI document: %w", err)
	}
	yaml, err := s.huma.OpenAPI().YAML()
	if err != nil {
		return fmt.Errorf("api: OpenAPI document: %w", err)
	}
	page, err := docsPage(s.huma.OpenAPI())
	if err != nil {
		return fmt.Errorf("api: documentation: %w", err)
	}
	s.public("/openapi.json", constant("application/openapi+json", doc))
	s.public("/openapi.yaml", constant("application/openapi+yaml", yaml))
	s.public("/docs", docsHandler(page))
	s.public("/metrics", promhttp.HandlerFor(s.Metrics, promhttp.HandlerOpts{}))
	return nil
}

func (s *service) ready(ctx context.Context, _ *struct{}) (*healthOutput, error) {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	if err := s.Checks(ctx); err != nil {
		return nil, &models.Error{Code: models.CodeUnavailable, Message: "the service is not ready", Cause: err}
	}
	return &healthOutput{Body: HealthView{Status: "ready"}}, nil
}

// public serves a path that is no operation and needs no token.
func (s *service) public(path string, h http.Handler) {
	s.router.Method(http.MethodGet, path, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requestOf(r.Context()).public = true
		h.ServeHTTP(w, r)
	}))
}

// constant serves the same bytes always.
func constant(media string, body []byte) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", media)
		_, _ = w.Write(body) // a client that has gone needs no answer
	})
}
