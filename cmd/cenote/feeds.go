package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"time"

	"cenote/api"
	"cenote/blocklist"
)

type feedsCommand struct {
	socketFlag
	JSON bool `help:"Print JSON."`
}

// Run shows how the feeds of the running server stand.
func (c *feedsCommand) Run(ctx context.Context, std streams) error {
	client, err := c.client(0)
	if err != nil {
		return err
	}
	var answer api.FeedsAnswer
	if err := client.Get(ctx, "/v1/feeds", nil, &answer); err != nil {
		return err
	}
	if c.JSON {
		return printJSON(std.out, answer)
	}
	return printFeeds(std.out, &answer, time.Now())
}

func printFeeds(to io.Writer, a *api.FeedsAnswer, now time.Time) error {
	t := newTable(to, "FEED", "STATE", "ENTRIES", "REFUSED", "HELD", "TWICE", "COPY", "CHANGED", "GOOD")
	for i := range a.Feeds {
		f := &a.Feeds[i]
		var entries, refused, held, twice string
		if r := f.Report; r != nil {
			entries, refused, held, twice = strconv.Itoa(r.Live), strconv.Itoa(r.Refused), strconv.Itoa(r.Held), strconv.Itoa(r.Duplicates.Count)
		}
		state := string(f.State)
		if !f.Served {
			state += ", in no zone"
		}
		t.row(f.Name, state, entries, refused, held, twice, strconv.FormatUint(f.Copy, 10), age(f.LastChange, now), age(f.LastGood, now))
	}
	if err := t.flush(); err != nil {
		return err
	}
	for i := range a.Feeds {
		printFeedTrouble(to, &a.Feeds[i], now)
	}
	_, err := fmt.Fprintf(to, "\npolicy generation %d: %d names, compiled %s ago\n", a.Policy.Generation, a.Policy.Names, age(a.Policy.Built, now))
	if a.Policy.Error != "" {
		_, err = fmt.Fprintf(to, "the last compilation failed: %s\n", a.Policy.Error)
	}
	return err
}

func printFeedTrouble(to io.Writer, f *blocklist.FeedStatus, now time.Time) {
	if f.Error != "" {
		_, _ = fmt.Fprintf(to, "\n%s: since %s: %s\n", f.Name, age(f.ErrorSince, now), printable(f.Error))
	}
	report := f.Report
	if f.ErrorReport != nil {
		report = f.ErrorReport
	}
	if report == nil || len(report.Faults) == 0 {
		return
	}
	_, _ = fmt.Fprintf(to, "\n%s: rows that are not served:\n", f.Name)
	for _, r := range sortedReasons(report.Faults) {
		n := report.Faults[r]
		_, _ = fmt.Fprintf(to, "  %7d %-20s first at %s:%d: %s\n", n.Count, r, n.First.File, n.First.Line, n.First.Text)
	}
}

func sortedReasons(faults map[blocklist.Reason]*blocklist.FaultCount) []blocklist.Reason {
	return slices.Sorted(maps.Keys(faults))
}
