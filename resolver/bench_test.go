package resolver_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"

	"cenote/resolver"
	"cenote/wire"

	"github.com/miekg/dns"
)

// echo answers every query with one address, as quickly as can be.
func echo(b *testing.B) netip.AddrPort {
	socket, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		b.Fatal(err)
	}
	ended := make(chan struct{})
	b.Cleanup(func() { socket.Close(); <-ended })
	go func() {
		defer close(ended)
		buf := make([]byte, 4096)
		for {
			n, peer, err := socket.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			var q wire.Query
			q.Parse(buf[:n])
			reply := append(buf[:0:0], buf[:wire.HeaderLen+len(q.Question)]...)
			wire.SetFlags(reply, wire.FlagQR|wire.FlagRA)
			wire.SetCount(reply, 1, 1)
			reply = wire.AppendRecord(reply, []byte{0xc0, wire.HeaderLen}, wire.TypeA, wire.ClassIN, 300, []byte{192, 0, 2, 1})
			reply = wire.AppendOPT(reply, wire.UDPSafe, 0, false, nil)
			socket.WriteToUDPAddrPort(reply, peer)
		}
	}()
	return socket.LocalAddr().(*net.UDPAddr).AddrPort()
}

// BenchmarkResolveMiss asks for a new name each time: a socket, a query and a reply on loopback, the upstream's own work included.
func BenchmarkResolveMiss(b *testing.B) {
	for _, callers := range []int{1, 32} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			f := start(b, func(c *resolver.Config) {}, echo(b))
			var n atomic.Int64
			b.SetParallelism(callers)
			b.ReportAllocs()
			b.RunParallel(func(p *testing.PB) {
				dst := make([]byte, 4096)
				for p.Next() {
					k := keyOf(fmt.Sprintf("n%d.example", n.Add(1)), dns.TypeA)
					if _, err := f.Resolve(context.Background(), k, dst); err != nil {
						b.Error(err)
						return
					}
				}
			})
			if s := f.Stats(); s.Failed != 0 {
				b.Errorf("%d failed", s.Failed)
			}
		})
	}
}
