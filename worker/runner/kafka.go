package runner

import (
	"context"

	"github.com/matih/pipeline-service/models/definition"
	"github.com/matih/pipeline-service/models/task"
	"github.com/matih/pipeline-service/worker/runner/egress"
	"github.com/matih/pipeline-service/worker/runner/fault"
	"github.com/matih/pipeline-service/worker/runner/kafka"
	"github.com/matih/pipeline-service/worker/runner/sandbox"
	"github.com/matih/pipeline-service/worker/runner/secret"
)

// cluster resolves the credentials, shuts the process in but for the way to the brokers and the schema registry, and says
// how to connect. Where the brokers listen only the cluster knows, so it is asked before the way is closed.
func (j *job) cluster(ctx context.Context, policy sandbox.Policy, registry string) (*kafka.Target, error) {
	conn := j.spec.Connection
	rules, err := egress.NewPolicy(j.spec.Access.EgressAllow, j.spec.Access.EgressDeny)
	if err != nil {
		return nil, fault.Internal("read the egress rules", err)
	}
	var credentials secret.Credentials
	if kafka.NeedsCredentials(conn) {
		credentials, err = secret.Resolver{Secrets: j.spec.Secrets, Environ: j.environ}.Credentials(j.spec.Tenant, conn.CredentialSecretRef)
		if err != nil {
			return nil, err
		}
		j.out.keepSecret(credentials.Values()...)
	}
	target, err := kafka.NewTarget(conn, credentials, rules)
	if err != nil {
		return nil, err
	}
	ports, err := target.Ports(ctx)
	if err != nil {
		return nil, err
	}
	policy.ConnectPorts = append(policy.ConnectPorts, ports...)
	policy.ConnectPorts = append(policy.ConnectPorts, dnsPort)
	if registry != "" {
		policy.ConnectPorts = append(policy.ConnectPorts, kafka.RegistryPort(registry))
	}
	policy.OptionalFiles = resolverFiles
	policy.OptionalDirs = certificateDirs
	return target, j.enclose(policy)
}

// topic is the source; under a preview one of few records that tells no consumer group of them.
func (j *job) topic() *definition.KafkaSource {
	source := *j.spec.Source.Kafka
	if most := j.maxRows(); most > 0 {
		source.ConsumerGroup = ""
		if source.MaxRecords == 0 || source.MaxRecords > most {
			source.MaxRecords = most
		}
	}
	return &source
}

func (j *job) readTopic(ctx context.Context) (*task.Result, error) {
	source := j.topic()
	out, err := j.createOutput(j.spec.Output)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	registry := ""
	if source.Format == definition.FormatAvro {
		registry = source.SchemaRegistry
	}
	target, err := j.cluster(ctx, sandbox.Policy{WriteDirs: []string{out.Dir()}, RenameDirs: []string{out.Parent()}}, registry)
	if err != nil {
		return nil, err
	}
	if _, err := j.configure(ctx, out.Dir()); err != nil {
		return nil, err
	}
	found, err := target.Read(ctx, j.engine, source, j.cursor(),
		kafka.Dest{Dir: out.Dir(), Scratch: j.spec.Scratch, ScratchBytes: j.spec.Limits.ScratchBytes, Meter: outside{&j.out.meter}})
	if err != nil {
		return nil, err
	}
	if found.Unheard != "" {
		j.out.Warnf("the consumer group %s was not told what is published: %s", source.ConsumerGroup, found.Unheard)
	}
	if err := j.commit(ctx, out, found.Rows); err != nil {
		return nil, err
	}
	res := j.result()
	res.Columns, res.Cursor = found.Columns, found.Cursor
	return res, nil
}
