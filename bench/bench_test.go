package main

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cenote/wire"

	"github.com/google/pprof/profile"
)

func TestReplaceBetween(t *testing.T) {
	begin, end := fmt.Sprintf(pageBegin, "server"), fmt.Sprintf(pageEnd, "server")
	other := replaceBetween("", "packages", "old")
	for _, tc := range []struct{ name, page, want string }{
		{"no page yet", "", begin + "\n\nnew\n\n" + end + "\n"},
		{"no section yet", "# Title\n", "# Title\n\n" + begin + "\n\nnew\n\n" + end + "\n"},
		{"an old section", "# Title\n" + begin + "\nold\n" + end + "\nafter\n", "# Title\n" + begin + "\n\nnew\n\n" + end + "\nafter\n"},
		{"another part", other, strings.TrimSpace(other) + "\n\n" + begin + "\n\nnew\n\n" + end + "\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := replaceBetween(tc.page, "server", "new\n")
			if got != tc.want {
				t.Errorf("got %q\nwant %q", got, tc.want)
			}
			if again := replaceBetween(got, "server", "new\n"); again != got {
				t.Errorf("a second time: got %q\nwant %q", again, got)
			}
		})
	}
}

func TestMedian(t *testing.T) {
	for _, tc := range []struct {
		values []float64
		want   float64
	}{{nil, 0}, {[]float64{3}, 3}, {[]float64{4, 1, 3}, 3}, {[]float64{4, 1, 3, 2}, 2.5}} {
		if got := median(tc.values); got != tc.want {
			t.Errorf("median(%v) = %v, want %v", tc.values, got, tc.want)
		}
	}
}

func TestThousands(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567"} {
		if got := thousands(v); got != want {
			t.Errorf("thousands(%v) = %s, want %s", v, got, want)
		}
	}
}

func TestParseBenchmarks(t *testing.T) {
	got := parseBenchmarks([]byte("goos: linux\npkg: cenote/ring\nBenchmarkSPSC \t 100\t 11.5 ns/op\t 0 B/op\t 0 allocs/op\n" +
		"BenchmarkSPSC \t 100\t 12.5 ns/op\t 0 B/op\t 0 allocs/op\nPASS\npkg: cenote/wire\nBenchmarkParse/small 5 40 ns/op 16 B/op 2 allocs/op\n"))
	want := []string{"| ring SPSC | 12 | 0 | 0 |", "| wire Parse/small | 40 | 16 | 2 |"}
	for _, row := range want {
		if !strings.Contains(got.text(), row) {
			t.Errorf("the table lacks %q:\n%s", row, got.text())
		}
	}
}

func TestParseMetrics(t *testing.T) {
	got, err := parseMetrics(strings.NewReader("# HELP a_total Text.\na_total{x=\"1 2\"} 3\na_total{x=\"2\"} 4\nb 1e+06\n"))
	if err != nil || got["a_total"] != 7 || got["b"] != 1e6 {
		t.Errorf("got %v, %v, want a_total 7 and b 1000000", got, err)
	}
}

func TestMinima(t *testing.T) {
	all := &serverResults{loads: []*loadResult{
		{name: "hits", server: []float64{70}, echo: []float64{100}}, {name: "none", server: []float64{0}, echo: []float64{0}},
	}}
	if err := all.checkMinima("hits=0.70"); err != nil {
		t.Errorf("a ratio of 0.70: %v", err)
	}
	if err := all.checkMinima("hits=0.71"); err == nil {
		t.Error("a ratio of 0.70 passed a minimum of 0.71")
	}
	for _, flag := range []string{"none=0.1", "hit=0.1", "hits", "hits=much"} {
		if err := all.checkMinima(flag); err == nil {
			t.Errorf("-min %s passed", flag)
		}
	}
	if err := all.checkMinima(""); err != nil {
		t.Errorf("no minima: %v", err)
	}
}

