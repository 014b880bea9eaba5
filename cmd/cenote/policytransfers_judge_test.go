package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cenote/blocklist"
	"cenote/dnstest"
	"cenote/policy"

	"github.com/google/go-cmp/cmp"
)

// editedPolicy is a policy zone that is edited at random: rules of all triggers and actions, of names that lie below each other, in either
// letter case. Its serial wraps (RFC 1982).
type editedPolicy struct {
	r      *rand.Rand
	serial uint32
	owners map[string]string // lines, by their owner
}

func newEditedPolicy(seed uint64) *editedPolicy {
	z := &editedPolicy{r: rand.New(rand.NewPCG(seed, 6)), serial: 1<<32 - 3, owners: map[string]string{}}
	for range 200 {
		z.put()
	}
	return z
}

// put gives a random owner a rule.
func (z *editedPolicy) put() {
	owner := fmt.Sprintf("h%d.d%d.test", z.r.IntN(60), z.r.IntN(9))
	switch z.r.IntN(9) {
	case 0:
		owner = "*." + owner
	case 1:
		owner = fmt.Sprintf("*.d%d.test", z.r.IntN(9))
	case 2:
		owner = "deep.er." + owner
	case 3:
		owner = fmt.Sprintf("24.0.%d.100.203.rpz-client-ip", z.r.IntN(250))
	case 4:
		owner = fmt.Sprintf("32.%d.7.0.203.rpz-ip", z.r.IntN(250))
	case 5:
		owner = fmt.Sprintf("48.zz.%x.db8.2001.rpz-nsip", 1+z.r.IntN(60000))
	case 6:
		owner = fmt.Sprintf("ns.h%d.test.rpz-nsdname", z.r.IntN(60))
	}
	key := owner
	if z.r.IntN(4) == 0 { // letter case plays no part, when a rule goes neither
		owner = strings.ToUpper(owner)
	}
	actions := []string{"CNAME .", "CNAME *.", "CNAME rpz-passthru.", "CNAME rpz-drop.", "CNAME rpz-tcp-only.", "CNAME garden.test.", "CNAME *.garden.test.", "CNAME rpz-unknown."}
	line := owner + " 60 " + actions[z.r.IntN(len(actions))] + "\n"
	if z.r.IntN(4) == 0 {
		line = fmt.Sprintf("%[1]s 90 A 192.0.2.%[2]d\n%[1]s 90 AAAA 2001:db8::%[2]d\n%[1]s 30 TXT \"t%[2]d\"\n", owner, z.r.IntN(250))
	}
	z.owners[key] = line
}

func (z *editedPolicy) at() uint32 { return z.serial }

func (z *editedPolicy) edit() {
	z.serial++
	if z.serial == 0 {
		z.serial = 1
	}
	all := slices.Sorted(maps.Keys(z.owners))
	for range 1 + z.r.IntN(12) {
		delete(z.owners, all[z.r.IntN(len(all))])
		z.put()
	}
}

