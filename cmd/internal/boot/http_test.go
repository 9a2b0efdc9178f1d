package boot_test

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/matih/pipeline-service/cmd/internal/boot"
)

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	return l
}

func TestStopLetsRequestsEnd(t *testing.T) {
	arrived, release := make(chan struct{}), make(chan struct{})
	l := listen(t)
	s := boot.ServeHTTP(l, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(arrived)
		<-release
		_, _ = io.WriteString(w, "done")
	}), slog.New(slog.DiscardHandler))
	answer := make(chan string)
	go func() {
		response, err := http.Get(boot.URL(l.Addr()))
		if err != nil {
			answer <- err.Error()
			return
		}
		body, _ := io.ReadAll(response.Body)
		_ = response.Body.Close()
		answer <- string(body)
	}()
	<-arrived
	stopped := make(chan struct{})
	go func() { s.Stop(); close(stopped) }()
	require.Eventually(t, func() bool {
		conn, err := net.Dial("tcp", l.Addr().String())
		if err == nil {
			_ = conn.Close()
		}
		return err != nil
	}, 5*time.Second, time.Millisecond, "no more requests are taken")
	close(release)
	require.Equal(t, "done", <-answer)
	<-stopped
}

func TestStopEndsWhatDoesNotEnd(t *testing.T) {
	arrived, ended := make(chan struct{}), make(chan struct{})
	l := listen(t)
	s := boot.ServeHTTP(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush()
		close(arrived)
		<-r.Context().Done()
		close(ended)
	}), slog.New(slog.DiscardHandler))
	go func() {
		if response, err := http.Get(boot.URL(l.Addr())); err == nil {
			_, _ = io.Copy(io.Discard, response.Body)
			_ = response.Body.Close()
		}
	}()
	<-arrived
	s.Stop()
	<-ended
}

func TestAServerThatEndsByItselfTells(t *testing.T) {
	l := listen(t)
	s := boot.ServeHTTP(l, http.NotFoundHandler(), slog.New(slog.DiscardHandler))
	require.NoError(t, l.Close())
	require.Error(t, <-s.Failed())
	s.Stop()
}

func TestURL(t *testing.T) {
	for listen, want := range map[string]string{
		"127.0.0.1:80": "http://127.0.0.1:80", "0.0.0.0:80": "http://127.0.0.1:80",
		"[::]:80": "http://127.0.0.1:80", "[::1]:80": "http://[::1]:80",
	} {
		address, err := net.ResolveTCPAddr("tcp", listen)
		require.NoError(t, err)
		require.Equal(t, want, boot.URL(address))
	}
}

func TestFreePortsAreFreeAndDiffer(t *testing.T) {
	seen := map[int]bool{}
	for range 50 {
		port, err := boot.FreePort()
		require.NoError(t, err)
		require.False(t, seen[port], "a port is given once")
		seen[port] = true
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		require.NoError(t, err)
		_, err = net.Listen("tcp", l.Addr().String())
		require.ErrorContains(t, boot.ListenError(l.Addr().String(), err), "is in use by another program")
		require.NoError(t, l.Close())
	}
	require.ErrorContains(t, boot.ListenError("host:1", errors.New("no route")), "cannot listen on host:1")
}
