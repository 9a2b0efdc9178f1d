package blob

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/definition"
	"github.com/matih/pipeline-service/models/task"
	"github.com/matih/pipeline-service/worker/runner/fault"
)

// maxRemembered bounds the published files that are remembered, 16 bytes each.
const maxRemembered = 500_000

// place is what the cursor of a file source holds: which files are published, each as it was, and the columns of
// the last that were read, so that a read without files has the columns, too.
type place struct {
	Files   fileSet       `json:"files"`
	Columns []task.Column `json:"columns,omitempty"`
}

func parsePlace(text string) (*place, error) {
	p := &place{Files: fileSet{}}
	if text == "" {
		return p, nil
	}
	if err := json.Unmarshal([]byte(text), p); err != nil {
		return nil, fault.Internal("read its cursor", err)
	}
	return p, nil
}

// readOn reads the files that are not published: those of the pending batch, or else all that there are.
func (s *Store) readOn(ctx context.Context, e Engine, files []file, src *definition.StorageSource, from *models.Cursor, to Dest, found *Found) error {
	published, err := parsePlace(from.Value)
	if err != nil {
		return err
	}
	pending, err := parsePlace(from.Pending)
	if err != nil {
		return err
	}
	again := from.Batch != ""
	var fresh []file
	for _, f := range files {
		if d := digestOf(f); !published.Files[d] && (!again || pending.Files[d]) {
			fresh = append(fresh, f)
		}
	}
	next := pending
	if again {
		found.Gone = max(0, pending.Files.without(published.Files)-len(fresh))
	} else if next, err = published.with(files, fresh); err != nil {
		return err
	}
	if err := s.stage(ctx, e, slices.Clone(fresh), src, to, found); err != nil {
		return err
	}
	if err := s.unchanged(fresh); err != nil {
		return err
	}
	if len(found.Columns) == 0 {
		schema := make([]definition.ColumnType, len(published.Columns))
		for i, c := range published.Columns {
			schema[i] = definition.ColumnType{Column: c.Name, Type: c.Type}
		}
		if err := emptySet(ctx, e, schema, to, found); err != nil {
			return err
		}
	}
	next.Columns = found.Columns
	value, err := json.Marshal(next)
	found.Cursor = string(value)
	return err
}

// unchanged sees that files are still what they were when they were listed: what is read and what is remembered must
// be the same.
func (s *Store) unchanged(files []file) error {
	for _, f := range files {
		info, err := s.root.Stat(f.Name)
		if errors.Is(err, fs.ErrNotExist) {
			info, err = s.root.Stat(f.At) // its publication is not finished yet
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return readFault(err)
		}
		if err == nil && (info.Size() != f.Size || !info.ModTime().Equal(f.Time)) {
			return fault.Transientf(models.ClassSource, "%s was changed while it was read", f.Name)
		}
	}
	return nil
}

// with is the place after more files are published. Files are remembered even where a definition does not name
// them any more, unless they are too many; then those are forgotten that no longer match.
func (p *place) with(listed, fresh []file) (*place, error) {
	next := &place{Files: fileSet{}}
	if len(p.Files)+len(fresh) <= maxRemembered {
		for d := range p.Files {
			next.Files[d] = true
		}
		listed = fresh
	}
	for _, f := range listed {
		next.Files[digestOf(f)] = true
	}
	if len(next.Files) > maxRemembered {
		return nil, fault.Errorf(models.ClassInvalidDefinition,
			"more than %d files match, and each is remembered so that it is published once; move published files away, or read them by several sources", maxRemembered)
	}
	return next, nil
}

// fileDigest stands for a file as it was: another size or time makes it another file.
type fileDigest [16]byte

func digestOf(f file) fileDigest {
	sum := sha256.Sum256(fmt.Appendf(nil, "%d %d %s", f.Size, f.Time.UnixNano(), f.Name))
	return fileDigest(sum[:16])
}

// fileSet is packed in JSON.
type fileSet map[fileDigest]bool

// without counts the files that are not in other.
func (s fileSet) without(other fileSet) int {
	n := 0
	for d := range s {
		if !other[d] {
			n++
		}
	}
	return n
}

// MarshalJSON packs the digests, in no order.
func (s fileSet) MarshalJSON() ([]byte, error) {
	packed := make([]byte, 0, len(fileDigest{})*len(s))
	for d := range s {
		packed = append(packed, d[:]...)
	}
	return json.Marshal(base64.StdEncoding.EncodeToString(packed))
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (s *fileSet) UnmarshalJSON(text []byte) error {
	var encoded string
	if err := json.Unmarshal(text, &encoded); err != nil {
		return err
	}
	packed, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return err
	}
	*s = fileSet{}
	for r := bytes.NewReader(packed); r.Len() > 0; {
		var d fileDigest
		if n, _ := r.Read(d[:]); n < len(d) {
			return errors.New("digests of files are cut off")
		}
		(*s)[d] = true
	}
	return nil
}
