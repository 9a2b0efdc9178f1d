package role

import (
	"fmt"
	"os"

	"github.com/spf13/pflag"

	"github.com/matih/pipeline-service/models/cost"
	"github.com/matih/pipeline-service/models/store"
)

// RateOptions say what executions cost. The API and the workers take the same.
type RateOptions struct{ File string }

// AddFlags adds the flag.
func (o *RateOptions) AddFlags(flags *pflag.FlagSet) {
	flags.StringVar(&o.File, "rates", "", "YAML file with versions of the prices of what tasks use: "+
		"{versions: [{version: v1, valid_from: 2026-01-01, cpu_second: 0.0000112, memory_gb_second: 0.0000012, storage_gb_hour: 0.0001, network_gb: 0.01}]}")
}

// Apply gives the store its prices.
func (o *RateOptions) Apply(s *store.Store) error {
	if o.File == "" {
		return nil
	}
	doc, err := os.ReadFile(o.File)
	if err != nil {
		return fmt.Errorf("--rates: %w", err)
	}
	if s.Pricing.Rates, err = cost.ParseRates(doc); err != nil {
		return fmt.Errorf("--rates %s: %w", o.File, err)
	}
	return nil
}
