package runner

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/matih/pipeline-service/models"
)

// sampleInterval is how often memory is looked at.
const sampleInterval = 20 * time.Millisecond

// accounts tells what each of the tasks of this process uses. Processor time is the difference to what the tasks
// before have been told, so that all of them together used what the process did; the start of the process is part
// of its first task.
type accounts struct {
	// The files stay open: the sandbox keeps tasks from opening them.
	statm, status *os.File
	cpu           time.Duration // of the tasks before
}

func openAccounts() (*accounts, error) {
	statm, err := os.Open("/proc/self/statm")
	if err != nil {
		return nil, err
	}
	status, err := os.Open("/proc/self/status")
	if err != nil {
		return nil, err
	}
	return &accounts{statm: statm, status: status}, nil
}

// account measures one task.
type account struct {
	of      *accounts
	meter   *meter
	started time.Time
	high    int64 // the process's highest memory before the task, in bytes
	ended   chan struct{}
	sampled sync.WaitGroup

	mu         sync.Mutex
	at         time.Time // of the last sample
	pages      int64     // at that time
	most       int64     // pages in any sample
	pageMicros int64     // pages in use × time until then
}

// begin starts to measure a task whose amounts go to m.
func (a *accounts) begin(m *meter) *account {
	now := time.Now()
	t := &account{of: a, meter: m, started: now, at: now, pages: a.residentPages(), high: a.highWater(), ended: make(chan struct{})}
	if a.cpu == 0 {
		t.high = 0 // what the start of the process took is the first task's, too
	}
	t.most = t.pages
	t.sampled.Go(func() {
		ticker := time.NewTicker(sampleInterval)
		defer ticker.Stop()
		for {
			select {
			case <-t.ended:
				return
			case <-ticker.C:
				t.sample()
			}
		}
	})
	return t
}

// sample takes the memory between two samples for the mean of both.
func (t *account) sample() {
	now, pages := time.Now(), t.of.residentPages()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.pageMicros += (t.pages + pages) * now.Sub(t.at).Microseconds() / 2
	t.at, t.pages, t.most = now, pages, max(t.most, pages)
}

// used is what the task has used so far.
func (t *account) used() models.Usage {
	t.sample()
	page := int64(os.Getpagesize())
	t.mu.Lock()
	defer t.mu.Unlock()
	wall := max(t.at.Sub(t.started).Microseconds(), 1)
	u := models.Usage{
		CPUMicros: (cpuTime() - t.of.cpu).Microseconds(), WallMicros: wall,
		PeakMemoryBytes: t.most * page, MeanMemoryBytes: t.pageMicros / wall * page,
		NetworkBytes: t.meter.network.Load(), StagedBytes: t.meter.staged.Load(), QuarantinedBytes: t.meter.quarantined.Load(),
	}
	// A new high of the process is the task's, and exact; below the old one only samples tell.
	if high := t.of.highWater(); high > t.high {
		u.PeakMemoryBytes = high
	}
	return u
}

// end returns what the task used. What the process uses from now on is the next task's.
func (t *account) end() *models.Usage {
	close(t.ended)
	t.sampled.Wait()
	u := t.used()
	t.of.cpu += time.Duration(u.CPUMicros) * time.Microsecond
	return &u
}

// cpuTime is the processor time of the whole process.
func cpuTime() time.Duration {
	var r unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &r) != nil {
		return 0 // cannot happen with these arguments
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// residentPages is the memory in use now, in pages.
func (a *accounts) residentPages() int64 {
	var b [128]byte
	n, _ := a.statm.ReadAt(b[:], 0)
	var size, resident int64
	if _, err := fmt.Sscan(string(b[:n]), &size, &resident); err != nil {
		return 0
	}
	return resident
}

// highWater is the most memory that the process ever had in use, in bytes. That is not ru_maxrss, which begins with what the
// process that started this one had.
func (a *accounts) highWater() int64 {
	var b [4096]byte
	n, _ := a.status.ReadAt(b[:], 0)
	_, rest, _ := bytes.Cut(b[:n], []byte("VmHWM:"))
	fields := bytes.Fields(rest)
	if len(fields) == 0 {
		return 0
	}
	kilobytes, _ := strconv.ParseInt(string(fields[0]), 10, 64)
	return kilobytes << 10
}
