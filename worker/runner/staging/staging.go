// Package staging is how tasks hand rows to each other: a directory of Parquet files that is either
// whole or not there.
package staging

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
)

// Suffix ends the name of a directory that is still being written.
const Suffix = ".tmp"

// Output is a directory that appears under its name when it is complete.
type Output struct {
	dir    string
	tmp    string
	parent *os.File
}

// Create begins an output that will stand at dir. What an attempt that died left there is removed.
// It must be called before the sandbox closes, because it opens dir's parent.
func Create(dir string) (*Output, error) {
	if !filepath.IsAbs(dir) {
		return nil, fmt.Errorf("the output directory %q is not absolute", dir)
	}
	dir = filepath.Clean(dir)
	if _, err := os.Lstat(dir); err == nil {
		return nil, fmt.Errorf("the output directory exists: %w", fs.ErrExist)
	}
	tmp := dir + Suffix
	if err := os.RemoveAll(tmp); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(tmp, 0o750); err != nil {
		return nil, err
	}
	parent, err := os.Open(filepath.Dir(dir))
	if err != nil {
		return nil, err
	}
	return &Output{dir: dir, tmp: tmp, parent: parent}, nil
}

// Dir is where files are written until Commit.
func (o *Output) Dir() string { return o.tmp }

// Parent is the directory in which Commit renames.
func (o *Output) Parent() string { return filepath.Dir(o.dir) }

// File is the path for a file of the output.
func (o *Output) File(name string) string { return filepath.Join(o.tmp, name) }

// Commit makes everything durable and gives the directory its name. It returns the size in bytes.
func (o *Output) Commit() (int64, error) {
	size, err := syncTree(o.tmp)
	if err != nil {
		return 0, err
	}
	if err := os.Rename(o.tmp, o.dir); err != nil {
		return 0, err
	}
	return size, o.parent.Sync()
}

// Close removes what was written if it was not committed.
func (o *Output) Close() error {
	return errors.Join(os.RemoveAll(o.tmp), o.parent.Close())
}

// syncTree flushes every file and directory at and below dir and returns the files' size.
func syncTree(dir string) (int64, error) {
	var size int64
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		n, err := syncPath(path)
		if !entry.IsDir() {
			size += n
		}
		return err
	})
	return size, err
}

func syncPath(path string) (int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), f.Sync()
}

// Files lists the Parquet files of a staged data set in order of their names, with their size in
// bytes together. A data set without files has no rows and no columns.
func Files(dir string) ([]string, int64, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, 0, err
	}
	var (
		files []string
		size  int64
	)
	for _, e := range entries {
		if e.IsDir() || !strings.HasSuffix(e.Name(), ".parquet") {
			continue
		}
		info, err := e.Info()
		if err != nil {
			return nil, 0, err
		}
		if !info.Mode().IsRegular() {
			return nil, 0, fmt.Errorf("%s is not a regular file", e.Name())
		}
		files = append(files, filepath.Join(dir, e.Name()))
		size += info.Size()
	}
	sort.Strings(files)
	return files, size, nil
}
