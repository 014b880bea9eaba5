package resolver

import (
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"

	"cenote/dnsname"
	"cenote/dnssec"
)

// Reasons for which a question that makes too much work is given up.
var (
	errWork  = errors.New("the question makes too much work")
	errLoop  = errors.New("answering the question needs its own answer")
	errDepth = fmt.Errorf("%w: too many questions, one inside the other", errWork)
)

// budget is what a question of a client may still cost, with all the questions that its answer needs. It is never filled up again,
// whatever is begun anew.
type budget struct {
	packets  *atomic.Int32 // of this question, or of a ledger
	targets  atomic.Int32
	failures atomic.Int32
	referral atomic.Int32
	parts    atomic.Int32 // queries with a part of a name
	tally                 // for those who look
	spent    *[bounds]atomic.Uint64

	short atomic.Bool // something was not done for want of it
	busy  atomic.Bool // something was not computed for want of room
	looks looks

	checking sync.Mutex // held while something is validated
	crypto   *dnssec.Work
}

// tally is what was sent for a question, and to whom last.
type tally struct {
	sent atomic.Int32
	last atomic.Pointer[upstream]
}

func (t *tally) add(up *upstream) {
	t.sent.Add(1)
	t.last.Store(up)
}

// bound is one of what a question may come up against.
type bound uint8

// The bounds of a question.
const (
	boundPackets bound = iota
	boundTargets
	boundReferrals
	boundCrypto
	boundDepth
	boundAliases
	boundPerZone
	boundSignatures
	bounds
)

// String names the bound as the metrics do.
func (b bound) String() string {
	return [...]string{"packets", "targets", "referrals", "crypto", "depth", "aliases", "per_zone", "signatures"}[b]
}

func (r *Resolver) newBudget(b *RecursionBounds) *budget {
	w := &budget{packets: new(atomic.Int32), crypto: dnssec.NewWork(), spent: &r.counts.bounds}
	w.looks.most, w.looks.zones, w.looks.servers = b.Looks, map[dnsname.Name]int{}, map[netip.AddrPort]int{}
	w.packets.Store(int32(b.Packets))
	w.targets.Store(int32(b.Targets))
	w.failures.Store(int32(b.TargetFailures))
	w.referral.Store(int32(b.Referrals))
	w.parts.Store(partsMax)
	return w
}

// take takes one of what is left. The first for which there is nothing is counted.
func (b *budget) take(left *atomic.Int32, which bound, what string) error {
	switch n := left.Add(-1); {
	case n >= 0:
		return nil
	case n == -1:
		b.spent[which].Add(1)
	}
	return fmt.Errorf("%w: %s", errWork, what)
}

func left(n *atomic.Int32) int { return int(max(n.Load(), 0)) }

// work is what is left for checks; false while something is being validated.
func (b *budget) work() (dnssec.Work, bool) {
	if !b.checking.TryLock() {
		return dnssec.Work{}, false
	}
	defer b.checking.Unlock()
	return *b.crypto, true
}

func (b *budget) target() error {
	return b.take(&b.targets, boundTargets, "too many name servers to look for")
}

// missed notes a name server without an address.
func (b *budget) missed() { b.failures.Add(-1) }

// missedTooMany reports whether so many name servers had no address that no other is looked for.
func (b *budget) missedTooMany() bool { return b.failures.Load() <= 0 }

// partsMax is how many queries with a part of a name may be sent for one question of a client, with all that its answer needs. Names that grow from alias to
// alias would make many otherwise.
const partsMax = 20

// part reports whether one more query may be sent with a part of a name.
func (b *budget) part() bool { return b.parts.Add(-1) >= 0 }

func (b *budget) refer() error { return b.take(&b.referral, boundReferrals, "too many referrals") }
