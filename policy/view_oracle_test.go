package policy_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/miekg/dns"

	"cenote/dnsname"
	"cenote/nameindex"
	"cenote/policy"
)

// viewedWorld is a world with groups of clients that have zones of their own.
type viewedWorld struct {
	*world
	views    []policy.View
	canaries *nameindex.Index // of a policy that tells who is in a canary
}

// TestViewsEqualTheOracle holds random policies with views against the words that describe them: the first view to which all that is said of a query belongs
// has its zones asked as if there were no others; in shadow, and for who is not in the canary, they only record. Which clients those are follows from the
// view's name and the client alone.
func TestViewsEqualTheOracle(t *testing.T) {
	seen := map[string]int{}
	canaries := state(t, "zone unused: one\nfeed one: exact bad.example").index(t)
	slowWorlds(t, 31, func(t *testing.T, r *rand.Rand, plain *world) (cases int) {
		w := &viewedWorld{world: plain, canaries: canaries}
		for range 5 + r.IntN(20) {
			w.add(randomTriggerRule(r, w.world))
		}
		w.countTriggers()
		for i := range w.zones {
			strictly(r, &w.zones[i])
			forServersToo(r, &w.zones[i])
		}
		for i := range 1 + r.IntN(4) {
			w.views = append(w.views, randomView(r, w.world, i))
		}
		x := w.index(t)
		early, late := w.policyOf(t, x, true), w.policyOf(t, x, false)
		for range 25 {
			s := randomScene(r)
			s.plain, s.do, s.signed = r.IntN(4) == 0, r.IntN(2) == 0, r.IntN(2) == 0
			w.checkView(t, r, late, early, &s, seen)
			cases++
		}
		return cases
	})
	t.Log(seen)
	for _, what := range []string{"everybody", "view", "shadow", "canary", "not in the canary", "signed", "plain", "clean"} {
		if seen[what] == 0 {
			t.Errorf("no query was of the kind %q", what)
		}
	}
}

// checkView compares one query of a client with the oracle.
func (w *viewedWorld) checkView(t *testing.T, r *rand.Rand, late, early *policy.Policy, s *scene, seen map[string]int) {
	t.Helper()
	hour := expiryHour + r.Int64N(5) - 2
	q, a := s.ask(t, hour)
	randomWay(r, q)
	view, zones := w.zonesFor(t, q, seen)
	alone := &world{zones: zones, feeds: w.feeds, rules: w.rules}
	want := alone.decideScene(s, hour)
	before := late.CheckQuery(q)
	d := late.CheckAnswer(q, a, before)
	if got := w.toldScene(t, late, s, d); !reflect.DeepEqual(got, want) {
		t.Fatalf("%+v, %s at hour %d in %v with %+v\ngot  %v\nwant %v", q, s, hour, w.world, w.views, got, want)
	}
	if d.Matched() && late.Rule(d.Winner).Zone.View != view {
		t.Fatalf("%+v is decided by a zone of view %q, want %q", q, late.Rule(d.Winner).Zone.View, view)
	}
	e := late.Explain(q, a)
	checkSceneExplanation(t, alone, s, &d, &e)
	if e.View != view {
		t.Fatalf("%+v is explained by view %q, want %q", q, e.View, view)
	}
	if first := early.CheckQuery(q); !first.Matched() {
		if got := w.toldScene(t, early, s, early.CheckAnswer(q, a, first)); !reflect.DeepEqual(got, want) {
			t.Fatalf("answered early, %+v, %s in %v\ngot  %v\nwant %v", q, s, alone, got, want)
		}
	}
	for what, is := range map[string]bool{"signed": s.do && s.signed && d.Matched(), "plain": s.plain && d.Matched()} {
		if is {
			seen[what]++
		}
	}
	if !d.Matched() && d.NObserved == 0 && late.Clean(q, a) {
		seen["clean"]++
		w.staysClean(t, r, late, s, a, hour)
	}
}

// staysClean: an answer that was found clean for one client need not be looked at for another, whenever and however that asks.
func (w *viewedWorld) staysClean(t *testing.T, r *rand.Rand, p *policy.Policy, s *scene, a *policy.Answer, hour int64) {
	t.Helper()
	for range 5 {
		q, _ := s.ask(t, hour+r.Int64N(30))
		randomWay(r, q)
		q.Client, q.RD = netip.AddrPortFrom(netip.MustParseAddr(pick(r, sceneAddrs...)), 4242), r.IntN(2) == 0
		if before := p.CheckQuery(q); !before.Matched() {
			if d := p.CheckAnswer(q, a, before); d.Matched() || d != before && !(s.do && s.signed) { // zones that spare signed answers record nothing of those
				t.Fatalf("%s was found clean, and is not for %+v in %v with %+v: %+v", s, q, w.world, w.views, d)
			}
		}
	}
}

