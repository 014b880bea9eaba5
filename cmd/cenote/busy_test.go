package main

import (
	"context"
	"fmt"
	"os/exec"
	"testing"
	"time"
)

// TestMissesOnABusyMachine tells how late names come, asked for before and not, with nothing else to do on the machine and beside programs that want its processors, in turns; with CENOTE_LONG
// beside more of them than it has, for longer. Nothing of ours waits: no question is put again, and cached names, which wait for nobody, come late as well.
func TestMissesOnABusyMachine(t *testing.T) {
	a := startAttacked(t, "")
	for turn := range sized(1, 3) {
		for _, programs := range []int{0, sized(1, 8)} {
			end := keepBusy(t, programs)
			asked := a.metric("cenote_resolver_packets_total")
			misses, hits := a.newCrowd(sized(30, 300), fmt.Sprintf("m%d-%d-%%.kind.wild", turn, programs)), a.newCrowd(sized(30, 300), "www.good.wild")
			together(t, time.Duration(sized(1, 3))*time.Second, misses, hits)
			end()
			asked = a.metric("cenote_resolver_packets_total") - asked
			each := asked / float64(misses.sent)
			t.Logf("beside %d programs: 99 of 100 names that nobody has asked for within %v, cached ones within %v; %.2f queries to servers for each", programs, misses.p99(), hits.p99(), each)
			if int(misses.right.Load()) < fewest(misses.sent) || each > 2.5 { // one for the name, one for the servers that it may have
				t.Errorf("%d of %d names were answered, with %.2f queries for each", misses.right.Load(), misses.sent, each)
			}
		}
	}
}

// keepBusy starts programs of which each wants a processor, until end is called or the test ends.
func keepBusy(t *testing.T, programs int) (end func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var running []*exec.Cmd
	for range programs {
		c := exec.CommandContext(ctx, "sh", "-c", "while :; do :; done")
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		running = append(running, c)
	}
	end = func() {
		cancel()
		for _, c := range running {
			_ = c.Wait() // killed
		}
		running = nil
	}
	t.Cleanup(end)
	return end
}
