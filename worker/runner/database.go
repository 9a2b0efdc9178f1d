package runner

import (
	"context"
	"time"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/task"
	"github.com/matih/pipeline-service/worker/runner/blob"
	"github.com/matih/pipeline-service/worker/runner/egress"
	"github.com/matih/pipeline-service/worker/runner/fault"
	"github.com/matih/pipeline-service/worker/runner/postgres"
	"github.com/matih/pipeline-service/worker/runner/sandbox"
	"github.com/matih/pipeline-service/worker/runner/secret"
	"github.com/matih/pipeline-service/worker/runner/staging"
)

// dnsPort is where name servers answer what does not fit a datagram.
const dnsPort = 53

// resolverFiles are what Go's resolver reads; certificateDirs hold the authorities TLS trusts.
var (
	resolverFiles   = []string{"/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf", "/etc/services"}
	certificateDirs = []string{"/etc/ssl", "/etc/pki", "/usr/share/ca-certificates", "/usr/local/share/ca-certificates"}
)

// database resolves the credentials, shuts the process in but for the way to the database, and says
// how to connect.
func (j *job) database(policy sandbox.Policy) (*postgres.Target, error) {
	conn := j.spec.Connection
	rules, err := egress.NewPolicy(j.spec.Access.EgressAllow, j.spec.Access.EgressDeny)
	if err != nil {
		return nil, fault.Internal("read the egress rules", err)
	}
	credentials, err := secret.Resolver{Secrets: j.spec.Secrets, Environ: j.environ}.Credentials(j.spec.Tenant, conn.CredentialSecretRef)
	if err != nil {
		return nil, err
	}
	j.out.keepSecret(credentials.Values()...)
	target, err := postgres.NewTarget(conn, credentials, rules)
	if err != nil {
		return nil, err
	}
	policy.ConnectPorts = []uint16{target.Port(), dnsPort}
	policy.OptionalFiles = resolverFiles
	policy.OptionalDirs = certificateDirs
	return target, j.enclose(policy)
}

func (j *job) readDatabase(ctx context.Context) (*task.Result, error) {
	out, err := j.createOutput(j.spec.Output)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	target, err := j.database(sandbox.Policy{WriteDirs: []string{out.Dir()}, RenameDirs: []string{out.Parent()}})
	if err != nil {
		return nil, err
	}
	if j.spec.Preview != nil { // to show what was read
		if _, err := j.configure(ctx, out.Dir()); err != nil {
			return nil, err
		}
	}
	found, err := target.Read(ctx, j.spec.Source.JDBC, j.cursor(), postgres.Dest{Dir: out.Dir(), MaxRows: j.maxRows(), Meter: outside{&j.out.meter}})
	if err != nil {
		return nil, err
	}
	if found.Skipped > 0 {
		j.out.Warnf("%d rows or more are never read: %s is null or infinite in them", found.Skipped, j.spec.Source.JDBC.WatermarkColumn)
	}
	if err := j.commit(ctx, out, found.Rows); err != nil {
		return nil, err
	}
	res := j.result()
	res.Columns, res.Cursor = found.Columns, found.Cursor
	return res, nil
}

func (j *job) writeDatabase(ctx context.Context) (*task.Result, error) {
	target, err := j.database(sandbox.Policy{})
	if err != nil {
		return nil, err
	}
	files, size, err := staging.Files(j.spec.Inputs[0].Dir)
	if err != nil {
		return nil, fault.Internal("read its input", err)
	}
	j.out.meter.AddIn(0, size)
	loaded, err := target.Write(ctx, postgres.Load{
		Sink: j.spec.Sink, Tenant: j.spec.Tenant, Publication: j.publication(), Attempt: j.spec.Attempt, Files: files, Meter: outside{&j.out.meter},
	})
	if err != nil {
		return nil, err
	}
	res := j.result()
	res.RowsOut, res.AlreadyPublished = loaded.Rows, loaded.Already
	if loaded.Already {
		j.out.Infof("the data had been published before: %d rows", loaded.Rows)
	}
	return res, nil
}

// testTimeout bounds a connection test.
const testTimeout = 30 * time.Second

// testConnection answers with a result even where nothing could be reached: that is its finding.
func (j *job) testConnection(ctx context.Context) (*task.Result, error) {
	ctx, cancel := context.WithTimeout(ctx, testTimeout)
	defer cancel()
	started := time.Now()
	test, err := j.probe(ctx)
	if err != nil {
		f := fault.Of(err)
		if f.Class == models.ClassInternal {
			return nil, f
		}
		j.out.Warnf("not connected: %s", f.Message)
		test = &models.ConnectionTest{Reason: oneLine(f.Message)}
	}
	test.LatencyMs = max(time.Since(started).Milliseconds(), 1)
	return &task.Result{Test: test}, nil
}

func (j *job) probe(ctx context.Context) (*models.ConnectionTest, error) {
	switch j.spec.Connection.Type {
	case models.ConnectionLocal:
		store, err := blob.Open(j.spec.Connection, j.spec.Access.LocalRoots)
		if err != nil {
			return nil, err
		}
		defer store.Close()
		if err := j.enclose(sandbox.Policy{ReadDirs: []string{store.Dir()}}); err != nil {
			return nil, err
		}
		return store.Test()
	case models.ConnectionJDBC:
		target, err := j.database(sandbox.Policy{})
		if err != nil {
			return nil, err
		}
		return target.Test(ctx)
	case models.ConnectionKafka:
		target, err := j.cluster(ctx, sandbox.Policy{}, "")
		if err != nil {
			return nil, err
		}
		return target.Test(ctx)
	}
	return nil, unsupported("connection type", string(j.spec.Connection.Type))
}
