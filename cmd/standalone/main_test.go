package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/matih/pipeline-service/cmd/internal/harness"
)

const tenant = "11111111-2222-4333-8444-555555555555"

// bin holds the programs, built once.
var bin string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "standalone-bin-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	bin = dir
	if err := harness.Build(context.Background(), bin, "standalone", "task-runner"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// start starts the program on a data directory; the test's end stops it.
func start(t *testing.T, dataDir string, args ...string) *harness.Standalone {
	t.Helper()
	began := time.Now()
	s, err := harness.StartStandalone(t.Context(), bin, dataDir, args...)
	require.NoError(t, err)
	t.Logf("ready after %s", time.Since(began).Round(time.Millisecond))
	t.Cleanup(func() { require.NoError(t, s.Stop()) })
	return s
}

func user(t *testing.T, s *harness.Standalone) *harness.Client {
	t.Helper()
	c, err := s.Client(t.Context(), tenant, "ada", "DATA_ENGINEER")
	require.NoError(t, err)
	return c
}

// command runs the program to its end and returns its exit code and what it printed.
func command(t *testing.T, env []string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(bin, "standalone"), args...)
	cmd.Env = append(os.Environ(), env...)
	var out, complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaint
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		require.NoError(t, err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), complaint.String()
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	response, err := http.Get(url)
	require.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response.StatusCode, string(body)
}

func TestReadyAndGone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	s := start(t, dir)

	content, err := os.ReadFile(filepath.Join(dir, "standalone.json"))
	require.NoError(t, err)
	var keys map[string]string
	require.NoError(t, json.Unmarshal(content, &keys))
	require.Len(t, keys, 4)
	require.Equal(t, keys["api"]+"/.well-known/jwks.json", keys["jwks"])

	for _, url := range []string{keys["ui"], keys["jwks"], keys["api"] + "/healthz", keys["api"] + "/readyz", keys["api"] + "/docs"} {
		status, _ := get(t, url)
		require.Equal(t, http.StatusOK, status, url)
	}
	_, keySet := get(t, keys["jwks"])
	require.Contains(t, keySet, `"alg":"ES256"`)
	require.NotContains(t, keySet, `"d":`, "the private key stays where it is")
	for _, said := range append([]string{"127.0.0.0/8"}, keys["ui"], keys["api"]+"/docs", keys["temporal"]) {
		require.Contains(t, s.Output(), said)
	}

	require.NoError(t, s.Stop())
	require.NoFileExists(t, filepath.Join(dir, "standalone.json"))
}

func TestEverythingOutlivesStopAndKill(t *testing.T) {
	data, files := filepath.Join(t.TempDir(), "data"), t.TempDir()
	s := start(t, data, "--local-root", files)
	c := user(t, s)
	id, err := c.CreateConnection(t.Context(), map[string]any{
		"name": "files", "type": "local", "properties": map[string]any{"path": files},
	})
	require.NoError(t, err)

	for name, end := range map[string]func(){
		"stop": func() { require.NoError(t, s.Stop()) },
		"kill": s.Kill,
	} {
		end()
		require.NoError(t, s.Start(t.Context()), name)
		c.Base = s.API // the token is the one of the first start
		var list struct {
			Connections []struct {
				ID string `json:"connectionId"`
			} `json:"connections"`
		}
		require.NoError(t, c.JSON(t.Context(), http.MethodGet, "/v1/pipelines/connections", nil, http.StatusOK, &list), name)
		require.Len(t, list.Connections, 1, name)
		require.Equal(t, id, list.Connections[0].ID, name)
	}
}

func TestOneStandaloneADataDirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	s := start(t, dir)
	code, _, complaint := command(t, nil, "--data-dir", dir, "--listen", "127.0.0.1:0", "--ui", "127.0.0.1:0", "--temporal", "127.0.0.1:0")
	require.Equal(t, 1, code)
	require.Contains(t, complaint, fmt.Sprintf("is in use by process %d", s.Pid()))
	status, _ := get(t, s.API+"/readyz")
	require.Equal(t, http.StatusOK, status, "the first one goes on")
	require.FileExists(t, filepath.Join(dir, "standalone.json"))
}

