package policy

import (
	"cmp"
	"net/netip"
	"slices"

	"cenote/nameindex"

	"github.com/gaissmai/bart"
)

// addressRule is an address or a prefix that rules of one trigger list, in 24 octets without pointers.
type addressRule struct {
	addr    [16]byte // IPv4 as IPv4-mapped IPv6
	set     uint32
	bits    uint8 // of the prefix as it is written
	four    bool
	trigger Trigger
}

func ruleOf(t Trigger, prefix netip.Prefix, set uint32) addressRule {
	return addressRule{addr: prefix.Addr().As16(), set: set, bits: uint8(prefix.Bits()), four: prefix.Addr().Is4(), trigger: t}
}

func (r *addressRule) prefix() netip.Prefix {
	addr := netip.AddrFrom16(r.addr)
	if r.four {
		addr = addr.Unmap()
	}
	return netip.PrefixFrom(addr, int(r.bits))
}

// addresses finds the rules by address. A policy that is another one with a delta shares what has not changed with it. The rules of one trigger have
// numbers, by which hits name them: the prefixes have their place in rules, the single addresses come behind those.
type addresses struct {
	rules  []addressRule              // by prefixes
	tables [TriggerNSIP + 1]ruleTable // by trigger
}

// ruleTable finds the rules of one trigger.
type ruleTable struct {
	wide *bart.Table[uint32] // prefixes of more than one address: indices into rules; nil for none
	four hosts[hostIPv4]
	six  hosts[hostIPv6]
}

// addressesOf makes the tables of an index without its delta.
func addressesOf(index *nameindex.Index) (a addresses) {
	for key, set := range index.Base().Apart() {
		t := TriggerOf(key)
		table := &a.tables[t]
		if prefix, ok := KeyPrefix(key); ok && !table.noteHost(prefix, set) {
			if table.wide == nil {
				table.wide = new(bart.Table[uint32])
			}
			table.wide.Insert(prefix, a.add(t, prefix, set))
		}
	}
	a.rules = slices.Clone(a.rules) // without the room in which it grew
	for t := range a.tables {
		a.tables[t].four.found()
		a.tables[t].six.found()
	}
	return a
}

// with returns the tables as the delta of an index changes them. a itself, which has no delta, stays as it is.
func (a addresses) with(index *nameindex.Index) addresses {
	a.rules = slices.Clip(a.rules)
	for key, set := range index.ApartOfDelta() {
		t := TriggerOf(key)
		if prefix, ok := KeyPrefix(key); ok && !a.tables[t].noteHost(prefix, set) {
			a.change(t, prefix, set)
		}
	}
	for t := range a.tables {
		a.tables[t].four.settle()
		a.tables[t].six.settle()
	}
	return a
}

// change gives a prefix another set, in a table that nobody else has.
func (a *addresses) change(t Trigger, prefix netip.Prefix, set uint32) {
	table := &a.tables[t]
	if table.wide == nil {
		table.wide = new(bart.Table[uint32])
	}
	if set == nameindex.Unlisted {
		table.wide = table.wide.DeletePersist(prefix)
		return
	}
	table.wide = table.wide.InsertPersist(prefix, a.add(t, prefix, set))
}

// add notes a rule by a prefix of more than one address and returns its number.
func (a *addresses) add(t Trigger, prefix netip.Prefix, set uint32) uint32 {
	a.rules = append(a.rules, ruleOf(t, prefix, set))
	return uint32(len(a.rules) - 1)
}

// noteHost notes the set of a single address. It reports false if the prefix has more.
func (t *ruleTable) noteHost(prefix netip.Prefix, set uint32) bool {
	addr := prefix.Addr()
	switch {
	case !prefix.IsSingleIP():
		return false
	case addr.Is4():
		t.four.note(addr.As4(), set)
	default:
		t.six.note(addr.As16(), set)
	}
	return true
}

// findHost returns the set of a single address that a rule lists, and its place: those of IPv4 come first.
func (t *ruleTable) findHost(addr netip.Addr) (set uint32, place int, ok bool) {
	if addr.Is4() {
		return t.four.find(addr.As4())
	}
	set, place, ok = t.six.find(addr.As16())
	return set, t.four.len() + place, ok
}

// host returns the single address at a place, none if there is no such place.
func (t *ruleTable) host(place int) netip.Addr {
	switch n := t.four.len(); {
	case place < n:
		return t.four.at(place)
	case place < n+t.six.len():
		return t.six.at(place - n)
	}
	return netip.Addr{}
}

