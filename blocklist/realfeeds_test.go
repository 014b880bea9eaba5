package blocklist_test

import (
	"bufio"
	"errors"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"cenote/blocklist"
	"cenote/dnsname"
	"cenote/policy"

	"golang.org/x/net/publicsuffix"
)

// nameSink keeps the names of a feed by how they are listed.
type nameSink struct {
	names map[policy.Kind]map[dnsname.Name]bool
}

func newNameSink() *nameSink { return &nameSink{map[policy.Kind]map[dnsname.Name]bool{}} }

func (s *nameSink) Indicator(i *blocklist.Indicator) error {
	if s.names[i.Kind] == nil {
		s.names[i.Kind] = map[dnsname.Name]bool{}
	}
	s.names[i.Kind][i.Name] = true
	return nil
}

func (s *nameSink) Fault(blocklist.Fault) {}

func readShared(t *testing.T, name string) (*nameSink, blocklist.Report) {
	t.Helper()
	s := newNameSink()
	report, err := blocklist.ReadFeed(t.Context(), blocklist.FeedConfig{Name: name, Path: sharedData(t, name)}, s)
	if err != nil {
		t.Fatal(err)
	}
	checkEquation(t, report)
	return s, report
}

func TestSameNamesInFourSyntaxes(t *testing.T) {
	const rows = 76_036
	var first map[dnsname.Name]bool
	for _, tc := range []struct {
		name, format string
		kind         policy.Kind
	}{
		{"lists/basic.hosts", "hosts", policy.KindExact},
		{"lists/basic.domains", "domains", policy.KindExact},
		{"lists/basic.adblock", "adblock", policy.KindSubtree},
		{"lists/basic.dnsmasq", "dnsmasq", policy.KindSubtree},
	} {
		s, report := readShared(t, tc.name)
		if report.Format != tc.format || report.Parsed != rows || report.Refused != 0 {
			t.Errorf("%s: %d rows read as %s, %d refused; want %d as %s, none", tc.name, report.Parsed, report.Format, report.Refused, rows, tc.format)
		}
		if len(s.names) != 1 || len(s.names[tc.kind]) != report.Live {
			t.Errorf("%s: %d names of kind %s, want %d", tc.name, len(s.names[tc.kind]), tc.kind, report.Live)
		}
		if first == nil {
			first = s.names[tc.kind]
		}
		if !maps.Equal(first, s.names[tc.kind]) {
			t.Errorf("%s: the names differ from those of basic.hosts", tc.name)
		}
	}
}

// TestRealAddressLists reads lists of addresses: every row that is about one host is served, whether the format is given or not.
func TestRealAddressLists(t *testing.T) {
	for name, c := range map[string]struct{ rows, special int }{"ips/threatfox-ips.txt": {19_863, 7}, "ips/blocklistproject-malware.ip": {20_907, 1}} {
		path, rows := sharedData(t, name), c.rows
		for _, format := range []string{"", "domains"} {
			_, report, err := readFeed(t, blocklist.FeedConfig{Path: path, Format: format})
			if err != nil || report.Parsed != rows || report.Live != rows-c.special || report.Triggers.IP != report.Live || report.Faults[blocklist.ReasonSpecialAddress].Count != c.special {
				t.Errorf("%s as %s: parsed %d, live %d, %+v, faults %v, %v; want %d addresses, %d of which mean something else in every network", name, report.Format, report.Parsed, report.Live, report.Triggers, report.Faults, err, rows, c.special)
			}
		}
		_, report, err := readFeed(t, blocklist.FeedConfig{Path: path, Addresses: blocklist.AddressesIgnored})
		if got := report.Faults[blocklist.ReasonIPAddress]; !errors.Is(err, blocklist.ErrEmpty) || got == nil || got.Count != rows {
			t.Errorf("%s, ignored: faults %v, %v; want all of them and ErrEmpty", name, report.Faults, err)
		}
	}
}

func TestBlackbookFamilies(t *testing.T) {
	s := &rowSink{}
	if _, err := blocklist.ReadFeed(t.Context(), blocklist.FeedConfig{Name: "blackbook", Path: sharedData(t, "lists/blackbook.csv")}, s); err != nil {
		t.Fatal(err)
	}
	if got, want := s.rows[0], "2 exact statsrvv.com family=keitaro reference=ViriBack"; got != want {
		t.Errorf("first row = %q, want %q", got, want)
	}
}

func TestInfostealersZone(t *testing.T) {
	s, report := readShared(t, "rpz/infostealers.rpz.gz")
	maps.DeleteFunc(s.names[policy.KindExact], func(name dnsname.Name, _ bool) bool { return policy.TriggerOf([]byte(name)) != policy.TriggerQNAME })
	const names, addresses = 59_574, 13_318
	if report.Serial != 2026082301 || !report.ClosestEncloser {
		t.Errorf("serial = %d, closest encloser = %v", report.Serial, report.ClosestEncloser)
	}
	if got := report.Triggers.IP; got != addresses {
		t.Errorf("address triggers = %d, want %d", got, addresses)
	}
	if got := report.Live + report.Held - addresses; got != 2*names {
		t.Errorf("live and held = %d, want %d names, each itself and below", got, names)
	}
	if !maps.Equal(s.names[policy.KindExact], s.names[policy.KindBelow]) {
		t.Error("the names listed for themselves are not those listed for what lies below them")
	}
}

