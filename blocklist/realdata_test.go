package blocklist_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cenote/blocklist"
)

// realFile is a file of the data set, and what it comes to. given is how many rows the provenance of the data says that it has, or where that is silent what
// was counted by a script that shares nothing with the code. Each is served or has a reason not to be.
type realFile struct {
	name, format string
	given        int
	more         int    // rows that are made of the given ones beyond one each, for the reason in moreReasons
	live         int    // that are served
	faults       string // how many are not, by reason; reasons are in faultReasons
}

func realFiles() []realFile {
	return []realFile{
		{name: "lists/basic.adblock", format: "adblock", given: 76036, live: 76034, faults: "held-private-suffix=2"},
		{name: "lists/basic.dnsmasq", format: "dnsmasq", given: 76036, live: 76034, faults: "held-private-suffix=2"},
		{name: "lists/basic.domains", format: "domains", given: 76036, live: 76034, faults: "held-private-suffix=2"},
		{name: "lists/basic.hosts", format: "hosts", given: 76036, live: 76034, faults: "held-private-suffix=2"},
		{name: "lists/blackbook.csv", format: "csv", given: 18151, live: 18151},
		{name: "lists/infostealers.unbound.conf.gz", format: "unbound", given: 20000, live: 19998, faults: "held-private-suffix=2"},
		{name: "lists/phishing.domains", format: "domains", given: 190215, live: 190209, faults: "held-private-suffix=6"},
		{name: "lists/ransomware.hosts", format: "hosts", given: 1904, live: 1904},
		{name: "lists/scam.hosts", format: "hosts", given: 8527, live: 8527},
		{name: "lists/stalkerware/hosts_full", format: "domains", given: 989, live: 989},
		{name: "lists/stalkerware/network.csv", format: "csv", given: 1034, live: 1032, faults: "url=2"},
		{name: "lists/stalkerware/quad9_blocklist.txt", format: "domains", given: 969, live: 967, faults: "url=2"},
		{name: "rpz/all-triggers.rpz", format: "rpz", given: 1956, live: 1956},
		{name: "rpz/infostealers.rpz.gz", format: "rpz", given: 132466, live: 132452, faults: "held-private-suffix=14"},
		{name: "ips/blocklistproject-malware.ip", format: "addresses", given: 20907, live: 20906, faults: "special-address=1"},
		{name: "ips/threatfox-ips.txt", format: "addresses", given: 19863, live: 19856, faults: "special-address=7"},
		{name: "intel/misp-feed/59387629-3d68-430c-ae55-15f50a016219.json", format: "misp", given: 263, more: 77, live: 168, faults: "other-type=172"},
		{name: "intel/misp-feed/59dbf0f6-3203-413a-9fbc-7960b592e4cf.json", format: "misp", given: 191, live: 0, faults: "other-type=123 not-for-detection=68"},
		{name: "intel/misp-feed/5a610659-d718-4a1f-b020-04d80a016219.json", format: "misp", given: 111, live: 0, faults: "other-type=24 not-for-detection=87"},
		{name: "intel/misp-feed/5aa2e21b-79d8-4fd7-b15d-34670a016219.json", format: "misp", given: 321, more: 4, live: 318, faults: "other-type=7"},
		{name: "intel/misp-feed/5d9b516c-e5f0-4e7c-a958-5d8c0a019371.json", format: "misp", given: 101, live: 0, faults: "other-type=32 not-for-detection=69"},
		{name: "intel/misp-feed/86375dc4-8c95-469a-aaf2-e20b0dfefb41.json", format: "misp", given: 100, live: 0, faults: "url=3 other-type=27 not-for-detection=70"},
		{name: "intel/misp-feed/e3835720-0f14-44ee-84bf-10cb39de6ebd.json", format: "misp", given: 71, live: 0, faults: "other-type=39 not-for-detection=32"},
		{name: "intel/misp-feed/ea593018-b2e9-4e7e-8da9-cc20a751e3f6.json", format: "misp", given: 340, live: 1, faults: "url=10 other-type=312 not-for-detection=17"},
		{name: "intel/stix/amnesty/android_campaign.stix2.gz", format: "stix", given: 2187, live: 2183, faults: "other-type=4"},
		{name: "intel/stix/amnesty/cytrox.stix2", format: "stix", given: 343, live: 336, faults: "other-type=7"},
		{name: "intel/stix/oasis-examples/indicators-for-C2-with-COA.json", format: "stix", given: 2, live: 0, faults: "other-type=1 special-address=1"},
		{name: "intel/stix/oasis-examples/infrastructure.json", format: "stix", given: 0, live: 0},
		{name: "intel/stix/unit42/2024-01-31-AZOrult.json", format: "stix", given: 20, live: 1, faults: "url=7 other-type=12"},
		{name: "intel/stix/unit42/2024-02-14-Danabot.json", format: "stix", given: 14, live: 6, faults: "url=5 other-type=3"},
		{name: "intel/stix/unit42/2024-02-21-AsyncRAT.json", format: "stix", given: 19, live: 13, faults: "url=3 other-type=3"},
		{name: "intel/stix/unit42/2024-03-06-Pikabot-with-Meduza-Stealer.json", format: "stix", given: 31, live: 15, faults: "url=8 other-type=8"},
		{name: "intel/stix/unit42/2024-03-07-Latrodectus-with-Lumma-Stealer.json", format: "stix", given: 24, live: 7, faults: "url=10 other-type=7"},
		{name: "intel/stix/unit42/2024-03-26-Matanbuchus-with-Danabot.json", format: "stix", given: 22, live: 7, faults: "url=8 other-type=7"},
		{name: "intel/stix/unit42/2024-06-12-KoiLoader-KoiStealer.json", format: "stix", given: 24, live: 1, faults: "url=19 other-type=4"},
		{name: "intel/stix/unit42/2024-06-24-ClickFix-sends-Lumma-Stealer.json", format: "stix", given: 11, live: 4, faults: "url=3 other-type=4"},
		{name: "intel/stix/unit42/2024-08-01-cryptocurrency-phishing-scams.json", format: "stix", given: 49, live: 49},
		{name: "intel/stix/unit42/2024-08-28-Lumma-Stealer.json", format: "stix", given: 19, live: 2, faults: "url=14 other-type=3"},
		{name: "intel/stix/unit42/matanbuchus-loader.json", format: "stix", given: 53, live: 42, faults: "url=3 regex=1 other-type=7"},
	}
}

