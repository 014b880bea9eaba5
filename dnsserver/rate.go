package dnsserver

import (
	"encoding/binary"
	"fmt"
	"hash/maphash"
	"math"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/gaissmai/bart"
)

// rateTable holds one bucket a client network, in memory taken once. All workers share it, without a lock.
//
// A bucket is one word: 24 bits that tell the network from others of its line, and 40 bits of time, in units of 64 ns: when the
// network's credit would be whole again (the generic cell rate algorithm, which needs no other state). Eight buckets make a
// line, one cache line; a network without a bucket takes over the one of its line that has been whole the longest, so a flood from
// many networks displaces those who are quiet and not those who are over the rate.
type rateTable struct {
	config Rates
	lines  []rateLine
	seed   maphash.Seed
	exempt *bart.Lite
	start  time.Time     // times in buckets count from here
	each   int64         // units of time that one query costs
	credit int64         // units of time that may be used ahead
	turn   atomic.Uint64 // counts queries over the rate, to find each Slip-th
}

type rateLine [8]atomic.Uint64

const (
	rateUnit     = 64 * time.Nanosecond
	rateTimeBits = 40
	rateTimeMask = 1<<rateTimeBits - 1
	ratesMax     = 1 << 24 // networks: 128 MiB
	rateFastest  = 1e6     // queries a second: above it a query costs less than a few units
)

// newRateTable makes the table for c; nil if there is no limit. If only c.Slip and c.Exempt differ from before, the buckets live on.
func newRateTable(c Rates, before *rateTable) (*rateTable, error) {
	if !c.Enabled {
		return nil, nil
	}
	if err := c.check(); err != nil {
		return nil, err
	}
	t := &rateTable{config: c, exempt: &bart.Lite{}}
	for _, p := range c.Exempt {
		t.exempt.Insert(p.Masked())
	}
	t.each = int64(float64(time.Second) / c.PerSecond / float64(rateUnit))
	t.credit = t.each * int64(c.Burst)
	if t.credit >= 1<<(rateTimeBits-2) {
		return nil, fmt.Errorf("rates: a burst of %d at %g queries a second takes too long to count", c.Burst, c.PerSecond)
	}
	if before != nil && before.sameBuckets(c) {
		t.lines, t.seed, t.start = before.lines, before.seed, before.start
		return t, nil
	}
	t.lines = make([]rateLine, 1<<bitsFor(c.Networks/len(rateLine{})))
	t.seed, t.start = maphash.MakeSeed(), time.Now()
	return t, nil
}

func (c Rates) check() error {
	switch {
	case !(c.PerSecond > 0 && c.PerSecond <= rateFastest):
		return fmt.Errorf("rates: %g queries a second: want more than 0 and at most %g", c.PerSecond, rateFastest)
	case c.Burst < 1:
		return fmt.Errorf("rates: burst %d: want at least 1", c.Burst)
	case c.IPv4Bits < 1 || c.IPv4Bits > 32:
		return fmt.Errorf("rates: %d bits of IPv4: want 1 to 32", c.IPv4Bits)
	case c.IPv6Bits < 1 || c.IPv6Bits > 128:
		return fmt.Errorf("rates: %d bits of IPv6: want 1 to 128", c.IPv6Bits)
	case c.Slip < 0:
		return fmt.Errorf("rates: slip %d: want 0 or more", c.Slip)
	case c.Networks < 1 || c.Networks > ratesMax:
		return fmt.Errorf("rates: %d networks: want 1 to %d", c.Networks, ratesMax)
	}
	return nil
}

func (t *rateTable) sameBuckets(c Rates) bool {
	o := t.config
	return o.PerSecond == c.PerSecond && o.Burst == c.Burst && o.IPv4Bits == c.IPv4Bits && o.IPv6Bits == c.IPv6Bits && o.Networks == c.Networks
}

// take charges one query to addr's network. It reports whether the network is within its rate; if not, whether this is the one
// query in Slip that gets a short reply all the same.
func (t *rateTable) take(addr netip.Addr, now time.Time) (within, slip bool) {
	if t.exempt.Contains(addr) {
		return true, false
	}
	if t.charge(t.hash(addr), now) {
		return true, false
	}
	n := uint64(t.config.Slip)
	return false, n != 0 && t.turn.Add(1)%n == 0
}

func (t *rateTable) charge(h uint64, now time.Time) bool {
	line := &t.lines[h&uint64(len(t.lines)-1)]
	tag := h >> rateTimeBits << rateTimeBits
	at := int64(now.Sub(t.start)/rateUnit) & rateTimeMask
	for range rateTries {
		bucket, old, ahead := line.find(tag, at, t.credit)
		if ahead > t.credit-t.each {
			return false
		}
		if bucket.CompareAndSwap(old, tag|uint64(at+ahead+t.each)&rateTimeMask) {
			return true
		}
	}
	return true // others keep changing the same line: not to count one query is better than to wait
}

// rateTries is how often a query tries to be counted against other workers.
const rateTries = 8

// find returns the bucket of tag, or else the one to take over; what it holds; and how much time its network has used ahead.
func (l *rateLine) find(tag uint64, at, credit int64) (bucket *atomic.Uint64, old uint64, ahead int64) {
	ahead = math.MaxInt64
	for i := range l {
		v := l[i].Load()
		a := used(v, at, credit)
		if v&^rateTimeMask == tag && v != 0 {
			return &l[i], v, a
		}
		if a < ahead {
			bucket, old, ahead = &l[i], v, a
		}
	}
	return bucket, old, 0
}

// used is how far the time in v lies ahead of at; 0 if it is past. Times wrap: one further ahead than any credit is a past one.
func used(v uint64, at, credit int64) int64 {
	ahead := (int64(v) - at) & rateTimeMask
	if ahead > credit {
		return 0
	}
	return ahead
}

func (t *rateTable) hash(addr netip.Addr) uint64 {
	a := addr.As16()
	hi, lo := binary.BigEndian.Uint64(a[:8]), binary.BigEndian.Uint64(a[8:])
	bits := t.config.IPv6Bits
	if addr.Is4() {
		bits = 96 + t.config.IPv4Bits
	}
	hi, lo = hi&mask64(bits), lo&mask64(bits-64)
	binary.BigEndian.PutUint64(a[:8], hi)
	binary.BigEndian.PutUint64(a[8:], lo)
	return maphash.Bytes(t.seed, a[:])
}

// mask64 has the upper n bits set: none for n <= 0, all for n >= 64.
func mask64(n int) uint64 {
	if n <= 0 {
		return 0
	}
	return ^uint64(0) << (64 - min(n, 64))
}

// bitsFor returns the least b with 1<<b >= n.
func bitsFor(n int) int {
	b := 0
	for 1<<b < n {
		b++
	}
	return b
}
