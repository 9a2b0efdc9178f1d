package task

import (
	"slices"
	"sync"
	"time"
)

// keepFor is how long a process waits for the next task of its execution. It is much longer than the
// workflow takes to schedule one, and short enough that memory is not held for nothing.
const keepFor = 2 * time.Second

// kept holds processes that are shut in with an execution's data and wait for its next task. They are
// of use to nobody else. Where there are too many the oldest ends.
type kept struct {
	mu      sync.Mutex
	max     int // 0 once closed
	waiting []*waiting
}

type waiting struct {
	enclosure string
	process   *process
	timer     *time.Timer
}

// put keeps a process for a while.
func (k *kept) put(enclosure string, p *process) {
	k.mu.Lock()
	defer k.mu.Unlock()
	w := &waiting{enclosure: enclosure, process: p}
	w.timer = time.AfterFunc(keepFor, func() {
		if k.remove(w) {
			p.close()
		}
	})
	k.waiting = append(k.waiting, w)
	if len(k.waiting) > k.max {
		oldest := k.waiting[0]
		oldest.timer.Stop()
		k.waiting = k.waiting[1:]
		go oldest.process.close()
	}
}

// take returns a process of the enclosure that is still alive, or nil.
func (k *kept) take(enclosure string) *process {
	k.mu.Lock()
	defer k.mu.Unlock()
	for i, w := range slices.Backward(k.waiting) {
		if w.enclosure != enclosure {
			continue
		}
		w.timer.Stop()
		k.waiting = slices.Delete(k.waiting, i, i+1)
		if w.process.alive() {
			return w.process
		}
		go w.process.close()
	}
	return nil
}

// remove takes a process out; it reports whether it was still there, so that only one does.
func (k *kept) remove(w *waiting) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	i := slices.Index(k.waiting, w)
	if i < 0 {
		return false
	}
	k.waiting = slices.Delete(k.waiting, i, i+1)
	return true
}

// close ends every process that waits and keeps no more.
func (k *kept) close() {
	k.mu.Lock()
	all := k.waiting
	k.waiting, k.max = nil, 0
	k.mu.Unlock()
	for _, w := range all {
		w.timer.Stop()
		w.process.close()
	}
}
