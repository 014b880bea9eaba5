package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cenote/wire"
)

// TestMissesAreAllDifferent: no question of the load comes twice, and all lie in the zone.
func TestMissesAreAllDifferent(t *testing.T) {
	dir := t.TempDir()
	if err := writeMisses(dir); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(dir, missFile))
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[string]bool, missNames)
	for line := range strings.Lines(string(b)) {
		if !strings.HasSuffix(line, "."+missZone+" A\n") || seen[line] {
			t.Fatalf("%q is no name of the zone, or was there before", line)
		}
		seen[line] = true
	}
	if len(seen) != missNames {
		t.Errorf("%d questions, want %d", len(seen), missNames)
	}
}

// TestMissesMeetTheNetwork: where the cache knew more than a few names it was no load of misses.
func TestMissesMeetTheNetwork(t *testing.T) {
	misses := kind{name: "misses", miss: true}
	for missed, ok := range map[float64]bool{1: true, 0.98: false} {
		if err := (&loadResult{missed: missed}).check(misses); (err == nil) != ok {
			t.Errorf("the network was asked for %v of the queries: got %v", missed, err)
		}
	}
}

// TestWhoBearsMisses: a peer with the stub zone in its configuration, whatever its other loads are.
func TestWhoBearsMisses(t *testing.T) {
	for _, p := range allPeers() {
		has := strings.Contains(p.config, missZone)
		if bears := p.bears(peerKind{kind: kind{name: "misses", miss: true}}); bears != (p.name == "unbound") || bears && !has {
			t.Errorf("%s: bears misses %v, has the zone %v", p.name, bears, has)
		}
	}
}

// TestServerOfTheZone: who asks without recursion gets the answer of a zone's server, and others that of a resolver.
func TestServerOfTheZone(t *testing.T) {
	query, err := encodeQuery("a."+missZone, wire.TypeA)
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ flags, want uint16 }{{wire.FlagRD, wire.FlagQR | wire.FlagRD | wire.FlagRA}, {0, wire.FlagQR | wire.FlagAA}} {
		wire.SetFlags(query, tc.flags)
		if got := wire.Flags(truth(query)); got != tc.want {
			t.Errorf("to a query with flags %#x: got %#x, want %#x", tc.flags, got, tc.want)
		}
	}
}

// TestSetupRecurses: the server asks either the zone's server or an upstream.
func TestSetupRecurses(t *testing.T) {
	for _, recurses := range []bool{false, true} {
		text := (&setup{dir: "/d", upstream: "127.0.53.1:4242", recurses: recurses}).text()
		if strings.Contains(text, "recursion:") != recurses || strings.Contains(text, "upstreams:") == recurses || !strings.Contains(text, "127.0.53.1:4242") {
			t.Errorf("recurses %v:\n%s", recurses, text)
		}
	}
}