func TestMistakesAreToldAtOnce(t *testing.T) {
	s := start(t, filepath.Join(t.TempDir(), "data"))
	free := []string{"--data-dir", filepath.Join(t.TempDir(), "other"), "--listen", "127.0.0.1:0", "--ui", "127.0.0.1:0", "--temporal", "127.0.0.1:0"}
	for name, c := range map[string]struct {
		env  []string
		args []string
		says string
	}{
		"API address taken":      {args: []string{"--listen", strings.TrimPrefix(s.API, "http://")}, says: "is in use by another program"},
		"UI address taken":       {args: []string{"--ui", strings.TrimPrefix(s.UI, "http://")}, says: "web UI: " + strings.TrimPrefix(s.UI, "http://") + " is in use"},
		"Temporal address taken": {args: []string{"--temporal", s.Temporal}, says: "temporal: " + s.Temporal + " is in use"},
		"no such root":           {args: []string{"--local-root", "/no/such/directory"}, says: "there is no directory /no/such/directory"},
		"no task runner":         {args: []string{"--task-runner", "/no/such/program"}, says: "there is no program at /no/such/program"},
		"bad environment":        {env: []string{"PIPELINE_RATE_LIMIT=fast"}, says: "PIPELINE_RATE_LIMIT"},
		"bad level":              {args: []string{"--log-level", "loud"}, says: `"loud" is none of debug, info, warn, error`},
	} {
		t.Run(name, func(t *testing.T) {
			code, _, complaint := command(t, c.env, append(free, c.args...)...)
			require.Equal(t, 1, code)
			require.Contains(t, complaint, c.says)
			require.NoFileExists(t, filepath.Join(free[1], "standalone.json"))
		})
	}
}

func TestTokenCommand(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	code, _, complaint := command(t, nil, "token", "--data-dir", dir, "--tenant", tenant, "--subject", "ada", "--roles", "VIEWER")
	require.Equal(t, 1, code)
	require.Contains(t, complaint, "start standalone on it first")
	require.NoDirExists(t, dir)

	start(t, dir)
	code, _, complaint = command(t, nil, "token", "--data-dir", dir, "--tenant", "acme", "--roles", "KING", "--ttl", "-1h")
	require.Equal(t, 1, code)
	for _, mistake := range []string{`--tenant: "acme"`, "--subject", `--roles: "KING"`, "--ttl"} {
		require.Contains(t, complaint, mistake)
	}
	code, token, _ := command(t, []string{"PIPELINE_DATA_DIR=" + dir}, "token", "--tenant", tenant, "--subject", "ada", "--roles", "VIEWER", "--groups", "finance")
	require.Equal(t, 0, code)
	require.Len(t, strings.Split(strings.TrimSpace(token), "."), 3)
}

func TestDemoRunsAgainOnItsData(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	for _, run := range []string{"first", "second"} {
		code, out, complaint := command(t, nil, "demo", "--once", "--samples", "../../deploy/samples", "--data-dir", dir,
			"--listen", "127.0.0.1:0", "--ui", "127.0.0.1:0", "--temporal", "127.0.0.1:0", "--log-level", "warn")
		require.Equal(t, 0, code, "%s run\n%s\n%s", run, out, complaint)
		require.Contains(t, out, "is COMPLETED: 123376 rows")
		require.Contains(t, out, "LAX", "the busiest route is shown")
		require.Empty(t, complaint)
	}
	s := start(t, dir)
	var list struct {
		Pipelines []struct {
			Name    string `json:"name"`
			Version int    `json:"definitionVersion"`
		} `json:"pipelines"`
	}
	require.NoError(t, user(t, s).JSON(t.Context(), http.MethodGet, "/v1/pipelines", nil, http.StatusOK, &list))
	require.Len(t, list.Pipelines, 1)
	require.Equal(t, 1, list.Pipelines[0].Version, "what has not changed is not made again")
}
