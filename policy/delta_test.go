package policy_test

import (
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"cenote/dnsname"
	"cenote/nameindex"
	"cenote/policy"
)

// TestDeltaDecidesAsTheWhole: a policy over an index with a delta decides as one that was compiled whole.
func TestDeltaDecidesAsTheWhole(t *testing.T) {
	changed := 0
	slowWorlds(t, 5, func(t *testing.T, r *rand.Rand, w *world) (cases int) {
		before := &world{zones: w.zones, feeds: w.feeds}
		for _, rule := range w.rules {
			if r.IntN(3) > 0 {
				before.add(rule)
			}
		}
		for range r.IntN(3) {
			before.add(randomRule(r, w))
		}
		old := before.policy(t)
		if r.IntN(2) == 0 { // there is a delta already
			middle := &world{zones: w.zones, feeds: w.feeds}
			middle.add(randomRule(r, w))
			old = withDelta(t, old, before.sets(), middle.sets(), middle.manifest())
		}
		p := withDelta(t, old, before.sets(), w.sets(), w.manifest())
		for _, hour := range []int64{expiryHour - 2, expiryHour + 5} {
			for _, name := range append(everyName(3), randomName(r, 7), randomName(r, 7)) {
				d := p.CheckQuery(ask(name, hour))
				if got, want := told(t, p, name, d), w.decide(name, hour); !reflect.DeepEqual(got, want) {
					t.Fatalf("%s at hour %d in %v\ngot  %v\nwant %v\nbefore %v", name, hour, w, got, want, before)
				}
				if slowly := policy.CheckSlowly(p, ask(name, hour)); slowly != d {
					t.Fatalf("%s at hour %d in %v\nfrom the table %+v\njudged         %+v", name, hour, w, d, slowly)
				}
				if d != old.CheckQuery(ask(name, hour)) {
					changed++
				}
				cases++
			}
		}
		return cases
	})
	if changed == 0 {
		t.Error("no delta ever changed a decision, so nothing was tested")
	}
}

// withDelta gives p the delta that makes what its base lists into what is wanted.
func withDelta(t *testing.T, p *policy.Policy, base, want map[dnsname.Name]string, m *policy.Manifest) *policy.Policy {
	t.Helper()
	b := nameindex.NewBuilder(nameindex.BuildOptions{Base: p.Index()})
	for name, set := range want {
		if base[name] != set {
			add(t, b, name, set)
		}
	}
	for name := range base {
		if _, stays := want[name]; !stays {
			add(t, b, name, "")
		}
	}
	x, err := p.Index().With(save(t, b, m))
	if err != nil {
		t.Fatal(err)
	}
	q, err := p.With(x, 9)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func add(t *testing.T, b *nameindex.Builder, name dnsname.Name, set string) {
	t.Helper()
	if err := b.Add([]byte(name), b.AddSet([]byte(set))); err != nil {
		t.Fatal(err)
	}
}

// TestWithTakesOverOnlyWhatStillHolds: where a feed's rules of judgement change with the delta, nothing is taken over.
func TestWithTakesOverOnlyWhatStillHolds(t *testing.T) {
	w := &world{zones: []policy.Zone{{Name: "zone", Feeds: []string{"feed"}}}, feeds: []policy.Feed{{Name: "feed"}}}
	below := policy.Member{Kind: policy.KindBelow, Confidence: policy.ConfidenceUnknown}
	w.add(rule{dnsname.MustParse("example"), below})
	w.add(rule{dnsname.MustParse("a.example"), policy.Member{Kind: policy.KindExact, Confidence: policy.ConfidenceUnknown}})
	p := w.policy(t)
	name := dnsname.MustParse("b.a.example")
	if d := p.CheckQuery(ask(name, expiryHour)); !d.Matched() {
		t.Fatal("the wildcard does not reach down")
	}
	stops := &world{zones: w.zones, feeds: slices.Clone(w.feeds), rules: w.rules}
	stops.feeds[0].ClosestEncloser = true
	q := withDelta(t, p, w.sets(), w.sets(), stops.manifest())
	if d := q.CheckQuery(ask(name, expiryHour)); d.Matched() {
		t.Error("the closest encloser does not stop the wildcard")
	}
	if q.Generation() != 9 {
		t.Errorf("generation %d, want 9", q.Generation())
	}
}

// TestDeltaOfTriggersDecidesAsTheWhole does the same with clients, addresses, name servers and patterns.
func TestDeltaOfTriggersDecidesAsTheWhole(t *testing.T) {
	changed := map[policy.Trigger]int{}
	slowWorlds(t, 12, func(t *testing.T, r *rand.Rand, w *world) (cases int) {
		for range 5 + r.IntN(20) {
			w.add(randomTriggerRule(r, w))
		}
		before := &world{zones: w.zones, feeds: slices.Clone(w.feeds)}
		for _, rule := range w.rules {
			if r.IntN(3) > 0 {
				before.rules = append(before.rules, rule)
			}
		}
		for range r.IntN(4) {
			before.add(randomTriggerRule(r, w))
		}
		before.countTriggers()
		w.countTriggers()
		old := before.policyEarly(t, before.index(t), false)
		if r.IntN(2) == 0 {
			middle := &world{zones: w.zones, feeds: slices.Clone(w.feeds)}
			middle.add(randomTriggerRule(r, w), randomTriggerRule(r, w))
			middle.countTriggers()
			old = withDelta(t, old, before.sets(), middle.sets(), middle.manifest())
		}
		p := withDelta(t, old, before.sets(), w.sets(), w.manifest())
		for range 20 {
			s := randomScene(r)
			q, a := s.ask(t, expiryHour)
			d := p.CheckAnswer(q, a, p.CheckQuery(q))
			if got, want := w.toldScene(t, p, &s, d), w.decideScene(&s, expiryHour); !reflect.DeepEqual(got, want) {
				t.Fatalf("%s in %v\ngot  %v\nwant %v\nbefore %v", s, w, got, want, before)
			}
			if d != old.CheckAnswer(q, a, old.CheckQuery(q)) {
				changed[d.Winner.Trigger]++
			}
			cases++
		}
		return cases
	})
	for trigger := policy.TriggerClientIP; trigger <= policy.TriggerNSIP; trigger++ {
		if changed[trigger] == 0 {
			t.Errorf("no delta changed a decision to one by %s", trigger)
		}
	}
}
