package config_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cenote/config"
)

// fetching is base with these keys of its feed in place of the path.
func fetching(keys string) string {
	return strings.Replace(base, "path: malware.hosts", keys, 1)
}

func TestFetchKeys(t *testing.T) {
	c, warnings, err := config.Parse("/etc/cenote/cenote.yaml", []byte(fetching("url: 'https://u:p@lists.example/k/malware.hosts?t=1', interval: 10m, timeout: 1m, "+
		"auth_header_file: key, ca_file: ca.pem, allow_private: [10.0.0.0/8, 127.0.0.1], minisign_key: RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3")))
	if err != nil || len(warnings) > 0 {
		t.Fatalf("faults %v, warnings %v; want none", err, warnings)
	}
	f := c.Feeds[0]
	if f.URL != "https://u:p@lists.example/k/malware.hosts?t=1" || f.Interval != 10*time.Minute || f.Timeout != time.Minute || f.Path != "" ||
		f.AuthHeaderFile != "/etc/cenote/key" || f.CAFile != "/etc/cenote/ca.pem" || fmt.Sprint(f.AllowPrivate) != "[10.0.0.0/8 127.0.0.1/32]" {
		t.Errorf("got %+v", f)
	}
	if got := fmt.Sprint(f.URL); got != "https://***@lists.example********************" {
		t.Errorf("the URL prints as %s", got)
	}
}

