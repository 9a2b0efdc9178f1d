package main

import (
	"context"
	"log/slog"
	"slices"

	"go.temporal.io/sdk/client"
	"golang.org/x/sync/errgroup"

	"github.com/matih/pipeline-service/cmd/internal/boot"
	"github.com/matih/pipeline-service/cmd/internal/boot/role"
	"github.com/matih/pipeline-service/cmd/standalone/internal/temporald"
	"github.com/matih/pipeline-service/models/contract"
	"github.com/matih/pipeline-service/models/store"
	"github.com/matih/pipeline-service/models/submission"
)

// backends are what API and worker stand on.
type backends struct {
	temporal *temporald.Server
	client   client.Client
	store    *store.Store
	// stagingDir is known once the worker has started.
	stagingDir string
}

// startBackends starts Temporal and opens the database at the same time.
func (o *options) startBackends(ctx context.Context, dir *dataDir, log *slog.Logger, started *closers) (*backends, error) {
	b := &backends{}
	var g errgroup.Group
	g.Go(func() (err error) {
		b.temporal, err = temporald.Start(ctx, temporald.Config{
			Database:         dir.join("temporal.db"),
			Listen:           o.temporal,
			UI:               o.ui,
			Retention:        o.retention,
			SearchAttributes: contract.SearchAttributes,
			Log:              log,
		})
		return err
	})
	g.Go(func() (err error) {
		if b.store, err = store.Open(ctx, "sqlite:"+dir.join("pipeline.db")); err != nil {
			return err
		}
		_, err = b.store.Migrate(ctx)
		return err
	})
	err := g.Wait()
	if b.temporal != nil {
		started.add(b.temporal.Stop)
	}
	if b.store != nil {
		started.add(b.store.Close)
	}
	if err != nil {
		return nil, err
	}
	return b, b.dial(ctx, log, started)
}

func (b *backends) dial(ctx context.Context, log *slog.Logger, started *closers) error {
	reach := boot.TemporalOptions{Address: b.temporal.Address(), Namespace: temporald.Namespace}
	c, err := reach.Dial(ctx, log)
	if err != nil {
		return err
	}
	b.client = c
	started.add(func() error { c.Close(); return nil })
	// A directory made by an earlier release may lack some.
	_, err = boot.EnsureSearchAttributes(ctx, c, temporald.Namespace)
	return err
}

// loopback is what one machine's pipelines may reach although a service's may not.
var loopback = []string{"127.0.0.0/8", "::1/128"}

// startWorker starts the worker with what it keeps in the data directory.
func (o *options) startWorker(ctx context.Context, dir *dataDir, b *backends, defaults submission.Defaults, log *slog.Logger, started *closers) error {
	weights, err := o.tenants.Apply(b.store)
	if err != nil {
		return err
	}
	if err := o.rates.Apply(b.store); err != nil {
		return err
	}
	settings := o.worker
	settings.EgressAllow = slices.Concat(settings.EgressAllow, loopback)
	if settings.StagingDir, err = dir.orIn(settings.StagingDir, "staging"); err != nil {
		return err
	}
	if settings.SecretsDir, err = dir.orIn(settings.SecretsDir, "secrets"); err != nil {
		return err
	}
	b.stagingDir = settings.StagingDir
	w, err := settings.New(role.WorkerParts{
		Client: b.client, Namespace: temporald.Namespace, Store: b.store, Log: log, Weights: weights,
		Submission: defaults,
	})
	if err != nil {
		return err
	}
	if err := w.Start(ctx); err != nil {
		return err
	}
	started.add(func() error { w.Stop(); return nil })
	return nil
}
