package api

import (
	"context"
	"net/http"

	"github.com/go-chi/chi/v5"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/contract"
)

// loader looks up the resource a path names by the id in it. The error has CodeNotFound, with the same
// words, for ids that do not exist, belong to another tenant or are no ids.
type loader func(ctx context.Context, r *request, param func(name string) string) (any, error)

// load looks up the resource of the path, so that its absence is answered before the body is looked at.
func (s *service) load(op *operation, next http.Handler) http.Handler {
	if op.Load == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		state := requestOf(r.Context())
		found, err := op.Load(r.Context(), state, func(name string) string { return chi.URLParam(r, name) })
		if err != nil {
			s.fail(w, r, err)
			return
		}
		state.resource = found
		next.ServeHTTP(w, r)
	})
}

// loaded is the resource that load found.
func loaded[T any](ctx context.Context) T {
	return requestOf(ctx).resource.(T)
}

func loadPipeline(ctx context.Context, r *request, param func(string) string) (any, error) {
	return findPipeline(ctx, r, param("pipelineId"))
}

func loadExecution(ctx context.Context, r *request, param func(string) string) (any, error) {
	id := param("executionId")
	if !models.IsID(models.PrefixExecution, id) {
		return nil, models.NotFound("execution")
	}
	return r.store.Execution(ctx, id)
}

func loadConnection(ctx context.Context, r *request, param func(string) string) (any, error) {
	id := param("connectionId")
	if !models.IsID(models.PrefixConnection, id) {
		return nil, models.NotFound("connection")
	}
	return r.store.Connection(ctx, id)
}

func loadSchedule(ctx context.Context, r *request, param func(string) string) (any, error) {
	return findSchedule(ctx, r, param("scheduleId"))
}

func findSchedule(ctx context.Context, r *request, id string) (models.Schedule, error) {
	if !models.IsID(models.PrefixSchedule, id) {
		return models.Schedule{}, models.NotFound("schedule")
	}
	return r.store.Schedule(ctx, id)
}

func loadBackfill(ctx context.Context, r *request, param func(string) string) (any, error) {
	id := param("backfillId")
	if !models.IsID(models.PrefixBackfill, id) {
		return nil, models.NotFound("backfill")
	}
	return r.store.Backfill(ctx, id)
}

func loadApproval(ctx context.Context, r *request, param func(string) string) (any, error) {
	return findApproval(ctx, r, param("approvalId"))
}

func loadAlert(ctx context.Context, r *request, param func(string) string) (any, error) {
	id := param("alertId")
	if !models.IsID(models.PrefixAlert, id) {
		return nil, models.NotFound("alert")
	}
	return r.store.Alert(ctx, id)
}

func findApproval(ctx context.Context, r *request, id string) (models.Approval, error) {
	if _, _, ok := contract.SplitApprovalID(id); !ok {
		return models.Approval{}, models.NotFound("approval")
	}
	return r.store.Approval(ctx, id)
}

func findPipeline(ctx context.Context, r *request, id string) (models.Pipeline, error) {
	if !models.IsID(models.PrefixPipeline, id) {
		return models.Pipeline{}, models.NotFound("pipeline")
	}
	return r.store.Pipeline(ctx, id)
}