// raceRows is how many rows a file may have to be read under the race detector too.
const raceRows = 20_000

// faultReasons are the reasons for which rows of the data set are not served, in words. One that is not here is no reason that anybody has looked at.
func faultReasons() map[blocklist.Reason]string {
	return map[blocklist.Reason]string{
		blocklist.ReasonHeld:            "a hoster's suffix under which others have names; it waits for an operator",
		blocklist.ReasonURL:             "a link to one page: DNS would stop the whole host",
		blocklist.ReasonOtherType:       "a hash of a file, a registry key, a mutex and the like, which DNS never sees",
		blocklist.ReasonNotForDetection: "an attribute of MISP without to_ids: its publisher does not want it acted on",
		blocklist.ReasonSpecialAddress:  "a private or loopback address, which is another host in every network",
		blocklist.ReasonRegex:           "a pattern of STIX with LIKE or MATCHES, which names nothing for certain",
		blocklist.ReasonNotADomain:      "a slip of the publisher's, such as an address with two ports",
		blocklist.ReasonIPAddress:       "a slip, too: an address with a port above 65535",
		blocklist.ReasonTooLong:         "a slip, too: an onion name of 72 octets",
		blocklist.ReasonPath:            "a path without a host",
		blocklist.ReasonPublicSuffix:    "a suffix under which registries sell names",
	}
}

