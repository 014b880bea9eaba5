package dnsserver_test

import (
	"runtime"
	"testing"

	"cenote/dnsserver"

	"golang.org/x/sys/unix"
)

// TestQueriesFollowTheirCore: told so, the kernel gives a query to the worker of the core on which it came in, and never to another.
func TestQueriesFollowTheirCore(t *testing.T) {
	const workers, queries = 2, 30
	s := startLive(t, dnsserver.Config{Bounds: dnsserver.Bounds{Workers: workers, ByCore: true}})
	conn := s.dial("udp")
	runtime.LockOSThread() // never unlocked: the thread ends with the test, and its mask with it
	var all unix.CPUSet
	if err := unix.SchedGetaffinity(0, &all); err != nil {
		t.Fatal(err)
	}
	want := make([]uint64, workers)
	for core := range 2 * workers {
		if !all.IsSet(core) {
			continue
		}
		var one unix.CPUSet
		one.Set(core)
		if err := unix.SchedSetaffinity(0, &one); err != nil {
			t.Fatal(err)
		}
		for id := range uint16(queries) { // the loopback device delivers on the core that sends
			isTruth(t, askFor(t, conn, id, "localhost"), id)
		}
		want[core%workers] += queries
		for i, n := range s.UDPReceived() {
			if n != want[i] {
				t.Errorf("after %d queries from core %d the workers have received %v, want %v", queries, core, s.UDPReceived(), want)
				break
			}
		}
	}
}
