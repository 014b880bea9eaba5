package main

import (
	"log/slog"

	"cenote/config"
	"cenote/querylog"
)

func queryLogConfig(c *config.Config, _ *catalog, _ *slog.Logger) querylog.Config {
	q := &c.QueryLog
	return querylog.Config{Mode: logMode(q.Mode), Path: string(q.Path), Ring: q.Ring}
}

func logMode(m config.LogMode) querylog.Mode {
	switch m {
	case config.LogMatches:
		return querylog.ModeMatches
	case config.LogSampled:
		return querylog.ModeSampled
	case config.LogAll:
		return querylog.ModeAll
	case config.LogOff:
	}
	return querylog.ModeOff
}
