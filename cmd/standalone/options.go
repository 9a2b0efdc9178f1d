package main

import (
	"time"

	"github.com/spf13/pflag"

	"github.com/matih/pipeline-service/cmd/internal/boot"
	"github.com/matih/pipeline-service/cmd/internal/boot/role"
)

// defaultDataDir is where everything is kept unless --data-dir says otherwise.
const defaultDataDir = ".data"

// options are the settings of a standalone.
type options struct {
	dataDir    string
	listen     string
	ui         string
	temporal   string
	retention  time.Duration
	log        boot.LogOptions
	api        role.APIOptions
	worker     role.WorkerOptions
	tenants    role.TenantOptions
	rates      role.RateOptions
	submission role.SubmissionOptions
}

func (o *options) addFlags(flags *pflag.FlagSet) {
	flags.StringVar(&o.dataDir, "data-dir", defaultDataDir, "directory of everything that must not be lost")
	flags.StringVar(&o.listen, "listen", "127.0.0.1:8000", "address of the API; port 0 picks one")
	flags.StringVar(&o.ui, "ui", "127.0.0.1:8233", "address of Temporal's Web UI; port 0 picks one")
	flags.StringVar(&o.temporal, "temporal", "127.0.0.1:7233", "address of the Temporal server; port 0 picks one")
	flags.DurationVar(&o.retention, "temporal-retention", 7*24*time.Hour,
		"how long Temporal keeps the histories of ended workflows; counts when the data directory is made")
	o.log.AddFlags(flags, "text")
	o.api.AddFlags(flags)
	o.worker.AddFlags(flags)
	o.tenants.AddFlags(flags)
	o.rates.AddFlags(flags)
	o.submission.AddFlags(flags)
	flags.Lookup("staging-dir").Usage += " (default: staging in the data directory)"
	flags.Lookup("secrets-dir").Usage += " (default: secrets in the data directory)"
	flags.Lookup("egress-allow").Usage += "; loopback is always allowed here"
	flags.Lookup("jwks-url").Usage += "; standalone's own key always counts"
}
