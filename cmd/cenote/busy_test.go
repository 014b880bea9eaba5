package main

import (
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"
)

// TestMissesOnABusyMachine tells how late names come, asked for before and not, with nothing else to do on the machine and beside programs that want all of its processors, in turns. With
// CENOTE_LONG alone, since it keeps others from theirs. Nothing of ours waits: no question is put again, and cached names, which wait for nobody, come late as well.
func TestMissesOnABusyMachine(t *testing.T) {
	if os.Getenv("CENOTE_LONG") == "" {
		t.Skip("it wants all processors for a while; CENOTE_LONG=1 lets it")
	}
	a := startAttacked(t, "")
	for turn := range 3 {
		for _, programs := range []int{0, 8} {
			var running []*exec.Cmd
			for range programs {
				c := exec.Command("sh", "-c", "while :; do :; done")
				if err := c.Start(); err != nil {
					t.Fatal(err)
				}
				running = append(running, c)
			}
			asked := a.metric("cenote_resolver_packets_total")
			misses, hits := a.newCrowd(300, fmt.Sprintf("m%d-%d-%%.kind.wild", turn, programs)), a.newCrowd(300, "www.good.wild")
			together(t, 3*time.Second, misses, hits)
			for _, c := range running {
				_ = c.Process.Kill()
				_ = c.Wait()
			}
			asked = a.metric("cenote_resolver_packets_total") - asked
			each := asked / float64(misses.sent)
			t.Logf("beside %d programs: 99 of 100 names that nobody has asked for within %v, cached ones within %v; %.2f queries to servers for each", programs, misses.p99(), hits.p99(), each)
			if int(misses.right.Load()) < fewest(misses.sent) || each > 2.5 { // one for the name, one for the servers that it may have
				t.Errorf("%d of %d names were answered, with %.2f queries for each", misses.right.Load(), misses.sent, each)
			}
		}
	}
}
