package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"github.com/matih/pipeline-service/models"
)

type planRow struct {
	bun.BaseModel `bun:"table:plans,alias:pl"`

	TenantID   models.TenantID
	ID         string
	PipelineID string
	Definition string
	Parameters string
	Sample     int
	CreatedAt  instant
}

type planStepRow struct {
	bun.BaseModel `bun:"table:plan_steps,alias:ps"`

	TenantID models.TenantID
	PlanID   string
	Name     string
	Output   string
	Finding  string
}

// CreatePlan stores a plan, whose ID the caller has made, until DeletePlan.
func (t *Tenant) CreatePlan(ctx context.Context, p models.Plan) error {
	row := &planRow{
		TenantID: t.id, ID: p.ID, PipelineID: p.PipelineID, Definition: string(p.Definition), Parameters: string(p.Parameters),
		Sample: p.Sample, CreatedAt: at(p.CreatedAt),
	}
	return t.write(ctx, func(ctx context.Context, tx bun.Tx) error {
		_, err := tx.NewInsert().Model(row).Exec(ctx)
		return err
	})
}

// Plan returns a plan. Error: CodeNotFound.
func (t *Tenant) Plan(ctx context.Context, id string) (models.Plan, error) {
	var row planRow
	err := t.read(ctx, func(db bun.IDB) error {
		return notFound("plan", db.NewSelect().Model(&row).Where("tenant_id = ? AND id = ?", t.id, id).Scan(ctx))
	})
	if err != nil {
		return models.Plan{}, err
	}
	return models.Plan{
		ID: row.ID, Tenant: row.TenantID, PipelineID: row.PipelineID, Definition: json.RawMessage(row.Definition),
		Parameters: json.RawMessage(row.Parameters), Sample: row.Sample, CreatedAt: row.CreatedAt.Time,
	}, nil
}

// RecordStep writes down what was found out about a step of a plan, again where it was before. Error: CodeNotFound
// where the plan is gone.
func (t *Tenant) RecordStep(ctx context.Context, planID string, step models.PlannedStep) error {
	finding, err := json.Marshal(step.Finding)
	if err != nil {
		return fmt.Errorf("store: finding about %s: %w", step.Name, err)
	}
	row := &planStepRow{TenantID: t.id, PlanID: planID, Name: step.Name, Output: step.Output, Finding: string(finding)}
	return t.write(ctx, func(ctx context.Context, tx bun.Tx) error {
		// Locked, so that a step never outlives its plan.
		plan := tx.NewSelect().Model((*planRow)(nil)).Column("id").Where("tenant_id = ? AND id = ?", t.id, planID)
		var id string
		if err := locking(tx, plan).Scan(ctx, &id); err != nil {
			return notFound("plan", err)
		}
		_, err := tx.NewInsert().Model(row).On("CONFLICT (tenant_id, plan_id, name) DO UPDATE").
			Set("output = EXCLUDED.output, finding = EXCLUDED.finding").Exec(ctx)
		return err
	})
}

// PlannedSteps returns what is known of steps of a plan, in no order: of those of the given names, or, without
// names, of all.
func (t *Tenant) PlannedSteps(ctx context.Context, planID string, names ...string) ([]models.PlannedStep, error) {
	var rows []planStepRow
	err := t.read(ctx, func(db bun.IDB) error {
		rows = nil
		q := db.NewSelect().Model(&rows).Where("tenant_id = ? AND plan_id = ?", t.id, planID)
		if len(names) > 0 {
			q.Where("name IN (?)", bun.List(names))
		}
		return q.Scan(ctx)
	})
	if err != nil {
		return nil, err
	}
	steps := make([]models.PlannedStep, len(rows))
	for i, row := range rows {
		steps[i].Name, steps[i].Output = row.Name, row.Output
		if err := json.Unmarshal([]byte(row.Finding), &steps[i].Finding); err != nil {
			return nil, fmt.Errorf("store: finding about %s: %w", row.Name, err)
		}
	}
	return steps, nil
}

// DeletePlan removes a plan with all that was found out. One that is gone is no error.
func (t *Tenant) DeletePlan(ctx context.Context, id string) error {
	return t.write(ctx, func(ctx context.Context, tx bun.Tx) error { return t.deletePlans(ctx, tx, []string{id}) })
}

func (t *Tenant) deletePlans(ctx context.Context, tx bun.Tx, ids []string) error {
	// The plan first: whoever records a step meanwhile has locked it, and its step is among those deleted then.
	locked := tx.NewSelect().Model((*planRow)(nil)).Column("id").Where("tenant_id = ? AND id IN (?)", t.id, bun.List(ids)).OrderExpr("id")
	var found []string
	if err := locking(tx, locked).Scan(ctx, &found); err != nil || len(found) == 0 {
		return err
	}
	_, err := tx.NewDelete().Model((*planStepRow)(nil)).Where("tenant_id = ? AND plan_id IN (?)", t.id, bun.List(found)).Exec(ctx)
	if err != nil {
		return err
	}
	_, err = tx.NewDelete().Model((*planRow)(nil)).Where("tenant_id = ? AND id IN (?)", t.id, bun.List(found)).Exec(ctx)
	return err
}

// PurgePlans removes up to limit plans of all tenants that were made before a time, which nobody can wait for any
// more, and returns how many.
func (s *Store) PurgePlans(ctx context.Context, before time.Time, limit int) (purged int, err error) {
	err = s.write(ctx, func(ctx context.Context, tx bun.Tx) error {
		var old []planRow
		err := tx.NewSelect().Model(&old).Column("tenant_id", "id").Where("created_at < ?", at(before)).
			OrderExpr("created_at").Limit(int64(limit)).Scan(ctx)
		if err != nil {
			return err
		}
		ids := map[models.TenantID][]string{}
		for _, row := range old {
			ids[row.TenantID] = append(ids[row.TenantID], row.ID)
		}
		for tenant, own := range ids {
			if err := s.ForTenant(tenant).deletePlans(ctx, tx, own); err != nil {
				return err
			}
		}
		purged = len(old)
		return nil
	})
	return purged, err
}
