package resolver_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"cenote/dnssec"
	"cenote/resolver"
)

const keyTrap = `
	zone .               server a.root.test @1 sign
	zone test            server ns.nic.test @2 sign
	zone trap.test       server ns.trap.test @3 sign alg=%ALG
	    *                A     192.0.2.66
	    www              A     192.0.2.66
	! sign trap.test colliding-keys=30
	! sign trap.test junk-sigs=60
	zone traps.test      server ns.traps.test @3 sign alg=%ALG
	    *                A     192.0.2.66
	! sign traps.test junk-sigs=60 type=A
	zone many.test       server ns.many.test @3 sign nsec3 iterations=2500
	    www              A     192.0.2.5
	zone fifty.test      server ns.fifty.test @3 sign nsec3 iterations=50
	    www              A     192.0.2.5
	zone good.test       server ns.good.test @4 sign
	    *                A     192.0.2.1
`

func trap(alg string) string { return strings.ReplaceAll(keyTrap, "%ALG", alg) }

// What one question has computed is bounded, whatever a zone sends (CVE-2023-50387, CVE-2023-50868).
func TestValidationIsBounded(t *testing.T) {
	algorithms, keys := []string{"13"}, "keys=6"
	if os.Getenv("CENOTE_LONG") != "" {
		algorithms, keys = []string{"13", "14", "8"}, "keys=30"
	}
	for _, alg := range algorithms {
		r := trusting(t, strings.ReplaceAll(trap(alg), "keys=30", keys))
		r.ask(t, "www.good.test", "A")
		for _, c := range []struct {
			name, want         string
			signatures, hashes uint64 // at most
		}{
			{"www.trap.test", "error", dnssec.SignaturesMax, 0},
			{"random.trap.test", "error", 0, 0}, // what its keys are is remembered
			{"random.traps.test", "", dnssec.SignaturesMax, 0},
			{"no.such.many.test", "NXDOMAIN\nmany", dnssec.SignaturesMax, 0},
			{strings.Repeat("a.b.", 50) + "fifty.test", "NXDOMAIN AD", dnssec.SignaturesMax, dnssec.HashesMax},
		} {
			before := r.Stats()
			begun := cpu()
			got := r.ask(t, c.name, "A")
			after := r.Stats()
			took, signatures, hashes := cpu()-begun, after.Signatures-before.Signatures, after.Hashes-before.Hashes
			t.Logf("algorithm %s, %.40s: %d signatures, %d hashes, %v of all processors; %.60q", alg, c.name, signatures, hashes, took, got)
			if signatures > c.signatures || hashes > c.hashes {
				t.Errorf("%s: %d signatures, %d hashes", c.name, signatures, hashes)
			}
			if !strings.HasPrefix(got, c.want) {
				t.Errorf("%s: got %s, want %s", c.name, got, c.want)
			}
		}
	}
}

// cpu is the time that this process has had of all processors.
func cpu() time.Duration {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// While zones whose validation is as costly as it may be are asked for, names of a good zone are answered. CENOTE_LONG asks for enough of them to
// tell how quickly.
func TestKeyTrapLeavesRoom(t *testing.T) {
	names := 20
	if os.Getenv("CENOTE_LONG") != "" {
		names = 200
	}
	r := trusting(t, trap("14"), func(c *resolver.Config) { // the machine may be as slow as it likes
		c.Timeouts.Attempt, c.Timeouts.Total = 20*time.Second, time.Minute
	})
	alone := r.quantiles(t, names, "alone")
	var stop atomic.Bool
	var asking sync.WaitGroup
	var asked atomic.Int64
	for range 64 {
		asking.Go(func() {
			for !stop.Load() {
				r.ask(t, fmt.Sprintf("n%d.traps.test", asked.Add(1)), "A")
			}
		})
	}
	eventually(t, "a check has turned out to be costly on the way", func() bool { return r.Stats().ValidationsSlowed > 0 })
	begun, before := time.Now(), cpu()
	beside := r.quantiles(t, names, "beside")
	took, spent, n := time.Since(begun), cpu()-before, asked.Load()
	stop.Store(true)
	asking.Wait()
	t.Logf("99 of 100 fresh names within %v, beside a key trap within %v; of that %d questions in %v, %v of processors for each", alone, beside, n, took, spent/time.Duration(int(n)+names))
}

// quantiles asks for fresh names of a good zone and returns how long 99 of 100 took at most.
func (r *rooted) quantiles(t *testing.T, n int, prefix string) time.Duration {
	t.Helper()
	var all []time.Duration
	for i := range n {
		begun := time.Now()
		if got := r.ask(t, fmt.Sprintf("%s%d.good.test", prefix, i), "A"); !strings.HasPrefix(got, "NOERROR AD") {
			t.Errorf("got %s", got)
		}
		all = append(all, time.Since(begun))
	}
	slices.Sort(all)
	return all[n*99/100]
}
