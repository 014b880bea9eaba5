package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// conformancePage says which scenarios do not pass, and why.
const conformancePage = "../../docs/conformance.md"

// everyday are the scenarios that every run of the tests plays: a few of each kind. With CENOTE_LONG all are played, and in strict mode, but for the race detector.
var everyday = []string{
	"fetch_glue", "fwd_minimal", "iter_cname_minimise", "iter_lame_aaaa", "iter_pcnamechrec", "iter_ranoaa_lame", "iter_resolve", "iter_scrub_promiscuous",
	"root_key_sentinel", "rpz_clientip_passthru_cache", "rpz_nsip", "rpz_rootwc", "rrset_rettl", "serve_expired_cached_servfail", "trust_cname_chain",
	"val_adcopy", "val_negcache_nxdomain", "val_scrub_rr_length",
}

// played is one line of what the runner found.
type played struct{ Name, Status, Why string }

// result is the word of the page for it.
func (p played) result() string {
	switch p.Status {
	case "pass":
		return "passed"
	case "skip":
		return "skipped"
	}
	return "failed"
}

// TestConformance plays scenarios of resolvers (../shared/scenarios) against the server, and holds docs/conformance.md to what comes of it. What
// does not pass is played once more, since a busy machine may be too slow for the runner's clock.
func TestConformance(t *testing.T) {
	runner := scenarioRunner(t)
	names := everyday
	if os.Getenv("CENOTE_LONG") != "" || os.Getenv("CENOTE_STRICT") == "1" && !raceEnabled {
		names = nil
	}
	agreed, doubtful := agreedResults(t), []string(nil)
	for _, p := range playScenarios(t, runner, names) {
		if agreed.holds(p) != "" {
			doubtful = append(doubtful, p.Name)
		}
	}
	if len(doubtful) == 0 {
		return
	}
	for _, p := range playScenarios(t, runner, doubtful) {
		if complaint := agreed.holds(p); complaint != "" {
			t.Errorf("%s: %s; docs/conformance.md says otherwise: %s", p.Name, complaint, p.Why)
		}
	}
}

// scenarioRunner finds the runner and what it needs, or skips and says what is missing.
func scenarioRunner(t *testing.T) string {
	t.Helper()
	runner, err := filepath.Abs("../../../shared/scenarios/rplrun.py")
	if err != nil {
		t.Fatal(err)
	}
	missing := func(what string) {
		t.Helper()
		if os.Getenv("CENOTE_STRICT") == "1" {
			t.Fatal(what)
		}
		t.Skip(what)
	}
	if _, err := os.Stat(runner); err != nil {
		missing("the scenarios of resolvers are not here: want them in ../shared/scenarios beside the repository")
	}
	for _, need := range []struct{ what, command string }{
		{"/usr/bin/python3 with dnspython (apt-get install -y python3-dnspython)", "/usr/bin/python3 -c 'import dns.message'"},
		{"the command ip (apt-get install -y iproute2)", "ip -V"},
		{"root, or user namespaces that anybody may make: a scenario has a network of its own", "unshare -n true || unshare -rn true"},
	} {
		if out, err := exec.Command("sh", "-c", need.command).CombinedOutput(); err != nil {
			missing("want " + need.what + ": " + strings.TrimSpace(string(out)))
		}
	}
	return runner
}

// playScenarios plays the named scenarios, all without names.
func playScenarios(t *testing.T, runner string, names []string) []played {
	t.Helper()
	adapter, err := filepath.Abs("../../testdata/peers/rpl/adapter")
	check(t, err)
	self, err := os.Executable()
	check(t, err)
	dir := t.TempDir()
	found := filepath.Join(dir, "found.json")
	args := []string{runner, "--adapter", adapter, filepath.Join(filepath.Dir(runner), "rpl"), "--json", found, "--quiet", "--tmp", dir, "--jobs", "2"}
	if names != nil {
		args = append(args, "--only", "^("+strings.Join(names, "|")+")$")
	}
	cmd := exec.Command("/usr/bin/python3", args...)
	cmd.Env = append(os.Environ(), "CENOTE_CONFORMANCE="+self, "PYTHONDONTWRITEBYTECODE=1")
	out, _ := cmd.CombinedOutput() // its status says whether all passed, and the page knows better
	t.Logf("%s", out[max(0, len(out)-1500):])
	text, err := os.ReadFile(found)
	if err != nil {
		t.Fatalf("the runner did not get to its end: %v\n%s", err, out)
	}
	var all []played
	check(t, json.Unmarshal(text, &all))
	if names != nil && len(all) != len(names) || len(all) == 0 {
		t.Fatalf("%d scenarios were played, want %d: %v", len(all), len(names), all)
	}
	return all
}

// agreed is the results on the page: of scenarios that do not pass.
type agreed map[string]string

// holds returns what is wrong with the page in the light of one result, "" for nothing.
func (a agreed) holds(p played) string {
	want, listed := a[p.Name]
	switch got := p.result(); {
	case !listed && got != "passed":
		return "it has " + got + ", and no reason is given"
	case listed && got != want:
		return "it has " + got + ", not " + want
	}
	return ""
}

// agreedResults reads the page.
func agreedResults(t *testing.T) agreed {
	t.Helper()
	text, err := os.ReadFile(conformancePage)
	check(t, err)
	rows := regexp.MustCompile(`(?m)^\| ([a-z0-9_]+) \| (failed|skipped|passed) \| (.+) \|$`).FindAllStringSubmatch(string(text), -1)
	out := agreed{}
	for _, row := range rows {
		if row[2] == "passed" || len(row[3]) < 20 {
			t.Errorf("%s: %q: want a result other than passed, and its reason", conformancePage, row[0])
		}
		out[row[1]] = row[2]
	}
	if len(out) < 10 {
		t.Fatalf("%s: %d rows can be read; there are more", conformancePage, len(out))
	}
	return out
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
