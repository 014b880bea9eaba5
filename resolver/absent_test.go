package resolver_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"cenote/dnsname"
	"cenote/resolver"
)

const withAbsences = `
	zone .               server a.root.test @1 sign
	zone test            server ns.nic.test @2 sign
	zone plain.test      server ns.plain.test @3
	    www              A     192.0.2.1
	    a.ent            A     192.0.2.2
	zone signed.test     server ns.signed.test @4 sign
	    www              A     192.0.2.3
	zone below.none.plain.test server ns.plain.test
	    www              A     192.0.2.4
`

// Below a name that is not there nothing is asked for, if the operator wants it so; what the name above says ends with its TTL, and with a flush.
func TestNothingIsBelowWhatIsNotThere(t *testing.T) {
	for _, on := range []bool{false, true} {
		t.Run(fmt.Sprint(on), func(t *testing.T) {
			clock := newClock()
			r := trusting(t, withAbsences, func(c *resolver.Config) { c.Now, c.Recursion.NothingBelow = clock.now, on })
			r.tree.SetClock(clock.now)
			r.ask(t, "gone.plain.test", "A")
			ask := func(name string) (packets int) {
				before := len(r.tree.Queries("@3"))
				if got := r.ask(t, name, "A"); !strings.HasPrefix(got, "NXDOMAIN\nplain.test.") {
					t.Errorf("%s: %s", name, got)
				}
				return len(r.tree.Queries("@3")) - before
			}
			if n := ask("a.b.gone.plain.test"); (n == 0) != on {
				t.Errorf("%d packets for a name below one that is not there", n)
			}
			if n := ask("other.plain.test"); n == 0 {
				t.Error("a name beside it was not asked for")
			}
			if got := r.ask(t, "a.ent.plain.test", "A"); !strings.Contains(got, "192.0.2.2") {
				t.Error(got)
			}
			r.Flush(dnsname.MustParse("x.gone.plain.test").Canonical(), false)
			if n := ask("x.gone.plain.test"); n == 0 {
				t.Error("after a flush it was not asked for")
			}
			clock.advance(61 * time.Second)
			if n := ask("y.gone.plain.test"); n == 0 {
				t.Error("what the zone said is believed past its TTL")
			}
		})
	}
}

// A denial without the SOA that belongs to it, as broken servers give for an empty name, hides nothing.
func TestDenialWithoutSOAHidesNothing(t *testing.T) {
	for _, on := range []bool{false, true} {
		r := trusting(t, withAbsences+"! @3 ent.plain.test rcode=NXDOMAIN\n", func(c *resolver.Config) { c.Recursion.NothingBelow = on })
		r.ask(t, "ent.plain.test", "A")
		if got := r.ask(t, "a.ent.plain.test", "A"); !strings.Contains(got, "192.0.2.2") {
			t.Errorf("with nothing_below %v: %s", on, got)
		}
	}
}
