package main

import (
	"fmt"
	"slices"
	"strings"
)

// saturated is the share of its core from which on a load generator holds the server back.
const saturated = 0.95

// askedMax is the share of queries sent on to the upstream from which on the table says it.
const askedMax = 0.001

// find is what a peer did under a load, or nil if it was not asked to.
func (p *peerResult) find(load string) *pairResult {
	i := slices.IndexFunc(p.loads, func(r *pairResult) bool { return r.load == load })
	if i < 0 {
		return nil
	}
	return p.loads[i]
}

// text is the section of the page.
func (all *peerResults) text() string {
	var b strings.Builder
	b.WriteString("\n### Beside its peers\n\n")
	fmt.Fprintf(&b, "One core for the server and one for the load, %s names; each peer alone with Cenote, in turns, %d pairs. ", thousands(float64(all.names)), all.pairs)
	b.WriteString("The ratio is Cenote's rate by the peer's in the same pair: above 1 Cenote answers more. Cenote's ledger records every match in all rows; " +
		"of the peers only those with -log write anything, and they do it for the load that matches. Cenote, dnsdist and nsd answer listed names with an address, the others without one. " +
		"nsd is no filter: it serves the list as a zone, for scale. The times, p50 and p99 in microseconds, are at half of the slower one's rate for both, " +
		"and at half of one's own; all are medians of the pairs. Memory is what is held when the load is over, with what processes share counted once. ")
	fmt.Fprintf(&b, "Served after is the time from a start to the first answers by the whole list; Cenote, without a compiled list from before, took %.1f s.\n", all.served.Seconds())
	for _, k := range all.loads {
		all.loadText(&b, k)
	}
	return b.String()
}

// loadText is the table of one load, and what it comes to.
func (all *peerResults) loadText(b *strings.Builder, k peerKind) {
	fmt.Fprintf(b, "\n#### %s\n\n", k.title())
	b.WriteString("| peer | version | ratio | spread | queries/s: Cenote, peer | CPU, us/query: Cenote, peer | p50, p99 at one rate: Cenote; peer | p50, p99 at half of its own: Cenote; peer " +
		"| memory, MiB: Cenote, peer | served after, s | notes |\n|---|---|---|---|---|---|---|---|---|---|---|\n")
	for _, p := range all.peers {
		if row := p.row(k); row != "" {
			b.WriteString(row)
		}
	}
	if line := all.bestLine(k.name); line != "" {
		fmt.Fprintf(b, "\n%s\n", line)
	}
}

func (k peerKind) title() string {
	switch k.name {
	case "hits":
		return "hits: listed names"
	case "cached":
		return "cached: 10,000 names that are not listed"
	case "mix":
		return "mix: 3 % listed names, the rest cached"
	case "misses":
		return "misses: names that nobody has asked for, of a zone whose server is on the load's core; both ask it themselves, and check no signatures"
	case "tcp":
		return "tcp: the cached names over connections that stay open, many queries under way on each"
	}
	return k.name
}

// row is the peer's line in the table of a load, also if it has no figures; empty if the peer has no part in the load.
func (p *peerResult) row(k peerKind) string {
	if !p.bears(k) {
		return ""
	}
	pair, reason := p.find(k.name), p.reason
	if pair != nil && pair.reason != "" {
		reason = pair.reason
	}
	if pair == nil || reason != "" {
		return fmt.Sprintf("| %s | %s | - | - | - | - | - | - | - | - | not measured: %s |\n", p.name, p.version, cell(reason))
	}
	ratios, c, o := pair.ratios(), &pair.cenote, &pair.peer
	return fmt.Sprintf("| %s | %s | %.2f | %.2f to %.2f | %s, %s | %.2f, %.2f | %s; %s | %s; %s | %.0f, %.0f | %.1f | %s |\n", p.name, p.version, median(ratios), slices.Min(ratios), slices.Max(ratios),
		thousands(median(c.rates)), thousands(median(o.rates)), median(c.cpus), median(o.cpus), times(c.same), times(o.same), times(c.own), times(o.own),
		c.memory, o.memory, p.served.Seconds(), cell(pair.notes()))
}

