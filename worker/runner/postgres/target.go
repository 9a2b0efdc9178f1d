// Package postgres moves rows between PostgreSQL and staged Parquet with COPY in its binary form.
package postgres

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/worker/runner/egress"
	"github.com/matih/pipeline-service/worker/runner/fault"
	"github.com/matih/pipeline-service/worker/runner/secret"
)

const (
	defaultPort    = 5432
	mysqlPort      = 3306
	defaultTimeout = 10 * time.Second
	// maxField bounds one value, maxMessage one row on the wire: a server cannot make the process
	// take more memory than that at once.
	maxField   = 64 << 20
	maxMessage = 4 * maxField
)

// Target is a database and how to reach it.
type Target struct {
	name   string // of the connection, for messages
	config *pgx.ConnConfig
}

// properties are what a connection may set. Everything else is refused, so that no setting reaches the
// driver that was not thought of.
type properties struct {
	Driver            string `json:"driver"`
	SSLMode           string `json:"sslMode"`
	ConnectionTimeout int64  `json:"connectionTimeout"` // milliseconds
}

// sslSettings maps sslMode to a constant connection string.
var sslSettings = map[string]string{
	"":            "host=localhost sslmode=prefer",
	"disable":     "host=localhost sslmode=disable",
	"allow":       "host=localhost sslmode=allow",
	"prefer":      "host=localhost sslmode=prefer",
	"require":     "host=localhost sslmode=require",
	"verify-ca":   "host=localhost sslmode=verify-ca",
	"verify-full": "host=localhost sslmode=verify-full",
}

// NewTarget checks a connection's settings. The environment must be empty of PG… variables when it is
// called, or cleared before: the driver would read them.
func NewTarget(conn *models.Connection, c secret.Credentials, rules *egress.Policy) (*Target, error) {
	p, err := parseProperties(conn)
	if err != nil {
		return nil, err
	}
	port := conn.Port
	if port == 0 {
		port = defaultPort
	}
	if p.Driver == "mysql" || p.Driver == "" && port == mysqlPort {
		return nil, fault.Errorf(models.ClassInvalidDefinition, "the connection %s: the driver mysql is not supported by this release", conn.Name)
	}
	if p.Driver != "" && p.Driver != "postgresql" {
		return nil, fault.Errorf(models.ClassInvalidDefinition, "the connection %s: properties.driver must be postgresql or mysql, not %q", conn.Name, p.Driver)
	}
	if err := checkHost(conn); err != nil {
		return nil, err
	}
	if port < 1 || port > 65535 {
		return nil, fault.Errorf(models.ClassInvalidDefinition, "the connection %s: %d is not a port", conn.Name, port)
	}
	settings, ok := sslSettings[p.SSLMode]
	if !ok {
		return nil, fault.Errorf(models.ClassInvalidDefinition,
			"the connection %s: properties.sslMode must be disable, allow, prefer, require, verify-ca or verify-full, not %q", conn.Name, p.SSLMode)
	}
	config, err := pgx.ParseConfig(settings + " user=nobody passfile='' servicefile=''")
	if err != nil {
		return nil, fault.Internal("make the connection's settings", err)
	}
	config.Host, config.Port, config.Database = conn.Host, uint16(port), conn.Database
	config.User, config.Password = c.Username, c.Password
	for _, f := range config.Fallbacks {
		f.Host, f.Port = config.Host, config.Port
		name(f.TLSConfig, conn.Host)
	}
	name(config.TLSConfig, conn.Host)
	config.ConnectTimeout = defaultTimeout
	if p.ConnectionTimeout > 0 {
		config.ConnectTimeout = time.Duration(p.ConnectionTimeout) * time.Millisecond
	}
	config.DialFunc = rules.Dialer(conn.Host, config.ConnectTimeout).DialContext
	config.LookupFunc = func(ctx context.Context, host string) ([]string, error) {
		return egress.Resolver().LookupHost(ctx, host)
	}
	config.MaxProtocolMessageBodyLen = maxMessage
	config.RuntimeParams = map[string]string{
		"application_name":            "pipeline-service",
		"client_encoding":             "UTF8",
		"TimeZone":                    "UTC",
		"DateStyle":                   "ISO, YMD",
		"IntervalStyle":               "postgres",
		"extra_float_digits":          "3",
		"bytea_output":                "hex",
		"standard_conforming_strings": "on",
	}
	config.DefaultQueryExecMode = pgx.QueryExecModeExec
	config.StatementCacheCapacity, config.DescriptionCacheCapacity = 0, 0
	return &Target{name: conn.Name, config: config}, nil
}

// name makes TLS verify the host that was asked for.
func name(c *tls.Config, host string) {
	if c != nil && c.ServerName != "" {
		c.ServerName = host
	}
}

func parseProperties(conn *models.Connection) (properties, error) {
	var p properties
	if len(conn.Properties) == 0 || string(conn.Properties) == "null" {
		return p, nil
	}
	decoder := json.NewDecoder(bytes.NewReader(conn.Properties))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&p); err != nil {
		return p, fault.Because(fault.Errorf(models.ClassInvalidDefinition,
			"the connection %s: its properties may be driver, sslMode and connectionTimeout (milliseconds), nothing else", conn.Name), err)
	}
	return p, nil
}

// checkHost accepts one host name or address: no list, no socket directory.
func checkHost(conn *models.Connection) error {
	host := conn.Host
	if host == "" {
		return fault.Errorf(models.ClassInvalidDefinition, "the connection %s names no host", conn.Name)
	}
	if net.ParseIP(host) != nil {
		return nil
	}
	odd := strings.IndexFunc(host, func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '.' && c != '-' && c != '_'
	})
	if odd >= 0 || len(host) > 253 {
		return fault.Errorf(models.ClassForbidden, "the connection %s: %q is not one host name or address", conn.Name, host)
	}
	return nil
}

// Port is where the database listens.
func (t *Target) Port() uint16 { return t.config.Port }

// connect opens a connection.
func (t *Target) connect(ctx context.Context) (*pgx.Conn, error) {
	conn, err := pgx.ConnectConfig(ctx, t.config.Copy())
	if err != nil {
		return nil, t.connectFault(ctx, err)
	}
	return conn, nil
}

// closeGrace is how long saying goodbye to a server may take.
const closeGrace = 2 * time.Second

func closeConn(conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), closeGrace)
	defer cancel()
	_ = conn.Close(ctx)
}

// Test connects and says what is there.
func (t *Target) Test(ctx context.Context) (*models.ConnectionTest, error) {
	conn, err := t.connect(ctx)
	if err != nil {
		return nil, err
	}
	defer closeConn(conn)
	const query = `SELECT current_setting('server_version'),
 ARRAY(SELECT nspname::text FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema' AND has_schema_privilege(oid, 'USAGE') ORDER BY 1 LIMIT 100),
 (SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema')`
	var (
		version string
		schemas []string
		tables  int64
	)
	if err := conn.QueryRow(ctx, query).Scan(&version, &schemas, &tables); err != nil {
		return nil, t.queryFault(ctx, models.ClassConnection, err)
	}
	version, _, _ = strings.Cut(version, " ")
	return &models.ConnectionTest{
		Connected: true,
		Version:   "PostgreSQL " + version,
		Details:   map[string]any{"schemas": schemas, "tables": tables},
	}, nil
}

// exec runs one statement without arguments.
func exec(ctx context.Context, conn *pgx.Conn, format string, args ...any) (pgconn.CommandTag, error) {
	return conn.Exec(ctx, fmt.Sprintf(format, args...))
}
