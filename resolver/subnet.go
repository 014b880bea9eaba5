package resolver

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"cenote/dnsname"
	"cenote/wire"
)

// Subnets says which zones are told of the network of the client that asks (EDNS Client Subnet, RFC 7871). All others never are.
type Subnets struct {
	// Zones are the zones whose servers are told, those of the zones below them among them. None: nobody is.
	Zones []dnsname.Name
	// Bits4 and Bits6 are how much of a client's address they are told, in bits. Default 24 and 56.
	Bits4, Bits6 int
}

func (c *Subnets) check() error {
	if c.Bits4 < 1 || c.Bits4 > 32 || c.Bits6 < 1 || c.Bits6 > 128 {
		return fmt.Errorf("%d and %d bits of clients' addresses: want 1 to 32, and 1 to 128", c.Bits4, c.Bits6)
	}
	return nil
}

// audience is for whom the answer to a question is. The zero value is everybody.
type audience struct {
	some   bool         // the answer may be another one for other clients
	subnet netip.Prefix // the clients for whom it is asked; not valid for those of whom nobody is told
}

// Bounds of what is kept of answers that are for some clients alone.
const (
	scopesMax     = 64     // answers for one question, each for another network
	scopedMost    = 20_000 // of all
	scopedOctets  = 4096   // of one answer
	scopedFor     = time.Hour
	subnetsAtOnce = 16 // networks for which one question is asked at a time: more would help who forges its answer (CVE-2025-5994)
)

// covers returns the subnet to tell for an asker: his address with as many bits as both he and the configuration allow.
func (c *Subnets) covers(asker netip.Prefix) (subnet netip.Prefix) {
	addr := asker.Addr()
	most := c.Bits6
	if addr.Is4() {
		most = c.Bits4
	}
	bits := min(asker.Bits(), most)
	if bits <= 0 || !isPublic(addr) {
		return netip.Prefix{}
	}
	return netip.PrefixFrom(addr, bits).Masked()
}

// isPublic reports whether an address says something to strangers (RFC 7871 section 11.1).
func isPublic(a netip.Addr) bool {
	return a.IsValid() && !a.IsPrivate() && !a.IsLoopback() && !a.IsLinkLocalUnicast() && !a.IsUnspecified() && !a.IsMulticast() && !sharedSpace.Contains(a)
}

// sharedSpace is where carriers number their customers (RFC 6598).
var sharedSpace = netip.MustParsePrefix("100.64.0.0/10")

// lists reports whether the servers of a zone are told.
func (c *Subnets) lists(zone dnsname.Name) bool {
	for _, listed := range c.Zones {
		if atOrBelow(zone, listed) {
			return true
		}
	}
	return false
}

// forSome reports whether the answers of a type may be for some clients alone: those that lead to an address.
func forSome(qtype uint16) bool {
	return qtype == wire.TypeA || qtype == wire.TypeAAAA || wire.IsSVCB(qtype)
}

// audience returns for whom a question is that a client asks, or that leads to what he asks for.
func (s *state) audience(q *question, asker netip.Prefix) audience {
	c := s.config.Recursion
	if c == nil || len(c.Subnets.Zones) == 0 || !forSome(q.qtype) || !c.Subnets.lists(dnsname.Name(q.name)) {
		return audience{}
	}
	if f, _ := s.forwardAt(dnsname.Name(q.name), q.qtype); f != nil {
		return audience{} // who recurses for us would tell whom he likes
	}
	return audience{some: true, subnet: c.Subnets.covers(asker)}
}

// subnetFor is what the servers of a zone are told with a question.
func (it *iteration) subnetFor(z *cut, q *question) netip.Prefix {
	if q.name != it.f.q.name || q.qtype != it.f.q.qtype || z.recurse || !it.s.config.Recursion.Subnets.lists(z.zone) {
		return netip.Prefix{}
	}
	return it.f.q.audience.subnet
}

// address families of RFC 7871 section 6.
const (
	family4 = 1
	family6 = 2
)