// write puts the zone's file in place.
func (z *editedPolicy) write(t *testing.T, path string) {
	t.Helper()
	text := fmt.Sprintf("$TTL 300\n@ SOA localhost. root.localhost. %d 7200 3600 1209600 60\n@ NS localhost.\n", z.serial)
	for _, owner := range slices.Sorted(maps.Keys(z.owners)) {
		text += z.owners[owner]
	}
	if err := os.WriteFile(path+".new", []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// takenRule is what a row says, for comparisons.
func takenRule(key []byte, kind policy.Kind, action policy.Action, data *policy.LocalData) string {
	text, _ := json.Marshal(data)
	return fmt.Sprintf("%s %v %v %s", policy.KeyText(key), kind, action, text)
}

// readRules takes the rows of a feed as takenRule shows them.
type readRules struct{ lines []string }

// Indicator implements blocklist.Sink.
func (r *readRules) Indicator(i *blocklist.Indicator) error {
	r.lines = append(r.lines, takenRule([]byte(i.Name), i.Kind, i.Action, i.Data))
	return nil
}

// Fault implements blocklist.Sink.
func (*readRules) Fault(blocklist.Fault) {}

// rulesOf are the rules of a policy zone's file.
func rulesOf(t *testing.T, path, apex string) (string, blocklist.Report) {
	t.Helper()
	rules := &readRules{}
	report, err := blocklist.ReadFeed(t.Context(), blocklist.FeedConfig{Name: "f", Path: path, Format: "rpz", Zone: apex}, rules)
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(rules.lines)
	return strings.Join(rules.lines, "\n"), report
}

// servedRules are those of the only feed that is served, and its serial.
func (r *running) servedRules() (rules string, serial uint32) {
	var lines []string
	g := r.publisher.Current()
	if g == nil {
		return "", 0
	}
	report, err := g.Report(0)
	if err == nil {
		err = g.Each(0, func(row blocklist.Row) bool {
			lines = append(lines, takenRule([]byte(row.Name), row.Kind, row.Action, row.Data))
			return true
		})
	}
	if err != nil {
		return err.Error(), 0 // it was superseded meanwhile
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n"), report.Serial
}

// TestPolicyZonesOfPrimaries has named, knot and nsd give a policy zone away, with a key and without: after each of some random edits, of which they tell
// (NOTIFY), we serve the very rules of the file, and but for the first time we were sent what had changed.
func TestPolicyZonesOfPrimaries(t *testing.T) {
	edits := sized(5, 200)
	(&primaryTrial{
		zone: func() editedFile { return newEditedPolicy(11) }, edits: edits,
		config: `feeds: [{name: taken, zone: example, primaries: [PRIMARY]}]
policy: {zones: [{name: block, feeds: [taken], action: nxdomain}]}
`,
		serial: func(s *running) uint32 { _, serial := s.servedRules(); return serial },
		check: func(t *testing.T, s *running, edit int, path string) {
			want, _ := rulesOf(t, path, "example")
			if got, _ := s.servedRules(); got != want {
				t.Fatalf("edit %d: we have other rules:\n%s", edit, cmp.Diff(want, got))
			}
		},
		end: func(t *testing.T, s *running) {
			if whole, changes := s.taking(t, "whole"), s.taking(t, "differences"); whole > 1+float64(edits)/3 || changes < float64(edits)*2/3 {
				t.Errorf("of %d edits %v came as differences, and the zone %v times whole", edits, changes, whole)
			}
		},
	}).run(t)
}

// taking is how often policy zones were taken, whole or as differences.
func (r *running) taking(t *testing.T, kind string) float64 {
	t.Helper()
	return labelled(t, r.publisher, "cenote_blocklist_zone_transfers_total", kind)
}

// TestCenoteTakesWhatCenoteExports has a second server take the policy of a first one as a zone, by key and TLS (RFC 9103): after each edit of its feeds it has the rules that
// export writes.
func TestCenoteTakesWhatCenoteExports(t *testing.T) {
	up := dnstest.Start(t, judgedInternet)
	dir, dir2, seed := t.TempDir(), t.TempDir(), uint64(12)
	ours, secure := dnstest.FreePort(t).Port(), dnstest.FreePort(t).Port()
	dnstest.WriteCertificate(t, "hub.test", filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"))
	text := exportedPolicy(rand.New(rand.NewPCG(seed, 5)), dir, up.Addr())
	writeAll(t, dir, map[string]string{"secret": transferSecret + "\n"})
	first := startServer(t, dir, strings.ReplaceAll(strings.ReplaceAll(text, "127.0.0.1:0}", fmt.Sprintf("127.0.0.1:0}, {address: 127.0.0.1:%d, tls: {cert: cert.pem, key: key.pem}}", secure)), "format: domains", "shrink_max: 100%, format: domains")+fmt.Sprintf(`
keys: [{name: transfer.test, secret_file: %[1]s/secret}]
zones: [{name: rpz.test, policy: {}, allow_transfer: [127.0.0.1/32], transfer_keys: [transfer.test], require_tls: true, notify: [{address: '127.0.0.1:%[2]d', key: transfer.test}]}]
`, dir, ours))
	second := startServer(t, dir2, fmt.Sprintf(`
state: %[1]s/state
listen: [{address: 127.0.0.1:%[2]d}]
upstreams: ['127.0.0.1:9']
rate_limit: {enabled: false}
keys: [{name: transfer.test, secret_file: %[4]s/secret}]
feeds: [{name: taken, zone: rpz.test, primaries: [{address: '127.0.0.1:%[3]d', key: transfer.test, tls: hub.test, ca_file: %[4]s/cert.pem}], shrink_max: 100%%, allow_private_suffix: true, allow_public_suffix: true, allow_protected: true}]
policy: {zones: [{name: block, feeds: [taken], action: nxdomain}]}
`, dir2, ours, secure, dir))
	edits, feeds := sized(6, 200), &editedFeeds{r: rand.New(rand.NewPCG(seed, 6)), dir: dir}
	for range edits {
		feeds.edit(t)
		mark := "x." + feeds.mark() + "."
		first.wait("edited", func() bool { return !strings.Contains(reduced(first.addr(), "127.0.0.1", mark, 1), "192.0.2.77") })
		awaitNone(t, fmt.Sprint("edit ", feeds.n, ": the rules that were taken are not what export writes"), func() string {
			exportedLines(t, dir) // writes the file
			want := &readRules{}
			c := blocklist.FeedConfig{Name: "f", Path: filepath.Join(dir, "exported.rpz"), Format: "rpz", AllowSuffixes: true, AllowPrivateSuffixes: true}
			if _, err := blocklist.ReadFeed(t.Context(), c, want); err != nil {
				t.Fatal(err)
			}
			slices.Sort(want.lines)
			got, _ := second.servedRules()
			return cmp.Diff(strings.Join(want.lines, "\n"), got)
		})
	}
	if changes := second.taking(t, "differences"); changes < float64(edits)/2 {
		t.Errorf("of %d edits %v came as differences", edits, changes)
	}
}
