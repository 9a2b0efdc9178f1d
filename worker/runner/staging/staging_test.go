package staging

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

func TestOutputIsWholeOrAbsent(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "task", "attempt-1")
	out, err := Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(out.File("part-0.parquet"), []byte("12345"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Files(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("before the commit: %v", err)
	}
	// An attempt that died leaves its files; the next one of that name begins anew.
	_ = out.parent.Close()
	if out, err = Create(dir); err != nil {
		t.Fatal(err)
	}
	if entries, _ := os.ReadDir(out.Dir()); len(entries) > 0 {
		t.Errorf("%v is left of the attempt before", entries)
	}
	if err := os.WriteFile(out.File("part-0.parquet"), []byte("123"), 0o600); err != nil {
		t.Fatal(err)
	}
	size, err := out.Commit()
	if err != nil || size != 3 {
		t.Errorf("committed %d bytes, %v", size, err)
	}
	if err := out.Close(); err != nil {
		t.Error(err)
	}
	files, size, err := Files(dir)
	if err != nil || len(files) != 1 || size != 3 {
		t.Errorf("got %v, %d bytes, %v", files, size, err)
	}
	if _, err := Create(dir); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a second output of the name: %v", err)
	}
}

func TestClosedOutputIsGone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "attempt-1")
	out, err := Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{dir, dir + Suffix} {
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", path, err)
		}
	}
	if _, err := Create("relative"); err == nil {
		t.Error("a relative directory was accepted")
	}
}
