package dnsserver_test

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"cenote/dnsname"
	"cenote/dnsserver"
	"cenote/zone"

	"github.com/miekg/dns"
)

// handed serves large.test, of some megabytes, to whoever asks from 127.0.0.0/8, and kept.test to nobody.
func handed(t testing.TB, records int) func() *zone.Set {
	t.Helper()
	var b strings.Builder
	b.WriteString("$TTL 300\n@ SOA ns host 5 7200 3600 1209600 60\n@ NS ns\nns A 192.0.2.1\n")
	for i := range records {
		fmt.Fprintf(&b, "n%d A 192.0.2.7\n", i)
	}
	read := func(name string) *zone.Zone {
		z, faults, err := zone.Read(dnsname.MustParse(name), strings.NewReader(b.String()), name, time.Now())
		if err != nil {
			t.Fatal(err, faults)
		}
		return z
	}
	near := func(a netip.Addr) bool { return a.IsLoopback() }
	set := must1(zone.NewSet(zone.Served{Zone: read("large.test"), Transfer: near}, zone.Served{Zone: read("kept.test")}))
	return func() *zone.Set { return set }
}

// putTransfer sends a request for a zone; with a serial, for what has changed since.
func putTransfer(t testing.TB, conn net.Conn, id uint16, name string, qtype uint16, serial uint32) {
	t.Helper()
	m := query(name, qtype)
	m.Id = id
	if qtype == dns.TypeIXFR {
		m.Ns = []dns.RR{&dns.SOA{Hdr: dns.RR_Header{Name: m.Question[0].Name, Rrtype: dns.TypeSOA, Class: 1}, Ns: m.Question[0].Name, Mbox: m.Question[0].Name, Serial: serial}}
	}
	packed, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	if _, isTCP := conn.(*net.TCPConn); isTCP {
		packed = append(binary.BigEndian.AppendUint16(nil, uint16(len(packed))), packed...)
	}
	if _, err := conn.Write(packed); err != nil {
		t.Fatal(err)
	}
}

// TestTransferReplies holds what a request for a zone gets, by zone, transport and version.
func TestTransferReplies(t *testing.T) {
	s := startLive(t, dnsserver.Config{Zones: handed(t, 10)})
	for _, tc := range []struct {
		name, network, qname string
		qtype                uint16
		serial               uint32
		rcode, records       int
	}{
		{"whole", "tcp", "large.test", dns.TypeAXFR, 0, dns.RcodeSuccess, 14},
		{"in other letters", "tcp", "LARGE.test", dns.TypeAXFR, 0, dns.RcodeSuccess, 14},
		{"not over UDP", "udp", "large.test", dns.TypeAXFR, 0, dns.RcodeRefused, 0},
		{"a zone that is not to be had", "tcp", "kept.test", dns.TypeAXFR, 0, dns.RcodeRefused, 0},
		{"no zone", "tcp", "n1.large.test", dns.TypeAXFR, 0, dns.RcodeNotAuth, 0},
		{"no zone at all", "tcp", "nothing.example", dns.TypeIXFR, 4, dns.RcodeNotAuth, 0},
		{"since a version that nobody knows any more", "tcp", "large.test", dns.TypeIXFR, 4, dns.RcodeSuccess, 14},
		{"since the present one", "tcp", "large.test", dns.TypeIXFR, 5, dns.RcodeSuccess, 1},
		{"since a later one", "tcp", "large.test", dns.TypeIXFR, 6, dns.RcodeSuccess, 1},
		{"the serial alone over UDP", "udp", "large.test", dns.TypeIXFR, 4, dns.RcodeSuccess, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			conn := s.dial(tc.network)
			putTransfer(t, conn, 77, tc.qname, tc.qtype, tc.serial)
			r := getReply(t, conn)
			if r.Id != 77 || r.Rcode != tc.rcode || len(r.Answer) != tc.records || r.Authoritative != (tc.rcode == 0) {
				t.Errorf("got %s with %d records, want %s with %d\n%v", dns.RcodeToString[r.Rcode], len(r.Answer), dns.RcodeToString[tc.rcode], tc.records, r)
			}
		})
	}
	t.Run("IXFR without a version", func(t *testing.T) {
		conn := s.dial("tcp")
		m := query("large.test", dns.TypeIXFR)
		packed := must1(m.Pack())
		must1(conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(packed))), packed...)))
		if r := getReply(t, conn); r.Rcode != dns.RcodeFormatError {
			t.Errorf("got %v, want FORMERR", r)
		}
	})
}

// drain reads a transfer to its last SOA record, and returns how many records it had.
func drain(t testing.TB, conn net.Conn) (records int) {
	t.Helper()
	for {
		r := getReply(t, conn)
		records += len(r.Answer)
		if r.Answer[len(r.Answer)-1].Header().Rrtype == dns.TypeSOA {
			return records
		}
	}
}

// TestTransferPlaces holds that no more transfers are sent than there may be, that a client which does not read loses it, and that who is refused takes none.
func TestTransferPlaces(t *testing.T) {
	s := startLive(t, dnsserver.Config{Zones: handed(t, 300_000), Bounds: dnsserver.Bounds{Transfers: 1, Write: 500 * time.Millisecond}})
	for range 20 {
		conn := s.dial("tcp")
		putTransfer(t, conn, 1, "kept.test", dns.TypeAXFR, 0)
		if r := getReply(t, conn); r.Rcode != dns.RcodeRefused {
			t.Fatalf("got %v, want REFUSED", r)
		}
	}
	lazy := s.dial("tcp") // never read: it holds the one place
	putTransfer(t, lazy, 2, "large.test", dns.TypeAXFR, 0)
	whole := func() bool { // or no place
		conn := s.dial("tcp")
		putTransfer(t, conn, 3, "large.test", dns.TypeAXFR, 0)
		r := getReply(t, conn)
		if r.Rcode == dns.RcodeServerFailure {
			return false
		}
		if n := len(r.Answer) + drain(t, conn); n != 300_004 {
			t.Errorf("%d records, want 300,004", n)
		}
		return true
	}
	waitFor(t, "the place to be taken", func() bool { return !whole() })
	waitFor(t, "the place to be free again", whole)
}
