package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cenote/dnstest"

	"github.com/miekg/dns"
)

// halfRolled is the zone rolledhalf of judgedInternetOf by itself, with servers whose keys differ.
const halfRolled = `
zone . server a.root.nsec @1 sign
zone nsec server ns1.nic.nsec @3 sign
zone rolledhalf.nsec server ns1.rolledhalf.nsec @6 sign
	www A 192.0.2.1
zone rolledhalf.nsec server ns2.rolledhalf.nsec @7 sign keys=csk
	www A 192.0.2.1
`

// halfRolledRounds is how often we are asked with an empty cache. The first server is slow, so that the other one is asked first once that is known.
const halfRolledRounds = 8

// TestHalfRolledZone shows what stands in testdata/peers/README.md of the zone rolledhalf: the zone above vouches for the keys of the first server alone, what we say with
// AD is signed by these, whichever server was asked before, and what makes unbound fail, and us if the first server gives no answer, is what the second one signs.
func TestHalfRolledZone(t *testing.T) {
	unbound := program(t, "unbound")
	dnstest.OwnNetwork(t, 0)
	tree, err := dnstest.StartTreeAt(t, halfRolled, 53)
	if err != nil {
		t.Fatal(err)
	}
	const zone, name = "rolledhalf.nsec.", "www.rolledhalf.nsec."
	ask := func(server, name string, rtype uint16) (set []dns.RR, sig *dns.RRSIG) {
		t.Helper()
		c := dns.Client{Timeout: patience, UDPSize: 4096}
		r, _, err := c.Exchange(new(dns.Msg).SetQuestion(name, rtype).SetEdns0(4096, true), server)
		if err != nil {
			t.Fatal(err)
		}
		for _, rr := range r.Answer {
			if s, ok := rr.(*dns.RRSIG); ok {
				sig = s
			} else {
				set = append(set, rr)
			}
		}
		return set, sig
	}
	keysOf := func(server string) (keys []*dns.DNSKEY, set []dns.RR, sig *dns.RRSIG) {
		set, sig = ask(tree.Addr(server).String(), zone, dns.TypeDNSKEY)
		for _, rr := range set {
			keys = append(keys, rr.(*dns.DNSKEY))
		}
		return keys, set, sig
	}

	// What the zone above says, and what the servers have.
	ds, _ := ask(tree.Addr("@3").String(), zone, dns.TypeDS)
	first, set, sig := keysOf("@6")
	second, _, _ := keysOf("@7")
	if len(ds) != 1 || len(first) != 2 || len(second) != 1 {
		t.Fatalf("DS %v, keys %v and %v; want 1, 2 and 1", ds, first, second)
	}
	vouched := ds[0].(*dns.DS).Digest
	var zsk *dns.DNSKEY
	for _, k := range first {
		if k.Flags&dns.SEP == 0 {
			zsk = k
		} else if !strings.EqualFold(k.ToDS(dns.SHA256).Digest, vouched) || sig.Verify(k, set) != nil {
			t.Errorf("the zone above does not vouch for the key %d of the first server, or that has not signed the other", k.KeyTag())
		}
	}
	if strings.EqualFold(second[0].ToDS(dns.SHA256).Digest, vouched) {
		t.Error("the zone above vouches for the key of the second server")
	}

	dir := t.TempDir()
	log := filepath.Join(dir, "unbound.log")
	said := strings.Replace(fmt.Sprintf(recursiveUnbound, dir), "server:\n", "server:\n\tval-log-level: 2\n\tverbosity: 1\n\tlogfile: \""+log+"\"\n", 1)
	config := filepath.Join(dir, "cenote.yaml")
	writeAll(t, dir, map[string]string{"hints": tree.RootHints(), "anchors": tree.Anchors(), "unbound.conf": said, "cenote.yaml": recursiveCenote})
	ours := startProcess(t, config).addr()
	cli := func(args ...string) string {
		t.Helper()
		cmd := asProcess(t, append(args, "--config", config)...)
		out, err := cmd.Output()
		if err != nil && args[0] != "resolve" { // which fails where the answer is a failure
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
		return string(out)
	}

	// Ours, with nothing known.
	tree.Break("@6", "*", dnstest.Fault{Delay: 100 * time.Millisecond})
	asked := 0
	for range halfRolledRounds {
		cli("cache", "flush", "--all")
		trace := cli("resolve", name, "--trace")
		if !strings.Contains(trace, fmt.Sprintf("signed by %s key %d", strings.TrimSuffix(zone, "."), zsk.KeyTag())) {
			t.Fatalf("no proof by key %d of the first server:\n%s", zsk.KeyTag(), trace)
		}
		if strings.Contains(trace, tree.Addr("@7").Addr().String()) && strings.Contains(trace, "bogus") {
			if asked++; asked == 1 {
				t.Logf("the second server was asked first:\n%s", trace)
			}
		}
		cli("cache", "flush", "--all")
		set, sig := ask(ours.String(), name, dns.TypeA)
		if sig == nil || sig.KeyTag != zsk.KeyTag() || sig.Verify(zsk, set) != nil {
			t.Fatalf("we say %v %v, which key %d of the first server has not signed", set, sig, zsk.KeyTag())
		}
	}
	t.Logf("in %d of %d traces something that the second server said did not stand up to validation, and the first one was asked as well", asked, halfRolledRounds)
	if asked == 0 {
		t.Error("the second server was never asked before the first")
	}

	// With the second alone to answer, no answer stands up to validation.
	tree.Break("@6", name, dnstest.Fault{Type: dns.TypeA, Rcode: dns.RcodeRefused})
	cli("cache", "flush", "--all")
	if trace := cli("resolve", name, "--trace"); !strings.Contains(trace, "SERVFAIL") || !strings.Contains(trace, "bogus") {
		t.Errorf("of the second server alone we take an answer:\n%s", trace)
	}
	peer := startPeer(t, 5301, unbound, "-d", "-c", filepath.Join(dir, "unbound.conf"))
	for deadline := time.Now().Add(within); ; time.Sleep(again) {
		_ = validated(peer, dns.Question{Name: name, Qtype: dns.TypeA, Qclass: dns.ClassINET})
		text, err := os.ReadFile(log)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "<"+name+" A IN>: signatures from unknown keys") && strings.Contains(string(text), tree.Addr("@7").Addr().String()) {
			t.Logf("unbound: %s", text)
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("unbound does not say that keys are unknown:\n%s", text)
		}
	}
}
