package postgres

import (
	"context"
	"errors"
	"fmt"
	"net"
	"regexp"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/task"
	"github.com/matih/pipeline-service/worker/runner/fault"
)

// SQLSTATE codes this package acts on.
const (
	codeUndefinedTable  = "42P01"
	codeUndefinedSchema = "3F000"
	codeUniqueViolation = "23505"
	codeDuplicateTable  = "42P07"
)

// Classes and codes of SQLSTATE. The transient ones another attempt may not meet.
var (
	transientClasses = []string{"08", "40", "53", "55", "57", "58"}
	dataClasses      = []string{"22", "23"}
	// statementClasses are the faults of a query: what it says, what is not supported, what a read-only
	// transaction refuses.
	statementClasses = []string{"42", "0A", "25006"}
)

// connectFault says in words why no connection came about.
func (t *Target) connectFault(ctx context.Context, err error) error {
	var known *task.Failure
	if errors.As(err, &known) {
		return known
	}
	if ctx.Err() != nil {
		return fault.Of(ctx.Err())
	}
	address := net.JoinHostPort(t.config.Host, fmt.Sprint(t.config.Port))
	var server *pgconn.PgError
	if errors.As(err, &server) {
		switch server.Code {
		case "28P01", "28000":
			return fault.Because(fault.Errorf(models.ClassConnection,
				"the connection %s: the server refused the user name or password: correct the secret it names", t.name), err)
		case "3D000":
			return fault.Because(fault.Errorf(models.ClassConnection,
				"the connection %s: the database %q does not exist on %s", t.name, t.config.Database, address), err)
		case "53300":
			return fault.Because(fault.Transientf(models.ClassConnection, "the connection %s: the server has no free connections", t.name), err)
		}
		f := fault.Errorf(models.ClassConnection, "the connection %s: %s", t.name, server.Message)
		f.Retry = transient(server.Code)
		return fault.Because(f, err)
	}
	var dns *net.DNSError
	switch {
	case errors.As(err, &dns) && dns.IsNotFound:
		return fault.Because(fault.Errorf(models.ClassConnection, "the connection %s: the host %q is unknown", t.name, t.config.Host), err)
	case strings.Contains(err.Error(), "server refused TLS connection"):
		return fault.Because(fault.Errorf(models.ClassConnection,
			"the connection %s: the server does not speak TLS; set properties.sslMode to disable if that is meant", t.name), err)
	case strings.Contains(err.Error(), "tls: ") || strings.Contains(err.Error(), "x509: "):
		return fault.Because(fault.Errorf(models.ClassConnection,
			"the connection %s: the server's certificate was not accepted (properties.sslMode decides how much is verified)", t.name), err)
	}
	return fault.Because(fault.Transientf(models.ClassConnection, "the connection %s: %s cannot be reached", t.name, address), err)
}

// queryFault turns an error of a running connection into a failure; class is whose it is where the
// server does not say otherwise.
func (t *Target) queryFault(ctx context.Context, class string, err error) error {
	var known *task.Failure
	if errors.As(err, &known) {
		return known
	}
	if ctx.Err() != nil {
		return fault.Of(ctx.Err())
	}
	var tooLong *pgproto3.ExceededMaxBodyLenErr
	if errors.As(err, &tooLong) {
		return fault.Because(fault.Errorf(models.ClassData, "a row is larger than %d MiB, more than a task can hold; leave the large column out", maxMessage>>20), err)
	}
	var server *pgconn.PgError
	if !errors.As(err, &server) {
		return fault.Because(fault.Transientf(class, "the connection %s broke off", t.name), err)
	}
	f := fault.Errorf(class, "the connection %s: %s", t.name, describe(server))
	switch {
	case transient(server.Code):
		f.Retry = true
	case hasClass(server.Code, dataClasses):
		f.Class = models.ClassData
	case class == models.ClassSource && server.Code != "42501" && hasClass(server.Code, statementClasses):
		f.Class = models.ClassSQL
	}
	return fault.Because(f, err)
}

// copyContext is how the server names the place of an error in a COPY.
var copyContext = regexp.MustCompile(`COPY [^,]+, line (\d+)(?:, column ([^:]+))?`)

func describe(e *pgconn.PgError) string {
	words := e.Message
	if place := copyContext.FindStringSubmatch(e.Where); place != nil {
		words += " (row " + place[1]
		if place[2] != "" {
			words += ", column " + place[2]
		}
		words += ")"
	} else if e.ColumnName != "" {
		words += " (column " + e.ColumnName + ")"
	}
	if e.Detail != "" {
		words += ": " + e.Detail
	}
	return words
}

func transient(code string) bool { return hasClass(code, transientClasses) }

func hasClass(code string, classes []string) bool {
	for _, c := range classes {
		if strings.HasPrefix(code, c) {
			return true
		}
	}
	return false
}

// serverError is the server's own error in err's chain, or nil.
func serverError(err error) *pgconn.PgError {
	var server *pgconn.PgError
	if errors.As(err, &server) {
		return server
	}
	return nil
}

func hasCode(err error, codes ...string) bool {
	server := serverError(err)
	if server == nil {
		return false
	}
	for _, c := range codes {
		if server.Code == c {
			return true
		}
	}
	return false
}
