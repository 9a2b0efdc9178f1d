package blob

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// metaDir lies beside the published files and holds what is being published: for each attempt a directory with
// its files, for each publication that is committed a manifest. A publication's name is an execution's id.
//
//	.pipeline/<sink>-<publication>.pending.json committed, files not all in place yet
//	.pipeline/<sink>-<publication>.done.json    published
//	.pipeline/<sink>-<execution>-a<attempt>/    an attempt's files, and .alive, which it locks while it lives
//	.pipeline/<sink>.lock                       held while a publication is made or finished
const (
	metaDir       = ".pipeline"
	pendingSuffix = ".pending.json"
	doneSuffix    = ".done.json"
	lockSuffix    = ".lock"
	aliveFile     = ".alive"
)

// doneKept is how long the record of a publication is kept: no retry comes later.
const doneKept = 30 * 24 * time.Hour

// manifest is a publication. All names are below the connection's directory, with slashes.
type manifest struct {
	Sink string `json:"sink"`
	// Publication is empty in manifests of earlier releases; then it is Execution.
	Publication string        `json:"publication,omitempty"`
	Execution   string        `json:"execution"`
	Attempt     int           `json:"attempt"`
	Rows        int64         `json:"rows"`
	Bytes       int64         `json:"bytes"`
	Files       []publication `json:"files"`
	// Remove are the files of earlier executions that this one replaces.
	Remove []string `json:"remove,omitempty"`
}

// publication is a file and where it is staged until it gets its name.
type publication struct {
	Name   string `json:"name"`
	Staged string `json:"staged"`
}

// id is what the manifest's own file name begins with.
func (m *manifest) id() string {
	if m.Publication == "" {
		return m.Sink + "-" + m.Execution
	}
	return m.Sink + "-" + m.Publication
}

// attempts is what the names of the directories begin with in which the execution's attempts stage files.
func attempts(sink, execution string) string { return sink + "-" + execution + "-a" }

func (m *manifest) names() []string {
	names := make([]string, len(m.Files))
	for i, p := range m.Files {
		names[i] = p.Name
	}
	return names
}

// pendingAround finds the committed publications that are not finished in a directory, above and below it.
func (s *Store) pendingAround(dir string) ([]*manifest, error) {
	var found []*manifest
	for up := path.Dir(dir); dir != "." && up != dir; up = path.Dir(up) {
		list, err := s.pendingIn(up)
		if err != nil {
			return nil, err
		}
		found = append(found, list...)
		if up == "." {
			break
		}
	}
	err := fs.WalkDir(s.root.FS(), dir, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			return err
		}
		if !entry.IsDir() {
			return nil
		}
		if name != dir && hidden(entry.Name()) {
			return fs.SkipDir
		}
		list, err := s.pendingIn(name)
		found = append(found, list...)
		return err
	})
	return found, err
}

// pendingIn reads the pending manifests beside the files of a directory, in order of their names.
func (s *Store) pendingIn(dir string) ([]*manifest, error) {
	meta := path.Join(dir, metaDir)
	entries, err := fs.ReadDir(s.root.FS(), meta)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var found []*manifest
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), pendingSuffix) {
			continue
		}
		m, err := s.readManifest(path.Join(meta, e.Name()))
		if err != nil {
			return nil, err
		}
		if m != nil {
			found = append(found, m)
		}
	}
	return found, nil
}

// readManifest returns nil where there is none.
func (s *Store) readManifest(name string) (*manifest, error) {
	raw, err := s.root.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	m := &manifest{}
	if err := json.Unmarshal(raw, m); err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return m, nil
}

// publisher publishes one execution of one sink.
type publisher struct {
	store       *Store
	dir         string // of the prefix
	sink        string
	publication string
	execution   string
	attempt     int
}

func (p *publisher) meta(name string) string { return path.Join(p.dir, metaDir, name) }
func (p *publisher) id() string              { return p.sink + "-" + p.publication }
func (p *publisher) stage() string {
	return p.meta(attempts(p.sink, p.execution) + strconv.Itoa(p.attempt))
}

// published finishes what an earlier attempt committed and returns it; nil where none did.
func (p *publisher) published() (*manifest, error) {
	if _, err := p.store.root.Stat(p.meta("")); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	unlock, err := p.lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	return p.finishEarlier()
}

// finishEarlier needs the lock. Unfinished publications of other executions of the sink are finished too,
// so that what is listed for replacement is complete.
func (p *publisher) finishEarlier() (*manifest, error) {
	pending, err := p.store.pendingIn(p.dir)
	if err != nil {
		return nil, err
	}
	for _, m := range pending {
		if m.Sink == p.sink {
			if err := p.finish(m); err != nil {
				return nil, err
			}
		}
	}
	return p.store.readManifest(p.meta(p.id() + doneSuffix))
}

