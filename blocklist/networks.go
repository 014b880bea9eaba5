package blocklist

import (
	"cmp"
	"net/netip"
	"slices"
	"sort"
)

// networks are networks that can be asked whether another one overlaps them.
type networks struct{ all []network }

// network is the addresses from the first to the last.
type network struct {
	first, last netip.Addr
	source      uint16
}

func (n *networks) add(p netip.Prefix, source uint16) {
	n.all = append(n.all, network{p.Addr(), lastOf(p), source})
}

// lastOf is the last address of a prefix, whose other bits are clear.
func lastOf(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for i := range b {
		if free := 8*(i+1) - p.Bits(); free >= 8 {
			b[i] = 0xff
		} else if free > 0 {
			b[i] |= 1<<free - 1
		}
	}
	last, _ := netip.AddrFromSlice(b) // as long as it was
	return last
}

// settle puts them in order, after which they can be asked. Of two prefixes that overlap one holds the other, and is enough.
func (n *networks) settle() {
	slices.SortStableFunc(n.all, func(a, b network) int { return cmp.Or(a.first.Compare(b.first), b.last.Compare(a.last)) })
	kept := n.all[:0]
	for _, next := range n.all {
		if k := len(kept) - 1; k < 0 || next.first.Compare(kept[k].last) > 0 {
			kept = append(kept, next)
		}
	}
	n.all = kept
}

// overlapping returns the source of a network that shares an address with p.
func (n *networks) overlapping(p netip.Prefix) (source uint16, found bool) {
	last := lastOf(p)
	i := sort.Search(len(n.all), func(i int) bool { return n.all[i].first.Compare(last) > 0 }) - 1
	if i < 0 || n.all[i].last.Compare(p.Addr()) < 0 {
		return 0, false
	}
	return n.all[i].source, true
}
