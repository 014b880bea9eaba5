package main

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// check fails if the ledger lost anything, or a load's ratio is too low.
func (all *serverResults) check(minima string) error {
	if all.ledger != nil {
		if err := all.ledger.check(); err != nil {
			return errors.Join(err, all.checkMinima(minima))
		}
	}
	return all.checkMinima(minima)
}

// checkMinima fails if a load's median ratio is below what the flag says, such as hits=0.70, and if the flag names a load that was not
// measured.
func (all *serverResults) checkMinima(flag string) error {
	for pair := range strings.SplitSeq(flag, ",") {
		if pair == "" {
			continue
		}
		name, value, _ := strings.Cut(pair, "=")
		least, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return fmt.Errorf("-min %s: %w", pair, err)
		}
		i := slices.IndexFunc(all.loads, func(l *loadResult) bool { return l.name == name })
		if i < 0 {
			return fmt.Errorf("-min %s: there is no load %s", pair, name)
		}
		if got := median(all.loads[i].ratios()); !(got >= least) {
			return fmt.Errorf("%s: ratio %.2f, want at least %.2f", name, got, least)
		}
	}
	return nil
}

// text is the section of the page.
func (all *serverResults) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n### The whole server\n\nOne core for the server and one for the load, %s names, defaults else; medians of %d turns. ", thousands(float64(all.names)), len(all.loads[0].server))
	fmt.Fprintf(&b, "The ratio is to a responder in C that looks nothing up, in the same turn. The times are medians of %d turns of a second each, both at half the rate of the server. ", halfTurns)
	b.WriteString("The stops are those of the garbage collector, each at most as long.\n\n")
	b.WriteString("| load | clients | ratio | spread | server, queries/s | echo, queries/s | CPU, us/query | heap objects/query | loss | matched | matches lost | p50, p99, p99.9 at half the rate, us: server; responder | GC stop p99.9, us |\n")
	b.WriteString("|---|---|---|---|---|---|---|---|---|---|---|---|---|\n")
	for _, l := range all.loads {
		b.WriteString(l.row())
	}
	b.WriteString(all.cacheText() + all.logText())
	if l := all.ledger; l != nil {
		fmt.Fprintf(&b, "\nThe ledger at %s queries/s from %d clients: %s queries received of %s sent, %s matches of about %s different pairs of client and name, %s recorded, %s reported as lost.\n",
			thousands(float64(l.rate)), l.clients, thousands(l.queries), thousands(float64(l.outcome.Sent)), thousands(l.matches), thousands(l.pairs()), thousands(l.recorded), thousands(l.lost))
	}
	if l := all.reload; l != nil {
		b.WriteString(l.text())
	}
	fmt.Fprintf(&b, "\nAfter all this the server has %.0f MiB of memory (RSS), and its garbage collector has stopped it for, in us, p99.9 and number since the start: %s.\n", all.after.rss/mib, all.stops)
	return b.String()
}

// row is a load in the table.
func (r *loadResult) row() string {
	ratios := r.ratios()
	return fmt.Sprintf("| %s | %d | %.2f | %.2f to %.2f | %s | %s | %.2f | %.4f | %.3f %% | %.2f %% | %s | %s; %s | %s |\n", title(r.name), r.clients, median(ratios), slices.Min(ratios), slices.Max(ratios),
		thousands(median(r.server)), thousands(median(r.echo)), median(r.cpu), r.objects, r.loss, 100*r.matched, thousands(r.lost), r.half, r.echoHalf, r.stops)
}

// cacheText is the sentence about the memory of cached answers, if there were many.
func (all *serverResults) cacheText() string {
	for _, l := range all.loads {
		if l.name == "cached 100k" {
			used, resident := l.cache.each()
			return fmt.Sprintf("\n%s more cached answers to questions for A take %.0f octets an answer by the cache's own count. While it fetched them the process grew by %.0f octets for each (RSS), with what was garbage and not collected yet.\n",
				thousands(l.cache.answers), used, resident)
		}
	}
	return ""
}

// logText is the sentence about what the query log wrote of each load that it was on for.
func (all *serverResults) logText() string {
	var parts []string
	for _, l := range all.loads {
		if strings.HasSuffix(l.name, logged) {
			parts = append(parts, fmt.Sprintf("of %s %s lines written and %s lost", title(l.name), thousands(l.logged), thousands(l.unlogged)))
		}
	}
	if parts == nil {
		return ""
	}
	return "\nThe query log, by a server started for it that does not pack finished files: " + strings.Join(parts, "; ") + ".\n"
}
