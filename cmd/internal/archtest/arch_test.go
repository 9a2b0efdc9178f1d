// Package archtest checks what the programs are made of. The linter holds direct imports to the rules; this looks at
// everything a program links.
package archtest

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/matih/pipeline-service"

// pkg is what go list says of a package.
type pkg struct {
	ImportPath string
	Name       string
	Standard   bool
	CgoFiles   []string
	Imports    []string
	Deps       []string
}

// list describes every package of the module and everything they need.
func list(t *testing.T) map[string]pkg {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-deps",
		"-json=ImportPath,Name,Standard,CgoFiles,Imports,Deps", module+"/...")
	var complaint strings.Builder
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	require.NoError(t, err, complaint.String())
	packages := map[string]pkg{}
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		err := d.Decode(&p)
		if errors.Is(err, io.EOF) {
			return packages
		}
		require.NoError(t, err)
		packages[p.ImportPath] = p
	}
}

// local is a package's path in the module, and whether it is one of the module's.
func local(path string) (string, bool) {
	if path == module {
		return ".", true
	}
	return strings.CutPrefix(path, module+"/")
}

// below reports whether a path is a folder or in it.
func below(path, folder string) bool { return path == folder || strings.HasPrefix(path, folder+"/") }

func belowAny(path string, folders ...string) bool {
	return slices.ContainsFunc(folders, func(f string) bool { return below(path, f) })
}

func TestOnlyStandaloneLinksTemporalServer(t *testing.T) {
	forbidDependency(t, list(t), func(dep string) bool { return below(dep, "go.temporal.io/server") },
		"cmd/standalone")
}

func TestOnlyTheTaskProcessLinksDuckDB(t *testing.T) {
	forbidDependency(t, list(t), func(dep string) bool { return strings.HasPrefix(dep, "github.com/duckdb/") },
		"worker/runner", "cmd/task-runner", "cmd/bench") // bench measures against DuckDB alone
}

// forbidDependency fails for packages outside the folders that need a forbidden one, however indirectly.
func forbidDependency(t *testing.T, packages map[string]pkg, forbidden func(string) bool, folders ...string) {
	t.Helper()
	found := 0
	for path, p := range packages {
		name, ours := local(path)
		if !ours {
			continue
		}
		i := slices.IndexFunc(p.Deps, forbidden)
		switch {
		case i < 0:
		case belowAny(name, folders...):
			found++
		default:
			t.Errorf("%s needs %s", name, p.Deps[i])
		}
	}
	require.Positive(t, found, "the check looks for something that is there")
}

func TestControlPlaneNeedsNoC(t *testing.T) {
	packages := list(t)
	for _, program := range []string{"cmd/pipeline-service", "cmd/standalone"} {
		p, ok := packages[module+"/"+program]
		require.True(t, ok, program)
		for _, dep := range p.Deps {
			if d := packages[dep]; !d.Standard && len(d.CgoFiles) > 0 {
				t.Errorf("%s needs %s, which is written in C in part", program, dep)
			}
		}
	}
}

// mayImport says what of ours the packages of a folder may import; a folder's own packages always, and the longest
// folder that holds a package counts.
var mayImport = map[string][]string{
	"models":               {},
	"models/cost":          {"models"},
	"models/definition":    {"models", "models/cost"},
	"models/lineage":       {"models", "models/definition"},
	"models/task":          {"models", "models/definition", "models/lineage"},
	"models/contract":      {"models", "models/cron"},
	"models/store":         {"models", "models/cost", "models/definition", "models/lineage"},
	"workflows":            {"models", "models/contract"},
	"activities":           {"models"},
	"worker":               {"workflows", "activities", "models"},
	"worker/runner":        {"models", "models/definition", "models/lineage", "models/task"},
	"api":                  {"models"},
	"cmd/standalone":       {"api", "worker", "models", "cmd/internal"},
	"cmd/pipeline-service": {"api", "worker", "models", "cmd/internal"},
	"cmd/task-runner":      {"worker/runner"},
	"cmd/bench":            {"models", "cmd/internal"},
	"cmd/internal":         {"api", "worker", "models"},
}

// TestImportsPointOneWay holds DESIGN's directions. What workflows and the task process may import are single
// packages: neither may reach the database by way of models.
func TestImportsPointOneWay(t *testing.T) {
	single := map[string]bool{"workflows": true, "worker/runner": true, "models/cost": true, "models/definition": true,
		"models/lineage": true, "models/task": true, "models/contract": true, "models/store": true}
	for path, p := range list(t) {
		name, ours := local(path)
		if !ours {
			continue
		}
		folder := ""
		for f := range mayImport {
			if below(name, f) && len(f) > len(folder) {
				folder = f
			}
		}
		if folder == "" {
			t.Errorf("%s is in none of the folders DESIGN knows: add it to mayImport", name)
			continue
		}
		for _, imported := range p.Imports {
			target, ours := local(imported)
			if !ours || below(target, folder) {
				continue
			}
			allowed := mayImport[folder]
			if single[folder] && !slices.Contains(allowed, target) || !belowAny(target, allowed...) {
				t.Errorf("%s imports %s", name, target)
			}
		}
	}
}
