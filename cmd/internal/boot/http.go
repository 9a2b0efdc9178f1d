package boot

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

const (
	headerTimeout = 10 * time.Second
	idleTimeout   = 2 * time.Minute
	// drainTimeout is how long requests may go on after the server was told to stop.
	drainTimeout   = 5 * time.Second
	maxHeaderBytes = 64 << 10
)

// HTTPServer serves one handler on one listener until it is stopped.
type HTTPServer struct {
	server *http.Server
	failed chan error
	cancel context.CancelFunc
}

// ServeHTTP starts to serve. How long a body may take is the handler's to bound; how long an answer takes is not
// bounded, because logs can be followed.
func ServeHTTP(l net.Listener, handler http.Handler, log *slog.Logger) *HTTPServer {
	ctx, cancel := context.WithCancel(context.Background())
	s := &HTTPServer{
		failed: make(chan error, 1),
		cancel: cancel,
		server: &http.Server{
			Handler:           handler,
			ReadHeaderTimeout: headerTimeout,
			IdleTimeout:       idleTimeout,
			MaxHeaderBytes:    maxHeaderBytes,
			ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
			BaseContext:       func(net.Listener) context.Context { return ctx },
		},
	}
	go func() {
		if err := s.server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			s.failed <- fmt.Errorf("http server: %w", err)
		}
	}()
	return s
}

// Failed tells when the server has ended by itself.
func (s *HTTPServer) Failed() <-chan error { return s.failed }

// Stop takes no more requests, gives those that run a moment and then ends them.
func (s *HTTPServer) Stop() {
	defer s.cancel()
	ctx, cancel := context.WithTimeout(context.Background(), drainTimeout)
	defer cancel()
	if err := s.server.Shutdown(ctx); err != nil {
		s.cancel() // what still runs follows something; it ends with its context
		_ = s.server.Close()
	}
}

// URL is how a client on this machine reaches what listens on an address.
func URL(a net.Addr) string {
	host, port, err := net.SplitHostPort(a.String())
	if err != nil {
		return "http://" + a.String()
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return "http://" + net.JoinHostPort(host, port)
}
