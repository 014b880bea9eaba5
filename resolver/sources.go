package resolver

import (
	"reflect"

	"cenote/dnsname"
	"cenote/rrcache"
)

// Who gives an answer is a source: each forwarded zone is one, each stub is, and all other names are those of group 0, whose answers recursion finds, or the upstreams for all
// names. What is known is kept by name and source: answers in the cache, delegations, keys, denials. So what one source said is never taken for what another
// one said, whoever is asked before and after a change of the configuration, and whichever question brought it. A forward or stub that a change leaves as it is keeps its group.

// sources are those of a state.
type sources struct {
	forwards []uint16 // groups of Recursion.Forwards, by index
	stubs    []uint16 // of Recursion.Stubs
	table    *rrcache.Sources
}

// newSources numbers the sources of a config. last is the group that was given last; a group comes again after all others had their turn.
func newSources(config *Config, before *state, last *uint16) sources {
	c := config.Recursion
	if c == nil {
		return sources{table: rrcache.NewSources(upstreamGroups(config), "upstreams")}
	}
	s, used := sources{}, map[uint16]bool{}
	var known sources
	was := new(Recursion)
	if before != nil && before.config.Recursion != nil {
		known, was = before.sources, before.config.Recursion
		for _, group := range append(append([]uint16(nil), known.forwards...), known.stubs...) {
			used[group] = true
		}
	}
	next := func() uint16 {
		for {
			if *last = *last%rrcache.GroupMax + 1; !used[*last] {
				used[*last] = true
				return *last
			}
		}
	}
	var zones []rrcache.SourceZone
	for i := range c.Forwards {
		f := &c.Forwards[i]
		s.forwards = append(s.forwards, groupOf(f, was.Forwards, known.forwards, next))
		zones = append(zones, rrcache.SourceZone{Zone: f.Zone, Group: s.forwards[i], Label: "forward " + f.Zone.String()})
	}
	for i := range c.Stubs {
		stub := &c.Stubs[i]
		s.stubs = append(s.stubs, groupOf(stub, was.Stubs, known.stubs, next))
		zones = append(zones, rrcache.SourceZone{Zone: stub.Zone, Group: s.stubs[i], Label: "stub " + stub.Zone.String()})
	}
	s.table = rrcache.NewSources(zones, "recursion")
	return s
}

// groupOf returns the group that an entry had before, or the next one.
func groupOf[T any](one *T, before []T, groups []uint16, next func() uint16) uint16 {
	for i := range before {
		if reflect.DeepEqual(one, &before[i]) {
			return groups[i]
		}
	}
	return next()
}

// upstreamGroups are those of upstreams for all names, which whoever asks chooses from.
func upstreamGroups(config *Config) (zones []rrcache.SourceZone) {
	for _, u := range config.Upstreams {
		if u.Group != 0 {
			zones = append(zones, rrcache.SourceZone{Group: u.Group, Label: "upstreams"})
		}
	}
	return zones
}

// source returns the group of a name and type. Where names are not looked for from the root, whoever asks has chosen it.
func (s *state) source(name dnsname.Name, rtype uint16) uint16 {
	return s.sources.table.OfName(name, rtype)
}

// place gives a question its group.
func (s *state) place(q *question) {
	if s.config.Recursion != nil {
		q.group = s.source(dnsname.Name(q.name), q.qtype)
	}
}

// placeKey is place for a key.
func (s *state) placeKey(k *rrcache.Key) {
	if s.config.Recursion != nil {
		k.Group = s.sources.table.Of(k.Name, k.Type)
	}
}

// cutSource is the source of the delegations that lead to a name, where it is not forwarded.
func (s *state) cutSource(name dnsname.Name) uint16 {
	if len(s.sources.stubs) == 0 {
		return 0
	}
	if i := s.config.Recursion.stubAt(name); i >= 0 {
		return s.sources.stubs[i]
	}
	return 0
}

// stubAt returns the closest stub at or above a name, nil for none, and its group.
func (s *state) stubAt(name dnsname.Name) (*Stub, uint16) {
	if i := s.config.Recursion.stubAt(name); i >= 0 {
		return &s.config.Recursion.Stubs[i], s.sources.stubs[i]
	}
	return nil, 0
}

// forwardAt returns the zone that a question is forwarded for, nil for none, and its group. DS records are the parent's.
func (s *state) forwardAt(name dnsname.Name, rtype uint16) (*Forward, uint16) {
	return s.forward(s.config.Recursion.forwardAt(name, rtype))
}

// forwardAbove returns the closest zone that is forwarded at or above a name, whatever stub lies between, nil for none, and its group.
func (s *state) forwardAbove(name dnsname.Name) (*Forward, uint16) {
	return s.forward(s.config.Recursion.forwardAbove(name))
}

func (s *state) forward(i int) (*Forward, uint16) {
	if i < 0 {
		return nil, 0
	}
	return &s.config.Recursion.Forwards[i], s.sources.forwards[i]
}

// sourced is a name as one source knows it.
type sourced struct {
	source uint16
	name   dnsname.Name
}
