package blocklist_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"cenote/blocklist"
)

// readText reads body as the one file of a feed.
func readText(t *testing.T, c blocklist.FeedConfig, body string) (*rowSink, error) {
	t.Helper()
	c.Path = filepath.Join(t.TempDir(), "x.json")
	writeFile(t, c.Path, body)
	s, _, err := readFeed(t, c)
	return s, err
}

func TestAllAttributes(t *testing.T) {
	const body = `{"Event":{"Attribute":[{"type":"domain","to_ids":false,"value":"a.example"},{"type":"ip-src","to_ids":false,"value":"192.0.2.1"},
		{"type":"ip-src|port","to_ids":false,"value":"192.0.2.1|1"},{"type":"ip-dst","value":"192.0.2.2"}]}}`
	s, err := readText(t, blocklist.FeedConfig{AllAttributes: true}, body)
	if err != nil {
		t.Fatal(err)
	}
	wantLines(t, "rows", s.rows, "1 exact a.example\n2 exact 192.0.2.2 trigger=ip")
	wantLines(t, "faults", s.faultTexts(), "1 not-for-detection\n2 not-for-detection")
	if _, err := readText(t, blocklist.FeedConfig{}, body); !errors.Is(err, blocklist.ErrEmpty) {
		t.Errorf("error = %v, want %v", err, blocklist.ErrEmpty)
	}
}

// TestFamiliesOfTags holds that a family is believed only where one alone can be meant: a wrong one on a client is worse than none.
func TestFamiliesOfTags(t *testing.T) {
	for _, tc := range []struct{ name, title, tags, want string }{
		{"a galaxy", "x", `misp-galaxy:stealer="Lumma"`, "family=Lumma"},
		{"malpedia before others", "x", `misp-galaxy:stealer="LummaC2"|misp-galaxy:malpedia="Lumma Stealer"`, "family=Lumma Stealer"},
		{"a number of MITRE", "x", `misp-galaxy:mitre-malware="Lumma Stealer - S1213"`, "family=Lumma Stealer"},
		{"a name with a hyphen", "x", `misp-galaxy:malpedia="A - Stealer"`, "family=A - Stealer"},
		{"the same twice", "x", `misp-galaxy:stealer="Lumma"|misp-galaxy:stealer="Lumma"`, "family=Lumma"},
		{"two", "x", `misp-galaxy:stealer="Lumma"|misp-galaxy:stealer="Vidar"`, ""},
		{"an actor", "x", `misp-galaxy:threat-actor="APT32"`, ""},
		{"a plain tag", "Lumma in March", `Lumma`, "family=Lumma"},
		{"a plain tag of another thing", "a report on Lumma", `Lumma`, ""},
		{"a plain tag in a word", "LummaC2 in March", `Lumma`, ""},
		{"the longer of two", "Lumma Stealer in March", `Lumma|Lumma Stealer`, "family=Lumma Stealer"},
		{"a kind of threat", "Phishing in March", `phishing`, ""},
		{"an actor's name", "OceanLotus at work", `misp-galaxy:threat-actor="APT32"|OceanLotus`, ""},
		{"a kind of threat in a taxonomy", "x", `rsit:malicious-code="c2-server"`, "threat=c2-server"},
		{"a step of the chain", "x", `kill-chain:Delivery`, "threat=Delivery"},
		{"who may see it", "x", `tlp:amber`, "comment=TLP:AMBER"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var tags []string
			for tag := range strings.SplitSeq(tc.tags, "|") {
				tags = append(tags, fmt.Sprintf(`{"name":%q}`, tag))
			}
			body := fmt.Sprintf(`{"Event":{"Attribute":[{"type":"domain","to_ids":true,"value":"a.example"}],"info":%q,"Tag":[%s]}}`, tc.title, strings.Join(tags, ","))
			s, err := readText(t, blocklist.FeedConfig{}, body)
			if err != nil {
				t.Fatal(err)
			}
			got, _, _ := strings.Cut(s.rows[0]+" ", " reference="+tc.title)
			if strings.HasPrefix(tc.want, "comment") {
				got = strings.Replace(s.rows[0], " reference="+tc.title, "", 1)
			}
			if got, want := strings.TrimSpace(strings.TrimPrefix(got, "1 exact a.example")), tc.want; got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

// TestManifestsAreLeft holds that of a feed's directory only the events are read.
func TestManifestsAreLeft(t *testing.T) {
	for _, format := range []string{"", "misp"} {
		_, r, err := readFeed(t, blocklist.FeedConfig{Path: "testdata/feeds/misp", Format: format})
		if err != nil || r.Files != 2 {
			t.Errorf("%d files were read, %v, want 2", r.Files, err)
		}
	}
}

func TestDatesOfAttributes(t *testing.T) {
	const body = `{"Event":{"Attribute":[
{"type":"domain","to_ids":true,"value":"a.example","timestamp":"1767225600"},
{"type":"domain","to_ids":true,"value":"b.example","timestamp":"1767225600","last_seen":"2026-02-01T00:00:00.000000+00:00"}]}}`
	s, err := readText(t, blocklist.FeedConfig{TTL: 24 * 3600e9}, body)
	if err != nil {
		t.Fatal(err)
	}
	wantLines(t, "rows", s.rows, "2 exact a.example expiry=2026-01-02T00:00\n3 exact b.example expiry=2026-02-02T00:00")
}

func TestDocumentsHoldSoMuch(t *testing.T) {
	if err := blocklist.Holding(blocklist.HeldOctetsMax); err != nil {
		t.Errorf("error = %v", err)
	}
	if err := blocklist.Holding(blocklist.HeldOctetsMax + 1); !errors.Is(err, blocklist.ErrTooLarge) {
		t.Errorf("error = %v, want %v", err, blocklist.ErrTooLarge)
	}
}
