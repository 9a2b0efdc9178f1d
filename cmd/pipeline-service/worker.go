package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/matih/pipeline-service/cmd/internal/boot"
	"github.com/matih/pipeline-service/cmd/internal/boot/role"
	"github.com/matih/pipeline-service/models/submission"
)

func newWorkerCommand() *cobra.Command {
	var o struct {
		shared
		role.WorkerOptions
		tenants    role.TenantOptions
		rates      role.RateOptions
		submission role.SubmissionOptions
		health     string
	}
	cmd := &cobra.Command{
		Use:   "worker",
		Short: "Run workflows and tasks",
		Long: `Runs workflows and tasks. Workers hand data to each other in --staging-dir: where several run, they share it.

With --deployment-name and --build-id the worker is a version of a Temporal Worker Deployment: start the workers of a
new release beside the old ones, make it current (or ramp it), and stop the old ones once Temporal says that they are
drained. Workflows move to the current version with their next step; with --pinned they end where they began.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.StagingDir == "" {
				return errors.New("--staging-dir: give the directory in which tasks hand data to each other")
			}
			ctx := cmd.Context()
			defaults, err := o.submission.Defaults()
			if err != nil {
				return err
			}
			return o.run(ctx, func(p process) error {
				if err := o.rates.Apply(p.store); err != nil {
					return err
				}
				return work(ctx, p, o.WorkerOptions, o.tenants, defaults, o.health)
			})
		},
	}
	o.shared.addFlags(cmd.Flags())
	o.WorkerOptions.AddFlags(cmd.Flags())
	o.AddDeploymentFlags(cmd.Flags())
	o.tenants.AddFlags(cmd.Flags())
	o.rates.AddFlags(cmd.Flags())
	o.submission.AddFlags(cmd.Flags())
	cmd.Flags().StringVar(&o.health, "health-listen", ":8001", "address of /healthz, /readyz and /metrics; port 0 picks one, none with an empty one")
	return cmd
}

// work runs the worker until ctx ends or its health server fails.
func work(ctx context.Context, p process, o role.WorkerOptions, tenants role.TenantOptions, defaults submission.Defaults, health string) error {
	weights, err := tenants.Apply(p.store)
	if err != nil {
		return err
	}
	var failed <-chan error
	if health != "" {
		l, err := listen(health)
		if err != nil {
			return err
		}
		server := boot.ServeHTTP(l, role.HealthHandler(role.Checks(p.client, p.store)), p.log)
		defer server.Stop()
		failed = server.Failed()
		p.log.Info("health is served", "address", l.Addr().String())
	}
	w, err := o.New(role.WorkerParts{
		Client: p.client, Namespace: p.namespace, Store: p.store, Log: p.log, Weights: weights, Submission: defaults,
	})
	if err != nil {
		return err
	}
	if err := w.Start(ctx); err != nil {
		return err
	}
	defer w.Stop()
	p.log.Info("the worker is ready", "version", boot.Version())
	select {
	case <-ctx.Done():
		return nil
	case err := <-failed:
		return err
	}
}
