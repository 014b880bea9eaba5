package blocklist_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"cenote/blocklist"
	"cenote/dnsname"
	"cenote/policy"
)

// rowSink keeps what a feed holds, each row as one line of text.
type rowSink struct {
	rows   []string
	faults []blocklist.Fault
	err    error // what Indicator answers
}

func (s *rowSink) Indicator(i *blocklist.Indicator) error {
	s.rows = append(s.rows, rowText(i))
	return s.err
}

func (s *rowSink) Fault(f blocklist.Fault) { s.faults = append(s.faults, f) }

func (s *rowSink) faultTexts() []string {
	var list []string
	for _, f := range s.faults {
		list = append(list, fmt.Sprintf("%d %s", f.Line, f.Reason))
	}
	return list
}

// rowText writes a row as "line kind name", and after it whatever is not empty.
func rowText(i *blocklist.Indicator) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d %s %s", i.Line, i.Kind, policy.KeyText([]byte(i.Name)))
	add := func(key, value string) {
		if value != "" {
			fmt.Fprintf(&b, " %s=%s", key, value)
		}
	}
	if trigger := policy.TriggerOf([]byte(i.Name)); trigger != policy.TriggerQNAME {
		add("trigger", trigger.String())
	}
	if i.Action != policy.ActionDefault {
		add("action", i.Action.String())
	}
	if i.Exception {
		add("exception", "yes")
	}
	add("family", i.Family)
	add("threat", i.Threat)
	if i.Confidence != policy.ConfidenceUnknown {
		add("confidence", fmt.Sprint(i.Confidence))
	}
	if !i.Expiry.IsZero() {
		add("expiry", i.Expiry.UTC().Format("2006-01-02T15:04"))
	}
	add("reference", i.Reference)
	add("comment", i.Comment)
	if i.Data != nil {
		for _, set := range i.Data.RRsets {
			add(fmt.Sprintf("type%d/%d", set.Type, set.TTL), fmt.Sprintf("%x", set.RData))
		}
	}
	return b.String()
}

func wantLines(t *testing.T, what string, got []string, want string) {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(want), "\n")
	for i := range lines {
		lines[i] = strings.TrimSpace(lines[i])
	}
	if want == "" {
		lines = nil
	}
	if !slices.Equal(got, lines) {
		t.Errorf("%s\n got:\n  %s\nwant:\n  %s", what, strings.Join(got, "\n  "), strings.Join(lines, "\n  "))
	}
}

// checkEquation holds what Report promises.
func checkEquation(t testing.TB, r blocklist.Report) {
	t.Helper()
	faults := 0
	for _, c := range r.Faults {
		faults += c.Count
	}
	held := 0
	for reason, c := range r.Faults {
		if reason.Held() {
			held += c.Count
		}
	}
	if r.Parsed != r.Live+r.Refused+r.Held || r.Refused+r.Held != faults || r.Held != held {
		t.Errorf("parsed %d, live %d, refused %d, held %d, faults %d of which held %d: the sums differ", r.Parsed, r.Live, r.Refused, r.Held, faults, held)
	}
}

func readFeed(t testing.TB, c blocklist.FeedConfig) (*rowSink, blocklist.Report, error) {
	t.Helper()
	s := &rowSink{}
	c.Name = "sample"
	report, err := blocklist.ReadFeed(t.Context(), c, s)
	checkEquation(t, report)
	return s, report, err
}

func TestSamples(t *testing.T) {
	for _, tc := range append(sampleCases(), intelCases()...) {
		t.Run(tc.name, func(t *testing.T) {
			tc.config.Path = filepath.Join("testdata", "feeds", tc.path)
			s, report, err := readFeed(t, tc.config)
			if err != nil {
				t.Fatal(err)
			}
			if report.Format != tc.format {
				t.Errorf("format = %s, want %s", report.Format, tc.format)
			}
			wantLines(t, "rows", s.rows, tc.rows)
			wantLines(t, "faults", s.faultTexts(), tc.faults)
			if report.Skipped != tc.skipped {
				t.Errorf("skipped = %d, want %d", report.Skipped, tc.skipped)
			}
			if report.ClosestEncloser != (tc.format == "rpz") {
				t.Errorf("closest encloser = %v", report.ClosestEncloser)
			}
		})
	}
}

