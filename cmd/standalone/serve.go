package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"

	"github.com/matih/pipeline-service/api/auth"
	"github.com/matih/pipeline-service/cmd/internal/boot"
	"github.com/matih/pipeline-service/cmd/internal/boot/role"
	"github.com/matih/pipeline-service/cmd/standalone/internal/signer"
	"github.com/matih/pipeline-service/cmd/standalone/internal/temporald"
)

// running is a standalone that is ready.
type running struct {
	dir       *dataDir
	addresses addresses
	signer    *signer.Signer
	audience  string
}

// serve starts everything, calls ready and runs until ctx ends, ready fails or the API does.
func (o *options) serve(ctx context.Context, out io.Writer, ready func(context.Context, *running) error) (err error) {
	log, err := o.log.Logger(os.Stderr)
	if err != nil {
		return err
	}
	defaults, err := o.submission.Defaults()
	if err != nil {
		return err
	}
	var started closers
	defer func() { err = errors.Join(err, started.close()) }()

	dir, err := openDataDir(o.dataDir)
	if err != nil {
		return err
	}
	started.add(dir.close)
	own, err := signer.OpenOrCreate(dir.path)
	if err != nil {
		return err
	}
	// Listened on before the slow parts start, so that an address in use is told at once.
	listener, err := net.Listen("tcp", o.listen)
	if err != nil {
		return boot.ListenError(o.listen, err)
	}
	started.add(func() error { return ignoreClosed(listener.Close()) })
	b, err := o.startBackends(ctx, dir, log, &started)
	if err != nil {
		return err
	}
	if err := o.startWorker(ctx, dir, b, defaults, log, &started); err != nil {
		return err
	}
	handler, err := o.api.New(ctx, role.APIParts{
		Client: b.client, Namespace: temporald.Namespace, Store: b.store, Log: log, Issuers: []auth.Issuer{own.Issuer()},
		Stopping: ctx.Done(), StagingDir: b.stagingDir, Submission: defaults,
	})
	if err != nil {
		return err
	}
	server := boot.ServeHTTP(listener, withKeySet(handler, own), log)
	started.add(func() error { server.Stop(); return nil })

	r := &running{dir: dir, signer: own, audience: o.api.Audiences[0], addresses: addresses{
		API: boot.URL(listener.Addr()), UI: "http://" + b.temporal.UIAddress(), Temporal: b.temporal.Address(),
	}}
	r.addresses.JWKS = r.addresses.API + signer.KeySetPath
	if err := dir.announce(r.addresses); err != nil {
		return fmt.Errorf("%s: %w", addressFile, err)
	}
	started.add(dir.forget)
	r.print(out)
	return wait(ctx, r, server.Failed(), ready)
}

// wait calls ready and returns when that fails, the API does, or ctx ends.
func wait(ctx context.Context, r *running, failed <-chan error, ready func(context.Context, *running) error) error {
	finished := make(chan error, 1)
	go func() { finished <- ready(ctx, r) }()
	select {
	case err := <-failed:
		return err
	case err := <-finished:
		if err != nil {
			return err
		}
	case <-ctx.Done():
		return <-finished
	}
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
		return nil
	}
}

// withKeySet adds standalone's own key set to the API.
func withKeySet(api http.Handler, own *signer.Signer) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == signer.KeySetPath && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
			own.ServeHTTP(w, r)
			return
		}
		api.ServeHTTP(w, r)
	})
}

// print says where everything is.
func (r *running) print(out io.Writer) {
	fmt.Fprintf(out, `Pipeline service %s is ready.
  API             %s/v1
  Documentation   %s/docs
  Web UI          %s
  Temporal        %s
  Data            %s
  A token         %s token --data-dir %s --tenant UUID --subject NAME --roles DATA_ENGINEER
Pipelines may connect to this machine itself (127.0.0.0/8 and ::1).
`, boot.Version(), r.addresses.API, r.addresses.API, r.addresses.UI, r.addresses.Temporal, r.dir.path, os.Args[0], r.dir.path)
}

// ignoreClosed drops the error of closing something a second time.
func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// closers end what was started, the last one first.
type closers []func() error

func (c *closers) add(end func() error) { *c = append(*c, end) }

func (c *closers) close() error {
	var errs []error
	for _, end := range slices.Backward(*c) {
		errs = append(errs, end())
	}
	return errors.Join(errs...)
}
