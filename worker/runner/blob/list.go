package blob

import (
	"errors"
	"io/fs"
	"path"
	"sort"
	"strings"
	"time"

	"github.com/bmatcuk/doublestar/v4"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/worker/runner/fault"
)

// file is one file to read. Name is its path below the connection's directory with slashes; At is where
// its bytes are now, which differs while a publication is being finished.
type file struct {
	Name string
	At   string
	Size int64
	Time time.Time // of the last change
}

// list finds the published files below a prefix that match a pattern, in order of their names.
func (s *Store) list(prefix, pattern string) ([]file, error) {
	if pattern == "" {
		pattern = "*"
	}
	if !doublestar.ValidatePattern(pattern) {
		return nil, fault.Errorf(models.ClassInvalidDefinition, "the pattern %q is not a glob", pattern)
	}
	prefix, err := s.cleanPrefix(prefix)
	if err != nil {
		return nil, err
	}
	start := directory(prefix)
	found := map[string]file{}
	err = fs.WalkDir(s.root.FS(), start, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				return nil // it went away while we looked
			}
			return err
		}
		if name != start && hidden(entry.Name()) {
			if entry.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if entry.IsDir() {
			return nil
		}
		return s.consider(found, prefix, pattern, name)
	})
	if err != nil {
		return nil, readFault(err)
	}
	if err := s.applyPending(found, prefix, pattern); err != nil {
		return nil, readFault(err)
	}
	files := make([]file, 0, len(found))
	for _, f := range found {
		files = append(files, f)
	}
	sort.Slice(files, func(i, j int) bool { return files[i].Name < files[j].Name })
	return files, nil
}

// consider adds a name that matches. A symbolic link counts as what it leads to, within the directory.
func (s *Store) consider(found map[string]file, prefix, pattern, name string) error {
	if !matches(prefix, pattern, name) {
		return nil
	}
	info, err := s.root.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fault.Because(fault.Errorf(models.ClassForbidden, "%s leads out of the connection's directory", name), err)
	}
	if info.Mode().IsRegular() {
		found[name] = file{Name: name, At: name, Size: info.Size(), Time: info.ModTime()}
	}
	return nil
}

func matches(prefix, pattern, name string) bool {
	rest, ok := strings.CutPrefix(name, prefix)
	if !ok {
		return false
	}
	for _, element := range strings.Split(rest, "/") {
		if hidden(element) {
			return false
		}
	}
	return doublestar.MatchUnvalidated(pattern, rest)
}

// applyPending makes publications that are committed but not finished visible as a whole: what they
// add is read where it still lies, what they replace is left out.
func (s *Store) applyPending(found map[string]file, prefix, pattern string) error {
	pending, err := s.pendingAround(directory(prefix))
	if err != nil {
		return err
	}
	for _, m := range pending {
		for _, name := range m.Remove {
			delete(found, name)
		}
		for _, p := range m.Files {
			if !matches(prefix, pattern, p.Name) {
				continue
			}
			if info, err := s.root.Stat(p.Staged); err == nil {
				found[p.Name] = file{Name: p.Name, At: p.Staged, Size: info.Size(), Time: info.ModTime()}
			}
		}
	}
	return nil
}

// cleanPrefix makes a prefix relative and plain. A prefix that names a directory means what is in it.
func (s *Store) cleanPrefix(prefix string) (string, error) {
	prefix = strings.TrimLeft(prefix, "/")
	for _, element := range strings.Split(prefix, "/") {
		if element == ".." || strings.ContainsRune(element, 0) {
			return "", fault.Errorf(models.ClassForbidden, "the prefix %q leads out of the connection's directory", prefix)
		}
	}
	slash := strings.HasSuffix(prefix, "/")
	if prefix = path.Clean("/" + prefix)[1:]; prefix == "" {
		return "", nil
	}
	if !slash {
		info, err := s.root.Stat(prefix)
		slash = err == nil && info.IsDir()
	}
	if slash {
		prefix += "/"
	}
	return prefix, nil
}

// directory is the directory part of a prefix, "." for the top.
func directory(prefix string) string {
	if i := strings.LastIndexByte(prefix, '/'); i > 0 {
		return prefix[:i]
	}
	return "."
}

// readFault is the failure of listing or opening.
func readFault(err error) error {
	f := fault.Of(err)
	if f.Class != models.ClassInternal {
		return f
	}
	if errors.Is(err, fs.ErrPermission) {
		return fault.Because(fault.Errorf(models.ClassSource, "the files cannot be read: permission denied"), err)
	}
	return fault.Because(fault.Transientf(models.ClassSource, "the files cannot be read"), err)
}
