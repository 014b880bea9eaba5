package zone

import (
	"fmt"
	"hash/maphash"
	"iter"
	"maps"
	"net/netip"
	"slices"

	"cenote/dnsname"
	"cenote/wire"
)

// chainMax is how many aliases of one answer are followed; more is a fault of the zones, and the client gets those that were found.
const chainMax = 16

// Question is what is asked of a Set.
type Question struct {
	Name  []byte // canonical
	Type  uint16
	DO    bool // signatures and proofs are wanted
	CO    bool // compact denial (RFC 9824) is known, so that a name that is not there can be called so
	Limit int  // how long the answer may be
	// Recurses says that whoever asks gets an answer from the world where the zones end: then a referral, and what a parent says of an apex, is
	// left to the world.
	Recurses bool
	// Client is whose address a zone's own list looks at; Admitted says that the server's list admits it, which counts for zones without one.
	Client   netip.Addr
	Admitted bool
	// Room is where the Target of the answer is put.
	Room *[dnsname.WireMax]byte
}

// Answer is what a Set says.
type Answer struct {
	Zone *Zone  // that the question falls into
	Msg  []byte // with the question first, and the flags AA and TC as they are to be; nil beside a Zone that could not be loaded, or Elsewhere
	// Elsewhere says that the name is in the zone, but not for it to answer: whoever recurses asks the world.
	Elsewhere bool
	// Compact says that the zone denies by compact denial (RFC 9824).
	Compact bool
	Target  []byte // canonical: where the last alias leads, if that is for others to answer; nil otherwise
}

// Served is a zone, and who may see it.
type Served struct {
	Zone *Zone
	// History leads to Zone. Nil: there is none.
	History *History
	// Online denies compactly what Zone, which it has signed, does not have. Nil: Zone proves it.
	Online *Online
	// Allow says whether an address may ask. Nil: every one that the server admits.
	Allow func(netip.Addr) bool
	// Transfer says whether an address may be sent the zone. Nil: nobody may.
	Transfer func(netip.Addr) bool
	// TransferKeys are the keys by one of which a request for the zone has to be signed. None: it need not be.
	TransferKeys []dnsname.Name
	// RequireTLS has it sent over TLS alone.
	RequireTLS bool
	// Notify are the secondaries that are told of changes.
	Notify []Notified
	// Updates say who may change the zone by messages. Nil: nobody.
	Updates *Updates
	// NotifyFrom says whether an address may tell that the zone has changed at its primaries. Nil: it is taken from nobody, and hears nothing.
	NotifyFrom func(netip.Addr) bool
	// NotifyKeys are keys by which a notice is heard from everywhere.
	NotifyKeys []dnsname.Name
	// Template is comparable; zones with the same one have the same Allow, Transfer and NotifyFrom, and no Updates. Nil: they are the zone's own.
	Template any
}

// HearsNotices reports whether anybody may tell that the zone has changed.
func (s *Served) HearsNotices() bool { return s.NotifyFrom != nil }

// HearsFrom reports whether an address may tell so without a key.
func (s *Served) HearsFrom(client netip.Addr) bool {
	return s.NotifyFrom != nil && s.NotifyFrom(client)
}

// MayNotify reports whether an address may tell so, with a key by which it has signed, or "".
func (s *Served) MayNotify(client netip.Addr, key dnsname.Name) bool {
	return s.HearsFrom(client) || s.HearsNotices() && key != "" && slices.Contains(s.NotifyKeys, key)
}

// MayTransfer reports whether an address may be sent the zone, with a key by which it has signed, or "".
func (s *Served) MayTransfer(client netip.Addr, key dnsname.Name) bool {
	return s.Lists(client) && (len(s.TransferKeys) == 0 || slices.Contains(s.TransferKeys, key))
}

// Lists reports whether an address is on the list of those who may be sent the zone.
func (s *Served) Lists(client netip.Addr) bool { return s.Transfer != nil && s.Transfer(client) }

// online is Online, if the zone has what stands in for it.
func (s *Served) online() *Online {
	if len(s.Zone.nsecs) == 0 {
		return nil
	}
	return s.Online
}

func (s *Served) may(q *Question) bool {
	if s.Allow != nil {
		return s.Allow(q.Client)
	}
	return q.Admitted
}

// Set is the zones of a server. It never changes.
type Set struct {
	*outline
	shards []map[string]*Served // of apexes, by their hash: as many as a power of two
	seed   maphash.Seed
}

// outline is what a Set has beside the versions of its zones, which come and go without it.
type outline struct {
	labels  [dnsname.LabelsMax + 1]bool // whether an apex has so many labels
	depth   int                         // the most labels of an apex
	lists   []func(netip.Addr) bool     // of the zones that have one
	hears   bool                        // a zone hears notices
	heard   map[string][]Heard          // of which notices are heard though no zone is served
	updates bool                        // a zone takes updates
}

