package boot

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	// Time zones of schedules must be known in images that hold nothing but a program.
	_ "time/tzdata"

	"github.com/spf13/cobra"
)

// Main runs a program's command and ends the process. The command's context ends with the first SIGINT or SIGTERM; a
// second one ends the process at once.
func Main(root *cobra.Command) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	Configure(root)
	if err := root.ExecuteContext(ctx); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", root.Name(), err)
		os.Exit(1)
	}
}
