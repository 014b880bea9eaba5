package main

import (
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
	"github.com/miekg/dns"
	"github.com/prometheus/client_golang/prometheus"
)

// editedZone is a zone that is edited at random.
type editedZone struct {
	r       *rand.Rand
	serial  uint32
	records map[string]bool // lines of the file
}

func newEditedZone(seed uint64) *editedZone {
	z := &editedZone{r: rand.New(rand.NewPCG(seed, 9)), serial: 4294967290, records: map[string]bool{}} // which goes round on the way
	for range 300 {
		z.records[z.line()] = true
	}
	return z
}

// line is a random record. Of one name and type all have one TTL.
func (z *editedZone) line() string {
	name := fmt.Sprintf("n%d", z.r.IntN(120))
	if z.r.IntN(4) == 0 {
		name += fmt.Sprintf(".deep%d.down", z.r.IntN(9))
	}
	switch z.r.IntN(8) {
	case 0:
		return name + " 600 AAAA 2001:db8::" + fmt.Sprint(z.r.IntN(9))
	case 1:
		return name + " 700 MX " + fmt.Sprint(z.r.IntN(50)) + " mail." + name
	case 2:
		return name + ` 800 TXT "` + strings.Repeat("x", z.r.IntN(200)) + `" "` + fmt.Sprint(z.r.IntN(99)) + `"`
	case 3:
		return "w" + name + " 900 CNAME Target" + fmt.Sprint(z.r.IntN(2)) + ".Far.test."
	case 4:
		return "s" + name + " 300 SRV 1 2 " + fmt.Sprint(z.r.IntN(60000)) + " ns"
	case 5:
		return "*." + name + ` 120 TYPE65400 \# 2 ` + fmt.Sprintf("%04x", z.r.IntN(65536))
	}
	return name + " 300 A 192.0.2." + fmt.Sprint(z.r.IntN(250))
}

func (z *editedZone) at() uint32 { return z.serial }

// edit takes some records away and puts others in.
func (z *editedZone) edit() {
	z.serial++
	if z.serial == 0 {
		z.serial = 1
	}
	all := make([]string, 0, len(z.records))
	for line := range z.records {
		all = append(all, line)
	}
	slices.Sort(all)
	for range 1 + z.r.IntN(12) {
		delete(z.records, all[z.r.IntN(len(all))])
		z.records[z.line()] = true
	}
}

