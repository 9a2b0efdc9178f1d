package api

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"
	"github.com/go-chi/chi/v5"

	"github.com/matih/pipeline-service/api/auth"
	"github.com/matih/pipeline-service/models"
)

// operation is a Huma operation and what this API wants to know besides.
type operation struct {
	huma.Operation
	// Scope is what the caller must hold. There is no default: an operation without one is an error.
	Scope auth.Scope
	// OrScope is for an operation that needs one scope for some requests and another for others: the caller
	// must hold either, and the handler asks for the right one with request.require.
	OrScope auth.Scope
	// Load looks up the resource that the path names; nil where it names none.
	Load loader
	// Codes are the failures of this operation beside those its shape implies.
	Codes []models.Code
	// YAML says that the body may be YAML too.
	YAML bool
	// DryRun says that with dryRun=true it answers 200 with a plan instead of a change.
	DryRun bool
	// Example is a request body for the documentation.
	Example any
	// Answer is a response body for the documentation.
	Answer any
}

// operationKey is where a Huma operation's metadata hold the operation it came from.
const operationKey = "operation"

// bearer is the name of the security scheme.
const bearer = "bearer"

// register adds an operation to the API. Everything the documentation says about security and
// failures follows from the declaration, and so does what is enforced.
func register[I, O any](s *service, op operation, handler func(context.Context, *I) (*O, error)) {
	if op.Scope == "" {
		s.undeclared = append(s.undeclared, fmt.Errorf("operation %s %s declares no security", op.Method, op.Path))
		return
	}
	op.Metadata = map[string]any{operationKey: &op}
	op.MaxBodyBytes = -1    // receive has read it, and bounded it
	op.BodyReadTimeout = -1 // likewise; a deadline left standing would cut off long answers
	op.Responses = map[string]*huma.Response{}
	if op.Scope == auth.Public {
		op.Security = []map[string][]string{}
	} else {
		var needs []string
		for _, scope := range op.scopes() {
			op.Security = append(op.Security, map[string][]string{bearer: {string(scope)}})
			needs = append(needs, fmt.Sprintf("the scope `%s`, which these roles hold: %s", scope, strings.Join(auth.RolesWith(scope), ", ")))
		}
		op.Description = strings.TrimSpace(fmt.Sprintf("%s\n\nNeeds %s.", op.Description, strings.Join(needs, "; or ")))
		op.Parameters = append(op.Parameters, tenantParameter())
		if op.Method == http.MethodPost {
			op.Parameters = append(op.Parameters, idempotencyParameter())
		}
	}
	s.documentFailures(&op)
	if op.DryRun && op.DefaultStatus == http.StatusCreated {
		s.documentDryRun(&op)
	}
	huma.Register(s.huma, op.Operation, func(ctx context.Context, in *I) (*O, error) {
		if mistakes := requestOf(ctx).mistakes; len(mistakes) > 0 {
			return nil, s.problem(ctx, invalid(mistakes))
		}
		out, err := handler(ctx, in)
		if err != nil {
			return nil, s.problem(ctx, err)
		}
		return out, nil
	})
	s.documentParameters(op)
	s.documentBodies(op)
}

// scopes are those of which a caller must hold one.
func (op *operation) scopes() []auth.Scope {
	if op.OrScope == "" {
		return []auth.Scope{op.Scope}
	}
	return []auth.Scope{op.Scope, op.OrScope}
}

// failures lists the codes an operation may answer with.
func (op *operation) failures() []models.Code {
	codes := []models.Code{models.CodeInternal, models.CodeInvalidRequest}
	if op.Scope != auth.Public {
		codes = append(codes, models.CodeUnauthenticated, models.CodeInvalidTenant, models.CodeForbidden,
			models.CodeRateLimited, models.CodeUnavailable)
	}
	if op.Load != nil {
		codes = append(codes, models.CodeNotFound)
	}
	if op.Method == http.MethodPost || op.Method == http.MethodPut || op.Method == http.MethodPatch {
		codes = append(codes, models.CodeBodyTooLarge, models.CodeUnsupportedMediaType, models.CodeRequestTimeout)
	}
	if op.Method == http.MethodPost {
		codes = append(codes, models.CodeIdempotencyKeyReused, models.CodeIdempotencyInProgress)
	}
	return append(codes, op.Codes...)
}

// documentFailures describes every status an operation may fail with and the codes behind it.
func (s *service) documentFailures(op *operation) {
	byStatus := map[int][]string{}
	for _, code := range op.failures() {
		if name := "`" + string(code) + "`"; !slices.Contains(byStatus[status(code)], name) {
			byStatus[status(code)] = append(byStatus[status(code)], name)
		}
	}
	schema := s.huma.OpenAPI().Components.Schemas.Schema(problemType, true, "Problem")
	for code, names := range byStatus {
		response := &huma.Response{
			Description: fmt.Sprintf("%s: %s", http.StatusText(code), strings.Join(names, ", ")),
			Content:     map[string]*huma.MediaType{problemMedia: {Schema: schema}},
		}
		switch code {
		case http.StatusTooManyRequests, http.StatusServiceUnavailable:
			response.Headers = map[string]*huma.Param{"Retry-After": {
				Description: "Seconds to wait before asking again.", Schema: &huma.Schema{Type: huma.TypeInteger},
			}}
		case http.StatusUnauthorized:
			response.Headers = map[string]*huma.Param{"WWW-Authenticate": {Schema: &huma.Schema{Type: huma.TypeString}}}
		}
		op.Responses[strconv.Itoa(code)] = response
	}
}