func TestAllTriggersZone(t *testing.T) {
	s, report := readShared(t, "rpz/all-triggers.rpz")
	if c := report.Triggers; report.Refused != 0 || c.ClientIP+c.IP+c.NSDNAME+c.NSIP != 8 {
		t.Errorf("refused = %d (%v), triggers %+v, want 8 that are not query names", report.Refused, report.Faults, c)
	}
	for _, name := range []string{"nodata.example.com", "garden.example.com", "wild.example.com", "local.example.com", "drop.example.com", "tcp.example.com", "ok.example.com"} {
		if !s.names[policy.KindExact][dnsname.MustParse(name)] {
			t.Errorf("%s is missing", name)
		}
	}
}

// trailCounts reads the oracle: per family how many lines are of which kind.
func trailCounts(t *testing.T) map[string]*blocklist.TrailKinds {
	t.Helper()
	f, err := os.Open(sharedData(t, "maltrail/counts.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	counts := map[string]*blocklist.TrailKinds{}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		columns := strings.Split(lines.Text(), "\t")
		if columns[0] == "family" {
			continue
		}
		n := make([]int, len(columns)-1)
		for i, column := range columns[1:] {
			if n[i], err = strconv.Atoi(column); err != nil {
				t.Fatal(err)
			}
		}
		counts[columns[0]] = &blocklist.TrailKinds{Domain: n[0], IP: n[1], IPPort: n[2], HTTPIP: n[3], CIDR: n[4], URL: n[5], Path: n[6], Other: n[7]}
	}
	return counts
}

func compareCounts(t *testing.T, got, want map[string]*blocklist.TrailKinds) {
	t.Helper()
	for _, family := range slices.Sorted(maps.Keys(want)) {
		if got[family] == nil || *got[family] != *want[family] {
			t.Errorf("%s: counts = %+v, want %+v", family, got[family], *want[family])
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d families, want %d", len(got), len(want))
	}
}

func TestMaltrailArchive(t *testing.T) {
	if raceEnabled {
		sharedData(t, "maltrail/malware.tar.gz") // of which TestMaltrailDirectory reads a tenth
		return
	}
	s, report := readShared(t, "maltrail/malware.tar.gz")
	compareCounts(t, report.Families, trailCounts(t))
	given := 0
	for _, k := range trailCounts(t) {
		given += k.Domain + k.IP + k.IPPort + k.HTTPIP + k.CIDR + k.URL + k.Path + k.Other
	}
	checkReasons(t, &report, given)
	const domains, unique, mapped = 1_104_010, 937_165, 1
	if report.Parsed != 1_492_701 || report.Live-report.Triggers.IP+report.Held+report.Faults[blocklist.ReasonPublicSuffix].Count != domains+mapped {
		t.Errorf("parsed %d, live %d, held %d: want %d rows with names", report.Parsed, report.Live, report.Held, domains)
	}
	held := map[string]bool{}
	for _, f := range report.HeldRows {
		held[strings.ToLower(f.Text)] = true
	}
	refused := report.Faults[blocklist.ReasonPublicSuffix].Count
	if got := len(s.names[policy.KindSubtree]) + len(held) + refused - mapped; got != unique {
		t.Errorf("%d distinct names of which %d held and %d refused, want %d", got, len(held), refused, unique)
	}
}

func TestMaltrailDirectory(t *testing.T) {
	_, report := readShared(t, "maltrail/infostealers")
	want := trailCounts(t)
	maps.DeleteFunc(want, func(family string, _ *blocklist.TrailKinds) bool { return report.Families[family] == nil })
	if len(want) != 13 {
		t.Errorf("%d families of the directory are known to the oracle, want 13", len(want))
	}
	compareCounts(t, report.Families, want)
}

// TestSuffixesAgainstJudge asks another implementation about every name that the archive's guard looked at.
func TestSuffixesAgainstJudge(t *testing.T) {
	s, report := readShared(t, "maltrail/infostealers")
	isSuffix := func(name string) bool {
		suffix, _ := publicsuffix.PublicSuffix(name)
		return suffix == name
	}
	for name := range s.names[policy.KindSubtree] {
		if isSuffix(name.String()) {
			t.Errorf("%s was served, and is a public suffix", name)
		}
	}
	for _, f := range report.HeldRows {
		if !isSuffix(f.Text) {
			t.Errorf("%s was held, and is no public suffix", f.Text)
		}
	}
}

func BenchmarkMaltrailArchive1492701Rows(b *testing.B) {
	path := sharedData(b, "maltrail/malware.tar.gz")
	b.ReportAllocs()
	for b.Loop() {
		report, err := blocklist.ReadFeed(b.Context(), blocklist.FeedConfig{Name: "maltrail", Path: path}, dropSink{})
		if err != nil {
			b.Fatal(err)
		}
		b.SetBytes(report.Bytes)
	}
}

func BenchmarkFormats(b *testing.B) {
	for _, name := range []string{"lists/basic.hosts", "lists/basic.domains", "lists/basic.adblock", "lists/basic.dnsmasq", "lists/infostealers.unbound.conf.gz",
		"lists/blackbook.csv", "intel/stix/amnesty/android_campaign.stix2.gz", "intel/misp-feed", "rpz/infostealers.rpz.gz"} {
		b.Run(name, func(b *testing.B) {
			path := sharedData(b, name)
			b.ReportAllocs()
			for b.Loop() {
				report, err := blocklist.ReadFeed(b.Context(), blocklist.FeedConfig{Name: "bench", Path: path}, dropSink{})
				if err != nil {
					b.Fatal(err)
				}
				b.SetBytes(report.Bytes)
			}
		})
	}
}

type dropSink struct{}

func (dropSink) Indicator(*blocklist.Indicator) error { return nil }
func (dropSink) Fault(blocklist.Fault)                {}
