// Command apifuzz sends a started standalone what schemathesis makes of the published OpenAPI document: every operation
// with good and bad data, and operations in sequences. An answer of 500 and above, a status or a body that the document
// does not tell of, and bad data that is accepted are failures.
package main

import (
	"context"
	_ "embed"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/matih/pipeline-service/cmd/internal/harness"
)

//go:embed requirements.txt
var requirements string

const tenant = "11111111-2222-4333-8444-555555555555"

// tolerated are checks that the document cannot satisfy: what a JSON Schema allows may still name a connection that is
// not there, or a date that does not exist.
const tolerated = "positive_data_acceptance"

// seeds is how many pipelines there are for operations to meet.
const seeds = 30

func main() {
	bin := flag.String("bin", "bin", "directory of the built programs")
	venv := flag.String("venv", ".schemathesis", "directory of schemathesis, made where it is missing")
	examples := flag.Int("examples", 25, "most cases an operation and phase")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, *bin, *venv, *examples, flag.Args())
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "apifuzz:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, bin, venv string, examples int, more []string) error {
	tool, err := install(ctx, venv)
	if err != nil {
		return err
	}
	root, err := os.MkdirTemp("", "apifuzz-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(root) }()
	if bin, err = filepath.Abs(bin); err != nil {
		return err
	}
	s, err := harness.StartStandalone(ctx, bin, filepath.Join(root, "data"), "--rate-limit", "0", "--log-level", "error",
		"--max-open-executions", "0", "--max-pipelines", "0", "--local-root", root)
	if err != nil {
		return err
	}
	defer func() { _ = s.Stop() }()
	c, err := s.Client(ctx, tenant, "apifuzz", "ADMIN")
	if err != nil {
		return err
	}
	config, err := seed(ctx, c, root)
	if err != nil {
		return err
	}
	path := filepath.Join(root, "schemathesis.toml")
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, tool, append([]string{
		"--config-file", path, "run", s.API + "/openapi.json", "-u", s.API,
		"-H", "Authorization: Bearer " + c.Token, "-H", "X-Tenant-ID: " + tenant,
		"--exclude-path-regex", "^/v1/airflow/", // which answers that there is none, with a 503
		"--workers", "2", "--max-examples", fmt.Sprint(examples), "--exclude-checks", tolerated, "--continue-on-failure",
	}, more...)...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = root, os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("schemathesis: %w", err)
	}
	return nil
}

// install makes a virtual environment with schemathesis in it, where there is none of this version.
func install(ctx context.Context, venv string) (tool string, err error) {
	if venv, err = filepath.Abs(venv); err != nil {
		return "", err
	}
	tool = filepath.Join(venv, "bin", "schemathesis")
	mark := filepath.Join(venv, "installed")
	if done, err := os.ReadFile(mark); err == nil && string(done) == requirements {
		return tool, nil
	}
	fmt.Fprintln(os.Stderr, "apifuzz: installing schemathesis …")
	pins := filepath.Join(venv, "requirements.txt")
	if err := command(ctx, "python3", "-m", "venv", venv); err != nil {
		return "", fmt.Errorf("a Python environment (on Debian: apt-get install python3-venv): %w", err)
	}
	if err := os.WriteFile(pins, []byte(requirements), 0o600); err != nil {
		return "", err
	}
	if err := command(ctx, filepath.Join(venv, "bin", "pip"), "install", "--quiet", "--disable-pip-version-check", "-r", pins); err != nil {
		return "", fmt.Errorf("schemathesis: %w", err)
	}
	return tool, os.WriteFile(mark, []byte(requirements), 0o600)
}

func command(ctx context.Context, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	return cmd.Run()
}

// seed makes what operations can meet, and a configuration that names it beside ids that do not exist.
func seed(ctx context.Context, c *harness.Client, dir string) (string, error) {
	ids := map[string][]string{}
	connection, err := c.CreateConnection(ctx, map[string]any{"name": "files", "type": "local", "properties": map[string]any{"path": dir}})
	if err != nil {
		return "", err
	}
	ids["connectionId"] = append(ids["connectionId"], connection)
	for i := range seeds {
		file := map[string]any{"type": "cloud_storage", "connection": "files", "format": "csv"}
		pipeline, err := c.CreatePipeline(ctx, fmt.Sprintf("seed-%d", i), map[string]any{
			"sources": map[string]any{"one": with(file, "pattern", "none.csv")},
			"sinks":   map[string]any{"out": with(file, "prefix", fmt.Sprintf("out-%d/", i))},
		})
		if err != nil {
			return "", err
		}
		execution, err := c.Execute(ctx, pipeline, nil)
		if err != nil {
			return "", err
		}
		var s struct{ ScheduleID string }
		err = c.JSON(ctx, http.MethodPost, "/v1/pipelines/schedules",
			map[string]any{"pipelineId": pipeline, "cronExpression": "@yearly"}, http.StatusCreated, &s)
		if err != nil {
			return "", err
		}
		var b struct{ BackfillID string }
		err = c.JSON(ctx, http.MethodPost, "/v1/pipelines/"+pipeline+"/backfills",
			map[string]any{"from": "2026-01-01T00:00:00Z", "to": "2026-01-03T00:00:00Z", "cron": "@daily"}, http.StatusAccepted, &b)
		if err != nil {
			return "", err
		}
		ids["pipelineId"] = append(ids["pipelineId"], pipeline)
		ids["executionId"] = append(ids["executionId"], execution)
		ids["workflowId"] = append(ids["workflowId"], execution)
		ids["scheduleId"] = append(ids["scheduleId"], s.ScheduleID)
		ids["backfillId"] = append(ids["backfillId"], b.BackfillID)
	}
	var config strings.Builder
	config.WriteString("[parameters]\n")
	for name, values := range ids {
		fmt.Fprintf(&config, "\"path.%s\" = [\"%s\"]\n", name, strings.Join(values, `", "`))
	}
	return config.String(), nil
}

// with returns an object with one more field.
func with(base map[string]any, key string, value any) map[string]any {
	out := map[string]any{key: value}
	for k, v := range base {
		out[k] = v
	}
	return out
}