type sampleCase struct {
	name, path, format string
	config             blocklist.FeedConfig
	rows, faults       string
	skipped            int
}

func sampleCases() []sampleCase {
	return []sampleCase{
		{name: "hosts", path: "sample.hosts", format: "hosts", skipped: 6, rows: `
			7 exact one.example
			8 exact two.example comment=seen in March
			8 exact three.example comment=seen in March
			9 exact six.example
			10 exact upper.example
			11 exact under_score.example
			16 exact near.example comment=note`,
			faults: `
			12 not-a-dns-rule
			13 syntax
			14 not-a-domain
			15 syntax`},
		{name: "domains", path: "sample.domains", format: "domains", rows: `
			2 exact one.example
			3 exact two.example
			4 exact three.example comment=final dot
			5 exact xn--bcher-kva.example
			6 subtree all.example
			7 below below.example
			8 exact 192.0.2.1 trigger=ip
			11 exact xn--noname-4ia.example`,
			faults: `
			9 url
			10 regex
			13 tld
			14 bad-encoding`},
		{name: "domains with all below", path: "sample.domains", format: "domains", config: blocklist.FeedConfig{Match: blocklist.MatchSubtree, Family: "sample", Threat: "phishing", Confidence: 80},
			rows: `
			2 subtree one.example family=sample threat=phishing confidence=80
			3 subtree two.example family=sample threat=phishing confidence=80
			4 subtree three.example family=sample threat=phishing confidence=80 comment=final dot
			5 subtree xn--bcher-kva.example family=sample threat=phishing confidence=80
			6 subtree all.example family=sample threat=phishing confidence=80
			7 subtree below.example family=sample threat=phishing confidence=80
			8 exact 192.0.2.1 trigger=ip family=sample threat=phishing confidence=80
			11 subtree xn--noname-4ia.example family=sample threat=phishing confidence=80`,
			faults: `
			9 url
			10 regex
			13 tld
			14 bad-encoding`},
		{name: "regex", path: "sample.regex", format: "regex", config: blocklist.FeedConfig{Format: "regex"}, rows: `
			2 exact /^ads[0-9]+\.example$/ trigger=pattern
			3 exact /track(er|ing)\./ trigger=pattern`,
			faults: `
			4 public-suffix
			5 regex
			6 regex
			7 regex`},
		{name: "addresses", path: "sample.ips", format: "addresses", rows: `
			2 exact 192.0.2.1 trigger=ip
			3 exact 192.0.2.128/25 trigger=ip comment=SBL1
			4 exact 198.51.100.7 trigger=ip
			5 exact 2001:db8::1 trigger=ip
			6 exact 2001:db8:1::/48 trigger=ip comment=a network
			7 exact 198.51.100.0/24 trigger=ip
			8 exact 203.0.113.5 trigger=ip
			17 exact www.example
			19 exact 203.0.113.6 trigger=ip`,
			faults: `
			9 special-address
			10 special-address
			11 special-address
			12 special-address
			13 special-address
			14 wide-prefix
			15 wide-prefix
			16 not-a-domain
			18 ip-address`},
		{name: "addresses of name servers", path: "sample.domains", format: "domains", config: blocklist.FeedConfig{Addresses: blocklist.AddressesServers}, rows: `
			2 exact one.example
			3 exact two.example
			4 exact three.example comment=final dot
			5 exact xn--bcher-kva.example
			6 subtree all.example
			7 below below.example
			8 exact 192.0.2.1 trigger=nsip
			11 exact xn--noname-4ia.example`,
			faults: `
			9 url
			10 regex
			13 tld
			14 bad-encoding`},
		{name: "wildcard", path: "sample.wildcard", format: "wildcard", rows: `
			2 subtree one.example
			3 subtree two.example comment=note
			4 exact three.example`,
			faults: `5 regex`},
		{name: "wildcard read strictly", path: "sample.wildcard", format: "wildcard", config: blocklist.FeedConfig{Match: blocklist.MatchBelow}, rows: `
			2 below one.example
			3 below two.example comment=note
			4 below three.example`,
			faults: `5 regex`},
		{name: "adblock", path: "sample.adblock", format: "adblock", rows: `
			3 subtree one.example
			4 subtree two.example
			5 below below.example
			6 exact exact.example
			7 exact bare.example
			8 subtree good.one.example exception=yes
			9 subtree fine.example exception=yes
			10 subtree hosts.example
			14 exact /(^|\.)ad.*\.example$/ trigger=pattern
			15 exact /ads[0-9]+\.example/ trigger=pattern
			18 subtree gone.example action=nxdomain
			19 subtree empty.example action=nodata
			20 exact host.example action=local-data type1/300=[c0000250]
			21 subtree six.example action=local-data type28/300=[20010db8000000000000000000000080]
			22 subtree garden.example action=local-data type5/300=[0677616c6c6564076578616d706c6500]
			23 subtree said.example action=local-data type16/300=[0568656c6c6f]
			24 subtree mail.example action=local-data type15/300=[000a046d61696c0677616c6c6564076578616d706c6500]
			29 subtree outer.example
			29 subtree inner.outer.example exception=yes
			34 subtree first.example`,
			skipped: 1,
			faults: `
			11 not-a-dns-rule
			12 some-clients
			13 url
			16 not-a-dns-rule
			17 not-a-dns-rule
			25 not-a-dns-rule
			26 not-a-dns-rule
			27 some-types
			28 not-a-dns-rule
			30 not-a-dns-rule
			31 withdrawn
			33 some-clients
			35 overruled`},
		{name: "dnsmasq", path: "sample.dnsmasq", format: "dnsmasq", rows: `
			2 subtree one.example
			3 subtree two.example
			3 subtree three.example
			4 subtree four.example
			5 subtree five.example
			6 subtree six.example
			7 subtree good.one.example exception=yes
			8 below below.example`,
			faults: `
			9 not-a-dns-rule
			10 not-a-dns-rule
			11 not-a-dns-rule
			12 include-directive
			13 not-a-dns-rule
			14 root`},
		{name: "unbound", path: "sample.unbound", format: "unbound", skipped: 2, rows: `
			3 subtree one.example
			4 subtree two.example comment=note
			5 subtree three.example
			6 subtree garden.example
			8 exact null.example
			10 subtree good.one.example exception=yes`,
			faults: `
			9 not-a-dns-rule
			11 syntax
			12 include-directive
			13 not-a-dns-rule
			14 syntax`},
		{name: "csv", path: "sample.csv", format: "csv", rows: `
			5 exact 192.0.2.9 trigger=ip family=Sample threat=botnet_cc confidence=100 comment=c2
			6 exact one.example family=Sample threat=payload_delivery confidence=75 comment=a,b "c"
			7 exact victim.example action=disabled family=Sample threat=payload_delivery confidence=50 reference=https://report.example/3`,
			faults: `
			8 url
			9 other-type
			10 syntax`},
		{name: "maltrail directory", path: "maltrail", format: "maltrail", rows: `
			5 subtree one.example family=sample_loader reference=https://report.example/4
			6 subtree loader.example family=sample_loader reference=https://report.example/4
			7 subtree one.example family=sample_stealer reference=https://report.example/1 https://report.example/2
			8 subtree two.example family=sample_stealer reference=https://report.example/1 https://report.example/2 comment=was: zwei.example
			9 exact 198.51.100.7 trigger=ip family=sample_stealer reference=https://report.example/1 https://report.example/2
			10 exact 198.51.100.7 trigger=ip family=sample_stealer reference=https://report.example/1 https://report.example/2
			14 subtree three.example family=sample_stealer reference=https://report.example/3
			15 exact 198.51.100.8 trigger=ip family=sample_stealer reference=https://report.example/3
			16 exact 198.51.100.0/24 trigger=ip family=sample_stealer reference=https://report.example/3
			17 exact 198.51.100.9 trigger=ip family=sample_stealer reference=https://report.example/3
			24 subtree generic.example family=sample_stealer
			26 exact 2001:db8::1 trigger=ip family=sample_stealer`,
			faults: `
			18 url
			19 url
			20 path
			25 regex`},
		{name: "rpz", path: "sample.rpz", format: "rpz", skipped: 2, rows: `
			6 exact gone.example action=nxdomain comment=Malware download (2026-05-25)
			7 below gone.example action=nxdomain
			8 exact nodata.example action=nodata
			9 exact good.example action=passthru
			10 exact old-good.example action=passthru
			11 exact drop.example action=drop
			12 exact tcp.example action=tcp-only
			20 exact 192.0.2.0/24 trigger=ip action=nxdomain
			21 exact 2001:db8::80 trigger=ip action=nodata
			22 exact 198.51.100.53 trigger=nsip action=drop
			23 exact ns1.bad.example trigger=nsdname action=nxdomain
			24 exact 10.0.0.0/8 trigger=client-ip action=passthru
			29 exact twice.example action=nxdomain
			13 exact garden.example action=local-data type5/300=[0667617264656e03697370076578616d706c6500]
			14 below wild.example action=local-data type5/300=[012a0667617264656e03697370076578616d706c6500]
			15 exact local.example action=local-data type1/60=[c0000250 c0000251] type15/300=[000a046d61696c03697370076578616d706c6500] type16/300=[17626c6f636b65643b2073656520287468652070616765290374776f] type28/300=[20010db8000000000000000000000080]`,
			faults: `
			25 bad-address
			26 bad-address
			27 bad-action
			28 bad-action
			30 conflict
			31 out-of-zone
			32 syntax
			33 syntax
			34 tld
			35 root
			36 include-directive
			37 generate-directive`},
	}
}

