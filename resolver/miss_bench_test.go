package resolver_test

import (
	"context"
	"encoding/binary"
	"net"
	"net/netip"
	"strconv"
	"sync/atomic"
	"testing"

	"cenote/dnsname"
	"cenote/resolver"
	"cenote/rrcache"

	"github.com/miekg/dns"
)

// wildcard answers every A query at an address of this machine, as the server of a zone that has a wildcard. It tells seen who asks.
func wildcard(t testing.TB, at string, seen func(from netip.AddrPort)) netip.AddrPort {
	t.Helper()
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(at), 0)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	go func() {
		buf := make([]byte, 2048)
		for {
			_, from, err := conn.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			seen(from)
			end := 12
			for buf[end] != 0 {
				end += 1 + int(buf[end])
			}
			end += 5
			reply := append([]byte(nil), buf[:end]...)
			binary.BigEndian.PutUint16(reply[2:], 0x8400)
			binary.BigEndian.PutUint16(reply[6:], 1)
			binary.BigEndian.PutUint16(reply[8:], 0)
			binary.BigEndian.PutUint16(reply[10:], 0)
			reply = append(reply, 0xc0, 12, 0, 1, 0, 1, 0, 0, 1, 44, 0, 4, 192, 0, 2, 1)
			conn.WriteToUDPAddrPort(reply, from)
		}
	}()
	return conn.LocalAddr().(*net.UDPAddr).AddrPort()
}

// BenchmarkMiss is names that nobody has asked for, of one zone whose server is near: what a miss costs beside the network, both ends of it in
// one process.
func BenchmarkMiss(b *testing.B) {
	server := wildcard(b, "127.0.0.1", func(netip.AddrPort) {})
	cache, err := rrcache.New(rrcache.Config{Bytes: 64 << 20})
	if err != nil {
		b.Fatal(err)
	}
	r, err := resolver.New(resolver.Config{Cache: cache, Recursion: &resolver.Recursion{
		Never: []netip.Prefix{},
		Stubs: []resolver.Stub{{Zone: dnsname.MustParse("miss.example"), Servers: []netip.AddrPort{server}}},
	}})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	b.Cleanup(func() { cancel(); <-ended })
	b.ReportAllocs()
	b.SetParallelism(32)
	var names atomic.Uint64
	b.RunParallel(func(pb *testing.PB) {
		buf := make([]byte, 4096)
		for pb.Next() {
			name := dnsname.MustParse(strconv.FormatUint(names.Add(1), 36) + ".miss.example")
			k := &rrcache.Key{Name: []byte(name), Type: dns.TypeA, Class: dns.ClassINET}
			if _, err := r.Resolve(context.Background(), k, buf); err != nil {
				b.Error(err)
				return
			}
		}
	})
}
