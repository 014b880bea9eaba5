package resolver_test

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"cenote/dnstest"

	"github.com/miekg/dns"
)

const unboundConfig = `
server:
	interface: %s
	do-daemonize: no
	chroot: ""
	username: ""
	directory: %q
	pidfile: ""
	use-syslog: no
	logfile: ""
	port: %d
	outgoing-port-avoid: %q
	module-config: "iterator"
	do-not-query-localhost: no
	local-zone: "example." static
	local-data: "example. 60 IN SOA ns.example. host.example. 1 2 3 4 60"
	local-data: "www.example. 300 IN A 192.0.2.1"
	local-data: "mail.example. 300 IN MX 5 www.example."
	local-data: "_sip._udp.example. 300 IN SRV 1 2 3 www.example."
	%s
remote-control:
	control-enable: no
`

// startUnbound runs unbound on loopback until the test ends.
func startUnbound(t *testing.T) netip.AddrPort {
	t.Helper()
	dir := t.TempDir()
	var big string
	for i := range 200 {
		big += fmt.Sprintf("local-data: \"big.example. 300 IN A 198.51.100.%d\"\n\t", i)
	}
	addr := dnstest.FreePort(t)
	file := filepath.Join(dir, "unbound.conf")
	text := fmt.Sprintf(unboundConfig, addr.Addr(), dir, addr.Port(), dnstest.PeerPorts, big)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	dnstest.StartPeer(t, func() bool {
		reply, err := dns.Exchange(new(dns.Msg).SetQuestion("www.example.", dns.TypeA), addr.String())
		return err == nil && len(reply.Answer) == 1
	}, dnstest.Program(t, "unbound"), "-d", "-c", file)
	return addr
}

func TestUnboundAsUpstream(t *testing.T) {
	f := start(t, nil, startUnbound(t))
	f.want("www.example", dns.TypeA, "NOERROR A:192.0.2.1")
	f.want("mail.example", dns.TypeMX, "NOERROR MX:5")
	f.want("_sip._udp.example", dns.TypeSRV, "NOERROR SRV:1")
	f.want("www.example", dns.TypeAAAA, "NOERROR SOA:ns.example.")
	f.want("absent.example", dns.TypeA, "NXDOMAIN SOA:ns.example.")
	k := keyOf("big.example", dns.TypeA)
	result, err := f.Resolve(t.Context(), k, nil)
	if err != nil {
		t.Fatal(err)
	}
	m := new(dns.Msg)
	if err := m.Unpack(result.Msg); err != nil || len(m.Answer) != 200 {
		t.Errorf("a large answer has %d records (%v), want 200", len(m.Answer), err)
	}
	s := f.Status()[0]
	if !s.KeepsCase || !s.EDNS || s.Counts.NearMisses != 0 || s.Counts.TCP != 1 || s.Counts.Rejected != 0 {
		t.Errorf("status %+v, want a good upstream that was asked by TCP once", s)
	}
}
