package plan

import (
	"context"

	"github.com/matih/pipeline-service/models"
)

// LoadDraft returns the plan of a definition that is only looked at. It is what an execution with the id of the
// models.Plan would do, as the first of its pipeline. Errors as Load's; CodeNotFound where nobody waits for it any more.
func (l *Loader) LoadDraft(ctx context.Context, tenant models.TenantID, id string) (*Plan, error) {
	k := key{tenant, id}
	if p, ok := l.plans.Get(k); ok {
		return p, nil
	}
	draft, err := l.store.ForTenant(tenant).Plan(ctx, id)
	if err != nil {
		return nil, err
	}
	p, err := build(models.Execution{
		ID: id, Tenant: tenant, PipelineID: draft.PipelineID, Parameters: draft.Parameters, ExecutionDate: draft.CreatedAt,
	}, models.PipelineVersion{Definition: draft.Definition})
	if err != nil {
		return nil, err
	}
	p.Sample = draft.Sample
	l.plans.Add(k, p)
	return p, nil
}
