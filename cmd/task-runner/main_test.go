package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/definition"
	"github.com/matih/pipeline-service/models/task"
	"github.com/matih/pipeline-service/worker/runner/connectortest"
)

var program string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "task-runner-test")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	program = filepath.Join(dir, "task-runner")
	if out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		panic(string(out))
	}
	return m.Run()
}

func newLab(t testing.TB) *connectortest.Lab {
	l := connectortest.NewLab(t)
	l.Program = []string{program}
	return l
}

func transformation(l *connectortest.Lab, sql string) task.Spec {
	return task.Spec{
		Task: "step", Kind: models.TaskTransformation, Output: l.NewDir("out") + "/rows",
		Transformation: &definition.Transformation{Name: "step", Type: definition.TransformSQL, SQL: &definition.SQLTransform{SQL: sql}},
	}
}

// endless is SQL that does not end while a test looks at it.
const endless = "SELECT count(*) AS n FROM range(1000000000000) AS a(i), range(1000) AS b(j) WHERE hash(i + j) = 1"

// started waits until a task is at work.
func started(t *testing.T, p *connectortest.Process) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for {
		m, err := p.Next(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if m.Log != nil && strings.Contains(m.Log.Message, "starts") {
			return
		}
	}
}

func within(t *testing.T, limit time.Duration, what string, do func()) {
	t.Helper()
	begun := time.Now()
	do()
	if took := time.Since(begun); took > limit {
		t.Errorf("%s took %s, at most %s is allowed", what, took, limit)
	}
}

func TestTaskFromStartToEnd(t *testing.T) {
	l := newLab(t)
	s := transformation(l, "SELECT 42 AS answer")
	out := l.Run(s)
	if out.Result == nil || out.Result.RowsOut != 1 || out.Result.BytesOut == 0 {
		t.Errorf("got %+v %v", out.Result, out.Failure)
	}
	if len(out.Logs) < 2 || !strings.Contains(out.Logs[0].Message, "step starts") || !strings.Contains(out.Logs[len(out.Logs)-1].Message, "1 rows") {
		t.Errorf("the log is %+v", out.Logs)
	}
}

// TestOrphanEndsAtOnce: when standard input ends, the parent is dead, whatever the process is doing.
func TestOrphanEndsAtOnce(t *testing.T) {
	l := newLab(t)
	s := transformation(l, endless)
	p := l.Start(s)
	started(t, p)
	if err := p.CloseStdin(); err != nil {
		t.Fatal(err)
	}
	within(t, 5*time.Second, "the orphan's end", func() {
		out, code := p.Wait()
		if code == 0 || out.Result != nil || out.Failure != nil {
			t.Errorf("code %d, %+v", code, out)
		}
	})
	if _, err := os.Stat(s.Output); err == nil {
		t.Error("an orphan left an output")
	}
}

func TestUnusedProcessEndsWithItsParent(t *testing.T) {
	cmd := exec.Command(program)
	cmd.Stdin = strings.NewReader("")
	out, err := cmd.Output()
	if err != nil || string(out) != "{\"ready\":true}\n" {
		t.Errorf("got %q, %v", out, err)
	}
}

func TestTermination(t *testing.T) {
	l := newLab(t)
	p := l.Start(transformation(l, endless))
	started(t, p)
	if err := p.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	within(t, 8*time.Second, "the end after SIGTERM", func() {
		out, code := p.Wait()
		if code != 0 || out.Failure == nil || !strings.Contains(out.Failure.Message, "stopped") {
			t.Errorf("code %d, %+v", code, out)
		}
	})
}

func TestTerminationWhileWaiting(t *testing.T) {
	cmd := exec.Command(program)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := bufio.NewReader(stdout).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

// TestBadSpecs end in a failure, not in a crash.
func TestBadSpecs(t *testing.T) {
	for name, line := range map[string]string{
		"no JSON":       "hello",
		"unknown field": `{"nonsense":1}`,
		"nothing to do": `{"kind":"source"}`,
		"unknown kind":  `{"kind":"dance"}`,
		"no directory":  `{"kind":"transformation","transformation":{"type":"sql_transform","sql_transform":{"sql":"select 1"}},"output":"relative"}`,
		"deep":          strings.Repeat("[", 100_000),
	} {
		t.Run(name, func(t *testing.T) {
			cmd := exec.Command(program)
			stdin, err := cmd.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			defer stdin.Close()
			stdout, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			if _, err := io.WriteString(stdin, line+"\n"); err != nil {
				t.Fatal(err)
			}
			var last task.Message
			scanner := bufio.NewScanner(stdout)
			for scanner.Scan() {
				last = task.Message{}
				if err := json.Unmarshal(scanner.Bytes(), &last); err != nil {
					t.Error(err)
				}
			}
			if err := cmd.Wait(); err != nil || last.Failure == nil {
				t.Errorf("%v, last message %+v", err, last)
			}
		})
	}
}

// TestLogsCannotBeForged: line ends and colours in names are escaped.
func TestLogsCannotBeForged(t *testing.T) {
	l := newLab(t)
	s := transformation(l, "SELECT 1 AS a")
	s.Task = "step\r\n\x1b[31mERROR all is lost\u202e"
	out := l.Run(s)
	for _, line := range out.Logs {
		if strings.ContainsAny(line.Message, "\r\n\x1b\u202e") {
			t.Errorf("the log holds %q", line.Message)
		}
	}
}

func TestHelp(t *testing.T) {
	out, err := exec.Command(program, "--help").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--allow-missing-landlock") && !strings.Contains(string(out), "-allow-missing-landlock") {
		t.Errorf("%v: %s", err, out)
	}
	var exit *exec.ExitError
	if err := exec.Command(program, "unexpected").Run(); !errors.As(err, &exit) || exit.ExitCode() != 2 {
		t.Errorf("an unexpected argument: %v", err)
	}
}

// BenchmarkReady is the time from start to ready; the median is what counts.
func BenchmarkReady(b *testing.B) {
	var times []time.Duration
	for b.Loop() {
		cmd := exec.Command(program)
		stdin, err := cmd.StdinPipe()
		if err != nil {
			b.Fatal(err)
		}
		stdout, err := cmd.StdoutPipe()
		if err != nil {
			b.Fatal(err)
		}
		begun := time.Now()
		if err := cmd.Start(); err != nil {
			b.Fatal(err)
		}
		if _, err := bufio.NewReader(stdout).ReadString('\n'); err != nil {
			b.Fatal(err)
		}
		times = append(times, time.Since(begun))
		_ = stdin.Close()
		_ = cmd.Wait()
	}
	slices.Sort(times)
	b.ReportMetric(float64(times[len(times)/2].Microseconds())/1000, "ms-to-ready(median)")
}
