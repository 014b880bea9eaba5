package blocklist_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"syscall"
	"testing"
	"time"

	"cenote/blocklist"
	"cenote/dnsname"
)

// wideZone is a version of the policy zone rpz.test with so many rules. Each version has other rules in the place of some of the one before: of those that came last, or with
// grows of those that were there from the beginning. What it takes to tell of them does not depend on the others.
type wideZone struct {
	rules, changed, serial int
	grows                  bool
}

const wideSOA = "rpz.test. 60 IN SOA localhost. root.localhost. %d 60 60 3600 60\nrpz.test. 60 IN NS localhost.\n"

// came is the owner of the i-th rule that came with a version.
func (z wideZone) came(serial, i int) dnsname.Name {
	return dnsname.MustParse(fmt.Sprintf("v%d.m%d.test.rpz.test", serial, i))
}

// gone is the owner of the i-th rule that the next version does not have.
func (z wideZone) gone(i int) dnsname.Name {
	if z.grows {
		i += z.serial * z.changed
		return dnsname.MustParse(fmt.Sprintf("n%d.d%d.test.rpz.test", i, i%1000))
	}
	return z.came(z.serial, i)
}

// Open implements blocklist.ZoneTaker.
func (wideZone) Open(blocklist.ZoneRequest) {}

// Take implements blocklist.ZoneTaker.
func (z wideZone) Take(context.Context, blocklist.ZoneRequest) (*blocklist.ZoneVersion, error) {
	return &blocklist.ZoneVersion{Serial: uint32(z.serial), Sum: fmt.Sprint(z.serial), Primary: "192.0.2.54:53", Refresh: time.Hour, Retry: time.Hour, Write: z.write}, nil
}

// write writes the first version.
func (z wideZone) write(to io.Writer) error {
	w := bufio.NewWriter(to)
	fmt.Fprintf(w, wideSOA, z.serial)
	for i := range z.rules - z.changed {
		fmt.Fprintf(w, "n%d.d%d.test.rpz.test. 60 IN CNAME .\n", i, i%1000)
	}
	for i := range z.changed {
		fmt.Fprintf(w, "%s. 60 IN CNAME .\n", z.came(z.serial, i))
	}
	return w.Flush()
}

// next is what changes from z to the next version.
func (z wideZone) next() (wideZone, *blocklist.ZoneChange) {
	to := z
	to.serial++
	c := &blocklist.ZoneChange{From: uint32(z.serial), To: uint32(to.serial), Owners: []dnsname.Name{modelApex}}
	has := map[dnsname.Name]bool{} // whether the version after it has it
	for i := range z.changed {
		has[z.gone(i)], has[z.came(to.serial, i)] = false, true
	}
	c.Owners = slices.AppendSeq(c.Owners, maps.Keys(has))
	slices.SortFunc(c.Owners, dnsname.Compare)
	c.Append = func(text []byte, owner dnsname.Name, after bool) []byte {
		switch now, touched := has[owner]; {
		case owner == modelApex && after:
			return fmt.Appendf(text, wideSOA, to.serial)
		case owner == modelApex:
			return fmt.Appendf(text, wideSOA, z.serial)
		case touched && now == after:
			return append(append(text, owner.String()...), ". 60 IN CNAME .\n"...)
		}
		return text
	}
	c.Kept = func(below dnsname.Name, visit func(owner []byte) bool) {
		var d int
		if n, _ := fmt.Sscanf(below.String(), "d%d.test", &d); n == 1 || below == dnsname.MustParse("test.rpz.test") { // some are left
			visit([]byte(dnsname.MustParse(fmt.Sprintf("n%d.d%d.test.rpz.test", z.rules-2000+d, d))))
		}
	}
	return to, c
}

// BenchmarkChange is a change of 1,000 rules of a policy zone, from when the difference has come until it is served; the processor's time is that until it is stored. With CENOTE_LONG=1
// there is a zone of ten million too. Where the changes grow the layer and the delta have what all before have changed.
func BenchmarkChange(b *testing.B) {
	sizes := []int{200_000, 1_000_000}
	if os.Getenv("CENOTE_LONG") == "1" {
		sizes = append(sizes, 10_000_000)
	}
	for _, rules := range sizes {
		for _, grows := range []bool{false, true} {
			b.Run(fmt.Sprintf("rules=%d/changed=1000/grows=%v", rules, grows), func(b *testing.B) { benchmarkChange(b, wideZone{rules, 1000, 1, grows}) })
		}
	}
}

func benchmarkChange(b *testing.B, z wideZone) {
	var served time.Time
	w := newWorld(b, func(c *blocklist.Config) {
		c.Taker, c.ShrinkMax = z, 1
		c.Publish = func(*blocklist.Generation) { served = time.Now() }
	})
	w.add(blocklist.Feed{
		FeedConfig: blocklist.FeedConfig{Name: "f", Zone: "rpz.test", Limits: blocklist.Limits{SourceBytes: 1 << 30, Rows: 20_000_000}},
		Fetch:      blocklist.Fetch{Transfer: blocklist.Transfer{Zone: modelApex, Primaries: []string{"192.0.2.54:53"}}, Timeout: time.Minute},
	})
	w.fetch()
	b.ReportAllocs()
	var took, cpu time.Duration
	for b.Loop() {
		next, c := z.next()
		began, before := time.Now(), processTime(b)
		if w.p.TakeChange(b.Context(), "f", c) == 0 {
			b.Fatalf("it was not taken over:\n%s", w.log())
		}
		took, cpu = took+served.Sub(began), cpu+processTime(b)-before
		z = next
	}
	b.ReportMetric(float64(took.Microseconds())/1000/float64(b.N), "ms/change")
	b.ReportMetric(float64(cpu.Microseconds())/1000/float64(b.N), "cpu-ms/change")
}

func processTime(tb testing.TB) time.Duration {
	var u syscall.Rusage
	must(tb, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
