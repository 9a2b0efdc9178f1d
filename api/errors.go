package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/validation"

	"github.com/matih/pipeline-service/models"
)

const (
	jsonMedia    = "application/json"
	problemMedia = "application/problem+json"
	// maxMistakes bounds how many mistakes one answer lists.
	maxMistakes = 1000
	// retryUnavailable is what a 503 tells a client to wait where nobody knows better.
	retryUnavailable = 5 * time.Second
)

// statuses is the one table from codes to HTTP statuses. A code that is not in it is a 500.
var statuses = map[models.Code]int{
	models.CodeInvalidRequest:        http.StatusBadRequest,
	models.CodeInvalidDefinition:     http.StatusBadRequest,
	models.CodeInvalidParameters:     http.StatusBadRequest,
	models.CodeInvalidTenant:         http.StatusBadRequest,
	models.CodeUnauthenticated:       http.StatusUnauthorized,
	models.CodeForbidden:             http.StatusForbidden,
	models.CodeNotFound:              http.StatusNotFound,
	models.CodeMethodNotAllowed:      http.StatusMethodNotAllowed,
	models.CodeRequestTimeout:        http.StatusRequestTimeout,
	models.CodeNameTaken:             http.StatusConflict,
	models.CodePipelineRunning:       http.StatusConflict,
	models.CodePipelinePaused:        http.StatusConflict,
	models.CodeExecutionClosed:       http.StatusConflict,
	models.CodeWorkflowClosed:        http.StatusConflict,
	models.CodeApprovalClosed:        http.StatusConflict,
	models.CodeAlreadyDecided:        http.StatusConflict,
	models.CodeSelfApproval:          http.StatusForbidden,
	models.CodeNothingWaiting:        http.StatusConflict,
	models.CodeSeveralWaiting:        http.StatusConflict,
	models.CodeExecutionRunning:      http.StatusConflict,
	models.CodeStagedDataExpired:     http.StatusConflict,
	models.CodeAlertResolved:         http.StatusConflict,
	models.CodeBackfillClosed:        http.StatusConflict,
	models.CodeBackfillOpen:          http.StatusConflict,
	models.CodeBudgetExceeded:        http.StatusConflict,
	models.CodeIdempotencyKeyReused:  http.StatusConflict,
	models.CodeIdempotencyInProgress: http.StatusConflict,
	models.CodeConflict:              http.StatusConflict,
	models.CodePreconditionFailed:    http.StatusPreconditionFailed,
	models.CodeBodyTooLarge:          http.StatusRequestEntityTooLarge,
	models.CodeUnsupportedMediaType:  http.StatusUnsupportedMediaType,
	models.CodeRateLimited:           http.StatusTooManyRequests,
	models.CodeQuotaExceeded:         http.StatusTooManyRequests,
	models.CodeAirflowNotConfigured:  http.StatusServiceUnavailable,
	models.CodeUnavailable:           http.StatusServiceUnavailable,
	models.CodeInternal:              http.StatusInternalServerError,
}

// status is the HTTP status of a code.
func status(code models.Code) int {
	if s, ok := statuses[code]; ok {
		return s
	}
	return http.StatusInternalServerError
}

// Problem is the body of every failure: RFC 9457 with a code, the request's id and the mistakes.
type Problem struct {
	Title     string           `json:"title" doc:"The status in words." example:"Conflict"`
	Status    int              `json:"status" doc:"The HTTP status." example:"409"`
	Detail    string           `json:"detail" doc:"What went wrong, for people." example:"the pipeline is already running"`
	Code      models.Code      `json:"code" doc:"What went wrong, for programs; codes never change their meaning." example:"pipeline_already_running"`
	RequestID string           `json:"requestId" doc:"Names this request in the service's log." example:"01khk2v0w9jx3t6q8m5d7c4b2a"`
	Errors    []models.Mistake `json:"errors,omitempty" doc:"Everything that is wrong with the request, each with its place."`
	// ExecutionIDs are the executions in the way of a pipeline_already_running.
	ExecutionIDs []string `json:"executionIds,omitempty" doc:"The executions that run."`
	// Gates are those that wait, of a several_waiting.
	Gates []string `json:"gates,omitempty" doc:"The gates that wait: name one."`

	retryAfter   time.Duration
	authenticate string
}

var (
	_ huma.StatusError       = (*Problem)(nil)
	_ huma.HeadersError      = (*Problem)(nil)
	_ huma.ContentTypeFilter = (*Problem)(nil)

	problemType = reflect.TypeFor[Problem]()
)

// Error gives the detail.
func (p *Problem) Error() string { return p.Detail }

// GetStatus gives the HTTP status.
func (p *Problem) GetStatus() int { return p.Status }

// ContentType makes the body application/problem+json.
func (p *Problem) ContentType(string) string { return problemMedia }

// GetHeaders gives the headers that go with the status.
func (p *Problem) GetHeaders() http.Header {
	h := http.Header{}
	if p.retryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int(math.Ceil(p.retryAfter.Seconds()))))
	}
	if p.authenticate != "" {
		h.Set("WWW-Authenticate", p.authenticate)
	}
	return h
}

