package resolver

import (
	"errors"
	"net/netip"
	"sync/atomic"
	"syscall"
	"time"

	"cenote/wire"
)

// routes is which family of addresses leads nowhere from this host, as the system said a moment ago: servers that have others are asked at those first, and no
// addresses of that family are looked for.
type routes struct {
	lost [2]atomic.Int64 // until when, in ns since 1970; by family
}

// lostFor is how long a family is thought to lead nowhere. One attempt finds out whether it still does.
const lostFor = 30 * time.Second

// note takes notice of an error of a socket to a server. ENETUNREACH is said at once where there is no route.
func (r *routes) note(to netip.Addr, err error, now time.Time) {
	if errors.Is(err, syscall.ENETUNREACH) {
		r.lost[family(to)].Store(now.Add(lostFor).UnixNano())
	}
}

// leadsNowhere reports whether a family does.
func (r *routes) leadsNowhere(to netip.Addr, now time.Time) bool {
	left := r.lost[family(to)].Load() - now.UnixNano()
	return left > 0 && left <= int64(lostFor) // a clock that was set back knows nothing
}

// families are the types of addresses of name servers that are worth looking for.
func (it *iteration) families() []uint16 {
	all, now := it.s.config.Recursion.families(), it.r.now()
	var good []uint16
	for _, rtype := range all {
		if any := map[uint16]netip.Addr{wire.TypeA: netip.IPv4Unspecified(), wire.TypeAAAA: netip.IPv6Unspecified()}[rtype]; !it.r.routes.leadsNowhere(any, now) {
			good = append(good, rtype)
		}
	}
	if len(good) == 0 {
		return all
	}
	return good
}
