package boot

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"github.com/spf13/pflag"
	"go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"
)

// TemporalOptions say how a Temporal cluster is reached.
type TemporalOptions struct {
	Address    string
	Namespace  string
	TLS        bool
	CAFile     string
	CertFile   string
	KeyFile    string
	ServerName string
	APIKey     string
	APIKeyFile string
}

// AddFlags adds the --temporal-… flags.
func (o *TemporalOptions) AddFlags(flags *pflag.FlagSet) {
	flags.StringVar(&o.Address, "temporal-address", "127.0.0.1:7233", "host:port of the Temporal frontend")
	flags.StringVar(&o.Namespace, "temporal-namespace", "default", "Temporal namespace")
	flags.BoolVar(&o.TLS, "temporal-tls", false, "use TLS; implied by the other TLS flags and by an API key")
	flags.StringVar(&o.CAFile, "temporal-tls-ca", "", "file with the authorities to trust; the system's unless given")
	flags.StringVar(&o.CertFile, "temporal-tls-cert", "", "file with the client certificate")
	flags.StringVar(&o.KeyFile, "temporal-tls-key", "", "file with the client certificate's key")
	flags.StringVar(&o.ServerName, "temporal-tls-server-name", "", "name the server's certificate must have")
	flags.StringVar(&o.APIKey, "temporal-api-key", "", "API key; better by environment or file")
	flags.StringVar(&o.APIKeyFile, "temporal-api-key-file", "", "file with the API key")
}

// Dial connects to the cluster and checks that it answers.
func (o *TemporalOptions) Dial(ctx context.Context, log *slog.Logger) (client.Client, error) {
	options := client.Options{HostPort: o.Address, Namespace: o.Namespace, Logger: SDKLogger(log)}
	key, err := Secret("temporal-api-key", o.APIKey, o.APIKeyFile)
	if err != nil {
		return nil, err
	}
	if key != "" {
		options.Credentials = client.NewAPIKeyStaticCredentials(key)
	}
	if o.TLS || key != "" || o.CAFile != "" || o.CertFile != "" || o.ServerName != "" {
		if options.ConnectionOptions.TLS, err = o.tlsConfig(); err != nil {
			return nil, err
		}
	}
	c, err := client.DialContext(ctx, options)
	if err != nil {
		return nil, fmt.Errorf("temporal does not answer at %s: %w", o.Address, err)
	}
	return c, nil
}

func (o *TemporalOptions) tlsConfig() (*tls.Config, error) {
	config := &tls.Config{ServerName: o.ServerName, MinVersion: tls.VersionTLS12}
	if o.CAFile != "" {
		pem, err := os.ReadFile(o.CAFile)
		if err != nil {
			return nil, fmt.Errorf("--temporal-tls-ca: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("--temporal-tls-ca: %s holds no certificate", o.CAFile)
		}
	}
	if (o.CertFile == "") != (o.KeyFile == "") {
		return nil, errors.New("--temporal-tls-cert and --temporal-tls-key belong together")
	}
	if o.CertFile != "" {
		// Read at every handshake, so that a renewed certificate needs no restart.
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			pair, err := tls.LoadX509KeyPair(o.CertFile, o.KeyFile)
			return &pair, err
		}
		if _, err := config.GetClientCertificate(nil); err != nil {
			return nil, fmt.Errorf("--temporal-tls-cert: %w", err)
		}
	}
	return config, nil
}

// SDKLogger gives Temporal's SDK a logger on which it speaks one level lower than it would, and of failed activities
// for debugging only: a task that failed is an error of its execution and is told there.
func SDKLogger(log *slog.Logger) sdklog.Logger {
	return sdklog.NewStructuredLogger(slog.New(lowered{log.Handler()}).With("component", "temporal-sdk"))
}

// lowered is a handler that takes records for less than they say.
type lowered struct{ slog.Handler }

const (
	lowerBy        = slog.LevelWarn - slog.LevelInfo
	failedActivity = "Activity error."
)

func (h lowered) Enabled(ctx context.Context, level slog.Level) bool {
	return h.Handler.Enabled(ctx, level-lowerBy)
}

func (h lowered) Handle(ctx context.Context, r slog.Record) error {
	r.Level -= lowerBy
	if r.Message == failedActivity {
		r.Level = slog.LevelDebug
	}
	if !h.Handler.Enabled(ctx, r.Level) {
		return nil
	}
	return h.Handler.Handle(ctx, r)
}

func (h lowered) WithAttrs(attrs []slog.Attr) slog.Handler {
	return lowered{h.Handler.WithAttrs(attrs)}
}

func (h lowered) WithGroup(name string) slog.Handler { return lowered{h.Handler.WithGroup(name)} }
