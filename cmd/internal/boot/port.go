package boot

import (
	"errors"
	"fmt"
	"net"
	"syscall"
)

// FreePort returns a TCP port of 127.0.0.1 that nothing listens on. For about a minute the kernel gives it to nobody
// who asks for any port, so it stays free for who listens on it by its number.
func FreePort() (port int, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("free port: %w", err)
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	// A connection that the listening side closes first leaves the port in TIME_WAIT.
	dialed, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		return 0, fmt.Errorf("free port: %w", err)
	}
	defer func() { err = errors.Join(err, dialed.Close()) }()
	accepted, err := l.Accept()
	if err != nil {
		return 0, fmt.Errorf("free port: %w", err)
	}
	return l.Addr().(*net.TCPAddr).Port, accepted.Close()
}

// ListenError explains why an address cannot be listened on in words that say what to do.
func ListenError(address string, err error) error {
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("%s is in use by another program: give another address (port 0 picks a free one)", address)
	}
	return fmt.Errorf("cannot listen on %s: %w", address, err)
}
