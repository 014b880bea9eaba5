package main

import (
	"strings"
	"testing"
)

// TestServerText: what the page is to say of a run stands in it.
func TestServerText(t *testing.T) {
	load := func(name string) *loadResult {
		return &loadResult{name: name, clients: 4, server: []float64{70}, echo: []float64{100}, cpu: []float64{2.5}}
	}
	many, withLog := load("cached 100k"), load("hits"+logged)
	many.cache, many.stops = cacheCost{answers: 100_000, used: 12e6, resident: 15e6}, stops{count: 7, p999: 24, max: 32}
	withLog.logged, withLog.unlogged = 5000, 12
	all := &serverResults{names: 1e6, loads: []*loadResult{load("hits"), many, withLog}, after: memory{rss: 300 * mib}, stops: stops{count: 9, p999: 40, max: 40},
		reload: &reloadResult{rate: 10, count: 1, witness: &witness{asked: 700, wrong: 2, silent: 1, first: "a.example"}, steady: []outcome{{P999: 1}}, during: []outcome{{P999: 2}}, times: []float64{1.9},
			deltas: &deltaResult{deltas: 2, during: []outcome{{P999: 3, Sent: 50, Lost: 1}}, live: []float64{20, 30, 40}, times: []float64{250}}, before: memory{rss: 100 * mib}, after: memory{rss: 110 * mib, peak: 150 * mib}}}
	text := all.text()
	for _, want := range []string{
		"| hits | 4 | 0.70 |", "| cached 100k | 4 |", "| 24, max 32 of 7 |", "| hits, query log all | 4 |",
		"100,000 more cached answers to questions for A take 120 octets", "grew by 150 octets",
		"of hits, query log all 5,000 lines written and 12 lost.", "100 MiB before, reload peak 150 MiB, 110 MiB after", "300 MiB of memory (RSS)", "of 700 answers looked at one by one 2 wrong, 1 late (the first wrong one for a.example)", "3 times, 2 served as a delta, 1 of 50 queries lost", "live 30 ms after the file was seen to rest (median; worst 40), 250 ms after", "ratio 3.00.",
		"since the start: 40, max 40 of 9.",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the text lacks %q:\n%s", want, text)
		}
	}
	rows := 0
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "|") {
			if rows++; strings.Count(line, "|") != 14 {
				t.Errorf("a row of another length: %s", line)
			}
		}
	}
	if rows != 5 {
		t.Errorf("got %d rows, want 5", rows)
	}
}

func TestByLog(t *testing.T) {
	plain, withLog, misses := bySetup(kinds)
	if len(plain)+len(withLog)+len(misses) != len(kinds) || len(misses) != 1 || misses[0].name != "misses" || len(withLog) != 2 || withLog[0].name != "hits+log" || title(withLog[0].name) != "hits, query log all" {
		t.Errorf("got %v and %v", plain, withLog)
	}
	for _, name := range loadNames() {
		if strings.Contains(name, ",") {
			t.Errorf("the load %q cannot be named in -loads", name)
		}
	}
}
