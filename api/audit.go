package api

import (
	"context"
	"net/http"
	"path"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"

	"github.com/matih/pipeline-service/api/auth"
	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/store"
)

// AuditEntryView is one request that meant to change something.
type AuditEntryView struct {
	AuditID    string    `json:"auditId"`
	At         time.Time `json:"at"`
	Subject    string    `json:"subject" doc:"Of the token."`
	Operation  string    `json:"operation" doc:"The operationId."`
	Method     string    `json:"method"`
	Path       string    `json:"path"`
	ResourceID string    `json:"resourceId,omitempty" doc:"What was made or changed."`
	Status     int       `json:"status" doc:"The answer's; 0 where the process ended before it answered, and the change may or may not have happened."`
	RequestID  string    `json:"requestId"`
}

// AuditList is one page of the audit log, newest first.
type AuditList struct {
	Entries []AuditEntryView `json:"entries"`
	Page    int              `json:"page"`
	Size    int              `json:"size"`
	Total   int64            `json:"total"`
}

// audit writes down every request that means to change something, before it acts and again when it is answered. What
// cannot be written down is not done.
func (s *service) audit(op *operation, next http.Handler) http.Handler {
	if op.Method == http.MethodGet || op.Scope == auth.Public {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		state := requestOf(r.Context())
		entry := models.AuditEntry{
			ID: models.NewID("audit-"), At: s.Now(), Subject: state.principal.Subject, Operation: op.OperationID, Method: r.Method,
			Path: auditedPath(op, r), Resource: lastID(r.Context()), RequestID: state.id,
		}
		if err := state.store.BeginAudit(r.Context(), entry); err != nil {
			s.fail(w, r, err)
			return
		}
		seen := middleware.NewWrapResponseWriter(w, r.ProtoMajor)
		defer func() {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), settleTimeout)
			defer cancel()
			made := ""
			if location := seen.Header().Get("Location"); location != "" && seen.Status() < http.StatusBadRequest {
				made = path.Base(location)
			}
			if err := state.store.EndAudit(ctx, entry.ID, seen.Status(), made); err != nil {
				s.Log.ErrorContext(ctx, "the answer to a request is not in the audit log", "requestId", state.id, "tenant", state.tenant, "error", err)
			}
		}()
		next.ServeHTTP(seen, r)
	})
}

// auditedPath is the request's path, and that it was a dry run.
func auditedPath(op *operation, r *http.Request) string {
	if dry, _ := strconv.ParseBool(r.URL.Query().Get("dryRun")); op.DryRun && dry {
		return r.URL.Path + "?dryRun=true"
	}
	return r.URL.Path
}

// lastID is the id that a request's path ends in or nearly so, "" where it holds none.
func lastID(ctx context.Context) string {
	params := chi.RouteContext(ctx).URLParams
	if len(params.Values) == 0 {
		return ""
	}
	return params.Values[len(params.Values)-1]
}

func (s *service) registerAudit() {
	register(s, operation{
		Operation: huma.Operation{
			OperationID: "listAudit", Method: http.MethodGet, Path: "/v1/audit",
			Tags: []string{"Audit"}, Summary: "List the audit log",
			Description: "Every request of the tenant that meant to change something, newest first. Decisions about approvals are also kept with the approval, with the evidence.",
		},
		Scope: auth.ScopeAudit, Answer: exampleAudit,
	}, s.listAudit)
}

type listAuditInput struct {
	Paging
	Subject    string `query:"subject" maxLength:"255" doc:"Requests of this subject."`
	ResourceID string `query:"resourceId" maxLength:"255" doc:"Requests about this resource; not together with subject."`
}

// Resolve sees that only one filter is given.
func (in *listAuditInput) Resolve(huma.Context) []error {
	if in.Subject != "" && in.ResourceID != "" {
		return []error{&huma.ErrorDetail{Location: "query.subject", Message: "give either subject or resourceId"}}
	}
	return nil
}

type listAuditOutput struct{ Body AuditList }

func (s *service) listAudit(ctx context.Context, in *listAuditInput) (*listAuditOutput, error) {
	found, err := requestOf(ctx).store.Audit(ctx, store.AuditFilter{Subject: in.Subject, Resource: in.ResourceID}, in.page())
	if err != nil {
		return nil, err
	}
	list := AuditList{Entries: []AuditEntryView{}, Page: in.Page, Size: in.Size, Total: found.Total}
	for _, e := range found.Items {
		list.Entries = append(list.Entries, AuditEntryView{
			AuditID: e.ID, At: e.At.UTC(), Subject: e.Subject, Operation: e.Operation, Method: e.Method, Path: e.Path,
			ResourceID: e.Resource, Status: e.Status, RequestID: e.RequestID,
		})
	}
	return &listAuditOutput{Body: list}, nil
}