// shardZones is how many zones a shard has at most in the mean: as many are copied for each other version of one of them.
const shardZones = 128

// NewSet makes a set of zones, no two of the same name.
func NewSet(zones ...Served) (*Set, error) {
	s := &Set{outline: new(outline), shards: make([]map[string]*Served, 1), seed: maphash.MakeSeed()}
	for len(s.shards)*shardZones < len(zones) {
		s.shards = make([]map[string]*Served, 2*len(s.shards))
	}
	for i := range s.shards {
		s.shards[i] = make(map[string]*Served, len(zones)/len(s.shards))
	}
	templates := map[any]bool{}
	for i := range zones {
		z := zones[i].Zone
		shard := s.shards[s.shardOf([]byte(z.apex))]
		if shard[string(z.apex)] != nil {
			return nil, fmt.Errorf("zone %s is there twice", z.apex)
		}
		shard[string(z.apex)] = &zones[i]
		s.trace(&zones[i], templates)
	}
	return s, nil
}

// trace adds a zone to the outline. templates are those that were seen.
func (o *outline) trace(s *Served, templates map[any]bool) {
	lists := []func(netip.Addr) bool{s.Allow, s.Transfer, s.NotifyFrom}
	if u := s.Updates; u != nil {
		lists, o.updates = append(lists, u.Allow), true
	}
	if s.Template != nil && templates[s.Template] {
		lists = nil // they are there, and looked at for each stranger
	}
	templates[s.Template] = true
	for _, list := range lists {
		if list != nil {
			o.lists = append(o.lists, list)
		}
	}
	o.hears = o.hears || s.HearsNotices()
	o.labels[s.Zone.labels] = true
	o.depth = max(o.depth, s.Zone.labels)
}

// with is s with other versions of some of its zones, whose lists and rules are those that they had.
func (s *Set) with(zones []Served) *Set {
	out := *s
	out.shards = slices.Clone(s.shards)
	copied := make(map[int]bool, len(zones))
	for i := range zones {
		apex := zones[i].Zone.apex
		shard := s.shardOf([]byte(apex))
		if !copied[shard] {
			out.shards[shard], copied[shard] = maps.Clone(s.shards[shard]), true
		}
		out.shards[shard][string(apex)] = &zones[i]
	}
	return &out
}

func (s *Set) shardOf(apex []byte) int {
	if len(s.shards) == 1 {
		return 0
	}
	return int(maphash.Bytes(s.seed, apex) & uint64(len(s.shards)-1))
}

// at is the zone of an apex, or nil.
func (s *Set) at(apex []byte) *Served { return s.shards[s.shardOf(apex)][string(apex)] }

// Allows reports whether the address of q may see what the set has for its question: whether there is a zone for it that has a list of its own, and is
// on it.
func (s *Set) Allows(q *Question) bool {
	z := s.closest(q.Name, q)
	return z != nil && z.Allow != nil && z.Allow(q.Client)
}

// HearsNotices reports whether a zone of the set hears notices.
func (s *Set) HearsNotices() bool { return s != nil && s.hears }

// Heard is a zone that is taken from primaries and not served: notices of it are heard all the same.
type Heard struct {
	Name dnsname.Name
	// From and Keys are NotifyFrom and NotifyKeys of Served.
	From func(netip.Addr) bool
	Keys []dnsname.Name
}

// hear adds zones that are heard of and not served.
func (s *Set) hear(all []Heard) {
	s.heard = make(map[string][]Heard, len(all))
	for _, h := range all {
		apex := string(h.Name.Canonical())
		s.heard[apex], s.hears = append(s.heard[apex], h), true
		s.lists = append(s.lists, h.From)
	}
}

// HearsFrom reports whether an address may tell without a key that a zone has changed. apex is canonical.
func (s *Set) HearsFrom(apex []byte, client netip.Addr) bool {
	z := s.Exact(apex)
	return z != nil && z.HearsFrom(client) || slices.ContainsFunc(s.heardOf(apex), func(h Heard) bool { return h.From(client) })
}

// MayNotify reports whether anybody may tell that a zone has changed, and whether an address may, with a key by which it has signed, or "".
func (s *Set) MayNotify(apex []byte, client netip.Addr, key dnsname.Name) (known, may bool) {
	z, heard := s.Exact(apex), s.heardOf(apex)
	known = z != nil && z.HearsNotices() || len(heard) > 0
	may = z != nil && z.MayNotify(client, key) || slices.ContainsFunc(heard, func(h Heard) bool {
		return h.From(client) || key != "" && slices.Contains(h.Keys, key)
	})
	return known, may
}

