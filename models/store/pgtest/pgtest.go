// Package pgtest gives tests a real PostgreSQL server of their own: on a free port, in a temporary
// directory, as a user that is not root, and gone when the test process is, however that ends.
//
//	var server *pgtest.Server
//
//	func TestMain(m *testing.M) { os.Exit(pgtest.Run(m, &server)) }
//
//	func TestSomething(t *testing.T) {
//		dsn := server.NewDatabase(t)
//		…
//	}
package pgtest

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/uptrace/bun/driver/pgdriver"
)

// Server is a running PostgreSQL server. Its only user is a superuser who authenticates with a
// password (SCRAM), over TCP and over the socket in SocketDir; it does not speak TLS.
type Server struct {
	Host      string
	Port      int
	User      string
	Password  string
	SocketDir string

	dir       string
	bin       string
	proc      *process
	databases atomic.Int64
}

const (
	startTimeout = 30 * time.Second
	stopTimeout  = 10 * time.Second
	// portAttempts bounds how often another port is tried where someone else took the free one
	// between the look and the start.
	portAttempts = 5
)

// Run starts a server, stores it in *server, runs the tests and ends the server. It returns the
// exit code for os.Exit.
func Run(m *testing.M, server **Server) (code int) {
	s, err := Start()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() {
		if err := s.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}()
	*server = s
	return m.Run()
}

// Start starts a server, which takes about a second. Where PostgreSQL is not installed the error
// is one line that says what to install.
func Start() (*Server, error) {
	bin, err := findBinaries()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "pgtest-")
	if err != nil {
		return nil, fmt.Errorf("pgtest: %w", err)
	}
	s := &Server{Host: "127.0.0.1", User: "pgtest", Password: rand.Text(), SocketDir: dir, dir: dir, bin: bin}
	if err := s.init(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	for attempt := 1; ; attempt++ {
		if s.Port, err = freePort(); err == nil {
			err = s.launch()
		}
		if err == nil {
			return s, nil
		}
		if attempt == portAttempts || !strings.Contains(err.Error(), "Address already in use") {
			return nil, errors.Join(err, os.RemoveAll(dir))
		}
	}
}

// Stop ends the server and removes everything it made. Stopping again does nothing.
func (s *Server) Stop() error {
	return errors.Join(s.halt(), os.RemoveAll(s.dir))
}

// Restart crashes the server, breaking every connection, and starts it again on the same port and
// with everything that was committed.
func (s *Server) Restart() error {
	if err := s.halt(); err != nil {
		return err
	}
	return s.launch()
}

// DSN returns the URL of a database of the server.
func (s *Server) DSN(database string) string {
	u := url.URL{
		Scheme:   "postgres",
		User:     url.UserPassword(s.User, s.Password),
		Host:     net.JoinHostPort(s.Host, strconv.Itoa(s.Port)),
		Path:     "/" + database,
		RawQuery: "sslmode=disable",
	}
	return u.String()
}

// AdminDSN returns the URL of the database postgres, for creating roles and databases.
func (s *Server) AdminDSN() string { return s.DSN("postgres") }

// NewDatabase creates an empty database that is dropped when the test ends, open connections or
// not, and returns its URL.
func (s *Server) NewDatabase(tb testing.TB) string {
	tb.Helper()
	name := fmt.Sprintf("test_%d", s.databases.Add(1))
	if err := s.Exec(context.Background(), "CREATE DATABASE "+name); err != nil {
		tb.Fatalf("pgtest: creating a database: %v", err)
	}
	tb.Cleanup(func() {
		if s.proc == nil {
			return
		}
		if err := s.Exec(context.Background(), "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
			tb.Errorf("pgtest: dropping a database: %v", err)
		}
	})
	return s.DSN(name)
}

// Exec runs a statement in the database postgres.
func (s *Server) Exec(ctx context.Context, statement string) error {
	db := sql.OpenDB(pgdriver.NewConnector(pgdriver.WithDSN(s.AdminDSN())))
	_, err := db.ExecContext(ctx, statement)
	return errors.Join(err, db.Close())
}

// launch starts the server process on s.Port and returns when it answers.
func (s *Server) launch() error {
	proc, err := s.startProcess()
	if err != nil {
		return err
	}
	s.proc = proc
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := s.Exec(ctx, "SELECT 1")
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-proc.done:
			return errors.Join(fmt.Errorf("pgtest: postgres ended at its start:\n%s", s.log()), s.halt())
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("pgtest: postgres did not answer within %v: %w\n%s", startTimeout, err, s.log()), s.halt())
		}
	}
}

func (s *Server) halt() error {
	if s.proc == nil {
		return nil
	}
	err := s.proc.stop()
	s.proc = nil
	return err
}

func (s *Server) logFile() string { return filepath.Join(s.dir, "log") }

func (s *Server) log() string {
	text, err := os.ReadFile(s.logFile())
	if err != nil {
		return err.Error()
	}
	return string(text)
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("pgtest: no free port: %w", err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}
