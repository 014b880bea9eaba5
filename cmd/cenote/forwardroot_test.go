package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"cenote/dnstest"

	"github.com/miekg/dns"
)

// TestForwardedRootIsValidated: who forwards all names, and wants them checked, forwards the root: what a resolver says that checks nothing is then checked, here.
func TestForwardedRootIsValidated(t *testing.T) {
	dnstest.OwnNetwork(t, 0)
	tree, err := dnstest.StartTreeAt(t, `
		zone .               server a.root.nature @1 sign
		zone nature          server ns.nic.nature @2 sign nsec3
		zone good.nature     server ns.good.nature @3 sign
		    www              A     192.0.2.1
		zone plain.nature    server ns.plain.nature @4
		    www              A     192.0.2.2
		zone forged.nature   server ns.forged.nature @5 sign
		    www              A     192.0.2.3
		! sign www.forged.nature bad-sig
	`, 53)
	if err != nil {
		t.Fatal(err)
	}
	above, below := t.TempDir(), t.TempDir()
	writeAll(t, above, map[string]string{"hints": tree.RootHints(),
		"cenote.yaml": strings.Replace(recursiveCenote, "validation: {trust_anchors: anchors}", "validation: {enabled: false}", 1)})
	upstream := startProcess(t, filepath.Join(above, "cenote.yaml")).addr()
	writeAll(t, below, map[string]string{"hints": tree.RootHints(), "anchors": tree.Anchors(),
		"cenote.yaml": recursiveCenote + fmt.Sprintf("  forward: [{name: ., upstreams: ['%v']}]\n", upstream)})
	server := startProcess(t, filepath.Join(below, "cenote.yaml")).addr()
	asked := tree.Total()
	for name, want := range map[string]string{
		"www.good.nature.": "NOERROR ad", "none.good.nature.": "NXDOMAIN ad", "www.plain.nature.": "NOERROR ", "www.forged.nature.": failed,
	} {
		if got := validated(server, dns.Question{Name: name, Qtype: dns.TypeA, Qclass: dns.ClassINET}); !strings.HasPrefix(got, want) {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
	for _, q := range tree.Queries("*")[asked:] {
		if q.RD {
			t.Errorf("a server of a zone was asked by who forwards: %+v", q)
		}
	}
}
