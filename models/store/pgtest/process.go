package pgtest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"
)

// errNotInstalled is the one line that a machine without PostgreSQL gets to read.
var errNotInstalled = errors.New("pgtest: PostgreSQL is not installed: these tests need its server, on Debian: apt-get install postgresql")

// findBinaries returns the directory with postgres and initdb: PATH first, then where Debian
// keeps them, the newest release first.
func findBinaries() (string, error) {
	if path, err := exec.LookPath("postgres"); err == nil {
		// What is in PATH may be a link to postgres alone, without its companions.
		if path, err = filepath.EvalSymlinks(path); err == nil {
			return filepath.Dir(path), nil
		}
	}
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if err != nil || len(found) == 0 {
		return "", errNotInstalled
	}
	newest := slices.MaxFunc(found, func(a, b string) int { return release(a) - release(b) })
	return filepath.Dir(newest), nil
}

// release reads the 15 of /usr/lib/postgresql/15/bin/postgres.
func release(path string) int {
	n, err := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path))))
	if err != nil {
		return 0
	}
	return n
}

// init makes the server's data directory.
func (s *Server) init() error {
	account, err := s.account()
	if err != nil {
		return err
	}
	passwordFile := filepath.Join(s.dir, "password")
	if err := os.WriteFile(passwordFile, []byte(s.Password), 0o600); err != nil {
		return fmt.Errorf("pgtest: %w", err)
	}
	if account != nil {
		for _, path := range []string{s.dir, passwordFile} {
			if err := os.Chown(path, int(account.Uid), int(account.Gid)); err != nil {
				return fmt.Errorf("pgtest: %w", err)
			}
		}
	}
	initdb := exec.Command(filepath.Join(s.bin, "initdb"), "--pgdata", s.dataDir(),
		"--username", s.User, "--pwfile", passwordFile, "--auth", "scram-sha-256",
		"--encoding", "UTF8", "--locale", "C.UTF-8", "--no-sync", "--no-instructions")
	initdb.Dir = s.dir
	initdb.SysProcAttr = &syscall.SysProcAttr{Credential: account}
	if out, err := initdb.CombinedOutput(); err != nil {
		return fmt.Errorf("pgtest: initdb: %w\n%s", err, out)
	}
	return nil
}

func (s *Server) dataDir() string { return filepath.Join(s.dir, "data") }

// account is the user the server runs as; nil keeps ours. PostgreSQL refuses to run as root.
func (s *Server) account() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, errUID := strconv.ParseUint(u.Uid, 10, 32)
		gid, errGID := strconv.ParseUint(u.Gid, 10, 32)
		if err := errors.Join(errUID, errGID); err != nil {
			return nil, fmt.Errorf("pgtest: user %s: %w", name, err)
		}
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
	}
	return nil, errors.New("pgtest: PostgreSQL does not run as root, and there is neither a user postgres nor nobody")
}

// process is a running postmaster and the watcher that ends it should this process die.
type process struct {
	cmd     *exec.Cmd
	done    chan struct{} // closed when the postmaster has ended
	watcher *exec.Cmd     // holds our end of its standard input, too
}

// watch waits for the end of its standard input, which comes when the process that holds the other
// end dies in whatever way: a panic, a test timeout, kill -9. Then it ends the postmaster ($1),
// waits for it for up to ten seconds and removes its directory ($2). A parent-death signal would not do: it is
// tied to the thread that started the child, and it would leave the directory behind.
const watch = `
while read -r _; do :; done
kill -QUIT "$1" 2>/dev/null
n=0
while kill -0 "$1" 2>/dev/null && [ $n -lt 100 ]; do sleep 0.1; n=$((n+1)); done
rm -rf -- "$2"`

func (s *Server) startProcess() (*process, error) {
	account, err := s.account()
	if err != nil {
		return nil, err
	}
	log, err := os.Create(s.logFile())
	if err != nil {
		return nil, fmt.Errorf("pgtest: %w", err)
	}
	defer log.Close()

	args := []string{"-D", s.dataDir()}
	for _, setting := range []string{
		"listen_addresses=" + s.Host,
		"port=" + strconv.Itoa(s.Port),
		"unix_socket_directories=" + s.SocketDir,
		"ssl=off",
		"max_connections=200",
		// Nothing here outlives the test, so nothing needs to survive a crash of the machine; what
		// is committed survives a crash of the server all the same, see Restart.
		"fsync=off", "full_page_writes=off",
	} {
		args = append(args, "-c", setting)
	}
	p := &process{done: make(chan struct{})}
	p.cmd = exec.Command(filepath.Join(s.bin, "postgres"), args...)
	p.cmd.Dir = s.dir
	p.cmd.Stdout, p.cmd.Stderr = log, log
	// A group of its own keeps an interrupt of the test away from the server: ending it is ours or
	// the watcher's to do.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Credential: account, Setpgid: true}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("pgtest: %w", err)
	}
	go func() {
		defer close(p.done)
		// How it ended is in its log; that it ended is what counts here.
		_ = p.cmd.Wait()
	}()

	p.watcher = exec.Command("/bin/sh", "-c", watch, "pgtest-watch", strconv.Itoa(p.cmd.Process.Pid), s.dir)
	p.watcher.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if _, err = p.watcher.StdinPipe(); err == nil {
		err = p.watcher.Start()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("pgtest: starting the watcher: %w", err), p.end())
	}
	return p, nil
}

// stop ends the watcher, then the postmaster.
func (p *process) stop() error {
	// The watcher goes first and by force, or it would take the closed pipe for our death.
	errKill := p.watcher.Process.Kill()
	_ = p.watcher.Wait() // always "signal: killed"
	return errors.Join(errKill, p.end())
}

// end tells the postmaster to shut down at once, and sees to it that it does.
func (p *process) end() error {
	select {
	case <-p.done:
		return nil
	default:
	}
	if err := p.cmd.Process.Signal(syscall.SIGQUIT); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("pgtest: %w", err)
	}
	select {
	case <-p.done:
		return nil
	case <-time.After(stopTimeout):
		return errors.Join(fmt.Errorf("pgtest: postgres did not end within %v", stopTimeout), p.cmd.Process.Kill())
	}
}
