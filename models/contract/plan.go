package contract

import (
	"fmt"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/matih/pipeline-service/models"
)

// PlanWorkflow looks at a definition without executing it.
const PlanWorkflow = "PlanWorkflow"

// Activity types of a PlanWorkflow.
const (
	LoadPlanActivity    = "LoadPlan"
	InspectStepActivity = "InspectStep"
	EndPlanActivity     = "EndPlan"
)

const (
	// PlanTimeout is how long somebody waits for a plan.
	PlanTimeout = 60 * time.Second
	// InspectTimeout is what of that steps may be looked at; those that had no turn by then have none.
	InspectTimeout = 50 * time.Second
)

// PlanInput names a plan, whose definition is in the store. It starts a PlanWorkflow, whose id is the plan's.
type PlanInput struct {
	Tenant models.TenantID
	PlanID string
}

// PlanSteps are the steps of a plan.
type PlanSteps struct {
	Steps       []PlannedTask
	MaxParallel int
}

// InspectStepInput asks for a look at one step. What it finds is in the store.
type InspectStepInput struct {
	PlanInput
	Step string
}

// PlanResult counts the steps that were looked at.
type PlanResult struct {
	Inspected int
}

// PlanOptions are the options with which a PlanWorkflow is started. name is the pipeline's, "" where it has none yet.
func PlanOptions(p models.Plan, name string) client.StartWorkflowOptions {
	attributes := []temporal.SearchAttributeUpdate{SearchTenantID.ValueSet(string(p.Tenant))}
	if p.PipelineID != "" {
		attributes = append(attributes, SearchPipelineID.ValueSet(p.PipelineID))
	}
	if name == "" {
		name = "a pipeline without a name"
	}
	return client.StartWorkflowOptions{
		ID:                       p.ID,
		TaskQueue:                QueueControl,
		WorkflowExecutionTimeout: PlanTimeout,
		WorkflowIDReusePolicy:    enumspb.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE,
		TypedSearchAttributes:    temporal.NewSearchAttributes(attributes...),
		Memo:                     map[string]any{MemoTenant: string(p.Tenant)},
		StaticSummary:            Summary("Plan of " + name),
		StaticDetails:            fmt.Sprintf("Tenant %s. Nothing is published, nothing is kept.", p.Tenant),
		Priority:                 temporal.Priority{PriorityKey: PriorityKey(models.PriorityHigh), FairnessKey: string(p.Tenant)},
	}
}
