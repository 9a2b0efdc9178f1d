// Standalone is the whole service in one process on one machine: Temporal server and Web UI, database, worker and
// API, durable in one data directory.
package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/matih/pipeline-service/cmd/internal/boot"
)

func main() {
	boot.Main(newCommand())
}

func newCommand() *cobra.Command {
	var o options
	root := &cobra.Command{
		Use:   "standalone",
		Short: "The whole pipeline service in one process",
		Long: `The whole pipeline service in one process on one machine: Temporal server and Web UI, SQLite, worker and API.
Everything it must not lose is in --data-dir. It runs until it is interrupted.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return o.serve(cmd.Context(), cmd.OutOrStdout(), func(context.Context, *running) error { return nil })
		},
	}
	o.addFlags(root.Flags())
	root.AddCommand(newTokenCommand(), newDemoCommand())
	return root
}
