// Package worker puts workflows and activities on their task queues. Standalone and the service's
// worker are both made of it.
package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"

	"github.com/matih/pipeline-service/activities/backfill"
	"github.com/matih/pipeline-service/activities/openlineage"
	"github.com/matih/pipeline-service/activities/plan"
	"github.com/matih/pipeline-service/activities/record"
	"github.com/matih/pipeline-service/activities/schedule"
	"github.com/matih/pipeline-service/activities/task"
	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/contract"
	"github.com/matih/pipeline-service/models/store"
	"github.com/matih/pipeline-service/models/submission"
	protocol "github.com/matih/pipeline-service/models/task"
	"github.com/matih/pipeline-service/workflows"
)

// maintenanceEvery is how often rows and workflows are compared.
const maintenanceEvery = time.Minute

// heartbeatThrottle bounds how long a cancellation may wait before a task hears of it: the answer
// to a heartbeat carries it.
const heartbeatThrottle = time.Second

// Config is what a worker needs.
type Config struct {
	Client client.Client
	// Namespace is the client's.
	Namespace string
	Store     *store.Store
	Log       *slog.Logger
	// Deployment is the version this worker is.
	Deployment Deployment
	// TenantWeights are the shares of tenants that are not 1; nil leaves Temporal's as they are.
	TenantWeights map[models.TenantID]float32
	// Submission is what holds for executions of schedules and backfills whose definition says nothing.
	Submission submission.Defaults
	// TaskRunner is the path of the task-runner program.
	TaskRunner string
	// StagingDir holds what tasks hand to each other. Workers that share queues share it.
	StagingDir string
	// StagingRetention is how long staged data outlive their execution, QuarantineRetention how long quarantined
	// rows do; they stay at least as long.
	StagingRetention    time.Duration
	QuarantineRetention time.Duration
	Secrets             protocol.Secrets
	LocalRoots          []LocalRoot
	EgressAllow         []string
	EgressDeny          []string
	// OpenLineage says who is told of what executions do.
	OpenLineage OpenLineage
	// TaskSlots is how many tasks run at once, WarmProcesses how many processes wait for one.
	TaskSlots     int
	WarmProcesses int
	Limits        protocol.Limits // of one task
}

// OpenLineage says where OpenLineage events go.
type OpenLineage = openlineage.Options

// LocalRoot is a directory that local connections may lie in: a tenant's, or with no tenant
// everybody's.
type LocalRoot struct {
	Tenant models.TenantID
	Dir    string
}

// Worker runs workflows and activities until it is stopped.
type Worker struct {
	config  Config
	pool    *task.Pool
	events  *openlineage.Emitter
	control worker.Worker
	tasks   worker.Worker
}