// problem makes the answer to an error and logs what the answer leaves out.
func (s *service) problem(ctx context.Context, err error) *Problem {
	var known *models.Error
	switch {
	case errors.As(err, &known):
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		known = &models.Error{Code: models.CodeUnavailable, Message: "the request took too long", Cause: err}
	default:
		known = &models.Error{Code: models.CodeInternal, Cause: err}
	}
	p := problemOf(requestOf(ctx), known)
	switch {
	case p.Status == http.StatusInternalServerError:
		s.Log.ErrorContext(ctx, "request failed", "requestId", p.RequestID, "code", p.Code, "error", err)
	case known.Cause != nil:
		level := slog.LevelInfo
		if p.Status > http.StatusInternalServerError {
			level = slog.LevelWarn
		}
		s.Log.Log(ctx, level, "request refused", "requestId", p.RequestID, "code", p.Code, "error", err)
	}
	return p
}

// problemOf puts an error's code and message into an answer to a request. What a fault of ours says
// stays inside.
func problemOf(r *request, e *models.Error) *Problem {
	p := &Problem{
		Status: status(e.Code), Code: e.Code, Detail: e.Message, RequestID: r.id,
		Errors: e.Mistakes, retryAfter: e.RetryAfter,
	}
	p.Title = http.StatusText(p.Status)
	switch e.Code {
	case models.CodePipelineRunning:
		p.ExecutionIDs = e.IDs
	case models.CodeSeveralWaiting:
		p.Gates = e.IDs
	case models.CodeUnauthenticated:
		p.authenticate = challenge(e.Message, r.hasToken)
	case models.CodeUnavailable:
		p.retryAfter = max(p.retryAfter, retryUnavailable)
	case models.CodeRateLimited, models.CodeQuotaExceeded:
		p.retryAfter = max(p.retryAfter, time.Second)
	}
	if p.Status == http.StatusInternalServerError {
		p.Code, p.Errors = models.CodeInternal, nil
		p.Detail = "something went wrong inside the service; its log has the details under this request's id"
	}
	if more := len(p.Errors) - maxMistakes; more > 0 {
		p.Errors = append(slices.Clone(p.Errors[:maxMistakes]), models.Mistake{
			Location: "body", Message: fmt.Sprintf("and %d more mistakes", more),
		})
	}
	return p
}

// fail answers a request with an error, outside of Huma.
func (s *service) fail(w http.ResponseWriter, r *http.Request, err error) {
	p := s.problem(r.Context(), err)
	for name, values := range p.GetHeaders() {
		w.Header()[name] = values
	}
	w.Header().Set("Content-Type", problemMedia)
	w.WriteHeader(p.Status)
	if err := json.NewEncoder(w).Encode(p); err != nil {
		s.Log.DebugContext(r.Context(), "the answer could not be sent", "requestId", p.RequestID, "error", err)
	}
}

// invalid is the error for mistakes of a request, one a place: the first names the cause.
func invalid(mistakes []models.Mistake) *models.Error {
	seen := map[string]bool{}
	mistakes = slices.DeleteFunc(slices.Clone(mistakes), func(m models.Mistake) bool {
		again := seen[m.Location]
		seen[m.Location] = true
		return again
	})
	e := models.Errorf(models.CodeInvalidRequest, "the request has a mistake")
	e.Mistakes = mistakes
	if len(mistakes) > 1 {
		e.Message = fmt.Sprintf("the request has %d mistakes", len(mistakes))
	}
	within := func(part string) bool {
		return !slices.ContainsFunc(mistakes, func(m models.Mistake) bool { return !strings.HasPrefix(m.Location, part) })
	}
	switch {
	case within("body.definition"):
		e.Code = models.CodeInvalidDefinition
	case within("body.parameters"):
		e.Code = models.CodeInvalidParameters
	}
	return e
}

// refused makes the answer to what Huma and our resolvers found wrong with a request, together with
// what the earlier stages found.
func refused(ctx huma.Context, code int, message string, errs ...error) huma.StatusError {
	r := requestOf(ctx.Context())
	var schema, mistakes []models.Mistake
	for _, err := range errs {
		var (
			known  *models.Error
			detail huma.ErrorDetailer
		)
		switch {
		case errors.As(err, &known) && len(known.Mistakes) > 0:
			mistakes = append(mistakes, known.Mistakes...)
		case errors.As(err, &detail):
			schema = append(schema, plain(detail.ErrorDetail()))
		default:
			return r.api.problem(ctx.Context(), err)
		}
	}
	if code >= http.StatusInternalServerError {
		return r.api.problem(ctx.Context(), errors.New(message))
	}
	if len(schema)+len(mistakes) == 0 {
		mistakes = []models.Mistake{{Location: "body", Message: message}}
	}
	// Huma walks maps, whose order is chance.
	slices.SortStableFunc(schema, func(a, b models.Mistake) int { return strings.Compare(a.Location, b.Location) })
	return problemOf(r, invalid(slices.Concat(r.mistakes, schema, mistakes)))
}

// plain gives Huma's words for a mistake the place they are about: a property that is missing is its own place.
func plain(d *huma.ErrorDetail) models.Mistake {
	var name string
	if _, err := fmt.Sscanf(d.Message, validation.MsgExpectedRequiredProperty, &name); err == nil {
		return models.Mistake{Location: d.Location + "." + name, Message: "is required"}
	}
	return models.Mistake{Location: d.Location, Message: d.Message}
}
