// Package api is the service's HTTP API: Huma operations on a chi router, one file a resource.
// Every request passes the same stages, each in a file of its own:
//
//	observe     request id, access log, metrics, panics       observe.go
//	authorize   token, tenant, scope, rate limit              authorize.go, ratelimit.go
//	receive     the body's bytes, at most 1 MiB               body.go
//	idempotent  the first answer again for the same key       idempotency.go
//	load        the resource the path names, or 404           resource.go
//	check       query, media type and syntax of the body      query.go, body.go
//	audit       who wants to change what                      audit.go
//	operation   Huma's validation, then the handler           pipelines.go, executions.go, …
package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/matih/pipeline-service/api/auth"
	"github.com/matih/pipeline-service/api/gateway"
	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/contract"
	"github.com/matih/pipeline-service/models/store"
	"github.com/matih/pipeline-service/models/submission"
	"github.com/matih/pipeline-service/models/template"
)

// Gateway is what the API asks of Temporal. Its errors have CodeUnavailable where Temporal did not answer.
type Gateway interface {
	// StartExecution starts the workflow of an execution; again is a success.
	StartExecution(ctx context.Context, e models.Execution) error
	// CancelExecution starts the workflow that sees to it that an execution ends; again is a success.
	CancelExecution(ctx context.Context, tenant models.TenantID, executionID string) error
	// Describe tells what Temporal knows of a workflow, CodeNotFound where that is nothing.
	Describe(ctx context.Context, workflowID string) (models.Workflow, error)
	// CancelWorkflow asks a workflow to cancel; CodeNotFound where none runs.
	CancelWorkflow(ctx context.Context, workflowID string) error
	// Decide hands a decision to an approval; the code of its error says why it does not count.
	Decide(ctx context.Context, approvalID, updateID string, d contract.Decision) (contract.Decided, error)
	// SetPriority gives its workflow and the tasks that wait the execution's priority; CodeNotFound where none runs.
	SetPriority(ctx context.Context, e models.Execution) error
	// ApplySchedule makes Temporal's Schedule what a schedule says; again is a success.
	ApplySchedule(ctx context.Context, s models.Schedule) error
	// StartBackfill starts the workflow of a backfill's attempt; again is a success.
	StartBackfill(ctx context.Context, b models.Backfill) error
	// ControlBackfill pauses, resumes or cancels a backfill; CodeNotFound where its workflow does not run.
	ControlBackfill(ctx context.Context, id, updateID string, c contract.BackfillControl) (models.BackfillStatus, error)
	// TestConnection tests a connection where the workers are, within 30 seconds.
	TestConnection(ctx context.Context, tenant models.TenantID, connectionID string) (models.ConnectionTest, error)
	// Plan has a plan's steps looked at where the workers are, within a minute; what they found is in the store. name
	// is the pipeline's, "" where it has none yet.
	Plan(ctx context.Context, p models.Plan, name string) error
}

var _ Gateway = (*gateway.Gateway)(nil)

// Config is what the API is made of.
type Config struct {
	Store   *store.Store
	Gateway Gateway
	Auth    *auth.Verifier
	// Log gets the access log and the detail of errors; slog.Default() unless given.
	Log *slog.Logger
	// Metrics is what /metrics shows and the API adds its own to; a new one unless given.
	Metrics *prometheus.Registry
	// Checks reports whether what the API depends on answers; /readyz asks it.
	Checks func(ctx context.Context) error
	// RateLimit is how many requests a second each tenant may make, in bursts of twice as many; 0 turns it off.
	RateLimit float64
	// Submission is what holds for executions whose definition says nothing; temporal and five minutes unless given.
	Submission submission.Defaults
	// Staged reports whether a task's output is still there; without it the store's record is believed, for an API
	// need not see what workers have staged.
	Staged func(output string) bool
	// BodyTimeout bounds how long a request's body may take to arrive; 15 seconds unless given.
	BodyTimeout time.Duration
	// MaxFollowers is how many log streams a tenant may have open; 50 unless given.
	MaxFollowers int
	// Stopping ends open log streams when it is closed, so that a shutdown need not wait for them.
	Stopping <-chan struct{}
	// Version of the program, for the OpenAPI document.
	Version string
	// Now tells the time; time.Now unless given.
	Now func() time.Time
}

// service is the API at work.
type service struct {
	Config
	huma      huma.API
	router    *chi.Mux
	limits    *limiter
	followers *followers
	metrics   *metrics
	templates template.Catalogue
	// undeclared collects what is wrong with the declarations of the operations.
	undeclared []error
}

// New makes the API's handler. It fails where an operation does not declare who may call it.
func New(c Config) (http.Handler, error) {
	s, err := newService(c)
	if err != nil {
		return nil, err
	}
	return s.router, nil
}

// OpenAPI is the document that /openapi.json serves, indented.
func OpenAPI() ([]byte, error) {
	s, err := newService(Config{})
	if err != nil {
		return nil, err
	}
	return s.document()
}

// newService builds the API; more registers operations beside the usual ones.
func newService(c Config, more ...func(*service)) (*service, error) {
	configureHuma()
	c = withDefaults(c)
	limits, err := newLimiter(c.RateLimit, c.Now)
	if err != nil {
		return nil, err
	}
	templates, err := template.Load()
	if err != nil {
		return nil, err
	}
	s := &service{
		Config:    c,
		router:    chi.NewRouter(),
		limits:    limits,
		followers: newFollowers(c.MaxFollowers),
		metrics:   newMetrics(c.Metrics),
		templates: templates,
	}
	s.router.Use(s.observe, middleware.GetHead, joinTemplateID)
	s.router.NotFound(func(w http.ResponseWriter, r *http.Request) {
		s.fail(w, r, models.Errorf(models.CodeNotFound, "there is nothing at this path"))
	})
	s.router.MethodNotAllowed(s.methodNotAllowed)
	s.huma = huma.NewAPI(describe(c.Version), adapter{s})

	s.registerPipelines()
	s.registerPlans()
	s.registerVersions()
	s.registerTemplates()
	s.registerLineage()
	s.registerExecutions()
	s.registerReruns()
	s.registerPriority()
	s.registerLogs()
	s.registerSchedules()
	s.registerBackfills()
	s.registerConnections()
	s.registerApprovals()
	s.registerMonitoring()
	s.registerAirflow()
	s.registerAudit()
	s.registerWorkflows()
	for _, register := range more {
		register(s)
	}
	s.openAnswers()
	if err := s.registerSystem(); err != nil {
		return nil, err
	}
	s.keepStaticPaths()
	if err := errors.Join(s.undeclared...); err != nil {
		return nil, fmt.Errorf("api: %w", err)
	}
	return s, nil
}

func withDefaults(c Config) Config {
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Metrics == nil {
		c.Metrics = prometheus.NewRegistry()
	}
	if c.Checks == nil {
		c.Checks = func(context.Context) error { return nil }
	}
	if c.Submission.Engine == "" {
		c.Submission.Engine = models.EngineTemporal
	}
	if c.Submission.Estimate == 0 {
		c.Submission.Estimate = 5 * time.Minute
	}
	if c.BodyTimeout == 0 {
		c.BodyTimeout = 15 * time.Second
	}
	if c.MaxFollowers == 0 {
		c.MaxFollowers = 50
	}
	if c.Version == "" {
		c.Version = "1.0.0"
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}
