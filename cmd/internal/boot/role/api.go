package role

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/spf13/pflag"
	"go.temporal.io/sdk/client"

	"github.com/matih/pipeline-service/api"
	"github.com/matih/pipeline-service/api/auth"
	"github.com/matih/pipeline-service/api/gateway"
	"github.com/matih/pipeline-service/cmd/internal/boot"
	"github.com/matih/pipeline-service/models/store"
	"github.com/matih/pipeline-service/models/submission"
)

// checkTimeout bounds how long /readyz waits for the database and Temporal.
const checkTimeout = 2 * time.Second

// APIOptions are an API's settings.
type APIOptions struct {
	JWKSURLs  []string
	Issuers   []string
	Audiences []string
	RateLimit float64
}

// AddFlags adds the API's flags.
func (o *APIOptions) AddFlags(flags *pflag.FlagSet) {
	flags.StringSliceVar(&o.JWKSURLs, "jwks-url", nil, "URL of the keys of a token issuer; repeatable")
	flags.StringSliceVar(&o.Issuers, "issuer", nil, "values of iss that tokens signed with those keys may have; any unless given")
	flags.StringSliceVar(&o.Audiences, "audience", []string{"pipeline-service"}, "values of aud of which a token must have one")
	flags.Float64Var(&o.RateLimit, "rate-limit", 100, "requests a second per tenant, in bursts of twice as many; 0 turns it off")
}

// APIParts are what an API works with.
type APIParts struct {
	Client client.Client
	// Namespace is the client's.
	Namespace string
	Store     *store.Store
	Log       *slog.Logger
	// Issuers are trusted besides those of the flags.
	Issuers []auth.Issuer
	// Stopping ends open log streams when it is closed.
	Stopping <-chan struct{}
	// StagingDir holds what tasks have staged, where this process can see it.
	StagingDir string
	Submission submission.Defaults
}

// New makes the API's handler. The keys of the issuers are fetched until ctx ends.
func (o *APIOptions) New(ctx context.Context, p APIParts) (http.Handler, error) {
	verifier, err := o.verifier(ctx, p)
	if err != nil {
		return nil, err
	}
	return api.New(api.Config{
		Store:      p.Store,
		Gateway:    gateway.New(p.Client, p.Namespace),
		Staged:     staged(p.StagingDir),
		Auth:       verifier,
		Log:        p.Log,
		Metrics:    NewMetrics(),
		Checks:     Checks(p.Client, p.Store),
		RateLimit:  o.RateLimit,
		Submission: p.Submission,
		Stopping:   p.Stopping,
		Version:    boot.Version(),
	})
}

// staged returns a function that reports whether an output lies below dir; nil where dir is not given.
func staged(dir string) func(string) bool {
	if dir == "" {
		return nil
	}
	return func(output string) bool {
		_, err := os.Stat(filepath.Join(dir, filepath.FromSlash(output)))
		return err == nil
	}
}

func (o *APIOptions) verifier(ctx context.Context, p APIParts) (*auth.Verifier, error) {
	issuers := p.Issuers
	for _, url := range o.JWKSURLs {
		issuer, err := auth.RemoteIssuer(ctx, url, o.Issuers, p.Log)
		if err != nil {
			return nil, err
		}
		issuers = append(issuers, issuer)
	}
	if len(issuers) == 0 {
		return nil, fmt.Errorf("--jwks-url: give the URL of at least one token issuer's keys")
	}
	return auth.NewVerifier(auth.Options{Issuers: issuers, Audiences: o.Audiences})
}

// NewMetrics makes a registry that holds the process's own metrics.
func NewMetrics() *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return r
}

// Checks returns a function that reports whether the database and Temporal answer.
func Checks(c client.Client, s *store.Store) func(context.Context) error {
	return func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, checkTimeout)
		defer cancel()
		if err := s.Ping(ctx); err != nil {
			return fmt.Errorf("database: %w", err)
		}
		if _, err := c.CheckHealth(ctx, &client.CheckHealthRequest{}); err != nil {
			return fmt.Errorf("temporal: %w", err)
		}
		return nil
	}
}
