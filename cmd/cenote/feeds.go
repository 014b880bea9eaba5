package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"cenote/api"
	"cenote/blocklist"
)

type feedsCommand struct {
	List     feedsList     `cmd:"" default:"withargs" help:"Show how the feeds stand; this is the default."`
	History  feedsHistory  `cmd:"" help:"Show which copies of a feed are kept, or of all feeds."`
	Diff     feedsDiff     `cmd:"" help:"Show which rows one copy of a feed has that another has not."`
	Rollback feedsRollback `cmd:"" help:"Serve an older copy of a feed, and read its source no more until it is unpinned."`
	Unpin    feedsUnpin    `cmd:"" help:"Let a feed that was rolled back follow its source again."`
}

type feedsList struct {
	socketFlag
	JSON bool `help:"Print JSON."`
}

// Run shows how the feeds of the running server stand.
func (c *feedsList) Run(ctx context.Context, std streams) error {
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
	if err := printFetches(to, a.Feeds, now); err != nil {
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

// printFetches shows how the fetching of those feeds stands that have a URL, if there are any.
func printFetches(to io.Writer, feeds []blocklist.FeedStatus, now time.Time) error {
	t := newTable(to)
	for i := range feeds {
		f := &feeds[i]
		if f.Fetch == nil || f.Fetch.Zone != nil {
			continue
		}
		if t.rows == 0 {
			_, _ = fmt.Fprintln(to)
			t.row("FEED", "FETCHED", "TRIED", "NEXT", "FAILURES", "OCTETS", "URL")
		}
		t.row(f.Name, age(f.Fetch.LastSuccess, now), age(f.Fetch.LastAttempt, now), until(f.Fetch.NextAttempt, now), strconv.Itoa(f.Fetch.Failures),
			strconv.FormatInt(f.Fetch.Bytes, 10), printable(f.URL))
	}
	if err := t.flush(); err != nil {
		return err
	}
	if err := printTransfers(to, feeds, now); err != nil {
		return err
	}
	return printCollections(to, feeds, now)
}

// printTransfers shows how those policy zones stand that are taken from primaries, if there are any.
func printTransfers(to io.Writer, feeds []blocklist.FeedStatus, now time.Time) error {
	t := newTable(to)
	for i := range feeds {
		f := &feeds[i]
		if f.Fetch == nil || f.Fetch.Zone == nil {
			continue
		}
		if t.rows == 0 {
			_, _ = fmt.Fprintln(to)
			t.row("TRANSFERRED", "ZONE", "SERIAL", "CONFIRMED", "BY", "NEXT", "FAILURES", "PRIMARIES")
		}
		z, serial := f.Fetch.Zone, ""
		if z.Primary != "" {
			serial = strconv.FormatUint(uint64(z.Serial), 10)
		}
		t.row(f.Name, printable(z.Zone), serial, age(f.Fetch.LastSuccess, now), printable(z.Primary), until(f.Fetch.NextAttempt, now), strconv.Itoa(f.Fetch.Failures),
			printable(strings.Join(z.Primaries, ", ")))
	}
	return t.flush()
}

// printCollections shows how far those feeds were followed that are collections of TAXII, if there are any.
func printCollections(to io.Writer, feeds []blocklist.FeedStatus, now time.Time) error {
	t := newTable(to)
	for i := range feeds {
		f := &feeds[i]
		if f.Fetch == nil || f.Fetch.Collection == nil {
			continue
		}
		if t.rows == 0 {
			_, _ = fmt.Fprintln(to)
			t.row("COLLECTION", "OBJECTS", "ADDED AFTER", "READ WHOLE")
		}
		c := f.Fetch.Collection
		after := "the next fetch reads all"
		if !c.AddedAfter.IsZero() {
			after = c.AddedAfter.UTC().Format(time.RFC3339)
		}
		t.row(f.Name, strconv.Itoa(c.Objects), after, age(c.Resynced, now))
	}
	return t.flush()
}

func printFeedTrouble(to io.Writer, f *blocklist.FeedStatus, now time.Time) {
	if pin := f.Pin; pin != nil {
		_, _ = fmt.Fprintf(to, "\n%s: pinned to copy %d since %s%s; its source is not read until `cenote feeds unpin %s`\n", f.Name, pin.Copy,
			age(pin.Since, now), reasonText(pin.By, pin.Why), f.Name)
	}
	if f.Error != "" {
		_, _ = fmt.Fprintf(to, "\n%s: since %s: %s\n", f.Name, age(f.ErrorSince, now), printable(f.Error))
	}
	if !f.Expired.IsZero() {
		_, _ = fmt.Fprintf(to, "\n%s: since %s the zone is older than its SOA lets it become; it is served all the same; look whether its publisher still works on it\n",
			f.Name, age(f.Expired, now))
	}
	printWaiting(to, f)
	if f.Report != nil && f.Report.Loose > 0 {
		_, _ = fmt.Fprintf(to, "\n%s: %s\n", f.Name, looseText(f.Report.Loose))
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
		_, _ = fmt.Fprintf(to, "  %7d %-20s first at %s: %s%s\n", n.Count, r, blocklist.Place(n.First.File, n.First.Line), n.First.Text, inBrackets(n.First.By))
	}
}

// printWaiting shows how many rows of a feed are served, or recorded only, that a guard is about.
func printWaiting(to io.Writer, f *blocklist.FeedStatus) {
	if r := f.Report; r != nil && r.Popular+r.Released > 0 {
		_, _ = fmt.Fprintf(to, "\n%s: %d rows with popular names are served or recorded only, and %d that were held are released; see `cenote held`\n", f.Name, r.Popular, r.Released)
	}
}

// inBrackets is a remark of ours behind a text, or nothing.
func inBrackets(remark string) string {
	if remark == "" {
		return ""
	}
	return " (" + printable(remark) + ")"
}

func sortedReasons(faults map[blocklist.Reason]*blocklist.FaultCount) []blocklist.Reason {
	return slices.Sorted(maps.Keys(faults))
}

// looseText tells of records that are read since their feed is lenient.
func looseText(n int) string {
	return fmt.Sprintf("%d records have an address that is not spelled as the RPZ draft demands; they are read, since the feed is lenient", n)
}
