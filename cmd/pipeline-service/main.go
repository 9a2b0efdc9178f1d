// Pipeline-service is the service in production: its API, its workers and its migrations, on PostgreSQL and a
// Temporal cluster.
package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"go.temporal.io/sdk/client"

	"github.com/matih/pipeline-service/cmd/internal/boot"
	"github.com/matih/pipeline-service/models/store"
)

func main() {
	root := &cobra.Command{
		Use:   "pipeline-service",
		Short: "The pipeline service in production",
		Long:  "The pipeline service in production: API, workers and migrations, on PostgreSQL and a Temporal cluster.",
	}
	root.AddCommand(newAPICommand(), newWorkerCommand(), newMigrateCommand())
	boot.Main(root)
}

// shared are the settings all commands have: what the service stands on.
type shared struct {
	databaseURL     string
	databaseURLFile string
	temporal        boot.TemporalOptions
	log             boot.LogOptions
}

func (o *shared) addFlags(flags *pflag.FlagSet) {
	flags.StringVar(&o.databaseURL, "database-url", "", "postgres://user:password@host:5432/database; better by environment or file")
	flags.StringVar(&o.databaseURLFile, "database-url-file", "", "file with the database's URL")
	o.temporal.AddFlags(flags)
	o.log.AddFlags(flags, "json")
}

// openStore opens the database, migrated or not.
func (o *shared) openStore(ctx context.Context) (*store.Store, error) {
	dsn, err := boot.Secret("database-url", o.databaseURL, o.databaseURLFile)
	if err != nil {
		return nil, err
	}
	if dsn == "" {
		return nil, errors.New("--database-url: give the URL of the database")
	}
	return store.Open(ctx, dsn)
}

// process is what a command that keeps running stands on.
type process struct {
	log    *slog.Logger
	store  *store.Store
	client client.Client
	// namespace is the client's.
	namespace string
}

// run opens the database and dials Temporal, does the work and closes both.
func (o *shared) run(ctx context.Context, work func(process) error) (err error) {
	log, err := o.log.Logger(os.Stderr)
	if err != nil {
		return err
	}
	s, err := o.openStore(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if err := s.CheckMigrated(ctx); err != nil {
		return err
	}
	c, err := o.temporal.Dial(ctx, log)
	if err != nil {
		return err
	}
	defer c.Close()
	return work(process{log: log, store: s, client: c, namespace: o.temporal.Namespace})
}

// listen opens the port a server serves on.
func listen(address string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, boot.ListenError(address, err)
	}
	return l, nil
}
