// Package role makes the two things a program of the service can be, an API and a worker, from flags. Standalone is both
// at once.
package role

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"go.temporal.io/sdk/client"

	"github.com/matih/pipeline-service/cmd/internal/boot"
	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/cost"
	"github.com/matih/pipeline-service/models/store"
	"github.com/matih/pipeline-service/models/submission"
	"github.com/matih/pipeline-service/models/task"
	"github.com/matih/pipeline-service/worker"
)

// WorkerOptions are a worker's settings.
type WorkerOptions struct {
	TaskRunner          string
	StagingDir          string
	StagingRetention    time.Duration
	QuarantineRetention time.Duration
	SecretsDir          string
	SecretsEnv          bool
	LocalRoots          []string // [TENANT=]DIR
	EgressAllow         []string
	EgressDeny          []string
	OpenLineage         worker.OpenLineage
	TaskSlots           int
	WarmProcesses       int
	TaskMemory          boot.Bytes
	TaskScratch         boot.Bytes
	TaskThreads         int
	Deployment          worker.Deployment
}

// AddDeploymentFlags adds the flags of worker versioning, which a program that is all of its service has no use for.
func (o *WorkerOptions) AddDeploymentFlags(flags *pflag.FlagSet) {
	flags.StringVar(&o.Deployment.Name, "deployment-name", "",
		"Temporal Worker Deployment this worker belongs to; with --build-id, turns worker versioning on")
	flags.StringVar(&o.Deployment.BuildID, "build-id", "",
		"this worker's version in the deployment; new workflows go to the one made current with `temporal worker deployment set-current-version`")
	flags.BoolVar(&o.Deployment.Pinned, "pinned", false,
		"keep workflows on the version they began with; otherwise they move to the current one with their next step")
}

// WorkerParts are what a worker works with.
type WorkerParts struct {
	Client client.Client
	// Namespace is the client's.
	Namespace string
	Store     *store.Store
	Log       *slog.Logger
	// Weights are the shares of tenants; see TenantOptions.
	Weights    map[models.TenantID]float32
	Submission submission.Defaults
}

// AddFlags adds the worker's flags. What they default to depends on the machine.
func (o *WorkerOptions) AddFlags(flags *pflag.FlagSet) {
	cpus := runtime.NumCPU()
	flags.StringVar(&o.TaskRunner, "task-runner", "", "path of the task-runner program (default: beside this one)")
	flags.StringVar(&o.StagingDir, "staging-dir", "", "directory in which tasks hand data to each other")
	flags.DurationVar(&o.StagingRetention, "staging-retention", 24*time.Hour, "how long staged data outlive their execution")
	flags.DurationVar(&o.QuarantineRetention, "quarantine-retention", 30*24*time.Hour,
		"how long quarantined rows outlive their execution; at least as long as staged data")
	flags.StringVar(&o.SecretsDir, "secrets-dir", "", "directory with secrets: <tenant>/<ref>/{username,password,…}")
	boot.AliasEnv(flags, "secrets-dir", "SECRETS_DIR")
	flags.BoolVar(&o.SecretsEnv, "secrets-env", false, "take secrets from PIPELINE_SECRET_<TENANT>_<REF>_<KEY> variables, too")
	flags.StringArrayVar(&o.LocalRoots, "local-root", nil,
		"[TENANT=]DIR where local connections may read and write; repeatable; without a tenant, every one's")
	flags.StringSliceVar(&o.EgressAllow, "egress-allow", nil,
		"CIDR ranges and hosts that tasks may reach although they are loopback, link-local or metadata addresses")
	boot.AliasEnv(flags, "egress-allow", "EGRESS_ALLOW")
	flags.StringSliceVar(&o.EgressDeny, "egress-deny", nil, "CIDR ranges and hosts that tasks may not reach, whatever is allowed")
	boot.AliasEnv(flags, "egress-deny", "EGRESS_DENY")
	flags.StringVar(&o.OpenLineage.URL, "openlineage-url", "", "URL that gets OpenLineage events of executions and their tasks")
	flags.StringVar(&o.OpenLineage.TokenFile, "openlineage-token-file", "", "file with the bearer token for --openlineage-url")
	flags.StringVar(&o.OpenLineage.File, "openlineage-file", "", "file that gets OpenLineage events, a line each")
	flags.IntVar(&o.TaskSlots, "task-slots", max(4, 2*cpus), "tasks that run at once")
	flags.IntVar(&o.WarmProcesses, "warm-processes", max(2, cpus), "task processes that are started ahead of need")
	flags.Var(&o.TaskMemory, "task-memory", "memory of a task's engine, beyond which it spills to disk; 0 shares out 60 % of the machine's")
	o.TaskScratch = 32 << 30
	flags.Var(&o.TaskScratch, "task-scratch", "disk space for a task's temporary files")
	flags.IntVar(&o.TaskThreads, "task-threads", cpus, "threads of a task's engine")
}

