package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"cenote/blocklist"
	"cenote/config"
)

type checkCommand struct {
	configFlag
	JSON bool `help:"Print JSON."`
}

// checkAnswer is what check finds, for --json.
type checkAnswer struct {
	Faults   config.Faults   `json:"faults"`
	Warnings config.Warnings `json:"warnings"`
	Feeds    []feedCheck     `json:"feeds"`
}

// feedCheck is what check finds in one feed.
type feedCheck struct {
	Name   string            `json:"name"`
	Error  string            `json:"error,omitempty"`
	Faults []blocklist.Fault `json:"faults"`
	Report blocklist.Report  `json:"report"`
}

// Run checks the configuration, then every feed, and exits 1 if anything is wrong with either.
func (c *checkCommand) Run(ctx context.Context, std streams) error {
	conf, warnings, err := c.read()
	var faults config.Faults
	if err != nil && !errors.As(err, &faults) {
		return err
	}
	answer := checkAnswer{Faults: faults, Warnings: warnings}
	if conf != nil && c.Config == "" {
		err = writeStarter(string(conf.Feeds[0].Path))
	}
	if err == nil {
		for _, f := range feeds(conf) {
			answer.Feeds = append(answer.Feeds, checkFeed(ctx, f.FeedConfig))
		}
	}
	if c.JSON {
		if err := printJSON(std.out, answer); err != nil {
			return err
		}
	} else {
		printCheck(std, &answer)
	}
	if !answer.sound() {
		return errReported
	}
	return nil
}

// faultSink keeps the faults of a feed and lets its names go.
type faultSink struct{ faults []blocklist.Fault }

// Indicator takes a row that can be served: there is nothing to say about it.
func (*faultSink) Indicator(*blocklist.Indicator) error { return nil }

// Fault takes a row that cannot.
func (s *faultSink) Fault(f blocklist.Fault) { s.faults = append(s.faults, f) }

func checkFeed(ctx context.Context, f blocklist.FeedConfig) feedCheck {
	var sink faultSink
	report, err := blocklist.ReadFeed(ctx, f, &sink)
	out := feedCheck{Name: f.Name, Faults: sink.faults, Report: report}
	if err != nil {
		out.Error = err.Error()
	}
	return out
}

func (a *checkAnswer) sound() bool {
	return len(a.Faults) == 0 && !slices.ContainsFunc(a.Feeds, func(f feedCheck) bool { return f.Error != "" || f.Report.Refused+f.Report.Held > 0 })
}

func printCheck(std streams, a *checkAnswer) {
	for _, w := range a.Warnings {
		_, _ = fmt.Fprintln(std.err, w)
	}
	if len(a.Faults) > 0 {
		_, _ = fmt.Fprintln(std.err, a.Faults.Error())
		return
	}
	for i := range a.Feeds {
		printFeedCheck(std, &a.Feeds[i])
	}
}

func printFeedCheck(std streams, f *feedCheck) {
	shown := map[blocklist.Reason]int{}
	for _, fault := range f.Faults {
		_, _ = fmt.Fprintf(std.out, "%s\n    %s\n", fault, hint(fault.Reason))
		shown[fault.Reason]++
	}
	for _, reason := range sortedReasons(f.Report.Faults) {
		if more := f.Report.Faults[reason].Count - shown[reason]; more > 0 {
			_, _ = fmt.Fprintf(std.out, "%s: and %d more rows: %s\n", f.Name, more, reason)
		}
	}
	if f.Error != "" {
		_, _ = fmt.Fprintf(std.out, "%s: %s\n", f.Name, printable(f.Error))
		return
	}
	r := &f.Report
	_, _ = fmt.Fprintf(std.out, "%s: %s, %d files, %d rows: %d to serve, %d refused, %d held\n", f.Name, r.Format, r.Files, r.Parsed, r.Live, r.Refused, r.Held)
}

func sortedReasons(faults map[blocklist.Reason]*blocklist.FaultCount) []blocklist.Reason {
	out := make([]blocklist.Reason, 0, len(faults))
	for r := range faults {
		out = append(out, r)
	}
	slices.Sort(out)
	return out
}