// write puts the zone's file in place.
func (z *editedZone) write(t *testing.T, path string) {
	t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "$TTL 300\n@ SOA ns host %d 7200 3600 1209600 60\n@ NS ns\nns A 192.0.2.1\n", z.serial)
	aliases := map[string]bool{}
	for line := range z.records {
		if owner, rest, _ := strings.Cut(line, " "); strings.Contains(rest, " CNAME ") {
			if aliases[owner] {
				delete(z.records, line) // a name has one
				continue
			}
			aliases[owner] = true
		}
		b.WriteString(line + "\n")
	}
	if err := os.WriteFile(path+".new", []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// whole is a zone as a server gives it away, record by record, or why it does not. The request is signed by transfer.test if signed is set.
func whole(server netip.AddrPort, apex string, signed bool) string {
	m := new(dns.Msg)
	m.SetAxfr(apex)
	transfer := &dns.Transfer{DialTimeout: patience, ReadTimeout: patience}
	if signed {
		transfer.TsigSecret = map[string]string{"transfer.test.": transferSecret}
		m.SetTsig("transfer.test.", dns.HmacSHA256, 300, time.Now().Unix())
	}
	stream, err := transfer.In(m, server.String())
	if err != nil {
		return err.Error()
	}
	var lines []string
	for e := range stream {
		if e.Error != nil {
			return e.Error.Error()
		}
		for _, rr := range e.RR {
			lines = append(lines, strings.ToLower(rr.String())) // knot keeps names in data in lower case
		}
	}
	slices.Sort(lines)
	return strings.Join(slices.Compact(lines), "\n") + "\n"
}

// wholeFile is the zone of a file as whole shows that of a server.
func wholeFile(t *testing.T, path, apex string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	p := dns.NewZoneParser(strings.NewReader(string(text)), apex, path)
	for rr, ok := p.Next(); ok; rr, ok = p.Next() {
		lines = append(lines, strings.ToLower(rr.String()))
	}
	if p.Err() != nil {
		t.Fatal(p.Err())
	}
	slices.Sort(lines)
	return strings.Join(slices.Compact(lines), "\n") + "\n"
}

// serialOf is the serial that a server has of the zone; 0 if it does not say.
func serialOf(server netip.AddrPort) uint32 {
	m := new(dns.Msg)
	m.SetQuestion("example.", dns.TypeSOA)
	r, _, err := (&dns.Client{Timeout: again}).Exchange(m, server.String())
	if err != nil || len(r.Answer) == 0 {
		return 0
	}
	soa, _ := r.Answer[0].(*dns.SOA)
	if soa == nil {
		return 0
	}
	return soa.Serial
}

// transferSecret is that of the key transfer.test.
const transferSecret = "c2VjcmV0IG9mIGEga2V5IGZvciB0cmFuc2ZlcnMgLi4="

// secondaries are how the peers are told to take the zone from a primary at a port of 127.0.0.1: their program, its arguments, and the text of its file.
var secondaries = map[string]struct {
	program string
	args    []string
	text    string
	// How a key is described there, and named, and what stands in place of that without one.
	key, with, without string
}{
	"named": {"named", []string{"-g", "-n", "1", "-c"}, `
controls { };
options { directory %[1]q; listen-on port %[2]d { 127.0.0.1; }; listen-on-v6 { none; }; pid-file none; session-keyfile none; recursion no; notify no;
 allow-transfer { any; }; dnssec-validation no; empty-zones-enable no; };
%[4]s
zone "example" { type secondary; primaries { 127.0.0.1 port %[3]d %[5]s; }; file "example.copy"; };
`, `key "transfer.test" { algorithm hmac-sha256; secret "` + transferSecret + `"; };`, `key "transfer.test"`, ""},
	"nsd": {"nsd", []string{"-d", "-c"}, `server:
 ip-address: 127.0.0.1@%[2]d
 server-count: 1
 username: ""
 zonesdir: %[1]q
 database: ""
 pidfile: "%[1]s/pid"
 xfrdfile: ""
 zonelistfile: ""
 xfrdir: %[1]q
remote-control:
 control-enable: no
%[4]s
zone:
 name: example
 zonefile: "example.copy"
 request-xfr: 127.0.0.1@%[3]d %[5]s
 allow-notify: 127.0.0.1 %[5]s
 provide-xfr: 127.0.0.1 NOKEY
`, "key:\n name: transfer.test\n algorithm: hmac-sha256\n secret: \"" + transferSecret + "\"", "transfer.test", "NOKEY"},
	"knotd": {"knotd", []string{"-c"}, `
server:
  rundir: %[1]q
  listen: 127.0.0.1@%[2]d
database:
  storage: %[1]q
%[4]s
remote:
  - id: primary
    address: 127.0.0.1@%[3]d
    %[5]s
acl:
  - id: notify
    address: 127.0.0.1
    action: notify
    %[5]s
  - id: out
    address: 127.0.0.1
    action: transfer
zone:
  - domain: example
    storage: %[1]q
    master: primary
    acl: [notify, out]
`, "key:\n  - id: transfer.test\n    algorithm: hmac-sha256\n    secret: " + transferSecret, "key: transfer.test", ""},
}

// TestSecondariesFollow holds that named, nsd and knot, which take a zone from us, have the same records as its file after each edit, and that all but the
// first were sent as changes. In all some 200 records at least are replaced by others; with CENOTE_LONG=1 that many times some are.
func TestSecondariesFollow(t *testing.T) { secondariesFollow(t, false, sized(4, 200)) }

// TestSecondariesFollowByKey does the same where requests are signed.
func TestSecondariesFollowByKey(t *testing.T) { secondariesFollow(t, true, sized(4, 200)) }

func secondariesFollow(t *testing.T, signed bool, edits int) {
	dir := t.TempDir()
	path := filepath.Join(dir, "example")
	ports, notify := map[string]uint16{}, []string{}
	for name := range secondaries {
		program(t, secondaries[name].program)
		ports[name] = dnstest.FreePort(t).Port()
		told := fmt.Sprintf("address: '127.0.0.1:%d'", ports[name])
		if signed {
			told += ", key: transfer.test"
		}
		notify = append(notify, "{"+told+"}")
	}
	more := ""
	if signed {
		more = ", transfer_keys: [transfer.test]"
	}
	if err := os.WriteFile(filepath.Join(dir, "secret"), []byte(transferSecret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	z := newEditedZone(1)
	z.write(t, path)
	s := startServer(t, dir, fmt.Sprintf(`
state: %[1]s/state
listen: [{address: 127.0.0.1:0}]
upstreams: ['127.0.0.1:9']
rate_limit: {enabled: false}
keys: [{name: transfer.test, secret_file: %[1]s/secret}]
zones: [{name: example, file: %[1]s/example, allow_transfer: [127.0.0.1/32], notify: [%[2]s]%[3]s}]
`, dir, strings.Join(notify, ", "), more))
	peers := map[string]netip.AddrPort{}
	for name, port := range ports {
		home, by := t.TempDir(), secondaries[name].without
		if signed {
			by = secondaries[name].with
		}
		conf := filepath.Join(home, "conf")
		if err := os.WriteFile(conf, fmt.Appendf(nil, secondaries[name].text, home, port, s.addr().Port(), secondaries[name].key, by), 0o644); err != nil {
			t.Fatal(err)
		}
		peers[name] = startPeer(t, port, append(append([]string{program(t, secondaries[name].program)}, secondaries[name].args...), conf)...)
	}
	for n := range edits + 1 {
		if n > 0 {
			for range sized(8, 1) {
				z.edit()
			}
			z.write(t, path)
			if kept, err := s.reloadZones(reloadScope{}, false); err != nil || len(kept) > 0 {
				t.Fatal(kept, err)
			}
		}
		want := wholeFile(t, path, "example.")
		for name, peer := range peers {
			for deadline := time.Now().Add(within); serialOf(peer) != z.serial; time.Sleep(2 * time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatalf("edit %d: %s has serial %d, want %d", n, name, serialOf(peer), z.serial)
				}
			}
			// nsd still gives the version before away for a moment, by a process that is about to end
			awaitNone(t, fmt.Sprint("edit ", n, ": ", name, " has other records"), func() string { return cmp.Diff(want, whole(peer, "example.", false)) })
		}
	}
	if whole, changes := s.transfers(t, "whole"), s.transfers(t, "changes"); whole != float64(len(peers)) || changes < float64(len(peers)*edits) {
		t.Errorf("%v zones were sent whole, and %v times what had changed, in %d edits for %d secondaries", whole, changes, edits, len(peers))
	}
}

// transfers is how many transfers came to an outcome.
func (r *running) transfers(t *testing.T, outcome string) float64 {
	t.Helper()
	return labelled(t, r.dns.Collector(), "cenote_dnsserver_transfers_total", outcome)
}

// labelled is a counter or a gauge with a value among its labels, or "" for one that has none.
func labelled(t *testing.T, c prometheus.Collector, name, label string) float64 {
	t.Helper()
	registry := prometheus.NewRegistry()
	registry.MustRegister(c)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == name && label == "" && len(m.GetLabel()) == 0 {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue() // one of which there is
			}
			for _, l := range m.GetLabel() {
				if f.GetName() == name && l.GetValue() == label {
					return m.GetCounter().GetValue()
				}
			}
		}
	}
	t.Fatalf("%s has no %s", name, label)
	return 0
}
