package policy

import (
	"cmp"
	"net/netip"
	"slices"

	"cenote/nameindex"

	"github.com/gaissmai/bart"
)

// addressRule is an address or a prefix that rules of one trigger list.
type addressRule struct {
	prefix  netip.Prefix
	set     uint32
	trigger Trigger
}

// packedRule is an addressRule in 24 octets without pointers: lists have hundreds of thousands.
type packedRule struct {
	addr    [16]byte // IPv4 as IPv4-mapped IPv6
	set     uint32
	bits    uint8 // of the prefix as it is written
	four    bool
	trigger Trigger
}

func pack(t Trigger, prefix netip.Prefix, set uint32) packedRule {
	return packedRule{addr: prefix.Addr().As16(), set: set, bits: uint8(prefix.Bits()), four: prefix.Addr().Is4(), trigger: t}
}

func (r *packedRule) prefix() netip.Prefix {
	addr := netip.AddrFrom16(r.addr)
	if r.four {
		addr = addr.Unmap()
	}
	return netip.PrefixFrom(addr, int(r.bits))
}

func (r *packedRule) unpack() addressRule {
	return addressRule{prefix: r.prefix(), set: r.set, trigger: r.trigger}
}

// addresses finds the rules by address. A policy that is another one with a delta shares what has not changed with it.
type addresses struct {
	rules  []packedRule
	tables [TriggerNSIP + 1]*bart.Table[uint32] // by trigger: indices into rules; nil for none
}

// addressesOf makes the tables of an index without its delta.
func addressesOf(index *nameindex.Index) (a addresses) {
	for key, set := range index.Base().Apart() {
		if prefix, ok := KeyPrefix(key); ok {
			entry, table := a.add(TriggerOf(key), prefix, set)
			table.Insert(prefix, entry)
		}
	}
	a.rules = slices.Clone(a.rules) // without the room in which it grew
	return a
}

// with returns the tables as the delta of an index changes them. a itself stays as it is.
func (a addresses) with(index *nameindex.Index) addresses {
	a.rules = slices.Clip(a.rules)
	for key, set := range index.ApartOfDelta() {
		prefix, ok := KeyPrefix(key)
		t := TriggerOf(key)
		switch {
		case !ok:
		case set == nameindex.Unlisted && a.tables[t] != nil:
			a.tables[t] = a.tables[t].DeletePersist(prefix)
		case set != nameindex.Unlisted:
			entry, table := a.add(t, prefix, set)
			a.tables[t] = table.InsertPersist(prefix, entry)
		}
	}
	return a
}

// add notes a rule and returns its number, and the table that it belongs into.
func (a *addresses) add(t Trigger, prefix netip.Prefix, set uint32) (uint32, *bart.Table[uint32]) {
	a.rules = append(a.rules, pack(t, prefix, set))
	if a.tables[t] == nil {
		a.tables[t] = new(bart.Table[uint32])
	}
	return uint32(len(a.rules) - 1), a.tables[t]
}

// addressHit is a rule by address that an address falls under.
type addressHit struct {
	addressRule
	entry uint32 // index into addresses.rules
}

// any reports whether a rule of the trigger lists addr.
func (a *addresses) any(t Trigger, addr netip.Addr) bool {
	table := a.tables[t]
	if table == nil || !addr.IsValid() {
		return false
	}
	if _, ok := table.Lookup(addr); ok || addr.Is4() {
		return ok
	}
	if within, ok := embedded(addr); ok {
		_, ok = table.Lookup(within)
		return ok
	}
	return false
}

// nat64 is the prefix under which IPv6 clients reach IPv4 addresses (RFC 6052 section 2.1).
var nat64 = netip.MustParsePrefix("64:ff9b::/96")

// embedded returns the IPv4 address that hosts reach by an IPv6 address, if there is one.
func embedded(addr netip.Addr) (netip.Addr, bool) {
	if addr.Is4In6() {
		return addr.Unmap(), true
	}
	if !nat64.Contains(addr) {
		return netip.Addr{}, false
	}
	b := addr.As16()
	return netip.AddrFrom4([4]byte(b[12:])), true
}

// find appends the rules of the trigger that list addr to hits.
func (a *addresses) find(hits []addressHit, t Trigger, addr netip.Addr) []addressHit {
	if !a.any(t, addr) {
		return hits
	}
	for _, entry := range a.tables[t].Supernets(netip.PrefixFrom(addr, addr.BitLen())) {
		hits = append(hits, addressHit{a.rules[entry].unpack(), entry})
	}
	if within, ok := embedded(addr); ok {
		return a.find(hits, t, within)
	}
	return hits
}

// inOrder brings hits of one trigger into the order of precedence within a zone: the longest prefix first, that of IPv4 counted as one of IPv6,
// then the smaller address (RPZ draft section 5.5 and 5.6). A rule that several addresses fall under stays once.
func inOrder(hits []addressHit) []addressHit {
	slices.SortFunc(hits, func(a, b addressHit) int {
		return cmp.Or(cmp.Compare(internalBits(b.prefix), internalBits(a.prefix)), internalAddr(a.prefix).Compare(internalAddr(b.prefix)), cmp.Compare(a.entry, b.entry))
	})
	return slices.CompactFunc(hits, func(a, b addressHit) bool { return a.entry == b.entry })
}

// internalBits is the length of a prefix as one of IPv6.
func internalBits(p netip.Prefix) int {
	if p.Addr().Is4() {
		return p.Bits() + 96
	}
	return p.Bits()
}

// internalAddr is the address as a number of 128 bits: one of IPv4 has zeros before it.
func internalAddr(p netip.Prefix) netip.Addr {
	if !p.Addr().Is4() {
		return p.Addr()
	}
	var b [16]byte
	four := p.Addr().As4()
	copy(b[12:], four[:])
	return netip.AddrFrom16(b)
}
