package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"cenote/blocklist"
	"cenote/config"
	"cenote/zone"
)

type checkCommand struct {
	configFlag
	JSON bool `help:"Print JSON."`
}

// checkWriter takes what check finds, as it is found: a feed may have more faults than fit in memory.
type checkWriter interface {
	configuration(config.Faults, config.Warnings)
	beginFeed(name string)
	fault(blocklist.Fault)
	endFeed(blocklist.Report, error)
	unfetched(url string) // in place of endFeed
	zone(*config.OwnZone, *zone.Zone, []zone.Fault, error)
	end() error
}

// Run checks the configuration, then every feed and every zone, and exits 1 if anything is wrong with them; what is doubtful in a zone that can be served is
// shown and no more.
func (c *checkCommand) Run(ctx context.Context, std streams) error {
	conf, warnings, err := c.read()
	var faults config.Faults
	if err != nil && !errors.As(err, &faults) {
		return err
	}
	if conf != nil && c.Config == "" {
		if err := writeStarter(string(conf.Feeds[0].Path)); err != nil {
			return err
		}
	}
	to := newCheckWriter(std, c.JSON)
	to.configuration(faults, warnings)
	sound := err == nil
	if err == nil {
		for _, f := range locatedFeeds(conf) {
			sound = checkFeed(ctx, &f, to) && sound
		}
		for i := range conf.Zones {
			if conf.Zones[i].File == "" {
				continue // there is no file, and the configuration says all there is to check
			}
			sound = checkZone(&conf.Zones[i], time.Now(), to) && sound
		}
	}
	if err := to.end(); err != nil {
		return fmt.Errorf("writing what was found: %w", err)
	}
	if !sound {
		return errReported
	}
	return nil
}

// checkFeed reads a feed, and reports whether every row of it can be served. Of one with a URL it asks no server: it looks at how it is to be fetched,
// and reads what was fetched last.
func checkFeed(ctx context.Context, f *blocklist.Feed, to checkWriter) bool {
	to.beginFeed(f.Name)
	if f.Fetch.URL != "" || f.Fetch.Transfer.Zone != "" {
		if err := f.Fetch.Check(); err != nil {
			to.endFeed(blocklist.Report{}, err)
			return false
		}
		if _, err := os.Stat(f.Path); err != nil {
			to.unfetched(f.Shown)
			return true
		}
	}
	report, err := blocklist.CheckFeed(ctx, f.FeedConfig, to.fault)
	to.endFeed(report, err)
	return err == nil && report.Refused+report.Held == 0
}
