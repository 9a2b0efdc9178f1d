package runner

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode"

	"github.com/matih/pipeline-service/models/task"
)

// emitter writes Messages as JSON lines. Nothing it writes holds a secret it was told of.
type emitter struct {
	mu      sync.Mutex
	out     io.Writer
	secrets [][]byte
	meter   meter
	last    task.Progress
}

// meter counts what a task moves. It is safe for concurrent use.
type meter struct {
	rowsIn, rowsOut, bytesIn, bytesOut atomic.Int64
	// network is what crossed to or from an outside system; staged and quarantined is what was left in those places.
	network, staged, quarantined atomic.Int64
}

// AddIn counts rows and bytes read.
func (m *meter) AddIn(rows, bytes int64) { m.rowsIn.Add(rows); m.bytesIn.Add(bytes) }

// AddOut counts rows and bytes written.
func (m *meter) AddOut(rows, bytes int64) { m.rowsOut.Add(rows); m.bytesOut.Add(bytes) }

// outside is a meter for what is moved from or to an outside system.
type outside struct{ *meter }

// AddIn counts rows and bytes read.
func (o outside) AddIn(rows, bytes int64) { o.meter.AddIn(rows, bytes); o.network.Add(bytes) }

// AddOut counts rows and bytes written.
func (o outside) AddOut(rows, bytes int64) { o.meter.AddOut(rows, bytes); o.network.Add(bytes) }

func (m *meter) progress() task.Progress {
	return task.Progress{RowsIn: m.rowsIn.Load(), RowsOut: m.rowsOut.Load(), BytesIn: m.bytesIn.Load(), BytesOut: m.bytesOut.Load()}
}

// keepSecret makes sure that a value is never written. Values are matched as they look inside JSON.
func (e *emitter) keepSecret(values ...string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, v := range values {
		if v == "" {
			continue
		}
		quoted, err := encode(v)
		if err != nil {
			continue
		}
		e.secrets = append(e.secrets, bytes.Trim(quoted, "\"\n"))
	}
}

// send writes one message.
func (e *emitter) send(m task.Message) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	line, err := e.redacted(m)
	if err != nil {
		return err
	}
	_, err = e.out.Write(line)
	return err
}

// redacted is a message without secrets. A cursor must arrive as it is, even where a user name such as "at" is in it
// by chance.
func (e *emitter) redacted(m task.Message) ([]byte, error) {
	if m.Result != nil && m.Result.Cursor != "" {
		result := *m.Result
		result.Cursor = ""
		line, err := e.redacted(task.Message{Result: &result})
		if err != nil {
			return nil, err
		}
		var clean task.Message
		if err := json.Unmarshal(line, &clean); err != nil {
			return nil, err
		}
		if clean.Result == nil {
			return nil, errors.New("a secret is a word of the protocol")
		}
		clean.Result.Cursor = m.Result.Cursor
		return encode(clean)
	}
	line, err := encode(m)
	for _, s := range e.secrets {
		line = bytes.ReplaceAll(line, s, []byte("***"))
	}
	return line, err
}

// encode is JSON with a line end and without HTML escapes, so that texts look alike everywhere.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(v)
	return b.Bytes(), err
}

// Infof, Warnf write a line of the execution's log.
func (e *emitter) Infof(format string, args ...any) { e.log("INFO", format, args...) }

func (e *emitter) Warnf(format string, args ...any) { e.log("WARN", format, args...) }

// log ignores a failing write: without a reader on the other side the process ends anyway.
func (e *emitter) log(level, format string, args ...any) {
	_ = e.send(task.Message{Log: &task.Log{Time: time.Now().UTC(), Level: level, Message: oneLine(fmt.Sprintf(format, args...))}})
}

// progressInterval is how often progress is reported at most.
const progressInterval = time.Second

// reportProgress sends the meter's counts as they change, and what the task uses, until the returned function is called.
func (e *emitter) reportProgress(a *account) (stop func()) {
	ended := make(chan struct{})
	var reporting sync.WaitGroup
	reporting.Go(func() {
		ticker := time.NewTicker(progressInterval)
		defer ticker.Stop()
		for {
			select {
			case <-ended:
				return
			case <-ticker.C:
				if p := e.meter.progress(); p != e.last {
					e.last = p
					_ = e.send(task.Message{Progress: &p})
				}
				used := a.used()
				_ = e.send(task.Message{Usage: &used})
			}
		}
	})
	return func() {
		close(ended)
		reporting.Wait()
	}
}

// oneLine escapes what could forge lines, colours or the direction of text in a log.
func oneLine(s string) string {
	var b strings.Builder
	for _, r := range s {
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == '\u2028' || r == '\u2029' {
			fmt.Fprintf(&b, "\\u%04x", r)
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}
