package main

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
)

// plotFile is the plot's name; it lies beside the page.
const plotFile = "scale.svg"

// The plot's measures, in its own units: those of a panel's axes, and what stands around them.
const (
	panelWidth, panelHeight = 320.0, 240.0
	marginLeft, marginTop   = 58.0, 44.0
	marginRight, marginDown = 22.0, 48.0
)

// panel is one pair of logarithmic axes. What is above 0 alone can be drawn.
type panel struct {
	title string
	lines []line
}

// line is one measure against the length of the list.
type line struct {
	name   string
	points []point
}

type point struct{ x, y float64 }

// plotStyle makes the plot readable where pages are light and where they are dark; who knows neither sees the light one.
const plotStyle = `<style>
text{font:12px sans-serif;fill:#1f2328}
.ground{fill:#ffffff}
.grid{stroke:#d0d7de}
.l0{stroke:#0969da;fill:#0969da}.l1{stroke:#bc4c00;fill:#bc4c00}
.l0,.l1{stroke-width:2}polyline{fill:none!important}
@media (prefers-color-scheme:dark){text{fill:#e6edf3}.ground{fill:#0d1117}.grid{stroke:#3d444d}.l0{stroke:#58a6ff;fill:#58a6ff}.l1{stroke:#f0883e;fill:#f0883e}}
</style>
`

// writePlot writes the plot beside the page and returns its name, empty if there is no page or nothing to draw.
func writePlot(page string, rows []*scaleRow) (string, error) {
	panels := panelsOf(rows)
	if page == "" || len(panels) == 0 {
		return "", nil
	}
	return plotFile, os.WriteFile(filepath.Join(filepath.Dir(page), plotFile), []byte(plot(panels)), 0o644)
}

// panelsOf takes from the rows about names what is drawn.
func panelsOf(rows []*scaleRow) []panel {
	cpu := panel{"CPU, us/query, against names", []line{{name: "hits"}, {name: "cached"}}}
	rss := panel{"RSS, MiB, against names", []line{{name: "after the loads"}, {name: "at the start"}}}
	for _, row := range rows {
		if row.what != "names" || row.failed != nil {
			continue
		}
		x := float64(row.size)
		cpu.add(x, median(row.hits.cpu), median(row.cached.cpu))
		rss.add(x, row.loaded.rss/mib, row.started.rss/mib)
	}
	if len(cpu.lines[0].points) == 0 {
		return nil
	}
	return []panel{cpu, rss}
}

func (p *panel) add(x float64, values ...float64) {
	for i, y := range values {
		if y > 0 {
			p.lines[i].points = append(p.lines[i].points, point{x, y})
		}
	}
}

// plot draws panels side by side, as SVG.
func plot(panels []panel) string {
	width := float64(len(panels)) * (marginLeft + panelWidth + marginRight)
	height := marginTop + panelHeight + marginDown
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %.0f" width="%.0f" height="%.0f" role="img">`+"\n", width, height, width, height)
	b.WriteString(plotStyle)
	fmt.Fprintf(&b, `<rect class="ground" width="%.0f" height="%.0f"/>`+"\n", width, height)
	for i := range panels {
		fmt.Fprintf(&b, `<g transform="translate(%.0f %.0f)">`+"\n", float64(i)*(marginLeft+panelWidth+marginRight)+marginLeft, marginTop)
		panels[i].draw(&b)
		b.WriteString("</g>\n")
	}
	b.WriteString("</svg>\n")
	return b.String()
}

func (p *panel) draw(b *strings.Builder) {
	x := axisOf(p.lines, func(q point) float64 { return q.x }, panelWidth)
	y := axisOf(p.lines, func(q point) float64 { return q.y }, panelHeight)
	fmt.Fprintf(b, `<text x="0" y="-26" font-weight="bold">%s</text>`+"\n", p.title)
	for _, v := range x.ticks() {
		fmt.Fprintf(b, `<line class="grid" x1="%.1f" x2="%.1f" y1="0" y2="%.0f"/><text x="%.1f" y="%.0f" text-anchor="middle">%s</text>`+"\n",
			x.at(v), x.at(v), panelHeight, x.at(v), panelHeight+18, short(v))
	}
	for _, v := range y.ticks() {
		fmt.Fprintf(b, `<line class="grid" x1="0" x2="%.0f" y1="%.1f" y2="%.1f"/><text x="-6" y="%.1f" text-anchor="end">%s</text>`+"\n",
			panelWidth, panelHeight-y.at(v), panelHeight-y.at(v), panelHeight-y.at(v)+4, short(v))
	}
	for i, l := range p.lines {
		var path []string
		for _, q := range l.points {
			path = append(path, fmt.Sprintf("%.1f,%.1f", x.at(q.x), panelHeight-y.at(q.y)))
			fmt.Fprintf(b, `<circle class="l%d" cx="%.1f" cy="%.1f" r="3"/>`+"\n", i, x.at(q.x), panelHeight-y.at(q.y))
		}
		fmt.Fprintf(b, `<polyline class="l%d" points="%s"/>`+"\n", i, strings.Join(path, " "))
		at := float64(i) * panelWidth / 2
		fmt.Fprintf(b, `<rect class="l%d" x="%.0f" y="-14" width="14" height="2"/><text x="%.0f" y="-8">%s</text>`+"\n", i, at, at+20, l.name)
	}
}

// axis is a logarithmic axis from one step to another; steps are 1, 2 and 5 times the powers of ten.
type axis struct {
	least, most int
	length      float64
}

// step is the i-th value of the steps; the 0th is 1.
func step(i int) float64 {
	power := math.Floor(float64(i) / 3)
	return [...]float64{1, 2, 5}[i-3*int(power)] * math.Pow(10, power)
}

// axisOf makes the shortest axis that has all points in it.
func axisOf(lines []line, of func(point) float64, length float64) axis {
	low, high := math.Inf(1), 0.0
	for _, l := range lines {
		for _, q := range l.points {
			low, high = min(low, of(q)), max(high, of(q))
		}
	}
	a := axis{length: length}
	if high == 0 {
		return axis{0, 1, length}
	}
	for a.least = 3 * int(math.Floor(math.Log10(low))); step(a.least+1) <= low; {
		a.least++
	}
	for a.most = a.least + 1; step(a.most) < high; {
		a.most++
	}
	return a
}

// at is how far from the axis's begin a value lies.
func (a axis) at(v float64) float64 {
	return a.length * math.Log(v/step(a.least)) / math.Log(step(a.most)/step(a.least))
}

// ticksMax is how many steps of an axis are marked; of more, powers of ten alone are.
const ticksMax = 7

func (a axis) ticks() (out []float64) {
	for i := a.least; i <= a.most; i++ {
		if a.most-a.least < ticksMax || i%3 == 0 {
			out = append(out, step(i))
		}
	}
	return out
}

// short writes a value as 20M.
func short(v float64) string {
	switch {
	case v >= 1e6:
		return fmt.Sprintf("%gM", v/1e6)
	case v >= 1e3:
		return fmt.Sprintf("%gk", v/1e3)
	}
	return fmt.Sprintf("%.3g", v)
}
