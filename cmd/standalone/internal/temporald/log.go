package temporald

import (
	"context"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync/atomic"

	sdklog "go.temporal.io/sdk/log"
	"go.temporal.io/server/common/log"
	"go.temporal.io/server/common/log/tag"
)

// logger hands the server's messages from a level upwards to slog, until it is muted.
type logger struct {
	to    *slog.Logger
	muted atomic.Bool
}

var _ log.Logger = (*logger)(nil)

func newLogger(to *slog.Logger) *logger {
	return &logger{to: to.With("component", "temporal")}
}

// mute drops everything from now on but what ends the process.
func (l *logger) mute() { l.muted.Store(true) }

// quiet is a logger for SDK clients that only probe.
func (l *logger) quiet() sdklog.Logger {
	return sdklog.NewStructuredLogger(slog.New(slog.DiscardHandler))
}

func (l *logger) write(level slog.Level, msg string, tags []tag.Tag) {
	ctx := context.Background()
	if l.muted.Load() || !l.to.Enabled(ctx, level) {
		return
	}
	attributes := make([]slog.Attr, len(tags))
	for i, t := range tags {
		attributes[i] = slog.Any(t.Key(), t.Value())
	}
	l.to.LogAttrs(ctx, level, msg, attributes...)
}

// The server is chatty: what it calls information or a warning is of interest only to who debugs it.

func (l *logger) Debug(string, ...tag.Tag) {}

func (l *logger) Info(msg string, tags ...tag.Tag) { l.write(slog.LevelDebug, msg, tags) }

func (l *logger) Warn(msg string, tags ...tag.Tag) { l.write(slog.LevelDebug, msg, tags) }

// Error is no error where it only says that somebody stopped waiting.
func (l *logger) Error(msg string, tags ...tag.Tag) {
	level := slog.LevelError
	if slices.ContainsFunc(tags, cancelled) {
		level = slog.LevelDebug
	}
	l.write(level, msg, tags)
}

func cancelled(t tag.Tag) bool {
	text, ok := t.Value().(string)
	return ok && t.Key() == "error" && strings.Contains(text, context.Canceled.Error())
}

// DPanic panics in development builds of the server; here it is an error.
func (l *logger) DPanic(msg string, tags ...tag.Tag) { l.write(slog.LevelError, msg, tags) }

func (l *logger) Panic(msg string, tags ...tag.Tag) {
	l.write(slog.LevelError, msg, tags)
	panic("temporal: " + msg)
}

func (l *logger) Fatal(msg string, tags ...tag.Tag) {
	l.muted.Store(false)
	l.write(slog.LevelError, msg, tags)
	os.Exit(1)
}