func (s *Set) heardOf(apex []byte) []Heard {
	if s == nil {
		return nil
	}
	return s.heard[string(apex)]
}

// Admits reports whether an address is on a list of any zone that has one of its own, for queries, transfers, notices or updates.
func (s *Set) Admits(client netip.Addr) bool {
	if s == nil {
		return false
	}
	for _, allow := range s.lists {
		if allow(client) {
			return true
		}
	}
	return false
}

// TakesUpdates reports whether there is a zone that is changed by UPDATE messages.
func (s *Set) TakesUpdates() bool { return s != nil && s.updates }

// Find returns the zone that is closest to a canonical name: its apex is the name or the next above it. It returns nil if there is none.
func (s *Set) Find(name []byte) *Zone {
	if z := s.find(name, false); z != nil {
		return z.Zone
	}
	return nil
}

// Exact returns the zone whose apex is a canonical name, or nil. What it points to never changes.
func (s *Set) Exact(apex []byte) *Served {
	if s == nil {
		return nil
	}
	return s.at(apex)
}

// All visits every zone, in no order.
func (s *Set) All() iter.Seq2[dnsname.Name, *Served] {
	return func(yield func(dnsname.Name, *Served) bool) {
		if s == nil {
			return
		}
		for _, shard := range s.shards {
			for apex, z := range shard {
				if !yield(dnsname.Name(apex), z) {
					return
				}
			}
		}
	}
}

// find is Find; above leaves out the zone whose apex is the name.
func (s *Set) find(name []byte, above bool) *Served {
	if s == nil {
		return nil
	}
	var offsets [dnsname.LabelsMax + 1]uint8
	n := dnsname.Offsets(name, &offsets)
	first := max(0, n-s.depth)
	if above {
		first = max(first, 1)
	}
	for i := first; i <= n; i++ {
		if !s.labels[n-i] {
			continue
		}
		off := len(name) - 1
		if i < n {
			off = int(offsets[i])
		}
		if z := s.at(name[off:]); z != nil {
			return z
		}
	}
	return nil
}

// closest is the zone that answers for a name. What a cut's DS records are is known above it (RFC 4035 section 3.1.4.1).
func (s *Set) closest(name []byte, q *Question) *Served {
	z := s.find(name, false)
	if z != nil && q.Type == wire.TypeDS && len(z.Zone.apex) == len(name) && len(name) > 1 {
		if parent := s.find(name, true); parent != nil {
			return parent
		}
		if q.Recurses {
			return nil
		}
	}
	return z
}

// answerFrom looks in the zone of a step. It does so again if that takes signatures which are made on line.
func (s *search) answerFrom(z *Served) outcome {
	before, rcode := s.m.mark(), s.rcode
	s.wish = wish{}
	result := s.lookup()
	if s.wish.size == 0 {
		return result
	}
	s.wish.sigs, s.wish.count = z.Online.signatures(s.name[len(s.name)-s.wish.size:], s.wish.rtype, s.wish.ttl, s.wish.data)
	s.wish.made, s.rcode = true, rcode
	s.m.back(before)
	return s.lookup()
}

// Answer answers a question from the zones, in dst, without allocation. It follows aliases as long as they lead into zones of the set.
func (s *Set) Answer(dst []byte, q *Question) (a Answer) {
	z := s.closest(q.Name, q)
	if z == nil {
		return Answer{Zone: s.Find(q.Name), Elsewhere: true}
	}
	if !z.may(q) {
		return Answer{}
	}
	a.Zone = z.Zone
	if z.Zone.absent {
		return a
	}
	a.Compact = z.online() != nil
	var m message
	m.begin(dst, q)
	w := search{m: &m, name: q.Name, qtype: q.Type, recurses: q.Recurses}
	var visited [chainMax]uint64
	leaves := false
	for step := range chainMax {
		w.z, w.zone, m.zones[step], visited[step] = z.Zone, uint8(step), z.Zone, maphash.Bytes(s.seed, w.name)
		w.compacts = z.online() != nil
		result := w.answerFrom(z)
		if leaves = result == outcomeReferral && q.Recurses; leaves && step == 0 {
			return Answer{Zone: a.Zone, Elsewhere: true}
		}
		if result != outcomeAlias {
			break
		}
		w.name = m.current()
		if hash := maphash.Bytes(s.seed, w.name); slices.Contains(visited[:step+1], hash) {
			break // a loop: all that there is of it is in the answer
		}
		if z = s.closest(w.name, q); z == nil || !z.may(q) {
			leaves = true
			break
		}
		if z.Zone.absent {
			w.rcode = wire.RcodeServFail
			break
		}
	}
	if leaves {
		a.Target = q.Room[:copy(q.Room[:], w.name)]
	}
	m.flush()
	a.Msg = m.finish(w.rcode, w.flags)
	return a
}
