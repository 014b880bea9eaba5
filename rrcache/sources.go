package rrcache

import (
	"cenote/dnsname"
	"cenote/wire"
)

// GroupMax is the highest Key.Group.
const GroupMax = 1<<14 - 1

// SourceZone is a zone whose names are asked of a source of their own.
type SourceZone struct {
	Zone  dnsname.Name // canonical; zero for a source that only a Key with its Group leads to
	Group uint16       // as Key.Group has it
	Label string       // what people call the source. Example: forward corp.example
	// Identity tells the source from others that the zone may have had, over a restart too: a dump has answers of the same source where zone and Identity are the same. 64 octets count.
	Identity string
}

// Sources says by whom the answers for each name are given: the source of the closest zone at or above it, and Group 0 where there is none.
// It is never changed; NewSources makes one.
type Sources struct {
	zones  map[string]uint16 // by canonical wire form
	depths [dnsname.LabelsMax + 1]bool
	labels map[uint16]string
	terms  map[term]bool
	other  string
	basis  string
}

// NewSources returns the sources of some zones. Of two for one zone the first counts. other is what people call the source of all other names.
func NewSources(zones []SourceZone, other string, conditions ...Condition) *Sources {
	s := &Sources{zones: map[string]uint16{}, labels: map[uint16]string{}, terms: map[term]bool{}, other: other}
	for _, c := range conditions {
		s.terms[termOf(c.Zone, c.Identity)] = true
	}
	for _, z := range zones {
		s.labels[z.Group] = z.Label
		if _, twice := s.zones[string(z.Zone)]; twice || z.Zone.IsZero() {
			continue
		}
		s.zones[string(z.Zone)] = z.Group
		s.depths[z.Zone.Labels()] = true
		s.terms[termOf(z.Zone, z.Identity)] = true
	}
	return s
}

// WithBasis returns the same sources, of which all answers depend on basis: by whom those of Group 0 are given, and what all are checked by. A dump has answers for the same basis alone, of
// which 1024 octets count.
func (s *Sources) WithBasis(basis string) *Sources {
	with := *s
	with.basis = basis[:min(len(basis), basisMax)]
	return &with
}

// Basis is what WithBasis set, "" for sources that nothing was set for.
func (s *Sources) Basis() string {
	if s == nil {
		return ""
	}
	return s.basis
}

// Of returns the Group that a question belongs to. name is canonical and in wire form. DS records are the parent's (RFC 4035 section 2.4).
func (s *Sources) Of(name []byte, rtype uint16) uint16 {
	if s == nil || len(s.zones) == 0 {
		return 0
	}
	return s.of(name, rtype)
}

// OfName is Of for a canonical name.
func (s *Sources) OfName(name dnsname.Name, rtype uint16) uint16 {
	if s == nil || len(s.zones) == 0 {
		return 0
	}
	return s.of([]byte(name), rtype)
}

func (s *Sources) of(name []byte, rtype uint16) uint16 {
	if rtype == wire.TypeDS && len(name) > 1 {
		name = name[1+int(name[0]):]
	}
	var starts [dnsname.LabelsMax + 1]uint8
	labels := dnsname.Offsets(name, &starts)
	for i := 0; i <= labels; i++ {
		if !s.depths[labels-i] {
			continue
		}
		at := len(name) - 1 // of the root
		if i < labels {
			at = int(starts[i])
		}
		if group, ok := s.zones[string(name[at:])]; ok {
			return group
		}
	}
	return 0
}

// Label is what people call a source; "" for one that is none of these.
func (s *Sources) Label(group uint16) string {
	switch {
	case s == nil:
		return ""
	case group == 0:
		return s.other
	}
	return s.labels[group]
}

// gave reports whether one of the sources gave an answer, to a question that is asked of it now.
func (s *Sources) gave(r record) bool {
	return s == nil || s.has(r.group()) && (len(s.zones) == 0 || s.of(r.name(), r.key().Type) == r.group())
}

// place gives the key of an answer of a dump, which these sources or the same under other Groups gave, its Group. It reports whether there is one.
func (s *Sources) place(k *Key) bool {
	if s != nil && len(s.zones) > 0 {
		k.Group = s.of(k.Name, k.Type)
	}
	return s == nil || s.has(k.Group)
}

// has reports whether a group is that of one of the sources.
func (s *Sources) has(group uint16) bool {
	_, ok := s.labels[group]
	return ok || group == 0
}

// Source returns the Group that a question belongs to, as SetSources said. It may be called for each query.
func (c *Cache) Source(name []byte, rtype uint16) uint16 { return c.sources.Load().Of(name, rtype) }

// Sources returns what SetSources set, nil before.
func (c *Cache) Sources() *Sources { return c.sources.Load() }

// SetSources says by whom answers are given from now on. A Dump or a Load that is under way ends with ErrSource. Whatever the cache has of others stays until
// Forget or the time takes it away, and is given only to a Key with its Group.
func (c *Cache) SetSources(s *Sources) { c.sources.Store(s) }

// Forget forgets, after a SetSources, every answer of a source that is none any more; every one for a name at or below one of some canonical names; and every one in which
// an alias leads there: what is there is asked of others now. It returns how many there were, and walks the cache as Flush does.
func (c *Cache) Forget(names []dnsname.Name) int {
	now, zones := c.sources.Load(), map[string]bool{}
	for _, name := range names {
		zones[string(name)] = true
	}
	return c.flush(func(r record) bool {
		return now != nil && !now.has(r.group()) || under(r.name(), zones) || leadsTo(r.message(), zones)
	})
}

// under reports whether a name in wire form is at or below one of some zones.
func under(name []byte, zones map[string]bool) bool {
	for ; ; name = name[1+int(name[0]):] {
		if zones[string(name)] {
			return true
		}
		if len(name) <= 1 {
			return false
		}
	}
}

// leadsTo reports whether an alias in an answer is of one of some zones, or leads there.
func leadsTo(msg []byte, zones map[string]bool) bool {
	w, err := wire.Records(msg)
	for err == nil && w.Next() && w.Section == wire.SectionAnswer {
		if w.Type != wire.TypeCNAME {
			continue // that of a DNAME is beside it
		}
		var room [dnsname.WireMax]byte
		target, _, err := wire.AppendName(room[:0], msg, w.DataOff)
		if err != nil {
			return true
		}
		dnsname.Lower(target, target)
		if under(target, zones) {
			return true
		}
	}
	return false
}

// group returns the Group of the record's key.
func (r record) group() uint16 { return uint16(r[5]&keyGroup)<<(8-keyGroupShift) | uint16(r[6]) }

// groupOf reads the Group of an entry of a dump.
func groupOf(flags, low uint8) uint16 { return uint16(flags&keyGroup)<<(8-keyGroupShift) | uint16(low) }