// moreReasons say why a file comes to more rows than were given.
func moreReasons() map[string]string {
	return map[string]string{
		"intel/misp-feed/59387629-3d68-430c-ae55-15f50a016219.json": "77 attributes domain|ip are a name and an address each",
		"intel/misp-feed/5aa2e21b-79d8-4fd7-b15d-34670a016219.json": "4 attributes domain|ip are a name and an address each",
	}
}

// realOthers are what lies beside lists and is none, and what is said to whoever takes it for one.
func realOthers(name string) error {
	base := filepath.Base(name)
	switch {
	case strings.HasPrefix(base, "LICENSE"), base == "hashes.csv":
		return blocklist.ErrUnknownFormat
	case base == "manifest.json", strings.HasPrefix(name, "intel/schemas/") && strings.HasSuffix(base, ".json"):
		return blocklist.ErrJSON
	}
	return nil
}

// TestRealData reads every file of the data set: each has as many rows as it is said to have, all of which are served or counted by a reason. A file that is
// not in the table fails.
func TestRealData(t *testing.T) {
	for _, dir := range []string{"lists", "rpz", "ips", "intel"} {
		seen := 0
		eachFile(t, dir, func(name string) {
			seen++
			i := slices.IndexFunc(realFiles(), func(f realFile) bool { return f.name == name })
			switch want := realOthers(name); {
			case i >= 0:
				t.Run(name, realFiles()[i].check)
			case want == nil:
				t.Errorf("%s is in no row of the table", name)
			default:
				if _, _, err := readFeed(t, blocklist.FeedConfig{Path: sharedData(t, name)}); !errors.Is(err, want) {
					t.Errorf("%s: %v, want %v", name, err, want)
				}
			}
		})
		for _, f := range realFiles() {
			if strings.HasPrefix(f.name, dir+"/") {
				seen--
			}
		}
		if seen < 0 {
			t.Errorf("%d files of the table are not in %s", -seen, dir)
		}
	}
}

// eachFile calls visit for every file of a part of the data set.
func eachFile(t *testing.T, dir string, visit func(name string)) {
	t.Helper()
	root := sharedData(t, dir)
	must(t, filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			visit(dir + filepath.ToSlash(strings.TrimPrefix(path, root)))
		}
		return err
	}))
}

func (f realFile) check(t *testing.T) {
	if raceEnabled && f.given > raceRows {
		return // the same code reads the smaller ones
	}
	path := sharedData(t, f.name)
	if counted := countRows(t, path, f.format); counted != f.given {
		t.Errorf("%d rows are counted in the file, given are %d", counted, f.given)
	}
	_, r, err := readFeed(t, blocklist.FeedConfig{Path: path})
	if f.live == 0 && !errors.Is(err, blocklist.ErrEmpty) || f.live > 0 && err != nil {
		t.Errorf("error = %v", err)
	}
	if f.more != 0 && moreReasons()[f.name] == "" {
		t.Errorf("nobody says why it comes to %d rows more", f.more)
	}
	checkReasons(t, &r, f.given+f.more)
	if got := faultCounts(r); r.Format != f.format || r.Live != f.live || got != f.faults {
		t.Errorf("read as %s: %d live, %q; want %s: %d, %q", r.Format, r.Live, got, f.format, f.live, f.faults)
	}
}

// checkReasons holds that of so many rows each is served, or has a reason that somebody has looked at.
func checkReasons(t *testing.T, r *blocklist.Report, given int) {
	t.Helper()
	sum := r.Live
	for reason, c := range r.Faults {
		if sum += c.Count; faultReasons()[reason] == "" {
			t.Errorf("nobody says why %d rows are not served as %s, first %+v", c.Count, reason, c.First)
		}
	}
	if sum != given || r.Parsed != given {
		t.Errorf("%d rows are read, and %d are served or have a reason; given are %d: the difference is %d", r.Parsed, sum, given, sum-given)
	}
}

