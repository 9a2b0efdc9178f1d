package boot_test

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"

	"github.com/matih/pipeline-service/cmd/internal/boot"
)

// settings are what a command of a test was run with.
type settings struct {
	dir     string
	wait    time.Duration
	roots   []string
	allow   []string
	memory  boot.Bytes
	verbose bool
}

func run(t *testing.T, args ...string) (settings, error) {
	t.Helper()
	var s settings
	root := &cobra.Command{Use: "program"}
	sub := &cobra.Command{Use: "sub", RunE: func(*cobra.Command, []string) error { return nil }}
	flags := sub.Flags()
	flags.StringVar(&s.dir, "data-dir", ".data", "")
	flags.DurationVar(&s.wait, "wait", time.Second, "")
	flags.StringArrayVar(&s.roots, "local-root", nil, "")
	flags.StringSliceVar(&s.allow, "egress-allow", nil, "")
	boot.AliasEnv(flags, "egress-allow", "EGRESS_ALLOW")
	flags.Var(&s.memory, "memory", "")
	flags.BoolVar(&s.verbose, "verbose", false, "")
	root.AddCommand(sub)
	boot.Configure(root)
	root.SetArgs(append([]string{"sub"}, args...))
	return s, root.Execute()
}

func TestFlagsCanBeSetByEnvironment(t *testing.T) {
	t.Setenv("PIPELINE_DATA_DIR", "/var/lib/pipelines")
	t.Setenv("PIPELINE_WAIT", "5m")
	t.Setenv("PIPELINE_LOCAL_ROOT", "/a, /b")
	t.Setenv("EGRESS_ALLOW", "10.0.0.0/8,db.example.com")
	t.Setenv("PIPELINE_MEMORY", "512MiB")
	t.Setenv("PIPELINE_VERBOSE", "true")
	s, err := run(t)
	require.NoError(t, err)
	require.Equal(t, settings{
		dir: "/var/lib/pipelines", wait: 5 * time.Minute, roots: []string{"/a", "/b"},
		allow: []string{"10.0.0.0/8", "db.example.com"}, memory: 512 << 20, verbose: true,
	}, s)

	s, err = run(t, "--data-dir", "here", "--local-root", "/c,d", "--egress-allow", "::1/128")
	require.NoError(t, err)
	require.Equal(t, "here", s.dir, "a flag wins")
	require.Equal(t, []string{"/c,d"}, s.roots)
	require.Equal(t, []string{"::1/128"}, s.allow)

	t.Setenv("PIPELINE_WAIT", "soon")
	t.Setenv("PIPELINE_MEMORY", "much")
	_, err = run(t)
	require.ErrorContains(t, err, "PIPELINE_WAIT")
	require.ErrorContains(t, err, "PIPELINE_MEMORY", "all mistakes at once")
}

func TestTheUsualVariableWinsOverItsAlias(t *testing.T) {
	t.Setenv("PIPELINE_EGRESS_ALLOW", "own")
	t.Setenv("EGRESS_ALLOW", "alias")
	s, err := run(t)
	require.NoError(t, err)
	require.Equal(t, []string{"own"}, s.allow)
}

func TestBytes(t *testing.T) {
	for text, want := range map[string]int64{
		"0": 0, "1048576": 1 << 20, "512MiB": 512 << 20, "1.5 GiB": 3 << 29, "2GB": 2e9, "3kB": 3000, "7B": 7, "1TiB": 1 << 40,
	} {
		var b boot.Bytes
		require.NoError(t, b.Set(text), text)
		require.Equal(t, want, int64(b), text)
		var again boot.Bytes
		require.NoError(t, again.Set(b.String()), "%s is written as %s", text, b.String())
		require.Equal(t, b, again)
	}
	for _, text := range []string{"", "much", "-1", "1XB", "NaN", "1e30", "Inf"} {
		var b boot.Bytes
		require.ErrorContains(t, b.Set(text), "is not a size", text)
	}
}

func TestSecret(t *testing.T) {
	file := filepath.Join(t.TempDir(), "url")
	require.NoError(t, os.WriteFile(file, []byte("from-file\n"), 0o600))
	value, err := boot.Secret("database-url", "", file)
	require.NoError(t, err)
	require.Equal(t, "from-file", value)
	value, err = boot.Secret("database-url", "direct", "")
	require.NoError(t, err)
	require.Equal(t, "direct", value)
	_, err = boot.Secret("database-url", "direct", file)
	require.ErrorContains(t, err, "give one")
	_, err = boot.Secret("database-url", "", file+".missing")
	require.ErrorContains(t, err, "--database-url-file")
}

func TestLogger(t *testing.T) {
	var out bytes.Buffer
	log, err := (&boot.LogOptions{Level: "warn", Format: "json"}).Logger(&out)
	require.NoError(t, err)
	log.Info("quiet")
	log.Warn("loud", "n", 1)
	require.NotContains(t, out.String(), "quiet")
	require.Contains(t, out.String(), `"msg":"loud","n":1`)
	_, err = (&boot.LogOptions{Level: "info", Format: "xml"}).Logger(&out)
	require.ErrorContains(t, err, "--log-format")
}

func TestSDKLoggerSpeaksLower(t *testing.T) {
	var out bytes.Buffer
	log := boot.SDKLogger(slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelInfo})))
	log.Info("polling")
	log.Warn("poll failed")
	log.Error("Activity error.")
	log.Error("connection lost")
	require.NotContains(t, out.String(), "polling")
	require.Contains(t, out.String(), `level=INFO msg="poll failed"`)
	require.NotContains(t, out.String(), "Activity error")
	require.Contains(t, out.String(), `level=WARN msg="connection lost"`)
}

func TestMemoryIsKnown(t *testing.T) {
	require.Greater(t, boot.Memory(), int64(64<<20))
}