// intelCases are formats that say more of a row than its name.
func intelCases() []sampleCase {
	return []sampleCase{
		{name: "stix", path: "sample.stix", format: "stix", skipped: 7, rows: `
			7 exact panel.example family=Lumma threat=malicious-activity confidence=85 expiry=2099-01-01T12:00 reference=https://report.example/7 comment=TLP:AMBER; panel
			19 exact a.example reference=indicator--00000000-0000-4000-8000-000000000021 comment=Two families
			19 exact b.example reference=indicator--00000000-0000-4000-8000-000000000021 comment=Two families
			19 below c.example reference=indicator--00000000-0000-4000-8000-000000000021 comment=Two families
			19 exact 192.0.2.7 trigger=ip reference=indicator--00000000-0000-4000-8000-000000000021 comment=Two families
			19 exact 2001:db8::7 trigger=ip reference=indicator--00000000-0000-4000-8000-000000000021 comment=Two families
			21 exact 192.0.2.8 trigger=ip reference=indicator--00000000-0000-4000-8000-000000000022
			21 exact url.example reference=indicator--00000000-0000-4000-8000-000000000022
			21 exact 2001:db8::8 trigger=ip reference=indicator--00000000-0000-4000-8000-000000000022
			23 exact 198.51.100.9 trigger=ip reference=indicator--00000000-0000-4000-8000-000000000023
			25 exact alone.example family=Lumma reference=https://report.example/8 comment=One family
			36 exact victim.example action=disabled family=Lumma threat=compromised reference=https://report.example/8 comment=One family
			37 exact tagged.example family=Vidar threat=c2-server reference=indicator--00000000-0000-4000-8000-00000000002f comment=TLP:GREEN`,
			faults: `
			25 combination
			27 other-type
			27 other-type
			29 not-a-dns-rule
			30 combination
			31 syntax
			32 withdrawn
			33 withdrawn
			34 not-yet-valid
			35 other-type
			21 url
			28 tld
			39 withdrawn`},
		{name: "stix of version 2.0", path: "sample20.stix", format: "stix", skipped: 5, config: blocklist.FeedConfig{Family: "unknown", TTL: 48 * time.Hour}, rows: `
			2 exact a.example family=Meta Stealer threat=malicious-activity expiry=2026-01-03T00:00 reference=indicator--00000000-0000-4000-8000-000000000120 comment=TLP:RED
			4 exact 198.51.100.0/24 trigger=ip family=unknown threat=malicious-activity expiry=2026-01-03T00:00 reference=indicator--00000000-0000-4000-8000-000000000121`},
		{name: "misp directory", path: "misp", format: "misp", skipped: 2, rows: `
			6 exact one.example family=Lumma Stealer threat=Command and Control reference=Lumma panels in March; 00000000-0000-4000-8000-000000000001 comment=TLP:AMBER+STRICT; panel
			7 exact www.two.example family=Vidar threat=Command and Control reference=Lumma panels in March; 00000000-0000-4000-8000-000000000001 comment=TLP:RED
			8 exact three.example family=Lumma Stealer threat=Command and Control reference=Lumma panels in March; 00000000-0000-4000-8000-000000000001 comment=TLP:AMBER+STRICT
			8 exact 192.0.2.3 trigger=ip family=Lumma Stealer threat=Command and Control reference=Lumma panels in March; 00000000-0000-4000-8000-000000000001 comment=TLP:AMBER+STRICT
			9 exact 192.0.2.4 trigger=ip family=Lumma Stealer threat=Command and Control reference=Lumma panels in March; 00000000-0000-4000-8000-000000000001 comment=TLP:AMBER+STRICT
			10 exact 2001:db8::4 trigger=ip family=Lumma Stealer threat=Command and Control reference=Lumma panels in March; 00000000-0000-4000-8000-000000000001 comment=TLP:AMBER+STRICT
			11 exact four.example family=Lumma Stealer threat=Command and Control reference=Lumma panels in March; 00000000-0000-4000-8000-000000000001 comment=TLP:AMBER+STRICT
			20 exact five.example family=Lumma Stealer threat=Command and Control reference=Lumma panels in March; 00000000-0000-4000-8000-000000000001 comment=TLP:AMBER+STRICT
			20 exact 192.0.2.6 trigger=ip family=Lumma Stealer threat=Command and Control reference=Lumma panels in March; 00000000-0000-4000-8000-000000000001 comment=TLP:AMBER+STRICT
			2 exact six.example family=RisePro reference=RisePro.B, a look inside; 00000000-0000-4000-8000-000000000002`,
			faults: `
			13 not-for-detection
			14 not-for-detection
			16 other-type
			20 other-type
			12 url
			17 tld`},
		{name: "misp export", path: "sample.misp.json", format: "misp", rows: `
			2 exact one.example reference=OceanLotus at work
			3 exact two.example reference=two at once`},
		{name: "threatfox", path: "threatfox.json", format: "json", rows: `
			3 exact 192.0.2.9 trigger=ip family=Sample threat=botnet_cc confidence=100 comment=c2
			21 exact one.example family=Sample threat=payload_delivery confidence=75 comment=a,b
			24 exact victim.example action=disabled family=Sample threat=payload_delivery confidence=50 reference=https://report.example/3
			26 exact bare.example family=Unknown malware`,
			faults: `
			25 url
			27 other-type
			28 syntax`},
		{name: "threatfox answer", path: "threatfox-api.json", format: "json", config: blocklist.FeedConfig{TTL: 24 * time.Hour, Threat: "c2"}, rows: `
			2 exact one.example family=Sample threat=botnet_cc confidence=100 expiry=2026-09-25T09:11 comment=a,b
			3 exact 2001:db8::7 trigger=ip family=Sample threat=botnet_cc confidence=90 expiry=2026-09-24T00:00`},
		{name: "urlhaus answer", path: "urlhaus.json", format: "json", rows: `
			3 exact 192.0.2.10 trigger=ip threat=malware_download reference=https://report.example/url/2
			4 exact bare.example threat=malware_download reference=https://report.example/url/3 comment=elf,Mozi`,
			faults: `2 url`},
		{name: "feodo", path: "feodo.json", format: "json", rows: `
			2 exact 192.0.2.11 trigger=ip family=QakBot
			13 exact 198.51.100.11 trigger=ip family=Emotet`},
		{name: "drop", path: "drop.json", format: "json", skipped: 1, rows: `
			1 exact 192.0.2.0/25 trigger=ip reference=SBL1
			2 exact 198.51.100.0/24 trigger=ip reference=SBL2
			3 exact 2001:db8:2::/48 trigger=ip reference=SBL3`,
			faults: `4 special-address`},
		{name: "drop as text", path: "drop.txt", format: "addresses", rows: `
			3 exact 192.0.2.0/25 trigger=ip comment=SBL1
			4 exact 198.51.100.0/24 trigger=ip comment=SBL2`},
		{name: "feodo as text", path: "feodo.txt", format: "addresses", rows: `
			7 exact 192.0.2.11 trigger=ip
			8 exact 198.51.100.11 trigger=ip`},
		{name: "feodo as a table", path: "feodo.csv", format: "csv", skipped: 1, rows: `
			6 exact 192.0.2.11 trigger=ip family=QakBot
			7 exact 198.51.100.11 trigger=ip family=Emotet`},
		{name: "threatfox as a table", path: "threatfox.csv", format: "csv", rows: `
			6 exact 192.0.2.9 trigger=ip family=Sample threat=botnet_cc confidence=100 comment=c2
			7 exact one.example family=Sample threat=payload_delivery confidence=75 reference=https://report.example/4 comment=a,b
			8 exact victim.example action=disabled family=Sample threat=payload_delivery confidence=50 reference=https://report.example/3`,
			faults: `
			9 url
			10 other-type`},
		{name: "urlhaus as a table", path: "urlhaus.csv", format: "csv", rows: `
			7 exact 192.0.2.10 trigger=ip threat=malware_download reference=https://report.example/url/3/ comment=elf
			8 exact bare.example threat=malware_download reference=https://report.example/url/2/`,
			faults: `
			6 url
			9 url`},
	}
}

