package main

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"cenote/sighting"
)

// TestTextHoldsOnePage: however many sightings there are, they leave by the page, so that the ledger may be larger than memory.
func TestTextHoldsOnePage(t *testing.T) {
	var out strings.Builder
	p := (&sightingsList{}).printer(&out)
	one := sighting.Sighting{Client: netip.MustParseAddr("192.0.2.1"), Indicator: sighting.Indicator{Name: "bad.example", Feed: "f"}, Count: 1}
	for range pageSize + 1 {
		if err := p.sighting(&one); err != nil {
			t.Fatal(err)
		}
	}
	if got := strings.Count(out.String(), "\n"); got != pageSize+1 { // with the headings
		t.Errorf("%d lines have left after a page and one more, want %d", got, pageSize+1)
	}
	if err := p.end(nil); err != nil {
		t.Fatal(err)
	}
	if got := strings.Count(out.String(), "\n"); got != pageSize+2 {
		t.Errorf("%d lines at the end, want %d", got, pageSize+2)
	}
}

// TestLossesAreSummedUp: a flood leaves thousands of intervals; a person sees the first ones and what the others come to.
func TestLossesAreSummedUp(t *testing.T) {
	at := time.Date(2026, 1, 2, 15, 0, 0, 0, time.UTC)
	var losses []sighting.Loss
	for i := range lossLinesMax + 3 {
		losses = append(losses, sighting.Loss{
			From: at, Until: at.Add(time.Duration(i) * time.Minute), Reason: "ring", Count: 10,
			Client: netip.MustParsePrefix("192.0.2.0/24"), Feed: "f", Family: fmt.Sprintf("family%d\x1b[2J", i),
		})
	}
	var out strings.Builder
	printLosses(&out, losses)
	text := out.String()
	for _, want := range []string{"10 matches from 2026-01-02T15:00:00Z", "192.0.2.0/24 f family0", "and 30 matches more in 3 intervals up to 2026-01-02T15:22:00Z"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	if strings.Count(text, "\n") != lossLinesMax+1 || strings.Contains(text, "\x1b") {
		t.Errorf("got %d lines, want %d without escapes:\n%s", strings.Count(text, "\n"), lossLinesMax+1, text)
	}
}

// TestErasureIsAskedFor: whoever does not say yes has erased nothing, and has not even asked a server.
func TestErasureIsAskedFor(t *testing.T) {
	for _, answer := range []string{"", "n\n", "yesterday\n"} {
		var out, errOut strings.Builder
		status := run([]string{"sightings", "erase", "192.0.2.1", "--socket", "/nowhere"}, strings.NewReader(answer), &out, &errOut)
		if status != 1 || out.Len() > 0 || !strings.Contains(errOut.String(), "192.0.2.1") || !strings.Contains(errOut.String(), "nothing was erased") {
			t.Errorf("%q: status %d, output %q, errors %q; want 1 and that nothing was erased", answer, status, out.String(), errOut.String())
		}
	}
}
