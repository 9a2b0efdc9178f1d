package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/matih/pipeline-service/api/auth"
	"github.com/matih/pipeline-service/cmd/standalone/internal/demo"
	"github.com/matih/pipeline-service/cmd/standalone/internal/signer"
)

// demoOptions are the settings of a demonstration, besides those of the standalone it runs on.
type demoOptions struct {
	options
	samples string
	once    bool
}

func newDemoCommand() *cobra.Command {
	var o demoOptions
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Run standalone, and the sample pipeline on it",
		Long: `Starts standalone, sets up the sample pipeline "flights" with its connections, executes it, shows the
result and keeps running. On a data directory that has it already the pipeline is used as it is.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context(), cmd.OutOrStdout()) },
	}
	o.addFlags(cmd.Flags())
	cmd.Flags().StringVar(&o.samples, "samples", "", "directory of the sample data (default: deploy/samples beside the program's directory)")
	cmd.Flags().BoolVar(&o.once, "once", false, "stop when the result has been shown")
	return cmd
}

func (o *demoOptions) run(ctx context.Context, out io.Writer) error {
	samples, err := o.samplesDir()
	if err != nil {
		return err
	}
	results, err := filepath.Abs(filepath.Join(o.dataDir, "results"))
	if err != nil {
		return err
	}
	if err := os.MkdirAll(results, 0o700); err != nil {
		return err
	}
	// Without symlinks, as local connections need it.
	if results, err = filepath.EvalSymlinks(results); err != nil {
		return err
	}
	o.worker.LocalRoots = append(o.worker.LocalRoots, demo.Tenant+"="+samples, demo.Tenant+"="+results)
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	return o.serve(ctx, out, func(ctx context.Context, r *running) error {
		err := o.show(ctx, r, demo.Config{API: r.addresses.API, Samples: samples, Results: results, Out: out, Terminal: isTerminal(out)})
		if o.once {
			stop()
			return err
		}
		if err != nil && ctx.Err() == nil {
			fmt.Fprintf(os.Stderr, "standalone: %v\n", err) // and keeps running, so that one can look
		}
		return nil
	})
}

// samplesDir finds the samples, without symlinks.
func (o *demoOptions) samplesDir() (string, error) {
	dir := o.samples
	if dir == "" {
		own, err := os.Executable()
		if err != nil {
			return "", err
		}
		dir = filepath.Join(filepath.Dir(own), "..", "deploy", "samples")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return "", fmt.Errorf("the sample data are not where expected; say where with --samples: %w", err)
	}
	return dir, nil
}

func (o *demoOptions) show(ctx context.Context, r *running, c demo.Config) error {
	fmt.Fprintf(c.Out, "\nExecuting the sample pipeline:\n")
	var err error
	if c.Token, err = r.signer.Sign(signer.Grant{
		Subject: "demo", Tenants: []string{demo.Tenant}, Roles: []string{string(auth.RoleDataEngineer)},
		Audience: r.audience, TTL: time.Hour,
	}, time.Now()); err != nil {
		return err
	}
	if err := demo.Run(ctx, c); err != nil {
		return err
	}
	if o.once {
		return nil
	}
	fmt.Fprintf(c.Out, `
Look at it:
  Documentation   %s/docs
  Web UI          %s
  A token         %s token --data-dir %s --tenant %s --subject you --roles DATA_ENGINEER
It runs until you press Ctrl-C.
`, r.addresses.API, r.addresses.UI, os.Args[0], r.dir.path, demo.Tenant)
	return nil
}

// isTerminal reports whether somebody looks at what is written.
func isTerminal(out io.Writer) bool {
	file, ok := out.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