// countRows counts the rows of a file by other means than those of the code: lines that are no remarks, owners of a zone, objects of a document.
func countRows(t *testing.T, path, format string) (n int) {
	t.Helper()
	body := unpacked(t, path)
	var document struct {
		Objects []struct{ Type string }
		Event   struct {
			Attribute []struct{}
			Object    []struct{ Attribute []struct{} }
		}
	}
	switch format {
	case "stix", "misp":
		must(t, json.Unmarshal(body, &document))
		for _, o := range document.Objects {
			if o.Type == "indicator" {
				n++
			}
		}
		n += len(document.Event.Attribute)
		for _, o := range document.Event.Object {
			n += len(o.Attribute)
		}
		return n
	case "csv":
		n = -1 // the header
	}
	owners := map[string]bool{}
	for line := range strings.Lines(string(body)) {
		switch line = strings.TrimRight(line, " \r\n"); {
		case line == "", strings.ContainsAny(line[:1], "#!;[@$"), format == "unbound" && !strings.HasPrefix(line, "local-zone:"):
		case format == "rpz":
			owners[strings.ToLower(strings.Fields(line)[0])] = true
		default:
			n++
		}
	}
	return n + len(owners)
}

func unpacked(t *testing.T, path string) []byte {
	t.Helper()
	body, err := os.ReadFile(path)
	must(t, err)
	if strings.HasSuffix(path, ".gz") {
		z, err := gzip.NewReader(bytes.NewReader(body))
		must(t, err)
		body, err = io.ReadAll(z)
		must(t, err)
	}
	return body
}

// faultCounts writes how many rows were not served, in the order of the reasons.
func faultCounts(r blocklist.Report) string {
	var parts []string
	for reason := blocklist.ReasonNone; reason <= blocklist.ReasonHeld; reason++ {
		if c := r.Faults[reason]; c != nil {
			parts = append(parts, fmt.Sprintf("%s=%d", reason, c.Count))
		}
	}
	return strings.Join(parts, " ")
}

// realWarninglist is a list of names and networks that are protected: how many entries it has, and how many of them protect nothing.
type realWarninglist struct {
	name, kind string
	given      int
	refused    bool // for its type
	not        int
	why        string
}

