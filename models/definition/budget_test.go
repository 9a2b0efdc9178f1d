package definition

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/matih/pipeline-service/models"
)

func TestBudget(t *testing.T) {
	for text, want := range map[string]models.Budget{
		"orchestration: {timeout: 1h}":                                        {OnExceed: models.ExceedAlert},
		"orchestration: {budget: {monthly_usd: 12.000001, on_exceed: block}}": {MonthlyMicros: 12_000_001, OnExceed: models.ExceedBlock},
		"orchestration: {budget: {monthly_usd: 3}}":                           {MonthlyMicros: 3_000_000, OnExceed: models.ExceedAlert},
	} {
		doc := fromYAML(t, text)
		assert.Equal(t, want, BudgetOf(doc), text)
		d, err := Parse(doc, "")
		require.NoError(t, err, text)
		if want.MonthlyMicros == 0 {
			assert.Nil(t, d.Orchestration.Budget)
			continue
		}
		assert.Equal(t, &Budget{MonthlyUSD: USD(want.MonthlyMicros), OnExceed: want.OnExceed}, d.Orchestration.Budget)
		written, err := json.Marshal(d.Orchestration.Budget)
		require.NoError(t, err)
		var again Budget
		require.NoError(t, json.Unmarshal(written, &again))
		assert.Equal(t, d.Orchestration.Budget, &again)
	}
	assert.Zero(t, BudgetOf([]byte("nonsense")))
}