// documentDryRun tells the two answers of an operation that creates apart.
func (s *service) documentDryRun(op *operation) {
	answer := func(status int, t reflect.Type) {
		op.Responses[strconv.Itoa(status)] = &huma.Response{
			Description: http.StatusText(status),
			Content:     map[string]*huma.MediaType{jsonMedia: {Schema: s.huma.OpenAPI().Components.Schemas.Schema(t, true, "")}},
		}
	}
	answer(http.StatusCreated, reflect.TypeFor[PipelineView]())
	answer(http.StatusOK, reflect.TypeFor[PlanView]())
}

// documentParameters says what checkQuery sees to: a parameter that is given is not empty.
func (s *service) documentParameters(op operation) {
	least := 1
	for _, p := range operationOf(s.huma.OpenAPI().Paths[op.Path], op.Method).Parameters {
		schema := p.Schema
		if p.In == "query" && schema.Type == huma.TypeArray {
			schema = schema.Items
		}
		if p.In == "query" && schema.Type == huma.TypeString && schema.Enum == nil {
			schema.MinLength = &least
		}
	}
}

// documentBodies adds what Huma cannot know of an operation's bodies: examples and YAML.
func (s *service) documentBodies(op operation) {
	documented := operationOf(s.huma.OpenAPI().Paths[op.Path], op.Method)
	if body := documented.RequestBody; body != nil {
		media := body.Content[jsonMedia]
		media.Example = op.Example
		if op.YAML {
			body.Content[yamlMedia] = &huma.MediaType{Schema: media.Schema}
		}
	}
	for code, response := range documented.Responses {
		if media := response.Content[jsonMedia]; media != nil && code == strconv.Itoa(documented.DefaultStatus) {
			media.Example = op.Answer
		}
	}
}

func tenantParameter() *huma.Param {
	return &huma.Param{
		Name: tenantHeader, In: "header", Required: true,
		Description: "The tenant to act for; the token must name it too.",
		Schema:      &huma.Schema{Type: huma.TypeString, Format: "uuid"},
	}
}

func idempotencyParameter() *huma.Param {
	return &huma.Param{
		Name: idempotencyHeader, In: "header",
		Description: "A name for this request, 1 to 255 visible characters. Sending the same request again " +
			"within 24 hours gets the first answer again and does nothing more.",
		Schema: &huma.Schema{Type: huma.TypeString, Pattern: "^[!-~]{1,255}$"},
	}
}

// adapter puts Huma's operations on the router, each behind the stages its declaration asks for.
type adapter struct{ *service }

var _ huma.Adapter = adapter{}

// Handle routes an operation.
func (a adapter) Handle(op *huma.Operation, handler func(huma.Context)) {
	declared, ok := op.Metadata[operationKey].(*operation)
	if !ok {
		a.undeclared = append(a.undeclared, fmt.Errorf("operation %s %s declares no security", op.Method, op.Path))
		return
	}
	declared.Operation = *op
	var h http.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handler(humachi.NewContext(op, r, w))
	})
	for _, stage := range slices.Backward([]func(*operation, http.Handler) http.Handler{
		a.name, a.authorize, a.receive, a.idempotent, a.load, a.checkQuery, a.checkBody, a.audit,
	}) {
		h = stage(declared, h)
	}
	a.router.Method(op.Method, op.Path, h)
}

// ServeHTTP serves a request.
func (a adapter) ServeHTTP(w http.ResponseWriter, r *http.Request) { a.router.ServeHTTP(w, r) }

// name tells the log and the metrics which operation a request is.
func (s *service) name(op *operation, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		state := requestOf(r.Context())
		state.operation, state.public = op.OperationID, op.Scope == auth.Public
		next.ServeHTTP(w, r)
	})
}

var methods = []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}

// keepStaticPaths makes /v1/pipelines/executions and its like answer 405 to methods they do not have,
// where the router would go on to take "executions" for a pipeline's id.
func (s *service) keepStaticPaths() {
	for _, path := range slices.Sorted(maps.Keys(s.huma.OpenAPI().Paths)) {
		if strings.Contains(path, "{") {
			continue
		}
		for _, method := range methods {
			if found := s.router.Find(chi.NewRouteContext(), method, path); found != "" && found != path {
				s.router.MethodFunc(method, path, s.methodNotAllowed)
			}
		}
	}
}

// methodNotAllowed answers 405 and says which methods the path has.
func (s *service) methodNotAllowed(w http.ResponseWriter, r *http.Request) {
	path := r.URL.RawPath
	if path == "" {
		path = r.URL.Path
	}
	for _, method := range methods {
		pattern := s.router.Find(chi.NewRouteContext(), method, path)
		item, documented := s.huma.OpenAPI().Paths[pattern]
		if pattern == "" || (documented && operationOf(item, method) == nil) {
			continue
		}
		w.Header().Add("Allow", method)
		if method == http.MethodGet {
			w.Header().Add("Allow", http.MethodHead)
		}
	}
	s.fail(w, r, models.Errorf(models.CodeMethodNotAllowed, "this path has no %s", r.Method))
}

// operationOf is a path's operation for a method, nil where it has none.
func operationOf(item *huma.PathItem, method string) *huma.Operation {
	switch method {
	case http.MethodGet:
		return item.Get
	case http.MethodPost:
		return item.Post
	case http.MethodPut:
		return item.Put
	case http.MethodPatch:
		return item.Patch
	case http.MethodDelete:
		return item.Delete
	default:
		return nil
	}
}

// configureHuma sets what Huma keeps in package variables. It must happen before any operation is
// registered, and the same way for everyone.
var configureHuma = sync.OnceFunc(func() {
	huma.ValidateStrictCasing = true
	huma.DefaultArrayNullable = false
	huma.NewError = func(int, string, ...error) huma.StatusError { return &Problem{} }
	huma.NewErrorWithContext = refused
})
