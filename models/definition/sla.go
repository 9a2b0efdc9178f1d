package definition

import (
	"encoding/json"
	"time"
)

// FreshnessOf reads orchestration.sla.freshness of a document that Parse accepts, without looking at the
// rest of it; 0 is none.
func FreshnessOf(doc []byte) time.Duration {
	var d struct {
		Orchestration struct {
			SLA struct {
				Freshness Duration `json:"freshness"`
			} `json:"sla"`
		} `json:"orchestration"`
	}
	if json.Unmarshal(doc, &d) != nil {
		return 0
	}
	return time.Duration(d.Orchestration.SLA.Freshness)
}