func TestRunsThatAreNoMeasurement(t *testing.T) {
	for name, tc := range map[string]struct {
		outcome outcome
		ok      bool
	}{
		"good":          {outcome{Got: 1000, LossPct: 0.1}, true},
		"no replies":    {outcome{}, false},
		"too much lost": {outcome{Got: 1000, LossPct: 0.2}, false},
		"SERVFAIL":      {outcome{Got: 1000, ServFail: 1}, false},
		"REFUSED":       {outcome{Got: 1000, Refused: 1}, false},
	} {
		if err := tc.outcome.check(); (err == nil) != tc.ok {
			t.Errorf("%s: got %v", name, err)
		}
	}
	for name, tc := range map[string]struct {
		result loadResult
		ok     bool
	}{
		"good":                 {loadResult{matched: 0.9995}, true},
		"not all are listed":   {loadResult{matched: 0.99}, false},
		"upstream was asked":   {loadResult{matched: 1, missed: 0.01}, false},
		"no queries at all":    {loadResult{matched: math.NaN(), missed: math.NaN()}, false},
		"matched without miss": {loadResult{matched: 1, missed: math.NaN()}, false},
	} {
		if err := tc.result.check(kinds[0]); (err == nil) != tc.ok {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestLedgerIsChecked(t *testing.T) {
	for name, tc := range map[string]struct {
		result ledgerResult
		ok     bool
	}{
		"all recorded":     {ledgerResult{matches: 10, recorded: 10}, true},
		"some lost":        {ledgerResult{matches: 10, recorded: 9, lost: 1}, false},
		"some unaccounted": {ledgerResult{matches: 10, recorded: 9}, false},
		"nothing matched":  {ledgerResult{}, false},
	} {
		if err := tc.result.check(); (err == nil) != tc.ok {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if got := (&ledgerResult{names: 1e6, clients: 256, matches: 1e6}).pairs(); got < 0.99e6 || got > 1e6 {
		t.Errorf("a million matches among 256 million pairs are %v different ones", got)
	}
}

func TestOddLines(t *testing.T) {
	for text, want := range map[string]string{"a\nb\n": "a\n", "a\nb\nc\n": "a\nb\nc", "a": "a"} {
		r := &rig{dir: t.TempDir()}
		if err := os.WriteFile(filepath.Join(r.dir, "in"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		n, err := r.oddLines("in", "out")
		got, _ := os.ReadFile(filepath.Join(r.dir, "out"))
		if err != nil || string(got) != want || int(n)%2 != 1 {
			t.Errorf("%q: got %q with %v lines, %v, want %q", text, got, n, err, want)
		}
	}
}

func TestTruth(t *testing.T) {
	query := "\x00\x07\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03www\x07example\x00\x00"
	for qtype, section := range map[byte]int{wire.TypeA: 1, wire.TypeAAAA: 2} {
		reply := truth([]byte(query + string(qtype) + "\x00\x01"))
		records, err := wire.Records(reply)
		if err != nil || wire.ID(reply) != 7 || wire.Count(reply, section) != 1 {
			t.Fatalf("type %d: got %x, %v, want one record in section %d", qtype, reply, err, section)
		}
		for records.Next() {
		}
		if records.Err != nil {
			t.Errorf("type %d: %v in %x", qtype, records.Err, reply)
		}
	}
	if reply := truth([]byte("junk")); reply != nil {
		t.Errorf("junk got the reply %x", reply)
	}
}

// TestProfileTellsNothingOfTheMachine: the profile that is kept has the samples of the one that was taken, and no path of this machine.
func TestProfileTellsNothingOfTheMachine(t *testing.T) {
	dir := t.TempDir()
	from, to := filepath.Join(dir, "from"), filepath.Join(dir, "to")
	mapping := &profile.Mapping{ID: 1, File: dir + "/cenote", BuildID: "c0ffee"}
	location := &profile.Location{ID: 1, Mapping: mapping, Line: []profile.Line{{Function: &profile.Function{ID: 1, Name: "main.main", Filename: "main.go"}}}}
	taken := &profile.Profile{
		SampleType: []*profile.ValueType{{Type: "cpu", Unit: "nanoseconds"}}, TimeNanos: 7,
		Sample:  []*profile.Sample{{Location: []*profile.Location{location}, Value: []int64{42}}},
		Mapping: []*profile.Mapping{mapping}, Location: []*profile.Location{location}, Function: []*profile.Function{location.Line[0].Function},
	}
	var b bytes.Buffer
	if err := taken.Write(&b); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(from, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := copyProfile(from, to); err != nil {
		t.Fatal(err)
	}
	kept, err := os.ReadFile(to)
	if err != nil {
		t.Fatal(err)
	}
	p, err := profile.ParseData(kept)
	if err != nil {
		t.Fatal(err)
	}
	if text := p.String(); !strings.Contains(text, "main.main") || !strings.Contains(text, "42") || strings.Contains(text, dir) || strings.Contains(text, "c0ffee") || p.TimeNanos != 0 {
		t.Errorf("the profile that is kept is\n%s", text)
	}
}
