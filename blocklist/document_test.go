package blocklist_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"cenote/blocklist"
)

// bundleOf is a STIX bundle with the given objects.
func bundleOf(objects string) string {
	return `{"type":"bundle","id":"bundle--1","spec_version":"2.0","objects":[` + objects + `]}`
}

const (
	indicatorA = `{"type":"indicator","id":"indicator--1","pattern":"[domain-name:value='a.example']"}`
	eventA     = `{"Event":{"info":"x","Attribute":[{"type":"domain","to_ids":true,"value":"a.example"}]}}`
)

func TestRefusedDocuments(t *testing.T) {
	for _, tc := range []struct {
		name, format, body string
		want               error
		says               string
	}{
		{"a bundle that was cut", "", bundleOf(indicatorA)[:100], blocklist.ErrTruncated, "fetch it again"},
		{"a bundle without its last bracket", "", strings.TrimSuffix(bundleOf(indicatorA), "}"), blocklist.ErrTruncated, ""},
		{"an event that was cut", "", eventA[:len(eventA)-10], blocklist.ErrTruncated, ""},
		{"records that were cut", "", `[{"ioc":"a.example","ioc_type":"domain"},{"ioc":"b.exa`, blocklist.ErrTruncated, ""},
		{"a damaged bundle", "", bundleOf("\n" + indicatorA + "\n}"), blocklist.ErrBadJSON, "line 3"},
		{"something after the end", "", eventA + "\nx", blocklist.ErrBadJSON, "line 2"},
		{"a list that should be a bundle", "stix", "a.example\n", blocklist.ErrBadJSON, "line 1"},
		{"a bundle that should be a list", "hosts", bundleOf(indicatorA), blocklist.ErrJSON, "STIX"},
		{"a bundle that should be an event", "misp", bundleOf(indicatorA), blocklist.ErrEmpty, ""},
		{"a bundle without indicators", "", bundleOf(`{"type":"malware","id":"malware--1","name":"x"}`), blocklist.ErrEmpty, "1 entries that are none"},
		{"a page", "stix", "<html>", blocklist.ErrHTML, ""},
		{"an error of the publisher's", "", `{"query_status":"unknown_auth_key"}`, blocklist.ErrJSON, "publisher"},
		{"records of which one key is known", "", `[{"domain":"a.example"}]`, blocklist.ErrJSON, "set format to json"},
		{"a list of nothing known", "json", `[{"name":"x"},{"name":"y"}]`, blocklist.ErrNoColumn, `columns.name`},
		{"no records", "json", `{"query_status":"no_result","data":"none"}`, blocklist.ErrNoColumn, "no_result"},
		{"a list of a warninglist", "", `{"name":"x","type":"string","description":"y","list":["a.example"]}`, blocklist.ErrJSON, ""},
		{"nested without end", "json", strings.Repeat("[", 1<<20), blocklist.ErrBadJSON, ""},
		{"nested without end, as an event", "misp", strings.Repeat("[", 1<<20), blocklist.ErrBadJSON, ""},
		{"a value without end", "stix", bundleOf(`{"type":"artifact","payload_bin":"` + strings.Repeat("A", blocklist.ValueMax+1<<17)), blocklist.ErrTooLarge, "one value"},
		{"blanks without end", "json", "[" + strings.Repeat(" ", 2<<20), blocklist.ErrTooLarge, "blanks"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "x")
			writeFile(t, path, tc.body)
			_, _, err := readFeed(t, blocklist.FeedConfig{Path: path, Format: tc.format})
			if _, ok := errors.AsType[*blocklist.SourceError](err); !ok || !errors.Is(err, tc.want) || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("error = %v, want %v that says %q", err, tc.want, tc.says)
			}
		})
	}
}

func TestDocumentsAreDetected(t *testing.T) {
	long := strings.Repeat(" ", 100<<10)
	for _, tc := range []struct{ name, file, body, want string }{
		{"a bundle with its objects first", "x.hosts", `{"objects":[` + indicatorA + `],"type":"bundle"}`, "stix"},
		{"a bundle behind a mark", "x", "\xef\xbb\xbf" + bundleOf(indicatorA), "stix"},
		{"an answer of TAXII", "x", `{"more":false,"objects":[` + indicatorA + `]}`, "stix"},
		{"bundles one after the other", "x", bundleOf("") + "\n" + bundleOf(indicatorA), "stix"},
		{"a long bundle", "x", bundleOf(long + indicatorA), "stix"},
		{"an event", "x.txt", eventA, "misp"},
		{"a list of events", "x", "[" + eventA + "," + eventA + "]", "misp"},
		{"an export of one event", "x", `{"response":` + eventA + `}`, "misp"},
		{"records in lines", "x", `{"domain":"a.example","family":"x"}` + "\n" + `{"domain":"b.example","family":"x"}`, "json"},
		{"records with keys in capitals", "x", `[{"Domain":"a.example","Malware":"x"}]`, "json"},
		{"records behind something else", "x", `{"meta":1,"data":[{"ioc":"a.example","ioc_type":"domain"}]}`, "json"},
		{"an IPv6 address is none", "x", "[2001:db8::1]:443\n[2001:db8::2]:443\n", "addresses"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), tc.file)
			writeFile(t, path, tc.body)
			_, r, err := readFeed(t, blocklist.FeedConfig{Path: path})
			if err != nil || r.Format != tc.want {
				t.Errorf("format = %q, %v, want %s", r.Format, err, tc.want)
			}
		})
	}
}