// New wires a worker. It does nothing until Start.
func New(c Config) (*Worker, error) {
	if info, err := os.Stat(c.TaskRunner); err != nil || info.IsDir() {
		return nil, fmt.Errorf("the task-runner program is not at %s", c.TaskRunner)
	}
	if err := os.MkdirAll(c.StagingDir, 0o700); err != nil {
		return nil, fmt.Errorf("staging directory: %w", err)
	}
	plans, err := plan.NewLoader(c.Store)
	if err != nil {
		return nil, err
	}
	deployment, err := c.Deployment.options()
	if err != nil {
		return nil, err
	}
	events, err := openlineage.NewEmitter(c.OpenLineage, c.Store, plans, c.Log)
	if err != nil {
		return nil, fmt.Errorf("OpenLineage: %w", err)
	}
	w := &Worker{config: c, events: events, pool: task.NewPool(c.TaskRunner, c.WarmProcesses, processEnv(c.Secrets), c.Log)}
	w.control = worker.New(c.Client, contract.QueueControl, worker.Options{
		MaxConcurrentActivityTaskPollers: 4,
		WorkerStopTimeout:                10 * time.Second,
		MaxHeartbeatThrottleInterval:     heartbeatThrottle,
		DeploymentOptions:                deployment,
	})
	w.tasks = worker.New(c.Client, contract.QueueTasks, worker.Options{
		DisableWorkflowWorker:              true,
		MaxConcurrentActivityExecutionSize: c.TaskSlots,
		MaxConcurrentActivityTaskPollers:   4,
		WorkerStopTimeout:                  10 * time.Second,
		MaxHeartbeatThrottleInterval:       heartbeatThrottle,
		DeploymentOptions:                  deployment,
	})
	backfills := &backfill.Backfills{Store: c.Store, Defaults: c.Submission, Log: c.Log}
	workflows.Register(w.control)
	specs := &task.Specs{Store: c.Store, StagingDir: c.StagingDir, Limits: c.Limits, Secrets: c.Secrets, Access: c.access}
	notify := &record.Notifications{Store: c.Store, Client: c.Client, Log: c.Log}
	registerActivities(w.control, w.tasks, activitySet{
		tasks: &task.Tasks{
			Store: c.Store, Plans: plans, Runner: w.pool, Specs: specs, Notifier: notify, Log: c.Log, Events: events,
		},
		executions:   &record.Executions{Store: c.Store, Plans: plans, Notifications: notify, Log: c.Log, Events: events},
		approvals:    &record.Approvals{Store: c.Store, Plans: plans, Notifications: notify, Log: c.Log},
		cancels:      &record.Cancellations{Store: c.Store, Client: c.Client, Log: c.Log, Events: events},
		schedules:    &schedule.Submissions{Store: c.Store, Defaults: c.Submission, Log: c.Log},
		scheduleSync: &schedule.Sync{Store: c.Store, Client: c.Client, Log: c.Log, Now: time.Now},
		backfills:    backfills,
		backfillSync: &backfill.Reconciler{Backfills: backfills, Client: c.Client},
		notify:       notify,
		deliveries:   task.NewNotifications(c.Store, plans, w.pool, specs, c.Log),
		maintenance: &record.Maintenance{Store: c.Store, Client: c.Client, Notifications: notify, Log: c.Log, Events: events,
			StagingDir: c.StagingDir, StagingRetention: c.StagingRetention, QuarantineRetention: c.QuarantineRetention},
	})
	return w, nil
}

// access is what a tenant's tasks may reach.
func (c Config) access(tenant models.TenantID) protocol.Access {
	a := protocol.Access{EgressAllow: c.EgressAllow, EgressDeny: c.EgressDeny}
	for _, root := range c.LocalRoots {
		if root.Tenant == "" || root.Tenant == tenant {
			a.LocalRoots = append(a.LocalRoots, root.Dir)
		}
	}
	return a
}

// Start begins to poll and makes sure that maintenance is scheduled and tenants have their weights.
func (w *Worker) Start(ctx context.Context) error {
	if err := w.setWeights(ctx); err != nil {
		return err
	}
	if err := w.scheduleMaintenance(ctx); err != nil {
		return err
	}
	if err := w.control.Start(); err != nil {
		return err
	}
	if err := w.tasks.Start(); err != nil {
		w.control.Stop()
		return err
	}
	return nil
}

// Stop ends polling, waits for activities up to their stop timeout, and ends the task processes.
// Tasks that were cut off run again elsewhere.
func (w *Worker) Stop() {
	w.tasks.Stop()
	w.control.Stop()
	w.pool.Close()
	w.events.Close()
}

func (w *Worker) scheduleMaintenance(ctx context.Context) error {
	_, err := w.config.Client.ScheduleClient().Create(ctx, client.ScheduleOptions{
		ID:      contract.MaintenanceScheduleID,
		Spec:    client.ScheduleSpec{Intervals: []client.ScheduleIntervalSpec{{Every: maintenanceEvery}}},
		Overlap: enumspb.SCHEDULE_OVERLAP_POLICY_SKIP,
		Action: &client.ScheduleWorkflowAction{
			ID:                  contract.MaintenanceScheduleID,
			Workflow:            contract.MaintenanceWorkflow,
			TaskQueue:           contract.QueueControl,
			WorkflowRunTimeout:  15 * time.Minute,
			StaticSummary:       "reconcile executions, check promises, remove expired data",
			WorkflowTaskTimeout: 10 * time.Second,
		},
	})
	if err != nil && !errors.Is(err, temporal.ErrScheduleAlreadyRunning) {
		return fmt.Errorf("maintenance schedule: %w", err)
	}
	return nil
}
