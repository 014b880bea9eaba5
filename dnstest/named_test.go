package dnstest_test

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cenote/dnstest"
)

const namedConfig = `
controls { };
options { directory "%[1]s"; listen-on port %[2]d { 127.0.0.1; }; listen-on-v6 { none; }; pid-file none; session-keyfile none;
 managed-keys-directory "%[1]s"; recursion yes; allow-query { any; }; minimal-responses yes; empty-zones-enable no; notify no;
 qname-minimization off; synth-from-dnssec no; dnssec-validation yes; };
logging { channel all { stderr; severity info; }; category default { null; }; category dnssec { all; }; };
trust-anchors { %[3]s };
%[4]s`

// startNamed runs named on loopback until the test ends: it trusts the root of a tree, and is told the servers of each zone.
func startNamed(t *testing.T, tree *dnstest.Tree, zones map[string]string) netip.AddrPort {
	t.Helper()
	dir := t.TempDir()
	var anchors, forwards strings.Builder
	for _, ds := range tree.DS(".") {
		fmt.Fprintf(&anchors, "\".\" static-ds %d %d %d %q; ", ds.KeyTag, ds.Algorithm, ds.DigestType, ds.Digest)
	}
	for zone, server := range zones {
		at := tree.Addr(server)
		fmt.Fprintf(&forwards, "zone %q { type forward; forward only; forwarders { %s port %d; }; };\n", zone, at.Addr(), at.Port())
	}
	addr := dnstest.FreePort(t)
	conf := filepath.Join(dir, "named.conf")
	text := fmt.Sprintf(namedConfig, dir, addr.Port(), anchors.String(), forwards.String())
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	startPeer(t, addr, dnstest.Program(t, "named"), "-g", "-n", "1", "-c", conf)
	return addr
}

// TestNamedAgrees has a second judge say what unbound says.
func TestNamedAgrees(t *testing.T) {
	j := newJudged()
	for name, words := range soundZones() {
		j.add(name, words)
	}
	for _, z := range faulty {
		j.add(z.name, z.words, z.faults...)
	}
	tree := dnstest.StartTree(t, j.text.String())
	named := startNamed(t, tree, j.zones)
	judgeSound(t, named)
	for _, z := range faulty {
		questions := slices.Clone(z.questions)
		for i, q := range questions {
			questions[i].want, _, _ = strings.Cut(q.want, ":") // it gives no reasons
			if z.name == "junk" {
				questions[i].want = "SERVFAIL" // it tries one signature that fails, no more
			}
		}
		judge(t, named, z.name+".test.", questions)
	}
}
