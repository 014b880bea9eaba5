package main

import (
	"fmt"
	"html"
	"slices"
	"strings"
)

// The measures of the chart, in its own units, which are pixels unless it is scaled.
const (
	chartWidth  = 860
	chartNames  = 130 // where the names end and the bars begin
	chartBars   = 480 // how long the longest bar is
	chartRow    = 22
	chartTitle  = 34
	chartMargin = 12
)

// chartStyle has colours for both modes; the ground is left as it is.
const chartStyle = `<style>
text { font: 13px system-ui, sans-serif; fill: #1f2328; }
.title { font-weight: 600; }
.figure { fill: #57606a; }
.cenote { fill: #0969da; }
.peer { fill: #8c959f; }
.scale { fill: #d0d7de; }
.spread { stroke: #1f2328; stroke-width: 1; fill: none; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3; }
  .figure { fill: #9198a1; }
  .cenote { fill: #4493f8; }
  .peer { fill: #6e7681; }
  .scale { fill: #3d444d; }
  .spread { stroke: #e6edf3; }
}
</style>
`

// A bar is one row of the chart. Lengths are rates by Cenote's.
type bar struct {
	name, class, figure string
	length, low, high   float64
}

// chart draws, for each load, every peer's rate by Cenote's in the same pairs, with the spread.
func (all *peerResults) chart() string {
	var b strings.Builder
	y, longest := chartMargin, all.longest()
	for _, k := range all.loads {
		bars := all.bars(k.name)
		if len(bars) == 0 {
			continue
		}
		fmt.Fprintf(&b, "<text class=\"title\" x=\"%d\" y=\"%d\">%s</text>\n", chartMargin, y+18, html.EscapeString(k.title()))
		y += chartTitle
		for _, r := range bars {
			r.draw(&b, y, chartBars/longest)
			y += chartRow
		}
		y += chartMargin
	}
	return fmt.Sprintf("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\" role=\"img\">\n<title>Queries a second on one core, by those of Cenote</title>\n",
		chartWidth, y, chartWidth, y) + chartStyle + b.String() + "</svg>\n"
}

// longest is the end of the longest bar or spread, and at least Cenote's own bar.
func (all *peerResults) longest() float64 {
	out := 1.0
	for _, k := range all.loads {
		for _, b := range all.bars(k.name) {
			out = max(out, b.length, b.high)
		}
	}
	return out
}

// bars are Cenote's and those of the peers with figures, the quickest first. None if no peer has figures.
func (all *peerResults) bars(load string) []bar {
	var out []bar
	var rates []float64
	for _, p := range all.peers {
		pair := p.find(load)
		if pair == nil || pair.reason != "" {
			continue
		}
		ratios := pair.ratios()
		out = append(out, bar{name: p.name, class: p.class(), length: 1 / median(ratios), low: 1 / slices.Max(ratios), high: 1 / slices.Min(ratios),
			figure: fmt.Sprintf("%.2f, %s queries/s", 1/median(ratios), thousands(median(pair.peer.rates)))})
		rates = append(rates, median(pair.cenote.rates))
	}
	if len(out) == 0 {
		return nil
	}
	slices.SortStableFunc(out, func(a, b bar) int { return compare(b.length, a.length) })
	own := bar{name: "Cenote", class: "cenote", length: 1, low: 1, high: 1, figure: "1, " + thousands(median(rates)) + " queries/s"}
	return append([]bar{own}, out...)
}

func (p *peerResult) class() string {
	if p.scale {
		return "scale"
	}
	return "peer"
}

// draw writes the row whose upper edge is at y; unit is the length of Cenote's bar.
func (r bar) draw(b *strings.Builder, y int, unit float64) {
	middle := y + chartRow/2
	at := func(length float64) float64 { return chartNames + length*unit }
	fmt.Fprintf(b, "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">%s</text>", chartNames-8, middle+4, html.EscapeString(r.name))
	fmt.Fprintf(b, "<rect class=\"%s\" x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"%d\" rx=\"2\"/>", r.class, chartNames, y+3, r.length*unit, chartRow-6)
	if r.high > r.low {
		fmt.Fprintf(b, "<path class=\"spread\" d=\"M%.1f %dv6M%.1f %dh%.1fM%.1f %dv6\"/>", at(r.low), middle-3, at(r.low), middle, (r.high-r.low)*unit, at(r.high), middle-3)
	}
	fmt.Fprintf(b, "<text class=\"figure\" x=\"%.1f\" y=\"%d\">%s</text>\n", at(max(r.length, r.high))+8, middle+4, html.EscapeString(r.figure))
}
