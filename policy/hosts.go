package policy

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"slices"

	"cenote/nameindex"
)

// hosts are the single addresses of one family that rules of one trigger list, in order: 8 octets for one of IPv4 and 20 for one of IPv6, and nothing that the
// garbage collector looks into. Lists have hundreds of thousands.
type hosts[A family[A]] struct {
	base  []host[A]
	delta []host[A] // says more than base about the addresses that it has; nameindex.Unlisted takes one out
}

type host[A any] struct {
	addr A
	set  uint32
}

// family is what the addresses of one family are.
type family[A any] interface {
	comparable
	before(other A) bool
	netip() netip.Addr
}

type (
	hostIPv4 [4]byte
	hostIPv6 [16]byte
)

func (a hostIPv4) netip() netip.Addr { return netip.AddrFrom4(a) }
func (a hostIPv6) netip() netip.Addr { return netip.AddrFrom16(a) }

func (a hostIPv4) before(b hostIPv4) bool {
	return binary.BigEndian.Uint32(a[:]) < binary.BigEndian.Uint32(b[:])
}

func (a hostIPv6) before(b hostIPv6) bool { return bytes.Compare(a[:], b[:]) < 0 }

// note adds an address to the delta, out of order until settle is called.
func (h *hosts[A]) note(addr A, set uint32) {
	h.delta = append(h.delta, host[A]{addr, set})
}

// settle brings the delta into order and gives back the room in which it grew.
func (h *hosts[A]) settle() {
	h.delta = slices.Clone(h.delta)
	slices.SortFunc(h.delta, func(a, b host[A]) int {
		switch {
		case a.addr.before(b.addr):
			return -1
		case b.addr.before(a.addr):
			return 1
		}
		return 0
	})
}

// found makes the delta, which is settled, the base.
func (h *hosts[A]) found() {
	h.settle()
	h.base, h.delta = h.delta, nil
}

// find returns the set of a listed address, and its place among all.
func (h *hosts[A]) find(addr A) (set uint32, place int, ok bool) {
	place, ok = search(h.delta, addr)
	if ok {
		return h.delta[place].set, len(h.base) + place, h.delta[place].set != nameindex.Unlisted
	}
	if place, ok = search(h.base, addr); !ok {
		return 0, 0, false
	}
	return h.base[place].set, place, true
}

// search finds an address in a list in order.
func search[A family[A]](list []host[A], addr A) (place int, ok bool) {
	from, to := 0, len(list)
	for from < to {
		middle := int(uint(from+to) / 2)
		if list[middle].addr.before(addr) {
			from = middle + 1
		} else {
			to = middle
		}
	}
	return from, from < len(list) && list[from].addr == addr
}

// at returns the address at a place.
func (h *hosts[A]) at(place int) netip.Addr {
	if place < len(h.base) {
		return h.base[place].addr.netip()
	}
	return h.delta[place-len(h.base)].addr.netip()
}

// len is how many places there are.
func (h *hosts[A]) len() int { return len(h.base) + len(h.delta) }