func TestSampleKinds(t *testing.T) {
	_, report, err := readFeed(t, blocklist.FeedConfig{Path: "testdata/feeds/maltrail"})
	if err != nil {
		t.Fatal(err)
	}
	want := blocklist.TrailKinds{Domain: 4, IP: 1, IPPort: 1, HTTPIP: 2, CIDR: 1, URL: 2, Path: 1, Other: 2}
	if got := *report.Families["sample_stealer"]; got != want {
		t.Errorf("kinds = %+v, want %+v", got, want)
	}
	if report.Files != 2 {
		t.Errorf("files = %d, want 2", report.Files)
	}
}

func TestRowsAreCanonical(t *testing.T) {
	paths, err := filepath.Glob("testdata/feeds/*")
	if err != nil || len(paths) < 9 {
		t.Fatalf("samples: %v, %v", paths, err)
	}
	for _, path := range paths {
		c := blocklist.FeedConfig{Name: "sample", Path: path}
		if filepath.Ext(path) == ".regex" {
			c.Format = "regex" // which is never guessed
		}
		if _, err := blocklist.ReadFeed(t.Context(), c, canonicalSink{t}); err != nil {
			t.Error(err)
		}
	}
}

// canonical reports whether a name is in lower case, but for the last label of a key.
func canonical(name dnsname.Name) bool {
	if policy.TriggerOf([]byte(name)) == policy.TriggerQNAME {
		return name == name.Canonical()
	}
	return strings.EqualFold(string(name), string(name.Canonical())) && policy.KeyText([]byte(name)) != name.String()
}

