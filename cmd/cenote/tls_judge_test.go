package main

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cenote/dnstest"

	"github.com/miekg/dns"
)

// tlsServer is a server that serves TLS beside the rest, and hands a zone to whoever comes so.
type tlsServer struct {
	*running
	zone *editedZone
	file string
	cert string
	port uint16 // of TLS
}

func startTLSServer(t *testing.T, more string) *tlsServer {
	t.Helper()
	dir := t.TempDir()
	s := &tlsServer{zone: newEditedZone(4), file: filepath.Join(dir, "example"), cert: filepath.Join(dir, "cert.pem")}
	s.zone.write(t, s.file)
	dnstest.WriteCertificate(t, "dns.test", s.cert, filepath.Join(dir, "key.pem"))
	up := dnstest.Start(t, "www.example.org. 300 A 192.0.2.99\n")
	s.running = startServer(t, dir, fmt.Sprintf(`
state: %[1]s/state
listen: [{address: 127.0.0.1:0}, {address: 127.0.0.1:0, tls: {cert: %[1]s/cert.pem, key: %[1]s/key.pem}}]
upstreams: ['%[2]s']
rate_limit: {enabled: false}
zones: [{name: example, file: %[1]s/example, allow_transfer: [127.0.0.1/32], require_tls: true%[3]s}]
`, dir, up.Addr(), more))
	for _, l := range s.dns.Addrs() {
		if l.TLS != nil {
			s.port = l.Addr.Port()
		}
	}
	return s
}

// TestKdigAsksByTLS holds that kdig takes answers and a zone by TLS, with the certificate checked, and no zone in the clear.
func TestKdigAsksByTLS(t *testing.T) {
	kdig := program(t, "kdig")
	s := startTLSServer(t, "")
	ask := func(args ...string) string {
		out, _ := exec.CommandContext(t.Context(), kdig, append([]string{"@127.0.0.1", "+time=20", "+retry=0"}, args...)...).CombinedOutput()
		return string(out)
	}
	checked := []string{"-p", fmt.Sprint(s.port), "+tls-ca=" + s.cert, "+tls-hostname=dns.test"}
	if text := ask(append(checked, "www.example.org")...); !strings.Contains(text, "192.0.2.99") || !strings.Contains(text, "TLS1.3") {
		t.Errorf("kdig says:\n%s", text)
	}
	if text := ask(append(checked, "example", "AXFR")...); strings.Count(text, "SOA") < 2 || !strings.Contains(text, "ns.example.") {
		t.Errorf("kdig says:\n%s", text)
	}
	if text := ask("-p", fmt.Sprint(s.addr().Port()), "example", "AXFR"); !strings.Contains(text, "REFUSED") {
		t.Errorf("in the clear kdig says:\n%s", text)
	}
	if text := ask("-p", fmt.Sprint(s.port), "+tls-ca="+s.cert, "+tls-hostname=other.test", "www.example.org"); strings.Contains(text, "192.0.2.99") {
		t.Errorf("of another name kdig says:\n%s", text)
	}
}

// TestUnboundForwardsByTLS holds that unbound, which forwards to us by TLS alone, gets what we know.
func TestUnboundForwardsByTLS(t *testing.T) {
	unbound := program(t, "unbound")
	s := startTLSServer(t, "")
	port, conf := dnstest.FreePort(t).Port(), filepath.Join(t.TempDir(), "conf")
	text := fmt.Sprintf(`
server:
  interface: 127.0.0.1
  port: %d
  outgoing-port-avoid: %q
  chroot: ""
  username: ""
  pidfile: ""
  use-syslog: no
  do-daemonize: no
  do-not-query-localhost: no
  module-config: "iterator"
  tls-cert-bundle: %q
remote-control:
  control-enable: no
forward-zone:
  name: "."
  forward-tls-upstream: yes
  forward-addr: 127.0.0.1@%d#dns.test
`, port, dnstest.PeerPorts, s.cert, s.port)
	if err := os.WriteFile(conf, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	peer := startPeer(t, port, unbound, "-d", "-c", conf)
	for i := range 20 {
		q := question{rd: true, edns: true, from: "127.0.0.1", name: []string{"www.example.org.", "ns.example.", "no.example."}[i%3], qtype: dns.TypeA, class: dns.ClassINET}
		want := []string{"192.0.2.99", "192.0.2.1", "NXDOMAIN"}[i%3]
		if got := q.exchange(peer); !strings.Contains(got, want) {
			t.Errorf("%s: %s, want %s", q.name, got, want)
		}
	}
}

// TestNamedFollowsByTLS holds that named, as a secondary that takes a zone by TLS alone, has the same records as its file after each edit.
func TestNamedFollowsByTLS(t *testing.T) {
	named := program(t, "named")
	port := dnstest.FreePort(t).Port()
	s := startTLSServer(t, fmt.Sprintf(", notify: ['127.0.0.1:%d']", port))
	home := t.TempDir()
	text := fmt.Sprintf(`
controls { };
options { directory %[1]q; listen-on port %[2]d { 127.0.0.1; }; listen-on-v6 { none; }; pid-file none; session-keyfile none; recursion no; notify no;
 allow-transfer { any; }; dnssec-validation no; empty-zones-enable no; };
tls primary { ca-file %[3]q; remote-hostname "dns.test"; };
zone "example" { type secondary; primaries { 127.0.0.1 port %[4]d tls primary; }; file "example.copy"; };
`, home, port, s.cert, s.port)
	conf := filepath.Join(home, "conf")
	if err := os.WriteFile(conf, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	peer := startPeer(t, port, named, "-g", "-n", "1", "-c", conf)
	for n := range sized(2, 50) {
		if n > 0 {
			s.zone.edit()
			s.zone.write(t, s.file)
			if kept, err := s.reloadZones(reloadScope{}, false); err != nil || len(kept) > 0 {
				t.Fatal(kept, err)
			}
		}
		awaitEdit(t, n, peer, s.zone, s.file)
	}
	if whole, changes := s.transfers(t, "whole"), s.transfers(t, "changes"); whole != 1 || changes == 0 {
		t.Errorf("the zone was sent whole %v times, and %v times what had changed", whole, changes)
	}
}

// awaitEdit waits until a secondary has the zone as it is in its file.
func awaitEdit(t *testing.T, edit int, peer netip.AddrPort, z *editedZone, file string) {
	t.Helper()
	for deadline := time.Now().Add(within); serialOf(peer) != z.serial; time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("edit %d: the secondary has serial %d, want %d", edit, serialOf(peer), z.serial)
		}
	}
	if got, want := whole(peer, "example.", false), wholeFile(t, file, "example."); got != want {
		t.Fatalf("edit %d: the secondary has other records:\n%s\nwant\n%s", edit, got, want)
	}
}
