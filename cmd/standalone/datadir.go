package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// dataDir is the directory of a standalone, locked for this process.
type dataDir struct {
	path string
	lock *os.File
}

// addresses is what standalone.json holds: where the parts of a running standalone are.
type addresses struct {
	API      string `json:"api"`      // URL
	UI       string `json:"ui"`       // URL
	JWKS     string `json:"jwks"`     // URL
	Temporal string `json:"temporal"` // host:port
}

// openDataDir makes the directory where it does not exist and locks it. The lock ends with the process, however
// that ends.
func openDataDir(path string) (*dataDir, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("--data-dir: %w", err)
	}
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("--data-dir: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(path, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("--data-dir: %w", err)
	}
	d := &dataDir{path: path, lock: lock}
	if err := d.acquire(); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	// What a killed process left behind leads nowhere.
	if err := d.forget(); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return d, nil
}

func (d *dataDir) acquire() error {
	err := unix.Flock(int(d.lock.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		holder := "another process"
		if pid, err := os.ReadFile(d.lock.Name()); err == nil && len(pid) > 0 {
			holder = "process " + strings.TrimSpace(string(pid))
		}
		return fmt.Errorf("the data directory %s is in use by %s: stop that one or give another --data-dir", d.path, holder)
	}
	if err != nil {
		return fmt.Errorf("locking %s: %w", d.lock.Name(), err)
	}
	if err := d.lock.Truncate(0); err != nil {
		return fmt.Errorf("locking: %w", err)
	}
	if _, err := fmt.Fprintln(d.lock, os.Getpid()); err != nil {
		return fmt.Errorf("locking: %w", err)
	}
	return nil
}

// join is the path of something in the directory.
func (d *dataDir) join(name string) string { return filepath.Join(d.path, name) }

// orIn is path, or the named directory in this one where path is empty, made if need be.
func (d *dataDir) orIn(path, name string) (string, error) {
	if path != "" {
		return filepath.Abs(path)
	}
	path = d.join(name)
	return path, os.MkdirAll(path, 0o700)
}

// close unlocks the directory.
func (d *dataDir) close() error { return d.lock.Close() }

// addressFile tells other programs where this one's parts are.
const addressFile = "standalone.json"

// announce writes the address file, whole or not at all.
func (d *dataDir) announce(a addresses) error {
	content, err := json.MarshalIndent(a, "", "  ")
	if err != nil {
		return err
	}
	draft := d.join(addressFile + ".new")
	if err := os.WriteFile(draft, append(content, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(draft, d.join(addressFile))
}

// forget removes the address file.
func (d *dataDir) forget() error {
	if err := os.Remove(d.join(addressFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
