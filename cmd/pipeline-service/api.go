package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/matih/pipeline-service/cmd/internal/boot"
	"github.com/matih/pipeline-service/cmd/internal/boot/role"
	"github.com/matih/pipeline-service/models/submission"
)

func newAPICommand() *cobra.Command {
	var o struct {
		shared
		role.APIOptions
		tenants    role.TenantOptions
		rates      role.RateOptions
		submission role.SubmissionOptions
		stagingDir string
		address    string
	}
	cmd := &cobra.Command{
		Use:   "api",
		Short: "Serve the HTTP API",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			return o.run(ctx, func(p process) error {
				if _, err := o.tenants.Apply(p.store); err != nil {
					return err
				}
				if err := o.rates.Apply(p.store); err != nil {
					return err
				}
				defaults, err := o.submission.Defaults()
				if err != nil {
					return err
				}
				return serveAPI(ctx, p, o.APIOptions, defaults, o.stagingDir, o.address)
			})
		},
	}
	o.shared.addFlags(cmd.Flags())
	o.APIOptions.AddFlags(cmd.Flags())
	o.tenants.AddFlags(cmd.Flags())
	o.rates.AddFlags(cmd.Flags())
	o.submission.AddFlags(cmd.Flags())
	cmd.Flags().StringVar(&o.stagingDir, "staging-dir", "",
		"the workers' staging directory, if it can be seen from here: re-runs then look whether data are there before they start")
	cmd.Flags().StringVar(&o.address, "listen", ":8000", "address of the API; port 0 picks one")
	return cmd
}

// serveAPI serves until ctx ends or the server fails.
func serveAPI(ctx context.Context, p process, o role.APIOptions, defaults submission.Defaults, stagingDir, address string) error {
	l, err := listen(address)
	if err != nil {
		return err
	}
	handler, err := o.New(ctx, role.APIParts{
		Client: p.client, Namespace: p.namespace, Store: p.store, Log: p.log, Stopping: ctx.Done(), StagingDir: stagingDir,
		Submission: defaults,
	})
	if err != nil {
		_ = l.Close()
		return err
	}
	server := boot.ServeHTTP(l, handler, p.log)
	defer server.Stop()
	p.log.Info("the API is ready", "address", l.Addr().String(), "version", boot.Version())
	select {
	case <-ctx.Done():
		return nil
	case err := <-server.Failed():
		return err
	}
}
