package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/matih/pipeline-service/cmd/internal/boot"
)

func newMigrateCommand() *cobra.Command {
	var o struct {
		shared
		rollback     bool
		skipTemporal bool
		timeout      time.Duration
	}
	cmd := &cobra.Command{
		Use:   "migrate",
		Short: "Bring the database and the Temporal namespace up to date",
		Long: `Applies the migrations the database lacks and registers the search attributes the Temporal namespace lacks.
It makes neither the database nor the namespace. Several may run at once.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), o.timeout)
			defer cancel()
			if err := o.migrate(ctx, cmd.OutOrStdout(), o.rollback); err != nil {
				return err
			}
			if o.rollback || o.skipTemporal {
				return nil
			}
			return o.register(ctx, cmd.OutOrStdout())
		},
	}
	o.addFlags(cmd.Flags())
	cmd.Flags().BoolVar(&o.rollback, "rollback", false, "undo the migrations that were applied last, and nothing else")
	cmd.Flags().BoolVar(&o.skipTemporal, "skip-temporal", false, "leave the Temporal namespace alone")
	cmd.Flags().DurationVar(&o.timeout, "timeout", 10*time.Minute, "how long it may take")
	return cmd
}

// migrate applies what the database lacks, or undoes what came last.
func (o *shared) migrate(ctx context.Context, out io.Writer, rollback bool) (err error) {
	s, err := o.openStore(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	change, done := s.Migrate, "applied"
	if rollback {
		change, done = s.Rollback, "undone"
	}
	names, err := change(ctx)
	for _, name := range names {
		fmt.Fprintf(out, "migration %s: %s\n", name, done)
	}
	if err == nil && len(names) == 0 {
		fmt.Fprintln(out, "the database is up to date")
	}
	return err
}

// register makes the service's search attributes known.
func (o *shared) register(ctx context.Context, out io.Writer) error {
	log, err := o.log.Logger(os.Stderr)
	if err != nil {
		return err
	}
	c, err := o.temporal.Dial(ctx, log)
	if err != nil {
		return err
	}
	defer c.Close()
	names, err := boot.EnsureSearchAttributes(ctx, c, o.temporal.Namespace)
	for _, name := range names {
		fmt.Fprintf(out, "search attribute %s: registered\n", name)
	}
	if err == nil && len(names) == 0 {
		fmt.Fprintln(out, "the Temporal namespace is up to date")
	}
	return err
}
