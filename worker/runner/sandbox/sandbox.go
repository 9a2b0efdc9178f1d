// Package sandbox takes from a task process what its task does not need: files outside its
// directories, the network but for one port, new privileges, core dumps.
package sandbox

import (
	"errors"
	"fmt"

	"github.com/landlock-lsm/go-landlock/landlock"
	ll "github.com/landlock-lsm/go-landlock/landlock/syscall"
	"golang.org/x/sys/unix"
)

// ErrNoLandlock says that the kernel has no Landlock, so that a wall would be missing.
var ErrNoLandlock = errors.New("this kernel has no Landlock")

// Policy is what a task may still do once it is enforced. Paths that do not exist are an error,
// except in Optional.
type Policy struct {
	ReadFiles []string // files to read
	ReadDirs  []string // directories to read, with everything below
	WriteDirs []string // directories to read and change, with everything below
	// RenameDirs are directories in which directories may be made, renamed and, when empty, removed; their files stay
	// out of reach.
	RenameDirs []string
	// Optional are files and directories to read where they exist.
	OptionalFiles []string
	OptionalDirs  []string
	// ConnectPorts are the TCP ports the task may connect to.
	ConnectPorts []uint16
}

// Limits bound the process itself, in bytes.
type Limits struct {
	DataBytes uint64 // memory the process may allocate; 0 leaves it open
	FileBytes uint64 // size of one file; 0 leaves it open
}

// maxOpenFiles is enough for the partitions of a partitioned sink.
const maxOpenFiles = 4096

// Limit sets the resource limits. They hold for every thread and cannot be raised again.
func Limit(l Limits) error {
	set := func(resource int, value uint64) error {
		var now unix.Rlimit
		if err := unix.Getrlimit(resource, &now); err != nil {
			return err
		}
		value = min(value, now.Max)
		return unix.Setrlimit(resource, &unix.Rlimit{Cur: value, Max: value})
	}
	if err := set(unix.RLIMIT_CORE, 0); err != nil {
		return fmt.Errorf("limit core dumps: %w", err)
	}
	if err := set(unix.RLIMIT_NOFILE, maxOpenFiles); err != nil {
		return fmt.Errorf("limit open files: %w", err)
	}
	if l.DataBytes > 0 {
		if err := set(unix.RLIMIT_DATA, l.DataBytes); err != nil {
			return fmt.Errorf("limit memory: %w", err)
		}
	}
	if l.FileBytes > 0 {
		if err := set(unix.RLIMIT_FSIZE, l.FileBytes); err != nil {
			return fmt.Errorf("limit file size: %w", err)
		}
	}
	return nil
}

// Enforce applies the policy to every thread of the process with Landlock, as strictly as the kernel
// can, and gives up the means to gain privileges. It cannot be undone. Without Landlock it
// returns ErrNoLandlock and changes nothing.
func Enforce(p Policy) error {
	if version, err := ll.LandlockGetABIVersion(); err != nil || version < 1 {
		return ErrNoLandlock
	}
	rules := []landlock.Rule{
		landlock.PathAccess(makeDir|removeDir, p.RenameDirs...),
		landlock.ROFiles(p.ReadFiles...),
		landlock.RODirs(p.ReadDirs...),
		landlock.RWDirs(p.WriteDirs...).WithRefer(),
		landlock.ROFiles(p.OptionalFiles...).IgnoreIfMissing(),
		landlock.RODirs(p.OptionalDirs...).IgnoreIfMissing(),
	}
	for _, port := range p.ConnectPorts {
		rules = append(rules, landlock.ConnectTCP(port))
	}
	return landlock.V7.BestEffort().Restrict(rules...)
}

const (
	makeDir   = landlock.AccessFSSet(ll.AccessFSMakeDir)
	removeDir = landlock.AccessFSSet(ll.AccessFSRemoveDir)
)
