package policy

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"math"
	"net/netip"
	"slices"
	"time"

	"github.com/gaissmai/bart"
)

// MarshalJSON names the clock too, so that two schedules that differ in it alone are told apart.
func (s Schedule) MarshalJSON() ([]byte, error) {
	clock := ""
	if s.Location != nil {
		clock = s.Location.String()
	}
	return json.Marshal(struct {
		Days     [7]bool
		From, To int
		Location string
	}{s.Days, s.From, s.To, clock})
}

// scope is the zones that are asked about a query: a part of Policy.zones.
type scope struct {
	from, to    int
	firstWait   int    // the first zone that decides by response triggers; to if there is none
	keepsSigned bool   // a zone has KeepSigned
	lacks       []lack // feeds of zones that decide which were never loaded
}

// lack is a feed that was never loaded, and the first zone that has it.
type lack struct {
	feed string
	zone int
}

// asking is one query in front of the policy.
type asking struct {
	request *Request
	scope   *scope
	signed  bool // the answer has signatures that the client asked for
}

// signs reports whether the answer has signatures that the client asked for, and a zone minds.
func (x *asking) signs(a *Answer) bool {
	return x.scope.keepsSigned && x.request.DO && isSigned(a.Msg)
}

func (x *asking) hour() int64 { return x.request.Time.Unix() / secondsPerHour }

// listing puts a name in front of the zones of x.
func (x *asking) listing(p *Policy, labels uint8) listing {
	return listing{policy: p, labels: labels, hour: x.hour(), from: x.scope.from, to: x.scope.to, plain: !x.request.RD, signed: x.signed, qtype: x.request.Type}
}

// setZones checks the zones of the default and of all views and lays them out one after the other.
func (p *Policy) setZones(c *Config) error {
	p.views = slices.Clone(c.Views)
	p.uneven = len(p.views) > 0
	if err := p.addScope(c.Zones, "", false); err != nil {
		return err
	}
	seen := map[string]bool{"": true}
	for i := range p.views {
		v := &p.views[i]
		if seen[v.Name] {
			return fmt.Errorf("%w: the name %q of view %d is empty or taken", ErrZone, v.Name, i+1)
		}
		seen[v.Name] = true
		if v.Canary < 0 || v.Canary >= 1 {
			return fmt.Errorf("%w: the canary of view %q is %v, a share of its clients", ErrZone, v.Name, v.Canary)
		}
		if err := p.addScope(v.Zones, v.Name, v.Shadow); err != nil {
			return err
		}
		if err := p.addScope(v.Zones, v.Name, true); err != nil { // for those who are not in the canary
			return err
		}
	}
	if len(p.zones) > ZonesMax {
		return fmt.Errorf("%w: there are %d in all views, at most %d", ErrZone, len(p.zones), ZonesMax)
	}
	p.matcher = newMatcher(p.views)
	return nil
}

// addScope adds zones as one scope. Only a view with a canary needs its second one.
func (p *Policy) addScope(zones []Zone, view string, shadow bool) error {
	n := len(p.scopes)
	if second := n > 0 && n%2 == 0; second && p.views[n/2-1].Canary == 0 {
		p.scopes = append(p.scopes, p.scopes[n-1])
		return nil
	}
	zones, err := checkZones(zones, view)
	if err != nil {
		return err
	}
	s := scope{from: len(p.zones), to: len(p.zones) + len(zones)}
	for i := range zones {
		zones[i].LogOnly = zones[i].LogOnly || shadow
		s.keepsSigned = s.keepsSigned || zones[i].KeepSigned
		p.uneven = p.uneven || zones[i].KeepSigned || zones[i].RecursiveOnly
		p.qnameAsNS, p.ipAsNS = p.qnameAsNS || zones[i].QNAMEAsNS, p.ipAsNS || zones[i].IPAsNS
		p.typed = p.typed || zones[i].LocalDataOr != ActionDefault
	}
	p.zones, p.scopes = append(p.zones, zones...), append(p.scopes, s)
	return nil
}

