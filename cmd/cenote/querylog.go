package main

import (
	"log/slog"
	"math"

	"cenote/config"
	"cenote/policy"
	"cenote/querylog"
)

func queryLogConfig(c *config.Config, names querylog.Names, log *slog.Logger) querylog.Config {
	q := &c.QueryLog
	out := querylog.Config{
		Mode: logMode(q.Mode), Path: string(q.Path), Ring: q.Ring, Names: names, Log: log,
		Rotate: querylog.Rotate{Size: int64(q.Rotate.Size), Age: q.Rotate.Age, Keep: q.Rotate.Keep}, Compression: compression(q.Compress),
	}
	switch share := q.Sample.Share(); {
	case share > 0:
		out.Sample = int(min(math.Round(1/share), math.MaxUint32))
	case q.Mode == config.LogSampled:
		out.Mode = querylog.ModeMatches // 0 is "not set" there, and "none" here
	}
	return out
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

func compression(c config.Compression) querylog.Compression {
	switch c {
	case config.CompressionGzip:
		return querylog.CompressionGzip
	case config.CompressionZstd:
		return querylog.CompressionZstd
	case config.CompressionNone:
	}
	return querylog.CompressionNone
}

// Match says what the rule of a record is called; see querylog.Names.
func (c *catalog) Match(generation uint64, r *querylog.Record) (querylog.Match, bool) {
	g := c.generation(generation)
	if g == nil {
		return querylog.Match{}, false
	}
	rule := g.Policy.Rule(policy.Hit{Set: r.Set, Zone: r.Zone, Member: r.Member, Labels: r.Labels})
	return querylog.Match{Zone: zoneName(rule.Zone), Feed: rule.Feed, Family: rule.Family, Threat: rule.Threat}, true
}
