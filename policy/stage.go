package policy

import (
	"bytes"
	"cmp"
	"math"
	"slices"

	"cenote/dnsname"
	"cenote/nameindex"
)

// stage is one name of a query's chain with all that is known of it. It serves those names of which an address or a name server is listed; for all
// others check is enough. It holds what it finds in itself, so that a listed address costs no allocation.
type stage struct {
	policy *Policy
	asking
	octets   [dnsname.WireMax]byte // of the name, canonical
	size     int                   // how many octets it has
	number   uint8
	link     uint16                                 // see Hit
	patterns []addressHit                           // that match the name
	matches  [dnsname.LabelsMax + 1]nameindex.Match // what is listed at and above the name
	matched  int                                    // how many matches there are
	clients  addressHits                            // of the client's address, at the first stage
	ips      addressHits                            // of the addresses that are answered
	nsips    addressHits                            // of the name servers' addresses
	servers  []serverListing                        // of the name servers
}

// serverListing is a name server of whose name, or one above it, rules list something.
type serverListing struct {
	listing
	name    []byte
	key     []byte // by which it is looked up
	entry   uint32 // its number in the data path
	implied bool   // the rules are about names, and count for servers too
}

// rename copies the stage's name, canonical, into it.
func (s *stage) rename(name []byte) { s.size = copy(s.octets[:], name) }

func (s *stage) name() []byte { return s.octets[:s.size] }

// names is what is listed at and above the name, when look has found it.
func (s *stage) names() listing {
	v := s.listing(s.policy, countLabels(s.name()))
	v.matches = s.matches[:s.matched]
	return v
}

// client notes the rules that list the client.
func (s *stage) client() {
	s.policy.addresses.find(&s.clients, TriggerClientIP, s.request.Client.Addr())
	s.clients.settle()
}

// path notes the rules that list the name servers.
func (s *stage) path(path *Path) {
	number := uint32(0)
	for i := range path.Servers {
		server := &path.Servers[i]
		s.server(server.Name, number)
		number++
		for _, addr := range server.Addrs {
			s.policy.addresses.find(&s.nsips, TriggerNSIP, addr)
			if s.policy.ipAsNS {
				s.policy.addresses.find(&s.nsips, TriggerIP, addr)
			}
		}
	}
	s.nsips.settle()
}

func (s *stage) server(name []byte, number uint32) {
	var room [dnsname.WireMax]byte
	key, labels := serverKey(room[:0], name)
	s.serverBy(name, key, labels, number, false)
	if s.policy.qnameAsNS {
		s.serverBy(name, name, countLabels(name), number, true)
	}
}

// serverBy notes the rules that list a name server by one key.
func (s *stage) serverBy(name, key []byte, labels uint8, number uint32, implied bool) {
	var many [dnsname.LabelsMax + 1]nameindex.Match
	if n := s.policy.index.Walk(key, many[:]); s.policy.saysAny(many[:n], labels) {
		v := s.listing(s.policy, labels)
		v.matches = append(v.matches, many[:n]...)
		s.servers = append(s.servers, serverListing{listing: v, name: name, key: bytes.Clone(key), entry: number, implied: implied})
	}
}

// serverKey appends the key by which a name server is looked up to dst, which is empty, and returns how many labels it counts. Of a name that has no room
// for the last label the first ones are left out: it lies below what is left.
func serverKey(dst, name []byte) (key []byte, labels uint8) {
	key, ok := AppendNameKey(dst, name)
	labels = countLabels(key)
	for rest := name; !ok; {
		rest = rest[1+int(rest[0]):]
		key, ok = AppendNameKey(dst, rest)
		labels = countLabels(key) + 1
	}
	return key, labels
}

// saysAny reports whether a match is more than a sign that others lie below it.
func (p *Policy) saysAny(matches []nameindex.Match, labels uint8) bool {
	return slices.ContainsFunc(matches, func(m nameindex.Match) bool {
		return len(p.said(m, labels)) > 0 || p.typed || p.sets[m.Set].until != math.MaxUint32
	})
}

// found reports whether anything but the name is listed.
func (s *stage) found() bool {
	return len(s.clients.list())+len(s.ips.list())+len(s.nsips.list())+len(s.servers) > 0
}

// check adds to d what the policy says about all that is known.
func (s *stage) check(d *Decision) {
	s.look()
	for zone := s.scope.from; zone < s.scope.to; zone++ {
		if s.policy.zones[zone].spares(!s.request.RD, s.signed) {
			continue
		}
		watched, decider := s.consult(zone)
		if watched.Trigger != TriggerNone {
			s.policy.take(d, watched, false)
		}
		if decider.Trigger != TriggerNone {
			s.policy.take(d, decider, true)
		}
	}
}

