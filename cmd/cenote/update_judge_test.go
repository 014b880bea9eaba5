package main

import (
	"bytes"
	"fmt"
	"net/netip"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"cenote/dnstest"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
)

// updateSecret is the secret of the key that nsupdate signs with.
const updateSecret = "c2l4dGVlbiBvY3RldHMgYW5kIG1vcmUgb2YgdGhlbSE="

// nsupdate has the client of BIND send what a script says, and returns what it says itself.
func nsupdate(t *testing.T, server netip.AddrPort, script string, flags ...string) (string, error) {
	t.Helper()
	cmd := exec.Command(program(t, "nsupdate"), append(flags, "-y", "hmac-sha256:dhcp.example:"+updateSecret)...)
	cmd.Stdin = strings.NewReader(fmt.Sprintf("server %s %d\nzone example\n%s\nsend\n", server.Addr(), server.Port(), script))
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// updatedConfig writes the configuration of a server with a zone that is updated, and signed if it is to be; more are further keys of the zone.
func updatedConfig(t *testing.T, signed bool, more string) string {
	t.Helper()
	dir := t.TempDir()
	writeAll(t, dir, map[string]string{
		"key":  updateSecret + "\n",
		"zone": "$TTL 60\n@ SOA ns host 5 7200 3600 1209600 60\n@ NS ns\nns A 192.0.2.1\nwww A 192.0.2.2\n",
		"cenote.yaml": fmt.Sprintf(`state: %s
listen: [{address: 127.0.0.1:0}]
upstreams: [127.0.0.1:9]
keys: [{name: dhcp.example, secret_file: key}]
zones: [{name: example, file: zone, allow_transfer: [127.0.0.0/8], sign: {enabled: %v}, update: {grants: [{keys: [dhcp.example]}]}%s}]
policy: {zones: []}
`, filepath.Join(dir, "state"), signed, more),
	})
	return filepath.Join(dir, "cenote.yaml")
}

// TestUpdatesOutliveAKill has nsupdate change a zone while the server is killed, again and again: what was confirmed is there afterwards, in one piece, and the
// serial never goes back.
func TestUpdatesOutliveAKill(t *testing.T) {
	config := updatedConfig(t, false, "")
	serial, rounds := uint32(5), 3
	var confirmed []string
	for round := range rounds {
		p := startProcess(t, config)
		addr := p.addr()
		for _, name := range confirmed {
			if got := answersOf(t, addr, name, dns.TypeA); len(got) != 1 || len(answersOf(t, addr, name, dns.TypeTXT)) != 1 {
				t.Fatalf("round %d: %s was confirmed, and now has %v", round, name, got)
			}
		}
		now := serialOf(addr)
		if now < serial {
			t.Fatalf("round %d: the serial was %d, and is %d", round, serial, now)
		}
		for n := range 10 {
			name := fmt.Sprintf("h%d-%d.example.", round, n)
			script := fmt.Sprintf("update add %s 60 A 192.0.2.%d\nupdate add %s 60 TXT x", name, n, name)
			if n == 9 {
				go func() { _ = p.cmd.Process.Kill() }() // while it is on its way
			}
			out, err := nsupdate(t, addr, script, "-v")
			if n < 9 && err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			if err == nil {
				confirmed = append(confirmed, name)
			}
		}
		serial = now + 9
		<-p.ended
	}
	if len(confirmed) < rounds*9 {
		t.Errorf("%d updates were confirmed", len(confirmed))
	}
}

// answersOf is what a server answers.
func answersOf(t *testing.T, server netip.AddrPort, name string, qtype uint16) []dns.RR {
	t.Helper()
	m := new(dns.Msg)
	m.SetQuestion(name, qtype)
	r, _, err := (&dns.Client{Timeout: patience}).Exchange(m, server.String())
	if err != nil {
		t.Fatal(err)
	}
	return r.Answer
}

// TestUpdatedZonesAreSigned has nsupdate change a zone that is signed here: the change is served with signatures that fit, which a validator of others judges.
func TestUpdatedZonesAreSigned(t *testing.T) {
	verify := program(t, "ldns-verify-zone")
	config := updatedConfig(t, true, "")
	addr := startProcess(t, config).addr()
	for n := range 3 {
		before := serialOf(addr)
		if out, err := nsupdate(t, addr, fmt.Sprintf("prereq nxdomain n%d.example\nupdate add n%d.example 60 A 192.0.2.9\nupdate delete www.example", n, n)); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		if after := serialOf(addr); after <= before {
			t.Errorf("the serial was %d, and is %d", before, after)
		}
		lines, err := asProcess(t, "zones", "dump", "example", "--signed", "--config", config).Output()
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(lines), fmt.Sprintf("n%d.example.\t60\tIN\tRRSIG\tA ", n)) || strings.Contains(string(lines), "www.example.") {
			t.Errorf("the zone is\n%s", lines)
		}
		cmd := exec.Command(verify)
		cmd.Stdin = bytes.NewReader(lines)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("ldns-verify-zone: %v\n%s\n%s", err, out, lines)
		}
	}
	if out, err := nsupdate(t, addr, "prereq nxdomain n0.example\nupdate add x.example 60 A 192.0.2.9"); err == nil || !strings.Contains(out, "YXDOMAIN") {
		t.Errorf("an update whose prerequisite is not met: %v, %s", err, out)
	}
	if out, err := nsupdate(t, addr, "update add n0.example 60 DNSKEY 257 3 13 AAAA"); err == nil || !strings.Contains(out, "REFUSED") {
		t.Errorf("a key from outside: %v, %s", err, out)
	}
}

// TestUpdatesReachSecondaries has named take a zone that nsupdate changes: it is told, takes each change as a difference, and has the same records.
func TestUpdatesReachSecondaries(t *testing.T) {
	named, port := secondaries["named"], dnstest.FreePort(t).Port()
	p := startProcess(t, updatedConfig(t, false, fmt.Sprintf(", notify: ['127.0.0.1:%d']", port)))
	addr, home := p.addr(), t.TempDir()
	writeAll(t, home, map[string]string{"conf": fmt.Sprintf(named.text, home, port, addr.Port(), "", named.without)})
	theirs := startPeer(t, port, append(append([]string{program(t, named.program)}, named.args...), filepath.Join(home, "conf"))...)
	p.until("named has the zone", func() bool { return serialOf(theirs) == 5 })
	for n := range 5 {
		script := fmt.Sprintf("update delete n%d.example\nupdate add n%d.example 60 MX 10 Mail.example\nupdate add n%d.example %d A 192.0.2.9", n-2, n, n, 60+n)
		if out, err := nsupdate(t, addr, script); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		p.until("named has the change", func() bool { return serialOf(theirs) == uint32(6+n) })
		if got, want := whole(theirs, "example.", false), whole(addr, "example.", false); got != want {
			t.Fatalf("named has other records:\n%s", cmp.Diff(want, got))
		}
	}
	p.until("the changes were sent as such", func() bool { return strings.Count(p.said(), "whole=false") >= 5 })
}
