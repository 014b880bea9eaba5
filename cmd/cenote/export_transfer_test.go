package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"cenote/dnstest"

	"github.com/google/go-cmp/cmp"
)

// The resolvers that operators have take the policy as a zone by transfer, and follow it as its feeds change.

// editedFeeds are the files of exportedPolicy, which are edited at random.
type editedFeeds struct {
	r   *rand.Rand
	dir string
	n   int
}

// edit changes some rows of some feeds, and lists a name by which others can tell that they have the edit, in place of that of the last one. That comes
// last, so that whoever has it has the others.
func (e *editedFeeds) edit(t *testing.T) {
	t.Helper()
	last := e.mark()
	e.n++
	if e.r.IntN(4) == 0 {
		e.put(t, "rpz", strings.ReplaceAll(randomRPZ(e.r), "CNAME *.garden", "A 192.0.2.83 ; *.garden"))
	}
	for _, feed := range []struct{ name, before, behind string }{{"allow", "", ""}, {"adblock", "||", "^"}, {"list", "", ""}} {
		if feed.name != "list" && e.r.IntN(2) == 0 {
			continue
		}
		e.change(t, feed.name, func(lines []string) []string {
			if feed.name == "list" {
				lines = slices.DeleteFunc(lines, func(l string) bool { return strings.HasSuffix(l, last) })
				lines = append(lines, e.mark(), "x."+e.mark())
			}
			for range e.r.IntN(4) {
				at := e.r.IntN(len(lines))
				if strings.HasPrefix(lines[at], "[") || strings.Contains(lines[at], "unused") || strings.Contains(lines[at], "listed") || strings.HasSuffix(lines[at], e.mark()) {
					continue
				}
				lines[at] = feed.before + strings.TrimSuffix(judgedName(e.r), ".") + feed.behind
			}
			return lines
		})
	}
}

// mark is the name that the last edit lists.
func (e *editedFeeds) mark() string { return fmt.Sprintf("edit%d.example", e.n) }