func (w *viewedWorld) policyOf(t *testing.T, x *nameindex.Index, early bool) *policy.Policy {
	t.Helper()
	p, err := policy.New(policy.Config{Zones: w.zones, Views: w.views, Index: x, AnswerEarly: early})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// zonesFor is the oracle of views: the name of the view that a query belongs to, and the zones that are asked about it.
func (w *viewedWorld) zonesFor(t *testing.T, q *policy.Request, seen map[string]int) (view string, zones []policy.Zone) {
	t.Helper()
	i := slices.IndexFunc(w.views, func(v policy.View) bool { return belongs(&v, q) })
	if i < 0 {
		seen["everybody"]++
		return "", w.zones
	}
	v := &w.views[i]
	kind := "view"
	switch {
	case v.Shadow:
		kind = "shadow"
	case v.Canary > 0 && !w.inCanary(t, v, q.Client):
		kind = "not in the canary"
	case v.Canary > 0:
		kind = "canary"
	}
	seen[kind]++
	zones = slices.Clone(v.Zones)
	for i := range zones {
		zones[i].LogOnly = zones[i].LogOnly || kind == "shadow" || kind == "not in the canary"
	}
	return v.Name, zones
}

// belongs reports whether all that a view says is so for a query.
func belongs(v *policy.View, q *policy.Request) bool {
	client := len(v.Clients) == 0 || slices.ContainsFunc(v.Clients, func(p netip.Prefix) bool { return p.Contains(q.Client.Addr()) })
	way := len(v.Transports) == 0 || slices.Contains(v.Transports, q.Transport)
	door := len(v.Listeners) == 0 || slices.Contains(v.Listeners, q.Local) || slices.Contains(v.Listeners, netip.AddrPortFrom(q.Local.Addr(), 0))
	key := len(v.Keys) == 0 || slices.Contains(v.Keys, q.Key)
	return client && way && door && key && isWithin(&v.Schedule, q.Time)
}

// isWithin reports whether a time lies in one of the parts of the week that began today or yesterday.
func isWithin(s *policy.Schedule, at time.Time) bool {
	today := at.UTC().Truncate(24 * time.Hour)
	for _, day := range []time.Time{today, today.AddDate(0, 0, -1)} {
		from, to := day.Add(time.Duration(s.From)*time.Minute), day.Add(time.Duration(s.To)*time.Minute)
		if !to.After(from) {
			to = to.AddDate(0, 0, 1)
		}
		if (s.Days == [7]bool{} || s.Days[day.Weekday()]) && !at.Before(from) && at.Before(to) {
			return true
		}
	}
	return false
}

// inCanary asks a policy that has nothing but a view of the same name and share.
func (w *viewedWorld) inCanary(t *testing.T, v *policy.View, client netip.AddrPort) bool {
	t.Helper()
	p, err := policy.New(policy.Config{Views: []policy.View{{Name: v.Name, Canary: v.Canary, Zones: zoneOf(policy.ActionNXDOMAIN)}}, Index: w.canaries})
	if err != nil {
		t.Fatal(err)
	}
	return decides(p, policy.Request{Client: client}) != "none 1"
}

// strictly has a zone leave out some queries, now and then.
func strictly(r *rand.Rand, z *policy.Zone) {
	z.RecursiveOnly, z.KeepSigned = r.IntN(5) == 0, r.IntN(5) == 0
}

// The doors and keys of random queries and views.
var (
	wayDoors = []string{"192.0.2.53:53", "192.0.2.53:5353", "192.0.2.54:53"}
	wayKeys  = []dnsname.Name{dnsname.MustParse("branch.example"), dnsname.MustParse("other.example")}
)

// randomWay has a query come in one of the ways that views tell apart.
func randomWay(r *rand.Rand, q *policy.Request) {
	q.Transport = pick(r, policy.TransportUDP, policy.TransportTCP, policy.TransportTLS)
	q.Local = netip.MustParseAddrPort(pick(r, wayDoors...))
	q.Key = pick(r, append(wayKeys, "")...)
}

func randomView(r *rand.Rand, w *world, number int) policy.View {
	v := policy.View{Name: fmt.Sprint("view ", number), Shadow: r.IntN(5) == 0}
	if r.IntN(3) == 0 {
		v.Canary = pick(r, 0.2, 0.5, 0.8)
	}
	for range r.IntN(3) {
		v.Clients = append(v.Clients, netip.MustParsePrefix(pick(r, scenePrefixes...)))
	}
	if r.IntN(4) == 0 {
		v.Transports = []policy.Transport{pick(r, policy.TransportUDP, policy.TransportTCP, policy.TransportTLS)}
	}
	if r.IntN(4) == 0 {
		door := netip.MustParseAddrPort(pick(r, wayDoors...))
		v.Listeners = []netip.AddrPort{netip.AddrPortFrom(door.Addr(), pick(r, door.Port(), 0))}
	}
	if r.IntN(4) == 0 {
		v.Keys = []dnsname.Name{pick(r, wayKeys...)}
	}
	if r.IntN(4) == 0 {
		v.Schedule = randomSchedule(r)
	}
	for i := range r.IntN(4) {
		z := randomZone(r, i, w.feeds)
		strictly(r, &z)
		forServersToo(r, &z)
		v.Zones = append(v.Zones, z)
	}
	return v
}

// randomSchedule is about the hours of random scenes.
func randomSchedule(r *rand.Rand) (s policy.Schedule) {
	s.From, s.To = 60*r.IntN(24), 60*r.IntN(25)
	for day := range s.Days {
		s.Days[day] = r.IntN(2) == 0
	}
	return s
}

// signature is a record that makes an answer a signed one.
func signature(name dnsname.Name) string {
	return fmt.Sprintf("%s. RRSIG %s 13 2 300 20300101000000 20200101000000 1 example. AAAA", name, dns.TypeToString[dns.TypeA])
}