// canonicalSink fails the test for a row that breaks the promises of Indicator.
type canonicalSink struct{ t testing.TB }

func (s canonicalSink) Indicator(i *blocklist.Indicator) error {
	size, _, err := dnsname.Check([]byte(i.Name))
	if err != nil || size != len(i.Name) || !canonical(i.Name) || i.Name.IsRoot() {
		s.t.Errorf("%s:%d: name %q is not canonical: %d octets of %d, %v", i.File, i.Line, string(i.Name), size, len(i.Name), err)
	}
	if i.File == "" || i.Line <= 0 {
		s.t.Errorf("%s has no place: %q:%d", i.Name, i.File, i.Line)
	}
	if (i.Action == policy.ActionLocalData) != (i.Data != nil && len(i.Data.RRsets) > 0) {
		s.t.Errorf("%s:%d: action %s with data %v", i.File, i.Line, i.Action, i.Data)
	}
	return nil
}

func (s canonicalSink) Fault(f blocklist.Fault) {
	if f.File == "" || f.Line <= 0 || f.Reason == blocklist.ReasonNone {
		s.t.Errorf("fault without a place or a reason: %+v", f)
	}
	for _, r := range f.Text {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			s.t.Errorf("fault text holds the control character %q", r)
		}
	}
}

func TestSinkEndsTheReading(t *testing.T) {
	s := &rowSink{err: errors.New("the disk is full")}
	_, err := blocklist.ReadFeed(t.Context(), blocklist.FeedConfig{Name: "sample", Path: "testdata/feeds/sample.hosts"}, s)
	if !errors.Is(err, s.err) || len(s.rows) != 1 {
		t.Errorf("error = %v after %d rows, want the sink's after one", err, len(s.rows))
	}
}

