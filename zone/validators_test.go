package zone_test

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"cenote/dnsname"
	"cenote/dnstest"
	"cenote/zone"

	"github.com/miekg/dns"
)

// TestValidatorsTakeSignedZones has unbound and delv validate what is answered from zones that are signed here. Both have the time of the machine.
func TestValidatorsTakeSignedZones(t *testing.T) {
	for name, way := range ways() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := beginSigning(t, "example", t.TempDir(), way)
			signed, _ := sign(t, s, load(t, "example", forSigning), nil, time.Now())
			addr := serveZone(t, signedSet(t, s, signed))
			i := slices.IndexFunc(s.Keys(time.Now()), func(k zone.KeyStatus) bool { return k.DS != "" })
			key := s.Keys(time.Now())[i]
			unbound := startValidator(t, addr, key.DS)
			random := rand.New(rand.NewPCG(3, 4))
			asked, open := 0, 0
			for _, q := range questions(random, signed, 150) {
				if leavesZone(q.Name) || q.Name == "example" && q.Qtype == dns.TypeDS { // that is for the zone above
					continue
				}
				asked++
				m := peerAnswer(unbound, dns.Fqdn(q.Name), q.Qtype, true)
				if m != nil && m.Rcode != dns.RcodeServerFailure && !m.AuthenticatedData && way.OptOut && len(m.Answer) == 0 {
					open++
					continue
				}
				if m == nil || m.Rcode == dns.RcodeServerFailure || !m.AuthenticatedData {
					t.Fatalf("%s %s: unbound does not find it secure:\n%v", q.Name, dns.TypeToString[q.Qtype], m)
				}
				if asked%20 == 0 {
					askDelv(t, addr, key.DNSKEY, q)
				}
			}
			if asked-open < 40 {
				t.Errorf("only %d questions, and %d of them cannot be proved", asked, open)
			}
		})
	}
}

// leavesZone reports whether an answer is not the zone's alone: cuts, aliases that lead away or in a circle.
func leavesZone(name string) bool {
	for _, part := range []string{"sub", "side", "signed", "off", "loop", "loop2", "away", "old", "gone"} {
		if name == part+".example" || strings.HasSuffix(name, "."+part+".example") {
			return true
		}
	}
	return false
}

// serveZone answers from a set on loopback until the test ends.
func serveZone(t *testing.T, set *zone.Set) netip.AddrPort {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	started := make(chan struct{})
	server := &dns.Server{PacketConn: conn, NotifyStartedFunc: func() { close(started) }, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, m *dns.Msg) {
		q := zone.Question{Name: []byte(dnsname.MustParse(strings.TrimSuffix(m.Question[0].Name, ".")).Canonical()), Type: m.Question[0].Qtype,
			DO: m.IsEdns0() != nil && m.IsEdns0().Do(), Limit: 4096, Admitted: true, Room: new([dnsname.WireMax]byte)}
		out := new(dns.Msg)
		if a := set.Answer(make([]byte, 0, 4096), &q); a.Msg == nil || out.Unpack(a.Msg) != nil {
			out.Rcode = dns.RcodeRefused
		}
		out.Id, out.Question, out.RecursionDesired, out.Response = m.Id, m.Question, m.RecursionDesired, true
		if m.IsEdns0() != nil {
			out.SetEdns0(4096, q.DO)
		}
		_ = w.WriteMsg(out)
	})}
	go func() { _ = server.ActivateAndServe() }()
	<-started
	t.Cleanup(func() { _ = server.Shutdown() })
	return netip.MustParseAddrPort(conn.LocalAddr().String())
}

// startValidator runs unbound on loopback until the test ends. It asks one server for the zone, and trusts one DS record.
func startValidator(t *testing.T, server netip.AddrPort, ds string) netip.AddrPort {
	t.Helper()
	dir, addr := t.TempDir(), dnstest.FreePort(t)
	conf := filepath.Join(dir, "unbound.conf")
	write(t, conf, fmt.Sprintf(`server:
	interface: %s@%d
	outgoing-port-avoid: %q
	do-not-query-localhost: no
	do-daemonize: no
	use-syslog: no
	username: ""
	chroot: ""
	pidfile: ""
	directory: %q
	module-config: "validator iterator"
	do-ip6: no
	harden-algo-downgrade: yes
	aggressive-nsec: no
	trust-anchor: %q
stub-zone:
	name: "example"
	stub-addr: %s@%d
remote-control:
	control-enable: no
`, addr.Addr(), addr.Port(), dnstest.PeerPorts, dir, ds, server.Addr(), server.Port()))
	startPeer(t, addr, program(t, "unbound"), "-d", "-c", conf)
	return addr
}

// askDelv has BIND's validator judge one answer.
func askDelv(t *testing.T, server netip.AddrPort, dnskey string, q dns.Question) {
	t.Helper()
	words := strings.Fields(dnskey) // owner, TTL, class, type, flags, protocol, algorithm, key
	anchors := filepath.Join(t.TempDir(), "anchors")
	write(t, anchors, fmt.Sprintf("trust-anchors { \"example.\" static-key %s %s %s \"%s\"; };\n", words[4], words[5], words[6], words[7]))
	var out []byte
	var err error
	for range 5 { // a loaded machine may be too slow for its patience
		out, err = exec.Command(program(t, "delv"), "@"+server.Addr().String(), "-p", fmt.Sprint(server.Port()), "-a", anchors, "+root=example", q.Name, dns.TypeToString[q.Qtype]).CombinedOutput()
		if !strings.Contains(string(out), "timed out") {
			break
		}
	}
	if text := string(out); err != nil || !strings.Contains(text, "fully validated") || strings.Contains(text, "unsigned answer") {
		t.Errorf("%s %s: delv says %v\n%s", q.Name, dns.TypeToString[q.Qtype], err, text)
	}
}
