//go:build !race

package dnsserver_test

import (
	"net/netip"
	"os"
	"runtime/metrics"
	"strconv"
	"testing"

	"cenote/dnsserver"
)

// The race detector allocates, so what is counted here is counted without it.

// TestNoHeapObjectsPerQuery runs the whole server under load and counts what the process allocates. CENOTE_QUERIES sets how many queries;
// the default is a short run.
func TestNoHeapObjectsPerQuery(t *testing.T) {
	queries := 100_000
	if n, err := strconv.Atoi(os.Getenv("CENOTE_QUERIES")); err == nil {
		queries = n
	}
	for name, listen := range map[string]string{"localhost": "127.0.0.1:0", "cached.example": "0.0.0.0:0"} {
		t.Run(name+" on "+listen, func(t *testing.T) {
			s := startLive(t, dnsserver.Config{Cache: cacheOf(t, "cached.example"), Listen: []dnsserver.Listen{{Addr: netip.MustParseAddrPort(listen), UDP: true}}})
			conn := dialTo(t, "udp", netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), s.addr("udp").Port()))
			flood(t, conn, name, 1000)
			before := heapObjects()
			flood(t, conn, name, queries)
			if got := float64(heapObjects()-before) / float64(queries); got >= 0.01 {
				t.Errorf("%.4f heap objects a query over %d queries, want < 0.01", got, queries)
			}
		})
	}
}

func heapObjects() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:objects"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
