package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var shellBlock = regexp.MustCompile("(?s)```sh\n(.*?)```")

// TestReadmesFirstPipeline types what README tells a new user to type, on a standalone with ports of its own.
func TestReadmesFirstPipeline(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("README uses curl, which is not here")
	}
	readme, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	_, chapter, ok := strings.Cut(string(readme), "\n## A first pipeline\n")
	require.True(t, ok)
	chapter, _, _ = strings.Cut(chapter, "\n## ")
	blocks := shellBlock.FindAllStringSubmatch(chapter, -1)
	require.Greater(t, len(blocks), 3)

	home := t.TempDir()
	require.NoError(t, os.Symlink(bin, filepath.Join(home, "bin")))
	first, ok := strings.CutSuffix(blocks[0][1], "bin/standalone --local-root sales\n")
	require.True(t, ok, "the first terminal ends by starting standalone")
	prepare := strings.TrimPrefix(first, "go tool task build\n")
	shell(t, home, prepare)

	s := start(t, filepath.Join(home, ".data"), "--local-root", filepath.Join(home, "sales"))
	var second strings.Builder
	for _, block := range blocks[1:] {
		second.WriteString(block[1])
	}
	said := shell(t, home, strings.ReplaceAll(second.String(), "http://127.0.0.1:8000", s.API))
	require.Contains(t, said, `"status":"COMPLETED"`)
	require.Contains(t, said, "DE,1,120.5\n")
	require.Contains(t, said, "US,2,100")
}

// shell runs a script that stops at its first failure.
func shell(t *testing.T, dir, script string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", script)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	return string(out)
}
