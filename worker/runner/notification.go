package runner

import (
	"context"

	"github.com/matih/pipeline-service/models/task"
	"github.com/matih/pipeline-service/worker/runner/egress"
	"github.com/matih/pipeline-service/worker/runner/fault"
	"github.com/matih/pipeline-service/worker/runner/sandbox"
	"github.com/matih/pipeline-service/worker/runner/secret"
	"github.com/matih/pipeline-service/worker/runner/webhook"
)

// The entry of a tenant's secrets that webhooks are signed with. Without it they are not signed.
const (
	signingRef = "webhook-signing"
	signingKey = "secret"
)

// notify tells a webhook of an event.
func (j *job) notify(ctx context.Context) (*task.Result, error) {
	n := j.spec.Notification
	target, err := webhook.NewTarget(n.URL)
	if err != nil {
		return nil, err
	}
	j.out.keepSecret(target.Secrets()...)
	rules, err := egress.NewPolicy(j.spec.Access.EgressAllow, j.spec.Access.EgressDeny)
	if err != nil {
		return nil, fault.Internal("read the egress rules", err)
	}
	key, err := secret.Resolver{Secrets: j.spec.Secrets, Environ: j.environ}.Optional(j.spec.Tenant, signingRef, signingKey)
	if err != nil {
		return nil, err
	}
	j.out.keepSecret(key)
	err = j.enclose(sandbox.Policy{
		ConnectPorts: []uint16{target.Port(), dnsPort}, OptionalFiles: resolverFiles, OptionalDirs: certificateDirs,
	})
	if err != nil {
		return nil, err
	}
	status, err := target.Post(ctx, n, key, rules)
	if err != nil {
		return nil, err
	}
	return &task.Result{Status: status}, nil
}
