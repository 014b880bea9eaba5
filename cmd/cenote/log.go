package main

import (
	"context"
	"io"
	"log/slog"
	"strconv"
	"sync/atomic"

	"cenote/config"
)

// logSettings are what a reload may change of the server's own log. A nil one is of a log that is somebody else's.
type logSettings struct {
	level slog.LevelVar
	json  atomic.Bool
}

// set puts the configuration in force.
func (s *logSettings) set(c *config.Config) {
	if s != nil {
		s.level.Set(logLevel(c.Log.Level))
		s.json.Store(c.Log.Format == config.LogJSON)
	}
}

// newLogger makes the server's own log, and what changes it.
func newLogger(c *config.Config, to io.Writer) (*slog.Logger, *logSettings) {
	s := new(logSettings)
	s.set(c)
	options := &slog.HandlerOptions{Level: &s.level}
	return slog.New(&logHandler{settings: s, text: slog.NewTextHandler(to, options), json: slog.NewJSONHandler(to, options)}), s
}

// logHandler writes each line in the format that is in force.
type logHandler struct {
	settings   *logSettings
	text, json slog.Handler
}

func (h *logHandler) chosen() slog.Handler {
	if h.settings.json.Load() {
		return h.json
	}
	return h.text
}

// Enabled, Handle, WithAttrs and WithGroup make it a slog.Handler.
func (h *logHandler) Enabled(ctx context.Context, l slog.Level) bool {
	return h.chosen().Enabled(ctx, l)
}

// Handle writes a line.
func (h *logHandler) Handle(ctx context.Context, r slog.Record) error {
	return h.chosen().Handle(ctx, r)
}

// WithAttrs returns a handler whose lines have attrs too.
func (h *logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &logHandler{h.settings, h.text.WithAttrs(attrs), h.json.WithAttrs(attrs)}
}

// WithGroup returns a handler whose further attributes are in a group.
func (h *logHandler) WithGroup(name string) slog.Handler {
	return &logHandler{h.settings, h.text.WithGroup(name), h.json.WithGroup(name)}
}

func logLevel(l config.LogLevel) slog.Level {
	switch l {
	case config.LevelDebug:
		return slog.LevelDebug
	case config.LevelWarn:
		return slog.LevelWarn
	case config.LevelError:
		return slog.LevelError
	case config.LevelInfo:
	}
	return slog.LevelInfo
}

// logWarnings tells what is doubtful in a configuration that is used all the same.
func logWarnings(log *slog.Logger, warnings config.Warnings) {
	for _, w := range warnings {
		place := w.File
		if w.Line > 0 {
			place += ":" + strconv.Itoa(w.Line)
		}
		log.Warn("configuration", "warning", w.Text, "key", w.Key, "place", place, "hint", w.Hint)
	}
}
