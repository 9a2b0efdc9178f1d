// Package blob reads and publishes files of a connection of type local: one directory of this machine.
package blob

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/task"
	"github.com/matih/pipeline-service/worker/runner/duckdb"
	"github.com/matih/pipeline-service/worker/runner/fault"
)

// Engine is what reading and writing files needs of DuckDB.
type Engine interface {
	CreateView(ctx context.Context, name, query string) error
	DescribeQuery(ctx context.Context, query string) ([]task.Column, error)
	Describe(ctx context.Context, name string) ([]task.Column, error)
	WriteParquet(ctx context.Context, name, path string) (int64, []task.Column, error)
	Copy(ctx context.Context, query, path, options string) (int64, error)
	QueryRow(ctx context.Context, query string, into ...any) error
	QueryEach(ctx context.Context, query string, each func(scan func(...any) error) error) error
}

var _ Engine = (*duckdb.Engine)(nil)

// Store is an open connection to a directory. Everything it opens lies in it: a symbolic link that
// leads out is refused by the kernel's own path walk.
type Store struct {
	dir  string
	root *os.Root
}

type properties struct {
	Path string `json:"path"`
}

// Open opens the directory of a connection, which must lie in one of the roots.
func Open(conn *models.Connection, roots []string) (*Store, error) {
	var p properties
	if len(conn.Properties) > 0 {
		if err := json.Unmarshal(conn.Properties, &p); err != nil {
			return nil, fault.Because(fault.Errorf(models.ClassInvalidDefinition, "the properties of the connection %s are not what a local connection has", conn.Name), err)
		}
	}
	if !filepath.IsAbs(p.Path) {
		return nil, fault.Errorf(models.ClassInvalidDefinition, "the connection %s needs properties.path, an absolute directory", conn.Name)
	}
	dir, err := filepath.EvalSymlinks(p.Path)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) && insideAny(filepath.Clean(p.Path), roots) {
			return nil, fault.Errorf(models.ClassConnection, "the directory %s of the connection %s does not exist", p.Path, conn.Name)
		}
		return nil, outside(conn)
	}
	if !insideAny(dir, roots) {
		return nil, outside(conn)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fault.Because(fault.Errorf(models.ClassConnection, "the directory of the connection %s cannot be opened", conn.Name), err)
	}
	return &Store{dir: dir, root: root}, nil
}

func outside(conn *models.Connection) error {
	return fault.Errorf(models.ClassForbidden, "the directory of the connection %s is not in a place that local connections may use (--local-root)", conn.Name)
}

// insideAny compares real paths, so that a symbolic link in a root's own path does no harm.
func insideAny(dir string, roots []string) bool {
	for _, root := range roots {
		real, err := filepath.EvalSymlinks(root)
		if err != nil {
			continue
		}
		if dir == real || real == "/" || strings.HasPrefix(dir, real+string(filepath.Separator)) {
			return true
		}
	}
	return false
}

// Dir is the real path of the directory.
func (s *Store) Dir() string { return s.dir }

// Close ends the use of the directory.
func (s *Store) Close() error { return s.root.Close() }

// path is where a name below the directory lies on this machine.
func (s *Store) path(name string) string { return filepath.Join(s.dir, filepath.FromSlash(name)) }

// maxListed bounds what a connection test shows.
const maxListed = 20

// Test says whether the directory can be used and what is in it.
func (s *Store) Test() (*models.ConnectionTest, error) {
	entries, err := fs.ReadDir(s.root.FS(), ".")
	if err != nil {
		return nil, fault.Because(fault.Errorf(models.ClassConnection, "the directory cannot be listed"), err)
	}
	names := []string{}
	for _, e := range entries {
		if hidden(e.Name()) {
			continue
		}
		name := e.Name()
		if e.IsDir() {
			name += "/"
		}
		names = append(names, name)
	}
	test := &models.ConnectionTest{Connected: true, Version: "local directory", Details: map[string]any{"entries": len(names)}}
	test.Details["names"] = names[:min(len(names), maxListed)]
	return test, nil
}

// hidden names belong to programs, not to the published data.
func hidden(name string) bool { return strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") }