// appendSubnet appends the option for a subnet (RFC 7871 section 6): family, source prefix length, scope 0, as many octets as the prefix has.
func appendSubnet(dst []byte, p netip.Prefix) []byte {
	family := uint16(family6)
	if p.Addr().Is4() {
		family = family4
	}
	data := binary.BigEndian.AppendUint16(nil, family)
	data = append(data, byte(p.Bits()), 0)
	data = append(data, p.Addr().AsSlice()[:(p.Bits()+7)/8]...)
	return wire.AppendOption(dst, wire.OptionECS, data)
}

// scopeOf reads for which clients the reply to a query with a subnet is. One without the option, or with scope 0, is for all (the zero Prefix). ok is
// false where it repeats another subnet than was told, so that it belongs to another query (RFC 7871 section 7.3).
func scopeOf(option []byte, told netip.Prefix) (scope netip.Prefix, ok bool) {
	if option == nil {
		return netip.Prefix{}, true
	}
	sent := appendSubnet(nil, told)[4:]
	if len(option) != len(sent) || string(option[:3]) != string(sent[:3]) || string(option[4:]) != string(sent[4:]) {
		return netip.Prefix{}, false
	}
	bits := min(int(option[3]), told.Bits()) // a longer one says nothing of clients of whom it was not told
	if bits == 0 {
		return netip.Prefix{}, true
	}
	return netip.PrefixFrom(told.Addr(), bits).Masked(), true
}

// subnetOption returns the option of a reply, nil if it has none.
func subnetOption(packet []byte) []byte {
	w, err := wire.Records(packet)
	for err == nil && w.Next() {
		if w.Section == wire.SectionAdditional && w.Type == wire.TypeOPT {
			data, _ := optionOf(w.RData(), wire.OptionECS)
			return data
		}
	}
	return nil
}

// narrower returns the smaller one of two scopes that hold the same client.
func narrower(a, b netip.Prefix) netip.Prefix {
	if !a.IsValid() || b.IsValid() && b.Bits() > a.Bits() {
		return b
	}
	return a
}

// narrow takes notice of the clients for whom another flight's answer is, which was needed for an audience. That of a flight for clients of whom nobody is told is for no
// other network than that of who had to put up with it.
func (it *iteration) narrow(wanted audience, f *flight) {
	switch {
	case !wanted.some:
	case f.q.audience != wanted:
		it.f.scope = narrower(it.f.scope, wanted.subnet)
	default:
		it.f.scope = narrower(it.f.scope, f.scope)
	}
}

// scoped is the answers that are for some clients alone, by question and network (RFC 7871 section 7.3.1). They are kept for their TTL and no longer.
type scoped struct {
	mu    sync.Mutex
	all   map[question][]scopedAnswer // by question without its audience
	count int
	most  int
}

// scopedAnswer is an answer for the clients of a network; one that is not valid stands for those of whom nobody is told.
type scopedAnswer struct {
	scope   netip.Prefix
	msg     []byte
	stored  time.Time
	expires time.Time
}

func newScoped() *scoped { return &scoped{all: map[question][]scopedAnswer{}, most: scopedMost} }

// fits reports whether an answer is for an audience.
func (a *scopedAnswer) fits(for_ audience) bool {
	if !a.scope.IsValid() || !for_.subnet.IsValid() {
		return a.scope == for_.subnet
	}
	return a.scope.Bits() <= for_.subnet.Bits() && a.scope.Contains(for_.subnet.Addr())
}

// get appends the answer to a question to dst, with its TTLs aged, and tells for whom it is.
func (s *scoped) get(q question, now time.Time, dst []byte) (msg []byte, scope netip.Prefix, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	to := q.audience
	q.audience = audience{}
	best := -1
	for i, a := range s.all[q] {
		if now.Before(a.expires) && !now.Before(a.stored) && a.fits(to) && (best < 0 || a.scope.Bits() > s.all[q][best].scope.Bits()) {
			best = i
		}
	}
	if best < 0 {
		return dst, netip.Prefix{}, false
	}
	a := &s.all[q][best]
	msg = append(dst[:0], a.msg...)
	age(msg, uint32(now.Sub(a.stored)/time.Second))
	return msg, a.scope, true
}

