package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/matih/pipeline-service/api/auth"
	"github.com/matih/pipeline-service/models"
)

// MetricsView sums up the executions that ended in a period.
type MetricsView struct {
	PipelineID string           `json:"pipelineId,omitempty" doc:"Missing where the metrics are those of all pipelines."`
	Period     string           `json:"period" enum:"24h,7d,30d,90d"`
	Metrics    MetricsSumView   `json:"metrics"`
	History    []MetricsDayView `json:"history" doc:"The UTC days on which executions ended, the earliest first."`
}

// MetricsSumView is what the executions of a period have in common.
type MetricsSumView struct {
	ExecutionCount      int64   `json:"executionCount" doc:"Executions that ended, whatever their end."`
	SuccessRate         float64 `json:"successRate" doc:"The share of them that COMPLETED, from 0 to 1; 0 where there are none."`
	AvgDurationMs       int64   `json:"avgDurationMs" doc:"Of those that ran, from start to end."`
	TotalRowsProcessed  int64   `json:"totalRowsProcessed" doc:"What sources read."`
	TotalBytesProcessed int64   `json:"totalBytesProcessed" doc:"What sources read."`
	TotalCostUsd        float64 `json:"totalCostUsd"`
}

// MetricsDayView sums up the executions that ended on one day of a period.
type MetricsDayView struct {
	Date       string                 `json:"date" format:"date" doc:"In UTC."`
	Status     models.ExecutionStatus `json:"status" enum:"COMPLETED,FAILED,CANCELLED" doc:"Of the execution that ended last."`
	DurationMs int64                  `json:"durationMs" doc:"The mean of those that ran."`
	Rows       int64                  `json:"rows" doc:"What sources read."`
	Executions int64                  `json:"executions" doc:"How many ended."`
}

func (s *service) registerMonitoring() {
	register(s, operation{
		Operation: huma.Operation{
			OperationID: "getMetrics", Method: http.MethodGet, Path: "/v1/pipelines/monitoring/metrics",
			Tags: []string{"Monitoring"}, Summary: "Get the metrics of a pipeline",
			Description: "Sums up the executions that ended in the period until now, which begins with a full hour. " +
				"Without pipelineId it sums up those of all pipelines. An execution counts when it has ended.",
		},
		Scope: auth.ScopeRead, Answer: exampleMetrics, Codes: []models.Code{models.CodeNotFound},
	}, s.getMetrics)
	s.registerAlerts()
}

// periods are what metrics can be asked for.
var periods = map[string]time.Duration{
	"24h": 24 * time.Hour, "7d": 7 * 24 * time.Hour, "30d": 30 * 24 * time.Hour, "90d": 90 * 24 * time.Hour,
}

type metricsInput struct {
	PipelineID string `query:"pipelineId" doc:"Metrics of this pipeline."`
	Period     string `query:"period" enum:"24h,7d,30d,90d" default:"7d" doc:"How far back."`
}

type metricsOutput struct{ Body MetricsView }

func (s *service) getMetrics(ctx context.Context, in *metricsInput) (*metricsOutput, error) {
	if in.PipelineID != "" && !models.IsID(models.PrefixPipeline, in.PipelineID) {
		return nil, models.NotFound("pipeline")
	}
	found, err := requestOf(ctx).store.Metrics(ctx, in.PipelineID, s.Now().Add(-periods[in.Period]))
	if err != nil {
		return nil, err
	}
	view := MetricsView{
		PipelineID: in.PipelineID, Period: in.Period, History: []MetricsDayView{},
		Metrics: MetricsSumView{
			ExecutionCount: found.Executions, SuccessRate: found.SuccessRate(), AvgDurationMs: found.MeanDuration().Milliseconds(),
			TotalRowsProcessed: found.Rows, TotalBytesProcessed: found.Bytes, TotalCostUsd: usd(found.CostMicros),
		},
	}
	for _, day := range found.Days {
		view.History = append(view.History, MetricsDayView{
			Date: day.Date.Format(time.DateOnly), Status: day.Status, DurationMs: day.MeanDuration().Milliseconds(),
			Rows: day.Rows, Executions: day.Executions,
		})
	}
	return &metricsOutput{Body: view}, nil
}