func realWarninglists() []realWarninglist {
	return []realWarninglist{
		{name: "akamai.json", kind: "cidr", given: 268},
		{name: "amazon-aws.json", kind: "cidr", given: 3847},
		{name: "apple.json", kind: "cidr", given: 4},
		{name: "automated-malware-analysis.json", kind: "substring", given: 26, refused: true},
		{name: "bank-website.json", kind: "hostname", given: 2226},
		{name: "bunny-net.json", kind: "cidr", given: 901},
		{name: "captive-portals.json", kind: "string", given: 21},
		{name: "cloudflare.json", kind: "cidr", given: 22},
		{name: "common-ioc-false-positive.json", kind: "string", given: 69, not: 23, why: "hashes of files, longer than a label can be"},
		{name: "covid.json", kind: "hostname", given: 319, not: 1, why: "a text with a blank in it"},
		{name: "crl-hostname.json", kind: "string", given: 222},
		{name: "crl-ip.json", kind: "cidr", given: 391},
		{name: "dax30.json", kind: "hostname", given: 13},
		{name: "disposable-email.json", kind: "substring", given: 8201, refused: true},
		{name: "dynamic-dns.json", kind: "hostname", given: 35467},
		{name: "eicar.com.json", kind: "string", given: 15, not: 6, why: "hashes of files, longer than a label can be"},
		{name: "fastly.json", kind: "cidr", given: 21},
		{name: "findip-host.json", kind: "hostname", given: 24},
		{name: "github.json", kind: "cidr", given: 5446},
		{name: "google-gcp.json", kind: "cidr", given: 471},
		{name: "google.json", kind: "string", given: 669},
		{name: "googlebot.json", kind: "cidr", given: 65},
		{name: "ipv6-linklocal.json", kind: "cidr", given: 1},
		{name: "link-in-bio.json", kind: "hostname", given: 91},
		{name: "lots-project.json", kind: "hostname", given: 175},
		{name: "microsoft-azure.json", kind: "cidr", given: 2683},
		{name: "microsoft-office365-ip.json", kind: "cidr", given: 82},
		{name: "microsoft-office365.json", kind: "string", given: 183},
		{name: "microsoft-win10-connection-endpoints.json", kind: "string", given: 144},
		{name: "microsoft.json", kind: "string", given: 191},
		{name: "moz-top500.json", kind: "string", given: 500, not: 1, why: "a name that was cut, with dots at its end"},
		{name: "multicast.json", kind: "cidr", given: 16},
		{name: "openai-gptbot.json", kind: "cidr", given: 2},
		{name: "oracle-oci.json", kind: "cidr", given: 793},
		{name: "ovh-cluster.json", kind: "cidr", given: 622},
		{name: "parking-domain-ns.json", kind: "hostname", given: 129},
		{name: "parking-domain.json", kind: "cidr", given: 108},
		{name: "public-dns-v6.json", kind: "cidr", given: 269},
		{name: "public-ipfs-gateways.json", kind: "string", given: 89},
		{name: "rfc1918.json", kind: "cidr", given: 3},
		{name: "rfc3849.json", kind: "cidr", given: 1},
		{name: "rfc5735.json", kind: "cidr", given: 15},
		{name: "rfc6598.json", kind: "cidr", given: 1},
		{name: "rfc6761.json", kind: "string", given: 21},
		{name: "second-level-tlds.json", kind: "string", given: 10231},
		{name: "security-provider-blogpost.json", kind: "hostname", given: 647},
		{name: "sinkholes.json", kind: "cidr", given: 107},
		{name: "smtp-receiving-ips.json", kind: "cidr", given: 270},
		{name: "stackpath.json", kind: "cidr", given: 247},
		{name: "telegram-ips.json", kind: "cidr", given: 14},
		{name: "ti-falsepositives.json", kind: "string", given: 24645, not: 8216, why: "hashes of files, longer than a label can be"},
		{name: "tlds.json", kind: "string", given: 1438},
		{name: "umbrella-blockpage-hostname.json", kind: "hostname", given: 5},
		{name: "umbrella-blockpage-v4.json", kind: "cidr", given: 6},
		{name: "umbrella-blockpage-v6.json", kind: "cidr", given: 6},
		{name: "university_domains.json", kind: "string", given: 10578},
		{name: "url-shortener.json", kind: "hostname", given: 255},
		{name: "whats-my-ip.json", kind: "hostname", given: 234},
		{name: "wikimedia.json", kind: "cidr", given: 10},
		{name: "zscaler.json", kind: "cidr", given: 78},
	}
}

// TestRealWarninglists takes every warninglist of the data set, and says of which entries nothing can be protected.
func TestRealWarninglists(t *testing.T) {
	seen := 0
	eachFile(t, "warninglists", func(name string) {
		i := slices.IndexFunc(realWarninglists(), func(l realWarninglist) bool { return "warninglists/"+l.name == name })
		if seen++; i < 0 {
			t.Errorf("%s is in no row of the table", name)
			return
		}
		l := realWarninglists()[i]
		var list struct {
			Type string
			List []string
		}
		must(t, json.Unmarshal(unpacked(t, sharedData(t, name)), &list))
		if list.Type != l.kind || len(list.List) != l.given {
			t.Errorf("%s is of type %s with %d entries, want %s with %d", name, list.Type, len(list.List), l.kind, l.given)
		}
		n, err := blocklist.ProtectedEntries(sharedData(t, name))
		switch {
		case l.refused:
			if !errors.Is(err, blocklist.ErrProtected) || !strings.Contains(err.Error(), "substring") {
				t.Errorf("%s: %v, want it refused for its type", name, err)
			}
		case err != nil || n != l.given-l.not || (l.not > 0) != (l.why != ""):
			t.Errorf("%s: %d of %d entries protect something, %v; want all but %d (%s)", name, n, l.given, err, l.not, l.why)
		}
	})
	if seen != len(realWarninglists()) {
		t.Errorf("%d files, want the %d of the table", seen, len(realWarninglists()))
	}
}
