package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"cenote/dnstest"
)

// TestFamilyWithoutARoute: where IPv6 leads nowhere, servers that have addresses of both families are asked by IPv4, and hardly a query is spent to find that out.
func TestFamilyWithoutARoute(t *testing.T) {
	dnstest.OwnNetwork(t, 0)
	var text strings.Builder
	text.WriteString("zone . server a.root.nature @1\nzone nature server ns.nic.nature @2\n")
	const zones = 20
	for i := range zones { // glue, which the zone above gives
		for n := range 4 {
			fmt.Fprintf(&text, "ns%[2]d.z%[1]d A @3\nns%[2]d.z%[1]d AAAA 2001:db8::%[1]d:%[2]d\n", i, n)
		}
	}
	for i := range zones {
		fmt.Fprintf(&text, "zone z%[1]d.nature server ns0.z%[1]d.nature @3, ns1.z%[1]d.nature @3, ns2.z%[1]d.nature @3, ns3.z%[1]d.nature @3\n* A 192.0.2.%[1]d\n", i)
	}
	tree, err := dnstest.StartTreeAt(t, text.String(), 53)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	config := strings.NewReplacer("  ipv6: false\n", "", "validation: {trust_anchors: anchors}", "validation: {enabled: false}").Replace(recursiveCenote)
	writeAll(t, dir, map[string]string{"hints": tree.RootHints(), "cenote.yaml": config})
	a := &attacked{process: startProcess(t, filepath.Join(dir, "cenote.yaml")), tree: tree, socket: filepath.Join(dir, "state", "cenote.sock")}
	a.addr()
	for i := range zones {
		a.answers(fmt.Sprintf("www.z%d.nature", i), fmt.Sprintf("192.0.2.%d", i))
	}
	sent, came := int(a.metric("cenote_resolver_packets_total")), tree.Total()
	t.Logf("%d queries were sent, %d came", sent, came)
	if lost := sent - came; lost < 1 || lost > 8 {
		t.Errorf("%d of %d queries went where no way leads, want a few at first", lost, sent)
	}
}
