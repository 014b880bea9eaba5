package main

import (
	"io"
	"log/slog"
	"strconv"

	"cenote/config"
)

// newLogger makes the server's own log.
func newLogger(c *config.Config, to io.Writer) *slog.Logger {
	options := &slog.HandlerOptions{Level: logLevel(c.Log.Level)}
	if c.Log.Format == config.LogJSON {
		return slog.New(slog.NewJSONHandler(to, options))
	}
	return slog.New(slog.NewTextHandler(to, options))
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
		log.Warn("configuration", "warning", w.Text, "place", place, "hint", w.Hint)
	}
}
