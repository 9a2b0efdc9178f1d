package definition

import (
	"encoding/json"

	"github.com/invopop/jsonschema"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/cost"
)

// Budget bounds what the executions of a month cost.
type Budget struct {
	MonthlyUSD USD             `json:"monthly_usd"`
	OnExceed   models.OnExceed `json:"on_exceed"`
}

// USD is an amount of money in millionths of a dollar. In documents it is a number of dollars.
type USD int64

// MarshalJSON writes dollars.
func (u USD) MarshalJSON() ([]byte, error) { return []byte(cost.FormatUSD(int64(u))), nil }

// UnmarshalJSON reads what MarshalJSON writes.
func (u *USD) UnmarshalJSON(data []byte) error {
	micros, err := cost.ParseUSD(string(data))
	*u = USD(micros)
	return err
}

func (u *USD) decode(d *decoder, n *node, at *path) {
	if !d.is(n, kindNumber, at) {
		return
	}
	micros, err := cost.ParseUSD(n.text)
	switch {
	case err != nil:
		d.add(at, "%v", err)
	case micros == 0:
		d.add(at, "must be more than 0")
	}
	*u = USD(micros)
}

// JSONSchema describes the number.
func (USD) JSONSchema() *jsonschema.Schema {
	return &jsonschema.Schema{
		Type: "number", ExclusiveMinimum: "0", Maximum: "1000000", Description: "An amount in US dollars, with at most 6 decimals.",
	}
}

// BudgetOf reads orchestration.budget of a document that Parse accepts, without looking at the rest of it.
func BudgetOf(doc []byte) models.Budget {
	var d struct {
		Orchestration struct {
			Budget Budget `json:"budget"`
		} `json:"orchestration"`
	}
	if json.Unmarshal(doc, &d) != nil {
		return models.Budget{}
	}
	b := d.Orchestration.Budget
	return models.Budget{MonthlyMicros: int64(b.MonthlyUSD), OnExceed: orElse(b.OnExceed, models.ExceedAlert)}
}