// look finds what is listed at and above the name.
func (s *stage) look() {
	s.matched = s.policy.index.Walk(s.name(), s.matches[:])
	s.patterns = s.policy.patterns.find(s.name())
}

// consult asks one zone, trigger by trigger in the order of precedence. decider is the hit that decides for the zone, watched the first of those
// that cannot, if it comes before decider.
func (s *stage) consult(zone int) (watched, decider Hit) {
	for t := TriggerClientIP; t <= TriggerNSIP; t++ {
		w, d := s.ask(t, zone)
		if watched.Trigger == TriggerNone {
			watched = w
		}
		if d.Trigger != TriggerNone || s.policy.zones[zone].LogOnly && watched.Trigger != TriggerNone {
			return watched, d
		}
	}
	return watched, decider
}

func (s *stage) ask(t Trigger, zone int) (watched, decider Hit) {
	switch t {
	case TriggerClientIP:
		return s.askAddresses(t, s.clients.list(), zone)
	case TriggerQNAME:
		names := s.names()
		return s.askListing(&names, zone)
	case TriggerPattern:
		return s.askAddresses(t, s.patterns, zone)
	case TriggerIP:
		return s.askAddresses(t, s.ips.list(), zone)
	case TriggerNSDNAME:
		return s.askServers(zone)
	case TriggerNSIP:
		return s.askAddresses(t, s.nsips.list(), zone)
	case TriggerNone:
	}
	return watched, decider
}

func (s *stage) askListing(v *listing, zone int) (watched, decider Hit) {
	w, d := v.consult(zone)
	if w.match >= 0 {
		watched = v.hit(w, zone, s.number)
	}
	if d.match >= 0 {
		decider = v.hit(d, zone, s.number)
	}
	return watched, decider
}

// askAddresses asks about addresses of one trigger, which come in the order of precedence.
func (s *stage) askAddresses(t Trigger, hits []addressHit, zone int) (watched, decider Hit) {
	names := s.names()
	for i := range hits {
		implied := hits[i].trigger != t
		if implied && !s.policy.zones[zone].IPAsNS {
			continue
		}
		match := [1]nameindex.Match{{Set: hits[i].set, Labels: 1}}
		v := s.listing(s.policy, 1)
		v.matches = match[:]
		if hits[i].trigger == TriggerPattern {
			v.beside = &names
		}
		w, d := s.askListing(&v, zone)
		for _, h := range []*Hit{&w, &d} {
			if h.Trigger != TriggerNone {
				h.Trigger, h.Entry, h.Labels, h.Implied = t, hits[i].entry, 0, implied
			}
		}
		if watched.Trigger == TriggerNone {
			watched = w
		}
		if d.Trigger != TriggerNone {
			return watched, d
		}
	}
	return watched, decider
}

// askServers asks about the names of the servers: one that is itself listed comes before one below a listed name, then the longer listed name, then
// the server's name that is the last in canonical order (RPZ draft section 5.2 and 5.4, RFC 4034 section 6.1), then the rule that is about servers.
func (s *stage) askServers(zone int) (watched, decider Hit) {
	var best, bestWatched *serverListing
	for i := range s.servers {
		v := &s.servers[i]
		if v.implied && !s.policy.zones[zone].QNAMEAsNS {
			continue
		}
		w, d := s.askListing(&v.listing, zone)
		for _, h := range []*Hit{&w, &d} {
			if h.Trigger != TriggerNone {
				h.Trigger, h.Entry, h.Implied = TriggerNSDNAME, v.entry, v.implied
			}
		}
		if d.Trigger != TriggerNone && (best == nil || v.before(&d, best, &decider)) {
			best, decider = v, d
		}
		if w.Trigger != TriggerNone && (bestWatched == nil || v.before(&w, bestWatched, &watched)) {
			bestWatched, watched = v, w
		}
	}
	if best != nil && bestWatched != nil && best.before(&decider, bestWatched, &watched) {
		watched = Hit{}
	}
	return watched, decider
}

// before reports whether a hit of v comes before one of other.
func (v *serverListing) before(h *Hit, other *serverListing, o *Hit) bool {
	whole := func(v *serverListing, h *Hit) int {
		if h.Labels == v.labels {
			return 1
		}
		return 0
	}
	stated := func(h *Hit) int {
		if h.Implied {
			return 0
		}
		return 1
	}
	return cmp.Or(cmp.Compare(whole(v, h), whole(other, o)), cmp.Compare(h.serverLabels(), o.serverLabels()),
		dnsname.Compare(dnsname.Name(v.name), dnsname.Name(other.name)), cmp.Compare(stated(h), stated(o))) > 0
}

// serverLabels is how many labels the name has that lists a server, with the one by which such rules are told from others.
func (h *Hit) serverLabels() uint8 {
	if h.Implied {
		return h.Labels + 1
	}
	return h.Labels
}
