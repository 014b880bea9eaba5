package policy_test

import (
	"errors"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"slices"
	"testing"
	"time"

	"cenote/dnsname"
	"cenote/policy"
)

// The rulings of an excerpt are what the oracle decides of the selected rules alone, of a listed name and of a name below it.
func TestRulingsEqualTheOracle(t *testing.T) {
	ruled := 0
	slowWorlds(t, 21, func(t *testing.T, r *rand.Rand, w *world) (cases int) {
		for i := range w.rules {
			w.rules[i].member.Threat = uint16(r.IntN(2))
			w.rules[i].member.Confidence = pick[uint8](r, 20, 80, policy.ConfidenceUnknown)
		}
		s := randomSelection(r, w)
		p, err := w.policy(t).Excerpt(s)
		if err != nil {
			if errors.Is(err, policy.ErrSelection) && len(s.Feeds) > 0 {
				return 1
			}
			t.Fatal(err)
		}
		for _, hour := range []int64{expiryHour - 2, expiryHour + 5} {
			for _, name := range append(everyName(3), randomName(r, 7)) {
				below, _ := name.Child("never-listed")
				at := time.Unix(hour*3600+1800, 0)
				for _, asked := range []dnsname.Name{name, below} {
					h := p.Ruling([]byte(name), asked != name, at)
					if asked == below && w.lists(below) {
						continue
					}
					got := told(t, p, asked, policy.Decision{Winner: h}).winner
					if want := w.selected(asked, hour, &s); !reflect.DeepEqual(got, want) {
						t.Fatalf("%s at hour %d by %+v in %v\ngot  %v\nwant %v", asked, hour, s, w, got, want)
					}
					if got != nil {
						ruled++
					}
					cases++
				}
			}
		}
		return cases
	})
	if ruled == 0 {
		t.Error("nothing was ruled")
	}
}

func (w *world) lists(name dnsname.Name) bool {
	return slices.ContainsFunc(w.rules, func(r rule) bool { return r.name == name })
}

func randomSelection(r *rand.Rand, w *world) (s policy.Selection) {
	if r.IntN(3) == 0 {
		s.Feeds = []string{pick(r, w.feeds...).Name}
	}
	if r.IntN(3) == 0 {
		s.Threats = []string{"botnet_cc"}
	}
	if r.IntN(3) == 0 {
		s.Confidence = 50
	}
	return s
}

// selected is what the selected rules decide about a name, read one after the other.
func (w *world) selected(name dnsname.Name, hour int64, s *policy.Selection) *outcome {
	for i := range w.zones {
		z := &w.zones[i]
		for _, c := range w.candidates(z, name, hour) {
			o := outcome{z.Name, w.feeds[c.member.Feed].Name, c.name, c.member, resolve(z, c.member.Action)}
			stops := o.action != policy.ActionPassthru
			switch {
			case z.LogOnly, o.action == policy.ActionDisabled:
			case stops && len(s.Feeds) > 0 && !slices.Contains(s.Feeds, o.feed):
			case stops && len(s.Threats) > 0 && c.member.Threat == 0:
			case stops && s.Confidence > 0 && c.member.Confidence != 80:
			default:
				return &o
			}
		}
	}
	return nil
}

// A prefix is ruled by the first zone that lists it or one that holds it.
func TestRulingOnPrefixes(t *testing.T) {
	w := &world{feeds: []policy.Feed{{Name: "allowed"}, {Name: "blocked"}}, zones: []policy.Zone{
		{Name: "allow", Feeds: []string{"allowed"}, Action: policy.ActionPassthru}, {Name: "block", Feeds: []string{"blocked"}, Action: policy.ActionNXDOMAIN},
	}}
	key := func(text string) dnsname.Name {
		return dnsname.Name(policy.AppendPrefixKey(nil, policy.TriggerIP, netip.MustParsePrefix(text)))
	}
	blocked := policy.Member{Feed: 1, Confidence: policy.ConfidenceUnknown}
	w.add(rule{key("192.0.2.0/24"), policy.Member{Confidence: policy.ConfidenceUnknown}}, rule{key("192.0.2.1/32"), blocked}, rule{key("198.51.100.0/24"), blocked})
	p, err := w.policy(t).Excerpt(policy.Selection{Feeds: []string{"blocked"}})
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]policy.Action{
		"192.0.2.0/24": policy.ActionPassthru, "192.0.2.1/32": policy.ActionPassthru, "198.51.100.0/24": policy.ActionNXDOMAIN, "203.0.113.0/24": policy.ActionDefault,
	} {
		if got := p.Ruling([]byte(key(text)), false, time.Unix(0, 0)).Action; got != want {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
}

// An excerpt of what is not there is refused, and the time at which the next member expires is told.
func TestExcerptOfAView(t *testing.T) {
	w := &world{feeds: []policy.Feed{{Name: "f"}}}
	w.add(rule{"\x01a\x00", policy.Member{Expiry: 10, Confidence: policy.ConfidenceUnknown}}, rule{"\x01b\x00", policy.Member{Expiry: 20, Confidence: policy.ConfidenceUnknown}})
	zone := []policy.Zone{{Name: "z", Feeds: []string{"f"}}}
	p, err := policy.New(policy.Config{Index: w.index(t), Views: []policy.View{{Name: "kids", Zones: zone}, {Name: "shadow", Zones: zone, Shadow: true}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []policy.Selection{{View: "other"}, {View: "kids", Feeds: []string{"g"}}, {Feeds: []string{"f"}}} {
		if _, err := p.Excerpt(s); !errors.Is(err, policy.ErrSelection) {
			t.Errorf("%+v: got %v, want ErrSelection", s, err)
		}
	}
	for view, want := range map[string]int{"": 0, "kids": 1, "shadow": 0} {
		x, err := p.Excerpt(policy.Selection{View: view})
		if err != nil || len(x.Zones()) != want {
			t.Errorf("view %q: %v, want %d zones", view, err, want)
		}
	}
	for after, want := range map[int64]int64{5: 10, 10: 20, 15: 20, 20: -1} {
		next, ok := p.NextExpiry(time.Unix(after*3600+60, 0))
		if got := next.Unix() / 3600; ok != (want >= 0) || ok && got != want {
			t.Errorf("after hour %d: got %d %v, want %d", after, got, ok, want)
		}
	}
}
