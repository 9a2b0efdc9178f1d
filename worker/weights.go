package worker

import (
	"context"
	"errors"
	"fmt"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	taskqueuepb "go.temporal.io/api/taskqueue/v1"
	"go.temporal.io/api/workflowservice/v1"

	"github.com/matih/pipeline-service/models/contract"
)

// weighted are the queues in which tenants wait for each other.
var weighted = []struct {
	queue string
	kind  enumspb.TaskQueueType
}{
	{contract.QueueTasks, enumspb.TASK_QUEUE_TYPE_ACTIVITY},
	{contract.QueueControl, enumspb.TASK_QUEUE_TYPE_ACTIVITY},
	{contract.QueueControl, enumspb.TASK_QUEUE_TYPE_WORKFLOW},
}

// setWeights makes the tenants' weights those of the configuration. They are set on the queues, where they hold
// for whoever starts an execution and for what is scheduled from now on, and outlive the worker. Without any
// configuration what operators have set stays.
func (w *Worker) setWeights(ctx context.Context) error {
	if w.config.TenantWeights == nil {
		return nil
	}
	want := make(map[string]float32, len(w.config.TenantWeights))
	for tenant, weight := range w.config.TenantWeights {
		want[string(tenant)] = weight
	}
	service := w.config.Client.WorkflowService()
	for _, q := range weighted {
		described, err := service.DescribeTaskQueue(ctx, &workflowservice.DescribeTaskQueueRequest{
			Namespace: w.config.Namespace, TaskQueue: &taskqueuepb.TaskQueue{Name: q.queue}, TaskQueueType: q.kind, ReportConfig: true,
		})
		if err != nil {
			return fmt.Errorf("weights of %s: %w", q.queue, err)
		}
		var obsolete []string
		for key := range described.GetConfig().GetFairnessWeightOverrides() {
			if _, ok := want[key]; !ok {
				obsolete = append(obsolete, key)
			}
		}
		if len(want)+len(obsolete) == 0 {
			continue
		}
		_, err = service.UpdateTaskQueueConfig(ctx, &workflowservice.UpdateTaskQueueConfigRequest{
			Namespace: w.config.Namespace, TaskQueue: q.queue, TaskQueueType: q.kind,
			SetFairnessWeightOverrides: want, UnsetFairnessWeightOverrides: obsolete,
		})
		var unknown *serviceerror.Unimplemented
		if errors.As(err, &unknown) {
			w.config.Log.WarnContext(ctx, "this Temporal server knows no weights: tenants share alike")
			return nil
		}
		if err != nil {
			return fmt.Errorf("weights of %s: %w", q.queue, err)
		}
	}
	return nil
}
