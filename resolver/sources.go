package resolver

import (
	"crypto/sha256"
	"fmt"

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

	nearestForward, nearestStub nearest
}

// newSources numbers the sources of a config. last is the group that was given last; a group comes again after all others had their turn.
func newSources(config *Config, before *state, last *uint16) sources {
	c := config.Recursion
	if c == nil {
		return sources{table: rrcache.NewSources(upstreamGroups(config), "upstreams").WithBasis(config.Basis)}
	}
	var known sources
	was := new(Recursion)
	if before != nil && before.config.Recursion != nil {
		known, was = before.sources, before.config.Recursion
	}
	g := groups{last: last, used: map[uint16]bool{}}
	g.use(known.forwards)
	g.use(known.stubs)
	s := sources{
		forwards:       g.of(unchanged(c.Forwards, was.Forwards, zoneOfForward, same), known.forwards),
		stubs:          g.of(unchanged(c.Stubs, was.Stubs, zoneOfStub, same), known.stubs),
		nearestForward: nearestOf(c.Forwards, zoneOfForward),
		nearestStub:    nearestOf(c.Stubs, zoneOfStub),
	}
	var zones []rrcache.SourceZone
	for i := range c.Forwards {
		zone := c.Forwards[i].Zone
		zones = append(zones, rrcache.SourceZone{Zone: zone, Group: s.forwards[i], Label: "forward " + zone.String(), Identity: identityOf(&c.Forwards[i])})
	}
	for i := range c.Stubs {
		zone := c.Stubs[i].Zone
		zones = append(zones, rrcache.SourceZone{Zone: zone, Group: s.stubs[i], Label: "stub " + zone.String(), Identity: identityOf(&c.Stubs[i])})
	}
	var conditions []rrcache.Condition
	for i := range c.Negative {
		if !c.Negative[i].holds(config.Now()) {
			continue // what was learnt under it is not to be had any more
		}
		conditions = append(conditions, rrcache.Condition{Zone: c.Negative[i].Name.Canonical(), Identity: identityOf(&c.Negative[i])})
	}
	s.table = rrcache.NewSources(zones, "recursion", conditions...).WithBasis(config.Basis)
	return s
}

// identityOf tells an entry of the configuration from all others, over a restart too: all that is in it, as a digest.
func identityOf(entry any) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%T%+v", entry, entry))
	return string(sum[:16])
}

// groups gives sources their numbers.
type groups struct {
	last *uint16
	used map[uint16]bool
}

func (g *groups) use(numbers []uint16) {
	for _, n := range numbers {
		g.used[n] = true
	}
}

// next returns a number that no source has, nor had a moment ago.
func (g *groups) next() uint16 {
	for {
		if *g.last = *g.last%rrcache.GroupMax + 1; !g.used[*g.last] {
			g.used[*g.last] = true
			return *g.last
		}
	}
}

// of numbers a list: each entry as the one that it was in the list before, at the place that it had there, or anew.
func (g *groups) of(places []int, before []uint16) []uint16 {
	out := make([]uint16, len(places))
	for i, at := range places {
		if at >= 0 {
			out[i] = before[at]
		} else {
			out[i] = g.next()
		}
	}
	return out
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
	_, group := s.stubAt(name)
	return group
}

// stubAt returns the closest stub at or above a name, nil for none, and its group.
func (s *state) stubAt(name dnsname.Name) (*Stub, uint16) {
	if i := s.sources.nearestStub.at(name); i >= 0 {
		return &s.config.Recursion.Stubs[i], s.sources.stubs[i]
	}
	return nil, 0
}

// forwardAt returns the zone that a question is forwarded for, nil for none, and its group. DS records are the parent's.
func (s *state) forwardAt(name dnsname.Name, rtype uint16) (*Forward, uint16) {
	name = parentSide(name, rtype)
	f, group := s.forwardAbove(name)
	if stub, _ := s.stubAt(name); f != nil && stub != nil && stub.Zone.IsBelow(f.Zone) {
		return nil, 0
	}
	return f, group
}

// forwardAbove returns the closest zone that is forwarded at or above a name, whatever stub lies between, nil for none, and its group.
func (s *state) forwardAbove(name dnsname.Name) (*Forward, uint16) {
	if i := s.sources.nearestForward.at(name); i >= 0 {
		return &s.config.Recursion.Forwards[i], s.sources.forwards[i]
	}
	return nil, 0
}

// sourced is a name as one source knows it.
type sourced struct {
	source uint16
	name   dnsname.Name
}