func TestFormatMayBeGiven(t *testing.T) {
	path := filepath.Join(t.TempDir(), "list.txt")
	writeFile(t, path, "one.example\n")
	s, report, err := readFeed(t, blocklist.FeedConfig{Path: path, Format: "maltrail"})
	if err != nil || report.Format != "maltrail" {
		t.Fatalf("format = %s, %v", report.Format, err)
	}
	wantLines(t, "rows", s.rows, "1 subtree one.example family=list")
	if _, _, err := readFeed(t, blocklist.FeedConfig{Path: path, Format: "host"}); err == nil || !strings.Contains(err.Error(), "hosts") {
		t.Errorf("error = %v, want one that names the formats", err)
	}
}

func writeFile(t testing.TB, path, body string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(body), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestCheckFeedShowsEveryFault(t *testing.T) {
	const rows = 3 * blocklist.FaultsMax
	path := filepath.Join(t.TempDir(), "f.hosts")
	writeFile(t, path, "0.0.0.0 a.example\n"+strings.Repeat("0.0.0.0 com\n0.0.0.0 bad/name\n", rows))
	var lines []int
	r, err := blocklist.CheckFeed(t.Context(), blocklist.FeedConfig{Name: "f", Path: path}, func(f blocklist.Fault) { lines = append(lines, f.Line) })
	if err != nil || r.Live != 1 || r.Refused != 2*rows || len(lines) != 2*rows {
		t.Fatalf("%d live, %d refused, %v; %d faults shown, want 1 and %d, all of them", r.Live, r.Refused, err, len(lines), 2*rows)
	}
	for i, line := range lines {
		if line != i+2 {
			t.Fatalf("fault %d is of line %d, want %d", i, line, i+2)
		}
	}
}
