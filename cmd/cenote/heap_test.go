//go:build !race

package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime/metrics"
	"strconv"
	"strings"
	"testing"
	"time"

	"cenote/dnsname"
	"cenote/sighting"
	"cenote/wire"
)

// The race detector allocates, so what is counted here is counted without it.

// TestWholeServerLeavesTheHeapAlone runs the server as it is, with collector, journal and writer, under listed and cached names, and counts what
// the process allocates. CENOTE_QUERIES sets how many queries; the default is a short run.
func TestWholeServerLeavesTheHeapAlone(t *testing.T) {
	queries := 200_000
	if n, err := strconv.Atoi(os.Getenv("CENOTE_QUERIES")); err == nil {
		queries = n
	}
	const names = 1000
	dir := t.TempDir()
	var list strings.Builder
	for i := range names {
		fmt.Fprintf(&list, "n%d.listed.example\n", i)
	}
	path := filepath.Join(dir, "list.domains")
	replaceFile(t, path, list.String())
	s := startServer(t, dir, `
state: `+dir+`/state
listen: [{address: 127.0.0.1:0}]
rate_limit: {enabled: false}
feeds: [{name: list, path: `+path+`}]
policy: {sinkhole: {ipv4: [192.0.2.53]}, zones: [{name: block, feeds: [list]}]}
`)
	f := newFlood(t, s, names)
	f.ask(20 * names) // until everything has its memory
	objects := heapObjects()
	f.ask(queries)
	if got := float64(heapObjects()-objects) / float64(queries); got >= 0.01 {
		t.Errorf("%.4f heap objects a query over %d queries, want < 0.01", got, queries)
	} else {
		t.Logf("%.5f heap objects a query over %d queries", got, queries)
	}
	f.judge()
}

func heapObjects() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:objects"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// flood asks for listed names and a local one in turn, without allocating anything itself.
type flood struct {
	t       *testing.T
	s       *running
	conn    *net.UDPConn
	queries [][]byte
	asked   int
	reply   [1500]byte
}

func newFlood(t *testing.T, s *running, names int) *flood {
	t.Helper()
	conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(s.addr()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	f := &flood{t: t, s: s, conn: conn}
	for i := range names {
		for _, name := range []string{fmt.Sprintf("n%d.listed.example", i), "localhost"} {
			msg := make([]byte, wire.HeaderLen, 300)
			wire.SetFlags(msg, wire.FlagRD)
			wire.SetCount(msg, 0, 1)
			f.queries = append(f.queries, append(append(msg, dnsname.MustParse(name)...), 0, wire.TypeA, 0, wire.ClassIN))
		}
	}
	return f
}

// ask asks n questions, 64 at a time, and reads as many replies.
func (f *flood) ask(n int) {
	f.t.Helper()
	const together = 64
	_ = f.conn.SetReadDeadline(time.Now().Add(10 * time.Minute))
	for done := 0; done < n; done += together {
		for range together {
			if _, err := f.conn.Write(f.queries[f.asked%len(f.queries)]); err != nil {
				f.t.Fatal(err)
			}
			f.asked++
		}
		for range together {
			if _, err := f.conn.Read(f.reply[:]); err != nil {
				f.t.Fatalf("after %d queries: %v", f.asked, err)
			}
		}
	}
}

// judge waits until every match is in the ledger.
func (f *flood) judge() {
	f.t.Helper()
	f.s.wait("all recorded", func() bool {
		var count uint64
		for g, err := range f.s.ledger.All(f.t.Context(), sighting.Filter{}) {
			if err != nil {
				f.t.Fatal(err)
			}
			count += g.Count
		}
		return count == uint64(f.asked/2)
	})
}
