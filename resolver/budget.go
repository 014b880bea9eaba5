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
	packets  atomic.Int32
	targets  atomic.Int32
	failures atomic.Int32
	referral atomic.Int32
	sent     atomic.Int32 // packets, for those who look
	parts    atomic.Int32 // queries with a part of a name

	short atomic.Bool // something was not done for want of it
	looks looks

	checking sync.Mutex // held while something is validated
	crypto   *dnssec.Work
}

func newBudget(b *RecursionBounds) *budget {
	w := &budget{crypto: dnssec.NewWork()}
	w.looks.most, w.looks.zones, w.looks.servers = b.Looks, map[dnsname.Name]int{}, map[netip.AddrPort]int{}
	w.packets.Store(int32(b.Packets))
	w.targets.Store(int32(b.Targets))
	w.failures.Store(int32(b.TargetFailures))
	w.referral.Store(int32(b.Referrals))
	w.parts.Store(partsMax)
	return w
}

// take takes one of what is left.
func take(left *atomic.Int32, what string) error {
	if left.Add(-1) < 0 {
		return fmt.Errorf("%w: %s", errWork, what)
	}
	return nil
}

func (b *budget) target() error { return take(&b.targets, "too many name servers to look for") }

// missed notes a name server without an address.
func (b *budget) missed() { b.failures.Add(-1) }

// missedTooMany reports whether so many name servers had no address that no other is looked for.
func (b *budget) missedTooMany() bool { return b.failures.Load() <= 0 }

// partsMax is how many queries with a part of a name may be sent for one question of a client, with all that its answer needs. Names that grow from alias to
// alias would make many otherwise.
const partsMax = 20

// part reports whether one more query may be sent with a part of a name.
func (b *budget) part() bool { return b.parts.Add(-1) >= 0 }

func (b *budget) refer() error { return take(&b.referral, "too many referrals") }