// notes are what a reader has to know of the figures.
func (p *pairResult) notes() string {
	var out []string
	for _, s := range [...]struct {
		name string
		side *side
	}{{"Cenote", &p.cenote}, {"peer", &p.peer}} {
		if busy := median(s.side.busy); busy < saturated && p.loadBusy < saturated {
			out = append(out, fmt.Sprintf("%s uses %.0f %% of its core", s.name, 100*busy))
		} else if busy < saturated {
			out = append(out, fmt.Sprintf("the load's core is saturated, %s uses %.0f %% of its own", s.name, 100*busy))
		}
	}
	if p.loadBusy > 0 {
		out = append(out, fmt.Sprintf("load at most %.0f %% of its core", 100*p.loadBusy))
	}
	if p.load == "misses" {
		out = append(out, fmt.Sprintf("memory that came with an answer, octets: %.0f, %.0f", p.cenote.perAnswer(), p.peer.perAnswer()))
		if p.asked < missedMin {
			out = append(out, fmt.Sprintf("peer asked the zone's server for %.0f %% only", 100*p.asked))
		}
	} else if p.asked > askedMax {
		out = append(out, fmt.Sprintf("peer asked the upstream for up to %.1f %%", 100*p.asked))
	}
	if p.reconnects > 0 {
		out = append(out, fmt.Sprintf("peer ended a connection every %.0f queries", 1/p.reconnects))
	}
	if p.timeless != "" {
		out = append(out, "times not measured: "+p.timeless)
	}
	if p.repeated > 0 {
		out = append(out, fmt.Sprintf("pairs repeated: %d", p.repeated))
	}
	if p.cenote.window != p.peer.window {
		out = append(out, fmt.Sprintf("under way %d, %d", p.cenote.window, p.peer.window))
	}
	return strings.Join(out, "; ")
}

// perAnswer is how much memory came with each answer, in octets: what is cached, and what else grew meanwhile.
func (s *side) perAnswer() float64 { return (s.memory - s.began) * (1 << 20) / float64(max(s.got, 1)) }

// times are the medians of p50 and p99.
func times(runs []outcome) string {
	if len(runs) == 0 {
		return "-"
	}
	p50, p99 := timesOf(runs)
	return fmt.Sprintf("%.0f, %.0f", p50, p99)
}

func timesOf(runs []outcome) (p50, p99 float64) {
	var halves, slow []float64
	for _, o := range runs {
		halves, slow = append(halves, o.P50), append(slow, o.P99)
	}
	return median(halves), median(slow)
}

// cellMax is how long a text in a table may be.
const cellMax = 200

// cell makes a text fit for a cell of a table.
func cell(text string) string {
	text = strings.Join(strings.Fields(strings.ReplaceAll(text, "|", "/")), " ")
	if len(text) > cellMax {
		return text[:cellMax] + "…"
	}
	return text
}

// slowness is Cenote's p99 by the peer's, at one rate for both; 0 if that was not measured.
func (p *pairResult) slowness() float64 {
	if len(p.cenote.same) == 0 {
		return 0
	}
	_, c := timesOf(p.cenote.same)
	_, o := timesOf(p.peer.same)
	return c / o
}

// measured are the filters that have figures under a load.
func (all *peerResults) measured(load string) (out []*peerResult) {
	for _, p := range all.peers {
		if pair := p.find(load); !p.scale && pair != nil && pair.reason == "" {
			out = append(out, p)
		}
	}
	return out
}

// bestLine says which filter comes nearest to Cenote under a load, in its rate and in its p99; empty if none was measured.
func (all *peerResults) bestLine(load string) string {
	peers := all.measured(load)
	if len(peers) == 0 {
		return ""
	}
	best := slices.MinFunc(peers, func(a, b *peerResult) int {
		return compare(median(a.find(load).ratios()), median(b.find(load).ratios()))
	})
	quick := slices.MaxFunc(peers, func(a, b *peerResult) int { return compare(a.find(load).slowness(), b.find(load).slowness()) })
	ratios := best.find(load).ratios()
	line := fmt.Sprintf("Best peer for %s: %s, ratio %.2f (%.2f to %.2f).", load, best.name, median(ratios), slices.Min(ratios), slices.Max(ratios))
	if quick.find(load).slowness() > 0 {
		line += " In p99 at one rate the nearest is " + quick.slowText(load) + "."
	}
	return line
}

// slowText compares the p99 of both.
func (p *peerResult) slowText(load string) string {
	pair := p.find(load)
	_, c := timesOf(pair.cenote.same)
	_, o := timesOf(pair.peer.same)
	return fmt.Sprintf("%s: at %s queries/s Cenote's is %.0f us beside %.0f us, %.2f times it", p.name, thousands(float64(pair.rate)), c, o, pair.slowness())
}

func compare(a, b float64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}