func TestFetchFaults(t *testing.T) {
	const key = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3"
	for name, tc := range map[string]struct {
		keys            string
		faults, warning string // a part of the one that is wanted
	}{
		"neither":                   {"format: hosts", "4:5: feeds[0]: one of the keys path, url and primaries is missing | such as path: /etc", ""},
		"both":                      {"path: x, url: 'https://lists.example/x'", "4:30: feeds[0].url: of the keys path, url and primaries only one can be there | remove one of them", ""},
		"url misspelt":              {"ulr: 'https://lists.example/x'", `feeds[0].ulr: unknown key | did you mean "url"?`, ""},
		"no scheme":                 {"url: lists.example/x", "the URL does not begin with https:// or http:// | write it as https://", ""},
		"other scheme":              {"url: 'ftp://lists.example/x'", "the URL does not begin with https:// or http://", ""},
		"no host":                   {"url: 'https:///x'", "the URL names no host", ""},
		"not a URL":                 {"url: 'https://lists.example/%zz'", "the URL cannot be read", ""},
		"mapping":                   {"url: {a: b}", "feeds[0].url: \"{\" is not a URL", ""},
		"too often":                 {"url: 'https://lists.example/x', interval: 10s", `feeds[0].interval: "10s" is too little | the least is 1m`, ""},
		"how to fetch a path":       {"path: x, interval: 10m", "feeds[0].interval: the feed has no url, so nothing is fetched | remove the key", ""},
		"default of a path":         {"path: x, interval: 1h", "", ""},
		"key of a path":             {"path: x, minisign_key: " + key, "feeds[0].minisign_key: the feed has no url", ""},
		"network of a path":         {"path: x, allow_private: [10.0.0.0/8]", "feeds[0].allow_private: the feed has no url", ""},
		"not a key":                 {"url: 'https://lists.example/x', minisign_key: RWQf6LRCGA9i53", "feeds[0].minisign_key: not a public key of minisign | it is the second line", ""},
		"private key":               {"url: 'https://lists.example/x', minisign_key: RWRTY0IyEpQ/", "feeds[0].minisign_key: not a public key of minisign", ""},
		"every address":             {"url: 'https://lists.example/x', allow_private: [0.0.0.0/0]", "", "feeds[0].allow_private[0]: warning"},
		"http":                      {"url: 'http://lists.example/x'", "", "the list can be changed by everybody on the way"},
		"http, signed":              {"url: 'http://lists.example/x', minisign_key: " + key, "", ""},
		"http, on this host":        {"url: 'http://127.0.0.1:8080/x'", "", ""},
		"key over http":             {"url: 'http://lists.example/x', auth_header_file: x, minisign_key: " + key, "", "what proves who asks can be read by everybody"},
		"good":                      {"url: 'https://lists.example/x'", "", ""},
		"http, user":                {"url: 'http://u:p@lists.example/x', minisign_key: " + key, "", "what proves who asks can be read by everybody"},
		"collection":                {"url: 'https://t.example/api/collections/1/', taxii: true, resync: 1d", "", ""},
		"objects of a collection":   {"url: 'https://t.example/api/collections/1/objects/?match[type]=indicator', taxii: true, format: stix", "", ""},
		"root of an API":            {"url: 'https://t.example/api/', taxii: true", "feeds[0].url: the URL is not that of a collection of TAXII | it ends in /collections/", ""},
		"collection of hosts":       {"url: 'https://t.example/collections/1/', taxii: true, format: hosts", "feeds[0].format: a collection of TAXII holds STIX | remove the key", ""},
		"collection, signed":        {"url: 'https://t.example/collections/1/', taxii: true, minisign_key: " + key, "feeds[0].minisign_key: a collection of TAXII has no signature", ""},
		"list, read whole":          {"url: 'https://lists.example/x', resync: 1d", "feeds[0].resync: the feed is no collection of TAXII", ""},
		"MISP feed":                 {"url: 'https://misp.example/feed/', misp_feed: true, format: misp", "", ""},
		"MISP feed of hosts":        {"url: 'https://misp.example/feed/', misp_feed: true, format: hosts", "feeds[0].format: a MISP feed holds events of MISP", ""},
		"MISP feed, signed":         {"url: 'https://misp.example/feed/', misp_feed: true, minisign_key: " + key, "feeds[0].minisign_key: a MISP feed has no signature", ""},
		"MISP feed of a collection": {"url: 'https://t.example/collections/1/', taxii: true, misp_feed: true", "feeds[0].misp_feed: a collection of TAXII is no MISP feed", ""},
		"MISP feed of a path":       {"path: x, misp_feed: true", "feeds[0].misp_feed: the feed has no url", ""},
		"collection of a path":      {"path: x, taxii: true", "feeds[0].taxii: the feed has no url", ""},
		"faulty url hides no other": {"url: 'lists.example', interval: 1s", `feeds[0].interval: "1s" is too little`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			faults, warnings := faultsOf(t, fetching(tc.keys))
			if all := strings.Join(faults, "\n"); (tc.faults == "") != (all == "") || !strings.Contains(all, tc.faults) {
				t.Errorf("faults:\n%s\nwant %q", all, tc.faults)
			}
			all := strings.Join(warnings, "\n")
			if want := strings.TrimSuffix(tc.warning, ": warning"); tc.faults == "" && ((want == "") != (all == "") || !strings.Contains(all, want)) {
				t.Errorf("warnings:\n%s\nwant %q", all, tc.warning)
			}
		})
	}
	_, warnings := faultsOf(t, strings.Replace(fetching("url: 'https://lists.example/x'"), "feeds:\n", "feeds:\n  - {name: other, url: 'https://lists.example/x'}\n", 1))
	if all := strings.Join(warnings, "\n"); !strings.Contains(all, `the feeds "other" and "malware" fetch the same URL`) {
		t.Errorf("two feeds of one URL: %q", all)
	}
}

