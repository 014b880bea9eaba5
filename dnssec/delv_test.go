package dnssec_test

import (
	"fmt"
	"math/rand"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"cenote/dnsname"
	"cenote/dnssec"
	"cenote/dnstest"

	"github.com/miekg/dns"
)

// TestPeerJudgesReplies holds that BIND's validator comes to the same verdict, on true replies and on lies. It has the time of the machine.
func TestPeerJudgesReplies(t *testing.T) {
	dnstest.Program(t, "delv")
	key := ecSigner(t, "example.", 257)
	key.life = [2]time.Time{minTime(noon, time.Now()).Add(-day), maxTime(noon, time.Now()).Add(day)}
	seen := map[string]int{}
	for seed := range cases(t, 2) {
		for _, kind := range worldKinds() {
			r := rand.New(rand.NewSource(int64(seed)))
			lines := randomLines(r)
			w := newWorld(t, key, "example.", kind, lines)
			p := startPeer(t, w)
			f := newForger(t, r, w)
			for i := range 10 {
				q, qtype := randomQuestion(r, w.apex)
				reply, ok := w.honest(q, qtype)
				if i%2 == 1 {
					reply, ok = f.plausible(q, qtype), true
				}
				if !ok || q == w.apex { // nobody asks a zone for the DS set of its own apex
					continue
				}
				ours := w.judge(q, qtype, reply)
				theirs, said := p.judge(q, qtype, reply)
				seen[fmt.Sprint(ours.Status)]++
				if ours.Status != theirs && !w.agreed(q, ours.Status, theirs) {
					t.Errorf("seed %d, %v:\n%s\n%s %d: %v is %v here, and %v for delv:\n%s; proofs:%s",
						seed, kind, lines, text(q), qtype, reply.claim(qtype), ours, theirs, said, w.show(reply.proofs))
				}
			}
		}
	}
	if seen["secure"] == 0 || seen["bogus"] == 0 {
		t.Errorf("the verdicts were %v; the test is too easy", seen)
	}
}

func minTime(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func maxTime(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// agreed reports whether a difference is one that both mean. Under opt-out BIND calls secure what RFC 5155 section 9.2 does not let us, and where
// a reply is not proved, it asks on and finds that the name may be unsigned, as a resolver on top of us does.
func (w *world) agreed(q dnsname.Name, ours, theirs dnssec.Status) bool {
	switch {
	case ours == dnssec.Insecure && theirs == dnssec.Secure:
		return w.optOut
	case ours == dnssec.Bogus && theirs == dnssec.Insecure:
		at, how := w.above(q)
		return w.leftOpen(q) || how == "cut" && w.sets[at][dns.TypeDS] == nil
	}
	return false
}

// plausible is a lie that a server could send: it is well formed, and its records are of the zone.
func (f *forger) plausible(q dnsname.Name, qtype uint16) reply {
	if r, ok := f.w.honest(q, qtype); ok && f.r.Intn(2) == 0 {
		return f.change(r)
	}
	return reply{nx: f.r.Intn(2) == 0, proofs: f.w.chain[:min(len(f.w.chain), f.r.Intn(6))]}
}

// peer is delv beside a server that says what it is told.
type peer struct {
	t     *testing.T
	w     *world
	addr  string
	trust string

	mu    sync.Mutex
	q     dnsname.Name
	qtype uint16
	reply reply
}

func startPeer(t *testing.T, w *world) *peer {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &peer{t: t, w: w, addr: conn.LocalAddr().String(), trust: filepath.Join(t.TempDir(), "trust")}
	anchor := fmt.Sprintf("trust-anchors { \"example.\" static-key 257 3 %d \"%s\"; };\n", w.key.key.Algorithm, w.key.key.PublicKey)
	if err := os.WriteFile(p.trust, []byte(anchor), 0o600); err != nil {
		t.Fatal(err)
	}
	server := &dns.Server{PacketConn: conn, Handler: p}
	done := make(chan struct{})
	go func() { defer close(done); _ = server.ActivateAndServe() }()
	t.Cleanup(func() { _ = conn.Close(); <-done })
	return p
}

// ServeDNS answers the question of the moment as it was told, and every other one with the truth.
func (p *peer) ServeDNS(rw dns.ResponseWriter, m *dns.Msg) {
	if len(m.Question) != 1 {
		return
	}
	out := new(dns.Msg)
	out.SetReply(m)
	out.Authoritative = true
	out.SetEdns0(4096, true)
	p.mu.Lock()
	defer p.mu.Unlock()
	q, qtype := dnsname.Name(name(m.Question[0].Name)), m.Question[0].Qtype
	said, ok := p.reply, q == p.q && qtype == p.qtype
	inZone := q == p.w.apex || q.IsBelow(p.w.apex)
	if !ok && inZone {
		said, ok = p.w.honest(q, qtype)
	}
	switch {
	case ok:
		p.write(out, said)
	case inZone:
		out.Rcode = dns.RcodeServerFailure
	default: // where an alias leads, which is not what is judged
		out.Rcode = dns.RcodeNameError
		out.Ns = []dns.RR{&dns.SOA{Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeSOA, Class: dns.ClassINET, Ttl: 300}, Ns: ".", Mbox: ".", Minttl: 300}}
	}
	_ = rw.WriteMsg(out)
}

func (p *peer) write(out *dns.Msg, said reply) {
	if said.answer != nil {
		out.Answer = p.records(said.answer)
	} else {
		out.Ns = p.records(p.w.signed[p.w.apex][dns.TypeSOA])
	}
	if said.nx && said.answer == nil {
		out.Rcode = dns.RcodeNameError
	}
	for _, s := range said.proofs {
		out.Ns = append(out.Ns, p.records(s)...)
	}
}

func (p *peer) records(s *dnssec.Set) []dns.RR {
	var out []dns.RR
	for i, r := range append(append([][]byte(nil), s.RData...), s.Sigs...) {
		rtype := s.Type
		if i >= len(s.RData) {
			rtype = dns.TypeRRSIG
		}
		if rr, err := unpackRecord(s, rtype, r); err == nil {
			out = append(out, rr)
		}
	}
	return out
}

// judge asks delv.
func (p *peer) judge(q dnsname.Name, qtype uint16, said reply) (dnssec.Status, string) {
	p.t.Helper()
	p.mu.Lock()
	p.q, p.qtype, p.reply = q, qtype, said
	p.mu.Unlock()
	host, port, _ := net.SplitHostPort(p.addr)
	var out []byte
	for range 5 { // a loaded machine may be too slow for its patience
		out, _ = exec.Command("delv", "@"+host, "-p", port, "-a", p.trust, "+root=example.", text(q), dns.TypeToString[qtype]).CombinedOutput()
		if !strings.Contains(string(out), "timed out") {
			break
		}
	}
	switch s := string(out); {
	case strings.Contains(s, "timed out"):
		p.t.Fatalf("%s %d: delv says\n%s", text(q), qtype, s)
		return 0, ""
	case strings.Contains(s, "fully validated"):
		return dnssec.Secure, s
	case strings.Contains(s, "unsigned answer"):
		return dnssec.Insecure, s
	case strings.Contains(s, "resolution failed"):
		return dnssec.Bogus, s
	default:
		p.t.Fatalf("delv says\n%s", s)
		return 0, ""
	}
}