func (e *editedFeeds) change(t *testing.T, name string, edit func(lines []string) []string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(e.dir, name))
	if err != nil {
		t.Fatal(err)
	}
	e.put(t, name, strings.Join(edit(strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")), "\n")+"\n")
}

func (e *editedFeeds) put(t *testing.T, name, text string) {
	t.Helper()
	path := filepath.Join(e.dir, name)
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// TestResolversFollowTheExportedZone has named, unbound and pdns_recursor take the policy by transfer, named and the recursor by key: after each edit of
// its feeds they answer as we do, the zone that we give away and that which named has of us are what export writes, and but for the first zone of each
// they were sent what has changed.
func TestResolversFollowTheExportedZone(t *testing.T) {
	named, unbound, recursor := program(t, "named"), program(t, "unbound"), program(t, "pdns_recursor")
	up := dnstest.Start(t, judgedInternet)
	dir, seed := t.TempDir(), uint64(11)
	namedPort, unboundPort := dnstest.FreePort(t).Port(), dnstest.FreePort(t).Port()
	text := exportedPolicy(rand.New(rand.NewPCG(seed, 5)), dir, up.Addr())
	writeAll(t, dir, map[string]string{"secret": transferSecret + "\n"})
	s := startServer(t, dir, strings.ReplaceAll(text, "format: domains", "shrink_max: 100%, format: domains")+fmt.Sprintf(`
keys: [{name: transfer.test, secret_file: %[1]s/secret}]
zones:
  - {name: rpz.test, policy: {}, allow_transfer: [127.0.0.1/32], transfer_keys: [transfer.test], notify: ['127.0.0.1:%[2]d']}
  - {name: open.test, policy: {}, allow_transfer: [127.0.0.1/32], notify: ['127.0.0.1:%[3]d']}
`, dir, namedPort, unboundPort))
	port := s.addr().Port()
	peers := []struct {
		name string
		addr netip.AddrPort
	}{
		{"named", startNamedWith(t, named, t.TempDir(), namedPort, up.Addr(), `zone "rpz.test"; `, "qname-wait-recurse no break-dnssec yes", fmt.Sprintf(`
key "transfer.test" { algorithm hmac-sha256; secret %q; };
zone "rpz.test" { type secondary; primaries { 127.0.0.1 port %d key "transfer.test"; }; file "rpz.copy"; allow-transfer { any; }; };`, transferSecret, port))},
		{"unbound", startUnboundWith(t, unbound, t.TempDir(), unboundPort, up.Addr(), fmt.Sprintf(
			"rpz:\n name: open.test\n primary: 127.0.0.1@%d\n allow-notify: 127.0.0.1", port))},
		{"pdns_recursor", startRecursorWith(t, recursor, t.TempDir(), fmt.Sprintf(
			"rpzPrimary('127.0.0.1:%d', 'rpz.test', {refresh=1, tsigname='transfer.test', tsigalgo='hmac-sha256', tsigsecret='%s'})", port, transferSecret), up.Addr())},
	}
	edits, feeds := sized(8, 200), &editedFeeds{r: rand.New(rand.NewPCG(seed, 6)), dir: dir}
	asked := 0
	for range edits {
		feeds.edit(t)
		mark := "x." + feeds.mark() + "."
		s.wait("edited", func() bool { return !strings.Contains(reduced(s.addr(), "127.0.0.1", mark, 1), "192.0.2.77") })
		for _, peer := range peers {
			awaitAnswer(t, s.addr(), peer.addr, mark)
			names := judgedNames()
			if feeds.n < edits {
				feeds.r.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
				names = names[:24]
			}
			awaitNone(t, fmt.Sprint("edit ", feeds.n, ": ", peer.name, " answers otherwise"), func() string { return difference(s.addr(), peer.addr, names) })
		}
		awaitNone(t, fmt.Sprint("edit ", feeds.n, ": the zone that is sent is not what export writes"), func() string {
			asked++
			return cmp.Diff(exportedLines(t, dir), withoutSerial(whole(s.addr(), "rpz.test.", true)))
		})
		awaitNone(t, fmt.Sprint("edit ", feeds.n, ": the zone of named is not what export writes"), func() string {
			return cmp.Diff(exportedLines(t, dir), withoutSerial(whole(peers[0].addr, "rpz.test.", false)))
		})
	}
	if whole, changes := s.transfers(t, "whole"), s.transfers(t, "changes"); whole != float64(asked+len(peers)) || changes < float64(len(peers)*edits) {
		t.Errorf("%v zones were sent whole, of which %d to this test, and %v times what had changed, in %d edits for %d resolvers", whole, asked, changes, edits, len(peers))
	}
}

// exportedLines is what export writes of the policy, as withoutSerial has it.
func exportedLines(t *testing.T, dir string) string {
	t.Helper()
	path := filepath.Join(dir, "exported.rpz")
	var out bytes.Buffer
	if status := run([]string{"export", "rpz", "-c", filepath.Join(dir, "cenote.yaml"), "--zone", "rpz.test", "-o", path}, nil, &out, &out); status != 0 {
		t.Fatalf("the policy is not written: %s", out.String())
	}
	return withoutSerial(wholeFile(t, path, "rpz.test."))
}

// withoutSerial is a zone without its SOA record, which alone has the serial.
func withoutSerial(zone string) string {
	lines := slices.DeleteFunc(strings.Split(zone, "\n"), func(l string) bool { return strings.Contains(l, "\tsoa\t") })
	return strings.Join(lines, "\n")
}

// awaitAnswer waits until a resolver answers for a name as we do.
func awaitAnswer(t *testing.T, ours, peer netip.AddrPort, name string) {
	t.Helper()
	want := reduced(ours, "127.0.0.1", name, 1)
	for deadline := time.Now().Add(within); reduced(peer, "127.0.0.1", name, 1) != want; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s is answered with %s, want %s", name, reduced(peer, "127.0.0.1", name, 1), want)
		}
	}
}

// awaitNone waits until there is no difference: feeds that are edited together may be taken one after the other.
func awaitNone(t *testing.T, what string, difference func() string) {
	t.Helper()
	for deadline := time.Now().Add(within); ; time.Sleep(20 * time.Millisecond) {
		got := difference()
		if got == "" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s:\n%s", what, got)
		}
	}
}
