package role

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/pflag"
	"gopkg.in/yaml.v3"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/cost"
	"github.com/matih/pipeline-service/models/store"
)

// maxWeight and its inverse bound weights: beyond them the smaller tenant would hardly ever get a turn.
const maxWeight = 1000

// TenantOptions say what tenants may have. Every program that submits executions or runs them takes the same.
type TenantOptions struct {
	OpenExecutions int64
	Pipelines      int64
	// File names tenants for which something else holds.
	File string
}

// AddFlags adds the flags.
func (o *TenantOptions) AddFlags(flags *pflag.FlagSet) {
	flags.Int64Var(&o.OpenExecutions, "max-open-executions", store.DefaultQuotas.OpenExecutions,
		"executions a tenant may have in flight; 0 is no limit")
	flags.Int64Var(&o.Pipelines, "max-pipelines", store.DefaultQuotas.Pipelines, "pipelines a tenant may have; 0 is no limit")
	flags.StringVar(&o.File, "tenants", "",
		"YAML file with what holds for single tenants: {<tenant>: {weight: 2, max_open_executions: 5000, max_pipelines: 100, "+
			"monthly_budget_usd: 500, on_exceed: alert}}")
}

// tenantLimits is what the file says of one tenant.
type tenantLimits struct {
	// Weight is the tenant's share of the task slots beside the other tenants' that wait; 1 unless given.
	Weight         *float32 `yaml:"weight"`
	OpenExecutions *int64   `yaml:"max_open_executions"`
	Pipelines      *int64   `yaml:"max_pipelines"`
	// MonthlyBudget is what the tenant's executions may cost in a calendar month, in dollars; OnExceed, alert unless given, is
	// what happens then.
	MonthlyBudget *string         `yaml:"monthly_budget_usd"`
	OnExceed      models.OnExceed `yaml:"on_exceed"`
}

// budget is the zero Budget where there is none.
func (l *tenantLimits) budget() (models.Budget, error) {
	switch {
	case l.MonthlyBudget == nil && l.OnExceed == "":
		return models.Budget{}, nil
	case l.MonthlyBudget == nil:
		return models.Budget{}, errors.New("on_exceed: is for a monthly_budget_usd")
	}
	b := models.Budget{OnExceed: cmp.Or(l.OnExceed, models.ExceedAlert)}
	if b.OnExceed != models.ExceedAlert && b.OnExceed != models.ExceedBlock {
		return b, fmt.Errorf("on_exceed: %q is neither alert nor block", b.OnExceed)
	}
	var err error
	if b.MonthlyMicros, err = cost.ParseUSD(*l.MonthlyBudget); err != nil {
		return b, fmt.Errorf("monthly_budget_usd: %w", err)
	}
	if b.MonthlyMicros == 0 {
		return b, errors.New("monthly_budget_usd: must be more than 0")
	}
	return b, nil
}

// Apply gives the store its quotas and budgets and returns the weights of the tenants that have one; nil without a file.
func (o *TenantOptions) Apply(s *store.Store) (map[models.TenantID]float32, error) {
	s.Quotas = store.Quotas{OpenExecutions: o.OpenExecutions, Pipelines: o.Pipelines}
	if o.File == "" {
		return nil, nil
	}
	limits, err := readTenants(o.File)
	if err != nil {
		return nil, fmt.Errorf("--tenants %s: %w", o.File, err)
	}
	s.TenantQuotas = make(map[models.TenantID]store.Quotas, len(limits))
	s.Budgets = map[models.TenantID]models.Budget{}
	weights := map[models.TenantID]float32{}
	for tenant, l := range limits {
		quotas := s.Quotas
		if l.OpenExecutions != nil {
			quotas.OpenExecutions = *l.OpenExecutions
		}
		if l.Pipelines != nil {
			quotas.Pipelines = *l.Pipelines
		}
		s.TenantQuotas[tenant] = quotas
		if s.Budgets[tenant], err = l.budget(); err != nil {
			return nil, fmt.Errorf("--tenants %s: %s: %w", o.File, tenant, err)
		}
		if l.Weight != nil {
			weights[tenant] = *l.Weight
		}
	}
	return weights, nil
}

func readTenants(path string) (map[models.TenantID]tenantLimits, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	var doc map[string]tenantLimits
	decoder := yaml.NewDecoder(f)
	decoder.KnownFields(true)
	if err := decoder.Decode(&doc); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	limits := make(map[models.TenantID]tenantLimits, len(doc))
	for text, l := range doc {
		tenant, err := models.ParseTenantID(text)
		switch {
		case err != nil:
			return nil, fmt.Errorf("%q is not a tenant's UUID", text)
		case l.Weight != nil && (*l.Weight < 1.0/maxWeight || *l.Weight > maxWeight):
			return nil, fmt.Errorf("%s: weight must be from %g to %d", text, 1.0/maxWeight, maxWeight)
		case l.OpenExecutions != nil && *l.OpenExecutions < 0, l.Pipelines != nil && *l.Pipelines < 0:
			return nil, fmt.Errorf("%s: a limit must not be negative; 0 is none", text)
		}
		if _, twice := limits[tenant]; twice {
			return nil, fmt.Errorf("%s is named twice", tenant)
		}
		limits[tenant] = l
	}
	return limits, nil
}