// lists reports whether a rule lists addr itself.
func (t *ruleTable) lists(addr netip.Addr) bool {
	if t.wide != nil {
		if _, ok := t.wide.Lookup(addr); ok {
			return true
		}
	}
	_, _, ok := t.findHost(addr)
	return ok
}

// has reports whether there are rules of the trigger.
func (a *addresses) has(t Trigger) bool {
	table := &a.tables[t]
	return table.wide != nil || table.four.len()+table.six.len() > 0
}

// prefix returns what the rule of the trigger with a number lists; none if there is no such rule.
func (a *addresses) prefix(t Trigger, entry uint32) netip.Prefix {
	if int(entry) < len(a.rules) {
		return a.rules[entry].prefix()
	}
	addr := a.tables[t].host(int(entry) - len(a.rules))
	return netip.PrefixFrom(addr, addr.BitLen())
}

// any reports whether a rule of the trigger lists addr.
func (a *addresses) any(t Trigger, addr netip.Addr) bool {
	table := &a.tables[t]
	if !addr.IsValid() || !a.has(t) {
		return false
	}
	if table.lists(addr) {
		return true
	}
	within, ok := embedded(addr)
	return ok && table.lists(within)
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

// addressHit is a rule by address that an address falls under, or one by pattern that a name matches.
type addressHit struct {
	addressRule
	entry uint32 // its number
}

// hitsFew is how many rules by address of one trigger a look-up takes without allocation.
const hitsFew = 4

// addressHits are rules by address of one trigger.
type addressHits struct {
	few  [hitsFew]addressHit
	n    int          // how many are in few
	many []addressHit // all, if few has not the room
}

func (l *addressHits) add(h addressHit) {
	switch {
	case l.many != nil:
		l.many = append(l.many, h)
	case l.n < hitsFew:
		l.few[l.n] = h
		l.n++
	default:
		l.many = append(slices.Clone(l.few[:]), h)
	}
}

// list returns them all. It lives until the next add.
func (l *addressHits) list() []addressHit {
	if l.many != nil {
		return l.many
	}
	return l.few[:l.n]
}

// find adds the rules of the trigger that list addr to hits.
func (a *addresses) find(hits *addressHits, t Trigger, addr netip.Addr) {
	if !addr.IsValid() || !a.has(t) {
		return
	}
	a.cover(hits, t, netip.PrefixFrom(addr, addr.BitLen()))
	if within, ok := embedded(addr); ok {
		a.cover(hits, t, netip.PrefixFrom(within, within.BitLen()))
	}
}

// cover adds the rules of the trigger that list all addresses of a prefix to hits.
func (a *addresses) cover(hits *addressHits, t Trigger, prefix netip.Prefix) {
	table := &a.tables[t]
	if prefix.IsSingleIP() {
		if set, place, ok := table.findHost(prefix.Addr()); ok {
			hits.add(addressHit{ruleOf(t, prefix, set), uint32(len(a.rules) + place)})
		}
	}
	for at := prefix; table.wide != nil; { // an iterator's loop would cost an allocation
		longest, entry, ok := table.wide.LookupPrefixLPM(at)
		if !ok {
			return
		}
		hits.add(addressHit{a.rules[entry], entry})
		if longest.Bits() == 0 {
			return
		}
		at = netip.PrefixFrom(longest.Addr(), longest.Bits()-1).Masked()
	}
}

// settle brings hits of one trigger into the order of precedence within a zone: the longest prefix first, that of IPv4 counted as one of IPv6,
// then the smaller address (RPZ draft section 5.5 and 5.6). A rule that several addresses fall under stays once.
func (l *addressHits) settle() {
	list := l.list()
	if len(list) < 2 {
		return
	}
	slices.SortFunc(list, func(a, b addressHit) int {
		p, q := a.prefix(), b.prefix()
		return cmp.Or(cmp.Compare(internalBits(q), internalBits(p)), internalAddr(p).Compare(internalAddr(q)),
			cmp.Compare(b.trigger, a.trigger), cmp.Compare(a.entry, b.entry)) // of name servers' addresses, a rule about those comes before one that counts for them too
	})
	n := len(slices.CompactFunc(list, func(a, b addressHit) bool { return a.entry == b.entry && a.trigger == b.trigger }))
	if l.many != nil {
		l.many = l.many[:n]
		return
	}
	l.n = n
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