// TestDocumentsKeepTheirLines holds that rows have the line on which their object begins, however long the document is.
func TestDocumentsKeepTheirLines(t *testing.T) {
	var body strings.Builder
	var want []string
	body.WriteString("[\n")
	const records = 5000
	for i := range records {
		fmt.Fprintf(&body, "  {\n    \"ioc\": \"n%d.example\",\n    \"ioc_type\": \"domain\"\n  }", i)
		if i < records-1 {
			body.WriteString(",")
		}
		body.WriteString("\n")
		want = append(want, fmt.Sprintf("%d exact n%d.example", 2+4*i, i))
	}
	body.WriteString("]\n")
	path := filepath.Join(t.TempDir(), "x.json")
	writeFile(t, path, body.String())
	s, r, err := readFeed(t, blocklist.FeedConfig{Path: path})
	if err != nil || r.Lines != 2+4*records {
		t.Fatalf("%d lines, %v, want %d", r.Lines, err, 2+4*records)
	}
	wantLines(t, "rows", s.rows, strings.Join(want, "\n"))
}

// TestRecordsInLinesMayBeBroken holds that a record outside of an array has the line on which it begins.
func TestRecordsInLinesMayBeBroken(t *testing.T) {
	s, err := readText(t, blocklist.FeedConfig{}, "{\n\"domain\":\"a.example\",\n\"family\":\"x\"\n}\n{\"domain\":\n\"b.example\"}\n{\"family\":\n\"y\"}\n")
	if err != nil {
		t.Fatal(err)
	}
	wantLines(t, "rows", s.rows, "1 exact a.example family=x\n5 exact b.example")
	wantLines(t, "faults", s.faultTexts(), "7 syntax")
}

// TestRecordsNameOnlyThemselves holds that what a record says of others (its reporter, its samples, the host of its page) is never listed.
func TestRecordsNameOnlyThemselves(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.json")
	writeFile(t, path, `[{"reporter":{"url":"https://reporter.example/","domain":"reporter.example"},"samples":[{"ioc":"sample.example"}],
		"host":"hosting.example","url":"https://hosting.example/page","ioc_type":"url"},
		{"ioc_type":"domain","ioc":null,"domain":"None","hostname":"a.example"},
		"b.example", ["c.example"], {"ioc":["d.example","e.example"],"ioc_type":"domain"}]`)
	s, _, err := readFeed(t, blocklist.FeedConfig{Path: path, Format: "json"})
	if err != nil {
		t.Fatal(err)
	}
	wantLines(t, "rows", s.rows, "3 exact a.example")
	wantLines(t, "faults", s.faultTexts(), "1 url\n4 syntax\n4 syntax\n4 not-a-domain")
}

func TestKeysMayBeNamed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.json")
	writeFile(t, path, `[{"Observable":"a.example","Famille":"vidar"}]`)
	s, _, err := readFeed(t, blocklist.FeedConfig{Path: path, Format: "json", Columns: blocklist.Columns{Indicator: "observable", Family: "FAMILLE"}})
	if err != nil {
		t.Fatal(err)
	}
	wantLines(t, "rows", s.rows, "1 exact a.example family=vidar")
}

func TestLinksToHosts(t *testing.T) {
	for link, want := range map[string]string{
		"http://a.example":         "a.example",
		"HTTPS://A.example:8443/":  "a.example",
		"tcp://192.0.2.1:443/":     "192.0.2.1",
		"http://[2001:db8::1]:80/": "2001:db8::1",
		"ftp://[2001:db8::1]":      "2001:db8::1",
		"http://a.example/x":       "url",
		"http://a.example//":       "url",
		"http://a.example?x":       "url",
		"http://a.example#x":       "url",
		"http://user@a.example/":   "url",
		"http://user:1@a.example/": "url",
		"http://a.example:/":       "url",
		"http://a.example:x/":      "url",
		"http://":                  "url",
		"a.example/x":              "url",
		"http:/a.example":          "url",
		"h ttp://a.example":        "url",
		"http://[2001:db8::1]x/":   "url",
		"http://[":                 "url",
		"http://[]:1/":             "ip-address",
		"http://[2001:db8::1":      "url",
		"http://:80/":              "not-a-domain",
		"http://127.0.0.1/":        "special-address",
		"http://com/":              "tld",
	} {
		path := filepath.Join(t.TempDir(), "x.csv")
		writeFile(t, path, "type,indicator\nurl,"+link+"\n")
		s, _, _ := readFeed(t, blocklist.FeedConfig{Path: path})
		got := strings.Join(append(s.rows, s.faultTexts()...), " ")
		if got = strings.TrimSuffix(strings.TrimPrefix(strings.TrimPrefix(got, "2 "), "exact "), " trigger=ip"); got != want {
			t.Errorf("%s: %s, want %s", link, got, want)
		}
	}
}
