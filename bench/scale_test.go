package main

import (
	"bufio"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestSizes(t *testing.T) {
	for text, want := range map[string][]int{"1e5,1e6,2e7": {100_000, 1_000_000, 20_000_000}, "7": {7}, "": nil} {
		var s sizes
		if err := s.Set(text); err != nil || !slices.Equal(s, want) {
			t.Errorf("%q: got %v, %v, want %v", text, s, err, want)
		}
	}
	for _, text := range []string{"0", "-1", "1.5", "many", "1e10", "NaN"} {
		if err := new(sizes).Set(text); err == nil {
			t.Errorf("%q passed", text)
		}
	}
	if s := (&sizes{1, 100}).String(); s != "1,100" {
		t.Errorf("got %q", s)
	}
}

func TestScaleRows(t *testing.T) {
	s := scaleOptions{names: sizes{10, 20}, cache: sizes{30}, feeds: sizes{4}, zones: sizes{1, 5}, views: sizes{2}}
	var got []string
	for _, row := range s.rows(1000) {
		if row.what == "names" && row.names != row.size || row.what != "names" && row.names != 1000 {
			t.Errorf("%s %d has a list of %d", row.what, row.size, row.names)
		}
		got = append(got, row.what)
	}
	want := []string{"names", "names", "cached answers", "feeds", "policy zones, the first decides", "policy zones, the first decides", "policy zones, the last decides", "views"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestSplitList(t *testing.T) {
	dir := t.TempDir()
	list := "a\nb\nc\nd\ne\nf\ng\n"
	if err := os.WriteFile(filepath.Join(dir, "domains.txt"), []byte(list), 0o600); err != nil {
		t.Fatal(err)
	}
	feeds, err := splitList(dir, 7, 3)
	if err != nil || len(feeds) != 3 {
		t.Fatalf("got %v, %v", feeds, err)
	}
	all := ""
	for _, f := range feeds {
		b, err := os.ReadFile(filepath.Join(dir, f.file))
		if n := strings.Count(string(b), "\n"); err != nil || n < 2 || n > 3 {
			t.Errorf("%s has %d names, %v", f.file, n, err)
		}
		all += string(b)
	}
	if all != list {
		t.Errorf("together the feeds are %q, want %q", all, list)
	}
	if _, err := splitList(dir, 8, 2); err == nil {
		t.Error("a list of 7 names was split as one of 8")
	}
	if err := copyLines(filepath.Join(dir, "out"), bufio.NewReader(strings.NewReader("a\nb")), 2); err != nil {
		t.Errorf("a last line without its end: %v", err)
	}
}

func TestAddZones(t *testing.T) {
	for _, last := range []bool{false, true} {
		s := &setup{dir: t.TempDir()}
		if err := addZones(s, &scaleRow{zones: 3, lastDecides: last}); err != nil {
			t.Fatal(err)
		}
		first := "bench"
		if last {
			first = "other"
		}
		if len(s.zones) != 3 || s.zones[0][0] != first || s.zones[1][0] != first || s.zones[2][0] != "bench" {
			t.Errorf("last decides %v: got zones %v", last, s.zones)
		}
	}
}

// measured are rows as they are once they were measured.
func measured() []*scaleRow {
	load := func(cpu float64) *loadResult {
		return &loadResult{server: []float64{60}, echo: []float64{100}, cpu: []float64{cpu}, cache: cacheCost{answers: 1000, used: 105_000}}
	}
	row := func(what string, size int) *scaleRow {
		return &scaleRow{what: what, size: size, hits: load(2.5), cached: load(2), octets: 14.2, cold: 3 * time.Second, restart: 50 * time.Millisecond,
			started: memory{rss: 100 * mib}, loaded: memory{rss: 300 * mib}}
	}
	cache := row("cached answers", 1000)
	cache.cache, cache.hits = 1000, nil
	failed := &scaleRow{what: "names", size: 2e7, failed: errors.New("writing /tmp/cenote-bench-123/row/x:\n no space left | on device")}
	return []*scaleRow{row("names", 1e5), row("names", 1e6), failed, cache}
}

func TestScaleText(t *testing.T) {
	text := scaleText(measured(), 1e6, 5, plotFile)
	for _, want := range []string{
		"| names | 100,000 | 0.60 | 2.50 | 0.60 | 2.00 | 100 | 300 | 14.2 | 3.00 | 0.050 |",
		"| names | 20,000,000 | not measured: writing DIR/row/x: no space left / on device | - |",
		"| cached answers | 1,000 | - | - | 0.60 | 2.00 |", "105 octets with 1,000 of them", "](scale.svg)",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the text lacks %q:\n%s", want, text)
		}
	}
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "|") && strings.Count(line, "|") != 12 {
			t.Errorf("a row of another length: %s", line)
		}
	}
	if long := reason(errors.New(strings.Repeat("é", 300))); len(long) > reasonMax+len(" …") || strings.ContainsRune(long, '\uFFFD') {
		t.Errorf("a long reason became %q", long)
	}
}

func TestPlot(t *testing.T) {
	dir := t.TempDir()
	name, err := writePlot(filepath.Join(dir, "page.md"), measured())
	if err != nil || name != plotFile {
		t.Fatalf("got %q, %v", name, err)
	}
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	circles := 0
	for d := xml.NewDecoder(strings.NewReader(string(b))); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("the plot is no XML: %v\n%s", err, b)
		}
		if e, ok := token.(xml.StartElement); ok && e.Name.Local == "circle" {
			circles++
		}
	}
	if circles != 8 || strings.Contains(string(b), "NaN") || strings.Contains(string(b), "Inf") {
		t.Errorf("got %d points, want 2 sizes in 4 lines:\n%s", circles, b)
	}
	if name, err := writePlot(filepath.Join(dir, "page.md"), measured()[2:]); name != "" || err != nil {
		t.Errorf("nothing to draw: got %q, %v", name, err)
	}
	if name, err := writePlot("", measured()); name != "" || err != nil {
		t.Errorf("no page: got %q, %v", name, err)
	}
}

func TestAxis(t *testing.T) {
	for i, want := range map[int]float64{-3: 0.1, -1: 0.5, 0: 1, 1: 2, 2: 5, 3: 10, 16: 200_000} {
		if got := step(i); got < want*0.999 || got > want*1.001 {
			t.Errorf("step(%d) = %v, want %v", i, got, want)
		}
	}
	for _, values := range [][]float64{{1e5, 2e7}, {2.1, 4.9}, {7}, {1}, {0.3, 900}} {
		var l line
		for _, v := range values {
			l.points = append(l.points, point{v, v})
		}
		a := axisOf([]line{l}, func(q point) float64 { return q.x }, 100)
		for _, v := range values {
			if at := a.at(v); !(at >= -0.001 && at <= 100.001) {
				t.Errorf("%v of %v lies at %v of 100", v, values, at)
			}
		}
		if n := len(a.ticks()); n < 2 || n > 8 {
			t.Errorf("%v: %d ticks", values, n)
		}
	}
}
