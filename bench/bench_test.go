package main

import (
	"strings"
	"testing"

	"cenote/wire"
)

func TestReplaceBetween(t *testing.T) {
	for _, tc := range []struct{ name, page, want string }{
		{"no page yet", "", pageBegin + "\n\nnew\n\n" + pageEnd + "\n"},
		{"no section yet", "# Title\n", "# Title\n\n\n" + pageBegin + "\n\nnew\n\n" + pageEnd + "\n"},
		{"an old section", "# Title\n" + pageBegin + "\nold\n" + pageEnd + "\nafter\n", "# Title\n" + pageBegin + "\n\nnew\n\n" + pageEnd + "\nafter\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := replaceBetween(tc.page, "new\n")
			if got != tc.want {
				t.Errorf("got %q\nwant %q", got, tc.want)
			}
			if again := replaceBetween(got, "new\n"); again != got {
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
	all := &serverResults{loads: []*loadResult{{name: "hits", server: []float64{70}, echo: []float64{100}}}}
	if err := all.checkMinima("hits=0.70,cached=0.65"); err != nil {
		t.Errorf("a ratio of 0.70: %v", err)
	}
	if err := all.checkMinima("hits=0.71"); err == nil {
		t.Error("a ratio of 0.70 passed a minimum of 0.71")
	}
	if err := all.checkMinima(""); err != nil {
		t.Errorf("no minima: %v", err)
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
