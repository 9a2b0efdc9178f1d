// Package harness builds and starts the real programs for end-to-end tests and benchmarks, and
// speaks /v1 to them as a user's client does.
package harness

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// startTimeout is how long standalone may take to be ready on a busy machine.
const startTimeout = 60 * time.Second

// stopTimeout is how long a graceful shutdown may take.
const stopTimeout = 60 * time.Second

// Build compiles programs (such as standalone, task-runner) from this module into dir.
func Build(ctx context.Context, dir string, programs ...string) error {
	for _, name := range programs {
		cmd := exec.CommandContext(ctx, "go", "build", "-o", filepath.Join(dir, name), "github.com/matih/pipeline-service/cmd/"+name)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("build %s: %w\n%s", name, err, out)
		}
	}
	return nil
}

// Addresses is the content of standalone.json.
type Addresses struct {
	API      string `json:"api"`
	UI       string `json:"ui"`
	Temporal string `json:"temporal"`
	JWKS     string `json:"jwks"`
}

// Standalone is a started bin/standalone on ports of its own choice.
type Standalone struct {
	Addresses
	// Bin is the directory of the programs, DataDir that of the data.
	Bin, DataDir string
	args         []string
	cmd          *exec.Cmd
	output       *output
	exited       chan struct{}
}

// StartStandalone starts bin/standalone with further arguments and waits until it is ready.
func StartStandalone(ctx context.Context, bin, dataDir string, args ...string) (*Standalone, error) {
	s := &Standalone{Bin: bin, DataDir: dataDir, args: args}
	return s, s.Start(ctx)
}

// Start starts the program again on the same data, after Stop or Kill.
func (s *Standalone) Start(ctx context.Context) error {
	ready := filepath.Join(s.DataDir, "standalone.json")
	if err := os.Remove(ready); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	args := append([]string{"--data-dir", s.DataDir, "--listen", "127.0.0.1:0", "--ui", "127.0.0.1:0", "--temporal", "127.0.0.1:0"}, s.args...)
	s.cmd = exec.Command(filepath.Join(s.Bin, "standalone"), args...)
	s.output = &output{}
	s.cmd.Stdout, s.cmd.Stderr = s.output, s.output
	if err := s.cmd.Start(); err != nil {
		return err
	}
	exited := make(chan struct{})
	s.exited = exited
	go func(cmd *exec.Cmd) {
		_ = cmd.Wait()
		close(exited)
	}(s.cmd)
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	err := Until(ctx, func() (bool, error) {
		select {
		case <-s.exited:
			return false, errors.New("standalone ended at once")
		default:
		}
		content, err := os.ReadFile(ready)
		if err != nil {
			return false, nil
		}
		return true, json.Unmarshal(content, &s.Addresses)
	})
	if err != nil {
		s.Kill()
		return fmt.Errorf("standalone is not ready: %w\n%s", err, s.Output())
	}
	return nil
}

// Pid is the process id.
func (s *Standalone) Pid() int { return s.cmd.Process.Pid }

// Kill ends the program as kill -9 does.
func (s *Standalone) Kill() {
	_ = s.cmd.Process.Kill()
	<-s.exited
}

// Stop asks the program to end and waits for it.
func (s *Standalone) Stop() error {
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.exited:
		return nil
	case <-time.After(stopTimeout):
		s.Kill()
		return fmt.Errorf("standalone did not end in %s\n%s", stopTimeout, s.Output())
	}
}

// Output is what the program has printed.
func (s *Standalone) Output() string { return s.output.String() }

// Token returns a JWT for a subject of a tenant, who may be in groups, made by the token subcommand.
func (s *Standalone) Token(ctx context.Context, tenant, subject, roles string, groups ...string) (string, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(s.Bin, "standalone"), "token", "--data-dir", s.DataDir,
		"--tenant", tenant, "--subject", subject, "--roles", roles, "--groups", strings.Join(groups, ","), "--ttl", "4h")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("token: %w: %s", err, stderr.String())
	}
	return strings.TrimSpace(string(out)), nil
}

// Until asks a condition every few milliseconds until it holds, fails, or the context ends.
func Until(ctx context.Context, condition func() (bool, error)) error {
	return every(ctx, 10*time.Millisecond, condition)
}

func every(ctx context.Context, interval time.Duration, condition func() (bool, error)) error {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		ok, err := condition()
		if err != nil || ok {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// output collects what a program prints.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write collects.
func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(b)
}

// String returns what was collected.
func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}
