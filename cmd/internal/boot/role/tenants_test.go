package role

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/store"
)

func TestTenantOptions(t *testing.T) {
	const large, small = "11111111-2222-4333-8444-555555555555", "AAAAAAAA-bbbb-4ccc-8ddd-eeeeeeeeeeee"
	write := func(text string) string {
		path := filepath.Join(t.TempDir(), "tenants.yaml")
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	var s store.Store
	o := TenantOptions{OpenExecutions: 10, Pipelines: 20}
	weights, err := o.Apply(&s)
	require.NoError(t, err)
	assert.Nil(t, weights, "without a file nobody's weight is touched")
	assert.Equal(t, store.Quotas{OpenExecutions: 10, Pipelines: 20}, s.Quotas)

	o.File = write(large + ": {weight: 2.5, max_open_executions: 0}\n" + small + ": {max_pipelines: 1}\n")
	weights, err = o.Apply(&s)
	require.NoError(t, err)
	assert.Equal(t, map[models.TenantID]float32{large: 2.5}, weights)
	assert.Equal(t, map[models.TenantID]store.Quotas{
		large: {OpenExecutions: 0, Pipelines: 20}, "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee": {OpenExecutions: 10, Pipelines: 1},
	}, s.TenantQuotas)

	o.File = write(large + ": {monthly_budget_usd: 500.25, on_exceed: block}\n" + small + ": {monthly_budget_usd: 1}\n")
	_, err = o.Apply(&s)
	require.NoError(t, err)
	assert.Equal(t, map[models.TenantID]models.Budget{
		large:                                  {MonthlyMicros: 500_250_000, OnExceed: models.ExceedBlock},
		"aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee": {MonthlyMicros: 1_000_000, OnExceed: models.ExceedAlert},
	}, s.Budgets)

	o.File = write("")
	weights, err = o.Apply(&s)
	require.NoError(t, err)
	assert.Equal(t, map[models.TenantID]float32{}, weights, "an empty file takes every weight back")

	for text, says := range map[string]string{
		"acme: {weight: 2}":                                "not a tenant's UUID",
		large + ": {weigth: 2}":                            "weigth",
		large + ": {weight: 0}":                            "weight must be",
		large + ": {weight: 1001}":                         "weight must be",
		large + ": {max_pipelines: -1}":                    "must not be negative",
		large + ": {monthly_budget_usd: -1}":               large + ": monthly_budget_usd: \"-1\" is not an amount",
		large + ": {monthly_budget_usd: 0}":                "must be more than 0",
		large + ": {monthly_budget_usd: 1, on_exceed: x}":  "neither alert nor block",
		large + ": {on_exceed: block}":                     "is for a monthly_budget_usd",
		small + ": {}\n" + "aaaaaaaa" + small[8:] + ": {}": "named twice",
	} {
		o.File = write(text)
		_, err := o.Apply(&s)
		require.ErrorContains(t, err, says, text)
	}
	o.File = filepath.Join(t.TempDir(), "missing")
	_, err = o.Apply(&s)
	require.ErrorContains(t, err, "--tenants")
}
