// Package temporald is a Temporal server with its Web UI inside this process, on one SQLite file. It serves
// one machine: one history shard, one writer.
package temporald

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/server/common/authorization"
	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/membership/static"
	"go.temporal.io/server/common/primitives"
	"go.temporal.io/server/temporal"
)

// Namespace is the one namespace the server makes.
const Namespace = "default"

// Config says where the server keeps its data and where it listens.
type Config struct {
	// Database is the path of the SQLite file, made where it does not exist.
	Database string
	// Listen is the host:port of the gRPC frontend; port 0 picks one.
	Listen string
	// UI is the host:port of the Web UI; port 0 picks one, "" leaves the UI out.
	UI string
	// Retention is how long the histories of closed workflows are kept; it counts when the
	// database is made.
	Retention time.Duration
	// SearchAttributes are the keyword search attributes the namespace gets when it is made.
	SearchAttributes []string
	// Log gets the server's errors, and at level Debug all it says.
	Log *slog.Logger
}

// Server is a running Temporal server.
type Server struct {
	server  temporal.Server
	ui      *webUI
	log     *logger
	address string
}

// Start starts the server and returns when it answers. The caller must Stop it.
func Start(ctx context.Context, c Config) (*Server, error) {
	frontend, err := listenAddress(c.Listen)
	if err != nil {
		return nil, fmt.Errorf("temporal: %w", err)
	}
	if err := makeDatabase(ctx, c.Database); err != nil {
		return nil, err
	}
	conf, err := serverConfig(c.Database, frontend)
	if err != nil {
		return nil, err
	}
	if err := makeNamespace(conf, c); err != nil {
		return nil, err
	}
	s := &Server{log: newLogger(c.Log), address: frontend.String()}
	s.server, err = temporal.NewServer(
		temporal.WithConfig(conf),
		temporal.ForServices(temporal.DefaultServices),
		temporal.WithStaticHosts(staticHosts(conf)),
		temporal.WithDynamicConfigClient(dynamicConfig()),
		temporal.WithAuthorizer(authorization.NewNoopAuthorizer()),
		temporal.WithClaimMapper(func(*config.Config) authorization.ClaimMapper {
			return authorization.NewNoopClaimMapper()
		}),
		temporal.WithLogger(s.log),
	)
	if err != nil {
		return nil, fmt.Errorf("temporal: %w", err)
	}
	if err := s.server.Start(); err != nil {
		return nil, fmt.Errorf("temporal: %w", errors.Join(err, s.stopServer()))
	}
	if err := s.waitReady(ctx); err != nil {
		return nil, errors.Join(err, s.stopServer())
	}
	if c.UI != "" {
		if s.ui, err = startUI(ctx, c.UI, s.address); err != nil {
			return nil, errors.Join(err, s.stopServer())
		}
	}
	return s, nil
}

// Address is the host:port clients dial.
func (s *Server) Address() string { return s.address }

// UIAddress is the host:port of the Web UI, "" without one.
func (s *Server) UIAddress() string {
	if s.ui == nil {
		return ""
	}
	return s.ui.address
}

// Stop ends the UI and then the server. Workers and clients should have ended before.
func (s *Server) Stop() error {
	if s.ui != nil {
		s.ui.stop()
	}
	return s.stopServer()
}

func (s *Server) stopServer() error {
	// Services that stop one after another report each other's absence as errors.
	s.log.mute()
	return s.server.Stop()
}

// waitReady dials the frontend until it answers: its port opens a little before its handlers do.
func (s *Server) waitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		c, err := client.DialContext(ctx, client.Options{HostPort: s.address, Namespace: Namespace, Logger: s.log.quiet()})
		if err == nil {
			c.Close()
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("temporal does not answer at %s: %w", s.address, err)
		case <-tick.C:
		}
	}
}

// staticHosts tells every service where the others are: all in this process, on the ports of conf.
func staticHosts(conf *config.Config) map[primitives.ServiceName]static.Hosts {
	hosts := make(map[primitives.ServiceName]static.Hosts, len(conf.Services))
	for name, service := range conf.Services {
		address := net.JoinHostPort(loopback, fmt.Sprint(service.RPC.GRPCPort))
		hosts[primitives.ServiceName(name)] = static.SingleLocalHost(address)
	}
	return hosts
}