// ask finds the zones for a query.
func (p *Policy) ask(r *Request) asking {
	x := asking{request: r, scope: &p.scopes[0]}
	if len(p.views) > 0 {
		if view := p.viewOf(r); view >= 0 {
			x.scope = &p.scopes[1+2*view]
			if c := p.views[view].Canary; c > 0 && p.matcher.share(view, r.Client.Addr()) >= c {
				x.scope = &p.scopes[2+2*view]
			}
		}
	}
	return x
}

// viewOf returns the first view that the query belongs to, or -1.
func (p *Policy) viewOf(r *Request) int {
	for _, view := range p.matcher.of(r.Client.Addr()) {
		if p.views[view].holds(r) {
			return int(view)
		}
	}
	return -1
}

// ViewOf returns the name of the view that the query belongs to; none is the default.
func (p *Policy) ViewOf(r *Request) string {
	if view := p.viewOf(r); view >= 0 {
		return p.views[view].Name
	}
	return ""
}

// holds reports whether a query of one of the view's clients belongs to it.
func (v *View) holds(r *Request) bool {
	return (len(v.Transports) == 0 || slices.Contains(v.Transports, r.Transport)) &&
		(len(v.Listeners) == 0 || slices.ContainsFunc(v.Listeners, func(l netip.AddrPort) bool { return isAt(l, r.Local) })) &&
		(len(v.Keys) == 0 || slices.Contains(v.Keys, r.Key)) && v.Schedule.holds(r.Time)
}

func isAt(l, local netip.AddrPort) bool {
	return l.Addr() == local.Addr() && (l.Port() == 0 || l.Port() == local.Port())
}

const minutesPerDay = 24 * 60

// holds reports whether a time is in the schedule.
func (s *Schedule) holds(at time.Time) bool {
	if s.Days == [7]bool{} && s.From == s.To {
		return true
	}
	if s.Location != nil {
		at = at.In(s.Location)
	} else {
		at = at.UTC()
	}
	minute, day := at.Hour()*60+at.Minute(), at.Weekday()
	from, to := s.From, s.To
	if from == 0 && to == 0 {
		to = minutesPerDay
	}
	on := func(day time.Weekday) bool { return s.Days == [7]bool{} || s.Days[(day+7)%7] }
	if to > from {
		return on(day) && minute >= from && minute < to
	}
	return on(day) && minute >= from || on(day-1) && minute < to
}

// matcher finds the views that a client may belong to.
type matcher struct {
	byClient *bart.Table[uint32] // indices into lists
	lists    [][]uint16          // of views, in order
	others   []uint16            // the views of everybody
	seeds    []uint64            // by view, for canaries
}

func newMatcher(views []View) matcher {
	m := matcher{byClient: new(bart.Table[uint32])}
	own := map[netip.Prefix][]uint16{}
	for i := range views {
		h := fnv.New64a()
		h.Write([]byte(views[i].Name))
		m.seeds = append(m.seeds, h.Sum64())
		if len(views[i].Clients) == 0 {
			m.others = append(m.others, uint16(i))
		}
		for _, p := range views[i].Clients {
			own[p.Masked()] = append(own[p.Masked()], uint16(i))
			m.byClient.Insert(p.Masked(), 0)
		}
	}
	for p := range own {
		list := slices.Clone(m.others)
		for wider := range m.byClient.Supernets(p) {
			list = append(list, own[wider]...)
		}
		slices.Sort(list)
		m.lists = append(m.lists, slices.Compact(list))
		m.byClient.Insert(p, uint32(len(m.lists)-1))
	}
	return m
}

// of returns the views that a client may belong to, in order.
func (m *matcher) of(client netip.Addr) []uint16 {
	if i, ok := m.byClient.Lookup(client); ok {
		return m.lists[i]
	}
	return m.others
}

// share places a client in a view between 0 and 1, at random but always at the same place: IPv6 by its first 64 bits, which one site has.
func (m *matcher) share(view int, client netip.Addr) float64 {
	b := client.As16()
	if client.Is6() {
		clear(b[8:])
	}
	const prime = 1099511628211
	h := m.seeds[view]
	for _, c := range b {
		h = (h ^ uint64(c)) * prime
	}
	h ^= h >> 32
	h *= 0x9e3779b97f4a7c15
	return float64(h>>11) / math.Exp2(53)
}
