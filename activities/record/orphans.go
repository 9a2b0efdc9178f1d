package record

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"go.temporal.io/api/serviceerror"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/contract"
)

const (
	// maxListed bounds how many running workflows one sweep looks at.
	maxListed = 20_000
	// orphanGrace is how long a workflow may go on after its execution was over: it has an end to record itself. After
	// orphanPatience one that was asked to end and did not is terminated.
	orphanGrace    = 30 * time.Second
	orphanPatience = 10 * time.Minute
)

// runningWorkflow is a workflow that belongs to an execution.
type runningWorkflow struct {
	tenant    models.TenantID
	execution string
	started   time.Time
}

// workflowSet holds running workflows by id.
type workflowSet map[string]runningWorkflow

// runningQuery finds what belongs to executions among the running workflows.
var runningQuery = fmt.Sprintf("ExecutionStatus = 'Running' AND TaskQueue = '%s' AND WorkflowType IN ('%s', '%s', '%s')",
	contract.QueueControl, contract.ExecutionWorkflow, contract.ApprovalWorkflow, contract.CancellationWorkflow)

// running lists the workflows of executions that run, all tenants', by the page: asking for each open execution by
// itself costs much more.
func (a *Maintenance) running(ctx context.Context) (workflowSet, error) {
	found := workflowSet{}
	request := &workflowservice.ListWorkflowExecutionsRequest{Query: runningQuery, PageSize: sweepPage}
	for {
		page, err := a.Client.ListWorkflow(ctx, request)
		if err != nil {
			return nil, err
		}
		for _, info := range page.GetExecutions() {
			if w, ok := ofExecution(info); ok {
				found[info.GetExecution().GetWorkflowId()] = w
			}
		}
		if len(page.GetNextPageToken()) == 0 || len(found) >= maxListed {
			return found, nil
		}
		request.NextPageToken = page.GetNextPageToken()
		activity.RecordHeartbeat(ctx, len(found))
	}
}

// ofExecution says which execution of whom a workflow belongs to; false where that cannot be told.
func ofExecution(info *workflowpb.WorkflowExecutionInfo) (runningWorkflow, bool) {
	w := runningWorkflow{started: info.GetStartTime().AsTime()}
	id := info.GetExecution().GetWorkflowId()
	switch info.GetType().GetName() {
	case contract.ExecutionWorkflow:
		w.execution = id
	case contract.ApprovalWorkflow:
		w.execution, _, _ = contract.SplitApprovalID(id)
	case contract.CancellationWorkflow:
		w.execution = strings.TrimPrefix(id, contract.CancellationPrefix)
	}
	payload := info.GetSearchAttributes().GetIndexedFields()[contract.SearchTenantID.GetName()]
	var tenant string
	if payload == nil || converter.GetDefaultDataConverter().FromPayload(payload, &tenant) != nil {
		return w, false
	}
	parsed, err := models.ParseTenantID(tenant)
	w.tenant = parsed
	return w, err == nil && models.IsID(models.PrefixExecution, w.execution)
}

// endOrphans ends the workflows whose execution has been over, or was never there, for a while.
func (a *Maintenance) endOrphans(ctx context.Context, running workflowSet, result *contract.ReconcileResult) error {
	byTenant := map[models.TenantID][]string{}
	for id, w := range running {
		byTenant[w.tenant] = append(byTenant[w.tenant], id)
	}
	now := time.Now()
	for _, tenant := range slices.Sorted(maps.Keys(byTenant)) {
		for ids := range slices.Chunk(byTenant[tenant], sweepPage) {
			since, err := a.overSince(ctx, tenant, running, ids)
			if err != nil {
				return err
			}
			for id, over := range since {
				if now.Sub(over) < orphanGrace {
					continue
				}
				if err := a.endOrphan(ctx, id, now.Sub(over) > orphanPatience); err != nil {
					return err
				}
				result.Ended++
				a.Log.WarnContext(ctx, "a workflow ran on without its execution", "workflow", id, "tenant", tenant, "over", over)
			}
			activity.RecordHeartbeat(ctx, string(tenant))
		}
	}
	return nil
}

// overSince tells since when the execution of a workflow has been over, of those of which it is. One that is not there
// has been since the workflow's start.
func (a *Maintenance) overSince(ctx context.Context, tenant models.TenantID, running workflowSet, ids []string) (map[string]time.Time, error) {
	executions := make([]string, len(ids))
	for i, id := range ids {
		executions[i] = running[id].execution
	}
	refs, err := a.Store.ForTenant(tenant).ExecutionRefs(ctx, executions)
	if err != nil {
		return nil, err
	}
	since := map[string]time.Time{}
	for _, id := range ids {
		ref, there := refs[running[id].execution]
		switch {
		case !there:
			since[id] = running[id].started
		case ref.Status.Terminal():
			since[id] = ref.EndedAt
		}
	}
	return since, nil
}

func (a *Maintenance) endOrphan(ctx context.Context, id string, byForce bool) error {
	var err error
	if byForce {
		err = a.Client.TerminateWorkflow(ctx, id, "", "its execution is over")
	} else {
		err = a.Client.CancelWorkflow(ctx, id, "")
	}
	var missing *serviceerror.NotFound
	if errors.As(err, &missing) {
		return nil // it has ended just now
	}
	return err
}
