package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"cenote/blocklist"
	"cenote/forecast"
)

func printForecast(to io.Writer, a *forecastAnswer) {
	if a.Partial != "" {
		_, _ = fmt.Fprintf(to, "PARTIAL: not all of the log was read (%s)\n", printable(strings.ReplaceAll(a.Partial, "\n", "; ")))
	}
	printForecastSources(to, a)
	m := &a.Matched
	_, _ = fmt.Fprintf(to, "\nIt would have matched %d queries (%s) for %s names by %s of %s clients; %d of them no rule decided then.\n",
		m.Queries, share(m.Queries, a.Queries), countText(m.Names), countText(m.Clients), countText(a.Clients), m.New)
	for _, action := range slices.Sorted(maps.Keys(m.Actions)) {
		_, _ = fmt.Fprintf(to, "  %d with the action %s\n", m.Actions[action], action)
	}
	_, _ = fmt.Fprintf(to, "Of its %d entries %s matched and %d never did.\n", a.Rows.Entries, countText(a.Rows.Matched), a.Rows.Never)
	printForecastNames(to, a.Names)
	printForecastTables(to, a)
	for i := range a.Lists {
		printOverlap(to, &a.Lists[i])
	}
	if len(a.Lists) > 0 {
		_, _ = fmt.Fprintf(to, "\nOf the queries that match, %d were for names at or below one of a top list, %d of an allow list.\n", m.Top, m.Allow)
	}
	_, _ = fmt.Fprintln(to)
	for _, note := range a.Notes {
		_, _ = fmt.Fprintln(to, "note:", note)
	}
}

func printForecastSources(to io.Writer, a *forecastAnswer) {
	_, _ = fmt.Fprintf(to, "feed %s (%s): %s, %d entries of %d rows; %d refused, %d held, %d twice\n", printable(a.Feed), printable(a.Source), a.Read.Format, a.Read.Live,
		a.Read.Parsed, a.Read.Refused, a.Read.Held, a.Read.Duplicates.Count)
	l := &a.Log
	_, _ = fmt.Fprintf(to, "log: %d files, %d lines, %d queries from %s to %s, in %.1f s\n", l.Files, l.Lines, l.Queries, stamp(a.From), stamp(a.Until), a.Seconds)
	if l.NotAsked > 0 {
		_, _ = fmt.Fprintf(to, "  %d queries that no policy is asked about: refused, malformed, of other classes\n", l.NotAsked)
	}
	if l.Unreadable > 0 {
		_, _ = fmt.Fprintf(to, "  %d lines that cannot be read, the first %s\n", l.Unreadable, printable(l.First))
	}
}

// countText is a count as people read it.
func countText(c forecast.Count) string {
	if c.Estimated {
		return fmt.Sprintf("about %d", c.Count)
	}
	return strconv.FormatUint(c.Count, 10)
}

func share(n, of uint64) string {
	if of == 0 {
		return "0%"
	}
	return fmt.Sprintf("%.3g%%", 100*float64(n)/float64(of))
}

// atLeast is a count that may be short.
func atLeast(n, short uint64) string {
	if short > 0 {
		return fmt.Sprintf("%d to %d", n, n+short)
	}
	return strconv.FormatUint(n, 10)
}

func printForecastNames(to io.Writer, names []forecast.Name) {
	if len(names) == 0 {
		return
	}
	_, _ = fmt.Fprintln(to)
	t := newTable(to, "NAME", "QUERIES", "CLIENTS", "LISTED", "ACTION", "FAMILY", "ALSO IN", "PLACE")
	for i := range names {
		n := &names[i]
		t.row(n.Name, atLeast(n.Queries, n.Short), countText(n.Clients), n.Listed, n.Action, orDash(printable(n.Family)), alsoIn(n),
			blocklist.Place(printable(n.File), n.Line))
	}
	_ = t.flush()
}

func alsoIn(n *forecast.Name) string {
	var lists []string
	if n.Top {
		lists = append(lists, "top")
	}
	if n.Allow {
		lists = append(lists, "allow")
	}
	return orDash(strings.Join(lists, ", "))
}

func printForecastTables(to io.Writer, a *forecastAnswer) {
	if a.Matched.Queries == 0 {
		return
	}
	_, _ = fmt.Fprintln(to)
	days := newTable(to, "DAY", "QUERIES", "MATCHED", "CLIENTS")
	for _, d := range a.Days {
		days.row(d.Day, strconv.FormatUint(d.Queries, 10), strconv.FormatUint(d.Matched, 10), countText(d.Clients))
	}
	_ = days.flush()
	_, _ = fmt.Fprintln(to)
	clients := newTable(to, "CLIENT", "QUERIES THAT MATCH")
	for _, c := range a.Busiest {
		clients.row(c.Client.String(), atLeast(c.Queries, c.Short))
	}
	_ = clients.flush()
	_, _ = fmt.Fprintln(to)
	today := newTable(to, "MATCHED THEN BY", "ACTION", "QUERIES")
	for _, then := range a.Today {
		today.row(thenText(&then), orDash(then.Action), strconv.FormatUint(then.Queries, 10))
	}
	_ = today.flush()
}

func thenText(t *forecast.Today) string {
	switch {
	case t.Action == "":
		return "no rule"
	case !t.Enforced:
		return printable(t.Feed) + " (observed)"
	}
	return orDash(printable(t.Feed))
}

func printOverlap(to io.Writer, o *forecast.Overlap) {
	kind := "top"
	if o.Allow {
		kind = "allow"
	}
	_, _ = fmt.Fprintf(to, "\nOf the %d names of the %s list %s it would stop %d\n", o.Entries, kind, printable(o.List), o.Stopped)
	t := newTable(to)
	for _, n := range o.First {
		t.row("  "+o.List+":"+strconv.Itoa(n.Place), n.Name, n.Action, "by "+n.Listed)
	}
	_ = t.flush()
}