// put keeps an answer, in place of one for the same network, and reports whether it did.
func (s *scoped) put(q question, scope netip.Prefix, msg []byte, now time.Time) {
	ttl := leastAnswerTTL(msg)
	if ttl == 0 || len(msg) > scopedOctets {
		return
	}
	q.audience = audience{}
	made := scopedAnswer{scope: scope, msg: msg, stored: now, expires: now.Add(min(time.Duration(ttl)*time.Second, scopedFor))}
	s.mu.Lock()
	defer s.mu.Unlock()
	list := s.all[q]
	kept := list[:0]
	for _, a := range list {
		if now.Before(a.expires) && a.scope != scope {
			kept = append(kept, a)
		}
	}
	if len(kept) >= scopesMax {
		kept = append(kept[:0], kept[1:]...) // the first that came
	}
	s.count += len(kept) + 1 - len(list)
	s.all[q] = append(kept, made)
	for other := range s.all {
		if s.count <= s.most {
			break
		}
		if other != q || len(s.all) == 1 {
			s.count -= len(s.all[other])
			delete(s.all, other)
		}
	}
}

// flush forgets the answers to a name, with subtree also below it.
func (s *scoped) flush(name dnsname.Name, subtree bool) (n int) {
	walk(&s.mu, s.all, func(q question, list []scopedAnswer) {
		if known := dnsname.Name(q.name); known == name || subtree && known.IsBelow(name) {
			n += len(list)
			s.count -= len(list)
			delete(s.all, q)
		}
	})
	return n
}

func (s *scoped) len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.count
}

// leastAnswerTTL is the smallest TTL in a message, 0 for one that holds no record.
func leastAnswerTTL(msg []byte) uint32 {
	least, any := ^uint32(0), false
	w, err := wire.Records(msg)
	for err == nil && w.Next() {
		least, any = min(least, w.TTL), true
	}
	if !any {
		return 0
	}
	return least
}

// age lowers the TTLs of a message of ours.
func age(msg []byte, seconds uint32) {
	w, err := wire.Records(msg)
	for err == nil && w.Next() {
		binary.BigEndian.PutUint32(msg[w.TTLOff:], w.TTL-min(seconds, w.TTL))
	}
}

// keepScoped keeps the answer of a flight if it is for some alone, and reports whether it is. What denies is for all (RFC 7871 section 7.4), unless who asked has
// kept his network to himself: then others may get more.
func (r *Resolver) keepScoped(f *flight) bool {
	to := f.q.audience
	if !to.some || to.subnet.IsValid() && (!f.scope.IsValid() || wire.Count(f.msg, 1+wire.SectionAnswer) == 0) {
		return false
	}
	r.scoped.put(f.q, f.scope, f.msg, r.now())
	return true
}

// crowdedSubnets takes a place for a question that is asked for one network, and gives it the audience of those of whom nobody is told where so many are
// asked for at a time. The caller holds mu.
func (r *Resolver) crowdedSubnets(q *question) {
	plain := *q
	plain.audience = audience{some: true}
	if !q.audience.subnet.IsValid() || r.flights.all[*q] != nil {
		return
	}
	if r.flights.subnets[plain] >= subnetsAtOnce {
		r.counts.subnetsShed.Add(1)
		*q = plain
	}
}

// countSubnet notes that a flight begins or ends. The caller holds mu.
func (r *Resolver) countSubnet(q question, by int) {
	if !q.audience.subnet.IsValid() {
		return
	}
	q.audience = audience{some: true}
	if r.flights.subnets[q] += by; r.flights.subnets[q] == 0 {
		delete(r.flights.subnets, q)
	}
}

// peekScoped looks for an answer that is for the audience of a question.
func (r *Resolver) peekScoped(q question, dst []byte) (msg []byte, scope netip.Prefix, ok bool) {
	if !q.audience.some {
		return dst, netip.Prefix{}, false
	}
	msg, scope, ok = r.scoped.get(q, r.now(), dst)
	if ok {
		r.counts.scopedHits.Add(1)
	}
	return msg, scope, ok
}

// askerOf is the asker of a context, not valid for none.
func (l *ledger) askerOf() netip.Prefix {
	if l == nil {
		return netip.Prefix{}
	}
	return l.asker
}