// hold makes the attempt's directory and shows that the attempt lives until the returned function is called.
func (p *publisher) hold() (func(), error) {
	if err := p.store.root.RemoveAll(p.stage()); err != nil {
		return nil, err
	}
	if err := p.store.root.MkdirAll(p.stage(), 0o750); err != nil {
		return nil, err
	}
	return p.flock(path.Join(p.stage(), aliveFile), unix.LOCK_EX)
}

// dead reports whether the attempt that made a directory has ended.
func (p *publisher) dead(dir string) bool {
	release, err := p.flock(path.Join(dir, aliveFile), unix.LOCK_EX|unix.LOCK_NB)
	if err != nil {
		return false
	}
	release()
	return true
}

// lock keeps other attempts and executions of the sink from publishing until the returned function is
// called. It goes away with the process.
func (p *publisher) lock() (func(), error) { return p.flock(p.meta(p.sink+lockSuffix), unix.LOCK_EX) }

func (p *publisher) flock(name string, how int) (func(), error) {
	f, err := p.store.root.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o640)
	if err != nil {
		return nil, err
	}
	for {
		if err = unix.Flock(int(f.Fd()), how); !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return func() { _ = f.Close() }, nil
}

// commit makes the staged files the execution's publication, unless an earlier attempt was faster: then that one
// is returned with already set. replaced lists the files that go when these come.
func (p *publisher) commit(m *manifest, replaced func() ([]string, error)) (published *manifest, already bool, err error) {
	unlock, err := p.lock()
	if err != nil {
		return nil, false, err
	}
	defer unlock()
	earlier, err := p.finishEarlier()
	if err != nil || earlier != nil {
		return earlier, true, err
	}
	if m.Remove, err = replaced(); err != nil {
		return nil, false, err
	}
	raw, err := json.MarshalIndent(m, "", " ")
	if err != nil {
		return nil, false, err
	}
	draft := path.Join(p.stage(), "manifest.json")
	if err := p.writeDurable(draft, raw); err != nil {
		return nil, false, err
	}
	// The rename is the commit: before it nothing is published, after it everything.
	if err := p.store.root.Rename(draft, p.meta(p.id()+pendingSuffix)); err != nil {
		return nil, false, err
	}
	if err := p.store.sync(p.meta("")); err != nil {
		return nil, false, err
	}
	return m, false, p.finish(m)
}

// finish puts the files of a committed publication in place. It can be repeated at any point.
func (p *publisher) finish(m *manifest) error {
	root := p.store.root
	touched := map[string]bool{}
	for _, f := range m.Files {
		dir := path.Dir(f.Name)
		if !touched[dir] {
			if err := root.MkdirAll(dir, 0o750); err != nil {
				return err
			}
			touched[dir] = true
		}
		if err := root.Rename(f.Staged, f.Name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	for _, name := range m.Remove {
		if err := root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		touched[path.Dir(name)] = true
	}
	for dir := range touched {
		if err := p.store.sync(dir); err != nil {
			return err
		}
	}
	id := m.id()
	if err := root.Rename(p.meta(id+pendingSuffix), p.meta(id+doneSuffix)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := p.store.sync(p.meta("")); err != nil {
		return err
	}
	return p.clean(m)
}

// clean removes the directories of an execution's attempts, those of attempts that died, and records nobody
// will ask for. An attempt of the same execution that still writes then fails, which is right: it is published.
func (p *publisher) clean(done *manifest) error {
	entries, err := fs.ReadDir(p.store.root.FS(), p.meta(""))
	if err != nil {
		return err
	}
	committed := map[string]bool{}
	pending, err := p.store.pendingIn(p.dir)
	if err != nil {
		return err
	}
	for _, m := range pending {
		committed[attempts(m.Sink, m.Execution)+strconv.Itoa(m.Attempt)] = true
	}
	for _, e := range entries {
		name := e.Name()
		if !strings.HasPrefix(name, p.sink+"-") || committed[name] {
			continue
		}
		remove := e.IsDir() && (strings.HasPrefix(name, attempts(done.Sink, done.Execution)) || p.dead(p.meta(name)))
		if info, err := e.Info(); err == nil && strings.HasSuffix(name, doneSuffix) {
			remove = time.Since(info.ModTime()) > doneKept
		}
		if remove {
			if err := p.store.root.RemoveAll(p.meta(name)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p *publisher) writeDurable(name string, content []byte) error {
	f, err := p.store.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o640)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.Write(content); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	return f.Close()
}

// sync makes a file or a directory's entries durable.
func (s *Store) sync(name string) error {
	f, err := s.root.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

// staged lists the files an attempt wrote, below its directory, in order.
func (p *publisher) staged() ([]string, int64, error) {
	var (
		names []string
		size  int64
	)
	err := fs.WalkDir(p.store.root.FS(), p.stage(), func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.Name() == aliveFile {
			return nil
		}
		if err := p.store.sync(name); err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(p.stage(), name)
		names, size = append(names, filepath.ToSlash(rel)), size+info.Size()
		return err
	})
	sort.Strings(names)
	return names, size, err
}
