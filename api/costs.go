package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/matih/pipeline-service/api/auth"
	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/cost"
)

// ExecutionCostView is what an execution cost.
type ExecutionCostView struct {
	ExecutionID  string         `json:"executionId"`
	PipelineID   string         `json:"pipelineId"`
	TotalCostUsd float64        `json:"totalCostUsd" doc:"The exact sum of the breakdown, and of byTask."`
	Breakdown    CostBreakdown  `json:"breakdown"`
	ByTask       []TaskCostView `json:"byTask" doc:"The tasks in the order in which their first attempts ended."`
	RateVersion  string         `json:"rateVersion" doc:"The prices that hold for it: those valid at its start."`
	Final        bool           `json:"final" doc:"Whether it has ended; until then the cost is that of the attempts that have."`
}

// CostBreakdown is the parts of a cost.
type CostBreakdown struct {
	Compute float64 `json:"compute" doc:"Processor time and memory."`
	Storage float64 `json:"storage" doc:"Staged and quarantined data for as long as they are kept."`
	Network float64 `json:"network" doc:"What sources read and sinks wrote."`
}

// TaskCostView is what the attempts of a task used and cost, those that failed among them.
type TaskCostView struct {
	Task            string        `json:"task"`
	TotalCostUsd    float64       `json:"totalCostUsd"`
	Breakdown       CostBreakdown `json:"breakdown"`
	Attempts        int64         `json:"attempts" doc:"Those of which is known what they used."`
	CPUSeconds      float64       `json:"cpuSeconds"`
	MemoryGbSeconds float64       `json:"memoryGbSeconds"`
	PeakMemoryBytes int64         `json:"peakMemoryBytes" doc:"The highest of any attempt."`
	StorageGbHours  float64       `json:"storageGbHours"`
	NetworkBytes    int64         `json:"networkBytes"`
}

// CostSummaryView is what the executions of a pipeline cost that ended in a period.
type CostSummaryView struct {
	PipelineID       string         `json:"pipelineId"`
	Period           string         `json:"period" enum:"24h,7d,30d,90d"`
	TotalCostUsd     float64        `json:"totalCostUsd" doc:"The exact sum of what the executions cost, of the breakdown, and of byTask."`
	Breakdown        CostBreakdown  `json:"breakdown"`
	CostPerExecution float64        `json:"costPerExecution" doc:"The mean over all executions that ended; 0 where none did."`
	Executions       int64          `json:"executions" doc:"How many ended."`
	Trend            cost.Trend     `json:"trend" enum:"rising,falling,stable" doc:"The second half of the period against the first; within 10 % it is stable."`
	ByTask           []TaskCostView `json:"byTask" doc:"The most expensive first."`
}

func (s *service) registerCosts() {
	register(s, operation{
		Operation: huma.Operation{
			OperationID: "getExecutionCost", Method: http.MethodGet, Path: "/v1/pipelines/executions/{executionId}/cost",
			Tags: []string{"Cost"}, Summary: "Get what an execution cost",
			Description: "Every attempt of a task counts, those that failed, too. Amounts are exact to a millionth of a dollar.",
		},
		Scope: auth.ScopeRead, Load: loadExecution, Answer: exampleExecutionCost,
	}, s.getExecutionCost)
	register(s, operation{
		Operation: huma.Operation{
			OperationID: "getPipelineCost", Method: http.MethodGet, Path: "/v1/pipelines/{pipelineId}/cost",
			Tags: []string{"Cost"}, Summary: "Get what a pipeline cost",
			Description: "Sums up the executions that ended in the period until now, which begins with a full hour.",
		},
		Scope: auth.ScopeRead, Load: loadPipeline, Answer: examplePipelineCost,
	}, s.getPipelineCost)
}

type executionCostOutput struct{ Body ExecutionCostView }

func (s *service) getExecutionCost(ctx context.Context, _ *executionInput) (*executionCostOutput, error) {
	e := loaded[models.Execution](ctx)
	c, err := requestOf(ctx).store.ExecutionCost(ctx, e.ID, s.Now())
	if err != nil {
		return nil, err
	}
	return &executionCostOutput{Body: ExecutionCostView{
		ExecutionID: e.ID, PipelineID: e.PipelineID, TotalCostUsd: usd(c.Total()), Breakdown: viewParts(c.Parts), ByTask: viewTaskCosts(c.Tasks),
		RateVersion: c.RateVersion, Final: c.Final,
	}}, nil
}

type pipelineCostInput struct {
	PipelineID string `path:"pipelineId" doc:"The pipeline's id."`
	Period     string `query:"period" enum:"24h,7d,30d,90d" default:"30d" doc:"How far back."`
}

type pipelineCostOutput struct{ Body CostSummaryView }

func (s *service) getPipelineCost(ctx context.Context, in *pipelineCostInput) (*pipelineCostOutput, error) {
	c, err := requestOf(ctx).store.CostSummary(ctx, in.PipelineID, s.Now(), periods[in.Period])
	if err != nil {
		return nil, err
	}
	return &pipelineCostOutput{Body: CostSummaryView{
		PipelineID: in.PipelineID, Period: in.Period, TotalCostUsd: usd(c.Total()), Breakdown: viewParts(c.Parts),
		CostPerExecution: usd(cost.Mean(c.Total(), c.Executions)), Executions: c.Executions,
		Trend: cost.TrendOf(c.FirstMicros, c.SecondMicros), ByTask: viewTaskCosts(c.Tasks),
	}}, nil
}

func viewParts(p cost.Parts) CostBreakdown {
	return CostBreakdown{Compute: usd(p.ComputeMicros), Storage: usd(p.StorageMicros), Network: usd(p.NetworkMicros)}
}

func viewTaskCosts(tasks []cost.Task) []TaskCostView {
	views := make([]TaskCostView, len(tasks))
	for i, t := range tasks {
		views[i] = TaskCostView{
			Task: t.Name, TotalCostUsd: usd(t.Total()), Breakdown: viewParts(t.Parts), Attempts: t.Attempts,
			CPUSeconds: float64(t.CPUMicros) / 1e6, MemoryGbSeconds: float64(t.MemoryByteSeconds) / 1e9,
			PeakMemoryBytes: t.PeakMemoryBytes, StorageGbHours: float64(t.StorageByteHours) / 1e9, NetworkBytes: t.NetworkBytes,
		}
	}
	return views
}

// usd is millionths of a dollar as the number of dollars. JSON's shortest form of it has at most six decimals and is exact:
// amounts below a billion dollars have fewer digits than floating point tells apart.
func usd(micros int64) float64 { return float64(micros) / 1e6 }

// estimatedCost is in dollars, nil where nothing is known.
func estimatedCost(e models.Execution) *float64 {
	if e.EstimatedCostMicros == nil {
		return nil
	}
	dollars := usd(*e.EstimatedCostMicros)
	return &dollars
}
