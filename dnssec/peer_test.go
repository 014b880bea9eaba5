package dnssec_test

import (
	"fmt"
	"math/rand"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cenote/dnsname"
	"cenote/dnssec"
	"cenote/dnstest"

	"github.com/miekg/dns"
)

// TestPeerSignsZones holds that what BIND's tools sign is Secure, set by set, and that its chains prove what they should.
func TestPeerSignsZones(t *testing.T) {
	for _, name := range []string{"dnssec-keygen", "dnssec-signzone"} {
		dnstest.Program(t, name)
	}
	const lines = `a 300 IN A 192.0.2.1
Mixed.Case 300 IN MX 10 Mail.Example.
b.b 300 IN NS ns.b.b
ns.b.b 300 IN A 192.0.2.2
d.c 300 IN NS ns.test.
d.c 300 IN DS 1 13 2 0000000000000000000000000000000000000000000000000000000000000000
*.d 300 IN TXT "wild"
e 300 IN DNAME target.test.
`
	for _, tc := range []struct {
		algorithm string
		kind      worldKind
	}{
		{"ECDSAP256SHA256", worldKind{}},
		{"ECDSAP384SHA384", worldKind{nsec3: true}},
		{"ED25519", worldKind{nsec3: true, salt: "aabb", rounds: 5}},
		{"RSASHA256", worldKind{nsec3: true, optOut: true}},
		{"ED448", worldKind{}},
	} {
		t.Run(tc.algorithm+" "+tc.kind.String(), func(t *testing.T) {
			w := newWorld(t, ecSigner(t, "example.", 257), "example.", tc.kind, lines)
			w.readSigned(t, signZone(t, tc.algorithm, tc.kind, lines))
			for n, sets := range w.signed {
				for rtype, s := range sets {
					if got := w.zone.Check(s, noon, dnssec.NewWork()); got.Status != dnssec.Secure || got.Wildcard {
						t.Errorf("%s %d: %v", text(n), rtype, got.Verdict)
					}
				}
			}
			r := rand.New(rand.NewSource(1))
			for range 300 {
				q, qtype := randomQuestion(r, w.apex)
				reply, ok := w.honest(q, qtype)
				if !ok || q == w.apex && qtype == dns.TypeDS || w.unprovable(q) {
					continue
				}
				if got := w.judge(q, qtype, reply); got.Status != dnssec.Secure && !(got.Status == dnssec.Insecure && w.optOut && !w.inChainAs(q)) {
					t.Errorf("%s %d (%v): %v%s", text(q), qtype, reply.claim(qtype), got, w.show(reply.proofs))
				}
			}
		})
	}
}

// signZone has BIND's tools sign a zone and returns all records.
func signZone(t *testing.T, algorithm string, kind worldKind, lines string) []dns.RR {
	t.Helper()
	dir := t.TempDir()
	run := func(program string, args ...string) {
		t.Helper()
		c := exec.Command(program, args...)
		c.Dir = dir
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", program, err, out)
		}
	}
	zone := "$ORIGIN example.\n@ 300 IN SOA ns root 1 2 3 4 300\n@ 300 IN NS ns.outside.test.\n" + lines
	if err := os.WriteFile(filepath.Join(dir, "zone"), []byte(zone), 0o600); err != nil {
		t.Fatal(err)
	}
	run("dnssec-keygen", "-q", "-a", algorithm, "-b", "2048", "-P", "20260101", "-A", "20260101", "-f", "KSK", "example.")
	run("dnssec-keygen", "-q", "-a", algorithm, "-b", "2048", "-P", "20260101", "-A", "20260101", "example.")
	args := []string{"-q", "-P", "-S", "-o", "example.", "-s", "20260520000000", "-e", "20260620000000", "-f", "signed"}
	if kind.nsec3 {
		salt := kind.salt
		if salt == "" {
			salt = "-"
		}
		args = append(args, "-3", salt, "-H", fmt.Sprint(kind.rounds))
	}
	if kind.optOut {
		args = append(args, "-A")
	}
	run("dnssec-signzone", append(args, "zone")...)
	signed, err := os.ReadFile(filepath.Join(dir, "signed"))
	if err != nil {
		t.Fatal(err)
	}
	var out []dns.RR
	z := dns.NewZoneParser(strings.NewReader(string(signed)), "example.", "")
	for rr, ok := z.Next(); ok; rr, ok = z.Next() {
		out = append(out, rr)
	}
	if z.Err() != nil {
		t.Fatal(z.Err())
	}
	return out
}

// readSigned puts what somebody else has signed in the place of the world's own signatures and chain.
func (w *world) readSigned(t *testing.T, rrs []dns.RR) {
	t.Helper()
	w.signed, w.chain = map[dnsname.Name]map[uint16]*dnssec.Set{}, nil
	var keys *dnssec.Set
	var ds [][]byte
	for _, s := range setsOf(t, rrs) {
		n := dnsname.Name(s.Name)
		switch {
		case s.Type == dns.TypeNSEC || s.Type == dns.TypeNSEC3:
			w.chain = append(w.chain, s)
		case len(s.Sigs) > 0:
			if w.signed[n] == nil {
				w.signed[n] = map[uint16]*dnssec.Set{}
			}
			w.signed[n][s.Type] = s
		case w.authoritative(n, s.Type):
			t.Errorf("%s %d is not signed", text(n), s.Type)
		}
		if s.Type == dns.TypeDNSKEY {
			keys = s
		}
	}
	for _, rr := range rrs {
		if k, ok := rr.(*dns.DNSKEY); ok && k.Flags == 257 {
			ds = append(ds, rdata(t, k.ToDS(dns.SHA384)))
		}
	}
	if !slices.IsSortedFunc(w.chain, func(a, b *dnssec.Set) int { return dnsname.Compare(dnsname.Name(a.Name), dnsname.Name(b.Name)) }) {
		t.Fatal("the chain is not in order")
	}
	var v dnssec.Verdict
	if w.zone, v = dnssec.Trust([]byte(w.apex), ds, keys, noon, dnssec.NewWork()); v.Status != dnssec.Secure {
		t.Fatalf("the zone is %v", v)
	}
}