// TestFaultsShowNoKey: a key in a URL is in no message about the file, whatever is wrong with it.
func TestFaultsShowNoKey(t *testing.T) {
	for name, text := range map[string]string{
		"another key of the line":  fetching("url: 'https://user:SECRET@lists.example/SECRET/x?k=SECRET', formt: hosts"),
		"without quotes":           fetching("formt: hosts, url: https://user:SECRET@lists.example/SECRET/x?k=SECRET"),
		"no scheme":                fetching("url: 'lists.example/SECRET/x'"),
		"user without scheme":      fetching("url: '//user:SECRET@lists.example/x'"),
		"scheme of another kind":   fetching("url: 'htps://user:SECRET@lists.example/SECRET'"),
		"one slash":                fetching("url: 'https:/user:SECRET@lists.example/SECRET'"),
		"blank inside":             fetching("url: 'https://lists.example/a SECRET'"),
		"percent":                  fetching("url: 'https://lists.example/%zzSECRET'"),
		"two values":               fetching("url: ['https://lists.example/SECRET']"),
		"as a path":                fetching("path: 'https://lists.example/SECRET', formt: x"),
		"as a number":              fetching("interval: 'https://lists.example/SECRET', path: x"),
		"as a key":                 fetching("path: x, 'https://lists.example/SECRET': x"),
		"as a format":              fetching("path: x, format: 'https://lists.example/SECRET'"),
		"twice":                    fetching("url: 'https://lists.example/SECRET', url: 'https://lists.example/SECRET'"),
		"both":                     fetching("path: x, url: 'https://lists.example/SECRET'"),
		"bracket without its half": fetching("url: 'https://lists.example/SECRET', limits: {"),
		"quote without its half":   fetching("url: 'https://lists.example/SECRET"),
		"tab":                      "feeds:\n  - name: a\n\turl: https://lists.example/SECRET\n",
		"escaped":                  fetching(`url: "https:\/\/lists.example\/SECRET", formt: x`),
		"in a header of a block":   "feeds:\n  - name: a\n    url: |https://lists.example/SECRET\n",
		"tag":                      fetching("url: !x 'https://lists.example/SECRET'"),
		"on a line of its own":     "feeds:\n  - name: a\n    url: https://lists.example/SECRET\n    pth: x\n    interval: 1s\n",
		"control character":        fetching("url: \"https://lists.example/SECRET\\x1b\""),
	} {
		t.Run(name, func(t *testing.T) {
			_, warnings, err := config.Parse("/etc/cenote/cenote.yaml", []byte(text))
			if err == nil {
				t.Fatal("no fault is found")
			}
			asJSON, jsonErr := json.Marshal([]any{err, warnings})
			if jsonErr != nil {
				t.Fatal(jsonErr)
			}
			if shown := err.Error() + fmt.Sprint(warnings) + string(asJSON); strings.Contains(shown, "SECRET") {
				t.Errorf("the key is shown:\n%s", shown)
			}
		})
	}
	old, _, err := config.Parse("/etc/cenote/cenote.yaml", []byte(fetching("url: 'https://lists.example/SECRET1'")))
	if err != nil {
		t.Fatal(err)
	}
	fresh, _, err := config.Parse("/etc/cenote/cenote.yaml", []byte(fetching("url: 'https://lists.example/SECRET2'")))
	if err != nil {
		t.Fatal(err)
	}
	changes := config.Diff(old, fresh)
	if shown := fmt.Sprint(changes); len(changes) != 1 || strings.Contains(shown, "SECRET") || !strings.Contains(shown, "feeds[malware].url") {
		t.Errorf("the difference is shown as %s", shown)
	}
}

// TestExcerptKeepsItsPlaces: what is masked in a line moves no other part of it.
func TestExcerptKeepsItsPlaces(t *testing.T) {
	_, _, err := config.Parse("/etc/cenote/cenote.yaml", []byte(fetching("url: 'https://lists.example/SECRET', formt: hosts")))
	const want = "      - {name: malware, url: 'https://lists.example*******', formt: hosts}\n" +
		"                                                             ^"
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got:\n%v\nwant in it:\n%s", err, want)
	}
}

// TestFilesOfFetches: what a fetch needs and is not there, or is there for everybody, is told of, and hinders nothing else.
func TestFilesOfFetches(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	write("open", "Auth-Key: SECRET\n", 0o644)
	write("cenote.yaml", "state: state\n"+fetching("url: 'https://lists.example/x', auth_header_file: open, ca_file: missing.pem"), 0o600)
	_, warnings, err := config.Load(filepath.Join(dir, "cenote.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	all := fmt.Sprint(warnings)
	for _, want := range []string{"open can be read by everybody on this host", "chmod o-r ", `the feed "malware" cannot be fetched now: open ` + filepath.Join(dir, "missing.pem")} {
		if !strings.Contains(all, want) {
			t.Errorf("no %q in:\n%s", want, all)
		}
	}
	if strings.Contains(all, "SECRET") {
		t.Errorf("the key is shown:\n%s", all)
	}
}