// New makes a worker that has not started yet.
func (o *WorkerOptions) New(p WorkerParts) (*worker.Worker, error) {
	runner, err := o.taskRunner()
	if err != nil {
		return nil, err
	}
	roots, err := ParseLocalRoots(o.LocalRoots)
	if err != nil {
		return nil, err
	}
	if o.TaskSlots < 1 || o.TaskThreads < 1 || o.WarmProcesses < 0 {
		return nil, errors.New("--task-slots and --task-threads must be at least 1, --warm-processes at least 0")
	}
	p.Store.Pricing.Retention = cost.Retention{Staging: o.StagingRetention, Quarantine: o.QuarantineRetention}
	return worker.New(worker.Config{
		Client:              p.Client,
		Namespace:           p.Namespace,
		Store:               p.Store,
		Log:                 p.Log,
		Deployment:          o.Deployment,
		TenantWeights:       p.Weights,
		Submission:          p.Submission,
		TaskRunner:          runner,
		StagingDir:          o.StagingDir,
		StagingRetention:    o.StagingRetention,
		QuarantineRetention: o.QuarantineRetention,
		Secrets:             task.Secrets{Dir: o.SecretsDir, Env: o.SecretsEnv},
		LocalRoots:          roots,
		EgressAllow:         o.EgressAllow,
		EgressDeny:          o.EgressDeny,
		OpenLineage:         o.OpenLineage,
		TaskSlots:           o.TaskSlots,
		WarmProcesses:       o.WarmProcesses,
		Limits: task.Limits{
			MemoryBytes:  o.taskMemory(),
			ScratchBytes: int64(o.TaskScratch),
			Threads:      o.TaskThreads,
		},
	})
}

// taskRunner finds the task-runner: all programs are built into one directory.
func (o *WorkerOptions) taskRunner() (string, error) {
	path := o.TaskRunner
	if path == "" {
		own, err := os.Executable()
		if err != nil {
			return "", err
		}
		if own, err = filepath.EvalSymlinks(own); err != nil {
			return "", err
		}
		path = filepath.Join(filepath.Dir(own), "task-runner")
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() || info.Mode()&0o111 == 0 {
		return "", fmt.Errorf("there is no program at %s: build task-runner, or say where it is with --task-runner", path)
	}
	return path, nil
}

// minTaskMemory is what a task's engine gets at least, in bytes.
const minTaskMemory = 256 << 20

func (o *WorkerOptions) taskMemory() int64 {
	if o.TaskMemory > 0 {
		return int64(o.TaskMemory)
	}
	return max(minTaskMemory, boot.Memory()/10*6/int64(o.TaskSlots))
}

// ParseLocalRoots reads [TENANT=]DIR. The directories must exist; they are returned as they are without symlinks.
func ParseLocalRoots(texts []string) ([]worker.LocalRoot, error) {
	roots := make([]worker.LocalRoot, 0, len(texts))
	for _, text := range texts {
		root := worker.LocalRoot{Dir: text}
		// A path may hold "=" itself, but what stands before a tenant's holds no "/".
		if before, dir, ok := strings.Cut(text, "="); ok && !strings.Contains(before, "/") {
			tenant, err := models.ParseTenantID(before)
			if err != nil {
				return nil, fmt.Errorf("--local-root %s: %q is not a tenant's UUID", text, before)
			}
			root = worker.LocalRoot{Tenant: tenant, Dir: dir}
		}
		dir, err := filepath.Abs(root.Dir)
		if err != nil {
			return nil, fmt.Errorf("--local-root %s: %w", text, err)
		}
		if root.Dir, err = filepath.EvalSymlinks(dir); err != nil {
			return nil, fmt.Errorf("--local-root %s: there is no directory %s", text, dir)
		}
		if info, err := os.Stat(root.Dir); err != nil || !info.IsDir() {
			return nil, fmt.Errorf("--local-root %s: %s is not a directory", text, root.Dir)
		}
		roots = append(roots, root)
	}
	return roots, nil
}
